"""The pixels of an OpenEXR file as the chunks that they are stored in: blocks of lines, or tiles.

Chunks do not depend on one another. So a part of a file can be decoded without the others, and a delivery is the
plate's own chunks, as they are, but for those of the lines in which something was changed.

File layout: "OpenEXR File Layout" of the Academy Software Foundation. All numbers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vfxswap_plugins.media.exr_header import LONG_NAMES, TILED, DamagedExr, ExrHead, PartHead, chunk_places

_VERSION = 2
_PART_BYTES = 4
"""Of the number of its part, which a chunk of a multi-part file begins with."""
_LINES_BYTES, _TILE_BYTES = 8, 20
"""Of the rest of a chunk's head: line and size; column and row of a tile, its two levels and size."""


@dataclass(frozen=True, slots=True, eq=False)
class PartChunks:
    """Where the chunks of one part are, in the order of its table: from top to bottom."""

    places: NDArray[np.int64]
    """First byte of each in the file."""
    sizes: NDArray[np.int64]
    """Bytes of each, its head included."""
    lines: NDArray[np.int64]
    """First line of each, counted from the top of the data window."""
    height: int
    """Lines of the part."""
    is_tiled: bool

    def of_lines(self, changed: NDArray[np.bool_]) -> list[tuple[int, int]]:
        """The rows of blocks that hold some lines: pieces of `blocks`, as first and behind the last, ascending."""
        tops = self.blocks
        hit = np.logical_or.reduceat(changed, tops)
        edges = np.flatnonzero(np.diff(np.concatenate(([False], hit, [False])).astype(np.int8)))
        return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]

    @property
    def blocks(self) -> NDArray[np.int64]:
        """First line of each row of blocks, ascending."""
        return np.unique(self.lines)


def chunks_of(data: bytes, start: int, head: ExrHead) -> tuple[PartChunks, ...]:
    """Finds the chunks of a file that is not deep.

    Args:
        data: The file, whole.
        start: Bytes of its head.
        head: Its head.

    Raises:
        DamagedExr: One is missing, or reaches out of the file.
    """
    table = chunk_places(data, start).astype(np.int64)
    counts = [len(table)]
    if head.is_multi_part:
        counts = [int((part.numbers("chunkCount", "i") or (0,))[0]) for part in head.parts]
    if sum(counts) != len(table) or min(counts) < 1:
        raise DamagedExr("its table of chunks is damaged")
    ends = np.cumsum(counts)
    return tuple(
        _part_chunks(data, table[end - count : end], head, index)
        for index, (count, end) in enumerate(zip(counts, ends, strict=True))
    )


def _part_chunks(data: bytes, places: NDArray[np.int64], head: ExrHead, index: int) -> PartChunks:
    part = head.parts[index]
    is_tiled = _is_tiled(head, part)
    skipped = _PART_BYTES * head.is_multi_part
    size = skipped + (_TILE_BYTES if is_tiled else _LINES_BYTES)
    if int(places.max()) + size > len(data):
        raise DamagedExr("it is cut off: some of its pixels are missing")
    raw = np.frombuffer(data, np.uint8)[places[:, None] + np.arange(size)]
    words = np.ascontiguousarray(raw).view("<i4").astype(np.int64)
    sizes = size + words[:, -1]
    window = part.window("dataWindow")
    row = words[:, skipped // 4 + is_tiled]
    lines = row * _tile_height(part) if is_tiled else row - window.y0
    if head.is_multi_part and (words[:, 0] != index).any():
        raise DamagedExr("its table of chunks is damaged")
    if (words[:, -1] < 0).any() or lines[0] != 0 or (np.diff(lines) < 0).any() or lines[-1] >= window.height:
        raise DamagedExr("the head of one of its chunks is damaged")
    if (places + sizes > len(data)).any():
        raise DamagedExr("it is cut off: some of its pixels are missing")
    return PartChunks(places, sizes, lines, window.height, is_tiled)


def _is_tiled(head: ExrHead, part: PartHead) -> bool:
    return part.text("type") == "tiledimage" if head.is_multi_part else bool(head.flags & TILED)


def _tile_height(part: PartHead) -> int:
    value = part.value("tiles")
    if value is None or len(value) != 9 or struct.unpack_from("<I", value, 4)[0] == 0:
        raise DamagedExr("its head does not say how large its tiles are")
    return int(struct.unpack_from("<I", value, 4)[0])


def part_alone(data: bytes, head: ExrHead, chunks: Sequence[PartChunks], index: int) -> bytes:
    """One part as a file of its own, under a head that holds what its pixels need and nothing else."""
    mine, whole = chunks[index], memoryview(data)
    flags = _VERSION | (head.flags & LONG_NAMES) | TILED * mine.is_tiled
    start = ExrHead(flags, head.for_pixels().parts[index : index + 1]).encoded()
    skipped = _PART_BYTES * head.is_multi_part
    sizes = mine.sizes - skipped
    table = len(start) + 8 * len(sizes) + np.cumsum(sizes) - sizes
    pieces = (whole[p + skipped : p + n] for p, n in zip(mine.places.tolist(), mine.sizes.tolist(), strict=True))
    return b"".join((start, table.astype("<u8").tobytes(), *pieces))


def bodies(data: bytes, chunks: PartChunks, *, part: int | None, block: int) -> list[bytes]:
    """The chunks of a file of one part, as they stand in another file.

    Args:
        data: The file.
        chunks: Its chunks.
        part: Number of the part that they will belong to, in a file of several.
        block: Rows of tiles that lie above them there.
    """
    start = b"" if part is None else struct.pack("<i", part)
    found = []
    for place, size in zip(chunks.places.tolist(), chunks.sizes.tolist(), strict=True):
        body = data[place : place + size]
        if chunks.is_tiled:
            column, row = struct.unpack_from("<2i", body)
            body = struct.pack("<2i", column, row + block) + body[8:]
        found.append(start + body)
    return found


def spliced(data: bytes, start: int, chunks: Sequence[PartChunks], new: Mapping[tuple[int, int], bytes]) -> bytes:
    """A file with other chunks in the places of some; all else has the same bytes, and the same order.

    Args:
        data: The file.
        start: Bytes of its head.
        chunks: Its chunks, by part.
        new: Chunks by part and place in the part's table.
    """
    keys = [(part, i) for part, mine in enumerate(chunks) for i in range(len(mine.places))]
    places = np.concatenate([mine.places for mine in chunks])
    sizes = np.concatenate([mine.sizes for mine in chunks])
    order = np.argsort(places, kind="stable")
    whole, pieces, moved = memoryview(data), [], np.empty_like(places)
    here = start + 8 * len(places)
    for i in order.tolist():
        place = int(places[i])
        piece = new.get(keys[i]) or whole[place : place + int(sizes[i])]
        moved[i] = here
        here += len(piece)
        pieces.append(piece)
    return b"".join((whole[:start], moved.astype("<u8").tobytes(), *pieces))


def lines_between(blocks: NDArray[np.int64], height: int, first: int, behind: int) -> tuple[int, int]:
    """The lines of rows of blocks: from the first line to behind the last."""
    edges = [*blocks.tolist(), height]
    return edges[first], edges[behind]
