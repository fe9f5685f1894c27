"""What goes wrong on a working day: each ends with the right code, says what to do, and leaves nothing half-written."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vfxswap.cli import main
from vfxswap.host import Host
from vfxswap.trackfile import read_tracks, write_tracks

HERE = Path(__file__).parent
SMALL = ("--set", "stages.points5.crop_size=96", "--device", "cpu", "--progress", "none")

Movie = list[list[NDArray[np.uint8]]]
Decode = Callable[[Path], Movie]
Encode = Callable[..., Path]
Draw = Callable[..., Movie]
Shell = Callable[..., tuple[int, str]]


@pytest.fixture
def shell(place: Any, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Runs `demo.toml` with more words: exit code, and what was said on standard error (or output, if nothing)."""

    def shell(*words: str, file: str = "demo.toml", plugins: str | None = None) -> tuple[int, str]:
        before = () if plugins is None else ("--plugin-path", str(HERE / plugins))
        code = main([*before, "run", str(place.pipelines / file), *SMALL, *words])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, err or out

    return shell


def report_of(delivery: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in delivery.with_name(f"{delivery.name}.report.jsonl").read_text().splitlines()]


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


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
def test_a_plate_that_is_no_movie(shell: Shell, place: Any, content: bytes | None, text: str) -> None:
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
    shell: Shell, place: Any, decoded: Decode, tmp_path: Path
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


def test_frames_before_a_break_can_be_had_as_a_delivery(shell: Shell, place: Any, tmp_path: Path) -> None:
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
def test_frames_without_the_face_are_the_plates(shell: Shell, place: Any, decoded: Decode, missing: set[int]) -> None:
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


# Pipeline files and folders.


@pytest.mark.parametrize(
    ("old", "new", "code", "text"),
    [
        ('use = "mkl"', 'use = "mkl"\nstrength = "half"', 2, "strength: must be a number"),
        ('use = "mkl"', 'use = "mkl"\nstrenght = 0.5', 2, "did you mean 'strength'?"),
        ('use = "mkl"', 'use = "mlk"', 2, "did you mean 'mkl'?"),
        ('use = "mkl"', 'use = "relight-9000"', 3, "no plugin offers such a stage"),
        ("\n[shot]", "\n[shot", 2, "is not valid TOML"),
        ('production = "lab"', 'production = "Other"', 4, "not for production 'Other'"),
        ('purpose = "test"', 'purpose = "de-age"', 4, "not for purpose 'de-age'"),
        ("../demo-out/identity", "../demo-out/nobody", 2, "nobody"),
        ("../demo-out/tracks.json", "../demo-out/lost.json", 2, "there is no file or folder"),
        ("../demo-out/demo.mkv", "../demo-out/plate.mkv", 2, "would overwrite the plate"),
        (
            "../demo-out/demo.mkv",
            "../demo-out/identity/still01.png",
            2,
            "still01.png has no place for the frame number",
        ),
        ("../demo-out/demo.mkv", "../demo-out", 2, "no writer takes 'demo-out'"),
        ("../demo-out/demo.mkv", "../demo-out/tracks.json/demo.mkv", 2, "tracks.json is a file"),
    ],
)
def test_a_wrong_pipeline_file(shell: Shell, place: Any, old: str, new: str, code: int, text: str) -> None:
    source = (place.pipelines / "demo.toml").read_text()
    assert old in source
    place.write("wrong.toml", source.replace(old, new, 1))
    before = files_in(place.shot)
    got, said = shell(file="wrong.toml")
    assert text in said
    assert got == code
    assert files_in(place.shot) == before


def test_an_identity_without_a_record_or_stills(shell: Shell, place: Any) -> None:
    identity = place.shot / "identity"
    record = (identity / "identity.toml").read_text()
    (identity / "identity.toml").unlink()
    code, said = shell()
    assert code == 4
    assert "identity.toml" in said
    (identity / "identity.toml").write_text(record)
    for still in identity.glob("still*"):
        still.unlink()
    code, said = shell()
    assert code == 2
    assert "needs stills of identity 'hero'; put still*.jpg" in said


def test_a_broken_still_is_named(shell: Shell, place: Any) -> None:
    still = place.shot / "identity" / "still02.png"
    still.write_bytes(still.read_bytes()[:200])
    code, said = shell()
    assert code == 1
    assert "still02.png" in said
    assert not (place.shot / "demo.mkv").exists()


def test_a_missing_folder_is_made(shell: Shell, place: Any) -> None:
    out = place.root / "deliveries" / "sh010" / "v001.mkv"
    assert shell("--out", str(out))[0] == 0
    assert files_in(out.parent) == {"v001.mkv", "v001.mkv.report.jsonl"}


def test_a_folder_that_cannot_be_written(shell: Shell, place: Any) -> None:
    folder = place.root / "locked"
    folder.mkdir(mode=0o555)
    if os.access(folder, os.W_OK):  # root may write anywhere, but not here
        folder = Path("/proc")
    code, said = shell("--out", str(folder / "deeper" / "out.mkv"))
    assert code == 2
    assert "nothing can be written in" in said


def test_a_delivery_that_is_there(shell: Shell, place: Any) -> None:
    assert shell()[0] == 0
    first = (place.shot / "demo.mkv").read_bytes()
    stamp = (place.shot / "demo.mkv").stat().st_mtime_ns
    code, said = shell()
    assert code == 0
    assert "nothing to do" in said
    assert (place.shot / "demo.mkv").stat().st_mtime_ns == stamp
    for words in (("--frames", "1-3"), ("--set", "stages.mkl.strength=0.5")):
        code, said = shell(*words)
        assert code == 2
        assert "--overwrite" in said
        assert (place.shot / "demo.mkv").read_bytes() == first
    assert shell("--frames", "1-3", "--overwrite")[0] == 0
    assert (place.shot / "demo.mkv").read_bytes() != first


# Stages that fail.


@pytest.mark.parametrize(
    ("stage", "text", "frames"),
    [
        ('use = "trips"\nat = 14', "at frame 14: ZeroDivisionError: the cable was pulled", [1, 2, 3]),
        ('use = "misfits"', "mattes must be (3, 1, 96, 96) float32, got (3, 1, 48, 48) float32", []),
        ('use = "misfits"\nkind = "nan"', "mattes must be finite, got NaN or infinity in it", []),
    ],
)
def test_a_stage_that_fails_is_named_with_its_plugin_and_the_frame(
    shell: Shell, place: Any, decoded: Decode, stage: str, text: str, frames: list[int]
) -> None:
    source = (place.pipelines / "demo.toml").read_text()
    place.write(
        "faulty.toml", source.replace('[[stages]]\nuse = "mkl"', f'[[stages]]\n{stage}\n\n[[stages]]\nuse = "mkl"')
    )
    code, said = shell(file="faulty.toml", plugins="faulty")
    assert code == 1
    assert text in said
    name = stage.split('"')[1]
    assert f"stage {name!r} (from faulty ({HERE / 'faulty'})) failed" in said
    out = place.shot / "demo.mkv"
    assert not out.exists()
    _, *records, tail = report_of(out)
    assert [record["frame"] for record in records] == frames
    assert text in tail["error"]
    if frames:
        assert len(decoded(out.with_name("demo.mkv.partial"))) == len(frames)
    assert not [name for name in files_in(place.shot) if "tmp" in name]


def test_a_watcher_that_fails_stops_nothing(shell: Shell, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCH_FOLDER", str(place.root / "not_there"))
    assert shell("--frames", "1-2", plugins="watching")[0] == 0


# Refusals, before a frame is decoded.


@pytest.fixture
def undecoded(host: Host, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding a frame fails the test."""
    reader = host.reader_for(place.shot / "plate.mkv")

    def frames(self: object, first: int, last: int) -> None:
        raise AssertionError(f"frames {first}-{last} were decoded")

    monkeypatch.setattr(reader, "frames", frames)


@pytest.mark.usefixtures("undecoded")
def test_consent_that_ended_is_refused_before_a_frame_is_decoded(shell: Shell, place: Any) -> None:
    record = place.shot / "identity" / "identity.toml"
    record.write_text(record.read_text().replace("until = 2999-12-31", "until = 2001-01-31"))
    code, said = shell()
    assert code == 4
    assert "consent of a drawn face ended on 2001-01-31" in said
    assert not (place.shot / "demo.mkv.report.jsonl").exists()


@pytest.mark.usefixtures("undecoded")
def test_a_missing_model_is_told_before_a_frame_is_decoded(
    shell: Shell, place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VFXSWAP_MODEL_PATH", str(place.root))
    monkeypatch.setenv("VFXSWAP_CACHE_DIR", str(place.root / "cache"))
    code = main(["run", str(place.pipelines / "double.toml"), "--progress", "none"])
    assert code == 3


@pytest.mark.usefixtures("undecoded")
def test_check_decodes_nothing(place: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(place.pipelines / "demo.toml")]) == 0
    assert "stages[2] (portrait)" in capsys.readouterr().out


# Interrupted.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_leaves_nothing_behind(place: Any, repo: Path, number: signal.Signals) -> None:
    source = (place.pipelines / "demo.toml").read_text()
    file = place.write("slow.toml", source.replace('use = "mkl"', 'use = "lingers"\nseconds = 2.0'))
    before = files_in(place.shot)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(repo), str(repo / "plugins")])}
    words = ["--plugin-path", str(HERE / "faulty"), "run", str(file), *SMALL]
    environ["VFXSWAP_LOAD_PLUGINS"] = "vfxswap-plugins,faulty"
    process = subprocess.Popen(
        [sys.executable, "-m", "vfxswap.cli", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    )
    while process.poll() is None and not any("tmp" in name for name in files_in(place.shot)):
        time.sleep(0.02)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (75, "error: cancelled; no delivery was left behind\n")
    assert files_in(place.shot) - before == {"demo.mkv.report.jsonl"}
    assert report_of(place.shot / "demo.mkv")[-1]["error"] == "cancelled"
