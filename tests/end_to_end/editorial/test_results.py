"""Results go back beside the plates of an OTIO timeline, of one clip or of all, in one process or in several."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import opentimelineio as otio
import pytest

import vfxswap
from vfxswap.cli import main
from vfxswap.errors import ExitCode, PipelineError
from vfxswap.files import FramePattern
from vfxswap.host import Host
from vfxswap.report import past_run, report_path
from vfxswap.timeline import read_clips


def test_the_result_goes_back_as_a_second_media_reference(
    cut: Path, ran: Callable[..., Any], tmp_path: Path, pipeline: Callable[..., Path]
) -> None:
    before = cut.read_bytes()
    delivery = 'path = "out/{clip}.####.exr"\ntimeline = "comp/out.otio"'
    ran('timeline = "cut.otio"\nclip = "sh010"\nhandles = 2', delivery)
    ran('timeline = "cut.otio"\nclip = "sh020"\nhandles = 1', delivery)
    assert cut.read_bytes() == before
    out = tmp_path / "comp" / "out.otio"
    assert [path.name for path in out.parent.iterdir()] == ["out.otio"]
    root = otio.core.deserialize_json_from_file(str(out))
    one, two = root.find_clips()
    for clip, number, first, count in ((one, 1004, 1002, 8), (two, 3, 2, 6)):
        assert clip.active_media_reference_key == "vfxswap"
        assert set(clip.media_references()) == {"DEFAULT_MEDIA", "vfxswap"}
        made = clip.media_reference
        assert (made.start_frame, made.end_frame()) == (first, first + count - 1)
        # What the clip shows is the very same frame of either medium.
        assert made.frame_for_time(clip.source_range.start_time) == number
        assert made.metadata["vfxswap"]["pipeline"] == "job.toml"
    assert one.media_reference.target_url_for_image_number(0) == "../out/sh010.1002.exr"
    # The plate's own reference still means the same files, though the timeline is in another folder.
    assert one.media_references()["DEFAULT_MEDIA"].target_url_base == "../plates/sh010/"
    assert [clip.path for clip in read_clips(out)][1] == tmp_path / "plates" / "sh020.%04d.exr"
    again = pipeline(tmp_path, 'timeline = "comp/out.otio"\nclip = "sh010"')
    assert vfxswap.run(again, device="cpu", out=tmp_path / "b.####.exr").run["cut"] == "1004-1007"


def test_a_timeline_is_written_when_the_last_chunk_is_done(cut: Path, ran: Callable[..., Any], tmp_path: Path) -> None:
    shot, delivery = 'timeline = "cut.otio"\nclip = "sh010"', 'path = "o.####.exr"\ntimeline = "out.otio"'
    report = ran(shot, delivery, frames="1004-1005")
    assert report.run["remarks"] == ["out.otio gets the result when all frames are there; still missing: 1006-1007"]
    assert not (tmp_path / "out.otio").exists()
    ran(shot, delivery, frames="1006-1007")
    assert (tmp_path / "out.otio").exists()


def test_a_timeline_that_was_lost_is_written_again(cut: Path, ran: Callable[..., Any], tmp_path: Path) -> None:
    shot, delivery = 'timeline = "cut.otio"\nclip = "sh010"', 'path = "o.####.exr"\ntimeline = "out.otio"'
    ran(shot, delivery)
    (tmp_path / "out.otio").unlink()
    assert ran(shot, delivery).already_done
    assert (tmp_path / "out.otio").exists()


def test_a_recut_keeps_the_results(
    cut: Path, ran: Callable[..., Any], tmp_path: Path, span: Callable[..., Any]
) -> None:
    shot, delivery = 'timeline = "cut.otio"\nclip = "{}"', 'path = "{clip}.####.exr"\ntimeline = "out.otio"'
    ran(shot.format("sh010"), delivery)
    root = otio.core.deserialize_json_from_file(str(cut))
    clips = root.find_clips()
    clips[0].source_range = span(86404, 2)
    root.to_json_file(str(cut))
    ran(shot.format("sh020"), delivery)
    one, two = otio.core.deserialize_json_from_file(str(tmp_path / "out.otio")).find_clips()
    assert one.source_range == span(86404, 2)
    assert one.media_reference.frame_for_time(one.source_range.start_time) == 1005
    assert two.active_media_reference_key == "vfxswap"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cut.otio", "is the timeline that is read; give another name"),
        ("out.edl", r"out\.edl is no \.otio file"),
        ("other.otio", "holds results of another timeline, 'reel 2'"),
        ("broken.otio", "cannot be read as a timeline"),
    ],
)
def test_a_timeline_that_cannot_be_written_is_said_before_the_start(  # noqa: PLR0917 - fixtures
    cut: Path,
    ran: Callable[..., Any],
    tmp_path: Path,
    span: Callable[..., Any],
    image_sequence: Callable[..., Any],
    timeline: Callable[..., Path],
    name: str,
    message: str,
) -> None:
    result = image_sequence("", "a", 1, span(0, 4))
    clip = otio.schema.Clip("sh010", image_sequence("", "a", 1, span(0, 4)), source_range=span(0, 4))
    clip.set_media_references({**clip.media_references(), "vfxswap": result}, "vfxswap")
    timeline(tmp_path / "other.otio", clip, name="reel 2")
    (tmp_path / "broken.otio").write_text("{")
    with pytest.raises(PipelineError, match=message):
        ran('timeline = "cut.otio"\nclip = "sh010"', f'path = "o.####.exr"\ntimeline = "{name}"')
    assert not (tmp_path / "o.1004.exr").exists()


def test_a_shot_without_a_cut_gets_a_timeline_of_its_own(
    cut: Path, ran: Callable[..., Any], tmp_path: Path, span: Callable[..., Any]
) -> None:
    delivery = 'path = "out/{clip}.####.exr"\ntimeline = "out.otio"'
    shot = 'plate = "plates/sh010/sh010.####.exr"\nclip = "hero"\nframes = "1005-1006"\nhandles = 1'
    ran(shot, delivery)
    ran('plate = "plates/sh020.####.exr"\nclip = "other"', delivery)
    one, two = otio.core.deserialize_json_from_file(str(tmp_path / "out.otio")).find_clips()
    assert (one.name, two.name) == ("hero", "other")
    assert one.source_range == span(86404, 2)
    for key, numbers in (("DEFAULT_MEDIA", (1001, 1012)), ("vfxswap", (1004, 1007))):
        media = one.media_references()[key]
        assert media.frame_for_time(one.source_range.start_time) == 1005
        assert (media.start_frame, media.end_frame()) == numbers


def _deliver(folder: Path, clip: str) -> None:
    vfxswap.run(folder / "job.toml", clip=clip, device="cpu", workers=1)


def test_two_processes_write_one_timeline(
    cut: Path,
    tmp_path: Path,
    span: Callable[..., Any],
    image_sequence: Callable[..., Any],
    timeline: Callable[..., Path],
    pipeline: Callable[..., Path],
) -> None:
    media = image_sequence("plates/sh010/", "sh010", 1001, span(86400, 12))
    names = [f"sh{n:03d}" for n in range(6)]
    timeline(cut, *(otio.schema.Clip(name, media.clone(), source_range=span(86403, 1)) for name in names))
    pipeline(tmp_path, 'timeline = "cut.otio"', 'path = "{clip}.####.exr"\ntimeline = "out.otio"')
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        pool.starmap(_deliver, [(tmp_path, name) for name in names], chunksize=1)
    clips = otio.core.deserialize_json_from_file(str(tmp_path / "out.otio")).find_clips()
    assert [clip.active_media_reference_key for clip in clips] == ["vfxswap"] * 6
    assert not list(tmp_path.glob(".out*"))


def test_all_clips_are_run_and_a_failing_one_stops_no_other(
    cut: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    span: Callable[..., Any],
    sequence: Callable[..., Path],
    pipeline: Callable[..., Path],
) -> None:
    root = otio.core.deserialize_json_from_file(str(cut))
    (track,) = root.video_tracks()
    broken = sequence(tmp_path / "plates" / "sh005.####.exr", range(1, 5))
    file = FramePattern(broken).path(3)
    file.write_bytes(file.read_bytes()[:-40])
    media = otio.schema.ExternalReference("plates/sh005.%04d.exr", span(0, 4))
    track.insert(0, otio.schema.Clip("sh005", media, source_range=span(0, 4)))
    track.append(otio.schema.Clip("sh030", None, source_range=span(0, 4)))
    track.append(otio.schema.Clip("bars", otio.schema.GeneratorReference(generator_kind="SMPTEBars"), span(0, 4)))
    root.to_json_file(str(cut))
    path = str(pipeline(tmp_path, 'timeline = "cut.otio"', 'path = "{clip}.####.exr"\ntimeline = "out.otio"'))
    assert main(["run", path, "--all-clips", "--device", "cpu", "--progress", "json"]) == ExitCode.FAILED
    captured = capfd.readouterr()
    lines = [json.loads(line) for line in captured.out.splitlines()]
    shots = {line["clip"]: line for line in lines if line["type"] == "shot"}
    assert [name for name, line in shots.items() if line.get("complete")] == ["sh010", "sh020"]
    assert lines[-1] == {"type": "cut", "clips": 4, "failed": ["sh005", "sh030"]}
    progress = [line for line in lines if line["type"] == "progress"]
    assert progress[-1]["total"] == 4 + 4 + 4
    assert "bars: left out, as it is made by a generator (SMPTEBars)" in captured.err
    keys = [clip.active_media_reference_key for clip in read_all(tmp_path / "out.otio")]
    assert keys == ["DEFAULT_MEDIA", "vfxswap", "vfxswap", "DEFAULT_MEDIA", "DEFAULT_MEDIA"]
    assert main(["run", path, "--clip", "sh01*", "--device", "cpu", "--progress", "none"]) == ExitCode.OK
    assert "nothing to do" in capfd.readouterr().out


def read_all(path: Path) -> list[Any]:
    return list(otio.core.deserialize_json_from_file(str(path)).find_clips())


def test_check_says_what_is_wrong_with_each_clip(
    cut: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    span: Callable[..., Any],
    pipeline: Callable[..., Path],
) -> None:
    root = otio.core.deserialize_json_from_file(str(cut))
    (track,) = root.video_tracks()
    track.append(otio.schema.Clip("sh030", None, source_range=span(0, 4)))
    root.to_json_file(str(cut))
    path = str(pipeline(tmp_path, 'timeline = "cut.otio"'))
    assert main(["check", path, "--all-clips", "--device", "cpu"]) == ExitCode.USAGE
    out = capsys.readouterr().out
    assert "2 of 3 clips are ok" in out
    assert "sh010  sh010.%04d.exr  1004-1007 (4)  1004-1007" in out
    assert "error: sh030: " in out
    assert "its media is missing" in out
    assert "error: sh010" not in out


def test_what_is_wrong_with_all_clips_is_said_once(
    cut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], pipeline: Callable[..., Path]
) -> None:
    path = str(pipeline(tmp_path, 'timeline = "cut.otio"\non_hole = "skpi"'))
    assert main(["check", path, "--all-clips"]) == ExitCode.USAGE
    out = capsys.readouterr().out
    assert out.count("on_hole") == 1
    assert main(["run", path, "--all-clips"]) == ExitCode.USAGE
    assert capsys.readouterr().err.count("on_hole") == 1


def test_clips_that_would_overwrite_one_another_are_refused(
    cut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], pipeline: Callable[..., Path]
) -> None:
    path = str(pipeline(tmp_path, 'timeline = "cut.otio"', 'path = "out.####.exr"'))
    assert main(["check", path, "--all-clips"]) == ExitCode.USAGE
    assert "write {clip} where its name shall stand" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--clip", "sh0*", "--frames", "1001-1002"], "--frames goes with one clip alone"),
        (["--clip", "nobody*"], r"the timeline has no such clip; there are sh010, sh020"),
    ],
)
def test_words_that_do_not_go_with_several_clips(
    cut: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    pipeline: Callable[..., Path],
    words: list[str],
    message: str,
) -> None:
    path = str(pipeline(tmp_path, 'timeline = "cut.otio"'))
    assert main(["run", path, *words]) == ExitCode.USAGE
    assert message in capsys.readouterr().err


def test_all_clips_want_a_timeline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pipeline: Callable[..., Path]
) -> None:
    path = str(pipeline(tmp_path, 'plate = "a.mov"'))
    assert main(["run", path, "--all-clips"]) == ExitCode.USAGE
    assert "it says which clips there are" in capsys.readouterr().err


def test_probe_lists_the_clips_of_a_timeline(
    cut: Path, ran: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran('timeline = "cut.otio"\nclip = "sh010"', 'path = "o.####.exr"\ntimeline = "out.otio"')
    assert main(["probe", str(tmp_path / "out.otio")]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["sh010", "V1", "sh010.%04d.exr", "86403", "4", "3+5", "has", "a", "result"]
    assert main(["probe", str(cut), "--json"]) == ExitCode.OK
    clips = json.loads(capsys.readouterr().out)["clips"]
    assert [(clip["name"], clip["handles"], clip["result"]) for clip in clips] == [
        ("sh010", [3.0, 5.0], False),
        ("sh020", [2.0, 6.0], False),
    ]


def test_check_and_run_say_what_the_cut_shows(
    cut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], pipeline: Callable[..., Path]
) -> None:
    delivery = 'path = "o.####.exr"\ntimeline = "out.otio"'
    path = str(pipeline(tmp_path, 'timeline = "cut.otio"\nhandles = 5', delivery))
    assert main(["check", path, "--clip", "sh020", "--device", "cpu"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "which shows 3-6" in out
    assert "1-11 (11)" in out
    assert "handles: 2 of 5 frames before the cut" in out
    assert "out.otio: gets the result when the shot is whole" in out
    assert main(["run", path, "--clip", "sh020", "--device", "cpu", "--progress", "none"]) == ExitCode.OK
    assert "note: handles: 2 of 5 frames before the cut" in capsys.readouterr().out


@pytest.fixture
def movies(
    cut: Path, ran: Callable[..., Any], tmp_path: Path, span: Callable[..., Any], timeline: Callable[..., Path]
) -> Path:
    """A cut of a movie with the timecode of a camera, of which the clip shows frames 5-8."""
    ran('plate = "plates/sh010/sh010.####.exr"', 'path = "reel.mkv"\ncodec = "ffv1"')
    media = otio.schema.ExternalReference("reel.mkv")  # without a range: its own timecode counts
    timeline(cut, otio.schema.Clip("sh010", media, source_range=span(86404, 4)))
    return cut


def test_movies_go_in_and_out(
    movies: Path, ran: Callable[..., Any], tmp_path: Path, host: Host, span: Callable[..., Any]
) -> None:
    report = ran('timeline = "cut.otio"\nhandles = 1', 'path = "{clip}.mkv"\ncodec = "ffv1"\ntimeline = "out.otio"')
    assert [record.frame for record in report.frames] == [4, 5, 6, 7, 8, 9]
    with host.reader_for(tmp_path / "sh010.mkv")(tmp_path / "sh010.mkv") as opened:
        assert (opened.info.timecode, opened.info.count) == ("01:00:00:03", 6)
    (clip,) = read_all(tmp_path / "out.otio")
    assert clip.media_reference.target_url == "sh010.mkv"
    assert clip.media_reference.available_range == span(86403, 6)
    assert clip.source_range == span(86404, 4)


def test_a_part_of_a_movie_is_not_handed_over(movies: Path, ran: Callable[..., Any], tmp_path: Path) -> None:
    delivery = 'path = "{clip}.mkv"\ncodec = "ffv1"\ntimeline = "out.otio"'
    report = ran('timeline = "cut.otio"', delivery, frames="5-6")
    assert report.run["remarks"] == ["out.otio gets the result when all frames are there; still missing: 7-8"]
    assert not (tmp_path / "out.otio").exists()


@pytest.mark.parametrize("delivery", ["{clip}.####.exr", "{clip}.mkv"])
def test_a_farm_hands_over_what_it_put_together(
    cut: Path, tmp_path: Path, span: Callable[..., Any], pipeline: Callable[..., Path], delivery: str
) -> None:
    more = 'codec = "ffv1"\n' if delivery.endswith("mkv") else ""
    path = str(pipeline(tmp_path, 'timeline = "cut.otio"', f'path = "{delivery}"\n{more}timeline = "out.otio"'))
    words = ["--clip", "sh010", "--device", "cpu", "--progress", "none"]
    assert main(["run", path, *words, "--chunk", "1004-1005"]) == ExitCode.OK
    assert not (tmp_path / "out.otio").exists()
    assert main(["run", path, *words, "--chunk", "1006-1007"]) == ExitCode.OK
    assert main(["assemble", path, "--set", "shot.clip=sh010", "--progress", "none"]) == ExitCode.OK
    made = read_all(tmp_path / "out.otio")[0].media_reference
    assert made.available_range == span(86403, 4)
    assert "chunk" not in str(getattr(made, "target_url", ""))
    run = past_run(report_path(tmp_path / delivery.replace("{clip}", "sh010")))
    assert run is not None
    assert made.metadata["vfxswap"]["key"] == run.key
