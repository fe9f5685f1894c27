"""Where chroma lies: read from the stream, said again, and moved where a codec has another place for it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vfxswap.color import ColorTags, Matrix, Primaries, Range, Transfer
from vfxswap.media import PlateInfo
from vfxswap_plugins.media.convert import converted, same_samples
from vfxswap_plugins.media.layouts import ChromaLocation, layout_of
from vfxswap_plugins.media.movie_plan import MovieOptions, planned

MakeMovie = Callable[..., Path]
Deliver = Callable[..., Path]
InfoOf = Callable[[Path], PlateInfo]

LIMITED = ColorTags(Primaries.BT709, Transfer.BT709, Matrix.BT709, Range.LIMITED)


@pytest.mark.parametrize("place", ["left", "center", "topleft"])
@pytest.mark.parametrize("name", ["h264.mp4", "h264.mkv", "h265.mp4", "h265.265"])
def test_a_stream_is_believed_and_its_delivery_says_the_same(
    make_movie: MakeMovie, deliver: Deliver, info_of: InfoOf, tmp_path: Path, name: str, place: ChromaLocation
) -> None:
    options: dict[str, str] = {"chroma_sample_location": place}
    if name.startswith("h265"):
        options["x265-params"] = "log-level=none"
    plate = make_movie(name, "libx265" if "x265-params" in options else "libx264", count=4, options=options)
    assert info_of(plate).layout.chroma_location == place
    for result, codec in (("o.mp4", "h264"), ("o.mov", "h265")):
        assert info_of(deliver(plate, tmp_path / result, codec=codec)).layout.chroma_location == place


def test_a_stream_that_says_nothing_is_taken_for_left(make_movie: MakeMovie, info_of: InfoOf) -> None:
    assert info_of(make_movie("plate.mp4", count=2)).layout.chroma_location == "left"
    assert info_of(make_movie("plate.mov", "mjpeg", "yuvj420p", count=2)).layout.chroma_location == "center"
    assert info_of(make_movie("wide.mp4", pix_fmt="yuv422p", count=2)).layout.chroma_location == "left"


def test_a_place_for_fields_is_noted(make_movie: MakeMovie, info_of: InfoOf) -> None:
    info = info_of(make_movie("plate.mp4", count=2, options={"chroma_sample_location": "bottom"}))
    assert info.layout.chroma_location == "left"
    assert info.metadata["chroma_siting"] == "H.273 type 5, taken for left"


@pytest.mark.parametrize("pix_fmt", ["yuv422p10le", "yuv420p10le"])
def test_chroma_is_moved_to_where_the_delivery_has_it(pix_fmt: str) -> None:
    """A ramp: its samples lie half a luma sample further left, so each is lower by half a step of luma."""
    source, target = layout_of(pix_fmt, "center"), layout_of(pix_fmt, "left")
    height = 8 if target.chroma_log2[1] else 16
    luma = np.full((16, 64), 500, np.uint16)
    ramp = np.tile(300 + 8 * np.arange(32, dtype=np.uint16), (height, 1))
    assert not same_samples(source, LIMITED, target, LIMITED)
    _, cb, cr = converted([luma, ramp, ramp], source, LIMITED, target, LIMITED)
    np.testing.assert_array_equal(cb[:, 2:-2], ramp[:, 2:-2] - 2)
    np.testing.assert_array_equal(cr, cb)


def test_only_the_axes_that_are_subsampled_count() -> None:
    assert same_samples(layout_of("yuv422p", "topleft"), LIMITED, layout_of("yuv422p", "left"), LIMITED)
    assert same_samples(layout_of("yuv444p", "center"), LIMITED, layout_of("yuv444p", "left"), LIMITED)
    assert not same_samples(layout_of("yuv420p", "topleft"), LIMITED, layout_of("yuv420p", "left"), LIMITED)


@pytest.mark.parametrize("place", ["left", "topleft", "center"])
def test_rgb_is_filtered_to_where_chroma_will_lie(place: ChromaLocation) -> None:
    rows = np.arange(32, dtype=np.uint16)[:, None] * 600 + np.zeros((1, 32), np.uint16)
    rgb = replace(LIMITED, matrix=Matrix.RGB, range=Range.FULL)
    planes = [rows, np.full_like(rows, 20000), np.full_like(rows, 20000)]
    _, _, cr = converted(planes, layout_of("gbrp16le"), rgb, layout_of("yuv420p16le", place), LIMITED)
    per_row = 0.7874 / 1.5748 * 57344 * 600 / 65535
    first = cr[2, 5].astype(float)
    middle = converted(planes, layout_of("gbrp16le"), rgb, layout_of("yuv444p16le"), LIMITED)[2][4, 5].astype(float)
    assert first - middle == pytest.approx(0 if place == "topleft" else per_row / 2, abs=2)


def test_wide_gamut_of_rgb_goes_to_the_top_left(tmp_path: Path, info_of: InfoOf, make_movie: MakeMovie) -> None:
    """BT.2100 table 8 note, BT.2020 table 4: the first sample of chroma lies on the first of luma."""
    plate = info_of(make_movie("plate.mkv", "ffv1", "gbrp10le", count=1, tags=None))
    wide = ColorTags(Primaries.BT2020, Transfer.PQ, Matrix.RGB, Range.FULL)
    options = MovieOptions(codec="h265", pixel_format="yuv420p10le")
    assert planned(tmp_path / "o.mp4", options, plate, wide).layout.chroma_location == "topleft"
    narrow = replace(wide, primaries=Primaries.BT709)
    assert planned(tmp_path / "o.mp4", options, plate, narrow).layout.chroma_location == "left"
    prores = MovieOptions(codec="prores_4444")
    assert planned(tmp_path / "o.mov", prores, plate, wide).layout.chroma_location == "left"


@pytest.mark.ffmpeg
@pytest.mark.parametrize(("name", "codec"), [("o.mp4", "h265"), ("o.mkv", "ffv1")])
def test_ffprobe_sees_it(make_movie: MakeMovie, deliver: Deliver, tmp_path: Path, name: str, codec: str) -> None:
    program = shutil.which("ffprobe")
    if program is None:
        pytest.skip("the ffprobe program is not installed")
    plate = make_movie("plate.mp4", count=2, options={"chroma_sample_location": "topleft"})
    words = [program, "-v", "error", "-show_streams", "-of", "json", str(deliver(plate, tmp_path / name, codec=codec))]
    (stream,) = json.loads(subprocess.run(words, capture_output=True, check=True, text=True).stdout)["streams"]
    assert stream["chroma_location"] == "topleft"
