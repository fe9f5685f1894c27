"""Clips of an OTIO timeline become shots: their plates, frames, handles, timecode, rates and retimes."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import OpenEXR
import opentimelineio as otio
import pytest

import vfxswap
from vfxswap.clock import FrameRange
from vfxswap.errors import PipelineError
from vfxswap.host import Host
from vfxswap.timeline import read_clips

NTSC = Fraction(30000, 1001)


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
    cut: Path, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pipeline: Callable[..., Path]
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


def test_handles_keep_to_what_the_timeline_allows(
    cut: Path,
    ran: Callable[..., Any],
    tmp_path: Path,
    span: Callable[..., Any],
    image_sequence: Callable[..., Any],
    timeline: Callable[..., Path],
) -> None:
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


def test_a_stated_plate_stands_in_for_the_clips_own(
    cut: Path,
    ran: Callable[..., Any],
    tmp_path: Path,
    span: Callable[..., Any],
    sequence: Callable[..., Path],
    timeline: Callable[..., Path],
) -> None:
    """Renumbered, but with the camera's timecode: that is what counts."""
    sequence(tmp_path / "online" / "sh010.####.exr", range(1, 21), start="00:59:59:20")
    media = otio.schema.ExternalReference("proxies/gone.mov", span(86400, 12))
    timeline(cut, otio.schema.Clip("sh010", media, source_range=span(86403, 4)))
    report = ran('timeline = "cut.otio"\nplate = "online/{clip}.####.exr"\nhandles = 1')
    assert [record.frame for record in report.frames] == [7, 8, 9, 10, 11, 12]
    assert report.run["timecode"] == "01:00:00:02"
    assert "the clip's frames were counted by timecode" in report.run["remarks"]


def test_missing_media_is_said_with_what_to_do(
    cut: Path,
    ran: Callable[..., Any],
    span: Callable[..., Any],
    image_sequence: Callable[..., Any],
    timeline: Callable[..., Path],
) -> None:
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


def test_clips_of_one_name_are_told_apart(
    cut: Path,
    ran: Callable[..., Any],
    span: Callable[..., Any],
    image_sequence: Callable[..., Any],
    timeline: Callable[..., Path],
) -> None:
    media = image_sequence("plates/sh010/", "sh010", 1001, span(86400, 12))
    timeline(cut, *(otio.schema.Clip("sh010", media.clone(), source_range=span(86400 + n, 2)) for n in (1, 5)))
    with pytest.raises(PipelineError, match="has 2 clips 'sh010'; say which: sh010#1, sh010#2"):
        ran('timeline = "cut.otio"\nclip = "sh010"')
    report = ran('timeline = "cut.otio"\nclip = "sh010#2"')
    assert [path.name for path in report.outputs] == ["sh010_2.1006.exr", "sh010_2.1007.exr"]


def test_sound_and_gaps_are_no_clips(cut: Path, span: Callable[..., Any]) -> None:
    root = otio.core.deserialize_json_from_file(str(cut))
    sound = otio.schema.Track("A1", kind=otio.schema.TrackKind.Audio)
    sound.append(otio.schema.Clip("sh010", otio.schema.ExternalReference("a.wav", span(0, 99)), span(0, 9)))
    root.tracks.append(sound)
    root.to_json_file(str(cut))
    assert [(clip.name, clip.track) for clip in read_clips(cut)] == [("sh010", "V1"), ("sh020", "V1")]


def test_a_transition_shows_more_than_the_cut(
    cut: Path,
    ran: Callable[..., Any],
    time: Callable[..., Any],
    span: Callable[..., Any],
    image_sequence: Callable[..., Any],
    timeline: Callable[..., Path],
) -> None:
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
    cut: Path,
    ran: Callable[..., Any],
    span: Callable[..., Any],
    image_sequence: Callable[..., Any],
    timeline: Callable[..., Path],
    effect: Any,
    frames: range,
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
    cut: Path,
    ran: Callable[..., Any],
    span: Callable[..., Any],
    image_sequence: Callable[..., Any],
    timeline: Callable[..., Path],
    effect: Any,
    message: str,
) -> None:
    media = image_sequence("plates/sh010/", "sh010", 1001, span(86400, 12))
    clip = otio.schema.Clip("sh010", media, source_range=span(86403, 4))
    clip.effects.append(effect.clone())
    timeline(cut, clip)
    with pytest.raises(PipelineError, match=message):
        ran('timeline = "cut.otio"')
    report = ran('timeline = "cut.otio"\nframes = "1002-1003"\nhandles = 1')
    assert [record.frame for record in report.frames] == [1001, 1002, 1003, 1004]


def test_a_cut_beyond_the_plate_says_how_it_was_counted(
    cut: Path,
    ran: Callable[..., Any],
    span: Callable[..., Any],
    image_sequence: Callable[..., Any],
    timeline: Callable[..., Path],
) -> None:
    media = image_sequence("plates/sh010/", "sh010", 1001, span(86400, 40))
    timeline(cut, otio.schema.Clip("sh010", media, source_range=span(86403, 20)))
    with pytest.raises(PipelineError, match=r"shows frames 1004-1023, counted by frame number, .* has 1001-1012"):
        ran('timeline = "cut.otio"')


def test_times_of_another_rate_are_converted_exactly_or_refused(
    cut: Path,
    ran: Callable[..., Any],
    tmp_path: Path,
    span: Callable[..., Any],
    sequence: Callable[..., Path],
    timeline: Callable[..., Path],
) -> None:
    sequence(tmp_path / "fast.####.exr", range(1, 25), rate=Fraction(48))
    media = otio.schema.ExternalReference("fast.%04d.exr", span(0, 12))
    timeline(cut, otio.schema.Clip("a", media, source_range=span(2, 4)))
    assert [record.frame for record in ran('timeline = "cut.otio"').frames] == list(range(5, 13))
    sequence(tmp_path / "fast.####.exr", range(1, 25), rate=Fraction(30))
    with pytest.raises(PipelineError, match="begins between two frames of the plate"):
        ran('timeline = "cut.otio"')


def test_drop_frame_goes_all_the_way(ran: Callable[..., Any], tmp_path: Path, sequence: Callable[..., Path]) -> None:
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


def test_a_rate_is_stated_where_the_plate_says_none(
    ran: Callable[..., Any], tmp_path: Path, sequence: Callable[..., Path]
) -> None:
    sequence(tmp_path / "p.####.exr", range(1, 4), rate=None)
    report = ran('plate = "p.####.exr"\nrate = "24000/1001"', 'path = "o.####.exr"')
    for path in report.outputs:
        assert OpenEXR.File(str(path), header_only=True).header(0)["framesPerSecond"] == Fraction(24000, 1001)
    sequence(tmp_path / "p.####.exr", range(1, 4), rate=Fraction(25))
    with pytest.raises(PipelineError, match="the plate itself says 25 frames a second; leave rate out"):
        ran('plate = "p.####.exr"\nrate = "24000/1001"', 'path = "o.####.exr"')


def test_frames_named_by_timecode_must_be_the_plates(
    ran: Callable[..., Any], tmp_path: Path, sequence: Callable[..., Path]
) -> None:
    sequence(tmp_path / "p.####.exr", range(1001, 1005), start="01:00:00:00")
    sequence(tmp_path / "q.####.exr", range(1001, 1005))
    with pytest.raises(PipelineError, match="the plate has no frames 1005"):
        ran('plate = "p.####.exr"\nframes = "01:00:00:00-01:00:00:04"', 'path = "o.####.exr"')
    with pytest.raises(PipelineError, match="the plate says none; write frame numbers"):
        ran('plate = "q.####.exr"\nframes = "01:00:00:00"', 'path = "o.####.exr"')
    assert FrameRange.parse("1001") == FrameRange.of([1001])
