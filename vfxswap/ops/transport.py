"""Colour maps that are not linear: histograms and optimal transport, kept smooth.

The piece they are made of is a `Curve`: how far one coordinate has to move so that its distribution becomes another's.
It is found from quantiles and smoothed by local linear regression, and its slope is bounded, so that no gradient of the
picture turns into bands and no flat crop is torn apart. Moves are curves along directions, one after another; for use
on pictures they are baked into a 3-D table of displacements.

As in `match`, fitting is float64 NumPy of fixed order, applying is torch, and nothing is clipped: past the colours
seen, a colour moves as the nearest one seen does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody uses
from torch import Tensor

from vfxswap.ops.match import Floats, Population, quantiles

_LEVELS: Final[Floats] = (np.arange(128) + 0.5) / 128
_KNOTS: Final = 64
_TABLE: Final = 33
_MARGIN: Final = 0.1  # of the range of colours, added on both sides
_LEAST_RANGE: Final = 4 / 255  # narrower distributions are treated as of this width
_AXES: Final[Floats] = np.eye(3)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """How far values of one coordinate move; constant past its ends."""

    low: float
    """Value of the first knot."""
    high: float
    """Value of the last knot."""
    shift: Floats
    """`(k,)` displacements at evenly spaced knots."""

    def at(self, values: Floats) -> Floats:
        """Displacements of `(n,)` values."""
        moved: Floats = np.interp(values, np.linspace(self.low, self.high, len(self.shift)), self.shift)
        return moved


@dataclass(frozen=True, slots=True, eq=False)
class CurveMap:
    """One curve a channel."""

    curves: tuple[Curve, Curve, Curve]
    """For R', G' and B'."""

    def __call__(self, image: Tensor) -> Tensor:
        """Maps `(..., 3, H, W)`; the input stays as it is."""
        channels = zip(image.unbind(-3), self.curves, strict=True)
        return torch.stack([channel + _looked_up(channel, curve) for channel, curve in channels], dim=-3)


@dataclass(frozen=True, slots=True, eq=False)
class TableMap:
    """A 3-D table of displacements, interpolated trilinearly."""

    low: Floats
    """`(3,)` colour of the first node."""
    high: Floats
    """`(3,)` colour of the last node."""
    shift: Tensor
    """`(1, 3, n, n, n)` float32 displacements, indexed by blue, green, red."""

    def __call__(self, image: Tensor) -> Tensor:
        """Maps `(..., 3, H, W)`; the input stays as it is."""
        low, high = (
            torch.tensor(end, dtype=image.dtype, device=image.device).reshape(3, 1, 1) for end in (self.low, self.high)
        )
        place = ((image - low) * (2 / (high - low)) - 1).movedim(-3, -1)
        grid = place.reshape(1, -1, *place.shape[-3:-1], 3).clamp(-1, 1)
        table = self.shift.to(image)
        moved = F.grid_sample(table, grid, mode="bilinear", padding_mode="border", align_corners=True)
        return image + moved[0].movedim(0, 1).reshape(image.shape)


@dataclass(frozen=True, slots=True, eq=False)
class _Move:
    """Curves along directions, all at once: `x + share * sum of curve(x . axis) axis`."""

    axes: Floats
    curves: tuple[Curve, ...]
    share: float

    def __call__(self, colors: Floats) -> Floats:
        """Moves `(3, n)`."""
        moved = colors.copy()
        for axis, curve in zip(self.axes, self.curves, strict=True):
            along = colors[0] * axis[0] + colors[1] * axis[1] + colors[2] * axis[2]
            moved += (self.share * axis)[:, None] * curve.at(along)
        return moved


def hist(source: Population, target: Population, *, smoothness: float, max_gain: float) -> CurveMap:
    """Gives each channel the target's histogram.

    Args:
        source: Colours there are.
        target: Colours wanted.
        smoothness: Width of the smoothing, as a part of the range of the colours.
        max_gain: No curve is steeper, nor flatter than its inverse.
    """
    red, green, blue = (_curve(source, target, axis, smoothness, max_gain) for axis in _AXES)
    return CurveMap((red, green, blue))


def idt(
    source: Population, target: Population, *, rotations: int, seed: int, smoothness: float, max_gain: float
) -> TableMap:
    """Iterative distribution transfer: histograms along the axes of one rotated frame after another.

    F. Pitie, A. Kokaram, R. Dahyot, "Automated colour grading using colour distribution transfer", CVIU 107, 2007,
    algorithm 1; its re-graining is replaced by curves that are smooth to begin with.

    Args:
        source: Colours there are.
        target: Colours wanted.
        rotations: Number of frames; the first is R'G'B' itself.
        seed: Of the rotations.
        smoothness: Width of each curve's smoothing, as a part of the range of the colours.
        max_gain: No direction is stretched by more.
    """
    rng = np.random.default_rng(seed)
    frames = [_AXES, *(_rotation(rng) for _ in range(rotations - 1))]
    moves, people = [], source
    for axes in frames:
        curves = tuple(_curve(people, target, axis, smoothness, max_gain) for axis in axes)
        moves.append(_Move(axes, curves, 1.0))
        people = Population(moves[-1](people.colors), people.weights)
    return _baked(source, moves, max_gain)


def sot(
    source: Population,
    target: Population,
    *,
    steps: int,
    directions: int,
    seed: int,
    smoothness: float,
    max_gain: float,
) -> TableMap:
    """Sliced optimal transport: colours flow down the gradient of the sliced Wasserstein distance.

    N. Bonneel, J. Rabin, G. Peyre, H. Pfister, "Sliced and Radon Wasserstein barycenters of measures", JMIV 51, 2015:
    in each step the colours move by the mean, over random directions, of the one-dimensional transports; three times
    that mean is the whole way where the two differ by a shift.

    Args:
        source: Colours there are.
        target: Colours wanted.
        steps: Number of steps.
        directions: Random directions of each step, at least 3.
        seed: Of the directions.
        smoothness: Width of each curve's smoothing, as a part of the range of the colours.
        max_gain: No direction is stretched by more.
    """
    rng = np.random.default_rng(seed)
    moves, people = [], source
    for _ in range(steps):
        axes = np.concatenate([_rotation(rng) for _ in range(-(-directions // 3))])[:directions]
        curves = tuple(_curve(people, target, axis, smoothness, max_gain) for axis in axes)
        moves.append(_Move(axes, curves, 3 / directions))
        people = Population(moves[-1](people.colors), people.weights)
    return _baked(source, moves, max_gain)


def _curve(source: Population, target: Population, axis: Floats, smoothness: float, max_gain: float) -> Curve:
    """The bounded, smoothed 1-D transport along an axis."""
    found = quantiles(source.along(axis), source.weights, _LEVELS)
    wanted = quantiles(target.along(axis), target.weights, _LEVELS)
    middle, half = (found[0] + found[-1]) / 2, max(found[-1] - found[0], _LEAST_RANGE) / 2
    knots = middle + half * np.linspace(-1 - 2 * _MARGIN, 1 + 2 * _MARGIN, _KNOTS)
    shift = _local_linear(knots, found, wanted - found, width=2 * half * smoothness)
    # past the colours seen the displacement's slope fades out, so that the curve has no kink there
    outside = np.abs((knots[1:] + knots[:-1]) / 2 - middle) / half - 1
    fade = 0.5 + 0.5 * np.cos(np.pi * np.clip(outside / (2 * _MARGIN), 0, 1))
    return Curve(float(knots[0]), float(knots[-1]), _slope_bounded(knots, shift, found, fade, max_gain))


def _local_linear(at: Floats, x: Floats, y: Floats, *, width: float) -> Floats:
    """Local linear regression with a normal kernel (W. Cleveland, S. Devlin, JASA 83, 1988).

    Unlike a plain kernel average it follows a slope up to the ends. A ridge of a tenth of the kernel's width lets it
    pass into that average where the x are all equal. Where no x is near, the kernel reaches to the nearest.
    """
    apart = x[None, :] - at[:, None]
    reach = np.maximum(width, np.abs(apart).min(axis=1, keepdims=True))
    weight = np.exp(-0.5 * (apart / reach) ** 2)
    s0, s1, s2 = (np.sum(weight * apart**power, axis=1) for power in range(3))
    t0, t1 = np.sum(weight * y, axis=1), np.sum(weight * apart * y, axis=1)
    slope = (s0 * t1 - s1 * t0) / (s0 * s2 - s1**2 + (0.1 * reach[:, 0] * s0) ** 2)
    result: Floats = (t0 - slope * s1) / s0
    return result


def _slope_bounded(knots: Floats, shift: Floats, found: Floats, fade: Floats, max_gain: float) -> Floats:
    """The same curve whose `knots + shift` rises by `1 / max_gain` to `max_gain`; its mean is kept."""
    step = knots[1] - knots[0]
    slopes = np.clip(np.diff(shift) / step, 1 / max_gain - 1, max_gain - 1) * fade
    bounded = np.concatenate([[0.0], np.cumsum(slopes * step)])
    lost = np.mean(np.interp(found, knots, shift) - np.interp(found, knots, bounded))
    result: Floats = bounded + lost
    return result


def _rotation(rng: np.random.Generator) -> Floats:
    """A random orthonormal frame, uniform (F. Mezzadri, Notices of the AMS 54, 2007)."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    result: Floats = q * np.sign(np.diag(r))
    return result


def _baked(source: Population, moves: list[_Move], max_gain: float) -> TableMap:
    """The moves as a table over the colours seen and a margin."""
    levels = np.array([0.001, 0.999])
    ends = np.array([quantiles(channel, source.weights, levels) for channel in source.colors])
    margin = np.maximum(ends[:, 1] - ends[:, 0], _LEAST_RANGE) * 2 * _MARGIN
    low, high = ends[:, 0] - margin, ends[:, 1] + margin
    axes = [np.linspace(a, b, _TABLE) for a, b in zip(low, high, strict=True)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1)
    colors = nodes
    for move in moves:
        colors = move(colors)
    steps = (high - low) / (_TABLE - 1)
    shift = _blurred((colors - nodes).reshape(3, _TABLE, _TABLE, _TABLE))  # else the slope jumps from node to node
    shift = _gain_bounded(shift, steps, max_gain)
    table = torch.from_numpy(np.ascontiguousarray(shift.transpose(0, 3, 2, 1)))
    return TableMap(low, high, table.float().unsqueeze(0))


def _gain_bounded(shift: Floats, steps: Floats, max_gain: float) -> Floats:
    """Displacements of slopes up to `max_gain - 1` along each channel: smoothed first, then shrunk."""
    for _ in range(8):
        if _steepest(shift, steps) <= max_gain - 1:
            return shift
        shift = _blurred(shift)
    steepest = _steepest(shift, steps)
    if steepest <= max_gain - 1:
        return shift
    middle = shift.mean(axis=(1, 2, 3), keepdims=True)
    result: Floats = middle + (shift - middle) * ((max_gain - 1) / steepest)
    return result


def _steepest(shift: Floats, steps: Floats) -> float:
    return max(float(np.abs(np.diff(shift, axis=axis + 1)).max() / steps[axis]) for axis in range(3))


def _blurred(shift: Floats) -> Floats:
    """Binomial 1-2-1 along the three channels."""
    for axis in (1, 2, 3):
        padded = np.pad(shift, [(int(i == axis),) * 2 for i in range(4)], mode="edge")
        before, here, after = (np.take(padded, np.arange(_TABLE) + offset, axis=axis) for offset in range(3))
        shift = (before + 2 * here + after) / 4
    return shift


def _looked_up(channel: Tensor, curve: Curve) -> Tensor:
    shift = torch.tensor(curve.shift, dtype=channel.dtype, device=channel.device)
    last = len(curve.shift) - 1
    place = ((channel - curve.low) * (last / (curve.high - curve.low))).clamp(0, last)
    index = place.long().clamp_max(last - 1)
    return shift[index].lerp(shift[index + 1], place - index)
