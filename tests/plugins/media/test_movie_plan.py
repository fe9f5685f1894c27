"""What a movie delivery will be, and what is said of one that cannot be."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from vfxswap.color import ColorTags, Matrix, Primaries, Range, Transfer
from vfxswap.errors import MediaError
from vfxswap.media import PlateInfo
from vfxswap_plugins.media.layouts import layout_of
from vfxswap_plugins.media.movie_codecs import codec_of
from vfxswap_plugins.media.movie_plan import MovieOptions, planned
from vfxswap_plugins.media.movie_writer import MovieWriter

LIMITED = ColorTags(Primaries.BT709, Transfer.BT709, Matrix.BT709, Range.LIMITED)
HLG = ColorTags(Primaries.BT2020, Transfer.HLG, Matrix.BT2020_NCL, Range.LIMITED)


def plate_of(pix_fmt: str, path: Path, **more: Any) -> PlateInfo:
    given: dict[str, Any] = {"width": 320, "height": 192, "rate": Fraction(24), "first": 1, "count": 9} | more
    return PlateInfo(path=path / "plate.mov", layout=layout_of(pix_fmt), tags=LIMITED, **given)


def problems(path: Path, like: PlateInfo, tags: ColorTags = LIMITED, **options: Any) -> str:
    return " | ".join(MovieWriter.problems(path, MovieOptions(**options), like, tags))


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
    assert (plan.codec, plan.layout.name) == (codec_of(codec, suffix), stored)  # type: ignore[arg-type]  # parametrized


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


def test_a_folder_may_be_made_until_the_writer_is_opened(tmp_path: Path) -> None:
    like, path = plate_of("yuv420p", tmp_path), tmp_path / "later" / "o.mov"
    assert problems(path, like) == ""
    with pytest.raises(MediaError, match="there is no such folder; make it first"):
        MovieWriter(path, MovieOptions(), like=like, tags=LIMITED, first=1, last=9)
    path.parent.mkdir()
    MovieWriter(path, MovieOptions(), like=like, tags=LIMITED, first=1, last=9).abandon()


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


def test_options_are_strict() -> None:
    for bad in ({"codec": "divx"}, {"quality": 60}, {"preset": "slowest"}, {"crf": 3}, {"threads": -1}):
        with pytest.raises(ValidationError):
            MovieOptions.model_validate(bad)
    assert all(field.description for field in MovieOptions.model_fields.values())
