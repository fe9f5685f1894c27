"""Steadies a swapped face over time, by what its plate did in the same time.

Blind temporal consistency (N. Bonneel et al., "Blind video temporal consistency", SIGGRAPH Asia 2015; W.-S. Lai et al.,
"Learning blind video temporal consistency", ECCV 2018) asks that the processed picture P change over time as the
original does. Bonneel's output O minimises, frame after frame, the integral of |grad O - grad P|^2 + w |O - O'|^2: its
gradients are those of the processed frame, its values those of the output before, brought there by the original's
optical flow, as far as w says that the two originals show the same. O' is an output itself, so that each frame depends
on all before it, and comes late. Here the window is finite, centred and without state: O' is each of the neighbours *as
it was processed*, brought to the central frame (`vfxswap.ops.neighbours`). The correction D = O - P is then, for each
neighbour, the solution of a screened Poisson equation (`vfxswap.ops.screened`) for the difference D' = O' - P: where
the neighbour shows nothing, D goes on from around, which keeps occluders from leaving ghosts. Over the window D is the
robust mean of these, in which the central frame has its part with a D of 0. D is smooth, and so the picture stays
sharp.

Before that, *jitter* is taken out: the mean residual motion of the swapped face against the plate's, its affine part,
moves the face: motion is averaged, not pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.ops.flow import FlowQuality, even_luma, luma_flow, warp_by_flow
from vfxswap.ops.neighbours import Neighbour, cells, check_window, enlarged, neighbours_of, overall, shrunk
from vfxswap.ops.screened import screened

Floats = NDArray[np.float64]

_CELLS: Final = 64  # a side, of the colour correction
_REACH: Final = 0.015  # of the crop: over about this, differences of one neighbour are averaged
_FILL_WEIGHT: Final = 0.7  # of a cell that is hidden, against one that is seen
_MOTION_CELLS: Final = 16  # a side, from which jitter is found
_REST: Final = 0.02  # most of a plate's own change that is taken from the face's; more is another thing
_JITTER_REACH_PX: Final = 1.0  # at the work size; cells that move otherwise by more are left out
_TEXTURE_SLOPE: Final = 0.02  # luma from pixel to pixel
_JITTER_LEAST_PX: Final = 0.02  # at full size; less is not worth a resampling
_TINY: Final = 1e-6


@dataclass(frozen=True, slots=True)
class SteadySettings:
    """How much of what is taken out."""

    strength: float = 1.0
    """Of the colour and light correction, 0..1."""
    jitter: float = 1.0
    """Of the motion correction, 0..1."""
    tolerance: float = 0.1
    """Difference of colour, in codes 0..1, up to which the swap's change counts as flicker."""
    spread_frames: float = 2.0
    """Standard deviation of the normal weights over time."""
    quality: FlowQuality = "fast"
    """Of the optical flow."""


def steadied(
    swapped: Tensor, plate: Tensor, mattes: Tensor, *, center: int, times: tuple[int, ...], settings: SteadySettings
) -> Tensor:
    """The central face without its flicker.

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
    if len(times) == 1:
        return swapped[center]
    neighbours = neighbours_of(
        swapped,
        plate,
        mattes,
        center=center,
        times=times,
        spread_frames=settings.spread_frames,
        quality=settings.quality,
    )
    result = swapped[center]
    if settings.jitter > 0:
        result = _unjittered(result, neighbours, settings)
    # of the face as it is now: what the motion mended must not be mended again
    change = _color_change(shrunk(result.unsqueeze(0))[0], neighbours, settings.tolerance)
    return result + settings.strength * enlarged(change, result.shape[-1])


def _color_change(face: Tensor, neighbours: list[Neighbour], tolerance: float) -> Tensor:
    """`(3, 64, 64)` what the cells' robust mean over time lies away from the central frame.

    Differences are taken pixel by pixel before they are averaged, so that a cell which is half hidden compares the half
    that both show; what a neighbour hides goes on from around, since flicker is wider than a cell. Two rounds of
    re-weighting (P. Holland, R. Welsch, 1977, Welsch's function) leave out what differs by much more than the tolerance
    from the mean of the rest, be it a neighbour or the central frame.
    """
    changes, weights = [face.new_zeros(3, _CELLS, _CELLS)], [face.new_ones(1, _CELLS, _CELLS)]
    for other in neighbours:
        mass = cells(other.weight, _CELLS)
        # what the plate does too is no flicker: light that a gain does not explain, and what its flow misses
        rest = other.rest.clamp(-_REST, _REST)
        change = cells((other.swapped - face - rest) * other.weight, _CELLS) / (mass + _TINY)
        changes.append(screened(change, mass, reach_px=_REACH * _CELLS))
        weights.append(mass.clamp_min(_FILL_WEIGHT * other.share))
    mean = _weighted(changes, weights)
    for _ in range(2):
        kept = [
            mass * (-0.5 * ((change - mean) / tolerance) ** 2).sum(dim=0, keepdim=True).exp()
            for change, mass in zip(changes, weights, strict=True)
        ]
        mean = _weighted(changes, kept)
    return mean


def _weighted(values: list[Tensor], weights: list[Tensor]) -> Tensor:
    """Weighted mean over a list, summed in its order."""
    total = torch.zeros_like(values[0])
    mass = torch.full_like(weights[0], _TINY)
    for value, weight in zip(values, weights, strict=True):
        total = total + value * weight
        mass = mass + weight
    return total / mass


def _unjittered(full: Tensor, neighbours: list[Neighbour], settings: SteadySettings) -> Tensor:
    """The central face, moved by the mean of its residual motion against the neighbours.

    Trembling of landmarks moves a crop as a whole, so that of each residual flow only the affine part is taken.
    """
    face = shrunk(full.unsqueeze(0))[0]
    luma, texture = even_luma(face), _texture(face)
    total, mass = np.zeros((2, 3)), 1.0
    for other in neighbours:
        motion = luma_flow(luma, even_luma(other.swapped), quality=settings.quality).to(face.device)
        weight = cells(other.weight * texture, _MOTION_CELLS)
        mean = cells(motion * other.weight * texture, _MOTION_CELLS) / (weight + _TINY)
        share = overall(other.weight)
        total += share * _affine_part(_floats(mean), _floats(weight)[0])
        mass += share
    x, y = _centres(full.shape[-1], full.device)
    scale = -settings.jitter * full.shape[-1] / face.shape[-1]
    flow = torch.stack([scale * (a * x + b * y + c) for a, b, c in (total / mass).tolist()])
    if flow.abs().max() < _JITTER_LEAST_PX:
        return full
    return warp_by_flow(full, flow, mode="bicubic")


def _affine_part(motion: Floats, weight: Floats) -> Floats:
    """`(2, 3)` of `(2, n, n)` motion: the weighted least-squares affine, re-weighted against what moves otherwise.

    Coordinates run from -1 to 1.
    """
    x, y = (part.cpu().double().numpy() for part in _centres(_MOTION_CELLS, torch.device("cpu")))
    basis = np.stack([(x + 0 * y).ravel(), (0 * x + y).ravel(), np.ones(x.size * y.size)])
    field, kept = motion.reshape(2, -1), weight.ravel()
    found = np.zeros((2, 3))
    if np.sum(kept) < _TINY:
        return found
    for _ in range(4):
        miss = np.sum((field - found @ basis) ** 2, axis=0)
        share = kept * np.exp(-0.5 * miss / _JITTER_REACH_PX**2)
        normal = np.array([[np.sum(a * b * share) for a in basis] for b in basis])
        right = np.array([[np.sum(a * b * share) for a in basis] for b in field])
        found = np.linalg.solve(normal + 1e-3 * np.sum(kept) * np.eye(3), right.T).T
    return found


def _centres(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """`(count,)` and `(count, 1)` places of pixel centres, from -1 to 1."""
    place = (torch.arange(count, device=device, dtype=torch.float32) + 0.5) * (2 / count) - 1
    return place, place.unsqueeze(1)


def _floats(tensor: Tensor) -> Floats:
    values: Floats = tensor.cpu().double().numpy()
    return values


def _texture(face: Tensor) -> Tensor:
    """`(1, h, w)` 0..1 where motion can be seen; saturates, so that one hard edge does not outweigh a face."""
    luma = face.mean(dim=0, keepdim=True)
    energy = torch.zeros_like(luma)
    energy[:, :, 1:] += luma.diff(dim=2) ** 2
    energy[:, 1:, :] += luma.diff(dim=1) ** 2
    return energy / (energy + _TEXTURE_SLOPE**2) + 1e-3
