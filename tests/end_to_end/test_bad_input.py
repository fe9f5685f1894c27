"""Plates and tracks that are not what they seem: the right code, what to do about it, and nothing half-written."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vfxswap.host import Host
from vfxswap.trackfile import read_tracks, write_tracks

Movie = list[list[NDArray[np.uint8]]]
Decode = Callable[[Path], Movie]
Encode = Callable[..., Path]
Draw = Callable[..., Movie]
Shell = Callable[..., tuple[int, str]]
Reports = Callable[[Path], list[dict[str, Any]]]
Names = Callable[[Path], set[str]]


def same(a: Movie, b: Movie) -> bool:
    return len(a) == len(b) and all(
        np.array_equal(x, y) for one, other in zip(a, b, strict=True) for x, y in zip(one, other, strict=True)
    )


# Plates that are none, or not what they seem.


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"Dear artist, the plate follows.\n", "it is a text file; name a movie"),
        (b"", "is empty (0 bytes): it was never written, or its copy failed; fetch it again"),
        (bytes(range(256)) * 40, "its content is no video format that is known"),
        (None, "there is no file"),
    ],
)
def test_a_plate_that_is_no_movie(shell: Shell, place: Any, files_in: Names, content: bytes | None, text: str) -> None:
    plate = place.shot / "no.mkv"
    if content is not None:
        plate.write_bytes(content)
    before = files_in(place.shot)
    code, said = shell("--plate", str(plate))
    assert code == 2
    assert text in said
    assert "no.mkv" in said
    assert files_in(place.shot) == before


def test_a_plate_that_breaks_off_gives_the_frames_before_the_break(
    shell: Shell, place: Any, decoded: Decode, tmp_path: Path, report_of: Reports, files_in: Names
) -> None:
    own = ("--set", "stages.portrait.shape=0")  # what is decided once a shot would be decided by fewer frames
    assert shell(*own)[0] == 0
    whole = decoded(place.shot / "demo.mkv")
    plate = place.shot / "plate.mkv"
    data = plate.read_bytes()
    plate.write_bytes(data[: len(data) * 6 // 10])
    out = tmp_path / "out.mkv"
    code, said = shell("--out", str(out), *own)
    assert code == 1
    assert f"{plate.name} ends or is damaged at frame 10 of 16" in said
    assert "work on the frames before it" in said
    assert files_in(tmp_path) >= {"out.mkv.partial", "out.mkv.report.jsonl"}
    assert "out.mkv" not in files_in(tmp_path)
    _, *frames, tail = report_of(out)
    assert [frame["frame"] for frame in frames] == list(range(1, 10))
    assert (tail["complete"], tail["outputs"]) == (False, ["out.mkv.partial"])
    assert "frame 10" in tail["error"]
    # A window that reaches over the break is shorter than it was, and so are those that look at it in turn.
    assert same(decoded(out.with_name("out.mkv.partial"))[:7], whole[:7])


def test_frames_before_a_break_can_be_had_as_a_delivery(
    shell: Shell, place: Any, tmp_path: Path, report_of: Reports
) -> None:
    """What the message advises works, as long as no window reaches over the break, which is in the batch of frame 8.

    What is decided once a shot is decided by the frames that there are, and the report says so.
    """
    plate = place.shot / "plate.mkv"
    data = plate.read_bytes()
    plate.write_bytes(data[: len(data) * 6 // 10])
    assert shell("--out", str(tmp_path / "out.mkv"), "--frames", "1-3")[0] == 0
    (remark,) = report_of(tmp_path / "out.mkv")[0]["remarks"]
    assert re.search(r"at frame 10 of 16.*stage 'portrait' decides once a shot, it decided by \d of \d+ frames", remark)
    assert shell("--out", str(tmp_path / "out2.mkv"), "--frames", "1-7")[0] == 1


@pytest.mark.parametrize("size", [(127, 95), (126, 95), (127, 96)])
def test_odd_sizes(
    shell: Shell, place: Any, encode: Encode, draw: Draw, decoded: Decode, host: Host, size: tuple[int, int]
) -> None:
    """FFV1 takes them; H.264 in 4:2:0 does not, and nothing is cropped or padded in silence."""
    width, height = size
    chroma = (-(-height // 2), -(-width // 2))
    odd = [[luma[:height, :width], *(plane[: chroma[0], : chroma[1]] for plane in rest)] for luma, *rest in draw([0])]
    plate = encode(place.shot / "odd.mkv", odd)
    resize(place.shot / "tracks.json", width, height)
    out = place.shot / "out.mkv"
    assert shell("--plate", str(plate), "--out", str(out))[0] == 0
    result = decoded(out)
    assert [plane.shape for plane in result[0]] == [(height, width), chroma, chroma]
    assert not same(result, odd)
    code, said = shell("--plate", str(plate), "--out", str(place.shot / "out.mp4"))
    assert code == 2
    assert f"h264 in yuv420p needs an even size, the plate is {width}x{height}" in said
    assert 'state pixel_format = "yuv444p"' in said
    sets = ("--set", "delivery.pixel_format=yuv444p")
    assert shell("--plate", str(plate), "--out", str(place.shot / "out.mp4"), *sets)[0] == 0


def resize(tracks: Path, width: int, height: int) -> None:
    """The same tracks, for a plate of which some columns or rows are cut off."""
    old = read_tracks(tracks)
    write_tracks(tracks, {number: old.faces(number) for number in range(1, 17)}, width=width, height=height)


def test_a_variable_rate_that_the_container_cannot_hold(
    shell: Shell, place: Any, encode: Encode, draw: Draw, times_of: Callable[[Path], list[Fraction]]
) -> None:
    times = [0, 40, 90, 110, 170, 200, 240, 290, 340, 360, 400, 440, 480, 560, 570, 600]
    plate = encode(place.shot / "vfr.mkv", draw([0]), times=times)
    out = place.shot / "out.mxf"
    code, said = shell("--plate", str(plate), "--out", str(out))
    assert code == 2
    assert "the plate has a variable frame rate, which .mxf cannot store; choose .mov, .mp4 or .mkv" in said
    assert shell("--plate", str(plate), "--out", str(out.with_suffix(".mov")))[0] == 0
    assert times_of(out.with_suffix(".mov")) == times_of(plate)


def test_colour_that_nobody_said_is_not_guessed(shell: Shell, place: Any, encode: Encode, draw: Draw) -> None:
    plate = encode(place.shot / "untagged.mkv", draw([0]), is_tagged=False)
    out = ("--out", str(place.shot / "out.mkv"))
    code, said = shell("--plate", str(plate), *out)
    assert code == 2
    assert "does not say its colour (primaries, transfer, matrix not tagged)" in said
    assert '[shot] color_space = "bt709"' in said
    assert shell("--plate", str(plate), *out, "--set", "shot.color_space=bt709")[0] == 0


# Frames without the face.


@pytest.mark.parametrize("missing", [{3, 4, 9}, set(range(1, 17))])
def test_frames_without_the_face_are_the_plates(
    shell: Shell, place: Any, decoded: Decode, report_of: Reports, missing: set[int]
) -> None:
    tracks = place.shot / "tracks.json"
    old = read_tracks(tracks)
    faces = {number: [] if number in missing else old.faces(number) for number in range(1, 17)}
    write_tracks(tracks, faces, width=128, height=96)
    code, said = shell()
    assert code == 0
    assert f"{len(missing)} x no face found for identity hero" in said
    _, *frames, tail = report_of(place.shot / "demo.mkv")
    for frame in frames:
        notes = ["no face found for identity hero"] if frame["frame"] in missing else []
        assert (frame["notes"], frame["identities"]) == (notes, [] if notes else ["hero"])
    assert tail["degraded"] == len(missing)
    pairs = zip(decoded(place.shot / "plate.mkv"), decoded(place.shot / "demo.mkv"), strict=True)
    for number, (plate, result) in enumerate(pairs, 1):
        assert same([plate], [result]) == (number in missing)


def test_a_frame_without_the_face_may_end_the_run(shell: Shell, place: Any) -> None:
    tracks = place.shot / "tracks.json"
    old = read_tracks(tracks)
    faces = {number: [] if number == 7 else old.faces(number) for number in range(1, 17)}
    write_tracks(tracks, faces, width=128, height=96)
    code, said = shell("--set", "shot.on_missing=fail")
    assert code == 1
    assert "at frame 7: " in said
    assert "no face found for identity hero" in said
    assert 'on_missing = "pass"' in said
    assert not (place.shot / "demo.mkv").exists()


def test_tracks_of_another_plate_are_refused(shell: Shell, place: Any) -> None:
    resize(place.shot / "tracks.json", 64, 48)
    code, said = shell()
    assert code == 2
    assert "64x48" in said
    assert "128x96" in said
