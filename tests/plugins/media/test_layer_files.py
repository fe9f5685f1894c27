"""Files of layers beside sequences and movies: whole or not there, noted with their frame, never before their time."""

from __future__ import annotations

import errno
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import OpenEXR
import pytest

from vfxswap.color import PixelLayout
from vfxswap.errors import MediaError
from vfxswap.files import FramePattern
from vfxswap.frame import Frame
from vfxswap.journal import FrameKey, Journal, Standing
from vfxswap.layers import LayerOrder, Storing, layer_files
from vfxswap.media import PlateInfo, Writer
from vfxswap.testing import RGB_FLOAT, YUV420P8, synthetic_frame, synthetic_info
from vfxswap.testing.layers import layered_frame
from vfxswap_plugins.media.layer_files import LayerFiles
from vfxswap_plugins.media.movie_writer import MovieWriter
from vfxswap_plugins.media.pending_file import PendingFile
from vfxswap_plugins.media.sequence_plan import SequenceOptions
from vfxswap_plugins.media.sequence_writer import SequenceWriter

ORDER = LayerOrder(("matte", "id"), "files", ("hero",))
NUMBERS = range(1001, 1005)
SIZE = {"width": 64, "height": 48}


def info(folder: Path, layout: PixelLayout = RGB_FLOAT, **more: Any) -> PlateInfo:
    return replace(synthetic_info(folder / "plate.mov", layout=layout, count=len(NUMBERS), **SIZE), **more)


def frames(layout: PixelLayout = RGB_FLOAT) -> list[Frame]:
    return [layered_frame(synthetic_frame(number, layout=layout, **SIZE), ORDER, is_blank=False) for number in NUMBERS]


def writer(path: Path, like: PlateInfo, key: str = "") -> Writer:
    cls = SequenceWriter if path.suffix == ".exr" else MovieWriter
    made = cls(path, cls.Options(), like=like, tags=like.tags, first=NUMBERS[0], last=NUMBERS[-1])
    made.layers = ORDER
    if key:
        made.journal = Journal(path, NUMBERS[0], NUMBERS[-1], keys(key).__getitem__)
    return made


def keys(key: str) -> dict[int, FrameKey]:
    return {number: FrameKey(key, "plate") for number in NUMBERS}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "out")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def unfinished(out: Path, key: str) -> Path:
    """A sequence of which two frames are written, and noted."""
    delivery = out / "a.####.exr"
    made = writer(delivery, info(out.parent), key)
    for frame in frames()[:2]:
        made.write(frame)
    made.keep_partial()
    return delivery


def test_a_frame_is_done_when_its_layers_are(out: Path) -> None:
    delivery = unfinished(out, "k")
    found = Standing.of(delivery, keys("k"))
    assert (set(found.done), found.unreported, found.strange) == ({1001, 1002}, {1001, 1002}, ())
    assert Standing.of(delivery, keys("another")).strange == (1001, 1002)
    (out / "a_matte.1001.exr").unlink()
    found = Standing.of(delivery, keys("k"))
    assert (set(found.done), set(found.outdated)) == ({1002}, {1001})
    (out / "a_id.1002.exr").write_bytes(b"something else")
    found = Standing.of(delivery, keys("k"))
    assert (set(found.done), set(found.outdated), found.damaged) == (set(), {1001}, {1002})


def test_the_picture_gets_its_name_after_its_layers(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    commit = PendingFile.commit

    def watched(self: Any) -> Path:
        seen.append(self.path.name)
        return commit(self)

    monkeypatch.setattr(PendingFile, "commit", watched)
    made = writer(out / "a.####.exr", info(out.parent))
    made.write(frames()[0])
    made.finish()
    assert seen == ["a_matte.1001.exr", "a_id.1001.exr", "a.1001.exr"]


@pytest.mark.parametrize("name", ["a.####.exr", "a.mov"])
def test_a_full_disk_leaves_nothing_of_the_frame(out: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if "_id.1002" in self.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    layout = RGB_FLOAT if name.endswith("exr") else YUV420P8
    made = writer(out / name, info(out.parent, layout))
    with pytest.raises(MediaError, match=r"a_id\.1002\.exr.*the disk is full"):  # noqa: PT012 - any of them
        for frame in frames(layout):
            made.write(frame)
        made.finish()
    made.abandon()
    left = names(out)
    assert not [name for name in left if "1002" in name or ".tmp" in name]
    assert name != "a.mov" or left == []


def test_layers_of_a_movie_appear_with_it(out: Path) -> None:
    made = writer(out / "a.mov", info(out.parent, YUV420P8))
    for frame in frames(YUV420P8):
        made.write(frame)
        assert not [name for name in names(out) if not name.startswith(".")]
    assert made.finish() == (out / "a.mov",)
    assert names(out) == sorted(["a.mov", *(f"a_{layer}.{n}.exr" for layer in ("id", "matte") for n in NUMBERS)])


def test_a_movie_that_broke_off_has_no_layers(out: Path) -> None:
    made = writer(out / "a.mov", info(out.parent, YUV420P8))
    made.write(frames(YUV420P8)[0])
    made.keep_partial()
    assert names(out) == ["a.mov.partial"]


@pytest.mark.parametrize(
    ("rate", "timecode", "expected"),
    [
        (Fraction(24), "01:00:00:23", (1, 0, 1, 1)),
        (Fraction(60), "01:00:00:20", (1, 0, 0, 11)),  # EXR counts pairs of these
        (Fraction(120), "01:00:00:20", None),
        (Fraction(24), "nonsense", None),
        (Fraction(24), None, None),
    ],
)
def test_each_frame_has_its_own_timecode(
    out: Path, rate: Fraction, timecode: str | None, expected: tuple[int, ...] | None
) -> None:
    like = info(out.parent, rate=rate, timecode=timecode)
    files = LayerFiles(out / "a.mov", ORDER, like, like.tags)
    for file in files.write(frames()[2]):
        file.commit()
    header = OpenEXR.File(str(out / "a_matte.1003.exr")).header()
    code = header.get("timeCode")
    assert (None if code is None else (code.hours, code.minutes, code.seconds, code.frame)) == expected


@pytest.mark.parametrize(
    ("name", "stored", "options", "channels", "message"),
    [
        ("a.####.dpx", "channels", {}, "", "only an EXR holds layers as channels"),
        ("a.####.png", "parts", {}, "", "only an EXR holds layers as parts"),
        ("a.####.exr", "channels", {"compression": "dwaa"}, "", "dwaa would damage them"),
        (
            "a.####.exr",
            "channels",
            {},
            "R half, G half, B half, vfxswap_matte.A half",
            "channels vfxswap_matte.A already",
        ),
        ("a.####.exr", "parts", {"compression": "dwaa"}, "", None),
        ("a.####.exr", "files", {"compression": "dwaa"}, "vfxswap_matte.A half", None),
        ("a.####.dpx", "files", {}, "", None),
    ],
)
def test_what_cannot_be_stored_is_said_before_the_start(
    tmp_path: Path, name: str, stored: Storing, options: dict[str, Any], channels: str, message: str | None
) -> None:
    like = replace(info(tmp_path), path=tmp_path / "plate.####.exr", channels=channels)
    order = replace(ORDER, stored=stored)
    found = SequenceWriter.layer_problems(tmp_path / name, SequenceOptions(**options), order, like)
    assert not found if message is None else message in found[0]
    assert all('write layers_as = "files"' in each for each in found)


def test_a_movie_holds_no_layers_itself(tmp_path: Path) -> None:
    (found,) = MovieWriter.layer_problems(tmp_path / "a.mov", None, replace(ORDER, stored="parts"), None)
    assert 'write layers_as = "files"' in found


def test_files_of_layers_are_numbered_as_the_plate_is(out: Path) -> None:
    files = layer_files(out / "a.mov", ORDER, frames=4)
    assert {name: pattern.path(1001).name for name, pattern in files.items()} == {
        "matte": "a_matte.1001.exr",
        "id": "a_id.1001.exr",
    }
    assert all(isinstance(pattern, FramePattern) for pattern in files.values())
