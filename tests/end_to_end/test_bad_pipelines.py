"""Wrong pipelines, folders, stages and consent, and interruption: the right code, what to do, nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vfxswap.cli import main
from vfxswap.host import Host

HERE = Path(__file__).parent
SMALL = ("--set", "stages.points5.crop_size=96", "--device", "cpu", "--progress", "none")

Movie = list[list[NDArray[np.uint8]]]
Decode = Callable[[Path], Movie]
Shell = Callable[..., tuple[int, str]]
Reports = Callable[[Path], list[dict[str, Any]]]
Names = Callable[[Path], set[str]]


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
def test_a_wrong_pipeline_file(
    shell: Shell, place: Any, files_in: Names, old: str, new: str, code: int, text: str
) -> None:
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


def test_a_missing_folder_is_made(shell: Shell, place: Any, files_in: Names) -> None:
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
def test_a_stage_that_fails_is_named_with_its_plugin_and_the_frame(  # noqa: PLR0917 - fixtures
    shell: Shell,
    place: Any,
    decoded: Decode,
    report_of: Reports,
    files_in: Names,
    stage: str,
    text: str,
    frames: list[int],
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
def test_interrupted_leaves_nothing_behind(
    place: Any, repo: Path, report_of: Reports, files_in: Names, number: signal.Signals
) -> None:
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
