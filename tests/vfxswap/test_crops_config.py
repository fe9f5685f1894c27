"""Plates in spaces of a configuration: identity swaps, changes in the plate's own encoding, movies of logs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.color import LUMA_WEIGHTS, ColorTags, Matrix, PixelLayout, Primaries, Range, Transfer
from vfxswap.crops import View, cut_crop, paste, small_picture
from vfxswap.frame import Picture
from vfxswap.ocio import PINNED, config_of, converter, face_space_of
from vfxswap.ops.blend import alpha
from vfxswap.pipeline.colour import ColorNames

FLOAT = PixelLayout("rgb float", "rgb", 32, is_float=True)
HALF = PixelLayout("rgb half", "rgb", 16, is_float=True)
DPX10 = PixelLayout("rgb 10", "rgb", 10)
YUV422P10 = PixelLayout("yuv422p10le", "ycbcr", 10, chroma_log2=(1, 0))
SIDE = 64
MOVED = np.array([[1.0, 0.0, -24.0], [0.0, 1.0, -8.0]])
"""Whole pixels, so that what is sampled is what is stored."""
NAMES = ColorNames(PINNED)
LOGS = [
    "ARRI LogC3 (EI800)",
    "ARRI LogC4",
    "S-Log3 S-Gamut3.Cine",
    "V-Log V-Gamut",
    "Log3G10 REDWideGamutRGB",
    "ACEScct",
]


def view_of(space: str, *, matrix: Matrix = Matrix.RGB, face: str | None = None) -> View:
    tags = ColorTags(matrix=matrix, range=Range.FULL if matrix is Matrix.RGB else Range.LIMITED)
    chosen = None if face is None else NAMES.face(face)
    return View(NAMES.of_plate(tags, space), 0, torch.device("cpu"), chosen)


def light() -> NDArray[np.float32]:
    """`(96, 160, 3)` ACEScg: skin, a kick of 40 on it, a lamp of 64, shadows."""
    y, x = np.mgrid[0:96, 0:160].astype(np.float32)
    base = 0.18 + 0.1 * np.sin(x / 9) * np.cos(y / 7)
    kick = 40 * np.exp(-((x - 60) ** 2 + (y - 30) ** 2) / 30)
    found = np.stack([base * tone + kick * (0.9 + 0.1 * tone) for tone in (1.0, 0.7, 0.5)], -1)
    found[60:62, 50:52] = 64
    found[50:54, 40:44] *= 0.02
    return found.astype(np.float32)


def codes(space: str) -> NDArray[np.float32]:
    """`(96, 160, 3)`: the same as the space has it."""
    return converter(config_of(PINNED), "ACEScg", space)(light(), threads=1)


def stored(rgb: NDArray[np.float32], layout: PixelLayout, view: View) -> Picture:
    planes = [np.ascontiguousarray(rgb[..., channel]) for channel in range(3)]
    if layout.is_float:
        return Picture([p.astype(np.float16 if layout.bits == 16 else np.float32) for p in planes], layout, view.tags)
    if layout.model == "rgb":
        return Picture([np.clip(np.round(p * 1023), 0, 1023).astype(np.uint16) for p in planes], layout, view.tags)
    red, blue = LUMA_WEIGHTS[view.tags.matrix]
    luma = red * planes[0] + (1 - red - blue) * planes[1] + blue * planes[2]
    chroma = [(planes[2] - luma) / (2 * (1 - blue)), (planes[0] - luma) / (2 * (1 - red))]
    small = [plane.reshape(96, 80, 2).mean(-1) for plane in chroma]
    made = [np.round(luma * 876 + 64), *(np.round(plane * 896 + 512) for plane in small)]
    return Picture([np.clip(plane, 4, 1019).astype(np.uint16) for plane in made], layout, view.tags)


def round_matte() -> Tensor:
    across = torch.linspace(-1, 1, SIDE)
    return (2.0 - 2 * torch.sqrt(across[None, :] ** 2 + across[:, None] ** 2)).clamp(0, 1)[None]


def inside(low: float = 1e-6) -> NDArray[np.bool_]:
    """Where the matte is at least so much, on the plate's pixels."""
    found = np.zeros((96, 160), bool)
    found[8 : 8 + SIDE, 24 : 24 + SIDE] = round_matte()[0].numpy() >= low
    return found


def pasted(picture: Picture, view: View, patch: Tensor) -> list[NDArray[Any]]:
    result = picture.copy()
    assert paste(result, view, MOVED, (patch, round_matte()), alpha)
    return list(result.planes)


@pytest.mark.parametrize("space", ["ACEScg", "ACES2065-1", "Linear Rec.709 (sRGB)", "Linear ARRI Wide Gamut 4"])
@pytest.mark.parametrize("layout", [HALF, FLOAT])
def test_an_identity_swap_of_light_up_to_64(space: str, layout: PixelLayout) -> None:
    view = view_of(space)
    picture = stored(codes(space), layout, view)
    result = pasted(picture, view, cut_crop(picture, view, MOVED, SIDE))
    for before, after in zip(picture.planes, result, strict=True):
        error = np.abs(after.astype(np.float64) - before) / np.maximum(np.abs(before.astype(np.float64)), 1e-4)
        assert error.max() < 1e-3
        assert np.array_equal(before[~inside()], after[~inside()])


@pytest.mark.parametrize("space", [*LOGS, "ACEScct", "Gamma 2.4 Encoded Rec.709", "ADX10", "Rec.2100-PQ - Display"])
@pytest.mark.parametrize("layout", [DPX10, YUV422P10])
def test_an_identity_swap_of_ten_bits_changes_no_code(space: str, layout: PixelLayout) -> None:
    view = view_of(space, matrix=Matrix.RGB if layout is DPX10 else Matrix.BT709)
    picture = stored(codes(space), layout, view)
    result = pasted(picture, view, cut_crop(picture, view, MOVED, SIDE))
    for before, after in zip(picture.planes, result, strict=True):
        assert np.array_equal(before, after)


@pytest.mark.parametrize("face", ["Gamma 2.2 Encoded Rec.709", "sRGB Encoded P3-D65"])
@pytest.mark.parametrize("space", ["ACEScg", "ARRI LogC4", "bt709", "pq"])
def test_an_identity_swap_by_another_face_space(space: str, face: str) -> None:
    view = view_of(space, face=face)
    picture = stored(codes("ACEScg" if space == "ACEScg" else "ARRI LogC4"), FLOAT, view)
    crop = cut_crop(picture, view, MOVED, SIDE)
    assert not torch.allclose(crop, cut_crop(picture, view_of(space), MOVED, SIDE), atol=1e-3)
    for before, after in zip(picture.planes, pasted(picture, view, crop), strict=True):
        np.testing.assert_allclose(after, before, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("space", [*LOGS, "ACEScg"])
def test_the_face_that_is_put_in_has_the_plates_own_codes(space: str) -> None:
    """Another face, coded by OpenColorIO from the light that it has, is what stands there where the matte is 1."""
    view = view_of(space)
    picture = stored(codes(space), FLOAT, view)
    other = np.clip(light()[::-1, ::-1] * np.float32(0.5), 0, 4)
    expected = converter(config_of(PINNED), "ACEScg", space)(other, threads=1)
    face = face_space_of(config_of(PINNED)).name
    crop = converter(config_of(PINNED), "ACEScg", face)(other, threads=1)[8 : 8 + SIDE, 24 : 24 + SIDE]
    result = pasted(picture, view, torch.from_numpy(np.ascontiguousarray(crop)).movedim(-1, 0))
    full = inside(1.0)
    assert full.any()
    for channel, plane in enumerate(result):
        np.testing.assert_allclose(plane[full], expected[..., channel][full], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("space", LOGS)
def test_a_log_keeps_the_kick_through_a_change_of_grade(space: str) -> None:
    view = view_of(space)
    picture = stored(codes(space), FLOAT, view)
    crop = cut_crop(picture, view, MOVED, SIDE)
    made = np.stack(pasted(picture, view, crop * 0.97), -1)
    before, after = (converter(config_of(PINNED), space, "ACEScg")(c, threads=1) for c in (codes(space), made))
    spot = inside(1.0) & (before[..., 0] > 30)
    assert spot.any()
    np.testing.assert_allclose(after[spot] / before[spot], 0.97**2.4, rtol=0.02)


def test_detectors_see_a_log_as_a_display_shows_it() -> None:
    view = view_of("ARRI LogC4")
    grey = np.full((32, 48, 3), 0.18, np.float32)
    picture = stored(converter(config_of(PINNED), "ACEScg", "ARRI LogC4")(grey), FLOAT, view)
    small = small_picture(picture, view, (24, 16))
    assert small.mean().item() == pytest.approx(0.4614, abs=3e-3)
    assert small_picture(stored(codes("ARRI LogC4"), FLOAT, view), view, (80, 48)).max() <= 1
    shown = view_of("Gamma 2.4 Encoded Rec.709")
    assert torch.allclose(small_picture(stored(grey, FLOAT, shown), shown, (24, 16)), torch.tensor(0.18))


def test_what_is_not_a_number_keeps_its_bits_and_stages_see_numbers() -> None:
    view = view_of("ACEScg")
    picture = stored(codes("ACEScg"), HALF, view)
    planes = [plane.copy() for plane in picture.planes]
    spots = {(40, 56): 0x7E01, (41, 60): 0xFD55, (44, 52): 0x7C00, (36, 50): 0xFC00}
    for spot, bits in spots.items():
        planes[0].view(np.uint16)[spot] = bits
    spoilt = Picture(planes, HALF, view.tags)
    crop = cut_crop(spoilt, view, MOVED, SIDE)
    assert bool(torch.isfinite(crop).all())
    after = pasted(spoilt, view, torch.full_like(crop, 0.4))[0]
    for spot, bits in spots.items():
        assert after.view(np.uint16)[spot] == bits
    assert np.isfinite(after).sum() == after.size - len(spots)


def test_a_hundred_strips_and_one_have_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    view = view_of("ARRI LogC4", matrix=Matrix.BT709)
    picture = stored(codes("ARRI LogC4"), YUV422P10, view)
    whole = pasted(picture, view, cut_crop(picture, view, MOVED, SIDE) * 0.9)
    monkeypatch.setattr("vfxswap.crops._STRIP_PX", 160)
    parts = pasted(picture, view, cut_crop(picture, view, MOVED, SIDE) * 0.9)
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_tags_of_a_stream_are_not_computed_with() -> None:
    tagged = ColorTags(Primaries.BT709, Transfer.BT709, Matrix.BT709, Range.LIMITED)
    view = View(NAMES.of_plate(tagged, "ARRI LogC4"), 0, torch.device("cpu"))
    picture = stored(codes("ARRI LogC4"), YUV422P10, view)
    other = view_of("ARRI LogC4", matrix=Matrix.BT709)
    assert torch.equal(cut_crop(picture, view, MOVED, SIDE), cut_crop(picture, other, MOVED, SIDE))
