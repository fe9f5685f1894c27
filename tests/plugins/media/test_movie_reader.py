"""The movie reader's contract, over codecs and containers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from vfxswap.color import ColorTags, Matrix, Primaries, Range, Transfer
from vfxswap.errors import ColorError, MediaError
from vfxswap.frame import Picture
from vfxswap.media import PlateInfo
from vfxswap_plugins.media.movie_picture import MoviePicture
from vfxswap_plugins.media.movie_reader import MovieReader

MakeMovie = Callable[..., Path]
Sums = Callable[[Picture], tuple[str, ...]]
InfoOf = Callable[[Path], PlateInfo]

MOVIES: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "h264-b-frames": ("a.mp4", "libx264", "yuv420p", {"options": {"bf": "3", "g": "9"}}),
    "h264-open-gop": ("b.mp4", "libx264", "yuv420p", {"options": {"x264-params": "open-gop=1:keyint=8:bframes=3"}}),
    "h264-10": ("c.mov", "libx264", "yuv422p10le", {"options": {"g": "5"}}),
    "h264-mkv": ("d.mkv", "libx264", "yuv444p", {"options": {"g": "9"}}),
    "h264-ts": ("e.ts", "libx264", "yuv420p", {"options": {"g": "9"}}),
    "h264-avi": ("f.avi", "libx264", "yuv420p", {"options": {"g": "9", "bf": "2"}}),
    "h264-raw": ("g.264", "libx264", "yuv420p", {"options": {"g": "9", "bf": "2"}}),
    "h265": ("h.mp4", "libx265", "yuv420p10le", {"options": {"x265-params": "log-level=none:keyint=9:bframes=3"}}),
    "prores": ("i.mov", "prores_ks", "yuv422p10le", {"options": {"profile": "hq"}}),
    "dnxhr": ("j.mxf", "dnxhd", "yuv422p10le", {"options": {"profile": "dnxhr_hqx"}, "size": (256, 128)}),
    "ffv1": ("k.mkv", "ffv1", "gbrp12le", {}),
    "ffv1-float": ("l.mkv", "ffv1", "gbrpf32le", {"options": {"level": "4", "strict": "experimental"}}),
    "vp8": ("m.webm", "libvpx", "yuv420p", {"options": {"auto-alt-ref": "1", "lag-in-frames": "16", "b": "60k"}}),
    "vp9": ("n.webm", "libvpx-vp9", "yuv420p", {"options": {"auto-alt-ref": "1", "lag-in-frames": "16"}}),
    "av1": ("u.mp4", "libsvtav1", "yuv420p", {"options": {"preset": "12", "g": "9"}, "size": (128, 64)}),
    "av1-10": ("v.mkv", "libsvtav1", "yuv420p10le", {"options": {"preset": "12", "g": "9"}, "size": (128, 64)}),
    "mpeg1": ("o.mpg", "mpeg1video", "yuv420p", {"options": {"g": "9", "bf": "2"}}),
    "mpeg2": ("p.mpg", "mpeg2video", "yuv422p", {"options": {"g": "9"}}),
    "mjpeg": ("q.avi", "mjpeg", "yuvj420p", {}),
    "gif": ("r.gif", "gif", "gray", {}),
    "qtrle": ("s.mov", "qtrle", "rgb24", {}),
    "y4m": ("t.y4m", "wrapped_avframe", "yuv420p", {}),
}


@pytest.fixture(params=MOVIES)
def movie(request: pytest.FixtureRequest, make_movie: MakeMovie) -> Path:
    name, codec, pix_fmt, more = MOVIES[request.param]
    return make_movie(name, codec, pix_fmt, count=25, **more)


def test_the_count_is_that_of_the_decoded_frames_and_numbers_begin_at_1(movie: Path) -> None:
    with MovieReader(movie) as reader:
        frames = list(reader.frames(1, reader.info.last))
        assert reader.info.count == 25
        assert [frame.number for frame in frames] == list(range(1, 26))
        assert reader.info.rate == 25
        assert not reader.info.variable_rate
        start = frames[0].pts
        assert start is not None
        for frame in frames:
            assert frame.pts is not None
            assert frame.time_base is not None
            seconds = (frame.pts - start) * frame.time_base
            assert abs(seconds - Fraction(frame.number - 1, 25)) <= frame.time_base


def test_any_range_gives_the_bits_of_the_sequential_pass(movie: Path, sums: Sums) -> None:
    with MovieReader(movie) as reader:
        whole = {frame.number: (frame.pts, sums(frame.plate)) for frame in reader.frames(1, 25)}
        assert len({checks for _, checks in whole.values()}) == 25
        for first, last in [(25, 25), (1, 1), (9, 12), (10, 10), (2, 5), (17, 25), (8, 9), (18, 18), (24, 25)]:
            part = {frame.number: (frame.pts, sums(frame.plate)) for frame in reader.frames(first, last)}
            assert part == {number: whole[number] for number in range(first, last + 1)}


def test_pictures_are_the_decoders_own_read_only_planes(movie: Path) -> None:
    with MovieReader(movie) as reader:
        frame = next(reader.frames(3, 3))
        assert isinstance(frame.plate, MoviePicture)
        assert frame.plate.layout == reader.info.layout
        assert frame.plate.frame.format.name == reader.info.layout.name
        assert not any(plane.flags.writeable or plane.flags.owndata for plane in frame.plate.planes)
        assert (frame.plate.width, frame.plate.height) == (reader.info.width, reader.info.height)


def test_frames_stay_valid_after_the_reader_is_closed(make_movie: MakeMovie, sums: Sums) -> None:
    path = make_movie("a.mp4", count=6)
    with MovieReader(path) as reader:
        frames = list(reader.frames(1, 6))
        kept = [sums(frame.plate) for frame in frames]
    assert [sums(frame.plate) for frame in frames] == kept


def test_a_new_range_ends_the_earlier_iterator(make_movie: MakeMovie) -> None:
    with MovieReader(make_movie("a.mp4")) as reader:
        early = reader.frames(1, 12)
        next(early)
        late = reader.frames(5, 6)
        assert next(late).number == 5
        assert list(early) == []
        assert [frame.number for frame in late] == [6]
        reader.close()
        assert [frame.number for frame in reader.frames(2, 2)] == [2]


def test_lossless_values_are_those_that_were_encoded(make_movie: MakeMovie) -> None:
    path = make_movie("a.mkv", "ffv1", "yuv420p", count=2, size=(36, 22))
    with av.open(str(path)) as container:
        wanted = [frame.to_ndarray()[:22] for frame in container.decode(video=0)]
    with MovieReader(path) as reader:
        for frame, luma in zip(reader.frames(1, 2), wanted, strict=True):
            np.testing.assert_array_equal(frame.plate.planes[0], luma)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_variable_rate_is_seen_and_times_are_kept(make_movie: MakeMovie, name: str) -> None:
    times = [0, 1001, 3003, 4004, 8008, 9009]
    path = make_movie(name, times=times, time_base=Fraction(1, 30000), rate=Fraction(30000, 1001))
    with MovieReader(path) as reader:
        assert reader.info.variable_rate
        assert reader.info.count == 6
        found = [
            frame.pts * frame.time_base for frame in reader.frames(1, 6) if frame.pts is not None and frame.time_base
        ]
        assert [round(time * 1000) for time in found] == [round(time / 30) for time in times]
        assert next(reader.frames(4, 4)).pts == list(reader.frames(1, 6))[3].pts


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(24), Fraction(30000, 1001), Fraction(12)])
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "ffv1"), ("a.mov", "prores_ks")])
def test_rates_are_exact_even_where_times_are_rounded(
    make_movie: MakeMovie, info_of: InfoOf, rate: Fraction, name: str, codec: str
) -> None:
    info = info_of(make_movie(name, codec, "yuv422p10le", rate=rate, count=40))
    assert (info.rate, info.variable_rate, info.count) == (rate, False, 40)


def test_a_late_start_is_kept(make_movie: MakeMovie) -> None:
    base = Fraction(1, 30000)
    for name, codec in (("a.mov", "prores_ks"), ("b.mp4", "libx264")):
        path = make_movie(
            name,
            codec,
            "yuv422p10le",
            times=[25020 + 1001 * i for i in range(10)],
            time_base=base,
            rate=Fraction(30000, 1001),
        )
        with MovieReader(path) as reader:
            assert reader.info.count == 10
            assert [frame.pts for frame in reader.frames(8, 9)] == [25020 + 7007, 25020 + 8008]


def test_the_header_says_timecode_reel_aspect_audio_and_metadata(make_movie: MakeMovie, info_of: InfoOf) -> None:
    def prepare(stream: VideoStream) -> None:
        stream.metadata.update({"timecode": "01:00:00:12", "reel_name": "A001C002"})
        stream.sample_aspect_ratio = Fraction(4, 3)

    path = make_movie("a.mov", prepare=prepare, metadata={"title": "a shot"}, audio="pcm_s16le")
    info = info_of(path)
    assert (info.timecode, info.reel, info.audio) == ("01:00:00:12", "A001C002", ("pcm_s16le",))
    assert info.pixel_aspect == Fraction(4, 3)
    assert info.metadata["title"] == "a shot"
    assert (info.path, info.first, info.last, info.codec) == (path, 1, 12, "h264")


@pytest.mark.parametrize("clockwise", [0, 90, 180, 270])
def test_rotation_is_clockwise_and_the_size_is_upright(make_movie: MakeMovie, info_of: InfoOf, clockwise: int) -> None:
    path = make_movie("a.mov", prepare=lambda stream: stream.set_display_rotation(-clockwise))
    info = info_of(path)
    assert info.rotation == clockwise
    assert (info.width, info.height) == ((64, 48) if clockwise % 180 == 0 else (48, 64))
    with MovieReader(path) as reader:
        stored = next(reader.frames(1, 1)).plate
        assert (stored.width, stored.height) == (64, 48)


def test_a_mirrored_picture_keeps_its_matrix_as_metadata(make_movie: MakeMovie, info_of: InfoOf) -> None:
    info = info_of(make_movie("a.mov", prepare=lambda stream: stream.set_display_rotation(0, hflip=True)))
    assert info.rotation == 0
    assert info.metadata["display_matrix"].split()[0] == "-65536"


@pytest.mark.parametrize(
    "tags",
    [
        ColorTags(Primaries.BT709, Transfer.BT709, Matrix.BT709, Range.LIMITED),
        ColorTags(Primaries.BT2020, Transfer.PQ, Matrix.BT2020_NCL, Range.LIMITED),
        ColorTags(Primaries.BT2020, Transfer.HLG, Matrix.BT2020_NCL, Range.FULL),
        ColorTags(Primaries.SMPTE170M, Transfer.SMPTE170M, Matrix.SMPTE170M, Range.LIMITED),
        ColorTags(Primaries.BT470BG, Transfer.SMPTE170M, Matrix.BT470BG, Range.LIMITED),
        ColorTags(Primaries.P3_D65, Transfer.SRGB, Matrix.BT709, Range.LIMITED),
    ],
)
def test_tags_are_those_of_the_stream(make_movie: MakeMovie, info_of: InfoOf, tags: ColorTags) -> None:
    assert info_of(make_movie("a.mkv", "ffv1", "yuv420p10le", tags=tags)).tags == tags


def test_what_is_not_tagged_stays_unspecified(make_movie: MakeMovie, info_of: InfoOf) -> None:
    assert info_of(make_movie("a.mp4", tags=None)).tags == ColorTags()
    assert info_of(make_movie("b.mkv", "ffv1", "gbrp10le", tags=None)).tags.matrix is Matrix.RGB
    assert info_of(make_movie("c.mov", "mjpeg", "yuvj420p", tags=None)).tags.range is Range.FULL


def test_an_unknown_transfer_is_unspecified_and_noted_an_unknown_matrix_is_refused(make_movie: MakeMovie) -> None:
    def prepare(stream: VideoStream) -> None:
        stream.codec_context.color_primaries, stream.codec_context.color_trc = 4, 4
        stream.codec_context.colorspace = 1

    path = make_movie("a.mp4", tags=None, prepare=prepare)
    with MovieReader(path) as reader:
        assert reader.info.tags.transfer is Transfer.UNSPECIFIED
        assert reader.info.tags.matrix is Matrix.BT709
        assert "number 4" in reader.info.metadata["color_transfer"]
        assert "number 4" in reader.info.metadata["color_primaries"]
    odd = make_movie("b.mp4", tags=None, prepare=lambda stream: setattr(stream.codec_context, "colorspace", 8))
    with pytest.raises(ColorError, match="matrix coefficients 8 "):
        MovieReader(odd)


def test_interlaced_pictures_are_reported(make_movie: MakeMovie, info_of: InfoOf) -> None:
    def prepare(stream: VideoStream) -> None:
        stream.codec_context.field_order = 2

    info = info_of(make_movie("a.mov", options={"x264-params": "tff=1"}, prepare=prepare))
    assert info.interlaced
    assert not info_of(make_movie("b.mov")).interlaced


def test_a_cover_picture_is_not_the_movie(make_movie: MakeMovie, tmp_path: Path, info_of: InfoOf) -> None:
    path, cover = tmp_path / "both.mkv", tmp_path / "cover.jpg"
    frame = av.VideoFrame(128, 96, "yuvj420p")
    frame.save(cover)
    with av.open(str(make_movie("a.mp4", count=8))) as source, av.open(str(path), "w") as target:
        target.add_attachment("cover.jpg", "image/jpeg", cover.read_bytes())
        stream = target.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 2
    info = info_of(path)
    assert (info.width, info.height, info.count) == (64, 48, 8)


def test_a_range_outside_the_plate_is_refused(make_movie: MakeMovie) -> None:
    with MovieReader(make_movie("a.mp4")) as reader:
        for first, last in [(0, 3), (5, 13), (6, 5)]:
            with pytest.raises(MediaError, match=f"frames {first}-{last} are not within the plate, which has 1-12"):
                reader.frames(first, last)


def test_suffixes_decide_what_is_tried() -> None:
    assert all(MovieReader.can_read(Path(name)) for name in ("a.mov", "A.MP4", "b.mkv", "c.gif"))
    assert not any(MovieReader.can_read(Path(name)) for name in ("a.exr", "a.%04d.dpx", "mov", "a.txt"))
