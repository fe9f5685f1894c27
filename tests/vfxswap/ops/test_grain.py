"""Grain on noise of known strength and spectrum, and on textures that are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.ops.grain import changing, measured, missing, regrained
from vfxswap.ops.relight import luma

SIZE = 160
EVERYWHERE = torch.ones(SIZE, SIZE)


def noise(seed: int, *, soft: bool = False) -> Tensor:
    """`(3, SIZE, SIZE)` of unit deviation in each channel; mostly common to them."""
    generator = torch.Generator().manual_seed(seed)
    common, own = torch.randn(1, SIZE, SIZE, generator=generator), torch.randn(3, SIZE, SIZE, generator=generator)
    found = 0.8 * common + 0.6 * own
    if soft:
        found = F.avg_pool2d(F.pad(found[None], (0, 1, 0, 1), mode="replicate"), 2, 1)[0] * 2
    return found


def scene(shift: int = 0) -> Tensor:
    """`(3, SIZE, SIZE)`: a ramp from dark to light with a fine texture that is shifted with it."""
    ramp = torch.linspace(0.2, 0.8, SIZE).expand(3, SIZE, SIZE)
    generator = torch.Generator().manual_seed(99)
    texture = torch.randn(1, SIZE, SIZE + 40, generator=generator)
    texture = F.avg_pool2d(texture[None], 3, 1, padding=1)[0][..., 20 + shift : 20 + shift + SIZE]
    return ramp + 0.02 * texture


def matte() -> Tensor:
    """`(1, 1, SIZE, SIZE)`: a disc with a soft edge."""
    place = torch.arange(SIZE) + 0.5 - SIZE / 2
    return ((60 - torch.hypot(place[:, None], place[None])) / 12).clamp(0, 1)[None, None]


def deviation(picture: Tensor) -> float:
    """Of luma's fine detail in the disc."""
    bright = luma(picture)[0]
    fine = bright - F.avg_pool2d(bright[None, None], 5, 1, padding=2)[0, 0]
    return float(fine[matte()[0, 0] == 1].std())


@pytest.mark.parametrize("side", [8, 16])
@pytest.mark.parametrize("strength", [0.01, 0.04])
def test_noise_is_measured(side: int, strength: float) -> None:
    picture = 0.5 + strength * noise(1)
    found = measured(picture, EVERYWHERE, levels=np.array([0.5]), side_px=side)
    assert found is not None
    true = math.sqrt(float((luma(picture) - 0.5).square().mean()))
    assert math.sqrt(found.power[0].mean()) == pytest.approx(true, rel=0.08)


def test_strength_follows_brightness() -> None:
    ramp = torch.linspace(0.1, 0.9, SIZE).expand(3, SIZE, SIZE)
    picture = ramp + 0.05 * ramp * noise(2)
    found = measured(picture, EVERYWHERE, levels=np.array([0.2, 0.8]), side_px=16)
    assert found is not None
    dark, light = np.sqrt(found.power[0].mean(axis=(1, 2)))
    assert light / dark == pytest.approx(4, rel=0.35)


def test_texture_that_moves_with_the_picture_does_not_change() -> None:
    levels = np.array([0.5])
    still = changing(scene(), [scene(3)], levels=levels, side_px=16)
    grainy = changing(scene() + 0.02 * noise(1), [scene(3) + 0.02 * noise(2)], levels=levels, side_px=16)
    assert still is not None
    assert grainy is not None
    assert math.sqrt(still.power[0].mean()) < 0.1 / 255
    assert math.sqrt(grainy.power[0].mean()) == pytest.approx(float((0.02 * luma(noise(1))).std()), rel=0.2)


@pytest.mark.parametrize("soft", [False, True])
def test_a_clean_face_gets_the_plates_grain(soft: bool) -> None:
    plates = [scene(n) + 0.03 * noise(n, soft=soft) for n in (0, 1)]
    clean = torch.linspace(0.2, 0.8, SIZE).expand(3, SIZE, SIZE)
    pasted = torch.lerp(plates[0], clean, matte()[0])
    result = regrained(pasted[None], plates[0][None], matte(), others=plates[1:], amount=1.0, seed=5)
    assert deviation(pasted) < 0.15 * deviation(plates[0])
    assert deviation(result[0]) == pytest.approx(deviation(plates[0]), rel=0.15)
    outside = (matte() == 0).expand_as(result)
    assert torch.equal(result[outside], pasted[None][outside])


def test_grain_that_is_there_is_not_added_again() -> None:
    plates = [scene(n) + 0.03 * noise(n) for n in (0, 1)]
    own = scene() + 0.03 * noise(7)
    pasted = torch.lerp(plates[0], own, matte()[0])
    result = regrained(pasted[None], plates[0][None], matte(), others=plates[1:], amount=1.0, seed=5)
    assert deviation(result[0]) == pytest.approx(deviation(pasted), rel=0.06)


def test_a_clean_plate_changes_nothing() -> None:
    soft = torch.linspace(0.2, 0.8, SIZE).expand(1, 3, SIZE, SIZE)
    result = regrained(soft, scene()[None], matte(), others=[scene(2)], amount=1.0, seed=5)
    assert torch.equal(result, soft)


def test_each_seed_has_noise_of_its_own() -> None:
    plate = (scene() + 0.03 * noise(0))[None]
    clean = torch.full_like(plate, 0.5)
    one, same, other = (regrained(clean, plate, matte(), amount=1.0, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    inside = (matte() == 1).expand_as(one)
    pair = torch.stack([(one - clean)[inside], (other - clean)[inside]])
    assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.1


def test_noise_goes_with_the_square_of_what_is_covered() -> None:
    plate = (0.5 + 0.03 * noise(0))[None]
    half = torch.full((1, 1, SIZE, SIZE), 0.6)
    clean = torch.full_like(plate, 0.5)
    pasted = torch.lerp(plate, clean, half)
    result = regrained(pasted, plate, half, amount=1.0, seed=3)
    assert deviation(result[0]) == pytest.approx(deviation(plate[0]), rel=0.15)


def test_nothing_is_missing_where_there_is_more() -> None:
    levels = np.array([0.5])
    weak, strong = (measured(0.5 + s * noise(1), EVERYWHERE, levels=levels, side_px=16) for s in (0.01, 0.03))
    assert weak is not None
    assert strong is not None
    assert not missing(weak, strong, None).power.any()
    assert missing(strong, weak, None).power.any()
    assert missing(strong, weak, weak).power.mean() < missing(strong, weak, None).power.mean()


def test_small_and_broken_pictures_stay() -> None:
    small = torch.rand(1, 3, 7, 9)
    assert torch.equal(regrained(small, small * 0.5, torch.ones(1, 1, 7, 9), amount=1.0, seed=1), small)
    plate = torch.full((1, 3, 64, 64), torch.nan)
    result = torch.rand(1, 3, 64, 64)
    assert torch.equal(regrained(result, plate, torch.ones(1, 1, 64, 64), amount=1.0, seed=1), result)


def test_sizes_must_agree() -> None:
    with pytest.raises(ShapeError, match="result, plate and matte of grain"):
        regrained(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9), torch.zeros(1, 1, 8, 8), amount=1.0, seed=0)
