"""The movie writer's contract: bits, depth, tags, times, audio, and a file that appears only when whole."""

from __future__ import annotations

import errno
import json
import resource
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from pydantic import ValidationError

from vfxswap.color import ColorTags, Matrix, Primaries, Range, Transfer
from vfxswap.errors import MediaError
from vfxswap.frame import Frame, Picture
from vfxswap.media import PlateInfo
from vfxswap_plugins.media.layouts import layout_of
from vfxswap_plugins.media.movie_codecs import CODECS
from vfxswap_plugins.media.movie_plan import MovieOptions, planned
from vfxswap_plugins.media.movie_reader import MovieReader
from vfxswap_plugins.media.movie_writer import MovieWriter

MakeMovie = Callable[..., Path]
Deliver = Callable[..., Path]
Sums = Callable[[Picture], tuple[str, ...]]
Packets = Callable[[Path, str], list[tuple[Fraction, str]]]
InfoOf = Callable[[Path], PlateInfo]

LIMITED = ColorTags(Primaries.BT709, Transfer.BT709, Matrix.BT709, Range.LIMITED)
HLG = ColorTags(Primaries.BT2020, Transfer.HLG, Matrix.BT2020_NCL, Range.LIMITED)
LOSSLESS = (
    *(f"yuv{grid}p{depth}" for grid in ("420", "422", "444") for depth in ("", "10le", "12le", "16le")),
    *("yuv411p", "yuva444p", "yuva444p10le", "gray", "gray12le", "bgr0", "bgra"),
    *("gbrp9le", "gbrp10le", "gbrp12le", "gbrp14le", "gbrp16le", "gbrap12le"),
)


def plate_of(pix_fmt: str, path: Path, **more: Any) -> PlateInfo:
    given: dict[str, Any] = {"width": 320, "height": 192, "rate": Fraction(24), "first": 1, "count": 9} | more
    return PlateInfo(path=path / "plate.mov", layout=layout_of(pix_fmt), tags=LIMITED, **given)


def problems(path: Path, like: PlateInfo, tags: ColorTags = LIMITED, **options: Any) -> str:
    return " | ".join(MovieWriter.problems(path, MovieOptions(**options), like, tags))


def all_frames(path: Path) -> list[Frame]:
    with MovieReader(path) as reader:
        return list(reader.frames(1, reader.info.last))


@pytest.mark.parametrize("size", [(64, 48), (35, 21)])
@pytest.mark.parametrize("pix_fmt", LOSSLESS)
def test_ffv1_gives_back_every_bit(
    make_movie: MakeMovie, deliver: Deliver, sums: Sums, tmp_path: Path, pix_fmt: str, size: tuple[int, int]
) -> None:
    plate = make_movie("plate.mkv", "ffv1", pix_fmt, size=size, count=3)
    result = deliver(plate, tmp_path / "out.mkv")
    with MovieReader(plate) as before, MovieReader(result) as after:
        assert after.info.layout == before.info.layout
        assert [sums(f.plate) for f in after.frames(1, 3)] == [sums(f.plate) for f in before.frames(1, 3)]


@pytest.mark.parametrize("pix_fmt", ["gbrpf32le", "gbrpf16le"])
def test_ffv1_keeps_float_with_values_beyond_0_and_1(
    make_movie: MakeMovie, deliver: Deliver, sums: Sums, tmp_path: Path, pix_fmt: str
) -> None:
    options = {"level": "4", "strict": "experimental"}
    plate = make_movie("plate.mkv", "ffv1", pix_fmt, count=2, options=options)
    result = all_frames(deliver(plate, tmp_path / "out.mkv"))
    assert float(result[0].plate.planes[0].max()) > 1.5
    assert float(result[0].plate.planes[0].min()) < -0.2
    assert [sums(frame.plate) for frame in result] == [sums(frame.plate) for frame in all_frames(plate)]


def test_an_untouched_frame_goes_to_the_encoder_as_the_decoders_own(
    make_movie: MakeMovie, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a frame was copied or converted")

    monkeypatch.setattr("vfxswap_plugins.media.movie_writer.new_frame", refuse)
    monkeypatch.setattr("vfxswap_plugins.media.movie_writer.converted", refuse)
    plate = make_movie("plate.mp4", count=4)
    with MovieReader(plate) as reader:
        info = reader.info
        with MovieWriter(tmp_path / "o.mp4", MovieOptions(), like=info, tags=LIMITED, first=1, last=4) as writer:
            for frame in reader.frames(1, 4):
                writer.write(frame)
            assert writer.finish() == (tmp_path / "o.mp4",)


def test_a_changed_copy_and_a_plain_picture_are_what_is_written(
    make_movie: MakeMovie, deliver: Deliver, tmp_path: Path
) -> None:
    plate = make_movie("plate.mkv", "ffv1", "yuv420p10le", count=3)

    def change(frame: Frame) -> Frame:
        copy = frame.plate.copy()
        copy.planes[0][5:9, 3:8] = 700
        if frame.number == 2:
            copy = Picture([plane.copy() for plane in copy.planes], copy.layout, copy.tags)
        return replace(frame, result=copy)

    for before, after in zip(
        all_frames(plate), all_frames(deliver(plate, tmp_path / "o.mkv", change=change)), strict=True
    ):
        wanted = before.plate.planes[0].copy()
        wanted[5:9, 3:8] = 700
        np.testing.assert_array_equal(after.plate.planes[0], wanted)
        np.testing.assert_array_equal(after.plate.planes[1], before.plate.planes[1])


CODEC_CASES = [
    ("h264", "o.mp4", "yuv420p", "yuv420p"),
    ("h264", "o.mov", "yuv422p10le", "yuv422p10le"),
    ("h264", "o.mkv", "yuv444p", "yuv444p"),
    ("h265", "o.mp4", "yuv420p10le", "yuv420p10le"),
    ("h265", "o.mov", "yuv444p12le", "yuv444p12le"),
    ("prores_proxy", "o.mov", "yuv420p", "yuv422p10le"),
    ("prores", "o.mov", "yuv422p", "yuv422p10le"),
    ("prores_hq", "o.mov", "yuv422p10le", "yuv422p10le"),
    ("prores_4444", "o.mov", "yuv444p10le", "yuv444p12le"),
    ("prores_4444xq", "o.mov", "yuva444p10le", "yuva444p12le"),
    ("dnxhr_lb", "o.mxf", "yuv420p", "yuv422p"),
    ("dnxhr_hq", "o.mov", "yuv422p", "yuv422p"),
    ("dnxhr_hqx", "o.mxf", "yuv422p10le", "yuv422p10le"),
    ("dnxhr_444", "o.mov", "yuv444p10le", "yuv444p10le"),
]


@pytest.mark.parametrize(("codec", "name", "plate_format", "decoded_format"), CODEC_CASES)
def test_each_codec_keeps_depth_tags_count_and_looks(
    make_movie: MakeMovie,
    deliver: Deliver,
    tmp_path: Path,
    codec: str,
    name: str,
    plate_format: str,
    decoded_format: str,
) -> None:
    plate = make_movie("plate.mkv", "ffv1", plate_format, size=(256, 128), count=4, tags=HLG)
    with MovieReader(deliver(plate, tmp_path / name, codec=codec)) as reader:
        info = reader.info
        frames = list(reader.frames(1, 4))
    assert info.layout.name == decoded_format
    assert info.tags == HLG
    assert (info.count, info.rate, info.width, info.height) == (4, Fraction(25), 256, 128)
    for before, after in zip(all_frames(plate), frames, strict=True):
        for channel in (0, 1) if decoded_format[:6] == plate_format[:6] else (0,):
            old, new = before.plate.planes[channel], after.plate.planes[channel]
            scale = 2.0 ** (info.layout.bits - before.plate.layout.bits)
            error = np.abs(new / scale - old).mean() / 2.0 ** (before.plate.layout.bits - 8)
            assert error < 9, f"plane {channel} is off by {error} of 255"


@pytest.mark.parametrize(("codec", "name"), [("prores_hq", "o.mov"), ("dnxhr_hqx", "o.mxf"), ("h265", "o.mp4")])
def test_every_frame_carries_the_tags_in_its_own_header(
    make_movie: MakeMovie, deliver: Deliver, tmp_path: Path, codec: str, name: str
) -> None:
    plate = make_movie("plate.mkv", "ffv1", "yuv422p10le", size=(256, 128), count=2, tags=HLG)
    result = deliver(plate, tmp_path / name, codec=codec)
    if codec == "prores_hq":
        with av.open(str(result)) as container:
            packet = next(container.demux(video=0))
        # Apple ProRes bitstream (SMPTE RDD 36): after size and 'icpf', header bytes 14-16 of 8 on are the three codes.
        assert list(bytes(packet)[22:25]) == [9, 18, 9]
    assert [(f.plate.tags.primaries, f.plate.tags.transfer) for f in all_frames(result)] == [(9, 18)] * 2


def test_full_range_is_kept_where_the_codec_can_say_so_and_converted_where_not(
    make_movie: MakeMovie, deliver: Deliver, tmp_path: Path, info_of: InfoOf
) -> None:
    full = replace(LIMITED, range=Range.FULL)
    plate = make_movie("plate.mov", "mjpeg", "yuvj422p", tags=full, count=2)
    for name, codec in (("o.mp4", "h264"), ("o.mkv", "ffv1"), ("p.mp4", "h265")):
        assert info_of(deliver(plate, tmp_path / name, codec=codec)).tags == full
    result = deliver(plate, tmp_path / "o.mov", codec="prores_hq")
    assert info_of(result).tags.range is not Range.FULL
    before, after = all_frames(plate)[0].plate.planes[0], all_frames(result)[0].plate.planes[0]
    assert np.abs(after - (64 + before.astype(np.float64) * 876 / 255)).mean() < 3
    deep = plate_of("yuv422p10le", tmp_path)
    assert "the full range of 10 bits" in problems(tmp_path / "o.mov", deep, full, codec="prores_hq")


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


def test_h265_is_tagged_hvc1(make_movie: MakeMovie, deliver: Deliver, tmp_path: Path) -> None:
    result = deliver(make_movie("plate.mkv", "ffv1", "yuv420p10le", count=2), tmp_path / "o.mp4")
    with av.open(str(result)) as container:
        assert container.streams.video[0].codec_tag == "hvc1"


def test_rgb_goes_into_h264_as_ycbcr_by_its_matrix(
    make_movie: MakeMovie, deliver: Deliver, tmp_path: Path, info_of: InfoOf
) -> None:
    plate = make_movie("plate.mov", "qtrle", "rgb24", count=2, tags=None)
    result = deliver(plate, tmp_path / "o.mp4", quality=0)
    info = info_of(result)
    assert (info.layout.name, info.tags) == ("yuv444p", LIMITED)
    red, green, blue = (plane.astype(np.float64) / 255 for plane in all_frames(plate)[0].plate.planes)
    luma = 16 + 219 * (0.2126 * red + 0.7152 * green + 0.0722 * blue)
    assert np.abs(all_frames(result)[0].plate.planes[0] - luma).max() <= 0.51


def test_transparency_is_never_lost_in_silence(make_movie: MakeMovie, deliver: Deliver, tmp_path: Path) -> None:
    plate = make_movie("plate.mov", "qtrle", "argb", count=2, tags=None)
    with pytest.raises(MediaError, match="h264 cannot hold alpha of the plate"):
        deliver(plate, tmp_path / "o.mp4")
    assert deliver(plate, tmp_path / "o.mp4", pixel_format="yuv420p").exists()
    opaque = make_movie("opaque.gif", "gif", "gray", count=2, tags=None)
    assert deliver(opaque, tmp_path / "p.mp4").exists()

    def fade(frame: Frame) -> Frame:
        copy = frame.plate.copy()
        copy.planes[3][4, 4] = 254
        return replace(frame, result=copy)

    with pytest.raises(MediaError, match=r"frame 1 has transparency, for which yuv444p has no place"):
        deliver(opaque, tmp_path / "q.mp4", change=fade)
    assert not (tmp_path / "q.mp4").exists()


@pytest.mark.parametrize(
    ("suffix", "pix_fmt", "codec", "stored"),
    [
        (".mov", "yuv420p", "prores_hq", "yuv422p10le"),
        (".mov", "yuv444p", "prores_4444", "yuv444p10le"),
        (".mov", "bgra", "prores_4444", "yuva444p10le"),
        (".mp4", "yuv420p", "h264", "yuv420p"),
        (".mp4", "yuv420p10le", "h265", "yuv420p10le"),
        (".mp4", "yuv422p12le", "h265", "yuv422p12le"),
        (".mp4", "nv12", "h264", "yuv420p"),
        (".mp4", "gray", "h264", "yuv420p"),
        (".mkv", "p010le", "ffv1", "yuv420p10le"),
        (".mkv", "rgb24", "ffv1", "bgr0"),
        (".mkv", "rgb48le", "ffv1", "gbrp16le"),
        (".mxf", "yuv422p10le", "dnxhr_hqx", "yuv422p10le"),
        (".mxf", "yuv444p", "dnxhr_444", "yuv444p10le"),
    ],
)
def test_the_default_holds_the_plate(tmp_path: Path, suffix: str, pix_fmt: str, codec: str, stored: str) -> None:
    like = plate_of(pix_fmt, tmp_path)
    tags = replace(LIMITED, matrix=Matrix.RGB, range=Range.FULL) if like.layout.model == "rgb" else LIMITED
    path = tmp_path / f"o{suffix}"
    assert problems(path, like, tags) == ""
    plan = planned(path, MovieOptions(), like, tags)
    assert (plan.codec, plan.layout.name) == (CODECS[codec], stored)  # type: ignore[index]  # parametrized


@pytest.mark.parametrize(
    ("name", "pix_fmt", "options", "text"),
    [
        ("o.mov", "yuv422p12le", {}, "cannot hold 12 bits of the plate .* choose codec h265"),
        ("o.mov", "yuv444p", {"codec": "prores_hq"}, "cannot hold 4:4:4 chroma .* prores_4444 .* accept the loss"),
        ("o.mp4", "yuv420p12le", {"codec": "h264"}, "cannot hold 12 bits .* choose codec h265"),
        ("o.mov", "yuv422p10le", {"codec": "dnxhr_hq"}, "cannot hold 10 bits"),
        ("o.mkv", "gbrapf32le", {}, "cannot hold .* of the plate .*; choose an image sequence$"),
        ("o.mp4", "gbrpf32le", {}, "32-bit float samples of the plate .* ffv1 in .mkv$"),
        ("o.mp4", "gbrpf32le", {"pixel_format": "yuv420p10le"}, "without a colour transform"),
        ("o.mov", "yuv420p", {"codec": "ffv1"}, "ffv1 does not go into .mov; it goes into .mkv"),
        ("o.mov", "yuv420p", {"quality": 20}, "prores_hq has no quality"),
        ("o.mov", "yuv420p", {"preset": "slow"}, "prores_hq has no preset"),
        ("o.mp4", "yuv420p", {"pixel_format": "rgb24"}, "h264 does not store rgb24; it stores yuv420p"),
        ("o.avi", "yuv420p", {}, "cannot be written as '.avi'; allowed: .mov"),
        ("nowhere/o.mov", "yuv420p", {}, "there is no folder .*nowhere; make it first"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_opened(
    tmp_path: Path, name: str, pix_fmt: str, options: dict[str, Any], text: str
) -> None:
    like = plate_of(pix_fmt, tmp_path)
    path = tmp_path / name
    with pytest.raises(AssertionError, match=text):
        raise AssertionError(problems(path, like, **options))
    with pytest.raises(MediaError, match=text):
        MovieWriter(path, MovieOptions(**options), like=like, tags=LIMITED, first=1, last=9)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "name", "text"),
    [
        ({"width": 319}, "o.mp4", 'needs an even size, the plate is 319x192; state pixel_format = "yuv444p"'),
        ({"width": 128, "height": 64}, "o.mxf", "dnxhr_hqx needs at least 256x120 pixels"),
        ({"interlaced": True}, "o.mov", "interlaced"),
        ({"rotation": 90}, "o.mxf", "turned by 90 degrees, which .mxf cannot say"),
        ({"pixel_aspect": Fraction(2)}, "o.mkv", "pixels are 2 as wide as high, which ffv1 in .mkv cannot say"),
        ({"pixel_aspect": Fraction(4, 3)}, "o.mxf", "pixels are 4/3 as wide as high"),
        ({"variable_rate": True}, "o.mxf", "variable frame rate"),
        ({"audio": ("vorbis",)}, "o.mov", r"audio \(vorbis\) cannot be copied into .mov; choose .*.mkv"),
        ({"audio": ("aac",)}, "o.mxf", r"audio \(aac\) cannot be copied into .mxf"),
    ],
)
def test_what_a_container_cannot_say_is_a_problem(tmp_path: Path, more: dict[str, Any], name: str, text: str) -> None:
    like = plate_of("yuv420p", tmp_path, **more)
    with pytest.raises(AssertionError, match=text):
        raise AssertionError(problems(tmp_path / name, like))


@pytest.mark.parametrize(("name", "codec"), [("o.mkv", "ffv1"), ("o.mov", "prores_hq"), ("o.mp4", "h264")])
def test_odd_sizes_are_neither_padded_nor_cropped(
    make_movie: MakeMovie, deliver: Deliver, tmp_path: Path, info_of: InfoOf, name: str, codec: str
) -> None:
    plate = make_movie("plate.mkv", "ffv1", "yuv420p", size=(319, 191), count=2)
    options = {"pixel_format": "yuv444p"} if codec == "h264" else {}
    info = info_of(deliver(plate, tmp_path / name, codec=codec, **options))
    assert (info.width, info.height) == (319, 191)


def test_options_are_strict() -> None:
    for bad in ({"codec": "divx"}, {"quality": 60}, {"preset": "slowest"}, {"crf": 3}, {"threads": -1}):
        with pytest.raises(ValidationError):
            MovieOptions.model_validate(bad)
    assert all(field.description for field in MovieOptions.model_fields.values())


def test_nothing_appears_under_the_name_before_finish(make_movie: MakeMovie, tmp_path: Path) -> None:
    plate, target = make_movie("plate.mp4", count=4), tmp_path / "out" / "o.mp4"
    target.parent.mkdir()
    with MovieReader(plate) as reader:
        writer = MovieWriter(target, MovieOptions(), like=reader.info, tags=LIMITED, first=1, last=4)
        for frame in reader.frames(1, 4):
            writer.write(frame)
            (temporary,) = target.parent.iterdir()
            assert temporary.name.startswith(".o.")
            assert temporary.name.endswith(".tmp.mp4")
        writer.finish()
        writer.abandon()
    assert list(target.parent.iterdir()) == [target]


def test_abandon_leaves_an_earlier_delivery_alone(make_movie: MakeMovie, tmp_path: Path) -> None:
    plate, target = make_movie("plate.mp4", count=4), tmp_path / "out" / "o.mp4"
    target.parent.mkdir()
    target.write_bytes(b"earlier")
    with MovieReader(plate) as reader:
        writer = MovieWriter(target, MovieOptions(), like=reader.info, tags=LIMITED, first=1, last=4)

        def fail() -> None:
            with writer:
                writer.write(next(reader.frames(1, 1)))
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert [path.read_bytes() for path in target.parent.iterdir()] == [b"earlier"]


def test_a_partial_file_holds_what_was_written(make_movie: MakeMovie, tmp_path: Path, info_of: InfoOf) -> None:
    plate, target = make_movie("plate.mov", count=9, audio="pcm_s16le"), tmp_path / "o.mov"
    with MovieReader(plate) as reader:
        writer = MovieWriter(target, MovieOptions(codec="h264"), like=reader.info, tags=LIMITED, first=1, last=9)
        for frame in reader.frames(1, 5):
            writer.write(frame)
        (partial,) = writer.keep_partial()
        writer.abandon()
    assert partial == tmp_path / "o.mov.partial"
    assert info_of(partial).count == 5
    assert not target.exists()
    empty = MovieWriter(target, MovieOptions(), like=info_of(plate), tags=LIMITED, first=1, last=9)
    assert empty.keep_partial() == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.mov.partial", "plate.mov"]


def test_order_size_and_emptiness_are_checked(make_movie: MakeMovie, tmp_path: Path, info_of: InfoOf) -> None:
    plate, other = make_movie("plate.mp4", count=4), make_movie("other.mp4", size=(32, 32), count=4)
    like = info_of(plate)
    frames = all_frames(plate)
    with MovieWriter(tmp_path / "o.mp4", MovieOptions(), like=like, tags=LIMITED, first=1, last=3) as writer:
        with pytest.raises(MediaError, match="no frame was written"):
            writer.finish()
        writer.write(frames[1])
        for wrong in (frames[1], frames[0], frames[3]):
            with pytest.raises(MediaError, match=f"frame {wrong.number} is out of order"):
                writer.write(wrong)
        with pytest.raises(MediaError, match="frame 3 is 32x32, the delivery was begun as 64x48"):
            writer.write(all_frames(other)[2])
    assert not (tmp_path / "o.mp4").exists()


def test_a_missing_frame_in_the_file_is_found(
    make_movie: MakeMovie, deliver: Deliver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vfxswap_plugins.media.movie_writer.count_frames", lambda *_: 11)
    with pytest.raises(MediaError, match="12 frames were written but the file holds 11"):
        deliver(make_movie("plate.mp4"), tmp_path / "o.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["plate.mp4"]


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


def test_a_file_that_may_not_grow_is_a_clear_error(make_movie: MakeMovie, tmp_path: Path) -> None:
    plate = make_movie("plate.mkv", "ffv1", "yuv420p", size=(320, 192), count=30)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with MovieReader(plate) as reader:
        writer = MovieWriter(tmp_path / "o.mkv", MovieOptions(), like=reader.info, tags=LIMITED, first=1, last=30)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        try:
            with pytest.raises(MediaError, match=r"o\.mkv.*over the limit .* deliver elsewhere") as caught:  # noqa: PT012
                for frame in reader.frames(1, 30):
                    writer.write(frame)
                writer.finish()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            writer.abandon()
    assert getattr(caught.value.__cause__, "errno", None) == errno.EFBIG
    assert [path.name for path in tmp_path.iterdir()] == ["plate.mkv"]


def test_a_folder_that_takes_no_files_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    like = plate_of("yuv420p", tmp_path)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(MediaError, match="cannot be written to; mend its permissions"):
        MovieWriter(tmp_path / "o.mov", MovieOptions(), like=like, tags=LIMITED, first=1, last=2)
    monkeypatch.undo()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(MediaError, match="the disk is full; free some space"):
        MovieWriter(tmp_path / "o.mov", MovieOptions(), like=like, tags=LIMITED, first=1, last=2)


def test_the_same_frames_give_the_same_bytes(make_movie: MakeMovie, deliver: Deliver, tmp_path: Path) -> None:
    plate = make_movie("plate.mkv", "ffv1", "yuv422p10le", size=(256, 128), count=6)
    for name, codec in (("o.mov", "prores_hq"), ("o.mkv", "ffv1"), ("o.mp4", "h265")):
        first = deliver(plate, tmp_path / f"1{name}", codec=codec, threads=1)
        again = deliver(plate, tmp_path / f"2{name}", codec=codec, threads=1)
        with av.open(str(first)) as one, av.open(str(again)) as two:
            assert [bytes(p) for p in one.demux(video=0)] == [bytes(p) for p in two.demux(video=0)]


@pytest.mark.ffmpeg
@pytest.mark.parametrize(
    ("name", "codec"), [("o.mov", "prores_hq"), ("o.mp4", "h265"), ("o.mkv", "ffv1"), ("o.mxf", None)]
)
def test_ffprobe_sees_the_same(
    make_movie: MakeMovie, deliver: Deliver, tmp_path: Path, name: str, codec: str | None
) -> None:
    program = shutil.which("ffprobe")
    if program is None:
        pytest.skip("the ffprobe program is not installed")
    plate = make_movie("plate.mkv", "ffv1", "yuv422p10le", size=(256, 128), count=5, tags=HLG)
    result = deliver(plate, tmp_path / name, codec=codec)
    words = [program, "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(result)]
    text = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    (stream,) = [stream for stream in json.loads(text)["streams"] if stream["codec_type"] == "video"]
    assert (stream["nb_read_frames"], stream["pix_fmt"], stream["r_frame_rate"]) == ("5", "yuv422p10le", "25/1")
    assert (stream["color_primaries"], stream["color_transfer"], stream["color_space"]) == (
        "bt2020",
        "arib-std-b67",
        "bt2020nc",
    )
