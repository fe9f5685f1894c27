"""FFmpeg's pixel formats as layouts: which plane of memory holds which channel, and numpy views onto it.

Every format of the table is little-endian or 8-bit and is reached without a copy; what is not in the table is refused
by name, never converted behind the user's back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from vfxswap.color import PixelLayout
from vfxswap.errors import MediaError
from vfxswap.frame import Plane

ChromaLocation = Literal["left", "center", "topleft"]
"""Where chroma samples sit (H.273 8.7)."""

_CENTERED_CODECS = frozenset({"mpeg1video", "mjpeg", "mjpegb", "ljpeg"})


class Channel(NamedTuple):
    """Where the samples of one channel lie; offset and step are counted in samples, not bytes."""

    plane: int
    offset: int = 0
    step: int = 1


@dataclass(frozen=True, slots=True)
class Store:
    """How a pixel format lies in memory."""

    layout: PixelLayout
    """What the samples are; `name` is FFmpeg's name of the format."""
    dtype: np.dtype[Any]
    """Type of a stored sample."""
    channels: tuple[Channel, ...]
    """One for each channel of the layout, in the layout's order (R', G', B' for all RGB formats)."""
    has_padding: bool = False
    """Whether a pixel holds a byte that means nothing, as in `bgr0`."""


def chroma_location(codec: str) -> ChromaLocation:
    """Where a codec puts chroma if the stream does not say: in the middle for MPEG-1 and JPEG, else left.

    H.264 and H.265 default to left (E.2.1: `chroma_sample_loc_type` absent
    is 0), MPEG-2 and later do the same; JPEG (JFIF 1.02) and MPEG-1 (ISO/IEC 11172-2) lie in the middle.
    """
    return "center" if codec in _CENTERED_CODECS else "left"


def store_of(pix_fmt: str) -> Store:
    """The store of a pixel format.

    Raises:
        MediaError: The format is not one that can be carried as planes.
    """
    store = _STORES.get(pix_fmt)
    if store is None:
        raise MediaError(
            f"pixel format {pix_fmt!r} is not supported (palettes, big-endian samples and hardware surfaces are not);"
            " convert the plate to a planar one, for example with:"
            f" ffmpeg -i PLATE -c:v ffv1 -pix_fmt {_nearest(pix_fmt)} PLATE.mkv"
        )
    return store


def layout_of(pix_fmt: str, location: ChromaLocation = "left") -> PixelLayout:
    """The layout of a pixel format.

    Raises:
        MediaError: The format is not one that can be carried as planes.
    """
    layout = store_of(pix_fmt).layout
    return layout if layout.chroma_location == location else replace(layout, chroma_location=location)


def is_known(pix_fmt: str) -> bool:
    """Whether a pixel format can be carried as planes."""
    return pix_fmt in _STORES


def planes_of(frame: av.VideoFrame, store: Store, *, writable: bool) -> tuple[Plane, ...]:
    """Views onto a frame's memory, one `(H, W)` array a channel; they keep the frame alive.

    Args:
        frame: Of the store's format.
        store: How to find the channels.
        writable: False marks the views read-only: a decoder's frame may be a reference for later ones.
    """
    stored = [rows_of(plane, store.dtype) for plane in frame.planes]
    views = []
    for index, (plane, offset, step) in enumerate(store.channels):
        is_chroma = store.layout.model == "ycbcr" and index in {1, 2}
        log2_x, log2_y = store.layout.chroma_log2 if is_chroma else (0, 0)
        width, height = -(-frame.width >> log2_x), -(-frame.height >> log2_y)
        view = stored[plane][:height, offset : offset + step * (width - 1) + 1 : step]
        view.flags.writeable = writable
        views.append(view)
    return tuple(views)


def rows_of(plane: av.video.plane.VideoPlane, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A plane's memory as `(rows, samples)`, padding at the line ends included, the top row first."""
    samples = abs(plane.line_size) // dtype.itemsize
    words: NDArray[Any] = np.frombuffer(memoryview(plane), dtype, count=samples * plane.height)
    lines = words.reshape(plane.height, samples)
    # Decoders that store bottom-up give a negative line size; the buffer then starts with the last row.
    return lines[::-1] if plane.line_size < 0 else lines


def _nearest(pix_fmt: str) -> str:
    little = pix_fmt.removesuffix("be") + "le"
    if little in _STORES:
        return little
    return "gbrp" if "yuv" not in pix_fmt else "yuv444p"


def _planar(name: str, layout: PixelLayout, order: tuple[int, ...]) -> Store:
    return Store(replace(layout, name=name), _dtype(layout), tuple(Channel(plane) for plane in order))


def _dtype(layout: PixelLayout) -> np.dtype[Any]:
    if layout.is_float:
        return np.dtype(np.float16 if layout.bits == 16 else np.float32)
    return np.dtype(np.uint8 if layout.bits + layout.shift <= 8 else np.uint16)


def _suffix(bits: int) -> str:
    return "" if bits == 8 else f"{bits}le"


def _planar_ycbcr() -> Iterator[Store]:
    grids = {"410": (2, 2), "411": (2, 0), "420": (1, 1), "422": (1, 0), "440": (0, 1), "444": (0, 0)}
    for word, grid in grids.items():
        for bits in (8, 9, 10, 12, 14, 16):
            layout = PixelLayout("", "ycbcr", bits, chroma_log2=grid)
            yield _planar(f"yuv{word}p{_suffix(bits)}", layout, (0, 1, 2))
            yield _planar(f"yuva{word}p{_suffix(bits)}", replace(layout, has_alpha=True), (0, 1, 2, 3))
        full = PixelLayout("", "ycbcr", 8, chroma_log2=grid)
        yield _planar(f"yuvj{word}p", full, (0, 1, 2))


def _planar_rgb_and_gray() -> Iterator[Store]:
    kinds = [(bits, False, _suffix(bits)) for bits in (8, 9, 10, 12, 14, 16)]
    for bits, is_float, word in [*kinds, (16, True, "f16le"), (32, True, "f32le")]:
        rgb = PixelLayout("", "rgb", bits, is_float=is_float)
        yield _planar(f"gbrp{word}", rgb, (2, 0, 1))
        yield _planar(f"gbrap{word}", replace(rgb, has_alpha=True), (2, 0, 1, 3))
        gray = PixelLayout("", "gray", bits, is_float=is_float)
        yield _planar(f"gray{word}", gray, (0,))
    pairs = (("ya8", 8, False), ("ya16le", 16, False), ("yaf16le", 16, True), ("yaf32le", 32, True))
    for name, bits, is_float in pairs:
        layout = PixelLayout(name, "gray", bits, is_float=is_float, has_alpha=True)
        yield Store(layout, _dtype(layout), (Channel(0, 0, 2), Channel(0, 1, 2)))


def _half_planar() -> Iterator[Store]:
    """Luma in one plane, Cb and Cr by turns in the other; deeper samples lie at the top of the word."""
    grids = {"0": (1, 1), "2": (1, 0), "4": (0, 0)}
    for word, grid in grids.items():
        for bits in (10, 12, 16):
            layout = PixelLayout(f"p{word}{bits}le", "ycbcr", bits, chroma_log2=grid, shift=16 - bits)
            yield Store(layout, np.dtype(np.uint16), (Channel(0), Channel(1, 0, 2), Channel(1, 1, 2)))
    for name, grid, cb in (("nv12", (1, 1), 0), ("nv21", (1, 1), 1), ("nv16", (1, 0), 0), ("nv24", (0, 0), 0)):
        layout = PixelLayout(name, "ycbcr", 8, chroma_log2=grid)
        yield Store(layout, np.dtype(np.uint8), (Channel(0), Channel(1, cb, 2), Channel(1, 1 - cb, 2)))


def _packed() -> Iterator[Store]:
    for name, bits, is_float, order in (
        *((word, 8, False, word.removesuffix("24")) for word in ("rgb24", "bgr24")),
        *((word, 8, False, word) for word in ("rgba", "bgra", "argb", "abgr", "rgb0", "bgr0", "0rgb", "0bgr")),
        *((f"{word}48le", 16, False, word) for word in ("rgb", "bgr")),
        *((f"{word}64le", 16, False, word) for word in ("rgba", "bgra")),
        *((f"{word}f32le", 32, True, word) for word in ("rgb", "rgba")),
        *((f"{word}f16le", 16, True, word) for word in ("rgb", "rgba")),
    ):
        layout = PixelLayout(name, "rgb", bits, is_float=is_float, has_alpha="a" in order)
        places = [order.index(letter) for letter in "rgba" if letter in order]
        channels = tuple(Channel(0, place, len(order)) for place in places)
        yield Store(layout, _dtype(layout), channels, has_padding="0" in order)
    for name, luma, cb, cr in (("yuyv422", 0, 1, 3), ("uyvy422", 1, 0, 2), ("yvyu422", 0, 3, 1)):
        layout = PixelLayout(name, "ycbcr", 8, chroma_log2=(1, 0))
        yield Store(layout, np.dtype(np.uint8), (Channel(0, luma, 2), Channel(0, cb, 4), Channel(0, cr, 4)))


def _all_stores() -> dict[str, Store]:
    stores = [*_planar_ycbcr(), *_planar_rgb_and_gray(), *_half_planar(), *_packed()]
    return {store.layout.name: store for store in stores if _exists(store.layout.name)}


def _exists(pix_fmt: str) -> bool:
    """Whether this build of FFmpeg has the format; the rules above also make names that nobody uses."""
    try:
        av.VideoFormat(pix_fmt)
    except ValueError:
        return False
    return True


_STORES = _all_stores()
