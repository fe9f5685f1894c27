"""The scores of one frame, and of the step from the frame before."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vfxswap.score import fidelity, temporal, texture
from vfxswap.score.region import Region, dilated, mean

_CODES = 255.0
_DIFFERS = 2 / 255
"""Change of a channel above which a pixel counts as replaced, where no matte says it: more than rounding and grain of a
codec do."""
_CLOSED = 0.01
_LEAST_SIDE_PX = 32
"""Least side that optical flow takes."""


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """One frame of all movies, upright and in the face space."""

    result: Tensor
    """`(3, H, W)`."""
    truth: Tensor | None
    plate: Tensor | None
    matte: Tensor
    """`(H, W)` 0..1."""


def replaced(result: Tensor, plate: Tensor) -> Tensor:
    """`(H, W)` 0 or 1: where a result `(3, H, W)` differs from its plate, without holes and single pixels.

    Opened, so that noise of a codec is no face, and closed, so that a face is whole.
    """
    differs = ((result - plate).abs().amax(dim=0) > _DIFFERS).float()
    radius = max(1, round(_CLOSED * min(differs.shape)))
    opened = dilated(_eroded(differs, 1), 1)
    return _eroded(dilated(opened, radius), radius)


def _eroded(mask: Tensor, radius_px: int) -> Tensor:
    return 1 - dilated(1 - mask, radius_px)


def frame_scores(pictures: Pictures, region: Region) -> dict[str, float]:
    """Scores of a frame by name; those of what is not there are left out."""
    result = region.cut(pictures.result)
    found: dict[str, float] = {}
    if pictures.truth is not None:
        truth = region.cut(pictures.truth)
        found |= _likeness(result, truth, {"": region.inside, "ring_": region.ring})
        found["tone_ciede2000"] = fidelity.tone_error(result, truth, region.inside, size_px=region.size_px)
        found |= _surface(result, truth, region, "")
    if pictures.plate is not None:
        plate = region.cut(pictures.plate)
        found |= _surface(result, plate, region, "plate_")
        if bool(region.ring.any()):
            error = fidelity.squared_error(result, plate, region.ring)
            found["plate_ring_psnr_db"] = fidelity.decibels(error)
    return found


def _likeness(result: Tensor, truth: Tensor, weights: dict[str, Tensor]) -> dict[str, float]:
    """Of each weight that has any, under its prefix; maps that serve all of them are made once."""
    structure, color = fidelity.structure_map(result, truth), fidelity.color_map(result, truth)
    found: dict[str, float] = {}
    for prefix, weight in weights.items():
        if bool(weight.any()):
            found[f"{prefix}psnr_db"] = fidelity.decibels(fidelity.squared_error(result, truth, weight))
            found[f"{prefix}ssim"] = mean(structure, weight)
            found[f"{prefix}ms_gmsd"] = fidelity.gradient_deviation(result, truth, weight)
            found[f"{prefix}ciede2000"] = mean(color, weight)
    return found


def _surface(result: Tensor, other: Tensor, region: Region, prefix: str) -> dict[str, float]:
    step = texture.seam_step(result, other, region.across, sigma_px=region.border_px)
    found = {f"{prefix}seam_codes": _CODES * step}
    for name, measure in (("sharpness", texture.sharpness), ("grain", texture.grain)):
        found[f"{prefix}{name}"] = measure(result, region.inside) / measure(other, region.inside)
    return found


def change_scores(now: Pictures, before: Pictures, region: Region) -> dict[str, float]:
    """Scores of the step from the frame before; `region` covers both frames' mattes."""
    weight = torch.minimum(region.inside, region.cut(before.matte[None])[0])
    if float(weight.sum()) < 1:
        return {}
    found: dict[str, float] = {}
    result = (region.cut(now.result), region.cut(before.result))
    if now.truth is not None and before.truth is not None:
        truth = (region.cut(now.truth), region.cut(before.truth))
        found |= _flicker(result, truth, weight, region.size_px, "")
        if min(weight.shape) >= _LEAST_SIDE_PX:
            found["flicker_ratio"] = temporal.unrest_ratio(result, truth, weight)
    if now.plate is not None and before.plate is not None and min(weight.shape) >= _LEAST_SIDE_PX:
        plate = (region.cut(now.plate), region.cut(before.plate))
        flow, trusted = temporal.followed(*plate, weight)
        moved = [(pair[0], temporal.compensated(pair[1], flow)) for pair in (result, plate)]
        found |= _flicker(moved[0], moved[1], trusted, region.size_px, "plate_")
    return found


def _flicker(
    ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor], weight: Tensor, size_px: float, prefix: str
) -> dict[str, float]:
    pair = [temporal.change(now, before, weight, size_px=size_px) for now, before in (ours, theirs)]
    names = (f"{prefix}flicker_codes", f"{prefix}tone_flicker_codes")
    errors = temporal.flicker(pair[0], pair[1])
    return {name: _CODES * math.sqrt(error) for name, error in zip(names, errors, strict=True)}
