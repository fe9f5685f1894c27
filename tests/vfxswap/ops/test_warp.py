"""Cutting crops and putting them back: sub-pixel exact, alias-free, the same from any box."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.geometry import Affine, Box, inverted, mapped
from vfxswap.ops.warp import Mode, cut, cut_box, matte_box, uncut, uncut_face

WIDTH, HEIGHT = 320, 240


def similarity(scale: float, degrees: float, center: tuple[float, float], size_px: int) -> Affine:
    """Plate to crop: the plate's point `center` lands in the crop's middle."""
    turn = math.radians(degrees)
    linear = scale * np.array([(math.cos(turn), -math.sin(turn)), (math.sin(turn), math.cos(turn))])
    return np.column_stack([linear, size_px / 2 - linear @ np.array(center)])


def ramp(width: int, height: int, slopes: tuple[float, float] = (0.5, 0.25)) -> Tensor:
    """`(2, H, W)`: two linear ramps, of x and y at the pixel centres, spanning about 0..1."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x * slopes[0] + y * slopes[1], y * slopes[0] - x * slopes[1]]) / 320


def ramp_at(x: Tensor, y: Tensor) -> Tensor:
    return torch.stack([x * 0.5 + y * 0.25, y * 0.5 - x * 0.25]) / 320


def texture(width: int, height: int, seed: int = 0) -> Tensor:
    noise = np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)
    return torch.from_numpy(cv2.GaussianBlur(noise, (0, 0), 1.2).transpose(2, 0, 1).copy())


SIMILARITIES = [(1.0, 0.0), (1.3, 17.0), (0.8, -33.0), (0.45, 10.0), (0.3, 80.0), (0.21, 178.0), (2.7, 45.0)]


@pytest.mark.parametrize(("scale", "degrees"), SIMILARITIES)
def test_a_ramp_survives_a_cut(scale: float, degrees: float) -> None:
    size = 64 if scale > 0.25 else 40
    matrix = similarity(scale, degrees, (161.3, 118.8), size)
    box = cut_box(matrix, size, WIDTH, HEIGHT)
    plate = ramp(WIDTH, HEIGHT)
    crop = cut(plate[:, box.y0 : box.y1, box.x0 : box.x1], origin=(box.x0, box.y0), plate_to_crop=matrix, size_px=size)
    y, x = np.mgrid[0:size, 0:size] + 0.5
    at = mapped(inverted(matrix), np.column_stack([x.ravel(), y.ravel()]))
    expected = ramp_at(*(torch.from_numpy(at[:, axis].reshape(size, size)).float() for axis in (0, 1)))
    inside = torch.from_numpy(
        ((at[:, 0] > 3) & (at[:, 0] < WIDTH - 3) & (at[:, 1] > 3) & (at[:, 1] < HEIGHT - 3)).reshape(size, size)
    )
    assert inside.float().mean() > 0.8
    assert float((crop - expected)[:, inside].abs().max()) < 1e-4


@pytest.mark.parametrize(("scale", "degrees"), [(1.0, 0.0), (1.3, 17.0), (0.8, -33.0), (3.1, 60.0), (0.4, 25.0)])
def test_a_round_trip_does_not_shift(scale: float, degrees: float) -> None:
    size = 128
    matrix = similarity(scale, degrees, (157.2, 121.6), size)
    plate = ramp(WIDTH, HEIGHT)
    crop = cut(plate, origin=(0, 0), plate_to_crop=matrix, size_px=size)
    whole = torch.ones(1, size, size)
    whole[:, :4], whole[:, -4:], whole[:, :, :4], whole[:, :, -4:] = 0, 0, 0, 0
    box = matte_box(whole, matrix, WIDTH, HEIGHT)
    back, matte = uncut_face(crop, whole, matrix, box)
    core = matte[0] == 1
    x, y = np.arange(box.x0, box.x1), np.arange(box.y0, box.y1)
    core &= torch.from_numpy(((x > 8) & (x < WIDTH - 8))[None] & ((y > 8) & (y < HEIGHT - 8))[:, None])
    assert int(core.sum()) > 300
    difference = (back - plate[:, box.y0 : box.y1, box.x0 : box.x1])[:, core]
    assert float(difference.abs().max()) < 1e-4


@pytest.mark.parametrize("degrees", [0.0, 17.0, -120.0])
def test_agrees_with_opencv(degrees: float) -> None:
    size = 96
    matrix = similarity(1.3, degrees, (160.4, 120.7), size)
    plate = texture(WIDTH, HEIGHT)
    crop = cut(plate, origin=(0, 0), plate_to_crop=matrix, size_px=size)
    # OpenCV counts from the pixel's centre: the same map between centres at 0.
    half = np.array([0.5, 0.5])
    centred = matrix.copy()
    centred[:, 2] += matrix[:, :2] @ half - half
    reference = cv2.warpAffine(
        plate.permute(1, 2, 0).numpy(), centred, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    assert float((crop - torch.from_numpy(reference).permute(2, 0, 1)).abs().max()) < 2e-3


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("scale", [1.2, 0.4, 0.28])
@pytest.mark.parametrize("center", [(160.0, 120.0), (3.0, 2.0), (318.0, 239.0), (-200.0, 50.0), (900.0, 900.0)])
def test_a_box_gives_what_the_whole_plate_gives(mode: Mode, scale: float, center: tuple[float, float]) -> None:
    size = 48
    matrix = similarity(scale, 20.0, center, size)
    plate = texture(WIDTH, HEIGHT)
    box = cut_box(matrix, size, WIDTH, HEIGHT)
    assert not box.empty
    assert box == box.clipped(WIDTH, HEIGHT)
    part = plate[:, box.y0 : box.y1, box.x0 : box.x1]
    crop = cut(part, origin=(box.x0, box.y0), plate_to_crop=matrix, size_px=size, mode=mode)
    whole = cut(plate, origin=(0, 0), plate_to_crop=matrix, size_px=size, mode=mode)
    assert float((crop - whole).abs().max()) < 2e-4


def test_past_the_edge_the_last_pixel_repeats() -> None:
    matrix = similarity(1.0, 0.0, (-100.0, 120.0), 40)
    plate = texture(WIDTH, HEIGHT)
    crop = cut(plate, origin=(0, 0), plate_to_crop=matrix, size_px=40)
    torch.testing.assert_close(crop, plate[:, 100:140, :1].expand(3, 40, 40), atol=1e-5, rtol=0)


@pytest.mark.parametrize("reduce_plate", [True, False])
def test_a_strong_reduction_does_not_alias(reduce_plate: bool) -> None:
    """A checkerboard of single pixels is its mean when made four times smaller, in either direction."""
    board = ((torch.arange(256)[:, None] + torch.arange(256)) % 2).float()[None]
    if reduce_plate:
        small = cut(board, origin=(0, 0), plate_to_crop=similarity(0.25, 0, (128.3, 128.3), 48), size_px=48)
    else:
        small = uncut(board, similarity(4.0, 0, (40.0, 40.0), 256), Box(15, 15, 65, 65))
    assert float((small - 0.5).abs().max()) < 0.02


@pytest.mark.parametrize(("scale", "degrees"), [(1.0, 0.0), (0.7, 30.0), (2.9, 12.0), (5.2, -70.0)])
def test_matte_box_holds_the_whole_support(scale: float, degrees: float) -> None:
    size = 90
    matrix = similarity(scale, degrees, (150.0, 100.0), size)
    matte = torch.zeros(1, size, size)
    matte[0, 21:57, 33:82] = 0.01
    box = matte_box(matte, matrix, WIDTH, HEIGHT)
    everywhere = uncut(matte, matrix, Box(0, 0, WIDTH, HEIGHT), padding="zeros")[0]
    inside = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    inside[box.y0 : box.y1, box.x0 : box.x1] = True
    assert bool((everywhere > 0).any())
    assert not bool((everywhere > 0)[~inside].any())
    assert box.width * box.height < 6 * int((everywhere > 0).sum()) + 400


def test_an_empty_matte_has_an_empty_box() -> None:
    matrix = similarity(1.0, 0.0, (100.0, 100.0), 32)
    assert matte_box(torch.zeros(1, 32, 32), matrix, WIDTH, HEIGHT).empty
    away = similarity(1.0, 0.0, (-500.0, 100.0), 32)
    assert matte_box(torch.ones(1, 32, 32), away, WIDTH, HEIGHT).empty


def test_outside_the_crop_mattes_are_zero_and_pictures_repeat() -> None:
    matrix = similarity(1.0, 0.0, (50.0, 50.0), 20)
    crop, matte = torch.full((3, 20, 20), 7.5), torch.ones(1, 20, 20)
    patch, soft = uncut_face(crop, matte, matrix, Box(30, 30, 70, 70))
    assert bool((patch == 7.5).all())
    assert float(soft.sum()) == pytest.approx(400.0)
    assert float(uncut(crop, matrix, Box(0, 0, 30, 30), padding="zeros").abs().max()) == 0
    assert torch.equal(uncut(crop, matrix, Box(30, 30, 70, 70)), patch)
    assert torch.equal(uncut(matte, matrix, Box(30, 30, 70, 70), padding="zeros"), soft)


def test_inputs_are_not_written_to_and_runs_repeat() -> None:
    matrix = similarity(0.3, 9.0, (150.0, 100.0), 40)
    plate = texture(WIDTH, HEIGHT)
    kept = plate.clone()
    first = cut(plate, origin=(0, 0), plate_to_crop=matrix, size_px=40)
    again = cut(plate, origin=(0, 0), plate_to_crop=matrix, size_px=40)
    assert torch.equal(first, again)
    assert torch.equal(plate, kept)


def test_nothing_to_sample_is_refused() -> None:
    matrix = similarity(1.0, 0.0, (50.0, 50.0), 20)
    with pytest.raises(ShapeError, match="with pixels"):
        cut(torch.zeros(3, 0, 5), origin=(0, 0), plate_to_crop=matrix, size_px=20)
    with pytest.raises(ShapeError, match="with pixels"):
        cut(torch.zeros(3, 2, 2), origin=(1, 1), plate_to_crop=similarity(0.2, 0, (50, 50), 20), size_px=20)
    with pytest.raises(ShapeError, match="not empty"):
        uncut(torch.zeros(3, 5, 5), matrix, Box(3, 3, 3, 9))
    with pytest.raises(ShapeError, match="with pixels"):
        matte_box(torch.zeros(5, 5), matrix, 10, 10)
