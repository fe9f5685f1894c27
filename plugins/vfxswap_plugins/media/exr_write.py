"""OpenEXR files, written by OpenEXR's own library: a plate's file with other colours, or a new one."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from vfxswap.clock import Timecode
from vfxswap.color import ColorTags, Primaries, Transfer
from vfxswap.frame import Picture, Plane
from vfxswap_plugins.media.exr_chunks import bodies, chunks_of, lines_between, spliced
from vfxswap_plugins.media.exr_header import COMPRESSIONS, Attribute, ExrHead, check_layout, read_head, with_head
from vfxswap_plugins.media.exr_read import ExrPicture
from vfxswap_plugins.media.smpte import DROP, FIELD, packed

ExrCompression = Literal[
    "none", "rle", "zips", "zip", "piz", "htj2k256", "htj2k32", "pxr24", "b44", "b44a", "dwaa", "dwab"
]
"""What a delivery may be compressed by."""
LOSSLESS = frozenset({"none", "rle", "zips", "zip", "piz", "htj2k256", "htj2k32", "zstd"})
"""Compressions that keep every bit of every type of sample."""
INSTEAD: ExrCompression = "zips"
"""Stands in for a lossy compression; a line a block, which Nuke reads fastest."""
_CHROMATICITIES = {
    Primaries.BT709: ("lin_rec709_scene", (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)),
    Primaries.P3_D65: ("lin_p3d65_scene", (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.3290)),
    Primaries.BT2020: ("lin_rec2020_scene", (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.3290)),
    Primaries.AP0: ("lin_ap0_scene", (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)),
    Primaries.AP1: ("lin_ap1_scene", (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767)),
}
"""Name of the space by the Color Interop Forum, and OpenEXR's attribute of x and y of red, green, blue and white."""


def kept_compression(plate: str) -> str:
    """The lossless compression for a plate of some compression: its own, or what stands in for it."""
    return plate if plate in LOSSLESS else INSTEAD


def encoded_like(picture: ExrPicture, compression: str | None) -> bytes:
    """The plate's file with the picture's colours: all else, the head included, has the plate's own bytes.

    Where the compression stays, these are the plate's own chunks too, but for those of the lines that were changed.

    Args:
        picture: The plate's own, or a copy that was changed.
        compression: Name of a compression for all parts; None keeps each part's own, or a lossless one for a lossy one.

    Raises:
        ValueError: The library laid out the pixels in another way than the plate's head says.
        RuntimeError: The library cannot write such a file.
    """
    file = picture.file
    chosen = [compression or kept_compression(part.compression) for part in file.head.parts]
    if chosen == [part.compression for part in file.head.parts]:
        return _with_new_chunks(picture)
    changed = picture.own_planes
    parts = []
    for index, (header, channels) in enumerate(file.parts):
        colors = changed if index == file.place.part else {}
        own = {name: _channel(channel, colors.get(name)) for name, channel in channels.items()}
        parts.append(OpenEXR.Part(for_writing(header, chosen[index]), own))
    data = encoded(parts)
    written, size = read_head(data)
    head = _carried(file.head, written, chosen)
    check_layout(written, head)
    return with_head(data, size, head)


def _with_new_chunks(picture: ExrPicture) -> bytes:
    """The plate's file, of which those chunks alone are encoded anew that hold a line that was changed."""
    file, index = picture.file, picture.file.place.part
    chunks, blocks = file.chunks[index], file.chunks[index].blocks
    new = {}
    for first, behind in chunks.of_lines(_changed_lines(picture)):
        lines = lines_between(blocks, chunks.height, first, behind)
        fresh = _encoded_lines(picture, slice(*lines), first)
        (places,) = np.nonzero((chunks.lines >= lines[0]) & (chunks.lines < lines[1]))
        new.update({(index, int(i)): body for i, body in zip(places, fresh, strict=True)})
    return spliced(file.data, file.start, file.chunks, new) if new else file.data


def _changed_lines(picture: ExrPicture) -> NDArray[np.bool_]:
    own = picture.file.own[1]
    found = np.zeros(picture.inner.height, dtype=bool)
    for name, plane in picture.own_planes.items():
        before = own[name].pixels
        if plane is not before:
            words = f"u{before.itemsize}"  # bits, as a NaN is no equal of itself
            found |= (plane.view(words) != before.view(words)).any(axis=1)
    return found


def _encoded_lines(picture: ExrPicture, lines: slice, block: int) -> list[bytes]:
    """Chunks of some lines, which begin and end with whole rows of blocks."""
    file = picture.file
    header, channels = file.own
    planes = picture.own_planes
    cut = {name: _channel(each, planes.get(name, each.pixels)[lines]) for name, each in channels.items()}
    window = file.head.parts[file.place.part].window("dataWindow")
    corners = ((window.x0, window.y0 + lines.start), (window.x1 - 1, window.y0 + lines.stop - 1))
    compression = file.head.parts[file.place.part].compression
    data = encoded([OpenEXR.Part(for_writing(header, compression) | {"dataWindow": corners}, cut)])
    head, start = read_head(data)
    (chunks,) = chunks_of(data, start, head)
    return bodies(data, chunks, part=file.place.part if file.head.is_multi_part else None, block=block)


def encoded_new(
    picture: Picture,
    tags: ColorTags,
    compression: str,
    *,
    rate: Fraction | None,
    timecode: str | None,
    aspect: Fraction,
) -> bytes:
    """A new file of a picture's R, G, B (or Y) and A, as half or float.

    Args:
        picture: Of a float layout.
        tags: What its numbers mean.
        compression: Name of the compression.
        rate: Frames a second; None if nobody says it, which leaves out the timecode too.
        timecode: Of this frame.
        aspect: Width of a pixel over its height.

    Raises:
        RuntimeError: The library cannot write such a file.
    """
    layout = picture.layout
    names = ("Y",) if layout.model == "gray" else ("R", "G", "B")
    kind = np.float16 if layout.bits == 16 else np.float32
    planes = zip((*names, "A"), picture.planes, strict=False)
    channels = {name: OpenEXR.Channel(np.ascontiguousarray(plane, dtype=kind)) for name, plane in planes}
    header = new_header(tags, compression, rate=rate, timecode=timecode, aspect=aspect)
    return encoded([OpenEXR.Part(header, channels)])


def new_header(
    tags: ColorTags, compression: str, *, rate: Fraction | None, timecode: str | None, aspect: Fraction
) -> dict[str, Any]:
    """The library's header of a new file; arguments as for `encoded_new`.

    Raises:
        UsageError: The timecode has no place in one.
    """
    header: dict[str, Any] = {
        "type": OpenEXR.scanlineimage,
        "compression": compression_number(compression),
        "pixelAspectRatio": float(aspect),
    }
    if tags.transfer is Transfer.LINEAR and tags.primaries in _CHROMATICITIES:
        header["colorInteropID"], header["chromaticities"] = _CHROMATICITIES[tags.primaries]
    if rate is not None:
        header["framesPerSecond"] = rate
        if timecode is not None:
            header["timeCode"] = _timecode(timecode, rate)
    return header


def compression_number(compression: str) -> Any:
    """The library's value for a compression's name."""
    return OpenEXR.Compression(COMPRESSIONS.index(compression))


def for_writing(header: Mapping[str, Any], compression: str) -> dict[str, Any]:
    """The library's header of a part that was read, for one that is compressed in another way."""
    own = {name: value for name, value in header.items() if name not in {"channels", "chunkCount"}}
    return own | {"compression": compression_number(compression)}


def _channel(channel: Any, plane: Plane | None) -> Any:
    if plane is None:
        return channel
    return OpenEXR.Channel(np.ascontiguousarray(plane), channel.xSampling, channel.ySampling, channel.pLinear)


def encoded(parts: list[Any]) -> bytes:
    """A file of some parts, by the library alone."""
    stream = io.BytesIO()
    OpenEXR.File(parts).write(stream)
    return stream.getvalue()


def _carried(plate: ExrHead, written: ExrHead, compressions: list[str]) -> ExrHead:
    """The plate's head, with the compression, and the count of chunks that follows from it."""
    parts = []
    for part, ours, name in zip(plate.parts, written.parts, compressions, strict=True):
        values = {b"compression": bytes([COMPRESSIONS.index(name)])}
        count = ours.value("chunkCount")
        parts.append(part.changed(values if count is None else values | {b"chunkCount": count}))
    return ExrHead(plate.flags, tuple(parts))


def with_rate(data: bytes, rate: Fraction) -> bytes:
    """A file whose parts say their rate, where they did not."""
    head, size = read_head(data)
    said = Attribute(b"framesPerSecond", b"rational", struct.pack("<iI", rate.numerator, rate.denominator))
    parts = tuple(part if part.rate else part.with_more(said) for part in head.parts)
    return data if parts == head.parts else with_head(data, size, replace(head, parts=parts))


def _timecode(text: str, rate: Fraction) -> Any:
    """OpenEXR's timecode of a text.

    Raises:
        UsageError: It is no timecode of that rate, or counts more frames than there is room for.
    """
    word = packed(Timecode.parse(text, rate))
    digits = (10 * (byte >> 4) + (byte & 0xF) for byte in (word & 0x3F7F7F3F).to_bytes(4, "big"))
    code = OpenEXR.TimeCode()
    code.hours, code.minutes, code.seconds, code.frame = digits
    code.dropFrame, code.fieldPhase = bool(word & DROP), bool(word & FIELD)
    return code
