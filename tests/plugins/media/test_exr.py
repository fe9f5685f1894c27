"""OpenEXR files go through without harm: every bit of every channel, window and attribute, in every layout."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vfxswap.color import Primaries, Transfer
from vfxswap.errors import MediaError, TruncatedPlate
from vfxswap.geometry import Box
from vfxswap_plugins.media.exr_header import COMPRESSIONS, Attribute, ExrHead, PartHead, read_head, with_head
from vfxswap_plugins.media.exr_read import ExrPicture, describe_exr, read_exr, same_samples
from vfxswap_plugins.media.exr_write import LOSSLESS, encoded_like

WORDS = {"half": np.uint16, "float": np.uint32, "uint": np.uint32}
TYPES = {"half": np.float16, "float": np.float32, "uint": np.uint32}
FREE = [name for name in COMPRESSIONS if name in LOSSLESS]


def random_words(kind: str, height: int, width: int, seed: int) -> NDArray[Any]:
    """Every pattern of bits is as likely as any other: signalling not-a-numbers, infinities, subnormals."""
    rng = np.random.default_rng(seed)
    top = (1 << 8 * np.dtype(WORDS[kind]).itemsize) - 1
    return rng.integers(0, top, (height, width), dtype=WORDS[kind], endpoint=True).view(TYPES[kind])


def part(
    channels: Mapping[str, str], window: Box, display: Box, *, compression: str = "zip", seed: int = 0, **header: Any
) -> OpenEXR.Part:
    head = {
        "type": OpenEXR.scanlineimage,
        "compression": OpenEXR.Compression(COMPRESSIONS.index(compression)),
        "dataWindow": ((window.x0, window.y0), (window.x1 - 1, window.y1 - 1)),
        "displayWindow": ((display.x0, display.y0), (display.x1 - 1, display.y1 - 1)),
        **header,
    }
    pixels = {
        name: OpenEXR.Channel(random_words(kind, window.height, window.width, seed + i))
        for i, (name, kind) in enumerate(channels.items())
    }
    return OpenEXR.Part(head, pixels)


def write(path: Path, *parts: OpenEXR.Part) -> Path:
    OpenEXR.File(list(parts)).write(str(path))
    return path


def tiles(size: int, *, mode: Any = OpenEXR.ONE_LEVEL) -> dict[str, Any]:
    description = OpenEXR.TileDescription()
    description.xSize, description.ySize, description.mode = size, size // 2, mode
    return {"type": OpenEXR.tiledimage, "tiles": description}


def opened(path: Path) -> ExrPicture:
    return read_exr(path, describe_exr(path), frame=1)


def delivered(picture: ExrPicture, path: Path, compression: str | None = None) -> Path:
    path.write_bytes(encoded_like(picture, compression))
    return path


def with_attributes(path: Path, *added: Attribute) -> Path:
    """The same file with more attributes at the end of its first part's head, as other programs write them."""
    data = path.read_bytes()
    head, size = read_head(data)
    first, *others = head.parts
    longer = ExrHead(head.flags, (PartHead((*first.attributes, *added)), *others))
    path.write_bytes(with_head(data, size, longer))
    return path


RGBA = {"R": "half", "G": "half", "B": "half", "A": "half"}
FULL = Box(0, 0, 53, 37)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    color=st.sampled_from(["half", "float"]),
    extra=st.dictionaries(
        st.sampled_from(["A", "Z", "id", "depth.Z", "left.R", "crypto00.R", "disparityL.x"]),
        st.sampled_from(["half", "float", "uint"]),
    ),
    compression=st.sampled_from(FREE),
    corner=st.tuples(st.integers(-70, 70), st.integers(-70, 70)),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    is_tiled=st.booleans(),
    second=st.one_of(st.none(), st.sampled_from(["half", "float", "uint"])),
    order=st.sampled_from([OpenEXR.INCREASING_Y, OpenEXR.DECREASING_Y]),
    seed=st.integers(0, 1000),
)
def test_a_picture_that_nobody_changed_gives_the_very_same_file(  # noqa: PLR0917 - hypothesis gives them by name
    tmp_path: Path,
    color: str,
    extra: dict[str, str],
    compression: str,
    corner: tuple[int, int],
    size: tuple[int, int],
    is_tiled: bool,
    second: str | None,
    order: Any,
    seed: int,
) -> None:
    window = Box(*corner, corner[0] + size[0], corner[1] + size[1])
    header: dict[str, Any] = {"lineOrder": order, **(tiles(16) if is_tiled else {}), "name": "beauty"}
    channels = dict.fromkeys("RGB", color) | extra
    parts = [part(channels, window, FULL, compression=compression, seed=seed, **header)]
    if second is not None:
        other = Box(3, -2, 40, 30)
        parts.append(part({"N.x": second, "N.y": second}, other, FULL, compression="rle", seed=seed, name="normals"))
    path = write(tmp_path / "a.exr", *parts)
    picture = opened(path)
    assert (picture.width, picture.height) == size
    assert delivered(picture.copy(), tmp_path / "b.exr").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("compression", FREE)
@pytest.mark.parametrize("is_tiled", [False, True])
def test_what_is_changed_changes_there_alone(tmp_path: Path, compression: str, is_tiled: bool) -> None:
    window = Box(-8, -6, 60, 41)
    channels = {**RGBA, "Z": "float", "mask.id": "uint"}
    header = tiles(16) if is_tiled else {}
    path = write(tmp_path / "a.exr", part(channels, window, FULL, compression=compression, **header))
    before = opened(path)
    changed = before.copy()
    for plane in changed.planes[:3]:
        plane[10:20, 30:45] = 0.25
    after = opened(delivered(changed, tmp_path / "b.exr"))
    for old, new in zip(before.planes[:3], after.planes[:3], strict=True):
        assert (new[10:20, 30:45] == 0.25).all()
        mended = new.copy()
        mended[10:20, 30:45] = old[10:20, 30:45]
        assert same_samples(old, mended)
    for name in ("A", "Z", "mask.id"):
        assert same_samples(before.file.parts[0][1][name].pixels, after.file.parts[0][1][name].pixels)
    assert after.file.head == before.file.head


ODD = (
    Attribute(b"latin", b"string", b"caf\xe9"),
    Attribute(b"empty", b"string", b""),
    Attribute(b"nobody", b"stringvector", b""),
    Attribute(b"nothing", b"floatvector", b""),
    Attribute(b"unreduced", b"rational", struct.pack("<iI", 48, 2)),
    Attribute(b"endless", b"rational", struct.pack("<iI", 1, 0)),
    Attribute(b"payload", b"float", b"\x01\x00\xa0\x7f"),
    Attribute(b"precise", b"double", struct.pack("<d", 0.1)),
    Attribute(b"studio.thing/deep name", b"string", b"kept"),
    Attribute(b"studio.secret", b"zork", b"\x00\x01\x02"),
    Attribute(b"keyCode", b"keycode", struct.pack("<7i", 1, 2, 123456, 3, 4, 5, 64)),
    Attribute(b"deepImageState", b"deepImageState", b"\x01"),
    Attribute(b"preview", b"preview", struct.pack("<II", 2, 2) + bytes(16)),
    Attribute(b"capDate", b"string", b"2026:01:02 03:04:05"),
    Attribute(b"multiView", b"stringvector", struct.pack("<i", 4) + b"left" + struct.pack("<i", 5) + b"right"),
    Attribute(b"worldToCamera", b"m44f", np.random.default_rng(1).random(16, np.float32).tobytes()),
)


def test_attributes_are_carried_byte_for_byte_whatever_they_are(tmp_path: Path) -> None:
    path = with_attributes(write(tmp_path / "a.exr", part(RGBA, FULL, FULL)), *ODD)
    changed = opened(path).copy()
    changed.planes[0][:] = 0.5
    head, _ = read_head(delivered(changed, tmp_path / "b.exr").read_bytes())
    assert head == read_head(path.read_bytes())[0]
    assert set(ODD) <= set(head.parts[0].attributes)


@pytest.mark.parametrize("compression", sorted(set(COMPRESSIONS) - LOSSLESS))
def test_a_lossy_plate_is_written_without_a_loss_and_keeps_the_rest(tmp_path: Path, compression: str) -> None:
    y, x = np.mgrid[0:37, 0:53].astype(np.float32)
    source = part(RGBA, FULL, FULL, compression=compression)
    for i, channel in enumerate(source.channels.values()):
        channel.pixels = (0.4 + 0.3 * np.sin(x / 5 + i) * np.cos(y / 4)).astype(np.float16)
    path = with_attributes(write(tmp_path / "a.exr", source), *ODD)
    before = opened(path)
    after = opened(delivered(before.copy(), tmp_path / "b.exr"))
    assert all(same_samples(a, b) for a, b in zip(before.planes, after.planes, strict=True))
    assert (before.file.head.parts[0].compression, after.file.head.parts[0].compression) == (compression, "zips")
    differing = set(before.file.head.parts[0].attributes) ^ set(after.file.head.parts[0].attributes)
    assert {each.name for each in differing} == {b"compression"}


def test_another_compression_changes_the_count_of_chunks_with_it(tmp_path: Path) -> None:
    parts = [part(RGBA, FULL, FULL, name="a"), part({"Z": "float"}, FULL, FULL, name="b", seed=9)]
    before = opened(write(tmp_path / "a.exr", *parts))
    after = opened(delivered(before.copy(), tmp_path / "b.exr", "zips"))
    assert [p.numbers("chunkCount", "i") for p in before.file.head.parts] == [(3,), (3,)]
    assert [p.numbers("chunkCount", "i") for p in after.file.head.parts] == [(37,), (37,)]
    assert all(same_samples(a, b) for a, b in zip(before.planes, after.planes, strict=True))


def test_the_header_says_windows_time_and_colour(tmp_path: Path) -> None:
    code = OpenEXR.TimeCode()
    code.hours, code.minutes, code.seconds, code.frame, code.dropFrame = 1, 59, 48, 29, True
    header = {
        "framesPerSecond": Fraction(30000, 1001),
        "timeCode": code,
        "reelName": "A001C003",
        "colorInteropID": "lin_ap1_scene",
        "pixelAspectRatio": 2.0,
        "comment": "a lens test",
    }
    stored = describe_exr(write(tmp_path / "a.exr", part(RGBA, Box(-8, -6, 60, 40), FULL, **header)))
    assert (stored.width, stored.height) == (68, 46)
    assert stored.display == Box(8, 6, 61, 43)
    assert (stored.rate, stored.timecode, stored.reel) == (Fraction(30000, 1001), "01:59:48;29", "A001C003")
    assert (stored.tags.primaries, stored.tags.transfer) == (Primaries.AP1, Transfer.LINEAR)
    assert stored.pixel_aspect == 2
    assert stored.metadata["comment"] == "a lens test"
    by_oiio = part(RGBA, FULL, FULL, FramesPerSecond=Fraction(25), timeCode=OpenEXR.TimeCode())
    assert describe_exr(write(tmp_path / "c.exr", by_oiio)).rate == 25
    plain = describe_exr(write(tmp_path / "b.exr", part({"R": "float", "G": "float", "B": "float"}, FULL, FULL)))
    assert (plain.display, plain.tags.primaries, plain.timecode) == (None, Primaries.UNSPECIFIED, None)


@pytest.mark.parametrize(
    ("channels", "planes"),
    [
        ({"B": "half", "depth.Z": "float", "R": "half", "G": "half"}, ("R", "G", "B")),
        ({**RGBA, "A": "float"}, ("R", "G", "B")),
        (
            {"beauty.R": "half", "beauty.G": "half", "beauty.B": "half", "Z": "float"},
            ("beauty.R", "beauty.G", "beauty.B"),
        ),
        ({"left.R": "half", "left.G": "half", "left.B": "half", **RGBA}, ("R", "G", "B", "A")),
        ({"Y": "half", "A": "half"}, ("Y", "A")),
    ],
)
def test_colours_are_found_by_name(tmp_path: Path, channels: dict[str, str], planes: tuple[str, ...]) -> None:
    picture = opened(write(tmp_path / "a.exr", part(channels, FULL, FULL)))
    assert picture.file.place.names == planes
    own = picture.file.parts[0][1]
    assert all(same_samples(plane, own[name].pixels) for plane, name in zip(picture.planes, planes, strict=True))
    assert not any(plane.flags.writeable for plane in picture.planes)


def test_the_first_part_with_colours_is_the_picture(tmp_path: Path) -> None:
    parts = [
        part({"Z": "float"}, FULL, FULL, name="depth"),
        part(RGBA, FULL, FULL, name="left", seed=5),
        part(RGBA, FULL, FULL, name="right", seed=9),
    ]
    assert opened(write(tmp_path / "a.exr", *parts)).file.place.part == 1


def subsampled(path: Path) -> Path:
    """The library's Python module writes none; its head is made from one that is not."""
    data = bytearray(write(path, part({"Y": "half", "RY": "half", "BY": "half"}, FULL, FULL)).read_bytes())
    for name in (b"BY", b"RY"):
        at = data.index(name + b"\0") + len(name) + 1 + 8
        data[at : at + 8] = struct.pack("<2i", 2, 2)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: write(path, part({"Z": "float", "u": "half"}, FULL, FULL)), r"has the channels Z, u; expected R"),
        (
            lambda path: write(path, part({"R": "half", "G": "float", "B": "half"}, FULL, FULL)),
            "as float, half; expected",
        ),
        (lambda path: write(path, part(dict.fromkeys("RGB", "uint"), FULL, FULL)), "R, G, B as uint; expected"),
        (
            lambda path: write(path, part({f"{k}.{c}": "half" for k in ("key", "fill") for c in "RGB"}, FULL, FULL)),
            "has the layers FILL, KEY, and none of them is the picture|has the layers fill, key, and none",
        ),
        (subsampled, "stores luminance and chroma"),
    ],
)
def test_what_cannot_be_carried_is_refused_with_what_to_do(tmp_path: Path, make: Any, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        describe_exr(make(tmp_path / "a.exr"))


def test_deep_and_mipmapped_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.exr", part(RGBA, FULL, FULL, **tiles(16)))
    data = bytearray(path.read_bytes())
    at = data.index(b"tiles\0tiledesc\0") + len(b"tiles\0tiledesc\0") + 4 + 8
    data[at] = 1
    path.write_bytes(data)
    with pytest.raises(MediaError, match="smaller copies of itself"):
        describe_exr(path)
    data[at] = 0
    data[5] |= 1 << 3  # bit 11 of the version field: deep data
    path.write_bytes(data)
    with pytest.raises(MediaError, match="is deep; flatten it"):
        describe_exr(path)


@pytest.mark.parametrize("compression", ["zip", "none", "piz"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.99, 0.9999])
def test_a_file_that_is_cut_off_is_never_taken_for_whole(tmp_path: Path, compression: str, kept: float) -> None:
    path = write(tmp_path / "plate.1004.exr", part(RGBA, Box(0, 0, 200, 150), FULL, compression=compression))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    stored = describe_exr(path)
    with pytest.raises(TruncatedPlate, match=r"plate\.1004\.exr is damaged or cut off") as caught:
        read_exr(path, stored, frame=1004)
    assert caught.value.frame == 1004


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.exr", part(RGBA, Box(0, 0, 200, 150), FULL, compression="zip"))
    data = bytearray(path.read_bytes())
    stored = describe_exr(path)
    smooth = bytearray(data)
    table = read_head(bytes(data))[1]
    smooth[table : table + 8] = bytes(8)
    path.write_bytes(smooth)
    with pytest.raises(TruncatedPlate, match="never finished, or is cut off"):
        read_exr(path, stored, frame=1)
    path.write_bytes(data[:100])
    with pytest.raises(MediaError, match="ends within its head"):
        describe_exr(path)
    path.write_bytes(b"no picture at all, but a long text\n" * 10)
    with pytest.raises(MediaError, match="is not an OpenEXR file"):
        describe_exr(path)


@pytest.mark.footage
def test_real_plates_go_through_unchanged(shared: Path, tmp_path: Path) -> None:
    paths = sorted((shared / "exr").glob("*.exr"))
    assert paths
    for path in paths:
        data = delivered(opened(path).copy(), tmp_path / path.name).read_bytes()
        assert data == path.read_bytes()
