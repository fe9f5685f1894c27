"""A face in neighbouring frames, brought to the central frame's place and light by what the plate did meanwhile.

The plate's own optical flow says where things went, and its own change of light what they look like now. How far a
neighbour is believed, pixel by pixel: the flow there and back must return to where it began, the two plates must then
show the same, and the neighbour's matte must show the face. So what hides a face, in the one frame or in the other, has
no say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody uses
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.ops.flow import Codes, FlowQuality, even_luma, flow_confidence, luma_flow, warp_by_flow

WORK_SIDE_PX: Final = 256
"""Largest side at which motion and differences are looked at."""

_OVERALL_CELLS: Final = 32
_COARSE_CELLS: Final = 8  # a side, of light
_MEDIAN_CELLS: Final = 64
_LIGHT_FLOOR: Final = 0.05  # added to both sides of a ratio of light
_LIGHT_RANGE: Final = (0.5, 2.0)
_PLATE_TOLERANCE: Final = 0.06  # difference of two plates, in codes 0..1, at which they show different things
_TINY: Final = 1e-6


class _Pair(NamedTuple):
    """The central plate, and a neighbour; at the work size."""

    luma: tuple[Codes, Codes]
    wanted: Tensor
    plate: Tensor
    swapped: Tensor
    matte: Tensor


@dataclass(frozen=True, slots=True)
class Neighbour:
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


def check_window(swapped: Tensor, plate: Tensor, mattes: Tensor, times: tuple[int, ...]) -> None:
    """Whether the pictures of a window belong together.

    Args:
        swapped: `(T, 3, S, S)`.
        plate: `(T, 3, S, S)`.
        mattes: `(T, 1, S, S)`.
        times: T frame numbers.

    Raises:
        ShapeError: They do not.
    """
    frames, _, *size = swapped.shape
    if swapped.shape != plate.shape or mattes.shape != (frames, 1, *size) or frames != len(times):
        raise ShapeError(
            "window of a steadied face",
            expected="swapped and plate (T, 3, S, S), mattes (T, 1, S, S), T times",
            actual=f"{tuple(swapped.shape)}, {tuple(plate.shape)}, {tuple(mattes.shape)}, {len(times)}",
        )


def neighbours_of(
    swapped: Tensor,
    plate: Tensor,
    mattes: Tensor,
    *,
    center: int,
    times: tuple[int, ...],
    spread_frames: float,
    quality: FlowQuality,
) -> list[Neighbour]:
    """All frames of a window but the central one, brought to it.

    Args:
        swapped: `(T, 3, S, S)` float32.
        plate: `(T, 3, S, S)` float32.
        mattes: `(T, 1, S, S)` float32 0..1; where a neighbour's is 0 its swapped face is not looked at.
        center: Index of the central frame.
        times: T frame numbers.
        spread_frames: Standard deviation of the normal weights over time.
        quality: Of the optical flow.
    """
    faces, plates, shown = (shrunk(stack) for stack in (swapped, plate, mattes))
    lumas = [even_luma(image) for image in plates]
    found = []
    for index in range(len(times)):
        if index == center:
            continue
        distance = times[index] - times[center]
        in_time = math.exp(-0.5 * (distance / spread_frames) ** 2)
        pair = _Pair((lumas[center], lumas[index]), plates[center], plates[index], faces[index], shown[index])
        found.append(_neighbour(pair, in_time, quality))
    return found


def _neighbour(pair: _Pair, in_time: float, quality: FlowQuality) -> Neighbour:
    wanted = pair.wanted
    here, other = pair.luma
    there, back = (luma_flow(*two, quality=quality).to(wanted.device) for two in ((here, other), (other, here)))
    layers = warp_by_flow(torch.cat([pair.plate, pair.swapped, pair.matte]), there)
    seen, face, shown = layers[:3], layers[3:6], layers[6:]
    weight = flow_confidence(there, back) * shown
    # first one gain for all, which an occluder cannot bend; then, of what agrees, one that varies slowly
    weight = weight * _sameness(wanted, seen * _overall_light(wanted, seen, weight))
    light = _local_light(wanted, seen, weight)
    share = overall(weight) / (overall(shown) + _TINY)
    gain = enlarged(light, face.shape[-1])
    return Neighbour(there, face * gain, seen * gain - wanted, light, weight * in_time, share * in_time)


def _overall_light(wanted: Tensor, seen: Tensor, weight: Tensor) -> Tensor:
    """`(3, 1, 1)` median ratio of two plates where the weight is at least a half of its largest."""
    wanted, seen, weight = (cells(image, _MEDIAN_CELLS) for image in (wanted, seen, weight))
    valid = (weight >= 0.5 * weight.max()).flatten()
    ratio = (wanted.clamp_min(0) + _LIGHT_FLOOR) / (seen.clamp_min(0) + _LIGHT_FLOOR)
    median = ratio.flatten(1)[:, valid].median(dim=1).values
    return median.clamp(*_LIGHT_RANGE).reshape(3, 1, 1)


def _local_light(wanted: Tensor, seen: Tensor, weight: Tensor) -> Tensor:
    """`(3, 8, 8)` ratio of two plates; goes to the whole picture's where little is seen."""
    sums = [cells(image.clamp_min(0) * weight, _COARSE_CELLS) for image in (wanted, seen)]
    mass = cells(weight, _COARSE_CELLS)
    means = [part.mean(dim=(1, 2), keepdim=True) for part in (*sums, mass)]
    floor = _LIGHT_FLOOR * (mass + 0.1 * means[2]) + _TINY
    ratio = (sums[0] + 0.1 * means[0] + floor) / (sums[1] + 0.1 * means[1] + floor)
    return ratio.clamp(*_LIGHT_RANGE)


def _sameness(wanted: Tensor, seen: Tensor) -> Tensor:
    """`(1, h, w)` 1 where two plates of one light show the same, 0 where they differ by more than noise."""
    difference = (wanted - seen).abs().amax(dim=0, keepdim=True)
    smooth = F.avg_pool2d(difference.unsqueeze(0), 5, stride=1, padding=2, count_include_pad=False)[0]
    return (-0.5 * (smooth / _PLATE_TOLERANCE) ** 2).exp()


def shrunk(stack: Tensor) -> Tensor:
    """Pictures `(..., S, S)` at `WORK_SIDE_PX` a side, if they are larger."""
    side = WORK_SIDE_PX
    if stack.shape[-1] <= side:
        return stack
    if stack.device.type != "cpu":
        return F.interpolate(stack, size=[side, side], mode="area")
    result = stack.new_empty((*stack.shape[:-2], side, side))  # OpenCV takes a tenth of the time
    for plane, small in zip(stack.flatten(0, -3).numpy(), result.flatten(0, -3).numpy(), strict=True):
        cv2.resize(np.ascontiguousarray(plane), (side, side), dst=small, interpolation=cv2.INTER_AREA)
    return result


def cells(image: Tensor, count: int) -> Tensor:
    """`(C, count, count)`: means of `(C, h, w)` over `count` cells a side."""
    return F.interpolate(image.unsqueeze(0), size=[count, count], mode="area")[0]


def overall(image: Tensor) -> float:
    """The mean, by way of cells: a reduction so small is done by one thread, in one order."""
    return cells(image, _OVERALL_CELLS).mean().item()


def enlarged(field: Tensor, side: int) -> Tensor:
    """A coarse field `(C, n, n)` at `(C, side, side)`, smooth.

    Bicubic, row by row and column by column: a tenth of the work of both at once.
    """
    count = field.shape[-1]
    rows = torch.eye(count, dtype=field.dtype, device=field.device)[None, None]
    weights = F.interpolate(rows, size=[side, count], mode="bicubic", align_corners=False)[0, 0]
    result: Tensor = weights @ field @ weights.T
    return result
