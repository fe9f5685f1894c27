"""Close-ups: one performer's head drawn straight into the crop that a trained model is given.

A shot is drawn on a plate and cut later, as footage is. Training wants many faces and no plates, so here the plate
exists in arithmetic only: points are projected onto it, landmarks are found there, the crop's similarity is made of
them as for any face, and the picture is drawn on the crop's own pixels. A crop costs what its own pixels cost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vfxswap.alignment import CropSpec
from vfxswap.geometry import Affine, Landmarks, Pose, composed, inverted
from vfxswap.lab.camera import Camera, View
from vfxswap.lab.colour import skin_rgb, srgb_encoded
from vfxswap.lab.film import defocused, grain_field, with_grain
from vfxswap.lab.landmarks import face_truth
from vfxswap.lab.light import Lighting
from vfxswap.lab.maths import unit
from vfxswap.lab.parts import Label, Part
from vfxswap.lab.performer import Performer, Stance
from vfxswap.lab.render import FAR_CM, Instant, Sample, draw, light_scene
from vfxswap.lab.scene import Scene, make_scene

_PLATE_LINES = 1080
"""Height and width of the plate that is only reckoned with; the crop's scale makes up for whatever it is."""
_FINER = 2
"""Pixels are drawn as so many by so many and averaged in linear light, which is the edges' anti-aliasing."""
_SHADOW_SIZE = 192
_ROOM_MARGIN = 1.1
_ORIGIN = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class CropView(View):
    """A camera whose picture is a crop of its plate; `height` and `width` are the crop's."""

    plate: View = field(default_factory=lambda: View(Camera(), _PLATE_LINES, _PLATE_LINES))
    plate_to_crop: tuple[tuple[float, ...], ...] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))

    @classmethod
    def of(cls, plate: View, plate_to_crop: Affine, size_px: int) -> CropView:
        """The view of a crop that a similarity cuts out of a plate."""
        scale = math.sqrt(abs(float(np.linalg.det(plate_to_crop[:, :2]))))
        # The camera of the crop has the plate's scale times the similarity's, from which maps choose their level.
        focal_mm = plate.camera.focal_mm * plate.height * scale / size_px
        camera = plate.camera.model_copy(update={"focal_mm": focal_mm})
        rows = tuple(tuple(float(value) for value in row) for row in plate_to_crop)
        return cls(camera, size_px, size_px, (0.0, 0.0), plate, rows)

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """World points `(..., 3)` as crop pixels `(..., 2)` and distances along the axis `(...)`."""
        places, depth = self.plate.project(points)
        matrix = places.new_tensor(self.plate_to_crop)
        return places @ matrix[:, :2].T + matrix[:, 2], depth

    def rays(self, pixels: Tensor) -> Tensor:
        """Unit directions `(P, 3)` through the centres of the crop's pixels, given by number."""
        row = torch.div(pixels, self.width, rounding_mode="floor")
        at = torch.stack([pixels - row * self.width, row], -1) + 0.5
        matrix = at.new_tensor(inverted(np.array(self.plate_to_crop)).tolist())
        x, y = (at @ matrix[:, :2].T + matrix[:, 2]).unbind(-1)
        focal = self.plate.camera.focal_px(self.plate.height)
        x = (x - self.plate.width / 2 - self.plate.offset[0]) / focal
        y = -(y - self.plate.height / 2 - self.plate.offset[1]) / focal
        return unit(torch.stack([x, y, torch.full_like(x, -1.0)], -1))


@dataclass(frozen=True, slots=True)
class Finish:
    """What lens, film and grading do to a close-up; the same for the truth."""

    defocus_px: float = 0.0
    """Radius of the circle of confusion, crop pixels."""
    streak_px: tuple[float, float] = (0.0, 0.0)
    """How far the face moves while the shutter is open, crop pixels."""
    softness: float = 1.0
    """How many crop pixels are one pixel of the plate, where that is more than one (a small face)."""
    grain: float = 0.0
    """Strength in code values 0..1."""
    exposure: float | None = None
    """Stops by which the face is brighter than bare skin in full light; None leaves the light as it is."""
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factor on the linear channels."""
    gamma: float = 1.0
    """Exponent on code values."""
    saturation: float = 1.0
    """Factor on the distance of code values from their grey."""
    seed: int = 0
    """Of the grain."""


_CLEAN = Finish()


@dataclass(frozen=True, slots=True, eq=False)
class Closeup:
    """What is to be drawn, apart from who."""

    stance: Stance
    lighting: Lighting
    room: Tensor
    """`(3, H, W)` scene-linear backdrop of any size."""
    camera: Camera = field(default_factory=Camera)
    """Of which only the place counts: the crop's scale makes up for its lens."""
    things: tuple[Part, ...] = ()
    """What stands in front, in place."""
    finish: Finish = _CLEAN
    slip: Affine | None = None
    """How far the aligner's idea of the crop is off, as a map of the unit crop onto itself."""
    shadows: bool = True
    path: tuple[Stance, ...] = ()
    """Stances while the shutter is open; the middle one's alone if there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class LabFace:
    """A close-up and what is known of it; S is the crop's side."""

    image: Tensor
    """`(3, S, S)` float32 R'G'B' (sRGB) 0..1."""
    face: Tensor
    """`(1, S, S)` 0..1 the face from forehead to chin as far as nothing hides it: what a roto artist would draw."""
    swap: Tensor
    """`(1, S, S)` 0..1 where a truth with another face differs: softer and smaller than `face`."""
    head: Tensor
    """`(1, S, S)` 0..1 head, neck and hair."""
    labels: Tensor
    """`(S, S)` uint8 of `vfxswap.lab.parts.Label`, sharp."""
    landmarks: Landmarks
    """`mesh468` with depth, crop pixels, exact."""
    pose: Pose
    plate_to_crop: Affine


def bare(performer: Performer) -> Scene:
    """The scene of a performer alone, to be made once for many close-ups."""
    return make_scene([performer], [], swapped=[True])


def crop_of(performer: Performer, closeup: Closeup, crop: CropSpec) -> Affine:
    """The similarity from the plate that is reckoned with to the crop."""
    plate = _plate(closeup)
    nowhere = torch.full((plate.height, plate.width), FAR_CM)
    mesh = face_truth(0, performer, closeup.stance, plate, nowhere).mesh
    plate_to_crop = crop.plate_to_crop(mesh)
    if closeup.slip is None:
        return plate_to_crop
    size = float(crop.size_px)
    slip = np.column_stack([closeup.slip[:, :2], closeup.slip[:, 2] * size])
    return composed(slip, plate_to_crop)


def shot(scene: Scene, closeup: Closeup, crop: CropSpec, truths: Sequence[Scene] = ()) -> tuple[LabFace, ...]:
    """Draws a close-up, and the same with other faces on the same head; the same bits for the same arguments.

    Args:
        scene: Who, as `bare` made it.
        closeup: What it does, where and in what light.
        crop: Which crop.
        truths: The same performer with other faces (`Performer.wearing`), as `bare` made them.

    Returns:
        The face, then the truths, all in the one's crop and exposure.
    """
    matrix = crop_of(scene.performers[0], closeup, crop)
    exposed = [_Exposed.of(item, closeup, crop, matrix) for item in (scene, *truths)]
    gain = _gain(exposed[0], scene.performers[0], closeup.finish)
    return tuple(item.developed(closeup, matrix, gain) for item in exposed)


@dataclass(frozen=True, slots=True, eq=False)
class _Exposed:
    """A close-up before it is graded."""

    layers: Tensor
    """`(6, S, S)`: scene-linear picture, visible face, matte of the swap, head."""
    labels: Tensor
    landmarks: Landmarks

    @classmethod
    def of(cls, scene: Scene, closeup: Closeup, crop: CropSpec, plate_to_crop: Affine) -> _Exposed:
        performer = scene.performers[0]
        if closeup.things:
            scene = make_scene([performer], closeup.things, swapped=[True])
        size = crop.size_px * _FINER
        view = CropView.of(_plate(closeup), plate_to_crop * _FINER, size)
        middle = Instant((closeup.stance,), _ORIGIN, closeup.lighting)
        light = light_scene(scene, middle, view.position, shadows=closeup.shadows, shadow_size=_SHADOW_SIZE)
        room = _room(closeup.room, size)
        stances = closeup.path or (closeup.stance,)
        samples = [draw(scene, replace(middle, stances=(stance,)), view, light, room) for stance in stances]
        layers = torch.stack([_layers(sample, performer) for sample in samples]).mean(0)
        sharp = samples[len(stances) // 2]
        coarse = CropView.of(_plate(closeup), plate_to_crop, crop.size_px)
        truth = face_truth(0, performer, closeup.stance, coarse, sharp.depth[::_FINER, ::_FINER])
        return cls(_exposed(layers, closeup.finish), sharp.labels[::_FINER, ::_FINER].clone(), truth.mesh)

    def developed(self, closeup: Closeup, plate_to_crop: Affine, gain: float) -> LabFace:
        """The close-up as code values."""
        mattes = self.layers[3:].clamp(0, 1)
        image = _developed(self.layers[:3] * gain, closeup.finish)
        pose = closeup.stance.pose
        return LabFace(image, mattes[:1], mattes[1:2], mattes[2:], self.labels, self.landmarks, pose, plate_to_crop)


def _gain(exposed: _Exposed, performer: Performer, finish: Finish) -> float:
    """Factor on all light that gives the face the exposure that is asked for."""
    if finish.exposure is None:
        return 1.0
    face, light = exposed.layers[4], exposed.layers[:3].mean(0)
    weight = float(face.sum())
    level = float((light * face).sum()) / weight if weight > 1 else float(light.mean())
    albedo = sum(skin_rgb(performer.looks.skin.ita_degrees)) / 3
    return float(albedo * 2.0**finish.exposure / max(level, 1e-4))


def _plate(closeup: Closeup) -> View:
    return View(closeup.camera, _PLATE_LINES, _PLATE_LINES)


def _room(room: Tensor, size: int) -> Tensor:
    """The backdrop as large as `draw` wants it."""
    side = round(size * _ROOM_MARGIN) + 2
    return functional.interpolate(room[None], (side, side), mode="bilinear", align_corners=False)[0]


def _layers(sample: Sample, performer: Performer) -> Tensor:
    """`(6, H, W)`: picture, visible face, matte of the swap, head."""
    mattes = torch.stack([_visible_face(sample, performer), sample.face, sample.head])
    return torch.cat([sample.image.permute(2, 0, 1), mattes])


def _visible_face(sample: Sample, performer: Performer) -> Tensor:
    """`(H, W)` 1 where a pixel shows the face: forehead to chin, ear to ear, nothing in front."""
    u, v = sample.uv.unbind(-1)
    x, y, z = performer.grid.at(u.clamp(0, 1), v.clamp(0, 1)).unbind(-1)
    region = ((x.abs() / 6.9) ** 2.6 + ((y + 2.2).abs() / 9.8) ** 2.6 < 1) & (z > 0.8)
    shown = (sample.labels == Label.SKIN) | (sample.labels == Label.EYE) | (sample.labels == Label.MOUTH)
    return (region & shown & (u >= 0)).float()


def _exposed(layers: Tensor, finish: Finish) -> Tensor:
    """Lens and sensor: blur at the fine size, then the mean of the fine pixels; `(C, 2S, 2S)` to `(C, S, S)`."""
    layers = defocused(layers, finish.defocus_px * _FINER)
    layers = _streaked(layers, (finish.streak_px[0] * _FINER, finish.streak_px[1] * _FINER))
    size = layers.shape[-1] // _FINER
    layers = functional.avg_pool2d(layers[None], _FINER)
    if finish.softness > 1:
        small = max(16, round(size / finish.softness))
        layers = functional.interpolate(layers, (small, small), mode="bilinear", antialias=True, align_corners=False)
        layers = functional.interpolate(layers, (size, size), mode="bicubic", align_corners=False)
    return layers[0]


def _streaked(image: Tensor, reach_px: tuple[float, float]) -> Tensor:
    """An image `(C, H, W)` that moved along a line while it was exposed."""
    length = math.hypot(*reach_px)
    if length < 1:
        return image
    half = math.ceil(length / 2) + 1
    steps = torch.arange(-half, half + 1, dtype=torch.float32)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    along = (x * reach_px[0] + y * reach_px[1]) / length
    across = (x * reach_px[1] - y * reach_px[0]) / length
    kernel = (length / 2 + 0.5 - along.abs()).clamp(0, 1) * (1 - across.abs()).clamp_min(0)
    padded = functional.pad(image[:, None], (half, half, half, half), mode="replicate")
    return functional.conv2d(padded, (kernel / kernel.sum())[None, None])[:, 0]


def _developed(linear: Tensor, finish: Finish) -> Tensor:
    """Linear light `(3, S, S)` as graded code values."""
    linear = linear.clamp_min(0) * torch.tensor(finish.balance)[:, None, None]
    noise = grain_field(linear.shape[1], linear.shape[2], seed=finish.seed, frame=0)
    code = srgb_encoded(with_grain(linear, noise, finish.grain))
    if finish.gamma != 1 or finish.saturation != 1:
        code = code**finish.gamma
        grey = (code * torch.tensor([0.2126, 0.7152, 0.0722])[:, None, None]).sum(0)
        code = grey + (code - grey) * finish.saturation
    return code.clamp(0, 1)
