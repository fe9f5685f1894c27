"""The movie writer's pictures: bits, depth, colour tags."""

from __future__ import annotations

import json
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

from vfxswap.color import ColorTags, Matrix, Primaries, Range, Transfer
from vfxswap.errors import MediaError
from vfxswap.frame import Frame, Picture
from vfxswap.media import PlateInfo
from vfxswap_plugins.media.layouts import layout_of
from vfxswap_plugins.media.movie_plan import MovieOptions
from vfxswap_plugins.media.movie_reader import MovieReader
from vfxswap_plugins.media.movie_writer import MovieWriter

MakeMovie = Callable[..., Path]
Deliver = Callable[..., Path]
Sums = Callable[[Picture], tuple[str, ...]]
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

    monkeypatch.setattr("vfxswap_plugins.media.movie_frame.new_frame", refuse)
    monkeypatch.setattr("vfxswap_plugins.media.movie_frame.converted", refuse)
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


@pytest.mark.parametrize(("name", "codec"), [("o.mkv", "ffv1"), ("o.mov", "prores_hq"), ("o.mp4", "h264")])
def test_odd_sizes_are_neither_padded_nor_cropped(
    make_movie: MakeMovie, deliver: Deliver, tmp_path: Path, info_of: InfoOf, name: str, codec: str
) -> None:
    plate = make_movie("plate.mkv", "ffv1", "yuv420p", size=(319, 191), count=2)
    options = {"pixel_format": "yuv444p"} if codec == "h264" else {}
    info = info_of(deliver(plate, tmp_path / name, codec=codec, **options))
    assert (info.width, info.height) == (319, 191)


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
