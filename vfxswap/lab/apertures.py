"""What shows between the lids and between the lips: eyeballs, lashes, teeth and tongue, by ray casting."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vfxswap.lab.expression import JAW_DEGREES, JAW_HINGE, Expression
from vfxswap.lab.light import Lighting
from vfxswap.lab.looks import Looks
from vfxswap.lab.maths import bell, rotation, smoothstep, unit
from vfxswap.lab.parts import Label
from vfxswap.lab.performer import Performer, Stance
from vfxswap.lab.template import EYE, MOUTH_HALF, MOUTH_Y, lower_lid, upper_lid


@dataclass(slots=True, eq=False)
class Pixels:
    """Pixels of one head while they are painted; P of them."""

    address: Tensor
    """`(P, 2)` address x and y; NaN behind the face, where nothing opens."""
    rays: Tensor
    """`(P, 3)` unit, from the camera."""
    positions: Tensor
    """`(P, 3)` world."""
    diffuse: Tensor
    """`(P, 3)` arriving light."""
    key: Tensor
    """`(P,)` share of the key."""
    albedo: Tensor
    """`(P, 3)`."""
    gloss: Tensor
    """`(P,)`."""
    glint: Tensor
    """`(P, 3)` light that is added."""
    labels: Tensor
    """`(P,)` uint8."""


def paint_eyes(pixels: Pixels, performer: Performer, stance: Stance, lighting: Lighting, camera: Tensor) -> None:
    """Paints lashes and eyeballs into the pixels of a head, in place."""
    expression = stance.expression
    centres = performer.to_world(performer.eyes[0], stance)
    turn = rotation(*stance.pose)
    for index, (sign, blink) in enumerate(((-1.0, expression.blink_left), (1.0, expression.blink_right))):
        x = sign * pixels.address[:, 0] - EYE[0]
        near = ((x.abs() < 1.6) & (pixels.address[:, 1].abs() < 1.5)).nonzero()[:, 0]
        if len(near):
            _paint_eye(
                pixels, near, x[near], performer, _Eye(centres[index], turn, sign, blink, expression), lighting, camera
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Eye:
    centre: Tensor
    turn: Tensor
    sign: float
    blink: float
    expression: Expression


def _paint_eye(
    pixels: Pixels, near: Tensor, x: Tensor, performer: Performer, eye: _Eye, lighting: Lighting, camera: Tensor
) -> None:
    looks, y = performer.face, pixels.address[near, 1]
    upper = upper_lid(x, opening=looks.eyes.opening, blink=eye.blink)
    lower = lower_lid(x, opening=looks.eyes.opening)
    _paint_lashes(pixels, near, x, y - upper, y - lower)
    inside = ((y < upper) & (y > lower)).nonzero()[:, 0]
    if not len(inside):
        return
    chosen, x, y, upper, lower = near[inside], x[inside], y[inside], upper[inside], lower[inside]
    normal = _ball_normal(camera, pixels.rays[chosen], eye.centre, performer.eyes[1])
    colour = _ball_colour(looks, normal, eye, x)
    lid = (1 - 0.70 * torch.exp(-(upper - y) / 0.17)) * (1 - 0.25 * torch.exp(-(y - lower) / 0.08))
    pixels.albedo[chosen] = colour * (0.25 + 0.75 * lid[:, None])
    wet = 0.5 * bell(y - lower, 0.03, 0.035)[:, None]
    pixels.gloss[chosen] = 0.0
    pixels.glint[chosen] = _glint(normal, pixels.rays[chosen], lighting, pixels.key[chosen]) * lid[:, None]
    pixels.glint[chosen] += wet * pixels.diffuse[chosen] * 0.35
    pixels.labels[chosen] = Label.EYE


def _paint_lashes(pixels: Pixels, near: Tensor, x: Tensor, over_upper: Tensor, over_lower: Tensor) -> None:
    thick = 0.075 + 0.035 * (x + 0.4).clamp_min(0)
    dark = 0.92 * bell(over_upper, 0.045, thick) + 0.35 * bell(over_lower, -0.05, 0.055)
    dark = (dark * smoothstep(x.abs(), 1.50, 1.28)).clamp(0, 1)[:, None]
    pixels.albedo[near] = pixels.albedo[near] * (1 - dark) + 0.010 * dark
    pixels.gloss[near] = pixels.gloss[near] * (1 - dark[:, 0])


def _ball_normal(camera: Tensor, rays: Tensor, centre: Tensor, radius: float) -> Tensor:
    """Where rays meet the eyeball, as unit normals; rays that pass it get its limb."""
    origin = camera - centre
    along = rays @ origin
    reach = (along**2 - (origin @ origin - radius**2)).clamp_min(0).sqrt()
    return unit(origin + rays * (-along - reach)[:, None])


def _ball_colour(looks: Looks, normal: Tensor, eye: _Eye, x: Tensor) -> Tensor:
    expression = eye.expression
    gaze = (
        eye.turn @ rotation(expression.gaze_x - 1.5 * eye.sign, -expression.gaze_y, 0.0) @ torch.tensor([0.0, 0.0, 1.0])
    )
    angle = torch.acos((normal @ gaze).clamp(-1, 1))
    local = normal @ eye.turn
    spokes = 1 + 0.30 * torch.sin(torch.atan2(local[:, 1], local[:, 0]) * 23 + angle * 9)
    sclera = torch.tensor([0.62, 0.56, 0.53]) * (1 - 0.30 * (x.abs() / 1.4) ** 2)[:, None]
    iris = torch.tensor(looks.eyes.iris) * (0.55 + 0.85 * smoothstep(angle, 0.44, 0.20) * spokes)[:, None]
    colour = sclera + (iris - sclera) * smoothstep(angle, 0.54, 0.48)[:, None]
    colour = colour * (1 - 0.70 * bell(angle, 0.50, 0.05))[:, None]
    colour = colour + (0.004 - colour) * smoothstep(angle, 0.215, 0.175)[:, None]
    corner = smoothstep(x, -1.02, -1.30)[:, None]
    return colour + (torch.tensor([0.36, 0.16, 0.14]) - colour) * corner


def _glint(normal: Tensor, rays: Tensor, lighting: Lighting, key: Tensor) -> Tensor:
    """Lamps mirrored in the cornea, wide enough not to flicker between samples."""
    total = torch.zeros_like(normal)
    for index, lamp in enumerate(lighting.lamps[:2]):
        half = unit(lamp.towards - rays)
        mirrored = (normal * half).sum(1).clamp_min(0) ** 420
        shadow = key if index == 0 else torch.ones_like(key)
        total = total + torch.tensor(lamp.rgb) * (2.4 * lighting.gain * mirrored * shadow)[:, None]
    return total


def paint_mouth(pixels: Pixels, performer: Performer, stance: Stance) -> None:
    """Paints teeth, tongue and the dark between the open lips into the pixels of a head, in place."""
    side, y = pixels.address[:, 0].abs(), pixels.address[:, 1]
    half = MOUTH_HALF - 0.05
    open_ = (y - MOUTH_Y).abs() < 0.10 * (1 - (side / half) ** 4).clamp_min(0)
    chosen = (open_ & (side < half)).nonzero()[:, 0]
    expression = stance.expression
    depth = min(1.0, max(0.0, (expression.jaw + 0.5 * expression.lip_raise - 0.03) / 0.12))
    if not len(chosen) or depth == 0:
        return
    turn = rotation(*stance.pose)
    origin = (pixels.positions[chosen] - performer.to_world(torch.zeros(3), stance)) @ turn
    at = _on_teeth(origin, pixels.rays[chosen] @ turn)
    colour = _mouth_colour(at, performer.face, expression)
    rim = depth * smoothstep((y[chosen] - MOUTH_Y).abs(), 0.10, 0.075)
    pixels.albedo[chosen] = pixels.albedo[chosen] * (1 - rim[:, None]) + colour * rim[:, None]
    pixels.gloss[chosen] = pixels.gloss[chosen] * (1 - rim) + 0.25 * rim
    pixels.labels[chosen] = torch.where(rim > 0.3, int(Label.MOUTH), pixels.labels[chosen].int()).to(torch.uint8)


_ARCH = (2.6, 3.4, 4.75)
"""Half width, depth and centre z of the dental arch."""


def _on_teeth(origin: Tensor, rays: Tensor) -> Tensor:
    """Where rays from the lips meet the elliptic cylinder of the dental arch, in the head's frame."""
    width, depth, centre = _ARCH
    z = origin[:, 2] - centre
    a = (rays[:, 0] / width) ** 2 + (rays[:, 2] / depth) ** 2
    b = origin[:, 0] * rays[:, 0] / width**2 + z * rays[:, 2] / depth**2
    c = (origin[:, 0] / width) ** 2 + (z / depth) ** 2 - 1
    reach = ((-b - (b * b - a * c).clamp_min(0).sqrt()) / a).clamp(0, 4)
    return origin + rays * reach[:, None]


def _mouth_colour(at: Tensor, looks: Looks, expression: Expression) -> Tensor:
    stretch = 1 + 0.7 * looks.skull.length
    drop = (at.new_tensor(JAW_HINGE)[2] - 8.0) * -torch.sin(torch.deg2rad(torch.tensor(JAW_DEGREES * expression.jaw)))
    upper_edge = MOUTH_Y * stretch - 0.12
    lower_edge = MOUTH_Y * stretch - 0.18 - float(drop)
    place = torch.atan2(at[:, 0], at[:, 2] - _ARCH[2]) * 4.0
    gap = 1 - 0.30 * bell((place + 0.5) % 1 - 0.5, 0.0, 0.06)
    scallop = 0.05 * bell((place + 0.5) % 1 - 0.5, 0.0, 0.12)
    upper = smoothstep(at[:, 1], upper_edge + scallop - 0.05, upper_edge + scallop + 0.05)
    lower = 0.85 * smoothstep(at[:, 1], lower_edge + 0.08, lower_edge - 0.06)
    shade = torch.exp(-0.22 * (at[:, 0] / 1.3) ** 2)
    teeth = (torch.maximum(upper, lower) * shade)[:, None]
    tongue = smoothstep(at[:, 1], lower_edge + 1.0, lower_edge + 0.2)[:, None] * torch.tensor([0.20, 0.055, 0.055])
    inside = torch.tensor([0.022, 0.008, 0.008]) + tongue * 0.8
    return inside * (1 - teeth) + torch.tensor([0.52, 0.47, 0.40]) * gap[:, None] * teeth
