"""Cuts: clips of an OTIO timeline become shots, with handles and timecode, and results go back beside the plates."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import opentimelineio as otio
import pytest

import vfxswap
from vfxswap.cli import main
from vfxswap.clock import FrameRange, Timecode
from vfxswap.errors import ExitCode, PipelineError
from vfxswap.files import FramePattern
from vfxswap.host import Host
from vfxswap.report import past_run, report_path
from vfxswap.timeline import read_clips

RATE = Fraction(24)
NTSC = Fraction(30000, 1001)


def time(value: float, rate: Fraction = RATE) -> Any:
    return otio.opentime.RationalTime(value, float(rate))


def span(start: float, count: float, rate: Fraction = RATE) -> Any:
    return otio.opentime.TimeRange(time(start, rate), time(count, rate))


def code_of(text: str) -> Any:
    """OpenEXR's timecode."""
    made = OpenEXR.TimeCode()
    made.dropFrame = ";" in text
    made.hours, made.minutes, made.seconds, made.frame = (int(part) for part in text.replace(";", ":").split(":"))
    return made


def sequence(
    pattern: Path, numbers: range, *, start: str | None = None, rate: Fraction | None = RATE, size: int = 8
) -> Path:
    """Tiny scene-linear plates, each with its own number in its pixels, and a timecode that counts on."""
    pattern.parent.mkdir(parents=True, exist_ok=True)
    zero = None if start is None else Timecode.parse(start, rate or RATE)
    for number in numbers:
        pixels = np.full((size, size), number / 1024, np.float16)
        header: dict[str, Any] = {"compression": OpenEXR.ZIPS_COMPRESSION, "type": OpenEXR.scanlineimage}
        if rate is not None:
            header["framesPerSecond"] = rate
        if zero is not None:
            header["timeCode"] = code_of(str(zero + (number - numbers[0])))
        file = OpenEXR.File(header, dict.fromkeys("RGB", pixels))
        file.write(str(FramePattern(pattern).path(number)))
    return pattern


def image_sequence(base: str, name: str, first: int, available: Any, rate: float = 24) -> Any:
    return otio.schema.ImageSequenceReference(
        target_url_base=base,
        name_prefix=f"{name}.",
        name_suffix=".exr",
        start_frame=first,
        frame_step=1,
        rate=rate,
        frame_zero_padding=4,
        available_range=available,
    )


def timeline(path: Path, *items: Any, name: str = "reel 1") -> Path:
    made = otio.schema.Timeline(name)
    track = otio.schema.Track("V1", kind=otio.schema.TrackKind.Video)
    made.tracks.append(track)
    for item in items:
        track.append(item)
    made.to_json_file(str(path))
    return path


def pipeline(folder: Path, shot: str, delivery: str = 'path = "out/{clip}.####.exr"') -> Path:
    path = folder / "job.toml"
    path.write_text(f'[shot]\ncolor_space = "ACEScg"\n{shot}\n[delivery]\n{delivery}\n')
    return path


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """Two shots of twelve frames and their timeline: sh010 shows 1004-1007 by timecode, sh020 frames 3-6 of a plate."""
    sequence(tmp_path / "plates" / "sh010" / "sh010.####.exr", range(1001, 1013), start="01:00:00:00")
    sequence(tmp_path / "plates" / "sh020.####.exr", range(1, 13))
    one = otio.schema.Clip(
        "sh010", image_sequence("plates/sh010/", "sh010", 1001, span(86400, 12)), source_range=span(86403, 4)
    )
    url = (tmp_path / "plates" / "sh020.%04d.exr").as_uri().replace("%2504d", "%04d")
    two = otio.schema.Clip("sh020", otio.schema.ExternalReference(url, span(0, 12)), source_range=span(2, 4))
    return timeline(tmp_path / "cut.otio", one, otio.schema.Gap(duration=time(10)), two)


@pytest.fixture
def ran(tmp_path: Path, host: Host) -> Callable[..., Any]:
    def ran(shot: str, delivery: str = 'path = "out/{clip}.####.exr"', **options: Any) -> Any:
        return vfxswap.run(pipeline(tmp_path, shot, delivery), host=host, device="cpu", **options)

    return ran


def complaints(caught: pytest.ExceptionInfo[PipelineError]) -> str:
    return str(caught.value)


def test_a_clip_says_plate_and_frames(cut: Path, ran: Callable[..., Any], tmp_path: Path) -> None:
    report = ran('timeline = "cut.otio"\nclip = "sh010"')
    assert [path.name for path in report.outputs] == [f"sh010.{number}.exr" for number in range(1004, 1008)]
    for path in report.outputs:
        assert path.read_bytes() == (tmp_path / "plates" / "sh010" / path.name).read_bytes()
    assert (report.run["clip"], report.run["timeline"], report.run["cut"]) == ("sh010", "cut.otio", "1004-1007")
    assert report.run["timecode"] == "01:00:00:03"


def test_a_pipeline_file_named_from_elsewhere_finds_the_cuts_media(
    cut: Path, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The media's URL is relative to the timeline, the timeline to the pipeline file, and that to where one stands."""
    (tmp_path / "pipelines").mkdir()
    file = pipeline(tmp_path / "pipelines", f'timeline = "../{cut.name}"\nclip = "sh010"')
    monkeypatch.chdir(tmp_path)
    report = vfxswap.run(file.relative_to(tmp_path), host=host, device="cpu")
    assert [path.name for path in report.outputs] == [f"sh010.{number}.exr" for number in range(1004, 1008)]


def test_a_clip_of_a_file_url_counts_from_its_media(cut: Path, ran: Callable[..., Any]) -> None:
    report = ran('timeline = "cut.otio"\nclip = "sh020"')
    assert [record.frame for record in report.frames] == [3, 4, 5, 6]


def test_handles_reach_as_far_as_there_are_frames(cut: Path, ran: Callable[..., Any]) -> None:
    report = ran('timeline = "cut.otio"\nclip = "sh020"\nhandles = 5')
    assert [record.frame for record in report.frames] == list(range(1, 12))
    assert report.run["cut"] == "3-6"
    assert report.run["remarks"] == ["handles: 2 of 5 frames before the cut (3-6), as there are no more"]


def test_handles_keep_to_what_the_timeline_allows(cut: Path, ran: Callable[..., Any], tmp_path: Path) -> None:
    media = image_sequence("plates/sh010/", "sh010", 1003, span(86402, 6))
    timeline(cut, otio.schema.Clip("sh010", media, source_range=span(86403, 4)))
    report = ran('timeline = "cut.otio"\nhandles = 3')
    assert [record.frame for record in report.frames] == [1003, 1004, 1005, 1006, 1007, 1008]
    assert [remark[:22] for remark in report.run["remarks"]] == ["handles: 1 of 3 frames"] * 2


def test_handles_go_beyond_frames_too(cut: Path, ran: Callable[..., Any]) -> None:
    shot = 'plate = "plates/sh010/sh010.####.exr"\nframes = "01:00:00:04-01:00:00:05"\nhandles = 2'
    report = ran(shot, 'path = "out/a.####.exr"')
    assert [record.frame for record in report.frames] == list(range(1003, 1009))
    assert report.run["cut"] == "1005-1006"


def test_frames_of_the_command_line_have_no_handles(cut: Path, ran: Callable[..., Any]) -> None:
    report = ran('timeline = "cut.otio"\nclip = "sh010"\nhandles = 2', frames="1002-1003")
    assert [record.frame for record in report.frames] == [1002, 1003]


def test_handles_of_a_whole_plate_make_no_sense(cut: Path, ran: Callable[..., Any]) -> None:
    with pytest.raises(PipelineError, match="there is nothing that handles could go beyond"):
        ran('plate = "plates/sh020.####.exr"\nhandles = 2', 'path = "out/a.####.exr"')


def test_a_stated_plate_stands_in_for_the_clips_own(cut: Path, ran: Callable[..., Any], tmp_path: Path) -> None:
    """Renumbered, but with the camera's timecode: that is what counts."""
    sequence(tmp_path / "online" / "sh010.####.exr", range(1, 21), start="00:59:59:20")
    media = otio.schema.ExternalReference("proxies/gone.mov", span(86400, 12))
    timeline(cut, otio.schema.Clip("sh010", media, source_range=span(86403, 4)))
    report = ran('timeline = "cut.otio"\nplate = "online/{clip}.####.exr"\nhandles = 1')
    assert [record.frame for record in report.frames] == [7, 8, 9, 10, 11, 12]
    assert report.run["timecode"] == "01:00:00:02"
    assert "the clip's frames were counted by timecode" in report.run["remarks"]


def test_missing_media_is_said_with_what_to_do(cut: Path, ran: Callable[..., Any]) -> None:
    timeline(cut, otio.schema.Clip("sh010", None, source_range=span(86403, 4)))
    with pytest.raises(PipelineError, match=r"media is missing in the timeline; name its plate with \[shot\] plate"):
        ran('timeline = "cut.otio"')
    media = image_sequence("gone/", "sh010", 1001, span(86400, 12))
    timeline(cut, otio.schema.Clip("sh010", media, source_range=span(86403, 4)))
    with pytest.raises(PipelineError, match=r"it is the media of clip 'sh010' in cut\.otio: relink"):
        ran('timeline = "cut.otio"')


@pytest.mark.parametrize(
    ("shot", "message"),
    [
        ('timeline = "cut.otio"', r"the timeline has 2 clips: sh010, sh020; name one with clip"),
        ('timeline = "cut.otio"\nclip = "sh030"', r"the timeline has no clip 'sh030'; there are sh010, sh020"),
        ('timeline = "gone.otio"\nclip = "sh010"', r"gone\.otio cannot be read as a timeline"),
        ('timeline = "cut.edl"\nclip = "sh010"', r"otioconvert -i cut\.edl -o cut\.otio"),
        ('timeline = "cut.otio"\nclip = "sh010"\nmedia = "hires"', r"it has no media reference 'hires'; there are DEF"),
        ('plate = "plates/sh020.####.exr"', r"\{clip\} stands for a clip's name; say clip"),
    ],
)
def test_what_does_not_name_a_clip_is_refused(cut: Path, ran: Callable[..., Any], shot: str, message: str) -> None:
    with pytest.raises(PipelineError, match=message) as caught:
        ran(shot)
    assert len([one for one in caught.value.problems if one.stage == "shot"]) == 1, complaints(caught)


def test_clips_of_one_name_are_told_apart(cut: Path, ran: Callable[..., Any]) -> None:
    media = image_sequence("plates/sh010/", "sh010", 1001, span(86400, 12))
    timeline(cut, *(otio.schema.Clip("sh010", media.clone(), source_range=span(86400 + n, 2)) for n in (1, 5)))
    with pytest.raises(PipelineError, match="has 2 clips 'sh010'; say which: sh010#1, sh010#2"):
        ran('timeline = "cut.otio"\nclip = "sh010"')
    report = ran('timeline = "cut.otio"\nclip = "sh010#2"')
    assert [path.name for path in report.outputs] == ["sh010_2.1006.exr", "sh010_2.1007.exr"]


def test_sound_and_gaps_are_no_clips(cut: Path) -> None:
    root = otio.core.deserialize_json_from_file(str(cut))
    sound = otio.schema.Track("A1", kind=otio.schema.TrackKind.Audio)
    sound.append(otio.schema.Clip("sh010", otio.schema.ExternalReference("a.wav", span(0, 99)), span(0, 9)))
    root.tracks.append(sound)
    root.to_json_file(str(cut))
    assert [(clip.name, clip.track) for clip in read_clips(cut)] == [("sh010", "V1"), ("sh020", "V1")]


def test_a_transition_shows_more_than_the_cut(cut: Path, ran: Callable[..., Any]) -> None:
    media = image_sequence("plates/sh010/", "sh010", 1001, span(86400, 12))
    one, two = (otio.schema.Clip(f"sh{n}", media.clone(), source_range=span(86403, 4)) for n in (1, 2))
    dissolve = otio.schema.Transition(transition_type="SMPTE_Dissolve", in_offset=time(1), out_offset=time(2))
    timeline(cut, one, dissolve, two)
    first, second = (ran(f'timeline = "cut.otio"\nclip = "sh{n}"') for n in (1, 2))
    assert [record.frame for record in first.frames] == list(range(1004, 1010))
    assert [record.frame for record in second.frames] == list(range(1003, 1008))
    assert "a transition shows 0 frames before the cut and 2 behind it" in first.run["remarks"][0]


@pytest.mark.parametrize(
    ("effect", "frames"),
    [
        (otio.schema.LinearTimeWarp(time_scalar=2.0), range(1004, 1012)),
        (otio.schema.LinearTimeWarp(time_scalar=0.5), range(1004, 1008)),
        (otio.schema.FreezeFrame(), range(1004, 1005)),
    ],
)
def test_retimed_clips_are_delivered_as_they_were_shot(
    cut: Path, ran: Callable[..., Any], effect: Any, frames: range
) -> None:
    media = image_sequence("plates/sh010/", "sh010", 1001, span(86400, 12))
    clip = otio.schema.Clip("sh010", media, source_range=span(86403, 4))
    clip.effects.append(effect.clone())
    timeline(cut, clip)
    report = ran('timeline = "cut.otio"')
    assert [record.frame for record in report.frames] == list(frames)
    assert "its frames are delivered as they were shot" in report.run["remarks"][0]


@pytest.mark.parametrize(
    ("effect", "message"),
    [
        (otio.schema.LinearTimeWarp(time_scalar=-1.0), "it plays at -1 of its speed"),
        (otio.schema.TimeEffect(effect_name="Curve"), r"it is retimed \(Curve\)"),
    ],
)
def test_a_retime_that_hides_its_frames_wants_them_stated(
    cut: Path, ran: Callable[..., Any], effect: Any, message: str
) -> None:
    media = image_sequence("plates/sh010/", "sh010", 1001, span(86400, 12))
    clip = otio.schema.Clip("sh010", media, source_range=span(86403, 4))
    clip.effects.append(effect.clone())
    timeline(cut, clip)
    with pytest.raises(PipelineError, match=message):
        ran('timeline = "cut.otio"')
    report = ran('timeline = "cut.otio"\nframes = "1002-1003"\nhandles = 1')
    assert [record.frame for record in report.frames] == [1001, 1002, 1003, 1004]


def test_a_cut_beyond_the_plate_says_how_it_was_counted(cut: Path, ran: Callable[..., Any]) -> None:
    media = image_sequence("plates/sh010/", "sh010", 1001, span(86400, 40))
    timeline(cut, otio.schema.Clip("sh010", media, source_range=span(86403, 20)))
    with pytest.raises(PipelineError, match=r"shows frames 1004-1023, counted by frame number, .* has 1001-1012"):
        ran('timeline = "cut.otio"')


def test_times_of_another_rate_are_converted_exactly_or_refused(
    cut: Path, ran: Callable[..., Any], tmp_path: Path
) -> None:
    sequence(tmp_path / "fast.####.exr", range(1, 25), rate=Fraction(48))
    media = otio.schema.ExternalReference("fast.%04d.exr", span(0, 12))
    timeline(cut, otio.schema.Clip("a", media, source_range=span(2, 4)))
    assert [record.frame for record in ran('timeline = "cut.otio"').frames] == list(range(5, 13))
    sequence(tmp_path / "fast.####.exr", range(1, 25), rate=Fraction(30))
    with pytest.raises(PipelineError, match="begins between two frames of the plate"):
        ran('timeline = "cut.otio"')


def test_the_result_goes_back_as_a_second_media_reference(cut: Path, ran: Callable[..., Any], tmp_path: Path) -> None:
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


def test_a_recut_keeps_the_results(cut: Path, ran: Callable[..., Any], tmp_path: Path) -> None:
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
def test_a_timeline_that_cannot_be_written_is_said_before_the_start(
    cut: Path, ran: Callable[..., Any], tmp_path: Path, name: str, message: str
) -> None:
    result = image_sequence("", "a", 1, span(0, 4))
    clip = otio.schema.Clip("sh010", image_sequence("", "a", 1, span(0, 4)), source_range=span(0, 4))
    clip.set_media_references({**clip.media_references(), "vfxswap": result}, "vfxswap")
    timeline(tmp_path / "other.otio", clip, name="reel 2")
    (tmp_path / "broken.otio").write_text("{")
    with pytest.raises(PipelineError, match=message):
        ran('timeline = "cut.otio"\nclip = "sh010"', f'path = "o.####.exr"\ntimeline = "{name}"')
    assert not (tmp_path / "o.1004.exr").exists()


def test_a_shot_without_a_cut_gets_a_timeline_of_its_own(cut: Path, ran: Callable[..., Any], tmp_path: Path) -> None:
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


def test_two_processes_write_one_timeline(cut: Path, tmp_path: Path) -> None:
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
    cut: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
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


def test_check_says_what_is_wrong_with_each_clip(cut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    cut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(pipeline(tmp_path, 'timeline = "cut.otio"\non_hole = "skpi"'))
    assert main(["check", path, "--all-clips"]) == ExitCode.USAGE
    out = capsys.readouterr().out
    assert out.count("on_hole") == 1
    assert main(["run", path, "--all-clips"]) == ExitCode.USAGE
    assert capsys.readouterr().err.count("on_hole") == 1


def test_clips_that_would_overwrite_one_another_are_refused(
    cut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
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
    cut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    path = str(pipeline(tmp_path, 'timeline = "cut.otio"'))
    assert main(["run", path, *words]) == ExitCode.USAGE
    assert message in capsys.readouterr().err


def test_all_clips_want_a_timeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(pipeline(tmp_path, 'plate = "a.mov"'))
    assert main(["run", path, "--all-clips"]) == ExitCode.USAGE
    assert "it says which clips there are" in capsys.readouterr().err


def test_drop_frame_goes_all_the_way(ran: Callable[..., Any], tmp_path: Path) -> None:
    """From a plate over a minute's end into frames named by timecode, and into each header of the delivery."""
    sequence(tmp_path / "p.####.exr", range(1, 9), start="00:00:59;26", rate=NTSC)
    report = ran('plate = "p.####.exr"\nframes = "00:00:59;29-00:01:00;03"', 'path = "o.####.exr"')
    assert [record.frame for record in report.frames] == [4, 5, 6]
    assert report.run["timecode"] == "00:00:59;29"
    codes = [OpenEXR.File(str(path), header_only=True).header(0)["timeCode"] for path in report.outputs]
    assert [(code.seconds, code.frame, bool(code.dropFrame)) for code in codes] == [
        (59, 29, True),
        (0, 2, True),
        (0, 3, True),
    ]


def test_a_rate_is_stated_where_the_plate_says_none(ran: Callable[..., Any], tmp_path: Path) -> None:
    sequence(tmp_path / "p.####.exr", range(1, 4), rate=None)
    report = ran('plate = "p.####.exr"\nrate = "24000/1001"', 'path = "o.####.exr"')
    for path in report.outputs:
        assert OpenEXR.File(str(path), header_only=True).header(0)["framesPerSecond"] == Fraction(24000, 1001)
    sequence(tmp_path / "p.####.exr", range(1, 4), rate=Fraction(25))
    with pytest.raises(PipelineError, match="the plate itself says 25 frames a second; leave rate out"):
        ran('plate = "p.####.exr"\nrate = "24000/1001"', 'path = "o.####.exr"')


def test_frames_named_by_timecode_must_be_the_plates(ran: Callable[..., Any], tmp_path: Path) -> None:
    sequence(tmp_path / "p.####.exr", range(1001, 1005), start="01:00:00:00")
    sequence(tmp_path / "q.####.exr", range(1001, 1005))
    with pytest.raises(PipelineError, match="the plate has no frames 1005"):
        ran('plate = "p.####.exr"\nframes = "01:00:00:00-01:00:00:04"', 'path = "o.####.exr"')
    with pytest.raises(PipelineError, match="the plate says none; write frame numbers"):
        ran('plate = "q.####.exr"\nframes = "01:00:00:00"', 'path = "o.####.exr"')
    assert FrameRange.parse("1001") == FrameRange.of([1001])


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


def test_check_and_run_say_what_the_cut_shows(cut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
def movies(cut: Path, ran: Callable[..., Any], tmp_path: Path) -> Path:
    """A cut of a movie with the timecode of a camera, of which the clip shows frames 5-8."""
    ran('plate = "plates/sh010/sh010.####.exr"', 'path = "reel.mkv"\ncodec = "ffv1"')
    media = otio.schema.ExternalReference("reel.mkv")  # without a range: its own timecode counts
    timeline(cut, otio.schema.Clip("sh010", media, source_range=span(86404, 4)))
    return cut


def test_movies_go_in_and_out(movies: Path, ran: Callable[..., Any], tmp_path: Path, host: Host) -> None:
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
def test_a_farm_hands_over_what_it_put_together(cut: Path, tmp_path: Path, delivery: str) -> None:
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
