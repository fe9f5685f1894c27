"""Blends: exactly the plate outside, the patch in the core, less of a seam than the plain mix, nothing clipped."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.ops.blend import alpha, auto_levels, poisson, pyramid
from vfxswap.ops.matte import soft_edge

BlendOp = Callable[[Tensor, Tensor, Tensor], Tensor]
ALL: list[BlendOp] = [alpha, pyramid, poisson]


def blurred(picture: Tensor, sigma: float) -> Tensor:
    radius = math.ceil(3 * sigma)
    kernel = torch.exp(-(torch.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    flat = F.pad(picture.flatten(0, 1)[:, None], (radius,) * 4, mode="replicate")
    flat = F.conv2d(F.conv2d(flat, kernel.reshape(1, 1, 1, -1)), kernel.reshape(1, 1, -1, 1))
    return flat.reshape(picture.shape)


def pair(height: int = 120, width: int = 150) -> tuple[Tensor, Tensor]:
    """A patch and a plate: skin-like noise, differently lit."""
    generator = torch.Generator().manual_seed(3)
    y = torch.linspace(0, 1, height).reshape(1, 1, -1, 1)
    x = torch.linspace(0, 1, width).reshape(1, 1, 1, -1)
    tint = torch.tensor([1.0, 0.8, 0.6]).reshape(1, 3, 1, 1)
    noise = [blurred(torch.randn(1, 1, height, width, generator=generator), 1.0) * 0.05 for _ in range(2)]
    patch = (0.65 - 0.2 * y) * tint.flip(1) + noise[0]
    plate = (0.45 + 0.2 * x) * tint + noise[1]
    return patch, plate


def ellipse(height: int = 120, width: int = 150, *, feather_px: float = 6.0) -> Tensor:
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    radius = torch.sqrt(((x - width / 2) / (0.42 * width)) ** 2 + ((y - height / 2) / (0.42 * height)) ** 2)
    return soft_edge((1 - radius) * 0.42 * min(height, width), feather_px)[None, None]


def seam(result: Tensor, matte: Tensor) -> float:
    """Energy of the low-passed picture's gradient in a band of 7 px around the matte's edge."""
    soft = blurred(result, 2.0)
    down, across = soft.diff(dim=2)[..., :-1], soft.diff(dim=3)[:, :, :-1]
    inside = (matte > 0).float()
    band = (F.max_pool2d(inside, 7, 1, 3) - (1 - F.max_pool2d(1 - inside, 7, 1, 3))) > 0
    energy = (down**2 + across**2).mean(dim=1, keepdim=True)
    return float(energy[band[:, :, :-1, :-1]].mean())


@pytest.mark.parametrize("op", ALL)
@pytest.mark.parametrize("feather", [0.0, 12.0])
def test_outside_the_matte_the_plate_keeps_its_bits(op: BlendOp, feather: float) -> None:
    patch, plate = pair()
    matte = ellipse(feather_px=feather)
    outside = (matte == 0).expand_as(plate)
    plate[..., :20] *= 30
    plate[..., 20:40] -= 2
    result = op(patch, plate, matte)
    assert torch.equal(result[outside], plate[outside])
    wild = patch.clone()
    wild[outside] = float("nan")
    assert torch.equal(op(wild, plate, matte), result)


@pytest.mark.parametrize("op", ALL)
def test_nothing_is_clipped(op: BlendOp) -> None:
    """Twice the light, less a pedestal, gives twice the result, less the pedestal."""
    patch, plate = pair()
    matte = ellipse()
    if op is poisson:
        scaled = poisson(patch * 8 - 3, plate * 8 - 3, matte, limit=2.0)
    else:
        scaled = op(patch * 8 - 3, plate * 8 - 3, matte)
    torch.testing.assert_close(scaled, op(patch, plate, matte) * 8 - 3, atol=2e-5, rtol=0)
    assert float(scaled.max()) > 1
    assert float(scaled.min()) < 0


@pytest.mark.parametrize("op", [alpha, pyramid])
def test_the_core_is_the_patch(op: BlendOp) -> None:
    patch, plate = pair()
    result = op(patch, plate, ellipse())
    assert float((result - patch)[..., 50:70, 60:90].abs().max()) < 1e-6


@pytest.mark.parametrize("op", ALL)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 2), (33, 47), (16, 16), (64, 130)])
def test_any_size_without_a_difference_is_the_plate(op: BlendOp, size: tuple[int, int]) -> None:
    plate = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    matte = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(1))
    assert torch.equal(op(plate.clone(), plate, matte), plate)


@pytest.mark.parametrize("op", ALL)
def test_inputs_are_kept_and_runs_repeat(op: BlendOp) -> None:
    patch, plate = pair()
    matte = ellipse()
    copies = [tensor.clone() for tensor in (patch, plate, matte)]
    first = op(patch, plate, matte)
    assert torch.equal(op(patch, plate, matte), first)
    assert all(torch.equal(a, b) for a, b in zip((patch, plate, matte), copies, strict=True))


@pytest.mark.parametrize("op", ALL)
def test_stacked_faces_give_the_same_bits(op: BlendOp) -> None:
    patch, plate = pair()
    matte = ellipse()
    stacked = op(torch.cat([patch.flip(2), patch]), torch.cat([plate, plate]), torch.cat([matte.flip(3), matte]))
    assert torch.equal(stacked[1:], op(patch, plate, matte))


@pytest.mark.parametrize("feather", [0.0, 6.0])
def test_the_seam_is_lower_than_of_the_plain_mix(feather: float) -> None:
    patch, plate = pair()
    matte = ellipse(feather_px=feather)
    plain = seam(alpha(patch, plate, matte), matte)
    assert seam(pyramid(patch, plate, matte), matte) < 0.35 * plain
    assert seam(poisson(patch, plate, matte), matte) < 0.35 * plain
    assert seam(plate, matte) < 0.2 * plain, "the measure sees the seam and not the texture"


def test_pyramid_keeps_detail_up_to_the_edge_and_lets_tone_change_slowly() -> None:
    plate = torch.zeros(1, 3, 160, 160)
    matte = torch.zeros(1, 1, 160, 160)
    matte[..., 20:140, 20:140] = 1
    flat = pyramid(torch.ones_like(plate), plate, matte)[0, 0, 80]
    assert float(flat[20]) < 0.05
    assert bool((flat[20:80].diff() >= -1e-6).all())
    assert float(flat.diff().abs().max()) < 0.15
    assert float(flat[60]) == 1
    checker = ((torch.arange(160)[:, None] + torch.arange(160)) % 2).float().expand(1, 3, -1, -1) - 0.5
    detail = pyramid(checker, plate, matte)[0, 0, 80]
    assert float(detail[22:30].abs().mean()) > 0.4


def test_pyramid_levels_mix_without_a_jump() -> None:
    patch, plate = pair()
    matte = ellipse()
    results = [pyramid(patch, plate, matte, levels=levels) for levels in (0.0, 0.99, 1.0, 1.01)]
    assert torch.equal(results[0], alpha(patch, plate, matte))
    for other in (results[1], results[3]):
        assert float((other - results[2]).abs().max()) < 0.01
    assert float((results[0] - results[2]).abs().max()) > 0.05
    most = auto_levels(120, 150) + 1
    assert torch.equal(pyramid(patch, plate, matte, levels=9.0), pyramid(patch, plate, matte, levels=most))
    assert auto_levels(20, 20) == 0
    assert auto_levels(96, 500) == 1


def dense_solution(delta: Tensor, matte: Tensor, reach: float) -> NDArray[np.float64]:
    """The equation of `poisson`, pixel by pixel, solved directly in float64."""
    d, m = delta[0].numpy().astype(np.float64), matte[0, 0].numpy().astype(np.float64)
    height, width = m.shape
    number = -np.ones(m.shape, np.int64)
    number[m > 0] = np.arange(int((m > 0).sum()))
    system, right = np.zeros((number.max() + 1,) * 2), np.zeros((number.max() + 1, 3))
    screen = m / (reach * min(height, width)) ** 2
    for y, x in np.argwhere(m > 0):
        i = number[y, x]
        system[i, i] += screen[y, x]
        right[i] += screen[y, x] * m[y, x] * d[:, y, x]
        for ny, nx in ((y, x + 1), (y, x - 1), (y + 1, x), (y - 1, x)):
            if 0 <= ny < height and 0 <= nx < width:
                system[i, i] += 1
                right[i] += min(m[y, x], m[ny, nx]) * (d[:, y, x] - d[:, ny, nx])
                if number[ny, nx] >= 0:
                    system[i, number[ny, nx]] -= 1
    result = np.zeros_like(d)
    result[:, m > 0] = np.linalg.solve(system, right).T
    return result


@pytest.mark.parametrize("feather", [0.0, 5.0])
@pytest.mark.parametrize("reach", [1.0, 0.1])
@pytest.mark.parametrize("cropped", [False, True])
def test_poisson_solves_its_equation(feather: float, reach: float, cropped: bool) -> None:
    """Within 1.5 codes of 8 bits at worst, a tenth on average; a matte may reach the plate's edge."""
    patch, plate = pair(45, 52)
    matte = ellipse(45, 52, feather_px=feather)
    if cropped:
        patch, plate, matte = (tensor[..., :30].contiguous() for tensor in (patch, plate, matte))
    result = poisson(patch, plate, matte, limit=1e6, reach=reach)
    expected = plate[0].numpy() + dense_solution((patch - plate) * (matte > 0), matte, reach)
    error = np.abs(result[0].numpy() - expected)
    assert error.max() < 1.5 / 255
    assert error[:, matte[0, 0].numpy() > 0].mean() < 0.1 / 255


def test_poisson_takes_the_plates_tone() -> None:
    patch, plate = pair()
    matte = ellipse()
    result = poisson(plate + 0.1, plate, matte, reach=10.0)
    assert float((result - plate).abs().max()) < 0.006
    half = poisson(plate + 0.1, plate, matte, reach=10.0, strength=0.5)
    assert float((half - plate)[..., 60, 75].mean()) == pytest.approx(0.05, abs=0.004)
    assert torch.equal(poisson(patch, plate, matte, strength=0.0), alpha(patch, plate, matte))


def test_poisson_does_not_run_over_where_the_border_differs_much() -> None:
    """A bright bar behind one side of the face: the core moves by less than the limit, and by far less with a reach."""
    patch, plate = pair()
    matte = ellipse()
    plate[..., :40] += 5.0
    plain = alpha(patch, plate, matte)
    moved = (poisson(patch, plate, matte, limit=0.2) - plain).abs()
    assert float(moved.max()) <= 0.2
    near = (poisson(patch, plate, matte, reach=0.05, limit=10.0) - plain)[..., 60, 100].abs().max()
    far = (poisson(patch, plate, matte, reach=5.0, limit=10.0) - plain)[..., 60, 100].abs().max()
    assert float(near) < 0.1 * float(far)


@pytest.mark.parametrize("op", ALL)
def test_sizes_must_agree(op: BlendOp) -> None:
    plate = torch.zeros(1, 3, 8, 9)
    for patch, matte in ((torch.zeros(1, 3, 9, 9), torch.ones(1, 1, 8, 9)), (plate, torch.ones(1, 1, 8, 8))):
        with pytest.raises(ShapeError, match="of a blend"):
            op(patch, plate, matte)
    empty = torch.zeros(1, 3, 0, 9)
    with pytest.raises(ShapeError, match="of a blend"):
        op(empty, empty, torch.zeros(1, 1, 0, 9))
