"""Real clips: every one opens, counts right, seeks exactly, and passes through without a changed bit."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from vfxswap.frame import Picture
from vfxswap.media import PlateInfo
from vfxswap_plugins.media.movie_reader import MovieReader

pytestmark = pytest.mark.footage

Deliver = Callable[..., Path]
Sums = Callable[[Picture], tuple[str, ...]]
Packets = Callable[[Path, str], list[tuple[Fraction, str]]]
InfoOf = Callable[[Path], PlateInfo]


def test_every_clip_has_as_many_frames_as_it_says_and_seeks_to_the_same_bits(shared: Path, sums: Sums) -> None:
    clips = sorted(path for path in (shared / "clips").rglob("*") if MovieReader.can_read(path))
    assert len(clips) > 20
    for clip in clips:
        with MovieReader(clip) as reader:
            count = reader.info.count
            end = min(count, 120)
            whole = {frame.number: (frame.pts, sums(frame.plate)) for frame in reader.frames(1, end)}
            assert sorted(whole) == list(range(1, end + 1)), clip
            for first in (end, end // 2, end // 3 + 1):
                part = {
                    frame.number: (frame.pts, sums(frame.plate)) for frame in reader.frames(first, min(first + 2, end))
                }
                assert all(whole[number] == value for number, value in part.items()), (clip, first)
            assert next(reader.frames(count, count)).number == count, clip


@pytest.mark.parametrize(
    ("clip", "name"),
    [
        ("derived/drv_vfr_audio.mp4", "o.mov"),
        ("derived/drv_rot270_tag.mp4", "o.mp4"),
        ("googlework_short_320x180.mp4", "o.mov"),
        ("grid_bbaf2n.mpg", "o.mov"),
    ],
)
def test_times_audio_and_rotation_pass_through(
    shared: Path, tmp_path: Path, deliver: Deliver, packets: Packets, info_of: InfoOf, clip: str, name: str
) -> None:
    plate = shared / "clips" / clip
    result = deliver(plate, tmp_path / name, codec="h264", preset="ultrafast")
    old, new = info_of(plate), info_of(result)
    assert (new.rotation, new.count, new.variable_rate) == (old.rotation, old.count, old.variable_rate)
    assert (new.width, new.height, new.pixel_aspect) == (old.width, old.height, old.pixel_aspect)
    assert [time for time, _ in packets(result, "video")] == [time for time, _ in packets(plate, "video")]
    before, after = packets(plate, "audio"), packets(result, "audio")
    assert [check for _, check in after] == [check for _, check in before]
    assert all(abs(a - b) < Fraction(1, 10_000) for (a, _), (b, _) in zip(after, before, strict=True))


@pytest.mark.parametrize(
    "clip",
    [
        "cisco_vt2people_320x192.mkv",
        "derived/drv_odd319x191_444p10.mp4",
        "derived/drv_hlg10_bt2020.mp4",
        "intel_asl_bird.mkv",
        "intel_head-pose-face-detection-female.gif",
        "grid_lbax4n.mpg",
        "media3_vfr_rot90_hevc_selfie.mp4",
    ],
)
def test_ffv1_holds_the_very_samples(shared: Path, tmp_path: Path, deliver: Deliver, sums: Sums, clip: str) -> None:
    plate = shared / "clips" / clip
    with MovieReader(plate) as before:
        last = min(before.info.count, 40)
        with MovieReader(deliver(plate, tmp_path / "o.mkv", last=last)) as after:
            assert after.info.count == last
            for old, new in zip(before.frames(1, last), after.frames(1, last), strict=True):
                assert sums(new.plate) == sums(old.plate), f"frame {old.number}"


def test_the_known_facts_of_three_clips(shared: Path, info_of: InfoOf) -> None:
    selfie = info_of(shared / "clips" / "media3_vfr_rot90_hevc_selfie.mp4")
    assert (selfie.width, selfie.height, selfie.rotation, selfie.count, selfie.variable_rate) == (
        1080,
        1440,
        270,
        53,
        True,
    )
    capture = info_of(shared / "clips" / "headtrackr_capture5.mp4")
    assert (capture.rate, capture.variable_rate, capture.count) == (Fraction(2754, 125), False, 419)
    film = info_of(shared / "clips" / "tos_battle_800x332.webm")
    assert (film.rate, film.count, film.pixel_aspect) == (Fraction(24), 1691, Fraction(399, 400))
    assert film.audio == ("vorbis",)
