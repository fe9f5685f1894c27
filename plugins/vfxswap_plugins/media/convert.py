"""From one integer layout to another, by the formulas of ITU-T H.273 (2021) 8.3 and by chroma's own place.

Only a delivery whose codec cannot store the plate's layout comes here. Values outside black to white are kept as far as
the delivery's words reach; what does not fit is clipped, as H.273 does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vfxswap.color import LUMA_WEIGHTS, ColorTags, PixelLayout, Range
from vfxswap.errors import ColorError
from vfxswap.frame import Plane
from vfxswap.geometry import Box
from vfxswap.ops.ycbcr import to_rgb

Samples = NDArray[np.float32]
"""`(H, W)` code values; whole numbers up to 65535 and eighths of them are exact in float32."""


class _Code(NamedTuple):
    """How words stand for a value: `word = zero + span * value`, value 0..1 (chroma -0.5..0.5)."""

    zero: int
    span: int
    top: int
    """The largest word."""


_FLOAT = _Code(0, 1, 1)


def same_samples(a: PixelLayout, a_tags: ColorTags, b: PixelLayout, b_tags: ColorTags) -> bool:
    """Whether pictures of the two layouts hold the same words for the same colours, so that planes may be copied."""
    stored_alike = replace(a, name=b.name, chroma_location=b.chroma_location) == b
    return (
        stored_alike and _sitings(a) == _sitings(b) and (a_tags.range, a_tags.matrix) == (b_tags.range, b_tags.matrix)
    )


def converted(
    planes: Sequence[Plane], source: PixelLayout, source_tags: ColorTags, target: PixelLayout, target_tags: ColorTags
) -> list[NDArray[Any]]:
    """Gives a picture in another layout.

    Depth is changed by the ratio of the codings' spans (a shift, for limited range), chroma is interpolated linearly
    between its own positions or filtered to the coarser grid ([1 2 1] / 4 where it lies on a luma sample, a mean where
    it lies between), all rounded once to nearest. Gray gets neutral chroma, missing alpha is opaque, and alpha that the
    target has no place for is left out.

    Args:
        planes: In the source's order; integer, or R'G'B' or gray in float, whose values beyond 0..1 are kept likewise.
        source: Their layout.
        source_tags: Their matrix and range; complete.
        target: The layout wanted; integer.
        target_tags: Its matrix and range.

    Returns:
        The target's planes in its order, uint8 or uint16.

    Raises:
        ColorError: A range or a matrix is not specified.
    """
    if source.model == "rgb" and target.model == "ycbcr":
        result = _rgb_to_ycbcr(planes, source, source_tags, target, target_tags)
    elif source.model == "ycbcr" and target.model == "rgb":
        result = _ycbcr_to_rgb(planes, source, source_tags, target, target_tags)
    else:
        result = _same_model(planes, source, source_tags, target, target_tags)
    if target.has_alpha:
        result.append(_alpha(planes, source, target))
    return result


def _same_model(
    planes: Sequence[Plane], source: PixelLayout, source_tags: ColorTags, target: PixelLayout, target_tags: ColorTags
) -> list[NDArray[Any]]:
    full = (_luma(source, source_tags.range), _luma(target, target_tags.range))
    count = 3 if source.model == "rgb" else 1
    result: list[NDArray[Any]] = [_recoded(plane, source, target, *full) for plane in planes[:count]]
    if target.model != "ycbcr":
        return result
    chroma = (_chroma(source, source_tags.range), _chroma(target, target_tags.range))
    height, width = planes[0].shape
    if source.model == "gray":
        log2_x, log2_y = target.chroma_log2
        neutral = np.full((-(-height >> log2_y), -(-width >> log2_x)), chroma[1].zero << target.shift, _word(target))
        return [*result, neutral, neutral]
    for plane in planes[1:3]:
        words = _recoded(plane, source, replace(target, shift=0), *chroma)
        if (source.chroma_log2, _sitings(source)) != (target.chroma_log2, _sitings(target)):
            grid = _regridded(words.astype(np.float32), source, target, (height, width))
            words = _rounded(grid, chroma[1], replace(target, shift=0))
        result.append(words << target.shift)
    return result


def _rgb_to_ycbcr(
    planes: Sequence[Plane], source: PixelLayout, source_tags: ColorTags, target: PixelLayout, target_tags: ColorTags
) -> list[NDArray[Any]]:
    """H.273 8.3: Y' = Kr R' + Kg G' + Kb B', Cb = (B' - Y') / (2 (1 - Kb)), Cr = (R' - Y') / (2 (1 - Kr))."""
    if target_tags.matrix not in LUMA_WEIGHTS:
        raise ColorError(f"R'G'B' cannot become Y'CbCr by the matrix {target_tags.matrix.name}; state the colour space")
    weight_r, weight_b = LUMA_WEIGHTS[target_tags.matrix]
    red, green, blue = (_values(plane, source, source_tags.range) for plane in planes[:3])
    luma = red * weight_r + green * (1 - weight_r - weight_b) + blue * weight_b
    result = [_coded(luma, _luma(target, target_tags.range), target)]
    flat = replace(source, chroma_log2=(0, 0))
    for difference, weight in ((blue - luma, weight_b), (red - luma, weight_r)):
        chroma = _regridded(difference / np.float32(2 * (1 - weight)), flat, target, luma.shape)
        result.append(_coded(chroma, _chroma(target, target_tags.range), target))
    return result


def _ycbcr_to_rgb(
    planes: Sequence[Plane], source: PixelLayout, source_tags: ColorTags, target: PixelLayout, target_tags: ColorTags
) -> list[NDArray[Any]]:
    height, width = planes[0].shape
    rgb = to_rgb(planes, source, source_tags, Box(0, 0, width, height), device=torch.device("cpu")).numpy()
    return [_coded(channel, _luma(target, target_tags.range), target) for channel in rgb]


def _alpha(planes: Sequence[Plane], source: PixelLayout, target: PixelLayout) -> NDArray[Any]:
    """Alpha uses all code values in every coding."""
    code = _luma(target, Range.FULL)
    if not source.has_alpha:
        return np.full(planes[0].shape, code.top << target.shift, _word(target))
    return _recoded(planes[-1], source, target, _luma(source, Range.FULL), code)


def _word(layout: PixelLayout) -> type[np.uint8] | type[np.uint16]:
    return np.uint8 if layout.bits + layout.shift <= 8 else np.uint16


def _luma(layout: PixelLayout, span: Range) -> _Code:
    """Y', R', G', B' and gray (H.273 8.3, equations for VideoFullRangeFlag 0 and 1); of floats nothing is asked."""
    if layout.is_float:
        return _FLOAT
    top = (1 << layout.bits) - 1
    if _is_full(span):
        return _Code(0, top, top)
    return _Code(16 << (layout.bits - 8), 219 << (layout.bits - 8), top)


def _chroma(layout: PixelLayout, span: Range) -> _Code:
    top = (1 << layout.bits) - 1
    return _Code(1 << (layout.bits - 1), top if _is_full(span) else 224 << (layout.bits - 8), top)


def _is_full(span: Range) -> bool:
    if span is Range.UNSPECIFIED:
        raise ColorError("a picture's range is not specified; resolve its colour tags before it is delivered")
    return span is Range.FULL


def _values(plane: Plane, layout: PixelLayout, span: Range) -> Samples:
    """R'G'B' from its words; 0..1 is black to white, and no number is black."""
    if layout.is_float:
        return _finite(plane)
    code = _luma(layout, span)
    return ((plane >> layout.shift).astype(np.float32) - code.zero) * np.float32(1 / code.span)


def _finite(plane: Plane) -> Samples:
    """What is no number is 0; nothing is further from it than a half float reaches."""
    return np.clip(np.nan_to_num(plane.astype(np.float32)), -65504, 65504)


def coded_alpha(values: Samples, layout: PixelLayout) -> NDArray[Any]:
    """The words of `(H, W)` alpha 0..1 in a layout: all of them are used, in every coding."""
    return _coded(values, _luma(layout, Range.FULL), layout)


def _recoded(plane: Plane, source: PixelLayout, target: PixelLayout, old: _Code, new: _Code) -> NDArray[Any]:
    if source.is_float:
        return _coded(_finite(plane), new, target)
    table = (_table(source.bits, old, new) << target.shift).astype(_word(target))
    result: NDArray[Any] = table[plane >> source.shift if source.shift else plane]
    return result


@lru_cache(maxsize=32)
def _table(bits: int, old: _Code, new: _Code) -> NDArray[np.int64]:
    """The new word for each old one, in whole numbers: `round((word - zero) * span' / span) + zero'`, half up."""
    words = np.arange(1 << bits, dtype=np.int64) - old.zero
    scaled = (2 * words * new.span + old.span) // (2 * old.span) + new.zero
    return np.clip(scaled, 0, new.top)


def _coded(values: Samples, code: _Code, layout: PixelLayout) -> NDArray[Any]:
    return _rounded(values * np.float32(code.span) + np.float32(code.zero), code, layout)


def _rounded(words: Samples, code: _Code, layout: PixelLayout) -> NDArray[Any]:
    whole: NDArray[Any] = np.clip(np.floor(words + np.float32(0.5)), 0, code.top).astype(_word(layout))
    return whole << layout.shift


def _sitings(layout: PixelLayout) -> tuple[bool | None, bool | None]:
    """Whether chroma lies on a luma sample, (vertically, horizontally); None where it has luma's own grid."""
    location, (log2_x, log2_y) = layout.chroma_location, layout.chroma_log2
    return (location == "topleft" if log2_y else None, location in {"left", "topleft"} if log2_x else None)


def _regridded(plane: Samples, source: PixelLayout, target: PixelLayout, size: tuple[int, int]) -> Samples:
    """Chroma on another grid of the same `(height, width)` picture; it lies where each layout says."""
    grids = zip(source.chroma_log2[::-1], _sitings(source), target.chroma_log2[::-1], _sitings(target), strict=True)
    for axis, (old, was_cosited, new, is_cosited) in enumerate(grids):
        if old and new and was_cosited != is_cosited:
            plane = _interpolated(plane, axis, 1 << old, size[axis], cosited=bool(was_cosited))
            plane = _filtered(plane, axis, 1 << new, -(-size[axis] >> new), cosited=bool(is_cosited))
        elif new < old:
            plane = _interpolated(plane, axis, 1 << (old - new), -(-size[axis] >> new), cosited=bool(was_cosited))
        elif new > old:
            plane = _filtered(plane, axis, 1 << (new - old), -(-size[axis] >> new), cosited=bool(is_cosited))
    return plane


def _interpolated(plane: Samples, axis: int, ratio: int, count: int, *, cosited: bool) -> Samples:
    """`count` samples, `ratio` for each old one, on the line between the two nearest; the last ones repeat."""
    places = np.arange(count) / ratio if cosited else (np.arange(count) + 0.5) / ratio - 0.5
    before = np.floor(places).astype(np.intp)
    weight = (places - before).astype(np.float32)
    weight = weight[:, None] if axis == 0 else weight
    near, far = (plane.take(before + step, axis=axis, mode="clip") for step in (0, 1))
    return near * (1 - weight) + far * weight


def _filtered(plane: Samples, axis: int, ratio: int, count: int, *, cosited: bool) -> Samples:
    """`count` samples, one for `ratio` old ones: a triangle around a cosited sample, else the block's mean."""
    triangle = {offset: (ratio - abs(offset)) / ratio**2 for offset in range(1 - ratio, ratio)}
    taps = triangle if cosited else dict.fromkeys(range(ratio), 1 / ratio)
    centers = np.arange(count) * ratio
    terms = (plane.take(centers + offset, axis=axis, mode="clip") * np.float32(w) for offset, w in taps.items())
    total = next(terms)
    for term in terms:
        total += term
    return total
