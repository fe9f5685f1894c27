"""Where a clip's frames are in a plate, whatever its times are counted in."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import opentimelineio as otio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vfxswap.errors import UsageError
from vfxswap.timeline import Clip, Footage, Result, Retime, add_result, find_clip, placed, read_clips
from vfxswap.timeline.reading import names

RATES = st.sampled_from([Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(60)])


def clip(**facts: object) -> Clip:
    return Clip("a", "a", 0, "V1", **facts)  # type: ignore[arg-type]


def span(start: float, count: float, rate: Fraction) -> otio.opentime.TimeRange:
    time = otio.opentime.RationalTime
    return otio.opentime.TimeRange(time(start, float(rate)), time(count, float(rate)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rate=RATES,
    media=st.integers(0, 2_000_000),
    into=st.integers(0, 500),
    count=st.integers(1, 500),
    first=st.integers(-100, 2000),
)
def test_a_result_shows_the_very_frames_of_the_plate(
    tmp_path_factory: pytest.TempPathFactory, rate: Fraction, media: int, into: int, count: int, first: int
) -> None:
    """There and back: what the cut shows of the result is what it showed of the plate."""
    folder = tmp_path_factory.mktemp("cut")
    reference = otio.schema.ImageSequenceReference(
        name_prefix="a.",
        name_suffix=".exr",
        start_frame=first,
        rate=float(rate),
        frame_zero_padding=4,
        available_range=span(media, into + count + 8, rate),
    )
    cut = otio.schema.Timeline("cut")
    track = otio.schema.Track("V1")
    track.append(otio.schema.Clip("a", reference, span(media + into, count, rate)))
    cut.tracks.append(track)
    cut.to_json_file(str(folder / "cut.otio"))
    (found,) = read_clips(folder / "cut.otio")
    last = first + into + count + 7
    place = placed(found, first=first, last=last, rate=rate, timecode=None, is_stated=False)
    assert (place.shown, place.first, place.last) == (first + into, first + into, first + into + count - 1)
    assert place.usable == (first, last)
    low, high = max(first, place.first - 8), place.last + 8
    result = Result(Footage(folder / "r.####.exr", low, high, rate), place.shown)
    add_result(folder / "out.otio", "a", result, source=folder / "cut.otio")
    (made,) = otio.core.deserialize_json_from_file(str(folder / "out.otio")).find_clips()
    media_made = made.media_reference
    assert made.active_media_reference_key == "vfxswap"
    assert media_made.frame_for_time(made.source_range.start_time) == place.first
    assert media_made.frame_for_time(made.source_range.end_time_inclusive()) == place.last
    assert media_made.end_frame() == high
    assert made.media_references()["DEFAULT_MEDIA"].is_equivalent_to(reference)


def test_timecode_alone_places_a_clip() -> None:
    """23.976 and 24 count alike; of the ways that fit the plate, the first is taken."""
    shown = clip(rate=Fraction(24), start=Fraction(86424), count=Fraction(10))
    place = placed(shown, first=1001, last=1100, rate=Fraction(24000, 1001), timecode="01:00:00:12", is_stated=False)
    assert (place.first, place.last, place.usable, place.how) == (1013, 1022, None, "by timecode")


def test_without_a_word_of_the_media_times_count_from_its_first_frame() -> None:
    place = placed(
        clip(start=Fraction(5), count=Fraction(2)), first=1, last=9, rate=Fraction(24), timecode=None, is_stated=False
    )
    assert (place.first, place.last, place.how) == (6, 7, "from the media's first frame")


def test_a_timecode_that_does_not_fit_gives_way_to_the_numbers() -> None:
    shown = clip(start=Fraction(1010), count=Fraction(2), media_start=Fraction(1001), first_number=1001)
    place = placed(shown, first=1001, last=1100, rate=Fraction(24), timecode="01:00:00:00", is_stated=True)
    assert (place.first, place.how) == (1010, "by frame number")


def test_a_fast_clip_takes_more_of_what_a_transition_shows_too() -> None:
    fast = clip(start=Fraction(10), count=Fraction(4), head=Fraction(2), tail=Fraction(1), retime=Retime(2.0))
    place = placed(fast, first=0, last=99, rate=Fraction(24), timecode=None, is_stated=False)
    assert (place.shown, place.first, place.last) == (10, 6, 19)


def test_names_tell_clips_apart() -> None:
    assert names(["a", "b", "a", " ", "a"]) == ["a#1", "b", "a#2", "clip4", "a#3"]


def test_labels_may_stand_in_file_names() -> None:
    assert [Clip(name, name, 0, "").label for name in ("sh010", "a b#2", "../x", "%04d", ".", "größe")] == [
        "sh010",
        "a_b_2",
        "_x",
        "_04d",
        "clip",
        "größe",
    ]


def test_a_cut_without_footage_has_no_clip_to_take() -> None:
    bars = clip(skipped="disabled in the timeline")
    with pytest.raises(UsageError, match="has 0 clips: none"):
        find_clip([bars], None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as a timeline"),
        ("{", "cannot be read as a timeline"),
        ("[]", "holds no timeline but AnyVector"),
        ('{"OTIO_SCHEMA": "Clip.2"}', "cannot be read as a timeline"),
        ('{"OTIO_SCHEMA": "Timeline.99"}', "unsupported schema version"),
    ],
)
def test_what_is_no_timeline_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "cut.otio").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_clips(tmp_path / "cut.otio")


def test_what_a_clip_does_not_say_is_said(tmp_path: Path) -> None:
    nothing = otio.schema.Clip("nothing", otio.schema.ExternalReference("a.mov"))
    stepped = otio.schema.Clip(
        "stepped",
        otio.schema.ImageSequenceReference(frame_step=2, available_range=span(0, 9, Fraction(24))),
        span(0, 9, Fraction(24)),
    )
    far = otio.schema.Clip("far", otio.schema.ExternalReference("https://example.com/a"), span(0, 9, Fraction(24)))
    short = otio.schema.Clip("short", otio.schema.ExternalReference("a.mov"), span(0, 0, Fraction(24)))
    off = otio.schema.Clip("off", otio.schema.ExternalReference("a.mov"), span(0, 1, Fraction(24)))
    off.enabled = False
    cut = otio.schema.Timeline("cut")
    track = otio.schema.Track("V1")
    for item in (nothing, stepped, far, short, off):
        track.append(item)
    cut.tracks.append(track)
    cut.to_json_file(str(tmp_path / "cut.otio"))
    found = {one.name: one for one in read_clips(tmp_path / "cut.otio")}
    assert "neither the clip nor its media say" in str(found["nothing"].unplaced)
    assert "every 2th frame only" in str(found["stepped"].no_media)
    assert "only files can be read" in str(found["far"].no_media)
    assert found["short"].unplaced == "it shows no frame"
    assert found["off"].skipped == "disabled in the timeline"


def test_a_clip_in_a_nested_cut_is_found_and_its_outer_retime_counts(tmp_path: Path) -> None:
    inner = otio.schema.Track("inner")
    inner.append(otio.schema.Clip("deep", otio.schema.ExternalReference("a.mov"), span(3, 9, Fraction(24))))
    nested = otio.schema.Stack("nested")
    nested.append(inner)
    nested.effects.append(otio.schema.LinearTimeWarp(time_scalar=0.5))
    track = otio.schema.Track("V1")
    track.append(nested)
    cut = otio.schema.Timeline("cut")
    cut.tracks.append(track)
    cut.to_json_file(str(tmp_path / "cut.otio"))
    (deep,) = read_clips(tmp_path / "cut.otio")
    assert (deep.name, deep.track, deep.start, deep.retime) == ("deep", "V1", Fraction(3), Retime(0.5))


def test_a_plates_own_reference_is_taken_where_the_active_one_is_a_result(tmp_path: Path) -> None:
    plate, better = (otio.schema.ExternalReference(name, span(0, 9, Fraction(24))) for name in ("plate.mov", "hi.mov"))
    made = otio.schema.Clip("a", source_range=span(0, 9, Fraction(24)))
    result = otio.schema.ExternalReference("result.mov", span(0, 9, Fraction(24)))
    made.set_media_references({"DEFAULT_MEDIA": plate, "hires": better, "vfxswap": result}, "vfxswap")
    cut = otio.schema.Timeline("cut")
    track = otio.schema.Track("V1")
    track.append(made)
    cut.tracks.append(track)
    cut.to_json_file(str(tmp_path / "cut.otio"))
    assert read_clips(tmp_path / "cut.otio")[0].path == tmp_path / "plate.mov"
    assert read_clips(tmp_path / "cut.otio", "hires")[0].path == tmp_path / "hi.mov"
