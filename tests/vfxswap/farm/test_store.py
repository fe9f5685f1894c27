"""A frame that waits for its movie comes back with every bit, or it is said why not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vfxswap.color import PixelLayout
from vfxswap.errors import MediaError
from vfxswap.farm.store import FrameStore, digest, heads, restored, store_path
from vfxswap.files import FramePattern
from vfxswap.frame import Frame, Layer, Picture
from vfxswap.geometry import Box
from vfxswap.journal import FrameKey, Journal
from vfxswap.testing import synthetic_frame, synthetic_info

HALF = PixelLayout("half", "rgb", 16, is_float=True)


def store(pattern: Path, key: str = "one") -> FrameStore:
    pattern.parent.mkdir(exist_ok=True)
    info = synthetic_info(Path("plate.mov"))
    writer = FrameStore(pattern, FrameStore.Options(), like=info, tags=info.tags, first=1, last=9)
    writer.journal = Journal(pattern, 1, 9, lambda number: FrameKey(key, f"plate {number}"))
    return writer


@pytest.fixture
def pattern(tmp_path: Path) -> Path:
    return store_path(tmp_path / "shot.mov")


def half_frame(number: int = 1) -> Frame:
    """All patterns of 16 bits, NaNs of every payload among them."""
    bits = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    planes = [np.roll(bits, place * 77).view(np.float16) for place in range(3)]
    return Frame(number, Picture(planes, HALF, synthetic_info(Path("plate.mov")).tags))


def changed(frame: Frame, *places: tuple[int, Any, int]) -> Frame:
    """A copy of whose planes some samples are other words."""
    result = frame.plate.copy()
    for plane, where, word in places:
        view = result.planes[plane]
        (view.view(np.uint16) if view.dtype.kind == "f" else view)[where] = word
    return replace(frame, result=result)


@pytest.mark.parametrize(
    "places",
    [
        [],
        [(0, np.s_[0, 0], 0x7E01)],
        [(1, np.s_[255, 255], 0x8000), (1, np.s_[3:9, 7], 0x7C01)],
        [(0, np.s_[:], 0), (2, np.s_[100:120, 30:90], 0xFFFF)],
    ],
)
def test_every_bit_comes_back(pattern: Path, places: list[tuple[int, Any, int]]) -> None:
    plate = half_frame()
    done = changed(plate, *places)
    with store(pattern) as writer:
        writer.write(done)
        (path,) = writer.finish()
    back = restored(plate, path)
    for ours, theirs in zip(done.picture.planes, back.picture.planes, strict=True):
        assert np.array_equal(ours.view(np.uint16), theirs.view(np.uint16))
    assert digest(plate.plate) == digest(half_frame().plate), "the plate is not written to"


def test_what_nobody_changed_stays_the_decoders_own(pattern: Path) -> None:
    plate = synthetic_frame(2)
    with store(pattern) as writer:
        writer.write(plate)
        (path,) = writer.finish()
    assert path.stat().st_size < 2000
    assert restored(plate, path) is plate


def test_only_what_is_changed_is_kept(pattern: Path) -> None:
    plate = synthetic_frame(2, width=320, height=240)
    with store(pattern) as writer:
        writer.write(changed(plate, (0, np.s_[10:20, 30:40], 7)))
        (path,) = writer.finish()
    assert path.stat().st_size < 2000


def test_layers_go_along(pattern: Path) -> None:
    plate = synthetic_frame(2)
    samples = np.random.default_rng(1).random((4, 5, 6), np.float32)
    layered = replace(plate, layers={"patch": Layer(Box(1, 2, 7, 7), samples)})
    with store(pattern) as writer:
        writer.write(layered)
        (path,) = writer.finish()
    back = restored(plate, path).layers
    assert list(back) == ["patch"]
    assert back["patch"].box == Box(1, 2, 7, 7)
    assert np.array_equal(back["patch"].samples, samples)


def test_another_plate_is_noticed(pattern: Path) -> None:
    with store(pattern) as writer:
        writer.write(changed(half_frame(), (0, np.s_[5, 5], 1)))
        (path,) = writer.finish()
    other = half_frame()
    other.plate.planes[2].view(np.uint16)[9, 9] ^= 1
    with pytest.raises(MediaError, match="frame 1 of the plate is not decoded here as it was"):
        restored(other, path)
    with pytest.raises(MediaError, match="is of a half picture, the plate is"):
        restored(synthetic_frame(1), path)


def test_a_stage_that_changes_the_form_is_refused(pattern: Path) -> None:
    frame = half_frame()
    small = Picture([plane[:9] for plane in frame.plate.planes], HALF, frame.plate.tags)
    with store(pattern) as writer, pytest.raises(MediaError, match="a stage must keep the plate's form"):
        writer.write(replace(frame, result=small))
    assert list(pattern.parent.iterdir()) == []


def test_files_are_known_by_their_key_and_damage_is_seen(pattern: Path) -> None:
    for key, number in (("one", 1), ("one", 2), ("two", 3)):
        with store(pattern, key) as writer:
            writer.write(changed(half_frame(number), (0, np.s_[0, 0], number)))
            writer.finish()
    assert [note.key for note in FrameStore.notes(pattern).values()] == [
        *(FrameKey("one", f"plate {number}") for number in (1, 2)),
        FrameKey("two", "plate 3"),
    ]
    path = FramePattern(pattern).path(2)
    path.write_bytes(path.read_bytes()[:-9])
    assert set(FrameStore.notes(pattern)) == {1, 3}
    assert heads(pattern)[2] is None
    with pytest.raises(MediaError, match="delete it, run its chunk again"):
        restored(half_frame(2), path)


@pytest.mark.parametrize("content", [b"", b"P", b"PK\x05\x06", b"\x93NUMPY\x01\x00", b"not an archive" * 9])
def test_what_is_no_file_of_frames_is_said_whatever_it_is(pattern: Path, content: bytes) -> None:
    """Such as the empty file that a machine which goes down leaves."""
    pattern.parent.mkdir()
    path = FramePattern(pattern).path(1)
    path.write_bytes(content)
    assert heads(pattern) == {1: None}
    assert FrameStore.notes(pattern) == {}
    with pytest.raises(MediaError, match=r"cannot be read .*; delete it, run its chunk again"):
        restored(half_frame(), path)


def test_whatever_byte_of_a_file_is_wrong_it_is_damaged_or_as_good_as_before(pattern: Path) -> None:
    plate = synthetic_frame(2)
    with store(pattern) as writer:
        writer.write(plate)
        (path,) = writer.finish()
    whole = path.read_bytes()
    for place, byte in enumerate(whole):
        for bit in {0, place % 8}:
            path.write_bytes(whole[:place] + bytes([byte ^ (1 << bit)]) + whole[place + 1 :])
            if heads(pattern)[2] is None:
                with pytest.raises(MediaError, match="cannot be read"):
                    restored(plate, path)
            else:
                assert restored(plate, path) is plate


def test_nothing_is_unpickled(pattern: Path) -> None:
    pattern.parent.mkdir()
    path = FramePattern(pattern).path(1)
    with path.open("wb") as file:
        np.savez(file, head=np.array([{"version": 1}], dtype=object))
    with pytest.raises(MediaError, match="cannot be read"):
        restored(half_frame(), path)


def test_a_chunk_writes_the_same_bytes_each_time(pattern: Path, tmp_path: Path) -> None:
    done = changed(half_frame(), (0, np.s_[5:9, 5], 1))
    written = []
    for place in (pattern, store_path(tmp_path / "other.mov")):
        with store(place) as writer:
            writer.write(done)
            written.append(writer.finish()[0].read_bytes())
    assert written[0] == written[1]
