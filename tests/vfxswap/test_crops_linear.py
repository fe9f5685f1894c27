"""Scene-linear plates: what a paste keeps of light beyond 0..1, of infinities, and of what is not a number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.color import SPACES, ColorTags, Matrix, PixelLayout, Range
from vfxswap.crops import View, cut_crop, paste, small_picture
from vfxswap.drivers import Shot
from vfxswap.drivers.base import Around
from vfxswap.drivers.faces import SwapperDriver
from vfxswap.frame import Batch, Detection, Face, FaceBatch, Frame, Picture
from vfxswap.geometry import Landmarks
from vfxswap.identity import Identity
from vfxswap.ops.blend import alpha
from vfxswap.stage import Swapped, Swapper, SwapperOptions
from vfxswap.testing import options_of, setting, synthetic_identity

HALF = PixelLayout("rgb half", "rgb", 16, is_float=True)
FLOAT = PixelLayout("rgb float", "rgb", 32, is_float=True)
SIDE = 64
MOVED = np.array([[1.0, 0.0, -24.0], [0.0, 1.0, -8.0]])
"""Whole pixels, so that what is sampled is what is stored."""
LINEAR = ["ACEScg", "ACES2065-1", "Linear Rec.709 (sRGB)"]


def tags_of(space: str) -> ColorTags:
    return ColorTags(SPACES[space].primaries, SPACES[space].transfer, Matrix.RGB, Range.FULL)


def view_of(space: str = "ACEScg") -> View:
    return View(tags_of(space), 0, torch.device("cpu"))


def gleaming(dtype: type = np.float16) -> Picture:
    """160 x 96 of skin-like light with a kick of 40, deep shadow below 0, and a lamp of 5000."""
    y, x = np.mgrid[0:96, 0:160].astype(np.float32)
    base = 0.18 + 0.1 * np.sin(x / 9) * np.cos(y / 7)
    kick = 40 * np.exp(-((x - 60) ** 2 + (y - 30) ** 2) / 30)
    planes = [(base * tone + kick * (0.9 + 0.1 * tone)).astype(dtype) for tone in (1.0, 0.7, 0.5)]
    planes[2][50:54, 40:44] = -0.02
    planes[0][60:62, 50:52] = 5000
    return Picture(planes, HALF if dtype is np.float16 else FLOAT, tags_of("ACEScg"))


def round_matte() -> Tensor:
    across = torch.linspace(-1, 1, SIDE)
    return (2.0 - 2 * torch.sqrt(across[None, :] ** 2 + across[:, None] ** 2)).clamp(0, 1)[None]


def inside() -> NDArray[np.float32]:
    """The matte on the plate's pixels."""
    matte = np.zeros((96, 160), np.float32)
    matte[8 : 8 + SIDE, 24 : 24 + SIDE] = round_matte()[0].numpy()
    return matte


@pytest.mark.parametrize("space", LINEAR)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_an_identity_swap_keeps_all_light(space: str, dtype: type) -> None:
    picture, view = gleaming(dtype), view_of(space)
    crop = cut_crop(picture, view, MOVED, SIDE)
    assert crop.max() > 4
    result = picture.copy()
    paste(result, view, MOVED, (crop, round_matte()), alpha)
    for before, after in zip(picture.planes, result.planes, strict=True):
        error = np.abs(after.astype(np.float64) - before) / np.abs(before.astype(np.float64))
        assert error.max() < 1e-3


def test_a_change_of_grade_keeps_the_kick_and_the_shadow() -> None:
    picture, view = gleaming(np.float32), view_of()
    crop = cut_crop(picture, view, MOVED, SIDE)
    result = picture.copy()
    paste(result, view, MOVED, (crop * 0.95, round_matte()), alpha)
    full = inside() == 1
    before, after = picture.planes[0][full], result.planes[0][full]
    assert before.max() > 39
    # 0.95 of a code is 0.95 ** 2.4 of its light, and a little less where the curve has its offset.
    np.testing.assert_allclose(after[before > 30] / before[before > 30], 0.95**2.4, rtol=0.03)
    assert result.planes[2].min() < -0.01


def test_what_a_swapper_clips_is_lost_where_the_matte_is_full_and_kept_in_part_elsewhere() -> None:
    picture, view = gleaming(np.float32), view_of()
    crop = cut_crop(picture, view, MOVED, SIDE)
    result = picture.copy()
    paste(result, view, MOVED, (crop.clamp(0, 1), round_matte()), alpha)
    matte, before, after = inside(), picture.planes[0], result.planes[0]
    assert after[(matte == 1) & (before > 2)].max() == pytest.approx(1.0, abs=0.1)
    edge = (matte > 0.2) & (matte < 0.8) & (before > 4)
    assert edge.any()
    assert ((after[edge] > 1.2) & (after[edge] < before[edge])).all()
    dull = (matte > 0) & (np.max(picture.planes, axis=0) < 0.9) & (np.min(picture.planes, axis=0) > 0)
    np.testing.assert_allclose(after[dull], before[dull], rtol=2e-3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_outside_the_matte_every_pattern_of_bits_is_kept(dtype: type) -> None:
    rng = np.random.default_rng(7)
    words = np.uint16 if dtype is np.float16 else np.uint32
    top = np.iinfo(words).max
    planes: list[NDArray[Any]] = [rng.integers(0, top, (96, 160), words, endpoint=True).view(dtype) for _ in "RGB"]
    matte = inside()
    for plane in planes:
        plane[matte > 0] = 0.3
    picture = Picture(planes, HALF if dtype is np.float16 else FLOAT, tags_of("ACEScg"))
    result = picture.copy()
    view = view_of()
    crop = cut_crop(picture, view, MOVED, SIDE)
    assert bool(torch.isfinite(crop).all())
    assert paste(result, view, MOVED, (torch.full_like(crop, 0.5), round_matte()), alpha)
    for before, after in zip(planes, result.planes, strict=True):
        assert (np.isnan(before) | np.isinf(before)).any()
        assert np.array_equal(after.view(words)[matte == 0], before.view(words)[matte == 0])
        assert (after[matte > 0] != before[matte > 0]).all()


def test_what_is_not_a_number_spoils_itself_alone() -> None:
    picture, view = gleaming(), view_of()
    planes = [plane.copy() for plane in picture.planes]
    spots = {(40, 56): 0x7E01, (41, 60): 0xFD55, (44, 52): 0x7C00, (36, 50): 0xFC00}
    for spot, bits in spots.items():
        planes[0].view(np.uint16)[spot] = bits
    spoilt = Picture(planes, HALF, picture.tags)
    crop = cut_crop(spoilt, view, MOVED, SIDE)
    assert bool(torch.isfinite(crop).all())
    result = spoilt.copy()
    paste(result, view, MOVED, (torch.full_like(crop, 0.4), round_matte()), alpha)
    for spot, bits in spots.items():
        assert result.planes[0].view(np.uint16)[spot] == bits
    fine = np.ones((96, 160), bool)
    for spot in spots:
        fine[spot] = False
    assert np.isfinite(result.planes[0][fine]).all()


def test_detectors_see_scene_light_as_a_display_shows_it() -> None:
    grey = Picture([np.full((32, 48), 0.18, np.float16)] * 3, HALF, tags_of("ACEScg"))
    small = small_picture(grey, view_of(), (24, 16))
    assert small.mean().item() == pytest.approx(0.4614, abs=2e-3)
    assert small_picture(gleaming(), view_of(), (80, 48)).max() <= 1


class Unit(Swapper[SwapperOptions]):
    """Knows 0..1 alone, as most networks do."""

    Options = SwapperOptions

    def swap(self, faces: FaceBatch, identity: Identity) -> Swapped:
        assert identity.name == "hero"
        return Swapped(faces.crops.clamp(0, 1) * 0.9, torch.ones_like(faces.crops[:, :1]))


class Open(Unit):
    """The same, but the plate's light beyond is put back."""

    light_beyond = "plate"


class Larger(Unit):
    """The plate's light where it has more than the result."""

    light_beyond = "larger"


class Gleaming(Larger):
    """Has a highlight of its own."""

    def swap(self, faces: FaceBatch, identity: Identity) -> Swapped:
        made = super().swap(faces, identity)
        return made._replace(crops=made.crops + 3)


def swapped(stage: type[Unit], picture: Picture) -> Picture:
    """One frame through the stage's driver and back into the plate."""
    view = view_of()
    crop = cut_crop(picture, view, MOVED, SIDE)
    marks = Landmarks(np.array([[60.0, 30.0]] * 5), "five")
    face = Face(Detection((0, 0, 9, 9), 1.0), marks, MOVED, SIDE, "hero", crop)
    made = stage(options_of(stage, {"identity": "hero"}), setting())
    driver = SwapperDriver(made, Shot(view, 1, 1), synthetic_identity())
    batch = Batch((Frame(1, picture, faces=(face,)),))
    ((found,),) = (frame.faces for frame in driver.frames(Around((), batch, (), (1,))))
    assert found.swapped is not None
    result = picture.copy()
    paste(result, view, MOVED, (found.swapped, round_matte()), alpha)
    return result


def test_the_plates_light_beyond_is_put_back_where_a_swapper_has_none() -> None:
    picture = gleaming(np.float32)
    bright = (inside() == 1) & (picture.planes[0] > 30)
    dull = (inside() == 1) & (np.max(picture.planes, axis=0) < 0.9) & (np.min(picture.planes, axis=0) > 0)
    before = picture.planes[0]
    for stage, low, high in ((Unit, 0.0, 1.0), (Open, 0.85 * 30, 40.0), (Larger, 0.85 * 30, 42.0)):
        after = swapped(stage, picture).planes[0]
        assert bright.any()
        assert low < after[bright].min() <= after[bright].max() < high
        np.testing.assert_allclose(after[dull] / before[dull], 0.9**2.3, rtol=0.06)
    assert swapped(Open, picture).planes[2].min() < -0.01


def test_a_light_of_its_own_is_not_added_to_the_plates() -> None:
    picture = gleaming(np.float32)
    full = inside() == 1
    before, after = picture.planes[0][full], swapped(Gleaming, picture).planes[0][full]
    bright = before > 30
    assert (after[bright] < 1.1 * before[bright]).all()
    assert (after[bright] > 0.9 * before[bright]).all()
    assert (after[before < 0.5] > 10).all()
