"""Crops and pasting: upright whatever the plate's rotation, and no harm outside the matte."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from vfxswap.color import SPACES, ColorTags, Matrix, PixelLayout, Range
from vfxswap.crops import PlateCutter, View, cut_crop, lies_outside, paste, small_picture
from vfxswap.frame import Frame, Picture
from vfxswap.geometry import Affine, umeyama

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
