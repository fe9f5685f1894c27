"""How steady a result is, how late and how soft: all remedies of one shot against the same plate, truth and matte."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vfxswap.clock import FrameRange
from vfxswap.host import Host
from vfxswap.lab.parts import Label
from vfxswap.score import temporal, texture
from vfxswap.score.region import Region, dilated, mean, region_of
from vfxswap.score.sources import Mattes, Movie

Scores = Mapping[str, float]
Pictures = Sequence[Tensor]

_CODES = 255.0
_RING = 0.06
"""Width of the ring around an occluder, in parts of the face's size."""
_PASSED_FRAMES = 2
"""Frames before and after, in which an occluder may have hidden what is seen now."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What the results of one shot are held against; T frames."""

    plate: Pictures
    truth: Pictures | None
    regions: Sequence[Region]
    """Of each frame; boxes cover the frame before too."""
    before: Sequence[Tensor]
    """T - 1 times `(h, w)`: in the later frame's box, where both are inside the matte."""
    flows: Sequence[tuple[Tensor, Tensor]]
    """T - 1 times, from each frame to the one before, and where it can be trusted."""
    rings: Sequence[Tensor] | None
    """`(h, w)` 0 or 1: what of the face lies around an occluder, or was or will be hidden by it in a moment."""


def pictures_of(path: Path, host: Host, *, color_space: str | None = None, part: slice = slice(None)) -> Pictures:
    """Frames of a movie by their places: R'G'B' `(3, H, W)` each."""
    with Movie(path, host, color_space=color_space) as movie:
        return list(movie.pictures(FrameRange(tuple(movie.numbers)[part])))


def lab_mattes(shot: Path, host: Host, count: int) -> Pictures:
    """`(H, W)` 0..1 of each frame: where a perfect swap differs from the plate."""
    return list(Mattes(shot / "mattes", host).planes(FrameRange(tuple(range(count))), count))


def lab_objects(shot: Path) -> Pictures | None:
    """`(H, W)` 0 or 1 of each frame: what stands before the face, where the shot was rendered with its data."""
    files = sorted((shot / "data").glob("data.*.npz"))
    if not files:
        return None
    found = []
    for file in files:
        with np.load(file, allow_pickle=False) as data:
            found.append(torch.from_numpy(data["labels"] == Label.OBJECT).float())
    return found


def reference(plate: Pictures, truth: Pictures | None, mattes: Pictures, objects: Pictures | None) -> Reference:
    """Finds regions, rings and the plate's motion, once for all results.

    Raises:
        ValueError: A frame has no face.
    """
    regions, before, flows = [], [], []
    for at, matte in enumerate(mattes):
        region = region_of(matte, mattes[max(at - 1, 0)])
        if region is None:
            raise ValueError(f"no face in frame {at} of a shot of the benchmark")
        regions.append(region)
        if at:
            both = torch.minimum(region.inside, region.cut(mattes[at - 1][None])[0])
            before.append(both)
            flows.append(temporal.followed(region.cut(plate[at]), region.cut(plate[at - 1]), both))
    rings = None if objects is None else [_ring(at, objects, region) for at, region in enumerate(regions)]
    return Reference(plate, truth, regions, before, flows, rings)


def _ring(at: int, objects: Pictures, region: Region) -> Tensor:
    passed = objects[max(at - _PASSED_FRAMES, 0) : at + _PASSED_FRAMES + 1]
    hidden = torch.stack([region.cut(each[None])[0] for each in passed]).amax(dim=0)
    near = dilated(hidden, max(1, round(_RING * region.size_px)))
    here = dilated(region.cut(objects[at][None])[0], 1)
    return near * (1 - here) * (region.inside > 0.99).float()


def scores(result: Pictures, against: Reference) -> dict[str, float]:
    """What is told of a result.

    `warp` is the warping error of W.-S. Lai et al., "Learning blind video temporal consistency", ECCV 2018, equation
    10: the mean squared difference of a frame and the one before it, brought there by the plate's own flow, where that
    can be trusted; here of result over plate, and its root. `flicker` and `tone_flicker` are those of
    `vfxswap.score.temporal`, in codes of 255; `lag` its shift of light, in frames, by the truth or else the plate;
    `sharpness` is in codes, to be divided by another's. `error` is the distance from the truth, `ghost` the same in
    the ring around an occluder.
    """
    found = {"warp": _warping(result, against)}
    guide = against.plate if against.truth is None else against.truth
    light = [
        [temporal.cells(region.cut(picture), region) for picture, region in zip(pictures, against.regions, strict=True)]
        for pictures in (result, guide)
    ]
    late = temporal.lag_frames(*light)
    if late is not None:
        found["lag"] = late
    sharp = (texture.sharpness(r.cut(p), r.inside) for p, r in zip(result, against.regions, strict=True))
    found["sharpness"] = math.exp(_mean(math.log(value) for value in sharp))
    if against.truth is not None:
        found |= _against_truth(result, against.truth, against)
    return found


def _warping(result: Pictures, against: Reference) -> float:
    errors = [_steps(pictures, against) for pictures in (result, against.plate)]
    return math.sqrt(_mean(errors[0]) / _mean(errors[1]))


def _steps(pictures: Pictures, against: Reference) -> list[float]:
    found = []
    for at, (flow, trusted) in enumerate(against.flows, 1):
        region = against.regions[at]
        now, then = region.cut(pictures[at]), temporal.compensated(region.cut(pictures[at - 1]), flow)
        found.append(mean((now - then) ** 2, trusted))
    return found


def _against_truth(result: Pictures, truth: Pictures, against: Reference) -> dict[str, float]:
    told: dict[str, list[float]] = {"flicker": [], "tone_flicker": [], "error": [], "ghost": []}
    for at, region in enumerate(against.regions):
        ours, theirs = region.cut(result[at]), region.cut(truth[at])
        difference = (ours - theirs) ** 2
        told["error"].append(mean(difference, region.inside))
        if against.rings is not None and bool(against.rings[at].any()):
            told["ghost"].append(mean(difference, against.rings[at]))
        if at:
            both = against.before[at - 1]
            changes = [
                temporal.change(now, region.cut(then[at - 1]), both, size_px=region.size_px)
                for now, then in ((ours, result), (theirs, truth))
            ]
            for name, value in zip(("flicker", "tone_flicker"), temporal.flicker(*changes), strict=True):
                told[name].append(value)
    return {name: _CODES * math.sqrt(_mean(values)) for name, values in told.items() if values}


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)
