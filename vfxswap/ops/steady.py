"""Steadies a swapped face over time, by what its plate did in the same time.

Blind temporal consistency (N. Bonneel et al., "Blind video temporal consistency", SIGGRAPH Asia 2015; W.-S. Lai et al.,
"Learning blind video temporal consistency", ECCV 2018) asks that the processed picture change over time as the original
does. Here that is a finite, centred window, without lag and without state. Each neighbour is brought to the central
frame by the plate's own optical flow, and its light to that of the central frame by the plate's own change of light;
what then still differs is flicker of the swap. It is taken out in two ways that leave the picture sharp:

- *Colour and light*: the robust mean of the differences, on a coarse grid of cells, is added as a smooth field.
- *Jitter*: the mean residual motion of the swapped face against the plate's, its affine part, moves the face: motion
  is averaged, not pixels.

The swap's own detail is averaged only if asked for (`detail`), and only where pixels agree closely.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody uses
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.ops.flow import Codes, FlowQuality, even_luma, flow_confidence, luma_flow, warp_by_flow

Floats = NDArray[np.float64]

WORK_SIDE_PX: Final = 256
"""Largest side at which motion and differences are looked at."""

_CELLS: Final = 32  # a side, of the colour correction
_COARSE_CELLS: Final = 8  # a side, of light
_MOTION_CELLS: Final = 16  # a side, from which jitter is found
_MEDIAN_CELLS: Final = 64
_LIGHT_FLOOR: Final = 0.05  # added to both sides of a ratio of light
_LIGHT_RANGE: Final = (0.5, 2.0)
_PLATE_TOLERANCE: Final = 0.06  # difference of two plates, in codes 0..1, at which they show different things
_REST: Final = 0.02  # most of a plate's own change that is taken from the face's; more is another thing
_FILL: Final = 0.05  # share of the whole face in what a cell's change is taken for
_FILL_WEIGHT: Final = 0.7  # of a cell that is hidden, against one that is seen
_DETAIL_TOLERANCE: Final = 0.03
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
    detail: float = 0.0
    """Of the averaging of detail, 0..1."""
    tolerance: float = 0.1
    """Difference of colour, in codes 0..1, up to which the swap's change counts as flicker."""
    spread_frames: float = 2.0
    """Standard deviation of the normal weights over time."""
    quality: FlowQuality = "fast"
    """Of the optical flow."""


class _Pair(NamedTuple):
    """The central plate, and a neighbour; at the work size."""

    luma: tuple[Codes, Codes]
    wanted: Tensor
    plate: Tensor
    swapped: Tensor
    matte: Tensor


@dataclass(frozen=True, slots=True)
class _Neighbour:
    """A neighbouring frame, brought to the central one; at the work size."""

    flow: Tensor
    """`(2, h, w)` from the central frame."""
    swapped: Tensor
    """`(3, h, w)` in the central frame's place and light."""
    rest: Tensor
    """`(3, h, w)` what the plate, brought there likewise, still lies away from the central plate."""
    light: Tensor
    """`(3, 8, 8)` the gain that did the latter."""
    weight: Tensor
    """`(1, h, w)` how far it shows the same thing, times its weight in time."""
    share: float
    """How much of its matte shows the same thing, times its weight in time."""


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
    _check(swapped, plate, mattes, times)
    others = [index for index in range(len(times)) if index != center]
    if not others:
        return swapped[center]
    faces, plates, shown = (_shrunk(stack) for stack in (swapped, plate, mattes))
    lumas = [even_luma(image) for image in plates]
    neighbours = []
    for index in others:
        distance = times[index] - times[center]
        in_time = math.exp(-0.5 * (distance / settings.spread_frames) ** 2)
        pair = _Pair((lumas[center], lumas[index]), plates[center], plates[index], faces[index], shown[index])
        neighbours.append(_neighbour(pair, in_time, settings.quality))
    result = swapped[center]
    if settings.jitter > 0:
        result = _unjittered(result, faces[center], neighbours, settings)
    if settings.detail > 0:
        result = result + settings.detail * _detail(swapped, center, others, neighbours)
    # of the face as it is now: what the motion mended must not be mended again
    change = _color_change(_shrunk(result.unsqueeze(0))[0], neighbours, settings.tolerance)
    return result + settings.strength * _enlarged(change, result.shape[-1])


def _check(swapped: Tensor, plate: Tensor, mattes: Tensor, times: tuple[int, ...]) -> None:
    frames, _, *size = swapped.shape
    if swapped.shape != plate.shape or mattes.shape != (frames, 1, *size) or frames != len(times):
        raise ShapeError(
            "window of a steadied face",
            expected="swapped and plate (T, 3, S, S), mattes (T, 1, S, S), T times",
            actual=f"{tuple(swapped.shape)}, {tuple(plate.shape)}, {tuple(mattes.shape)}, {len(times)}",
        )


def _neighbour(pair: _Pair, in_time: float, quality: FlowQuality) -> _Neighbour:
    wanted = pair.wanted
    here, other = pair.luma
    there, back = (luma_flow(*two, quality=quality).to(wanted.device) for two in ((here, other), (other, here)))
    layers = warp_by_flow(torch.cat([pair.plate, pair.swapped, pair.matte]), there)
    seen, face, shown = layers[:3], layers[3:6], layers[6:]
    weight = flow_confidence(there, back) * shown
    # first one gain for all, which an occluder cannot bend; then, of what agrees, one that varies slowly
    weight = weight * _sameness(wanted, seen * _overall_light(wanted, seen, weight))
    light = _local_light(wanted, seen, weight)
    share = _overall(weight) / (_overall(shown) + _TINY)
    gain = _enlarged(light, face.shape[-1])
    return _Neighbour(there, face * gain, seen * gain - wanted, light, weight * in_time, share * in_time)


def _overall_light(wanted: Tensor, seen: Tensor, weight: Tensor) -> Tensor:
    """`(3, 1, 1)` median ratio of two plates where the weight is at least a half of its largest."""
    wanted, seen, weight = (_cells(image, _MEDIAN_CELLS) for image in (wanted, seen, weight))
    valid = (weight >= 0.5 * weight.max()).flatten()
    ratio = (wanted.clamp_min(0) + _LIGHT_FLOOR) / (seen.clamp_min(0) + _LIGHT_FLOOR)
    median = ratio.flatten(1)[:, valid].median(dim=1).values
    return median.clamp(*_LIGHT_RANGE).reshape(3, 1, 1)


def _local_light(wanted: Tensor, seen: Tensor, weight: Tensor) -> Tensor:
    """`(3, 8, 8)` ratio of two plates; goes to the whole picture's where little is seen."""
    sums = [_cells(image.clamp_min(0) * weight, _COARSE_CELLS) for image in (wanted, seen)]
    mass = _cells(weight, _COARSE_CELLS)
    means = [part.mean(dim=(1, 2), keepdim=True) for part in (*sums, mass)]
    floor = _LIGHT_FLOOR * (mass + 0.1 * means[2]) + _TINY
    ratio = (sums[0] + 0.1 * means[0] + floor) / (sums[1] + 0.1 * means[1] + floor)
    return ratio.clamp(*_LIGHT_RANGE)


def _sameness(wanted: Tensor, seen: Tensor) -> Tensor:
    """`(1, h, w)` 1 where two plates of one light show the same, 0 where they differ by more than noise."""
    difference = (wanted - seen).abs().amax(dim=0, keepdim=True)
    smooth = F.avg_pool2d(difference.unsqueeze(0), 5, stride=1, padding=2, count_include_pad=False)[0]
    return (-0.5 * (smooth / _PLATE_TOLERANCE) ** 2).exp()


def _color_change(face: Tensor, neighbours: list[_Neighbour], tolerance: float) -> Tensor:
    """`(3, 32, 32)` what the cells' robust mean over time lies away from the central frame.

    Differences are taken pixel by pixel before they are averaged, so that a cell which is half hidden compares the half
    that both show; a cell that is hidden takes the change of the rest, since colour maps act on a whole face. Two
    rounds of re-weighting (P. Holland, R. Welsch, 1977, Welsch's function) leave out what differs by much more than the
    tolerance from the mean of the rest, be it a neighbour or the central frame.
    """
    changes, weights = [face.new_zeros(3, _CELLS, _CELLS)], [face.new_ones(1, _CELLS, _CELLS)]
    for other in neighbours:
        mass = _cells(other.weight, _CELLS)
        # what the plate does too is no flicker: light that a gain does not explain, and what its flow misses
        rest = other.rest.clamp(-_REST, _REST)
        change = _cells((other.swapped - face - rest) * other.weight, _CELLS)
        whole = [part.mean(dim=(1, 2), keepdim=True) for part in (change, mass)]
        changes.append((change + _FILL * whole[0]) / (mass + _FILL * whole[1] + _TINY))
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


def _unjittered(full: Tensor, face: Tensor, neighbours: list[_Neighbour], settings: SteadySettings) -> Tensor:
    """The central face, moved by the mean of its residual motion against the neighbours.

    Trembling of landmarks moves a crop as a whole, so that of each residual flow only the affine part is taken.
    """
    luma, texture = even_luma(face), _texture(face)
    total, mass = np.zeros((2, 3)), 1.0
    for other in neighbours:
        motion = luma_flow(luma, even_luma(other.swapped), quality=settings.quality).to(face.device)
        weight = _cells(other.weight * texture, _MOTION_CELLS)
        mean = _cells(motion * other.weight * texture, _MOTION_CELLS) / (weight + _TINY)
        share = _overall(other.weight)
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
    x, y = (part.double().cpu().numpy() for part in _centres(_MOTION_CELLS, torch.device("cpu")))
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
    values: Floats = tensor.double().cpu().numpy()
    return values


def _texture(face: Tensor) -> Tensor:
    """`(1, h, w)` 0..1 where motion can be seen; saturates, so that one hard edge does not outweigh a face."""
    luma = face.mean(dim=0, keepdim=True)
    energy = torch.zeros_like(luma)
    energy[:, :, 1:] += luma.diff(dim=2) ** 2
    energy[:, 1:, :] += luma.diff(dim=1) ** 2
    return energy / (energy + _TEXTURE_SLOPE**2) + 1e-3


def _detail(swapped: Tensor, center: int, others: list[int], neighbours: list[_Neighbour]) -> Tensor:
    """`(3, S, S)` what the mean of closely agreeing detail lies away from the central frame's."""
    side = swapped.shape[-1]
    face, total, mass = swapped[center], torch.zeros_like(swapped[center]), torch.ones_like(swapped[center, :1])
    for index, other in zip(others, neighbours, strict=True):
        flow = _enlarged(other.flow, side) * (side / other.flow.shape[-1])
        seen = warp_by_flow(swapped[index], flow, mode="bicubic") * _enlarged(other.light, side)
        difference = seen - face
        fine = difference - _enlarged(_cells(difference, 2 * _CELLS), side)
        agree = (-0.5 * (fine / _DETAIL_TOLERANCE) ** 2).sum(dim=0, keepdim=True).exp()
        weight = _enlarged(other.weight, side).clamp_min(0) * agree
        total = total + fine * weight
        mass = mass + weight
    return total / mass


def _shrunk(stack: Tensor) -> Tensor:
    """At most `WORK_SIDE_PX` a side."""
    side = WORK_SIDE_PX
    if stack.shape[-1] <= side:
        return stack
    if stack.device.type != "cpu":
        return F.interpolate(stack, size=[side, side], mode="area")
    result = stack.new_empty((*stack.shape[:-2], side, side))  # OpenCV takes a tenth of the time
    for plane, small in zip(stack.flatten(0, -3).numpy(), result.flatten(0, -3).numpy(), strict=True):
        cv2.resize(np.ascontiguousarray(plane), (side, side), dst=small, interpolation=cv2.INTER_AREA)
    return result


def _cells(image: Tensor, count: int) -> Tensor:
    """Means over `count` cells a side."""
    return F.interpolate(image.unsqueeze(0), size=[count, count], mode="area")[0]


def _overall(image: Tensor) -> float:
    """The mean, by way of cells: a reduction so small is done by one thread, in one order."""
    return _cells(image, _CELLS).mean().item()


def _enlarged(field: Tensor, side: int) -> Tensor:
    """A coarse field at full size, smooth: bicubic, row by row and column by column, a tenth of the work of both."""
    count = field.shape[-1]
    rows = torch.eye(count, dtype=field.dtype, device=field.device)[None, None]
    weights = F.interpolate(rows, size=[side, count], mode="bicubic", align_corners=False)[0, 0]
    result: Tensor = weights @ field @ weights.T
    return result
