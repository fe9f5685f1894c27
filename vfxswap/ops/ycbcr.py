"""Y'CbCr planes to R'G'B' and back, by box, by the stream's own tags.

The picture stays in the planes that the decoder gave. `to_rgb` reads a box of them as float32 R'G'B'; `add_rgb_delta`
adds a difference to them, so that every sample outside what was touched keeps its bits.

Formulas: ITU-T H.273 (2021) 8.3, equations for `MatrixCoefficients` with `(Kr, Kb)` and for `VideoFullRangeFlag`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.color import LUMA_WEIGHTS, ColorTags, PixelLayout, Range
from vfxswap.errors import ColorError, ShapeError
from vfxswap.geometry import Box

_HALF_MAX = 65504.0


class _Coding(NamedTuple):
    """Stored words for E' = 0, and words for a step of 1 in E' (H.273 8.3), the word's shift included."""

    luma_zero: float
    luma_span: float
    chroma_zero: float
    chroma_span: float
    top: int
    """The largest word."""


class _Weights(NamedTuple):
    """Matrix coefficients; Kg = 1 - Kr - Kb."""

    r: float
    g: float
    b: float


class _Axis(NamedTuple):
    """How the chroma samples of one axis lie between the luma samples."""

    log2: int
    cosited: bool
    """Whether chroma sample i lies on luma sample `i << log2`; else in the middle of the block that starts there."""

    @property
    def step(self) -> int:
        return 1 << self.log2


def _coding(layout: PixelLayout, tags: ColorTags) -> _Coding:
    if layout.is_float:
        return _Coding(0.0, 1.0, 0.0, 1.0, 0)
    top = ((1 << layout.bits) - 1) << layout.shift
    if tags.range is Range.FULL:
        return _Coding(0.0, float(top), float(1 << (layout.bits - 1 + layout.shift)), float(top), top)
    if tags.range is Range.LIMITED:
        unit = 2.0 ** (layout.bits - 8 + layout.shift)
        return _Coding(16 * unit, 219 * unit, 128 * unit, 224 * unit, top)
    raise ColorError(
        f"the range of a {layout.name} picture is not known; expected limited or full: resolve its colour tags first"
    )


def _weights(layout: PixelLayout, tags: ColorTags) -> _Weights:
    pair = LUMA_WEIGHTS.get(tags.matrix)
    if pair is None:
        raise ColorError(
            f"a {layout.name} picture is tagged with the matrix {tags.matrix.name}; expected one of"
            f" {', '.join(matrix.name for matrix in LUMA_WEIGHTS)}: state the colour space in the pipeline file"
        )
    return _Weights(pair[0], 1.0 - pair[0] - pair[1], pair[1])


def _axes(layout: PixelLayout) -> tuple[_Axis, _Axis]:
    """The x and the y axis (H.273 8.7)."""
    x = _Axis(layout.chroma_log2[0], layout.chroma_location in {"left", "topleft"})
    return x, _Axis(layout.chroma_log2[1], layout.chroma_location == "topleft")


def _check_box(box: Box, luma: NDArray[Any]) -> None:
    height, width = luma.shape
    if box.empty or box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height:
        raise ShapeError("a box", expected=f"not empty and inside {width}x{height}", actual=str(tuple(box)))


def _loaded(block: NDArray[Any], device: torch.device) -> Tensor:
    """A copy as float32; moved in its stored form, which is smaller, and converted where it will be used."""
    return torch.from_numpy(np.array(block)).to(device).to(torch.float32)


def to_rgb(
    planes: Sequence[NDArray[Any]], layout: PixelLayout, tags: ColorTags, box: Box, *, device: torch.device
) -> Tensor:
    """Reads a box of a stored picture as R'G'B'.

    Chroma is interpolated linearly from where the layout says that its samples lie; at the picture's edge the last
    sample repeats. A box gives the same values as the same part of the whole picture.

    Args:
        planes: The picture's planes in the layout's order, `(H, W)` and, for chroma, `(ceil(H / sy), ceil(W / sx))`.
        layout: How the samples are stored. A last plane of alpha is not read.
        tags: Matrix and range; transfer and primaries do not matter here.
        box: Inside the picture, at any position.
        device: Where the result shall be.

    Returns:
        `(3, h, w)` float32, 0..1 is black to white. Nothing is clipped but for floats beyond +-65504. An infinity is
        1, a negative one and what is not a number 0: else one such sample would spread over all that is sampled or
        computed from it. Gray is repeated.

    Raises:
        ColorError: Matrix or range is unspecified, or no matrix of Y'CbCr.
        ShapeError: The box is empty or leaves the picture.
    """
    _check_box(box, planes[0])
    coding = _coding(layout, tags)
    x0, y0, x1, y1 = box
    if layout.model == "rgb":
        rgb = torch.stack([_loaded(plane[y0:y1, x0:x1], device) for plane in planes[:3]])
        return _finite(rgb) if layout.is_float else rgb.sub_(coding.luma_zero).mul_(1.0 / coding.luma_span)
    luma = _loaded(planes[0][y0:y1, x0:x1], device)
    if layout.is_float:
        luma = _finite(luma)
    else:
        luma.sub_(coding.luma_zero).mul_(1.0 / coding.luma_span)
    if layout.model == "gray":
        return luma.expand(3, -1, -1).clone()
    weights = _weights(layout, tags)
    cb, cr = _chroma_at_luma(planes[1:3], layout, box, device).sub_(coding.chroma_zero)
    return _matrixed(luma, cb, cr, weights, 1.0 / coding.chroma_span)


def _finite(samples: Tensor) -> Tensor:
    return samples.nan_to_num_(nan=0.0, posinf=1.0, neginf=0.0).clamp_(-_HALF_MAX, _HALF_MAX)


def _matrixed(luma: Tensor, cb: Tensor, cr: Tensor, weights: _Weights, unit: float) -> Tensor:
    """H.273 8.3: R' = Y' + 2 (1 - Kr) Cr, B' = Y' + 2 (1 - Kb) Cb, and G' from Y' = Kr R' + Kg G' + Kb B'."""
    red, blue = 2 * (1 - weights.r) * unit, 2 * (1 - weights.b) * unit
    rgb = torch.empty((3, *luma.shape), dtype=luma.dtype, device=luma.device)
    torch.add(luma, cr, alpha=red, out=rgb[0])
    torch.add(luma, cb, alpha=-blue * weights.b / weights.g, out=rgb[1])
    rgb[1].add_(cr, alpha=-red * weights.r / weights.g)
    torch.add(luma, cb, alpha=blue, out=rgb[2])
    return rgb


def _chroma_at_luma(planes: Sequence[NDArray[Any]], layout: PixelLayout, box: Box, device: torch.device) -> Tensor:
    """`(2, h, w)` stored words of Cb and Cr at each luma sample of the box."""
    x, y = _axes(layout)
    grid = Box(box.x0 >> x.log2, box.y0 >> y.log2, ((box.x1 - 1) >> x.log2) + 1, ((box.y1 - 1) >> y.log2) + 1)
    margin = (int(x.log2 > 0), int(y.log2 > 0))
    wide = Box(grid.x0 - margin[0], grid.y0 - margin[1], grid.x1 + margin[0], grid.y1 + margin[1])
    have = wide.clipped(planes[0].shape[1], planes[0].shape[0])
    words = torch.stack([_loaded(plane[have.y0 : have.y1, have.x0 : have.x1], device) for plane in planes])
    if have != wide:
        beyond = (have.x0 - wide.x0, wide.x1 - have.x1, have.y0 - wide.y0, wide.y1 - have.y1)
        words = F.pad(words, beyond, mode="replicate")
    if y.log2:
        words = _interpolated(words, y, dim=1)
    if x.log2:
        words = _interpolated(words, x, dim=2)
    left, top = box.x0 - (grid.x0 << x.log2), box.y0 - (grid.y0 << y.log2)
    return words[:, top : top + box.height, left : left + box.width]


def _interpolated(words: Tensor, axis: _Axis, *, dim: int) -> Tensor:
    """Linear interpolation along `dim` of samples with a margin of one on both sides; `2^log2` results a sample.

    Phase by phase, with weights that are exact in binary: a box cannot differ from the whole picture.
    """
    count = words.shape[dim] - 2
    shape = list(words.shape)
    shape[dim] = count * axis.step
    result = torch.empty(shape, dtype=words.dtype, device=words.device)
    for phase in range(axis.step):
        place = phase / axis.step if axis.cosited else (phase + 0.5) / axis.step - 0.5
        first = int(np.floor(place))
        fraction = place - first
        target = result[:, phase :: axis.step] if dim == 1 else result[:, :, phase :: axis.step]
        near = words.narrow(dim, 1 + first, count)
        if fraction == 0:
            target.copy_(near)
        else:
            torch.add(near * (1 - fraction), words.narrow(dim, 2 + first, count), alpha=fraction, out=target)
    return result


def add_rgb_delta(
    planes: Sequence[NDArray[Any]],
    layout: PixelLayout,
    tags: ColorTags,
    box: Box,
    *,
    delta: Tensor,
    touched: Tensor | NDArray[np.bool_],
) -> None:
    """Adds an R'G'B' difference to a stored picture, in place.

    What is added to a chroma sample is the difference's own chroma, brought down with a filter that matches the siting:
    a triangle where chroma lies on a luma sample ([1 2 1] / 4 for 2:1), a mean over the block where it lies in its
    middle. Untouched luma pixels count as a difference of 0 and the weights are not renormalised, since this is what
    the chroma of the whole changed picture would be; beyond the picture's edge the last pixel repeats. A luma sample
    changes only where it is touched, a chroma sample only if a pixel of its own block is (a neighbour that the filter
    reads is not enough, so that a pixel outside the matte keeps all its samples), and where the difference is less than
    half a code nothing changes. Integers are rounded to nearest (ties to even) and clipped to
    `0..2^bits - 1`; float32 is not clipped, float16 stops at +-65504. To a float sample that is infinite or not a
    number nothing can be added: its pixel keeps all its bits, as its other channels alone would show another colour.

    Args:
        planes: As for `to_rgb`, writable.
        layout: How the samples are stored. A plane of alpha is left alone.
        tags: Matrix and range.
        box: Inside the picture, at any position.
        delta: `(3, h, w)` float32, finite where touched; what it holds elsewhere is not used.
        touched: `(h, w)` bool.

    Raises:
        ColorError: Matrix or range is unspecified, or no matrix of Y'CbCr.
        ShapeError: The box leaves the picture, or `delta` or `touched` do not have its size.
    """
    _check_box(box, planes[0])
    mask = torch.as_tensor(touched, dtype=torch.bool, device=delta.device)
    _check_sizes(box, delta, mask)
    coding = _coding(layout, tags)
    region = np.s_[box.y0 : box.y1, box.x0 : box.x1]
    if layout.is_float and layout.model == "rgb":
        sound = np.logical_and.reduce([np.isfinite(plane[region]) for plane in planes[:3]])
        mask = mask & torch.from_numpy(sound).to(mask.device)
    change = _masked(delta, mask)
    if layout.model == "rgb":
        for plane, channel in zip(planes[:3], change, strict=True):
            _add(plane[region], channel.mul_(coding.luma_span), layout, coding.top)
        return
    if layout.model == "gray":
        # A gray picture has no matrix of its own; equal parts give back the gray that `to_rgb` repeats.
        _add(planes[0][region], change.mean(dim=0).mul_(coding.luma_span), layout, coding.top)
        return
    weights = _weights(layout, tags)
    luma = (change[0] * weights.r).add_(change[1], alpha=weights.g).add_(change[2], alpha=weights.b)
    spot, chroma = _chroma_delta(change, luma, layout, box, planes)
    cb, cr = _masked(chroma, _blocks_touched(mask, layout, box, spot))
    where = np.s_[spot.y0 : spot.y1, spot.x0 : spot.x1]
    _add(planes[1][where], cb.mul_(coding.chroma_span / (2 * (1 - weights.b))), layout, coding.top)
    _add(planes[2][where], cr.mul_(coding.chroma_span / (2 * (1 - weights.r))), layout, coding.top)
    _add(planes[0][region], luma.mul_(coding.luma_span), layout, coding.top)


def _masked(delta: Tensor, mask: Tensor) -> Tensor:
    """The difference where the mask is set, else 0 (of not-a-number too); 8 times faster than `masked_fill`."""
    bits = delta.to(torch.float32).contiguous().view(torch.int32)
    return bits.bitwise_and(mask.to(torch.int32).neg_()).view(torch.float32)


def _blocks_touched(mask: Tensor, layout: PixelLayout, box: Box, spot: Box) -> Tensor:
    """`(ch, cw)` bool: which chroma samples of `spot` have a touched luma pixel in their own block."""
    across, down = layout.chroma_log2
    if (across, down) == (0, 0):
        return mask
    whole = mask.new_zeros((spot.height << down, spot.width << across))
    y, x = box.y0 - (spot.y0 << down), box.x0 - (spot.x0 << across)
    whole[y : y + box.height, x : x + box.width] = mask
    # `any` over views of blocks takes ten times as long on a CPU
    rows = whole[:: 1 << down]
    for start in range(1, 1 << down):
        rows = rows | whole[start :: 1 << down]
    blocks = rows[:, :: 1 << across]
    for start in range(1, 1 << across):
        blocks = blocks | rows[:, start :: 1 << across]
    return blocks


def _check_sizes(box: Box, delta: Tensor, touched: Tensor) -> None:
    size = (box.height, box.width)
    if tuple(delta.shape) != (3, *size) or tuple(touched.shape) != size:
        raise ShapeError(
            "a difference and what it touches",
            expected=f"(3, {size[0]}, {size[1]}) and {size}",
            actual=f"{tuple(delta.shape)} and {tuple(touched.shape)}",
        )


def _chroma_delta(
    change: Tensor, luma: Tensor, layout: PixelLayout, box: Box, planes: Sequence[NDArray[Any]]
) -> tuple[Box, Tensor]:
    """The chroma samples whose block meets the box, and `(2, ch, cw)` the filtered B' - Y' and R' - Y' there."""
    x, y = _axes(layout)
    (height, width), (rows, columns) = planes[0].shape, planes[1].shape
    x0, x1 = _blocks(x, box.x0, box.x1, columns)
    y0, y1 = _blocks(y, box.y0, box.y1, rows)
    reach = Box((x0 << x.log2) - _lead(x), (y0 << y.log2) - _lead(y), x1 << x.log2, y1 << y.log2)
    padded = change.new_zeros((2, reach.height, reach.width))
    inner = padded[:, box.y0 - reach.y0 : box.y1 - reach.y0, box.x0 - reach.x0 : box.x1 - reach.x0]
    torch.sub(change[2], luma, out=inner[0])
    torch.sub(change[0], luma, out=inner[1])
    _repeat_edge(padded, dim=1, first=-reach.y0, last=height - 1 - reach.y0)
    _repeat_edge(padded, dim=2, first=-reach.x0, last=width - 1 - reach.x0)
    filtered = _filtered(_filtered(padded, y, dim=1, count=y1 - y0), x, dim=2, count=x1 - x0)
    return Box(x0, y0, x1, y1), filtered


def _lead(axis: _Axis) -> int:
    """How many luma samples before its own the filter of a chroma sample reads."""
    return axis.step - 1 if axis.cosited else 0


def _blocks(axis: _Axis, first: int, end: int, count: int) -> tuple[int, int]:
    """The chroma samples `[i0, i1)`, of `count`, whose block holds a luma sample of `[first, end)`."""
    return first >> axis.log2, min(count, ((end - 1) >> axis.log2) + 1)


def _repeat_edge(padded: Tensor, *, dim: int, first: int, last: int) -> None:
    """Fills what lies before index `first` and after `last`, the picture's own ends, with the samples there."""
    size = padded.shape[dim]
    if first > 0:
        padded.narrow(dim, 0, first).copy_(padded.narrow(dim, first, 1).expand_as(padded.narrow(dim, 0, first)))
    if last < size - 1:
        beyond = padded.narrow(dim, last + 1, size - 1 - last)
        beyond.copy_(padded.narrow(dim, last, 1).expand_as(beyond))


def _filtered(words: Tensor, axis: _Axis, *, dim: int, count: int) -> Tensor:
    """`count` samples, one every `2^log2`, of the filter that matches the axis' siting."""
    if axis.log2 == 0:
        return words
    step = axis.step
    triangle = [(step - abs(offset)) / step**2 for offset in range(1 - step, step)]
    taps = triangle if axis.cosited else [1 / step] * step
    strided = [words[:, start::step] if dim == 1 else words[:, :, start::step] for start in range(len(taps))]
    views = [view.narrow(dim, 0, count) for view in strided]
    total = views[0] * taps[0]
    for view, weight in zip(views[1:], taps[1:], strict=True):
        total.add_(view, alpha=weight)
    return total


def _add(region: NDArray[Any], change: Tensor, layout: PixelLayout, top: int) -> None:
    """Adds words to a part of a plane; where the change is nothing the sample keeps its bits."""
    if layout.is_float:
        added = change.cpu()
        total = torch.from_numpy(np.array(region)).to(torch.float32).add_(added)
        if region.dtype == np.float16:
            total = total.clamp_(-_HALF_MAX, _HALF_MAX).to(torch.float16)
        np.copyto(region, total.numpy(), where=(added.numpy() != 0) & np.isfinite(region))
        return
    room = 256.0 if region.dtype == np.uint8 else 65536.0
    codes = change.mul_(0.5**layout.shift).round_().clamp_(-room, room)
    words = region + (codes.to(torch.int16 if room == 256.0 else torch.int32).cpu().numpy() << layout.shift)
    # A word above the top is not valid, but what is not touched keeps even that.
    highest = top if top == np.iinfo(region.dtype).max else np.maximum(region, top)
    np.minimum(words, highest, out=words)
    np.copyto(region, np.maximum(words, 0, out=words), casting="unsafe")


def thumbnail(planes: Sequence[NDArray[Any]], layout: PixelLayout, tags: ColorTags, size: tuple[int, int]) -> Tensor:
    """The whole picture, small, for a detector.

    Each plane is shrunk at its own resolution (mean over the area) before the matrix, so that the full-size picture is
    never converted. Chroma's siting is within half a luma pixel and is not corrected.

    Args:
        planes: As for `to_rgb`.
        layout: How the samples are stored.
        tags: Matrix and range.
        size: `(width, height)` of the result.

    Returns:
        `(3, height, width)` float32 R'G'B' on the CPU, clamped to 0..1; not-a-number becomes 0.

    Raises:
        ColorError: Matrix or range is unspecified, or no matrix of Y'CbCr.
    """
    coding = _coding(layout, tags)
    if layout.model == "rgb":
        rgb = torch.stack([_shrunk(plane, size) for plane in planes[:3]])
        return rgb.sub_(coding.luma_zero).mul_(1.0 / coding.luma_span).clamp_(0, 1)
    luma = _shrunk(planes[0], size).sub_(coding.luma_zero).mul_(1.0 / coding.luma_span)
    if layout.model == "gray":
        return luma.clamp_(0, 1).expand(3, -1, -1).clone()
    cb, cr = (_shrunk(plane, size).sub_(coding.chroma_zero) for plane in planes[1:3])
    return _matrixed(luma, cb, cr, _weights(layout, tags), 1.0 / coding.chroma_span).clamp_(0, 1)


def _shrunk(plane: NDArray[Any], size: tuple[int, int]) -> Tensor:
    """`(height, width)` float32 of a plane, by area where it shrinks, else linearly."""
    if plane.dtype.kind == "f":
        plane = torch.from_numpy(np.array(plane)).to(torch.float32).nan_to_num_().numpy()
    smaller = size[0] <= plane.shape[1] and size[1] <= plane.shape[0]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    small = cv2.resize(np.ascontiguousarray(plane), size, interpolation=method)
    return torch.from_numpy(np.asarray(small)).to(torch.float32)
