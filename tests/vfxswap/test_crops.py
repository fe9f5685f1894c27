"""Crops and pasting: upright whatever the plate's rotation, and no harm outside the matte."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from vfxswap import crops
from vfxswap.color import SPACES, ColorTags, Matrix, PixelLayout, Range
from vfxswap.crops import PlateCutter, View, cut_crop, lies_outside, paste, small_picture
from vfxswap.frame import Frame, Picture
from vfxswap.geometry import Affine, umeyama
from vfxswap.ops.blend import alpha

CPU = torch.device("cpu")
RGB = PixelLayout("gbrpf32le", "rgb", 32, is_float=True)
RGB_TAGS = SPACES["srgb"].resolved(None)
RGB_TAGS = ColorTags(RGB_TAGS.primaries, RGB_TAGS.transfer, Matrix.RGB, Range.FULL)


def upright_image(height: int = 60, width: int = 90) -> np.ndarray:
    """`(3, H, W)`: red grows to the right, green downwards, so that any turn or shift shows."""
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    return np.stack([x, y, 0.5 * x * y]).astype(np.float32)


def stored(image: np.ndarray, rotation: int) -> Picture:
    """The picture as a camera on its side stores it: turned back, so that turning it clockwise makes it upright."""
    turned = np.rot90(image, k=rotation // 90, axes=(1, 2))
    return Picture([np.ascontiguousarray(plane) for plane in turned], RGB, RGB_TAGS)


def plate_to_crop(size: int = 32) -> Affine:
    """A turned, scaled similarity around the middle of the upright picture."""
    crop = np.array([(0, 0), (size, 0), (size, size), (0, size)], dtype=np.float64)
    angle = 0.3
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return umeyama((crop - size / 2) @ turn.T * 0.9 + (45, 30), crop)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_turned_plate_gives_the_same_small_picture_and_crop(rotation: int) -> None:
    image = upright_image()
    picture, view = stored(image, rotation), View(RGB_TAGS, rotation, CPU)
    assert view.upright_size(picture) == (90, 60)
    small = small_picture(picture, view, (45, 30))
    assert small.shape == (3, 30, 45)
    expected = torch.from_numpy(image.reshape(3, 30, 2, 45, 2).mean(axis=(2, 4)))
    torch.testing.assert_close(small, expected, atol=2e-3, rtol=0)
    reference = cut_crop(stored(image, 0), View(RGB_TAGS, 0, CPU), plate_to_crop(), 32)
    torch.testing.assert_close(cut_crop(picture, view, plate_to_crop(), 32), reference, atol=1e-5, rtol=0)


def replaced(patch: Tensor, plate: Tensor, matte: Tensor) -> Tensor:
    return torch.lerp(plate, patch, matte)


def a_patch(size: int = 32) -> tuple[Tensor, Tensor]:
    across = torch.linspace(-1, 1, size)
    radius = torch.sqrt(across[None, :] ** 2 + across[:, None] ** 2)
    matte = (1.6 - 2 * radius).clamp(0, 1)[None]
    return torch.full((3, size, size), 0.9) * torch.tensor([1.0, 0.2, 2.5])[:, None, None], matte


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_patch_lands_upright_whatever_the_rotation(rotation: int) -> None:
    image = upright_image()
    picture, view = stored(image, rotation).copy(), View(RGB_TAGS, rotation, CPU)
    assert paste(picture, view, plate_to_crop(), a_patch(), replaced)
    upright = np.rot90(np.stack(picture.planes), k=-(rotation // 90), axes=(1, 2))
    reference = stored(image, 0).copy()
    paste(reference, View(RGB_TAGS, 0, CPU), plate_to_crop(), a_patch(), replaced)
    np.testing.assert_allclose(upright, np.stack(reference.planes), atol=1e-4)
    np.testing.assert_allclose(upright[:, 30, 45], (0.9, 0.18, 2.25), atol=1e-3)


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("chroma", [(0, 0), (1, 0), (1, 1)])
def test_samples_outside_the_matte_keep_their_bits(bits: int, chroma: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    layout = PixelLayout("yuv", "ycbcr", bits, chroma_log2=chroma)
    sizes = [(61, 91), *[(-(-61 // (1 << chroma[1])), -(-91 // (1 << chroma[0])))] * 2]
    dtype = np.uint8 if bits == 8 else np.uint16
    planes = [rng.integers(0, 1 << bits, size, dtype=dtype) for size in sizes]
    view = View(SPACES["bt709"].resolved(None), 0, CPU)
    picture = Picture(planes, layout, view.tags)
    result = picture.copy()
    assert paste(result, view, plate_to_crop(), a_patch(), replaced)
    ones = torch.ones(1, 32, 32)
    shadow = Picture([np.zeros((61, 91), np.float32)] * 3, RGB, RGB_TAGS).copy()
    paste(shadow, View(RGB_TAGS, 0, CPU), plate_to_crop(), (ones.expand(3, -1, -1), a_patch()[1]), replaced)
    touched = shadow.planes[0] > 0
    assert (result.planes[0] != planes[0]).any()
    assert np.array_equal(result.planes[0][~touched], planes[0][~touched])
    for plane, before in zip(result.planes[1:], planes[1:], strict=True):
        rows, columns = np.nonzero(plane != before)
        for row, column in zip(rows, columns, strict=True):
            block = np.s_[row << chroma[1] : (row + 1) << chroma[1], column << chroma[0] : (column + 1) << chroma[0]]
            assert touched[block].any()


def test_an_empty_matte_changes_nothing() -> None:
    picture = stored(upright_image(), 0).copy()
    before = [plane.copy() for plane in picture.planes]
    assert not paste(picture, View(RGB_TAGS, 0, CPU), plate_to_crop(), (a_patch()[0], torch.zeros(1, 32, 32)), replaced)
    assert all(np.array_equal(a, b) for a, b in zip(picture.planes, before, strict=True))


def test_a_crop_beyond_the_edge_repeats_the_last_pixels_and_one_outside_is_known() -> None:
    far = plate_to_crop() + np.array([[0, 0, 500.0], [0, 0, 0]])
    assert lies_outside(far, 32, 90, 60)
    assert not lies_outside(plate_to_crop(), 32, 90, 60)
    crop = cut_crop(stored(upright_image(), 0), View(RGB_TAGS, 0, CPU), plate_to_crop() * 0.2, 32)
    assert bool(torch.isfinite(crop).all())


def test_the_cutter_cuts_from_each_faces_own_frame() -> None:
    frames = [Frame(i, stored(upright_image() * (i + 1), 0)) for i in range(3)]
    cut = PlateCutter(frames, View(RGB_TAGS, 0, CPU))
    pieces = cut([2, 0], [plate_to_crop(), plate_to_crop()], 16)
    torch.testing.assert_close(pieces[0], pieces[1] * 3, atol=1e-5, rtol=0)
    assert cut([], [], 16).shape == (0, 3, 16, 16)


def yuv_picture(location: Literal["left", "center", "topleft"] = "left") -> Picture:
    """A noisy 4:2:0 picture of 200 x 120."""
    rng = np.random.default_rng(5)
    layout = PixelLayout("yuv420p", "ycbcr", 8, chroma_log2=(1, 1), chroma_location=location)
    planes = [rng.integers(16, 235, size, dtype=np.uint8) for size in ((120, 200), (60, 100), (60, 100))]
    return Picture(planes, layout, SPACES["bt709"].resolved(None))


def around_the_middle(size_px: int, side: float) -> Affine:
    """A turned crop of so many pixels around so much of the 200 x 120 picture."""
    corners = np.array([(0, 0), (side, 0), (side, side), (0, side)]) - side / 2
    turned = corners @ np.array([[0.96, -0.28], [0.28, 0.96]]).T + (100, 60)
    return umeyama(turned, np.array([(0, 0), (size_px, 0), (size_px, size_px), (0, size_px)], dtype=np.float64))


@pytest.mark.parametrize("location", ["left", "center", "topleft"])
@pytest.mark.parametrize("pointwise", [False, True])
def test_strips_have_the_bits_of_the_whole(
    location: Literal["left", "center", "topleft"], pointwise: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = yuv_picture(location)
    view, matrix = View(picture.tags, 0, CPU), around_the_middle(32, 70.0)
    whole, parts = picture.copy(), picture.copy()
    crop = cut_crop(picture, view, matrix, 32)
    paste(whole, view, matrix, a_patch(), alpha)
    monkeypatch.setattr(crops, "_STRIP_PX", 700)
    paste(parts, view, matrix, a_patch(), alpha, pointwise=pointwise)
    assert torch.equal(cut_crop(picture, view, matrix, 32), crop)
    assert not np.array_equal(whole.planes[0], picture.planes[0])
    assert all(np.array_equal(a, b) for a, b in zip(whole.planes, parts.planes, strict=True))


def test_a_crop_after_looks_has_the_bits_of_one_without() -> None:
    picture = yuv_picture()
    view = View(picture.tags, 0, CPU)
    cutter = PlateCutter([Frame(1, picture)], view)
    for side in (60.0, 64.0, 90.0):
        (look,) = cutter([0], [around_the_middle(64, side)], 64)
        assert torch.equal(look, cut_crop(picture, view, around_the_middle(64, side), 64))
        assert torch.equal(cutter.cut(0, around_the_middle(48, side), 48), look_alone(picture, side))


def look_alone(picture: Picture, side: float) -> Tensor:
    return cut_crop(picture, View(picture.tags, 0, CPU), around_the_middle(48, side), 48)


@pytest.mark.parametrize("middle", [0.0, -55.0])
def test_a_coarse_look_shows_what_a_crop_shows(middle: float) -> None:
    image = upright_image(240, 360)
    layout = PixelLayout("yuv420p", "ycbcr", 8, chroma_log2=(1, 1))
    tags = SPACES["bt709"].resolved(None)
    planes = [
        (40 + 150 * image[0]).astype(np.uint8),
        *((120 + 16 * image[k, ::2, ::2]).astype(np.uint8) for k in (0, 1)),
    ]
    picture, view = Picture(planes, layout, tags), View(tags, 0, CPU)
    matrix = np.array([[0.3, 0.05, middle], [-0.05, 0.3, 5.0]])
    (look,) = PlateCutter([Frame(1, picture)], view)([0], [matrix], 48)
    torch.testing.assert_close(look, cut_crop(picture, view, matrix, 48), atol=0.015, rtol=0)
