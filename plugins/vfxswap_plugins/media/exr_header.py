"""The head of an OpenEXR file, byte for byte, so that a delivery carries the plate's own.

Libraries turn attributes into objects and back, and lose some on the way: text that is not UTF-8, fractions that are
not reduced, empty lists, the payload of a NaN. So the library is asked for pixels alone, under a head that holds only
what these need, and the plate's head is put back before the delivery's pixels.

File layout: "OpenEXR File Layout" of the Academy Software Foundation. All numbers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from vfxswap.geometry import Box

_MAGIC = 20000630
TILED, LONG_NAMES, _DEEP, MULTI_PART = 1 << 9, 1 << 10, 1 << 11, 1 << 12
"""Bits of `ExrHead.flags`."""
_VERSION = 0xFF
COMPRESSIONS = (
    *("none", "rle", "zips", "zip", "piz", "pxr24", "b44", "b44a", "dwaa", "dwab"),
    *("htj2k256", "htj2k32", "lj2k", "zstd"),
)
"""Names by the number of the `compression` attribute."""
SAMPLES = ("uint", "half", "float")
"""Names by the number of a channel's type."""
_FOR_PIXELS = frozenset(
    {
        *(b"channels", b"compression", b"dataWindow", b"displayWindow", b"lineOrder", b"pixelAspectRatio"),
        *(b"screenWindowCenter", b"screenWindowWidth", b"tiles", b"type", b"name", b"chunkCount", b"version"),
    }
)
"""Attributes without which the library does not find the pixels."""
_LAID_OUT_BY = (b"channels", b"compression", b"dataWindow", b"lineOrder", b"tiles")
"""Attributes on which the bytes of the pixels depend."""


class DamagedExr(ValueError):
    """The bytes are not a whole OpenEXR file."""


class Attribute(NamedTuple):
    """One entry of a head."""

    name: bytes
    kind: bytes
    """Its type's name."""
    value: bytes

    def encoded(self) -> bytes:
        """As it stands in the file."""
        return self.name + b"\0" + self.kind + b"\0" + struct.pack("<i", len(self.value)) + self.value


class ExrChannel(NamedTuple):
    """One entry of a part's list of channels."""

    name: str
    sample: str
    """`"uint"`, `"half"` or `"float"`."""
    step: tuple[int, int]
    """Pixels from one sample to the next, across and down; (1, 1) unless subsampled."""


@dataclass(frozen=True, slots=True)
class PartHead:
    """The attributes of one part, in the file's order."""

    attributes: tuple[Attribute, ...]

    def value(self, name: str) -> bytes | None:
        """An attribute's bytes."""
        wanted = name.encode()
        return next((each.value for each in self.attributes if each.name == wanted), None)

    def text(self, name: str) -> str | None:
        """An attribute's text; bytes that are not UTF-8 are taken for Latin-1."""
        value = self.value(name)
        if value is None:
            return None
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")

    def numbers(self, name: str, form: str) -> tuple[float, ...] | None:
        """An attribute's numbers, by a format of `struct`; None if it is missing or of another size."""
        value = self.value(name)
        return None if value is None or len(value) != struct.calcsize(f"<{form}") else struct.unpack(f"<{form}", value)

    def window(self, name: str) -> Box:
        """A window, in pixels.

        Raises:
            DamagedExr: There is none.
        """
        edges = self.numbers(name, "4i")
        if edges is None:
            raise DamagedExr(f"its head has no {name}")
        x0, y0, x1, y1 = (int(edge) for edge in edges)
        return Box(x0, y0, x1 + 1, y1 + 1)

    @property
    def compression(self) -> str:
        """Name of the compression; a number where it is not known."""
        number = (self.value("compression") or b"\0")[0]
        return COMPRESSIONS[number] if number < len(COMPRESSIONS) else f"number {number}"

    @property
    def rate(self) -> Fraction | None:
        """Frames a second, by OpenEXR's name, or by that under which OpenImageIO writes what it calls so."""
        found = (self.numbers(name, "iI") for name in ("framesPerSecond", "FramesPerSecond"))
        return next((Fraction(int(up), int(down)) for up, down in filter(None, found) if up > 0 and down), None)

    @property
    def channels(self) -> tuple[ExrChannel, ...]:
        """The channels, by name.

        Raises:
            DamagedExr: The list is cut off.
        """
        data, found, place = self.value("channels") or b"\0", [], 0
        while data[place : place + 1] not in {b"\0", b""}:
            end = data.find(b"\0", place)
            if end < 0 or end + 17 > len(data):
                raise DamagedExr("its list of channels is cut off")
            kind, _, across, down = struct.unpack_from("<iIii", data, end + 1)
            sample = SAMPLES[kind] if 0 <= kind < len(SAMPLES) else f"type {kind}"
            found.append(ExrChannel(data[place:end].decode("latin-1"), sample, (across, down)))
            place = end + 17
        return tuple(found)

    def with_more(self, attribute: Attribute) -> PartHead:
        """The head with one more attribute."""
        return PartHead((*self.attributes, attribute))

    def changed(self, values: Mapping[bytes, bytes]) -> PartHead:
        """The head with other bytes in some attributes that it has."""
        return PartHead(tuple(each._replace(value=values.get(each.name, each.value)) for each in self.attributes))


@dataclass(frozen=True, slots=True)
class ExrHead:
    """All that stands before the tables of a file's chunks."""

    flags: int
    """Version and kind of the file."""
    parts: tuple[PartHead, ...]

    @property
    def is_multi_part(self) -> bool:
        """Whether it says so; such a file may have one part."""
        return bool(self.flags & MULTI_PART)

    @property
    def is_deep(self) -> bool:
        """Whether a part holds deep data."""
        return bool(self.flags & _DEEP)

    def encoded(self) -> bytes:
        """The head's bytes, as it was read where nothing was changed."""
        parts = (b"".join(each.encoded() for each in part.attributes) + b"\0" for part in self.parts)
        return struct.pack("<II", _MAGIC, self.flags) + b"".join(parts) + b"\0" * self.is_multi_part

    def for_pixels(self) -> ExrHead:
        """The same with nothing but what the pixels need."""
        kept = [tuple(each for each in part.attributes if each.name in _FOR_PIXELS) for part in self.parts]
        return replace(self, parts=tuple(PartHead(attributes) for attributes in kept))


def read_head(data: bytes) -> tuple[ExrHead, int]:
    """The head of a file, and how many bytes it takes.

    Args:
        data: The file, or as much of its beginning as holds the head.

    Raises:
        DamagedExr: It is no OpenEXR file, or ends within the head.
    """
    if len(data) < 8:
        raise DamagedExr("it ends within its head")
    magic, flags = struct.unpack_from("<II", data)
    if magic != _MAGIC:
        raise DamagedExr("it is not an OpenEXR file")
    if flags & _VERSION != 2:
        raise DamagedExr(f"it is of version {flags & _VERSION} of OpenEXR, expected 2")
    place, parts = 8, []
    while True:
        attributes, place = _read_attributes(data, place)
        if attributes:
            parts.append(PartHead(tuple(attributes)))
        if not (flags & MULTI_PART and attributes):
            break
    if not parts:
        raise DamagedExr("its head is empty")
    return ExrHead(flags, tuple(parts)), place


def _read_attributes(data: bytes, place: int) -> tuple[list[Attribute], int]:
    found = []
    while data[place : place + 1] != b"\0":
        name, place = _read_name(data, place)
        kind, place = _read_name(data, place)
        size = int.from_bytes(data[place : place + 4], "little", signed=True)
        place += 4
        if size < 0 or place + size > len(data):
            raise DamagedExr("it ends within its head")
        found.append(Attribute(name, kind, data[place : place + size]))
        place += size
    return found, place + 1


def _read_name(data: bytes, place: int) -> tuple[bytes, int]:
    end = data.find(b"\0", place, place + 256)
    if end <= place:
        raise DamagedExr("it ends within its head, or its head is damaged")
    return data[place:end], end + 1


def with_head(data: bytes, old_size: int, head: ExrHead) -> bytes:
    """A file under another head: where its chunks lie is corrected in their tables.

    Args:
        data: The file, whole.
        old_size: Bytes of the head that it has.
        head: The one that it shall have; must lay its pixels out alike.

    Raises:
        DamagedExr: A chunk is missing, or lies outside the file.
    """
    table = chunk_places(data, old_size)
    start = head.encoded()
    moved = (table + np.uint64(len(start)) - np.uint64(old_size)).astype("<u8")
    return b"".join((start, moved.tobytes(), memoryview(data)[old_size + 8 * len(table) :]))


def check_layout(one: ExrHead, other: ExrHead) -> None:
    """Whether pixels under one head may stand under another.

    Raises:
        ValueError: They would be read wrongly.
    """
    if len(one.parts) != len(other.parts):
        raise ValueError(f"{len(one.parts)} parts were encoded for {len(other.parts)}")
    for ours, theirs in zip(one.parts, other.parts, strict=True):
        for name in (*_LAID_OUT_BY, *((b"chunkCount",) if one.is_multi_part else ())):
            if ours.value(name.decode()) != theirs.value(name.decode()):
                raise ValueError(f"the library encoded pixels for another {name.decode()}")


def chunk_places(data: bytes, start: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Where each chunk of each part begins, in bytes; the first chunk begins where the tables end."""
    if start + 8 > len(data):
        raise DamagedExr("it ends before its pixels")
    first = int.from_bytes(data[start : start + 8], "little")
    if not start + 8 <= first < len(data):
        raise DamagedExr("it was never finished, or is cut off: its first pixels are missing")
    words = np.frombuffer(data, "<u8", count=(first - start) // 8, offset=start)
    lowest = np.minimum.accumulate(words)
    after = np.uint64(start) + np.uint64(8) * np.arange(1, len(words) + 1, dtype=np.uint64)
    count = int(np.argmax(after >= lowest)) + 1
    table = words[:count]
    if int(lowest[count - 1]) != start + 8 * count:
        raise DamagedExr("its table of chunks is damaged")
    if int(table.max()) >= len(data):
        raise DamagedExr("it is cut off: some of its pixels are missing")
    return table


def attributes_of(head: ExrHead) -> Iterator[tuple[int, Attribute]]:
    """All attributes with the number of their part."""
    return ((index, each) for index, part in enumerate(head.parts) for each in part.attributes)
