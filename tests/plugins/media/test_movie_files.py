"""A delivery appears only when it is whole, and every failure of the disk is said clearly."""

from __future__ import annotations

import errno
import resource
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from vfxswap.color import ColorTags, Matrix, Primaries, Range, Transfer
from vfxswap.errors import MediaError
from vfxswap.frame import Frame
from vfxswap.media import PlateInfo
from vfxswap_plugins.media.layouts import layout_of
from vfxswap_plugins.media.movie_plan import MovieOptions
from vfxswap_plugins.media.movie_reader import MovieReader
from vfxswap_plugins.media.movie_writer import MovieWriter

MakeMovie = Callable[..., Path]
Deliver = Callable[..., Path]
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
