"""Synthetic frames: drawn plates in the stored forms that readers give and writers take."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vfxswap.color import LUMA_WEIGHTS, ColorTags, Matrix, PixelLayout, Primaries, Range, Transfer
from vfxswap.frame import Frame, Picture
from vfxswap.media import PlateInfo
from vfxswap.testing.material import synthetic_plate

YUV420P8 = PixelLayout("yuv420p", "ycbcr", 8, chroma_log2=(1, 1))
"""What most movies hold."""
YUV422P10 = PixelLayout("yuv422p10le", "ycbcr", 10, chroma_log2=(1, 0))
"""What ProRes 422 and DNxHR HQX hold."""
RGB_FLOAT = PixelLayout("gbrpf32le", "rgb", 32, is_float=True)
"""Float R'G'B', as EXR readers give."""
BT709 = ColorTags(Primaries.BT709, Transfer.BT709, Matrix.BT709, Range.LIMITED)
BT709_RGB = ColorTags(Primaries.BT709, Transfer.BT709, Matrix.RGB, Range.FULL)


def synthetic_frame(
    number: int = 1001, *, layout: PixelLayout = YUV420P8, width: int = 160, height: int = 128, person: int = 0
) -> Frame:
    """A drawn plate as a reader would give it, BT.709.

    Args:
        number: The shot's frame number.
        layout: How it is stored: Y'CbCr integers in limited range, or R'G'B' in float or in full-range integers.
        width: Columns; a multiple of the chroma step.
        height: Rows; a multiple of the chroma step.
        person: Who is drawn.
    """
    rgb = synthetic_plate(number, width=width, height=height, person=person).image.numpy()
    if layout.model == "rgb":
        return Frame(number, Picture(_rgb(rgb, layout), layout, BT709_RGB))
    return Frame(number, Picture(_ycbcr(rgb, layout), layout, BT709))


def _rgb(rgb: NDArray[np.float32], layout: PixelLayout) -> list[NDArray[Any]]:
    """Planes of words; nothing of floats is clipped."""
    if layout.is_float:
        return list(rgb.astype(np.float16 if layout.bits == 16 else np.float32))
    top = (1 << layout.bits) - 1
    return list(np.clip(np.round(rgb * top), 0, top).astype(np.uint8 if layout.bits == 8 else np.uint16))


def _ycbcr(rgb: NDArray[np.float32], layout: PixelLayout) -> list[NDArray[Any]]:
    """Planes by H.273 8.3, chroma by the mean of its footprint."""
    red_weight, blue_weight = LUMA_WEIGHTS[Matrix.BT709]
    luma = red_weight * rgb[0] + (1 - red_weight - blue_weight) * rgb[1] + blue_weight * rgb[2]
    chroma = [(rgb[2] - luma) / (2 * (1 - blue_weight)), (rgb[0] - luma) / (2 * (1 - red_weight))]
    step_x, step_y = (1 << log2 for log2 in layout.chroma_log2)
    height, width = luma.shape
    small = [plane.reshape(height // step_y, step_y, width // step_x, step_x).mean(axis=(1, 3)) for plane in chroma]
    unit = 1 << (layout.bits - 8)
    codes = [(16 + 219 * luma) * unit, *((128 + 224 * plane) * unit for plane in small)]
    dtype = np.uint8 if layout.bits == 8 else np.uint16
    return [np.clip(np.round(plane), 0, 256 * unit - 1).astype(dtype) for plane in codes]


def synthetic_info(
    path: Path,
    *,
    layout: PixelLayout = YUV420P8,
    width: int = 160,
    height: int = 128,
    first: int = 1001,
    count: int = 6,
) -> PlateInfo:
    """The header of a plate made of such frames, 24000/1001 frames a second."""
    return PlateInfo(
        path=path,
        width=width,
        height=height,
        layout=layout,
        tags=BT709_RGB if layout.model == "rgb" else BT709,
        first=first,
        count=count,
        rate=Fraction(24000, 1001),
        timecode="01:00:00:00",
        codec="synthetic",
    )
