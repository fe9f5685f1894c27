"""Files that are no movie, cut off, or damaged: what is said, and which frames still come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from vfxswap.errors import MediaError, TruncatedPlate
from vfxswap.frame import Picture
from vfxswap_plugins.media.movie_reader import MovieReader

MakeMovie = Callable[..., Path]
Sums = Callable[[Picture], tuple[str, ...]]


def read_until_broken(path: Path, sums: Sums) -> tuple[list[tuple[str, ...]], TruncatedPlate]:
    given = []
    with MovieReader(path) as reader:
        frames = reader.frames(1, reader.info.last)
        with pytest.raises(TruncatedPlate) as caught:  # noqa: PT012 - what comes before the error counts too
            for frame in frames:
                given.append(sums(frame.plate))  # noqa: PERF401 - the list must survive the error
    return given, caught.value


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"there is no file .*nothing\.mov"):
        MovieReader(tmp_path / "nothing.mov")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"is a folder, not a movie; .*NAME.%04d.exr"):
        MovieReader(tmp_path)


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mov"
    path.touch()
    with pytest.raises(MediaError, match="is empty"):
        MovieReader(path)


def test_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mov"
    path.write_text("this is not a movie\n" * 50)
    with pytest.raises(MediaError, match="it is a text file; name a movie"):
        MovieReader(path)


def test_noise(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(bytes(range(128, 256)) * 64)
    with pytest.raises(MediaError, match="no video format that is known"):
        MovieReader(path)


def test_sound_alone(tmp_path: Path, make_movie: MakeMovie) -> None:
    both, path = make_movie("both.mov", audio="pcm_s16le"), tmp_path / "a.mov"
    with av.open(str(both)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    with pytest.raises(MediaError, match="holds no moving picture, only audio"):
        MovieReader(path)


def test_a_quicktime_file_without_its_index(make_movie: MakeMovie) -> None:
    path = cut(make_movie("a.mov", count=30), 0.5)
    with pytest.raises(MediaError, match=r"without an index \(moov\): it was not finished or is cut off"):
        MovieReader(path)


def test_a_pixel_format_that_is_not_supported(tmp_path: Path) -> None:
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "rgb48be"
        container.mux(stream.encode(av.VideoFrame(32, 16, "rgb48be")))
        container.mux(stream.encode())
    with pytest.raises(MediaError, match="'rgb48be' is not supported"):
        MovieReader(path)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "movflags"),
    [
        ("a.mp4", "libx264", "yuv420p", "faststart"),
        ("a.mov", "prores_ks", "yuv422p10le", "faststart"),
        ("a.mkv", "ffv1", "yuv420p", ""),
        ("b.mkv", "libx264", "yuv420p", ""),
    ],
)
def test_a_cut_plate_gives_what_is_there_and_names_the_first_missing_frame(
    make_movie: MakeMovie, sums: Sums, name: str, codec: str, pix_fmt: str, movflags: str
) -> None:
    path = make_movie(name, codec, pix_fmt, count=40, options={"bf": "0"}, movflags=movflags)
    with MovieReader(path) as reader:
        whole = [sums(frame.plate) for frame in reader.frames(1, 40)]
    given, error = read_until_broken(cut(path, 0.6), sums)
    assert 5 < len(given) < 35
    assert given == whole[: len(given)]
    assert error.frame == len(given) + 1
    assert f"damaged at frame {error.frame} of 40" in str(error)
    with MovieReader(path) as reader:
        assert reader.info.count == 40
        assert [sums(frame.plate) for frame in reader.frames(2, 4)] == whole[1:4]
        with pytest.raises(TruncatedPlate, match="frame 38"):
            next(reader.frames(38, 40))


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mov", "prores_ks", "yuv422p10le"),
        ("a.mkv", "ffv1", "yuv420p"),
        ("a.mkv", "mpeg2video", "yuv420p"),
        ("b.mov", "mjpeg", "yuvj420p"),
        ("a.264", "libx264", "yuv420p"),
    ],
)
def test_damage_in_the_middle_is_found_at_its_frame(
    make_movie: MakeMovie, sums: Sums, name: str, codec: str, pix_fmt: str
) -> None:
    more = {"slicecrc": "1"} if codec == "ffv1" else {"bf": "0"}
    path = make_movie(name, codec, pix_fmt, count=30, options=more, size=(160, 96))
    with MovieReader(path) as reader:
        whole = [sums(frame.plate) for frame in reader.frames(1, 30)]
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    position, size = packets[19]
    assert position is not None
    content = bytearray(path.read_bytes())
    content[position + size // 2 : position + size] = bytes(size - size // 2)
    path.write_bytes(content)
    given, error = read_until_broken(path, sums)
    assert (error.frame, error.path) == (20, path)
    assert given == whole[:19]


def test_a_change_of_size_is_an_error_at_its_frame(make_movie: MakeMovie, tmp_path: Path) -> None:
    small, large = make_movie("s.264", options={"bf": "0"}), make_movie("l.264", options={"bf": "0"}, size=(96, 64))
    path = tmp_path / "a.264"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    with MovieReader(path) as reader:
        frames = reader.frames(1, reader.info.last)
        assert [next(frames).number for _ in range(12)] == list(range(1, 13))
        with pytest.raises(MediaError, match="frame 13 is 96x64 yuv420p, while the plate begins as 64x48"):
            next(frames)


def test_one_wrong_bit_in_ffv1_is_found_by_its_checksum(make_movie: MakeMovie, sums: Sums) -> None:
    options = {"level": "3", "slices": "4", "slicecrc": "1", "g": "1"}
    path = make_movie("a.mkv", "ffv1", "yuv420p10le", count=8, options=options)
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    position, size = packets[5]
    assert position is not None
    content = bytearray(path.read_bytes())
    content[position + size // 2] ^= 1
    path.write_bytes(content)
    given, error = read_until_broken(path, sums)
    assert (len(given), error.frame) == (5, 6)


def test_ffv1_without_checksums_is_read_all_the_same(make_movie: MakeMovie) -> None:
    path = make_movie("a.mkv", "ffv1", "yuv420p", count=5, options={"level": "3", "slicecrc": "0"})
    with MovieReader(path) as reader:
        assert [frame.number for frame in reader.frames(1, 5)] == [1, 2, 3, 4, 5]
