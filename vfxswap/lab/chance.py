"""Circumstances drawn at random: how a head is turned, what it does, in what light, through which lens, behind what.

Everything follows from a seed and a number, so that a set of pictures can be made in any order and by any number of
workers. Only `random.Random.random` and what Python makes of it are drawn from, whose streams do not change between
versions.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from vfxswap.geometry import Affine, Pose
from vfxswap.lab.backdrop import backdrop
from vfxswap.lab.camera import Camera
from vfxswap.lab.closeup import Closeup, Finish
from vfxswap.lab.expression import Expression
from vfxswap.lab.light import RIGS, Lamp, Lighting
from vfxswap.lab.looks import Looks, Rgb
from vfxswap.lab.maths import fractal_noise
from vfxswap.lab.obstacles import obstacle
from vfxswap.lab.performer import Stance

_ROOM_PX = 160
_ROOMS = 24


@dataclass(frozen=True, slots=True)
class Range:
    """How far circumstances go."""

    yaw_degrees: float = 70.0
    pitch_degrees: float = 30.0
    roll_degrees: float = 30.0
    obstacles: float = 0.2
    """Share of pictures with something in front of the face."""
    slip: float = 0.012
    """How far an aligner is off: of its crop's side, of its scale and, doubled, in radians."""


WIDE = Range()


def drawn(looks: Looks, seed: int, number: int, limits: Range = WIDE) -> Closeup:
    """Draws the circumstances of one close-up; the same arguments always give the same.

    Args:
        looks: Who is seen, of whom the light and what is in front may take account.
        seed: Of the set.
        number: Of the picture.
        limits: How far they go.
    """
    dice = random.Random(f"{seed} {looks.seed} {number}")  # noqa: S311 - pictures are no secret
    stance = Stance(_pose(dice, limits), (dice.gauss(0, 6.0), dice.gauss(0, 3.0), 0.0), expression=_expression(dice))
    things = obstacle(dice, looks) if dice.random() < limits.obstacles else []
    shift = torch.tensor(stance.shift_cm)
    return Closeup(
        stance=stance,
        lighting=_light(dice),
        room=_room(dice),
        camera=Camera(distance_cm=50.0 * 6.0 ** dice.random()),
        things=tuple(replace(item, positions=item.positions + shift) for item in things),
        finish=_finish(dice, seed=number),
        slip=_slip(dice, limits.slip),
        shadows=dice.random() < 0.85,
    )


def _pose(dice: random.Random, limits: Range) -> Pose:
    """Often nearly frontal and sometimes as far as it goes: the mean of an even and a narrow spread."""

    def turn(reach: float) -> float:
        return dice.uniform(-reach, reach) if dice.random() < 0.6 else max(-reach, min(reach, dice.gauss(0, reach / 4)))

    return Pose(turn(limits.yaw_degrees), turn(limits.pitch_degrees), turn(limits.roll_degrees))


def _expression(dice: random.Random) -> Expression:
    def some(chance: float, low: float, high: float) -> float:
        return dice.uniform(low, high) if dice.random() < chance else 0.0

    shut = dice.uniform(0.6, 1.0) if dice.random() < 0.14 else 0.35 * dice.random() ** 3
    wink = dice.choice((0, 1)) if dice.random() < 0.05 else None
    jaw = dice.random() ** 1.5 if dice.random() < 0.6 else 0.0
    return Expression(
        jaw=jaw,
        smile=some(0.5, 0.0, 1.0),
        pucker=some(0.25, 0.1, 1.0),
        lip_raise=some(0.4, 0.0, 0.8),
        brow=some(0.6, -1.0, 1.0),
        squint=some(0.35, 0.0, 0.9),
        blink_left=1.0 if wink == 0 else shut,
        blink_right=1.0 if wink == 1 else shut,
        gaze_x=max(-28.0, min(28.0, dice.gauss(0, 11))),
        gaze_y=max(-16.0, min(16.0, dice.gauss(0, 6))),
    )


def _light(dice: random.Random) -> Lighting:
    """One of the rigs, turned and tinted, or a key, a fill and a sky that were never built."""
    if dice.random() < 0.4:
        rig = RIGS[dice.choice(sorted(RIGS))].turned(dice.uniform(-60, 60))
        tint = _tint(dice, 0.2)
        return replace(
            rig,
            lamps=tuple(replace(lamp, rgb=_times(lamp.rgb, tint, dice.uniform(0.6, 1.4))) for lamp in rig.lamps),
            sky=_times(rig.sky, tint, dice.uniform(0.5, 2.0)),
        )
    lamps = [
        Lamp(_towards(dice, 85, 60), _times((1, 1, 1), _tint(dice, 0.2), dice.uniform(0.3, 1.2))),
        Lamp(_towards(dice, 100, 40), _times((1, 1, 1), _tint(dice, 0.3), dice.uniform(0.0, 0.5))),
        Lamp(_towards(dice, 180, 60), _times((1, 1, 1), _tint(dice, 0.4), dice.uniform(0.0, 0.9))),
    ]
    sky, ground = dice.uniform(0.03, 0.45), dice.uniform(0.02, 0.2)
    return Lighting(tuple(lamps), _times((1, 1, 1), _tint(dice, 0.2), sky), _times((1, 1, 1), _tint(dice, 0.2), ground))


def _towards(dice: random.Random, aside_degrees: float, height_degrees: float) -> tuple[float, float, float]:
    aside, up = (
        math.radians(dice.uniform(-aside_degrees, aside_degrees)),
        math.radians(dice.uniform(-20, height_degrees)),
    )
    return math.sin(aside) * math.cos(up), math.sin(up), math.cos(aside) * math.cos(up)


def _tint(dice: random.Random, strength: float) -> Rgb:
    return math.exp(dice.gauss(0, strength)), math.exp(dice.gauss(0, 0.3 * strength)), math.exp(dice.gauss(0, strength))


def _times(rgb: Rgb, tint: Rgb, factor: float) -> Rgb:
    return rgb[0] * tint[0] * factor, rgb[1] * tint[1] * factor, rgb[2] * tint[2] * factor


def _room(dice: random.Random) -> Tensor:
    """A piece of a room, or colours without a shape, brighter or darker than the face."""
    if dice.random() < 0.5:
        room = backdrop(_ROOM_PX, _ROOM_PX, dice.randrange(_ROOMS))
        side = dice.randint(_ROOM_PX // 3, _ROOM_PX)
        top, left = dice.randrange(room.shape[1] - side), dice.randrange(room.shape[2] - side)
        room = room[:, top : top + side, left : left + side]
        room = room.flip(2) if dice.random() < 0.5 else room
    else:
        cells = (dice.randint(1, 5), dice.randint(1, 5))
        seed = dice.randrange(2**31)
        noise = [fractal_noise((96, 96), seed=seed + k, cells=cells, octaves=dice.randint(1, 5)) for k in range(3)]
        room = (0.12 * 2 ** (2.5 * torch.stack(noise))).clamp(0, 3)
    tint, light = _tint(dice, 0.25), 0.3 * 12 ** dice.random()
    return room * torch.tensor(_times((1, 1, 1), tint, light))[:, None, None]


def _finish(dice: random.Random, *, seed: int) -> Finish:
    angle, length = dice.uniform(0, math.pi), dice.uniform(1.0, 7.0) if dice.random() < 0.25 else 0.0
    return Finish(
        defocus_px=dice.uniform(0.5, 2.2) if dice.random() < 0.25 else 0.0,
        streak_px=(length * math.cos(angle), length * math.sin(angle)),
        softness=dice.uniform(1.2, 2.8) if dice.random() < 0.3 else 1.0,
        grain=0.03 * dice.random() ** 1.5 if dice.random() < 0.6 else 0.0,
        exposure=dice.uniform(-1.4, 0.5),
        balance=_tint(dice, 0.10),
        gamma=math.exp(dice.gauss(0, 0.10)),
        saturation=max(0.15, dice.gauss(0.95, 0.18)),
        seed=seed,
    )


def _slip(dice: random.Random, strength: float) -> Affine:
    """A similarity of the unit crop about its middle, near to none."""
    scale, angle = math.exp(dice.gauss(0, strength)), dice.gauss(0, strength)
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    shift = np.array([0.5 + dice.gauss(0, strength), 0.5 + dice.gauss(0, strength)]) - linear @ np.array([0.5, 0.5])
    return np.column_stack([linear, shift])
