"""A run makes what is missing and what has changed, and nothing else; what is damaged is found by reading."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import vfxswap
from vfxswap.assembly import declared_reach
from vfxswap.cli import main
from vfxswap.errors import MediaError, UsageError
from vfxswap.host import Host
from vfxswap.journal import journals_of
from vfxswap.pipeline import Pipeline
from vfxswap.report import Report
from vfxswap.testing import synthetic_plate
from vfxswap_plugins.media import picture_file, sequence_reader

COUNT = 12
PIPELINE = """\
[shot]
plate = "plate/p.%04d.png"
frames = "1-12"
color_space = "bt709"
cuts = []
production = "lab"
[identities.hero]
path = "identity"
[[stages]]
use = "tracks"
path = "tracks.json"
[[stages]]
use = "points5"
crop_size = 64
[[stages]]
use = "portrait"
identity = "hero"
shape = 0
[[stages]]
use = "hull"
[[stages]]
use = "mkl"
lock_frames = 1
[[stages]]
use = "flow-deflicker"
radius_frames = 1
[[stages]]
use = "alpha"
[delivery]
path = "out/o.%04d.png"
"""


@pytest.fixture(scope="session")
def drawn_sequence(drawn: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plate of numbered files and all that the pipeline names."""
    folder = tmp_path_factory.mktemp("sequence")
    (folder / "plate").mkdir()
    for number in range(1, COUNT + 1):
        _draw(folder, number)
    shutil.copy(drawn.shot / "tracks.json", folder)
    shutil.copytree(drawn.shot / "identity", folder / "identity")
    (folder / "job.toml").write_text(PIPELINE)
    return folder


def _draw(folder: Path, number: int, gain: float = 1.0) -> None:
    picture = synthetic_plate(number, width=128, height=96).image.numpy().transpose(1, 2, 0) * gain
    path = folder / "plate" / f"p.{number:04d}.png"
    cv2.imwrite(str(path), np.round(picture[..., ::-1].clip(0, 1) * 255).astype(np.uint8))


@pytest.fixture
def show(drawn_sequence: Path, tmp_path: Path) -> Path:
    """A copy, with its times."""
    return Path(shutil.copytree(drawn_sequence, tmp_path / "show"))


@pytest.fixture
def ran(show: Path, host: Host) -> Callable[..., Report]:
    """Runs the pipeline file."""

    def ran(*overrides: str, **options: Any) -> Report:
        return vfxswap.run(show / "job.toml", overrides=overrides, device="cpu", host=host, **options)

    return ran


def made(report: Report) -> list[int]:
    return [record.frame for record in report.frames]


def times(report: Report) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in report.outputs}


def test_a_changed_file_of_the_plate_makes_the_frames_again_that_see_it(
    show: Path, ran: Callable[..., Report], planned: Callable[..., Pipeline], host: Host
) -> None:
    before = times(ran())
    reach = declared_reach(planned(show / "job.toml"), host)
    assert 1 <= reach.behind <= 2
    _draw(show, 7, gain=0.8)
    again = ran()
    assert made(again) == list(range(7 - reach.ahead, 7 + reach.behind + 1))
    assert [record.frame for record in again.records] == list(range(1, COUNT + 1))
    assert f"what the frames {7 - reach.ahead}-{7 + reach.behind} see of the plate" in again.run["remarks"][0]
    kept = {name: time for name, time in before.items() if int(name[2:6]) not in made(again)}
    assert {name: times(again)[name] for name in kept} == kept
    fresh = ran(out=show / "fresh" / "o.%04d.png")
    assert [path.read_bytes() for path in again.outputs] == [path.read_bytes() for path in fresh.outputs]
    assert ran().already_done
    os.utime(show / "plate" / "p.0001.png")
    assert made(ran()) == list(range(1, 2 + reach.behind))


def test_a_run_with_nothing_to_do_tidies_up_after_killed_ones(show: Path, ran: Callable[..., Report]) -> None:
    """A run may be killed when its report is written; those before it were at work too recently for it to tell."""
    report = ran()
    delivery = show / "out" / "o.%04d.png"
    assert report.path is not None
    note = next(line for line in report.path.read_text().splitlines() if "made_of" in line)
    fresh, dead = (delivery.with_name(f".{delivery.name}.1-{COUNT}.{name}.jsonl") for name in ("0a", "0b"))
    for journal in (fresh, dead):
        journal.write_text(f"{note}\n")
    os.utime(dead, (1, 1))
    assert ran().already_done
    assert journals_of(delivery) == (fresh,), "whose run may be at work"


def test_where_the_shot_is_surveyed_its_frames_matter_to_all(show: Path, ran: Callable[..., Report]) -> None:
    """With one frame to look at, that is the seventh."""
    locked = 'stages.mkl.lock="shot"'
    ran(locked)
    _draw(show, 2, gain=0.9)
    assert 2 in (few := made(ran(locked)))
    assert len(few) < COUNT
    _draw(show, 7, gain=0.9)
    assert made(ran(locked)) == list(range(1, COUNT + 1))


@pytest.fixture
def stumbles(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], list[str]]:
    """Has a file of plates be unreadable for some times, which are taken from the list that it gives."""

    def stumbles(name: str, times: int) -> list[str]:
        original, left = picture_file.read, ["cannot read: Input/output error"] * times

        def read(path: Path, *args: Any, **options: Any) -> Any:
            if path.name == name and left:
                raise MediaError(left.pop(), path=path)
            return original(path, *args, **options)

        monkeypatch.setattr(sequence_reader, "read", read)
        return left

    return stumbles


LOCKED = ('stages.mkl.lock="shot"', "stages.mkl.lock_frames=3")
"""Frames 3, 7 and 11 are looked at before the run."""


def test_a_share_that_stumbles_while_the_shot_is_surveyed_changes_nothing(
    show: Path, ran: Callable[..., Report], stumbles: Callable[[str, int], list[str]]
) -> None:
    """A chunk that decided by fewer frames would have the key of those that did not."""
    whole = [path.read_bytes() for path in ran(*LOCKED, out=show / "whole" / "o.%04d.png").outputs]
    left = stumbles("p.0007.png", 1)
    report = ran(*LOCKED)
    assert left == []
    assert [path.read_bytes() for path in report.outputs] == whole
    assert not any("decided" in remark for remark in report.run.get("remarks", ()))


def test_a_survey_of_a_plate_that_breaks_off_is_remarked_on(
    ran: Callable[..., Report], stumbles: Callable[[str, int], list[str]]
) -> None:
    left = stumbles("p.0007.png", 2)
    (remark,) = ran(*LOCKED, frames="1-2").run["remarks"]
    assert left == []
    assert "what stage 'mkl' decides once a shot, it decided by 1 of 3 frames" in remark


def test_other_settings_are_refused_and_a_longer_range_is_not(ran: Callable[..., Report]) -> None:
    ran(frames="3-6")
    with pytest.raises(UsageError, match=r"4 of the 12 frames of .* are there already \(3-6\) and were made"):
        ran("stages.mkl.strength=0.5")
    assert made(ran()) == [1, 2, *range(7, COUNT + 1)]


def test_a_run_that_was_killed_before_its_report_loses_nothing(
    ran: Callable[..., Report], monkeypatch: pytest.MonkeyPatch, show: Path
) -> None:
    """Its frames are not made again, and what it had to say of them is said."""
    first = ran(out=show / "other" / "o.%04d.png")

    def killed(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Report, "write", killed)
        with pytest.raises(SystemExit):
            ran()
    delivery = show / "out" / "o.%04d.png"
    (journal,) = journals_of(delivery)
    os.utime(journal, (1, 1))  # else it might be at work on another machine
    report = ran()
    assert (made(report), report.already_done) == ([], False)
    assert report.records == first.frames
    assert report.summary()["swapped"] == COUNT
    assert journals_of(delivery) == ()
    assert ran().already_done


def test_reading_finds_what_is_damaged(
    ran: Callable[..., Report], show: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def verified(*words: str) -> tuple[int, str]:
        code = main(["run", str(show / "job.toml"), "--device", "cpu", "--progress", "none", "--verify", *words])
        return code, capsys.readouterr().out

    assert verified() == (1, f"{show / 'out' / 'o.%04d.png'}: frames 1-12: missing: run the pipeline file again\n")
    outputs = ran().outputs
    assert verified() == (0, f"{show / 'out' / 'o.%04d.png'}: 12 frames, all as they were written\n")
    data, time = bytearray(outputs[3].read_bytes()), outputs[3].stat().st_mtime_ns
    data[-20] ^= 1
    outputs[3].write_bytes(data)
    os.utime(outputs[3], ns=(time, time))
    assert ran().already_done, "nobody read it"
    outputs[9].unlink()
    _draw(show, 12, gain=0.9)
    code, said = verified()
    assert code == 1
    assert "frames 4: damaged: not what was written; delete them, or make them again with --overwrite" in said
    assert "frames 10: missing" in said
    assert "of a plate that has changed since: run the pipeline file again" in said
    assert "frames 4: damaged" not in verified("--frames", "1-3,5-8")[1]
    ran(frames="4", overwrite=True)
    ran()
    assert verified()[0] == 0


def test_reading_names_the_damaged_pictures_of_a_movie(
    ran: Callable[..., Report], show: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", str(show / "job.toml"), "--out", str(show / "o.mkv"), "--set", "shot.rate=24"]
    words += ["--device", "cpu", "--progress", "none"]
    assert main(words) == 0
    assert main([*words, "--verify"]) == 0
    movie = show / "o.mkv"
    whole = movie.read_bytes()
    fifth = _place_of_picture(movie, whole, 4)
    movie.write_bytes(whole[:fifth] + bytes([whole[fifth] ^ 1]) + whole[fifth + 1 :])
    capsys.readouterr()
    assert main([*words, "--verify"]) == 1
    assert "frames 5: damaged" in capsys.readouterr().out
    assert main(words) == 2, "of another time and other bytes"
    assert "was changed since it was made" in capsys.readouterr().err
    movie.write_bytes(whole)
    assert main(words) == 0, "of another time and the same bytes"
    movie.write_bytes(whole[:fifth])
    assert main([*words, "--verify"]) == 1
    assert "frames 5-12: damaged" in capsys.readouterr().out


def _place_of_picture(movie: Path, data: bytes, index: int) -> int:
    """Where in the file some byte in the middle of a coded picture is."""
    import av  # noqa: PLC0415

    with av.open(str(movie)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    return data.index(packets[index]) + len(packets[index]) // 2
