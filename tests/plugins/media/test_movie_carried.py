"""What goes along with the pictures: times, audio, timecode, rotation, metadata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.video.stream import VideoStream

from vfxswap.color import ColorTags, Matrix, Primaries, Range, Transfer
from vfxswap.frame import Frame, Picture
from vfxswap.media import PlateInfo
from vfxswap_plugins.media.layouts import layout_of
from vfxswap_plugins.media.movie_plan import MovieOptions
from vfxswap_plugins.media.movie_reader import MovieReader
from vfxswap_plugins.media.movie_writer import MovieWriter

MakeMovie = Callable[..., Path]
Deliver = Callable[..., Path]
Sums = Callable[[Picture], tuple[str, ...]]
Packets = Callable[[Path, str], list[tuple[Fraction, str]]]
InfoOf = Callable[[Path], PlateInfo]

LIMITED = ColorTags(Primaries.BT709, Transfer.BT709, Matrix.BT709, Range.LIMITED)
HLG = ColorTags(Primaries.BT2020, Transfer.HLG, Matrix.BT2020_NCL, Range.LIMITED)


def plate_of(pix_fmt: str, path: Path, **more: Any) -> PlateInfo:
    given: dict[str, Any] = {"width": 320, "height": 192, "rate": Fraction(24), "first": 1, "count": 9} | more
    return PlateInfo(path=path / "plate.mov", layout=layout_of(pix_fmt), tags=LIMITED, **given)


def problems(path: Path, like: PlateInfo, tags: ColorTags = LIMITED, **options: Any) -> str:
    return " | ".join(MovieWriter.problems(path, MovieOptions(**options), like, tags))


def all_frames(path: Path) -> list[Frame]:
    with MovieReader(path) as reader:
        return list(reader.frames(1, reader.info.last))


@pytest.mark.parametrize(("name", "codec"), [("o.mp4", "h264"), ("o.mov", "prores_hq"), ("o.mov", "h265")])
@pytest.mark.parametrize(
    "times",
    [[0, 1001, 3003, 4004, 8008, 9009, 15015], [25020 + 1001 * i for i in range(8)], [500, 1501, 4504, 4604, 9000]],
)
def test_times_are_exactly_the_plates(
    make_movie: MakeMovie, deliver: Deliver, packets: Packets, tmp_path: Path, name: str, codec: str, times: list[int]
) -> None:
    base = Fraction(1, 30000)
    plate = make_movie("plate.mp4", times=times, time_base=base, rate=Fraction(30000, 1001))
    result = deliver(plate, tmp_path / name, codec=codec)
    wanted = [time for time, _ in packets(plate, "video")]
    assert len(wanted) == len(times)
    assert [time for time, _ in packets(result, "video")] == wanted
    assert [
        frame.pts * frame.time_base for frame in all_frames(result) if frame.pts is not None and frame.time_base
    ] == wanted


def test_milliseconds_of_matroska_become_exact_times_of_a_steady_rate(
    make_movie: MakeMovie, deliver: Deliver, packets: Packets, tmp_path: Path
) -> None:
    plate = make_movie("plate.mkv", "ffv1", rate=Fraction(24000, 1001), count=30)
    times = [time for time, _ in packets(deliver(plate, tmp_path / "o.mov", codec="h264"), "video")]
    assert times == [Fraction(1001 * i, 24000) for i in range(30)]


def test_a_part_begins_at_zero_with_its_own_timecode_and_audio(
    make_movie: MakeMovie, deliver: Deliver, packets: Packets, tmp_path: Path, info_of: InfoOf, sums: Sums
) -> None:
    def prepare(stream: VideoStream) -> None:
        stream.metadata.update({"timecode": "09:59:59:20", "reel_name": "B007"})

    plate = make_movie("plate.mov", "prores_ks", "yuv422p10le", count=50, audio="pcm_s16le", prepare=prepare)
    result = deliver(plate, tmp_path / "o.mov", first=11, last=30, codec="prores_hq")
    info = info_of(result)
    assert (info.count, info.timecode, info.reel, info.audio) == (20, "10:00:00:05", "B007", ("pcm_s16le",))
    assert [time for time, _ in packets(result, "video")] == [Fraction(i, 25) for i in range(20)]
    start, end = Fraction(10, 25), Fraction(30, 25)
    kept = [(time, check) for time, check in packets(plate, "audio") if start <= time < end]
    copied = packets(result, "audio")
    assert [check for _, check in copied] == [check for _, check in kept]
    assert all(abs(new - (old - start)) <= Fraction(1, 48000) for (new, _), (old, _) in zip(copied, kept, strict=True))


@pytest.mark.parametrize(("name", "codec"), [("o.mov", "h264"), ("o.mp4", "h265"), ("o.mkv", "ffv1")])
@pytest.mark.parametrize("audio", ["aac", "pcm_s16le"])
def test_all_audio_packets_are_copied_bit_by_bit(
    make_movie: MakeMovie, deliver: Deliver, packets: Packets, tmp_path: Path, name: str, codec: str, audio: str
) -> None:
    plate = make_movie("plate.mov", count=40, audio=audio)
    result = deliver(plate, tmp_path / name, codec=codec)
    old, new = packets(plate, "audio"), packets(result, "audio")
    assert len(old) > 30
    assert [check for _, check in new] == [check for _, check in old]
    # The distance of sound and picture is the plate's, to a millisecond in Matroska and exactly elsewhere.
    drift = (new[0][0] - packets(result, "video")[0][0]) - (old[0][0] - packets(plate, "video")[0][0])
    assert abs(drift) <= (Fraction(1, 1000) if name.endswith("mkv") else Fraction(1, 48000))


@pytest.mark.parametrize("clockwise", [90, 180, 270])
@pytest.mark.parametrize("name", ["o.mov", "o.mp4", "o.mkv"])
def test_rotation_is_carried(
    make_movie: MakeMovie, deliver: Deliver, tmp_path: Path, info_of: InfoOf, clockwise: int, name: str
) -> None:
    plate = make_movie("plate.mov", count=2, prepare=lambda stream: stream.set_display_rotation(-clockwise))
    info = info_of(deliver(plate, tmp_path / name, codec="h264"))
    assert (info.rotation, info.width, info.height) == (
        clockwise,
        *((48, 64) if clockwise % 180 else (64, 48)),
    )


def test_a_mirrored_picture_stays_mirrored(
    make_movie: MakeMovie, deliver: Deliver, tmp_path: Path, info_of: InfoOf
) -> None:
    plate = make_movie("plate.mov", count=2, prepare=lambda stream: stream.set_display_rotation(90, hflip=True))
    matrix = info_of(plate).metadata["display_matrix"]
    assert info_of(deliver(plate, tmp_path / "o.mov", codec="h264")).metadata["display_matrix"] == matrix


@pytest.mark.parametrize(
    ("name", "aspect"),
    [("o.mov", Fraction(4, 3)), ("o.mp4", Fraction(4, 3)), ("o.mkv", Fraction(4, 3)), ("o.mxf", Fraction(1))],
)
def test_timecode_aspect_and_metadata_are_carried(
    make_movie: MakeMovie, deliver: Deliver, tmp_path: Path, info_of: InfoOf, name: str, aspect: Fraction
) -> None:
    def prepare(stream: VideoStream) -> None:
        stream.metadata["timecode"] = "00:59:59;28"
        stream.sample_aspect_ratio = aspect

    metadata = {"title": "sh010", "com.studio.take": "7"}
    plate = make_movie(
        "plate.mov",
        "prores_ks",
        "yuv422p10le",
        size=(256, 128),
        rate=Fraction(30000, 1001),
        prepare=prepare,
        metadata=metadata,
        movflags="use_metadata_tags",
    )
    info = info_of(deliver(plate, tmp_path / name, codec="h264" if name == "o.mkv" else None))
    assert info.timecode == "00:59:59;28"
    assert info.pixel_aspect == aspect
    words = {key.lower(): value for key, value in info.metadata.items()}
    if name != "o.mxf":
        assert (words["title"], words["com.studio.take"]) == ("sh010", "7")


def test_a_stepped_range_keeps_the_times_of_its_frames(make_movie: MakeMovie, packets: Packets, tmp_path: Path) -> None:
    with MovieReader(make_movie("plate.mp4")) as reader:
        path = tmp_path / "o.mp4"
        with MovieWriter(path, MovieOptions(), like=reader.info, tags=LIMITED, first=1, last=11) as writer:
            for frame in reader.frames(1, 11):
                if frame.number % 2:
                    writer.write(frame)
            writer.finish()
    assert [time for time, _ in packets(path, "video")] == [Fraction(2 * i, 25) for i in range(6)]


def test_frames_without_times_are_counted_by_the_rate(make_movie: MakeMovie, packets: Packets, tmp_path: Path) -> None:
    """A plate that is an image sequence: numbers begin at 1001, pictures are plain planes."""
    like = plate_of("yuv420p", tmp_path, first=1001, count=4, rate=Fraction(24000, 1001))
    like = replace(like, path=tmp_path / "plate.%04d.png", timecode="01:00:00:00")
    rng = np.random.default_rng(1)
    with MovieWriter(tmp_path / "o.mov", MovieOptions(), like=like, tags=LIMITED, first=1002, last=1004) as writer:
        for number in (1002, 1003, 1004):
            planes = [rng.integers(16, 235, (192 >> s, 320 >> s), dtype=np.uint8) for s in (0, 1, 1)]
            writer.write(Frame(number, Picture(planes, like.layout, LIMITED)))
        (path,) = writer.finish()
    assert [time for time, _ in packets(path, "video")] == [Fraction(1001 * i, 24000) for i in range(3)]
    with MovieReader(path) as reader:
        assert (reader.info.timecode, reader.info.rate) == ("01:00:00:01", Fraction(24000, 1001))


def test_bytes_that_are_no_text_and_no_timecode_stay_behind(tmp_path: Path) -> None:
    """As in DPX headers that nobody filled."""
    like = plate_of("gbrp10le", tmp_path, count=1)
    rubbish = {"dpx:Format": "\udca4\udca2I", "dpx:FrameId": "T\x01\x1e", "Copyright": "Großstudio\nline 2"}
    like = replace(like, path=tmp_path / "plate.%04d.dpx", timecode="23:49:62:34", metadata=rubbish)
    tags = ColorTags(Primaries.BT709, Transfer.SRGB, Matrix.RGB, Range.FULL)
    with MovieWriter(tmp_path / "o.mov", MovieOptions(), like=like, tags=tags, first=1, last=1) as writer:
        writer.write(Frame(1, Picture([np.zeros((192, 320), np.uint16)] * 3, like.layout, tags)))
        (path,) = writer.finish()
    (said,) = MovieWriter.remarks(path, MovieOptions(), like, tags)
    assert "timecode '23:49:62:34' is none at 24 frames a second, and is left out" in said
    with MovieReader(path) as reader:
        assert reader.info.timecode is None
        assert reader.info.metadata["Copyright"] == "Großstudio\nline 2"
        assert not {"dpx:Format", "dpx:FrameId"} & set(reader.info.metadata)
