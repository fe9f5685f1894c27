"""Scene-linear plates in movies: the view, its tags, the display window, alpha; and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import PyOpenColorIO as Ocio
import pytest
import torch
from numpy.typing import NDArray

from vfxswap.color import SPACES, ColorTags, ConfigSpace, Matrix, PixelLayout, Primaries, Range, Transfer
from vfxswap.errors import MediaError
from vfxswap.frame import Frame, Picture
from vfxswap.geometry import Box
from vfxswap.media import PlateInfo
from vfxswap.ocio import PINNED, config_of
from vfxswap.ops.ycbcr import to_rgb
from vfxswap_plugins.media.layouts import layout_of
from vfxswap_plugins.media.movie_look import needs_look
from vfxswap_plugins.media.movie_plan import MovieOptions, planned
from vfxswap_plugins.media.movie_reader import MovieReader
from vfxswap_plugins.media.movie_writer import MovieWriter

ACESCG = replace(SPACES["ACEScg"], range=Range.FULL)
REC709: dict[str, Any] = {"display": "Rec.1886 Rec.709 - Display", "view": "ACES 2.0 - SDR 100 nits (Rec.709)"}
HALF = PixelLayout("rgb half", "rgb", 16, is_float=True)
HALF_ALPHA = replace(HALF, has_alpha=True)
SIZE = (64, 48)

Image = NDArray[np.float32]
Deliver = Callable[..., Path]


@pytest.fixture(autouse=True)
def _no_config_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCIO", raising=False)


def plate(path: Path, *, layout: PixelLayout = HALF, tags: ColorTags = ACESCG, **more: Any) -> PlateInfo:
    given: dict[str, Any] = {"width": SIZE[0], "height": SIZE[1], "rate": Fraction(24), "first": 1001, "count": 2}
    return PlateInfo(path=path / "plate.%04d.exr", layout=layout, tags=tags, **given | more)


def light(width: int = SIZE[0], height: int = SIZE[1]) -> NDArray[np.float16]:
    """`(3, H, W)` ramps of every hue from black to far over white, smooth enough for a codec."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    hue = columns / width * 2 * np.pi
    level = 2 ** (rows / height * 10 - 7)
    return np.stack([level * (0.6 + 0.4 * np.cos(hue + turn)) for turn in (0, 2, 4)]).astype(np.float16)


def problems(path: Path, like: PlateInfo, tags: ColorTags = ACESCG, **options: Any) -> str:
    return " | ".join(MovieWriter.problems(path, MovieOptions.model_validate(options), like, tags))


def viewed(rgb: NDArray[Any], *, source: str = "ACEScg", display: str, view: str) -> Image:
    """`(3, H, W)` by OpenColorIO alone."""
    config = Ocio.Config.CreateFromFile(PINNED)
    transform = Ocio.DisplayViewTransform(src=source, display=display, view=view)
    processor = config.getProcessor(transform).getOptimizedCPUProcessor(Ocio.OPTIMIZATION_LOSSLESS)
    pixels = np.ascontiguousarray(rgb.astype(np.float32).transpose(1, 2, 0))
    processor.applyRGB(pixels)
    return np.clip(pixels, 0, 1).transpose(2, 0, 1)


def frames_of(path: Path) -> tuple[PlateInfo, list[Picture]]:
    with MovieReader(path) as reader:
        return reader.info, [frame.plate for frame in reader.frames(1, reader.info.last)]


def rgb_of(info: PlateInfo, picture: Picture) -> Image:
    whole = Box(0, 0, picture.width, picture.height)
    rgb: Image = to_rgb(picture.planes, picture.layout, info.tags, whole, device=torch.device("cpu")).numpy()
    return rgb


@pytest.fixture
def show(tmp_path: Path) -> Deliver:
    """Delivers two pictures of an EXR plate."""

    def show(
        name: str,
        planes: NDArray[np.float16],
        *,
        like: PlateInfo | None = None,
        tags: ColorTags = ACESCG,
        **options: Any,
    ) -> Path:
        layout = HALF_ALPHA if len(planes) == 4 else HALF
        info = like or plate(tmp_path, layout=layout, tags=tags)
        path, chosen = tmp_path / name, MovieOptions.model_validate(options)
        with MovieWriter(path, chosen, like=info, tags=tags, first=1001, last=1002) as writer:
            for number in (1001, 1002):
                writer.write(Frame(number, Picture(tuple(planes), info.layout, tags)))
            writer.finish()
        return path

    return show


@pytest.mark.parametrize("space", ["ACEScg", "ACES2065-1", "Linear Rec.709 (sRGB)"])
def test_the_movie_shows_what_opencolorio_shows(show: Deliver, space: str) -> None:
    tags = replace(SPACES[space], range=Range.FULL)
    info, (first, _) = frames_of(show("o.mkv", light(), tags=tags, **REC709))
    assert (info.layout.name, info.tags.primaries, info.tags.transfer) == ("gbrp16le", 1, 1)
    wanted = viewed(light(), source=space, **REC709)
    assert wanted.max() > 0.95
    assert wanted.min() < 0.02
    assert np.abs(rgb_of(info, first) - wanted).max() * 65535 <= 0.51 + 65535 * 1e-6


@pytest.mark.parametrize(
    ("name", "options", "mean", "most"),
    [("o.mov", {"codec": "prores_4444"}, 1.1, 12), ("o.mov", {"codec": "prores_4444xq"}, 0.9, 8)],
)
def test_in_prores_within_the_codecs_loss(
    show: Deliver, name: str, options: dict[str, str], mean: float, most: float
) -> None:
    info, (first, _) = frames_of(show(name, light(), **{**REC709, **options}))
    assert info.tags == ColorTags(Primaries.BT709, Transfer.BT709, Matrix.BT709, Range.LIMITED)
    error = np.abs(rgb_of(info, first) - viewed(light(), **REC709)) * 1023
    assert error.mean() < mean
    assert error.max() < most


def test_display_light_is_legal(show: Deliver) -> None:
    """Luma in 64..940 and chroma in 64..960, whatever the plate has over white, infinities included."""
    bright = (light() * np.float16(8)).astype(np.float16)
    bright[:, :8] = np.array([np.inf, -np.inf, np.nan], np.float16)[:, None, None]
    like = plate(Path())
    options = MovieOptions.model_validate({"pixel_format": "yuv444p10le", **REC709})
    path = show("o.mkv", bright, pixel_format="yuv444p10le", **REC709)
    _, (first, _) = frames_of(path)
    assert planned(path, options, like, ACESCG).tags.range is Range.LIMITED
    assert 64 <= int(first.planes[0].min()) <= int(first.planes[0].max()) <= 940
    for chroma in first.planes[1:]:
        assert 64 <= int(chroma.min()) <= int(chroma.max()) <= 960


@pytest.mark.parametrize(
    ("display", "codes"),
    [
        ("sRGB - Display", (1, 13, 1)),
        ("Display P3 - Display", (12, 13, 1)),
        ("Rec.2100-PQ - Display", (9, 16, 9)),
        ("Rec.2100-HLG - Display", (9, 18, 9)),
        ("ST2084-P3-D65 - Display", (12, 16, 1)),
    ],
)
def test_the_display_says_the_tags(show: Deliver, display: str, codes: tuple[int, int, int]) -> None:
    path = show("o.mov", light(), display=display)
    info, (first, _) = frames_of(path)
    assert (int(info.tags.primaries), int(info.tags.transfer), int(info.tags.matrix)) == codes
    view = config_of(PINNED).library.getDefaultView(display)
    error = np.abs(rgb_of(info, first) - viewed(light(), display=display, view=view)) * 1023
    assert error.mean() < 8  # 4:2:2


def test_what_the_plates_files_say_of_their_own_colour_is_not_said_of_the_movie(tmp_path: Path, show: Deliver) -> None:
    said = {"colorInteropID": "lin_ap1_scene", "oiio:ColorSpace": "lin_ap1_scene", "comment": "a lens test"}
    info, _ = frames_of(show("o.mov", light(), like=plate(tmp_path, metadata=said), **REC709))
    assert info.metadata.get("comment") == "a lens test"
    assert not {"colorInteropID", "oiio:ColorSpace"} & info.metadata.keys()


def test_the_default_codecs_of_a_view(tmp_path: Path) -> None:
    hdr: dict[str, Any] = {"display": "Rec.2100-PQ - Display"}
    for options, suffix, like, wanted in (
        (REC709, ".mov", plate(tmp_path), ("prores_ks", "yuv422p10le")),
        (REC709, ".mov", plate(tmp_path, layout=HALF_ALPHA), ("prores_ks", "yuva444p10le")),
        (REC709 | {"alpha": "none"}, ".mov", plate(tmp_path, layout=HALF_ALPHA), ("prores_ks", "yuv422p10le")),
        (REC709 | {"alpha": "matte"}, ".mov", plate(tmp_path), ("prores_ks", "yuva444p10le")),
        (REC709, ".mp4", plate(tmp_path), ("libx264", "yuv420p")),
        (hdr, ".mp4", plate(tmp_path), ("libx265", "yuv420p10le")),
        (hdr | {"codec": "h264"}, ".mp4", plate(tmp_path), ("libx264", "yuv420p10le")),
        (REC709, ".mkv", plate(tmp_path, layout=HALF_ALPHA), ("ffv1", "gbrap16le")),
        (REC709, ".mxf", plate(tmp_path, width=256, height=128), ("dnxhd", "yuv422p10le")),
    ):
        path = tmp_path / f"o{suffix}"
        assert problems(path, like, **options) == ""
        plan = planned(path, MovieOptions.model_validate(options), like, ACESCG)
        assert (plan.codec.encoder, plan.layout.name) == wanted


def test_a_color_space_by_name_and_a_statement_of_tags(show: Deliver) -> None:
    info, (first, _) = frames_of(show("o.mkv", light() / np.float16(20), color_space="ACEScct", tagged_as="bt2020"))
    assert (info.tags.primaries, info.tags.transfer) == (Primaries.BT2020, Transfer.BT2020_10)
    config = Ocio.Config.CreateFromFile(PINNED)
    to_log = config.getProcessor("ACEScg", "ACEScct").getOptimizedCPUProcessor(Ocio.OPTIMIZATION_LOSSLESS)
    pixels = np.ascontiguousarray((light() / np.float16(20)).astype(np.float32).transpose(1, 2, 0))
    to_log.applyRGB(pixels)
    assert np.abs(rgb_of(info, first) - pixels.transpose(2, 0, 1)).max() < 1e-4


def test_a_cameras_log_is_shown_too(show: Deliver, tmp_path: Path) -> None:
    """A movie in a log, with the stream's own words beside the space."""
    space = config_of(PINNED).space("ARRI LogC3 (EI800)")
    tags = replace(SPACES["bt709"], range=Range.LIMITED, space=space)
    assert not needs_look(tags)
    layout = layout_of("yuv444p10le")
    like = plate(tmp_path, layout=layout, tags=tags)
    planes = [np.full((SIZE[1], SIZE[0]), code, np.uint16) for code in (400, 512, 512)]
    path = tmp_path / "o.mkv"
    with MovieWriter(path, MovieOptions(**REC709), like=like, tags=tags, first=1001, last=1001) as writer:
        writer.write(Frame(1001, Picture(planes, layout, tags)))
        writer.finish()
    info, (first,) = frames_of(path)
    code = np.full((3, 2, 2), (400 - 64) / 876, np.float32)
    wanted = viewed(code, source="ARRI LogC3 (EI800)", **REC709)
    assert np.abs(rgb_of(info, first)[:, :2, :2] - wanted).max() < 1e-4


def test_what_a_log_movie_says_of_itself_stays(tmp_path: Path) -> None:
    """Without a view its own words are written again, and not computed with."""
    space = config_of(PINNED).space("ARRI LogC3 (EI800)")
    tags = ColorTags(Primaries.BT2020, Transfer.UNSPECIFIED, Matrix.BT709, Range.LIMITED, space)
    layout = layout_of("yuv422p10le")
    like = plate(tmp_path, layout=layout, tags=tags)
    path = tmp_path / "o.mov"
    with MovieWriter(path, MovieOptions(), like=like, tags=tags, first=1001, last=1001) as writer:
        planes = [np.full((SIZE[1], SIZE[0] >> (i > 0)), 400 + i, np.uint16) for i in range(3)]
        writer.write(Frame(1001, Picture(planes, layout, tags)))
        writer.finish()
    info, _ = frames_of(path)
    assert info.tags == replace(tags, space=None)


@pytest.mark.parametrize("window", [Box(8, 4, 56, 44), Box(-8, -4, 72, 52), Box(-8, 10, 40, 60)])
def test_a_movie_is_the_display_window(show: Deliver, tmp_path: Path, window: Box) -> None:
    """Overscan is cut; where the data do not reach is black."""
    like = plate(tmp_path, display=window, pixel_aspect=Fraction(2))
    info, (first, _) = frames_of(show("o.mkv", light(), like=replace(like, pixel_aspect=Fraction(1)), **REC709))
    assert (info.width, info.height) == (window.width, window.height)
    wide = np.zeros((3, 200, 200), np.float32)
    wide[:, 64 : 64 + SIZE[1], 64 : 64 + SIZE[0]] = viewed(light(), **REC709)
    wanted = wide[:, 64 + window.y0 : 64 + window.y1, 64 + window.x0 : 64 + window.x1]
    assert np.abs(rgb_of(info, first) - wanted).max() * 65535 < 1
    anamorphic, _ = frames_of(show("o.mov", light(), like=like, **REC709))
    assert anamorphic.pixel_aspect == 2
    said = MovieWriter.remarks(tmp_path / "p.mov", MovieOptions(**REC709), like, ACESCG)
    assert any(f"{window.width}x{window.height}" in text for text in said)


def test_soft_alpha_is_divided_out_before_the_view(show: Deliver) -> None:
    """An EXR's colours are multiplied by its alpha; half a colour's view is not half the colour's view."""
    alpha = np.linspace(0, 1, SIZE[0], dtype=np.float16)[None, None].repeat(SIZE[1], 1)
    full = np.full((3, SIZE[1], SIZE[0]), 0.5, np.float16)
    planes = np.concatenate([full * alpha, alpha])
    info, (first, _) = frames_of(show("o.mkv", planes, **REC709))
    assert info.layout.name == "gbrap16le"
    whole = viewed(full, **REC709)
    assert np.abs(rgb_of(info, first) - whole * alpha.astype(np.float32)).max() < 1.5e-3  # half floats
    assert np.abs(first.planes[3] / 65535 - alpha[0].astype(np.float32)).max() < 1e-5


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "scene-linear, and a movie is for a display: .*Rec.1886 Rec.709 - Display.*ACES 2.0 - SDR 100 nits"),
        ({"codec": "prores_4444", "pixel_format": "yuv444p10le"}, "scene-linear, and a movie is for a display"),
        ({"display": "Rec.709"}, "has no display 'Rec.709'; nearest: .*'Rec.1886 Rec.709 - Display'"),
        ({**REC709, "view": "ACES SDR"}, "has no view 'ACES SDR'; nearest: 'ACES 2.0 - SDR 100 nits"),
        ({"color_space": "Rec709"}, "has no colour space 'Rec709'; nearest: "),
        ({**REC709, "color_space": "ACEScct"}, "display and view, or color_space, not both"),
        ({"color_space": "ACEScct"}, "no number for 'ACEScct'.*state what the movie shall say of itself"),
        ({"display": "P3-D65 - Display"}, "no number for 'P3-D65 - Display'"),
        ({"tagged_as": "bt709"}, "tagged_as goes with display and view"),
        ({**REC709, "alpha": "plate"}, 'the plate has no alpha; leave alpha = "plate" out'),
        ({**REC709, "codec": "prores_hq", "alpha": "matte"}, "prores_hq has no place for the matte as alpha; choose"),
        ({**REC709, "codec": "dnxhr_444"}, "dnxhr_444 needs at least 256x120 pixels, the plate has 64x48"),
        ({**REC709, "codec": "ffv1"}, "ffv1 does not go into .mov"),
        ({**REC709, "pixel_format": "yuv420p"}, "prores_hq does not store yuv420p"),
    ],
)
def test_what_cannot_be_shown_is_said(tmp_path: Path, options: dict[str, Any], text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        raise AssertionError(problems(tmp_path / "o.mov", plate(tmp_path), **options))


def test_a_plate_with_alpha_says_what_becomes_of_it(tmp_path: Path) -> None:
    like = plate(tmp_path, layout=HALF_ALPHA)
    found = problems(tmp_path / "o.mov", like, codec="prores_hq", **REC709)
    assert 'prores_hq has no place for the plate\'s alpha; state alpha = "none"' in found
    assert problems(tmp_path / "o.mov", like, codec="prores_hq", alpha="none", **REC709) == ""


def test_light_may_stay_light_in_float(tmp_path: Path) -> None:
    like = plate(tmp_path, layout=replace(layout_of("gbrpf32le")))
    assert problems(tmp_path / "o.mkv", like) == ""
    assert "scene-linear" in problems(tmp_path / "o.mkv", like, pixel_format="gbrp16le")


def test_a_display_referred_plate_wants_no_view(tmp_path: Path) -> None:
    tags = replace(SPACES["srgb"], matrix=Matrix.RGB, range=Range.FULL)
    like = plate(tmp_path, layout=layout_of("gbrp10le"), tags=tags)
    assert "leave them out, or state [shot] color_space by such a name" in problems(
        tmp_path / "o.mov", like, tags, **REC709
    )


def test_a_configuration_that_is_gone_is_said(tmp_path: Path) -> None:
    gone = ConfigSpace(str(tmp_path / "show.ocio"), "", "plate", "scene-linear", is_linear=True)
    tags = replace(ACESCG, space=gone)
    assert "there is no OpenColorIO configuration" in problems(tmp_path / "o.mov", plate(tmp_path), tags, **REC709)
    assert "there is no OpenColorIO configuration" in problems(tmp_path / "o.mov", plate(tmp_path), tags)


def test_a_plate_that_shrinks_on_its_way_is_refused(show: Deliver, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"frame 1001 is 32x48, the delivery was begun as 64x48"):
        show("o.mov", light(32), like=plate(tmp_path), **REC709)
