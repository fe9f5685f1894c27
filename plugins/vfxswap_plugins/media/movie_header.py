"""What a movie's header and first picture say: the `PlateInfo`."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type
from av.video.stream import VideoStream

from vfxswap.color import PixelLayout
from vfxswap.media import PlateInfo
from vfxswap_plugins.media.layouts import chroma_location, layout_of
from vfxswap_plugins.media.movie_hdr import hdr_notes
from vfxswap_plugins.media.movie_index import MovieIndex
from vfxswap_plugins.media.movie_siting import stated_siting
from vfxswap_plugins.media.tags import Said, read_tags

DISPLAY_MATRIX = "display_matrix"
"""Key in `PlateInfo.metadata` of a display matrix that is more than a quarter turn: nine numbers in FFmpeg's layout."""

_PROGRESSIVE_ORDERS = frozenset({0, 1})
"""AVFieldOrder: unknown, progressive."""
_FILE_WORDS = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "timecode", "reel_name", "duration"}
)
"""Metadata that is about the file and not about the shot, or is told in fields of their own."""


def plate_info(
    path: Path, container: InputContainer, stream: VideoStream, *, said: Said, first: av.VideoFrame, index: MovieIndex
) -> PlateInfo:
    """Describes a movie.

    Args:
        path: The movie.
        container: The open file.
        stream: Its picture.
        said: The colour tags of its context before anything was decoded.
        first: The first decoded picture; some facts, such as the rotation, come only with it.
        index: Its frames.

    Raises:
        MediaError: The pixel format is not supported.
        ColorError: It is tagged with a matrix that is not supported.
    """
    context = stream.codec_context
    layout, unlike = _layout(path, context.name, first.format.name)
    tags, unsaid = read_tags(said, Said.by(first), layout, path)
    rotation, matrix = _rotation(first)
    size = (first.width, first.height)
    width, height = size if rotation % 180 == 0 else size[::-1]
    metadata = {key: value for key, value in container.metadata.items() if key.lower() not in _FILE_WORDS}
    return PlateInfo(
        path=path,
        width=width,
        height=height,
        layout=layout,
        tags=tags,
        first=1,
        count=index.count,
        rate=index.rate,
        variable_rate=index.variable,
        timecode=_said(container, stream, "timecode"),
        reel=_said(container, stream, "reel_name"),
        audio=tuple(audio.codec_context.codec.canonical_name for audio in container.streams.audio),
        codec=context.name,
        pixel_aspect=stream.sample_aspect_ratio or Fraction(1),
        rotation=rotation,
        interlaced=context.field_order not in _PROGRESSIVE_ORDERS or first.interlaced_frame,
        metadata=metadata | unsaid | unlike | matrix | hdr_notes(first),
    )


def _layout(path: Path, codec: str, pix_fmt: str) -> tuple[PixelLayout, dict[str, str]]:
    """How pictures are stored, and a note if chroma lies where nobody looks for it."""
    layout = layout_of(pix_fmt, chroma_location(codec))
    if layout.model != "ycbcr" or layout.chroma_log2 != (1, 1):
        return layout, {}  # the place is a matter of 4:2:0 alone
    place, note = stated_siting(path)
    return (layout if place is None else layout_of(pix_fmt, place)), note


def stored_size(info: PlateInfo) -> tuple[int, int]:
    """`(width, height)` of the pictures as they are stored, before the rotation."""
    return (info.width, info.height) if info.rotation % 180 == 0 else (info.height, info.width)


def _rotation(first: av.VideoFrame) -> tuple[int, dict[str, str]]:
    """Clockwise degrees to show the picture upright; and the matrix itself if that is not all that it does.

    FFmpeg counts counter-clockwise (libavutil/display.h).
    """
    if Type.DISPLAYMATRIX not in first.side_data:
        return 0, {}
    degrees = -first.rotation % 360
    side_data: Any = first.side_data  # declared as a TypedDict with one key, while it is a mapping by type
    numbers = np.frombuffer(memoryview(side_data[Type.DISPLAYMATRIX]), np.int32)
    a, b, c, d = (int(numbers[place]) for place in (0, 1, 3, 4))
    is_mirrored = a * d - b * c < 0
    if degrees % 90 or is_mirrored:
        return 0, {DISPLAY_MATRIX: " ".join(str(number) for number in numbers)}
    return degrees, {}


def _said(container: InputContainer, stream: VideoStream, key: str) -> str | None:
    """A word of the picture's stream, of a timecode track, or of the file: QuickTime, Matroska and MXF differ."""
    return next((value for name, value in _words(container, stream) if name.lower() == key), None)


def _words(container: InputContainer, stream: VideoStream) -> Iterator[tuple[str, str]]:
    yield from stream.metadata.items()
    for data in container.streams.data:
        yield from data.metadata.items()
    yield from container.metadata.items()
