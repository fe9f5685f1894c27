"""Alpha of movies: the plate's, the matte, or none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vfxswap.color import ColorTags, Matrix, Primaries, Range, Transfer
from vfxswap.errors import MediaError
from vfxswap.frame import Frame, Layer, Picture
from vfxswap.geometry import Box
from vfxswap.media import PlateInfo
from vfxswap_plugins.media.layouts import layout_of
from vfxswap_plugins.media.movie_plan import MovieOptions
from vfxswap_plugins.media.movie_reader import MovieReader
from vfxswap_plugins.media.movie_writer import MovieWriter

MakeMovie = Callable[..., Path]
Deliver = Callable[..., Path]

LIMITED = ColorTags(Primaries.BT709, Transfer.BT709, Matrix.BT709, Range.LIMITED)
SPOT = Box(10, 8, 42, 40)


def problems(path: Path, pix_fmt: str, **options: Any) -> str:
    given: dict[str, Any] = {"width": 320, "height": 192, "rate": Fraction(24), "first": 1, "count": 9}
    like = PlateInfo(path=path.parent / "plate.mov", layout=layout_of(pix_fmt), tags=LIMITED, **given)
    return " | ".join(MovieWriter.problems(path, MovieOptions.model_validate(options), like, LIMITED))


def pictures(path: Path) -> list[Picture]:
    with MovieReader(path) as reader:
        return [frame.plate for frame in reader.frames(1, reader.info.last)]


def soft() -> np.ndarray[Any, np.dtype[np.float32]]:
    ramp = np.sin(np.linspace(0, np.pi, SPOT.width, dtype=np.float32))
    return ramp[None, :] * np.ones((SPOT.height, 1), np.float32)


def with_matte(frame: Frame) -> Frame:
    return replace(frame, layers={"matte": Layer(SPOT, soft()[None])})


@pytest.mark.parametrize(
    ("name", "codec", "plate_format", "steps"),
    [
        ("o.mov", "prores_4444", "yuv422p10le", 1023),
        ("o.mov", "prores_4444xq", "yuv420p", 1023),
        ("o.mkv", "ffv1", "yuv420p10le", 1023),
        ("o.mkv", "ffv1", "gbrp16le", 65535),
    ],
)
def test_the_matte_becomes_alpha_and_the_colours_stay(
    make_movie: MakeMovie, deliver: Deliver, tmp_path: Path, name: str, codec: str, plate_format: str, steps: int
) -> None:
    plate = make_movie("plate.mkv", "ffv1", plate_format, count=2, size=(64, 48))
    straight = pictures(deliver(plate, tmp_path / f"straight{Path(name).suffix}", codec=codec))
    found = pictures(deliver(plate, tmp_path / name, codec=codec, alpha="matte", change=with_matte))
    wanted = np.zeros((48, 64), np.float32)
    wanted[SPOT.y0 : SPOT.y1, SPOT.x0 : SPOT.x1] = soft()
    for picture, without in zip(found, straight, strict=True):
        assert picture.layout.has_alpha
        assert not without.layout.has_alpha
        alpha = picture.planes[-1].astype(np.float64) / ((1 << picture.layout.bits) - 1)
        assert np.abs(alpha - wanted).max() * steps <= 1.01
        assert alpha[0, 0] == 0
        if codec == "ffv1":
            for plane, other in zip(picture.planes, without.planes, strict=False):
                np.testing.assert_array_equal(plane, other)


def test_a_frame_without_a_matte_is_refused(make_movie: MakeMovie, deliver: Deliver, tmp_path: Path) -> None:
    plate = make_movie("plate.mkv", "ffv1", "yuv422p10le", count=2)
    with pytest.raises(MediaError, match=r'frame 1 brings no matte, which alpha = "matte" wants'):
        deliver(plate, tmp_path / "o.mov", codec="prores_4444", alpha="matte")
    assert MovieWriter.pictured_layers(MovieOptions(alpha="matte")) == ("matte",)
    assert MovieWriter.pictured_layers(MovieOptions(alpha="plate")) == ()


@pytest.mark.parametrize(("name", "codec"), [("o.mov", "prores_4444"), ("o.mkv", "ffv1")])
def test_the_plates_alpha_comes_through(
    make_movie: MakeMovie, deliver: Deliver, tmp_path: Path, name: str, codec: str
) -> None:
    plate = make_movie("plate.mkv", "ffv1", "yuva444p10le", count=2)
    for options in ({}, {"alpha": "plate"}):
        for old, new in zip(
            pictures(plate), pictures(deliver(plate, tmp_path / name, codec=codec, **options)), strict=True
        ):
            bits = new.layout.bits - old.layout.bits
            error = np.abs((new.planes[3] >> bits).astype(int) - old.planes[3])
            assert error.max() <= (1 if codec == "prores_4444" else 0)
        (tmp_path / name).unlink()


def test_alpha_may_be_left_out(make_movie: MakeMovie, deliver: Deliver, tmp_path: Path) -> None:
    plate = make_movie("plate.mkv", "ffv1", "yuva444p10le", count=2)
    (kept, *_), (found, *_) = pictures(plate), pictures(deliver(plate, tmp_path / "o.mkv", alpha="none"))
    assert found.layout.name == "yuv444p10le"
    for plane, other in zip(found.planes, kept.planes, strict=False):
        np.testing.assert_array_equal(plane, other)
    assert (
        pictures(deliver(plate, tmp_path / "o.mov", codec="prores_4444", alpha="none"))[0].layout.name == "yuv444p12le"
    )


@pytest.mark.parametrize(
    ("name", "pix_fmt", "options", "text"),
    [
        ("o.mov", "yuv422p10le", {"codec": "prores_hq", "alpha": "matte"}, "prores_hq has no place for the matte"),
        (
            "o.mxf",
            "yuv444p10le",
            {"codec": "dnxhr_444", "alpha": "matte"},
            "choose prores_4444 in .mov or ffv1 in .mkv",
        ),
        ("o.mp4", "yuv420p", {"alpha": "matte"}, "h264 has no place for the matte as alpha"),
        ("o.mov", "yuva444p10le", {"codec": "prores_hq", "alpha": "plate"}, "no place for the plate's alpha"),
        ("o.mov", "yuv422p10le", {"alpha": "plate"}, "the plate has no alpha; leave"),
        ("o.mxf", "yuva444p10le", {}, 'cannot hold alpha of the plate .* or state alpha = "none" to leave it out'),
        ("o.mov", "yuv422p12le", {"alpha": "matte"}, "cannot hold 12 bits"),
        (
            "o.mov",
            "yuv422p10le",
            {"codec": "prores_4444", "pixel_format": "yuv444p10le", "alpha": "matte"},
            "prores_4444 in yuv444p10le has no place for the matte",
        ),
    ],
)
def test_what_has_no_place_is_said(tmp_path: Path, name: str, pix_fmt: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        raise AssertionError(problems(tmp_path / name, pix_fmt, **options))
