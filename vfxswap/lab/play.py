"""Plays a shot: every frame as plate and as truth, with what is known of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vfxswap.errors import UsageError
from vfxswap.lab.backdrop import backdrop
from vfxswap.lab.camera import View
from vfxswap.lab.devices import moved
from vfxswap.lab.film import defocused, grain_field, jitter, with_grain
from vfxswap.lab.landmarks import FaceTruth, face_truth
from vfxswap.lab.light import RIGS
from vfxswap.lab.motion import Performance
from vfxswap.lab.parts import microphone
from vfxswap.lab.performer import Detail, make_performer
from vfxswap.lab.render import Instant, Sample, draw, light_scene
from vfxswap.lab.scene import Scene, make_scene
from vfxswap.lab.shot import ShotSpec


@dataclass(frozen=True, slots=True, eq=False)
class LabFrame:
    """One frame of a shot and the truth about it; scene-linear float32, H x W pixels."""

    number: int
    plate: Tensor
    """`(3, H, W)` the performers as they are."""
    truth: Tensor
    """`(3, H, W)` the same with the other faces."""
    matte: Tensor
    """`(1, H, W)` 0..1 where the two may differ: the faces to be replaced, as far as nothing hides them."""
    head: Tensor
    """`(1, H, W)` 0..1 heads, necks and hair."""
    labels: Tensor
    """`(H, W)` uint8 of `vfxswap.lab.parts.Label`, sharp, at the middle of the shutter."""
    depth: Tensor
    """`(H, W)` cm along the axis, sharp; `vfxswap.lab.render.FAR_CM` in the background."""
    uv: Tensor
    """`(2, H, W)` where a pixel lies on the head's maps, sharp; -1 elsewhere."""
    motion: Tensor
    """`(2, H, W)` pixels that what is seen moves until the next frame; 0 in the background and at a cut."""
    faces: tuple[FaceTruth, ...]
    """Of each performer, in the plate."""
    truth_faces: tuple[FaceTruth, ...]
    """Of each performer, in the truth."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A shot that is built and ready to be played at one size."""

    spec: ShotSpec
    width: int
    height: int
    plate: Scene
    truth: Scene
    performances: tuple[Performance, ...]
    device: torch.device
    """Where it is rendered; frames are given on the CPU."""

    def frame(self, number: int) -> LabFrame:
        """Renders one frame; the same bits whatever was rendered before."""
        if not self.spec.frames[0] <= number <= self.spec.frames[1]:
            first, last = self.spec.frames
            raise UsageError(f"frame {number} is outside shot {self.spec.name!r}, which has frames {first}-{last}")
        with torch.inference_mode(), _made_on(self.device):
            return moved(self._rendered(number), torch.device("cpu"))

    def _rendered(self, number: int) -> LabFrame:
        noise = grain_field(self.height, self.width, seed=self.spec.seed, frame=number).to(self.device)
        plate, sharp = self._exposed(self.plate, number, noise)
        truth, sharp_truth = self._exposed(self.truth, number, noise)
        still, view = self.instant(number), self._view(number)
        return LabFrame(
            number=number,
            plate=plate[:3],
            truth=truth[:3],
            matte=torch.maximum(plate[3:4], truth[3:4]),
            head=torch.maximum(plate[4:5], truth[4:5]),
            labels=sharp.labels,
            depth=sharp.depth,
            uv=sharp.uv.permute(2, 0, 1),
            motion=self._motion(number, sharp),
            faces=_faces(self.plate, still, view, sharp),
            truth_faces=_faces(self.truth, still, view, sharp_truth),
        )

    def _exposed(self, scene: Scene, number: int, noise: Tensor) -> tuple[Tensor, Sample]:
        """`(5, H, W)` picture, matte and head through shutter, lens and film; and the sharp middle sample."""
        lens = self.spec.lens
        room = backdrop(self.height, self.width, self.spec.seed).to(self.device)
        light = light_scene(scene, self.instant(number), self._view(number).position, shadows=self.spec.lights.shadows)
        total = torch.zeros(self.height, self.width, 5)
        sharp = None
        for index in range(lens.samples):
            slot = (index + (lens.samples - 1) // 2) % lens.samples  # the first is the middle one, and is not shifted
            time = number + lens.shutter * ((slot + 0.5) / lens.samples - 0.5)
            sample = draw(scene, self.instant(time), self._view(time, jitter(index)), light, room)
            sharp = sample if index == 0 and time == number else sharp
            total += torch.cat([sample.image, sample.face[..., None], sample.head[..., None]], -1)
        total[..., :3] *= 2.0**lens.exposure_stops
        picture = defocused((total / lens.samples).permute(2, 0, 1), self._defocus_px(number))
        picture = torch.cat([with_grain(picture[:3], noise, lens.grain), picture[3:].clamp(0, 1)])
        return picture, sharp or draw(scene, self.instant(number), self._view(number), light, room)

    def instant(self, frame: float) -> Instant:
        """Where everything is at a time, in frames."""
        spec, seconds = self.spec, self.spec.seconds_of(frame)
        part = min(1.0, max(0.0, seconds / max(spec.length_seconds, 1e-6)))
        lights = spec.lights
        lighting = RIGS[lights.rig].turned(lights.turn_degrees * part)
        gain = 1 - lights.dim * math.sin(math.pi * part) ** 2
        gain *= 1 + lights.flicker * _random(spec.seed, round(frame))
        across = -30.0 + 60.0 * part
        things = (across, -6.0 + 1.5 * math.sin(9 * part), 22.0)
        stances = tuple(performance.at(seconds) for performance in self.performances)
        return Instant(stances, things, replace(lighting, gain=gain))

    def _view(self, frame: float, jitter: tuple[float, float] = (0.0, 0.0)) -> View:
        seconds, reach = self.spec.seconds_of(frame), self.spec.lens.shake * self.height
        phase = self.spec.seed
        waves = [
            0.5 * math.sin(2 * math.pi * 1.1 * seconds + phase + axis)
            + 0.3 * math.sin(2 * math.pi * 3.7 * seconds + 2 * phase + 2 * axis)
            + 0.2 * math.sin(2 * math.pi * 8.3 * seconds + 3 * phase + 5 * axis)
            for axis in (0, 1)
        ]
        offset = (reach * waves[0] + jitter[0], reach * waves[1] + jitter[1])
        return View(self.spec.camera_at(round(frame)), self.height, self.width, offset)

    def _defocus_px(self, number: int) -> float:
        first, last = self.spec.lens.defocus
        part = self.spec.seconds_of(number) / max(self.spec.length_seconds, 1e-6)
        return (first + (last - first) * part) * self.height

    def _motion(self, number: int, sharp: Sample) -> Tensor:
        """`(2, H, W)` movement of the opaque surfaces until the next frame."""
        flow = torch.zeros(self.height * self.width, 2)
        if number < self.spec.frames[1] and self.spec.camera_at(number) == self.spec.camera_at(number + 1):
            places = []
            for time in (number, number + 1):
                instant = self.instant(time)
                positions = self.plate.positions(instant.stances, instant.things_at)
                places.append(self._view(time).project(positions)[0])
            flow[sharp.solid.pixels] = sharp.solid.interpolate(places[1] - places[0], self.plate.solid)
        return flow.reshape(self.height, self.width, 2).permute(2, 0, 1)


def build(spec: ShotSpec, *, width: int, height: int, device: str | torch.device = "cpu") -> Stage:
    """Builds the performers of a shot for a picture size.

    Args:
        spec: The shot.
        width: Columns.
        height: Rows.
        device: Where to render. Bits are the same on each kind of device, not between kinds.

    Raises:
        UsageError: The size is too small or too large to make sense.
    """
    if not (32 <= width <= 8192 and 32 <= height <= 8192):
        raise UsageError(f"picture size {width}x{height} is outside 32..8192 pixels")
    cameras = [spec.camera, *(cut.camera for cut in spec.cuts)]
    detail = Detail.for_scale(max(camera.px_per_cm(height) for camera in cameras))
    with torch.inference_mode(), torch.device("cpu"):
        own = [make_performer(role.looks, detail) for role in spec.roles]
        cast = [
            performer if role.face is None else performer.wearing(role.face)
            for role, performer in zip(spec.roles, own, strict=True)
        ]
        things = microphone() if spec.occluder == "microphone" else []
        swapped = [role.face is not None for role in spec.roles]
        plate, truth = (make_scene(group, things, swapped=swapped) for group in (own, cast))
    performances = tuple(
        Performance(role.acting, spec.length_seconds, role.place_cm, role.walk_cm) for role in spec.roles
    )
    place = torch.device(device)
    return Stage(spec, width, height, moved(plate, place), moved(truth, place), performances, place)


def render_shot(
    spec: ShotSpec, frames: Iterable[int] | None = None, *, width: int, height: int, device: str | torch.device = "cpu"
) -> Iterator[LabFrame]:
    """Plays a shot.

    Args:
        spec: The shot.
        frames: Which frames, in any order; all of them if not said.
        width: Columns.
        height: Rows.
        device: Where to render.

    Raises:
        UsageError: A frame lies outside the shot.
    """
    stage = build(spec, width=width, height=height, device=device)
    chosen = range(spec.frames[0], spec.frames[1] + 1) if frames is None else frames
    for number in chosen:
        yield stage.frame(number)


def _made_on(device: torch.device) -> AbstractContextManager[object]:
    """New tensors are made there; where they are anyway, nothing is entered: it would cost every operation a little."""
    return nullcontext() if torch.get_default_device() == device else device


def _faces(scene: Scene, instant: Instant, view: View, sharp: Sample) -> tuple[FaceTruth, ...]:
    return tuple(
        face_truth(track, performer, stance, view, sharp.depth)
        for track, (performer, stance) in enumerate(zip(scene.performers, instant.stances, strict=True))
    )


def _random(seed: int, number: int) -> float:
    """A number -1..1 that depends on seed and frame alone."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + number * 104_729) % 2**63)
    return float(torch.rand(1, generator=generator, device="cpu")) * 2 - 1
