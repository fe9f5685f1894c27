"""Takes shimmer out of a swapped face: fine detail that is drawn anew in each frame.

The detail of the neighbouring frames, brought to the central one by the plate's own flow, is averaged with its own. How
much two frames' detail differs where they differ as usual is the shimmer's own strength (the median over the face, as
noise is measured: D. L. Donoho, I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81,
1994). Patches that differ by more than that show different things, or lie beside one another, and are not averaged: a
face that does not shimmer has hardly any such detail, and stays as sharp as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody uses
from torch import Tensor

from vfxswap.ops.flow import FlowQuality, warp_by_flow
from vfxswap.ops.neighbours import Neighbour, cells, check_window, enlarged, neighbours_of

_COARSE_CELLS: Final = 32  # a side: detail is what is finer
_PATCH_PX: Final = 5
_FALL: Final = 1.0  # of patches that differ by more than usual, in parts of the usual power
_SEEN: Final = 0.5  # weight from which a place counts for what is usual
_TINY: Final = 1e-8


@dataclass(frozen=True, slots=True)
class ShimmerSettings:
    """How much of what is taken out."""

    strength: float = 1.0
    """0..1."""
    most: float = 0.03
    """Deviation of shimmer, in codes 0..1, above which it is no shimmer; above 0."""
    spread_frames: float = 2.0
    """Standard deviation of the normal weights over time."""
    quality: FlowQuality = "fast"
    """Of the optical flow."""


def unshimmered(
    swapped: Tensor, plate: Tensor, mattes: Tensor, *, center: int, times: tuple[int, ...], settings: ShimmerSettings
) -> Tensor:
    """The central face with steady detail.

    Args:
        swapped: `(T, 3, S, S)` float32.
        plate: `(T, 3, S, S)` float32.
        mattes: `(T, 1, S, S)` float32 0..1; where a neighbour's is 0 its swapped face is not looked at.
        center: Index of the frame to be steadied.
        times: T frame numbers.
        settings: How much of what is taken out.

    Returns:
        `(3, S, S)`; exactly `swapped[center]` where there is no neighbour.

    Raises:
        ShapeError: The tensors do not belong together.
    """
    check_window(swapped, plate, mattes, times)
    face = swapped[center]
    if len(times) == 1:
        return face
    neighbours = neighbours_of(
        swapped,
        plate,
        mattes,
        center=center,
        times=times,
        spread_frames=settings.spread_frames,
        quality=settings.quality,
    )
    others = [index for index in range(len(times)) if index != center]
    fine = [_difference(face, swapped[index], other) for index, other in zip(others, neighbours, strict=True)]
    power = [_pooled(each.square().mean(dim=0, keepdim=True)) for each in fine]
    weights = [enlarged(other.weight, face.shape[-1]).clamp_min(0) for other in neighbours]
    usual = min(_usual(power, weights), 2 * settings.most**2)
    total, mass = torch.zeros_like(face), torch.ones_like(face[:1])
    for change, differs, weight in zip(fine, power, weights, strict=True):
        agrees = weight * (-((differs / (usual + _TINY) - 1).clamp_min(0)) / _FALL).exp()
        total = total + change * agrees
        mass = mass + agrees
    return face + settings.strength * total / mass


def _difference(face: Tensor, seen: Tensor, other: Neighbour) -> Tensor:
    """`(3, S, S)` what the detail of a neighbour lies away from that of the central face."""
    side = face.shape[-1]
    flow = enlarged(other.flow, side) * (side / other.flow.shape[-1])
    difference = warp_by_flow(seen, flow, mode="bicubic") * enlarged(other.light, side) - face
    return difference - enlarged(cells(difference, _COARSE_CELLS), side)


def _pooled(plane: Tensor) -> Tensor:
    side = _PATCH_PX
    return F.avg_pool2d(plane.unsqueeze(0), side, stride=1, padding=side // 2, count_include_pad=False)[0]


def _usual(power: list[Tensor], weights: list[Tensor]) -> float:
    """The median power of differences, where both frames show the same."""
    found = [
        cells(each, _COARSE_CELLS)[cells(weight, _COARSE_CELLS) > _SEEN]
        for each, weight in zip(power, weights, strict=True)
    ]
    seen = torch.cat(found)
    return float(seen.median()) if len(seen) else 0.0
