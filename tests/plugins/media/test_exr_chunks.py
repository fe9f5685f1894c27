"""A delivery's EXR is the plate's own chunks but for those of the lines that were changed."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vfxswap.errors import MediaError, TruncatedPlate
from vfxswap_plugins.media.exr_chunks import chunks_of, part_alone
from vfxswap_plugins.media.exr_header import COMPRESSIONS, DamagedExr, read_head
from vfxswap_plugins.media.exr_read import ExrPicture, describe_exr, read_exr
from vfxswap_plugins.media.exr_write import LOSSLESS, encoded_like

FREE = [name for name in COMPRESSIONS if name in LOSSLESS]
SIZE = (61, 83)
"""Columns and lines; several blocks of most compressions, the last of them not whole."""


def half_bits(seed: int) -> NDArray[Any]:
    return np.random.default_rng(seed).integers(0, 1 << 16, SIZE[::-1], np.uint16).view(np.float16)


def header(compression: str, *, tile: tuple[int, int] | None = None, order: Any = None, **more: Any) -> dict[str, Any]:
    head = {
        "type": OpenEXR.scanlineimage,
        "compression": OpenEXR.Compression(COMPRESSIONS.index(compression)),
        "lineOrder": OpenEXR.INCREASING_Y if order is None else order,
        "dataWindow": ((-7, 11), (-7 + SIZE[0] - 1, 11 + SIZE[1] - 1)),
        "displayWindow": ((0, 0), (99, 99)),
        **more,
    }
    if tile is not None:
        description = OpenEXR.TileDescription()
        description.xSize, description.ySize = tile
        head |= {"type": OpenEXR.tiledimage, "tiles": description}
    return head


def channels(seed: int) -> dict[str, NDArray[Any]]:
    return {name: half_bits(seed + i) for i, name in enumerate(("R", "G", "B", "A", "mask"))}


def write(path: Path, *parts: tuple[dict[str, Any], dict[str, NDArray[Any]]]) -> Path:
    OpenEXR.File([OpenEXR.Part(*part) for part in parts]).write(str(path))
    return path


def opened(path: Path) -> ExrPicture:
    return read_exr(path, describe_exr(path), frame=1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    compression=st.sampled_from(FREE),
    tile=st.one_of(st.none(), st.tuples(st.integers(1, 70), st.integers(1, 90))),
    order=st.sampled_from([OpenEXR.INCREASING_Y, OpenEXR.DECREASING_Y]),
    lines=st.lists(st.integers(0, SIZE[1] - 1), max_size=4),
    parts=st.integers(0, 2),
)
def test_it_is_the_file_that_the_library_makes_of_all_pixels(
    tmp_path: Path, compression: str, tile: tuple[int, int] | None, order: Any, lines: list[int], parts: int
) -> None:
    def made(name: str, pixels: dict[str, NDArray[Any]]) -> Path:
        picture = (header(compression, tile=tile, order=order, name="rgba"), pixels)
        depth = (header("rle", name="depth"), {"Z": half_bits(50).astype(np.float32)})
        normals = (header("zips", name="N", tile=(16, 16)), {"N.x": half_bits(51), "N.y": half_bits(52)})
        return write(tmp_path / name, *([picture], [depth, picture], [depth, picture, normals])[parts])

    plate, wanted = channels(1), channels(1)
    for line in lines:
        for name in "RGB":
            wanted[name][line] = half_bits(90)[line]
    changed = opened(made("plate.exr", plate)).copy()
    for line in lines:
        for plane in changed.planes[:3]:
            plane[line] = half_bits(90)[line]
    assert encoded_like(changed, None) == made("wanted.exr", wanted).read_bytes()


def repacked(path: Path) -> bytes:
    """The same file, its ZIP chunks compressed with another effort, as another program would."""
    data = path.read_bytes()
    head, start = read_head(data)
    (chunks,) = chunks_of(data, start, head)
    table, bodies = [], []
    here = start + 8 * len(chunks.places)
    for place, size in zip(chunks.places.tolist(), chunks.sizes.tolist(), strict=True):
        packed = zlib.compress(zlib.decompress(data[place + 8 : place + size]), 1)
        bodies.append(data[place : place + 4] + struct.pack("<i", len(packed)) + packed)
        table.append(here)
        here += len(bodies[-1])
    path.write_bytes(data[:start] + struct.pack(f"<{len(table)}Q", *table) + b"".join(bodies))
    return data


def smooth() -> dict[str, NDArray[Any]]:
    y, x = np.mgrid[: SIZE[1], : SIZE[0]].astype(np.float32)
    return {name: (0.3 + 0.2 * np.sin(x / 9 + i) * np.cos(y / 7)).astype(np.float16) for i, name in enumerate("RGBA")}


def test_chunks_of_lines_that_nobody_changed_are_the_plates_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.exr", (header("zip"), smooth()))
    ours = repacked(path)
    assert path.read_bytes() != ours, "the library packs them in another way"
    assert encoded_like(opened(path).copy(), None) == path.read_bytes()
    changed = opened(path).copy()
    changed.planes[1][40:44] = 0.25
    plate, result = path.read_bytes(), encoded_like(changed, None)
    (tmp_path / "b.exr").write_bytes(result)
    same = [one == other for one, other in zip(chunk_bytes(plate), chunk_bytes(result), strict=True)]
    assert same == [True, True, False, True, True, True]
    expected = smooth()
    expected["G"][40:44] = 0.25
    for name, channel in opened(tmp_path / "b.exr").file.own[1].items():
        assert np.array_equal(channel.pixels, expected[name])


def chunk_bytes(data: bytes) -> list[bytes]:
    head, start = read_head(data)
    (chunks,) = chunks_of(data, start, head)
    return [data[p : p + n] for p, n in zip(chunks.places.tolist(), chunks.sizes.tolist(), strict=True)]


def two_parts(path: Path) -> Path:
    depth = {"Z": half_bits(3).astype(np.float32)}
    return write(path, (header("zip", name="rgba"), channels(1)), (header("zip", name="depth"), depth))


def test_a_part_that_is_not_the_picture_is_carried_as_it_is_stored(tmp_path: Path) -> None:
    """Also where it cannot be decoded: nobody asked for that."""
    path = two_parts(tmp_path / "a.exr")
    data = bytearray(path.read_bytes())
    head, start = read_head(bytes(data))
    place = int(chunks_of(bytes(data), start, head)[1].places[2])
    data[place + 12 : place + 40] = bytes(28)
    path.write_bytes(data)
    changed = opened(path).copy()
    changed.planes[0][:] = 0.5
    result = encoded_like(changed, None)
    parts = [part_alone(file, head, chunks_of(file, start, head), 1) for file in (bytes(data), result)]
    assert parts[0] == parts[1]
    with pytest.raises(MediaError, match=r"a\.exr is damaged or cut off"):
        encoded_like(changed, "zips")


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("what", ["place", "size", "line", "part"])
def test_chunks_that_make_no_sense_are_damage(tmp_path: Path, what: str, part: int) -> None:
    path = two_parts(tmp_path / "a.exr")
    data = bytearray(path.read_bytes())
    head, start = read_head(bytes(data))
    chunks = chunks_of(bytes(data), start, head)
    place = int(chunks[part].places[1])
    at, form, value = {
        "place": (start + 8 * (part * len(chunks[0].places) + 1), "<Q", len(data) - 3),
        "size": (place + 8, "<i", 1 << 30),
        "line": (place + 4, "<i", 1000),
        "part": (place, "<i", 7),
    }[what]
    struct.pack_into(form, data, at, value)
    with pytest.raises(DamagedExr):
        chunks_of(bytes(data), start, head)
    path.write_bytes(data)
    with pytest.raises(TruncatedPlate, match=r"a\.exr is damaged or cut off") as caught:
        read_exr(path, describe_exr(path), frame=1004)
    assert caught.value.frame == 1004
