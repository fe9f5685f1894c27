"""OpenColorIO's operations in torch: the steps that `vfxswap.ocio` lists, on any device.

Powers are `exp(p log x)` and curves are looked up by comparison, so that a pixel's result does not depend on the batch,
the place in it or the number of threads (see `vfxswap.ops.transfer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.ocio import Transform
from vfxswap.ocio.steps import (
    CurveStep,
    ExpStep,
    KneeStep,
    LogStep,
    MatrixStep,
    PowerStep,
    RangeStep,
    Step,
    SurroundStep,
    Triple,
)

_TINY: Final = float(torch.finfo(torch.float32).tiny)
_PART_PX: Final = 1 << 15
"""Pixels worked on at once on a CPU: what lies between two steps stays in a core's own cache."""
_BT2020_LUMA: Final = (0.2627, 0.6780, 0.0593)


def computed(steps: Sequence[Step], rgb: Tensor) -> Tensor:
    """Brings colours from one space to another.

    Args:
        steps: What to do, in order.
        rgb: `(..., 3, H, W)` float32.

    Returns:
        The same shape; `rgb` itself where there are no steps.

    Raises:
        ShapeError: There are not three channels.
    """
    if rgb.ndim < 3 or rgb.shape[-3] != 3:
        raise ShapeError("picture", expected="(..., 3, H, W)", actual=str(tuple(rgb.shape)))
    height, width = rgb.shape[-2:]
    rows = max(_PART_PX // max(width, 1), 1)
    if not steps or rgb.device.type != "cpu" or rows >= height:
        return _in_order(steps, rgb)
    result = torch.empty_like(rgb)
    for start in range(0, height, rows):
        part = slice(start, start + rows)
        result[..., part, :] = _in_order(steps, rgb[..., part, :])
    return result


def _in_order(steps: Sequence[Step], rgb: Tensor) -> Tensor:
    for step in steps:
        rgb = _computed(step, rgb)
    return rgb


def _computed(step: Step, rgb: Tensor) -> Tensor:  # noqa: PLR0911 - one for each kind
    match step:
        case MatrixStep():
            return _matrix(step, rgb)
        case PowerStep():
            return _power(step, rgb)
        case KneeStep():
            return _knee(step, rgb)
        case LogStep():
            return _log(step, rgb)
        case ExpStep():
            return _exp(step, rgb)
        case CurveStep():
            return _curve(step, rgb)
        case RangeStep():
            return (rgb * step.scale + step.offset).clamp(step.low, step.high)
        case SurroundStep():
            r, g, b = rgb.unbind(-3)
            luma = r * _BT2020_LUMA[0] + g * _BT2020_LUMA[1] + b * _BT2020_LUMA[2]
            return rgb * (luma.abs().clamp_min(step.floor).log() * step.exponent).exp().unsqueeze(-3)


def _per_channel(values: Triple, like: Tensor) -> Tensor | float:
    """A number where all channels share it, which is much quicker."""
    if values[0] == values[1] == values[2]:
        return values[0]
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(3, 1, 1)


def _matrix(step: MatrixStep, rgb: Tensor) -> Tensor:
    r, g, b = rgb.unbind(-3)
    result = torch.empty(rgb.shape, dtype=rgb.dtype, device=rgb.device)
    part = torch.empty(r.shape, dtype=rgb.dtype, device=rgb.device)
    for channel, (row, offset) in enumerate(zip(step.rows, step.offset, strict=True)):
        mixed = result.select(-3, channel)
        torch.mul(r, row[0], out=mixed)
        mixed += torch.mul(g, row[1], out=part)
        mixed += torch.mul(b, row[2], out=part)
        if offset:
            mixed += offset
    return result


def _raised(base: Tensor, exponent: Tensor | float) -> Tensor:
    """Of what is not below 0, in place: fresh memory costs as much as the arithmetic."""
    return base.log_().mul_(exponent).exp_()


def _power(step: PowerStep, rgb: Tensor) -> Tensor:
    exponent = _per_channel(step.exponent, rgb)
    if step.negatives == "mirror":
        return _raised(rgb.abs(), exponent).copysign_(rgb)
    positive = _raised(rgb.clamp_min(0), exponent)
    return torch.where(rgb < 0, rgb, positive) if step.negatives == "pass" else positive


def _knee(step: KneeStep, rgb: Tensor) -> Tensor:
    is_mirrored = step.negatives == "mirror"
    x = rgb.abs() if is_mirrored else rgb
    if step.scale == (1.0, 1.0, 1.0):
        curve = x.clamp_min(0)
    else:
        curve = (x * _per_channel(step.scale, rgb)).add_(_per_channel(step.offset, rgb)).clamp_min_(0)
    curve = _raised(curve, _per_channel(step.exponent, rgb))
    if step.gain != (1.0, 1.0, 1.0):
        curve.mul_(_per_channel(step.gain, rgb)).sub_(_per_channel(step.lift, rgb))
    result = torch.where(x <= _per_channel(step.knee, rgb), x * _per_channel(step.slope, rgb), curve)
    return result.copysign_(rgb) if is_mirrored else result


def _log(step: LogStep, light: Tensor) -> Tensor:
    code = (light * _per_channel(step.lin_slope, light)).add_(_per_channel(step.lin_offset, light))
    code.clamp_min_(_TINY).log_().mul_(_per_channel(step.log_slope, light)).add_(_per_channel(step.log_offset, light))
    if step.knee is None:
        return code
    line = (light * _per_channel(step.slope, light)).add_(_per_channel(step.shift, light))
    return torch.where(light < _per_channel(step.knee, light), line, code)


def _exp(step: ExpStep, code: Tensor) -> Tensor:
    light = (code - _per_channel(step.log_offset, code)).div_(_per_channel(step.log_slope, code)).exp_()
    light.sub_(_per_channel(step.lin_offset, code)).div_(_per_channel(step.lin_slope, code))
    if step.knee is None:
        return light
    line = (code - _per_channel(step.shift, code)).div_(_per_channel(step.slope, code))
    return torch.where(code < _per_channel(step.knee, code), line, light)


def _curve(step: CurveStep, rgb: Tensor) -> Tensor:
    result = torch.empty_like(rgb)
    for channel, (x, y) in enumerate(zip(step.x, step.y, strict=True)):
        plane = rgb.select(-3, channel)
        result.select(-3, channel).copy_(_looked_up(plane, _on(x, rgb), _on(y, rgb)))
    return result


def _on(points: np.ndarray[tuple[int, ...], np.dtype[np.float32]], like: Tensor) -> Tensor:
    return torch.from_numpy(points).to(like.device)


def _looked_up(plane: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Lines between points; where the curve stands upright, its lower end."""
    inside = plane.clamp(x[0], x[-1]).contiguous()
    right = torch.searchsorted(x, inside).clamp(1, max(len(x) - 1, 1))
    left = right - 1
    if len(x) == 1:
        return y.expand(1)[0].expand_as(plane)
    start, width = x[left], x[right] - x[left]
    part = torch.where(width > 0, (inside - start) / width, torch.zeros_like(inside))
    return y[left] + part * (y[right] - y[left])


def transformed(transform: Transform, rgb: Tensor) -> Tensor:
    """Brings colours from one space to another, by the device's own arithmetic or, where it has none, by OpenColorIO.

    Args:
        transform: From `vfxswap.ocio`.
        rgb: `(..., 3, H, W)` float32.

    Returns:
        The same shape, on the same device.

    Raises:
        ShapeError: There are not three channels.
    """
    if transform.steps is not None:
        return computed(transform.steps, rgb)
    if rgb.ndim < 3 or rgb.shape[-3] != 3:
        raise ShapeError("picture", expected="(..., 3, H, W)", actual=str(tuple(rgb.shape)))
    pixels = rgb.movedim(-3, -1)
    made = transform.converter(pixels.reshape(-1, pixels.shape[-2], 3).cpu().numpy(), threads=1)
    return torch.from_numpy(made).to(rgb.device).view(pixels.shape).movedim(-1, -3).contiguous()
