"""Sharpness, grain and seams, by closed forms and by degrading pictures."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vfxswap.score.region import blurred, region_of
from vfxswap.score.texture import QUANTISATION, grain, seam_step, sharpness

Textured = Callable[[int], Tensor]


def _waves(cycles_per_px: float, height: float) -> Tensor:
    wave = height * torch.sin(2 * math.pi * cycles_per_px * torch.arange(128))
    return (0.5 + wave).expand(3, 96, 128)


def _noise(deviation: float, seed: int = 3) -> Tensor:
    return deviation * torch.randn(96, 128, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("cycles", [0.15, 0.18, 0.22])
def test_waves_in_the_band_have_their_deviation(cycles: float, disc: Tensor) -> None:
    assert sharpness(_waves(cycles, 0.1), disc) == pytest.approx(0.1 / math.sqrt(2), rel=0.06)


@pytest.mark.parametrize("cycles", [0.02, 0.4])
def test_waves_outside_the_band_have_next_to_none(cycles: float, disc: Tensor) -> None:
    assert sharpness(_waves(cycles, 0.1), disc) < 0.005


def test_blur_lowers_sharpness(textured: Textured, disc: Tensor) -> None:
    found = [sharpness(blurred(textured(1), sigma), disc) for sigma in (0.5, 1.0, 2.0)]
    assert sharpness(textured(1), disc) > found[0] > found[1] > found[2]


def test_what_is_outside_the_matte_does_not_make_it_sharp(disc: Tensor) -> None:
    flat = torch.full((3, 96, 128), 0.5)
    busy = flat + (disc == 0) * _noise(0.3)
    assert sharpness(busy, disc) == pytest.approx(sharpness(flat, disc), rel=0.02)


@pytest.mark.parametrize("deviation", [0.01, 0.03])
def test_grain_has_its_deviation(deviation: float, disc: Tensor) -> None:
    assert grain(0.5 + _noise(deviation).expand(3, -1, -1), disc) == pytest.approx(deviation, rel=0.05)


def test_edges_are_no_grain(disc: Tensor) -> None:
    steps = ((torch.arange(128) // 16) % 2).float().expand(3, 96, 128)
    assert grain(steps, disc) == pytest.approx(QUANTISATION)


def test_flat_pictures_have_the_grain_of_rounding(disc: Tensor) -> None:
    assert grain(torch.full((3, 96, 128), 0.5), disc) == QUANTISATION


def test_a_sharp_step_along_the_border_has_its_height() -> None:
    matte = torch.zeros(200, 200)
    matte[:, 100:] = 1
    region = region_of(matte)
    assert region is not None
    plate = torch.full((3, 200, 200), 0.4)
    stepped = plate + 0.05 * matte
    found = seam_step(region.cut(stepped), region.cut(plate), region.across, sigma_px=region.border_px)
    assert found == pytest.approx(0.05, rel=0.03)


def _seam(result: Tensor, truth: Tensor, disc: Tensor) -> float:
    region = region_of(disc)
    assert region is not None
    return seam_step(region.cut(result), region.cut(truth), region.across, sigma_px=region.border_px)


def test_a_harder_edge_is_more_of_a_seam(textured: Textured, disc: Tensor) -> None:
    truth = textured(1)
    found = [_seam(truth + 0.1 * blurred(disc[None], width), truth, disc) for width in (8.0, 4.0, 1.0)]
    assert found == sorted(found)
    assert found[2] > 2 * found[0]


def test_an_error_that_does_not_change_at_the_border_is_no_seam(textured: Textured, disc: Tensor) -> None:
    truth = textured(1)
    assert _seam(truth + 0.1, truth, disc) == pytest.approx(0, abs=1e-6)
    assert _seam(truth, truth, disc) == 0


def test_an_edge_that_the_truth_has_too_is_no_seam(textured: Textured, disc: Tensor) -> None:
    edged = textured(1) * (1 - 0.5 * (disc > 0.5))
    assert _seam(edged, edged, disc) == 0


def test_fine_detail_on_the_border_weighs_little(textured: Textured, disc: Tensor) -> None:
    truth = textured(1)
    assert _seam(truth + _noise(0.05), truth, disc) < 0.4 * _seam(truth + 0.05 * (disc > 0.5), truth, disc)
