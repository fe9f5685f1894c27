"""Likeness to the truth, by closed forms and by degrading pictures."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.score.fidelity import (
    CEILING_DB,
    color_map,
    decibels,
    gradient_deviation,
    squared_error,
    structure_map,
    tone_error,
)
from vfxswap.score.region import blurred, mean

Textured = Callable[[int], Tensor]
Score = Callable[[Tensor, Tensor, Tensor], float]


def structure(result: Tensor, truth: Tensor, weight: Tensor) -> float:
    return mean(structure_map(result, truth), weight)


def color_error(result: Tensor, truth: Tensor, weight: Tensor) -> float:
    return mean(color_map(result, truth), weight)


def test_an_offset_has_its_known_psnr(textured: Textured, disc: Tensor) -> None:
    truth = textured(1)
    assert decibels(squared_error(truth + 0.1, truth, disc)) == pytest.approx(20, abs=1e-4)
    assert decibels(squared_error(truth + 0.01, truth, disc)) == pytest.approx(40, abs=1e-3)


def test_equal_pictures_have_the_ceiling() -> None:
    assert decibels(0.0) == CEILING_DB


def test_only_what_has_weight_counts(textured: Textured, disc: Tensor) -> None:
    truth = textured(1)
    spoilt = truth + (disc == 0)
    assert squared_error(spoilt, truth, disc) == 0
    assert structure(spoilt, truth, _core()) == pytest.approx(1, abs=1e-12)


def _core() -> Tensor:
    """The middle of the disc, out of reach of what is outside."""
    y, x = torch.meshgrid(torch.arange(96) - 48, torch.arange(128) - 64, indexing="ij")
    return (torch.hypot(x.float(), y.float()) < 20).float()


@pytest.mark.parametrize(("a", "b"), [(0.2, 0.4), (0.5, 0.55), (0.0, 1.0)])
def test_flat_pictures_have_the_luminance_term_of_ssim(a: float, b: float) -> None:
    ones = torch.ones(3, 32, 32)
    expected = (2 * a * b + 0.01**2) / (a * a + b * b + 0.01**2)
    assert structure(a * ones, b * ones, ones[0]) == pytest.approx(expected, abs=1e-6)


def test_ssim_of_a_pixel_is_that_of_its_window(textured: Textured) -> None:
    first, second = textured(1), textured(2)
    spot = torch.zeros(96, 128)
    spot[40, 60] = 1
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    patches = [picture[:, 35:46, 55:66].double().numpy() for picture in (first, second)]
    expected = np.mean([_ssim(x, y, window) for x, y in zip(*patches, strict=True)])
    assert structure(first, second, spot) == pytest.approx(expected, abs=1e-6)


def _ssim(x: NDArray[np.float64], y: NDArray[np.float64], w: NDArray[np.float64]) -> float:
    mx, my = (w * x).sum(), (w * y).sum()
    vx, vy, cov = (w * (x - mx) ** 2).sum(), (w * (y - my) ** 2).sum(), (w * (x - mx) * (y - my)).sum()
    above = (2 * mx * my + 0.01**2) * (2 * cov + 0.03**2)
    return float(above / ((mx**2 + my**2 + 0.01**2) * (vx + vy + 0.03**2)))


def test_ramps_have_the_gradient_deviation_of_the_formula() -> None:
    # Left: equal ramps, similarity 1 everywhere. Right: ramps of slopes a and b. So the deviation of a scale is half of
    # what the similarity lacks; slopes double with each scale.
    a, b, side = 0.002, 0.004, 128
    columns = torch.arange(2 * side).float()
    left = a * columns
    ours, theirs = (torch.where(columns < side, left, slope * columns) for slope in (a, b))
    weight = torch.zeros(side, 2 * side)
    weight[32:96, 32:96] = weight[32:96, 160:224] = 1
    expected = 0.0
    for scale, part in enumerate((0.096, 0.596, 0.289, 0.019)):
        g, h, t = 2 * a * 2**scale, 2 * b * 2**scale, 170 / 255**2
        similarity = (1.5 * g * h + t) / (g * g + h * h - 0.5 * g * h + t)
        expected += part * ((1 - similarity) / 2) ** 2
    found = gradient_deviation(ours.expand(3, side, -1), theirs.expand(3, side, -1), weight)
    assert found == pytest.approx(math.sqrt(expected), rel=1e-3)


@pytest.mark.parametrize("score", [squared_error, gradient_deviation, color_error], ids=lambda f: f.__name__)
def test_equal_pictures_have_no_error(score: Score, textured: Textured, disc: Tensor) -> None:
    assert score(textured(1), textured(1), disc) == pytest.approx(0, abs=1e-9)


def test_equal_pictures_have_the_same_structure(textured: Textured, disc: Tensor) -> None:
    assert structure(textured(1), textured(1), disc) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("score", [squared_error, gradient_deviation, color_error], ids=lambda f: f.__name__)
def test_errors_grow_with_blur(score: Score, textured: Textured, disc: Tensor) -> None:
    truth = textured(1)
    errors = [score(blurred(truth, sigma), truth, disc) for sigma in (0.7, 1.5, 3.0)]
    assert errors == sorted(errors)
    assert errors[0] > 0


def test_structure_falls_with_blur(textured: Textured, disc: Tensor) -> None:
    truth = textured(1)
    found = [structure(blurred(truth, sigma), truth, disc) for sigma in (0.7, 1.5, 3.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] < 1


def test_tone_is_blind_to_detail_and_sees_a_cast(textured: Textured, disc: Tensor) -> None:
    truth = textured(1)
    checked = truth + 0.05 * (2 * (torch.arange(96)[:, None] + torch.arange(128)).remainder(2) - 1)
    warm = truth * torch.tensor([1.05, 1.0, 0.95]).reshape(3, 1, 1)
    tones = [tone_error(picture, truth, disc, size_px=53.0) for picture in (truth, checked, warm)]
    pixels = [color_error(picture, truth, disc) for picture in (checked, warm)]
    assert tones[0] == pytest.approx(0, abs=1e-9)
    assert tones[1] < 0.1 * pixels[0]
    assert tones[2] == pytest.approx(pixels[1], rel=0.1)
