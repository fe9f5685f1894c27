"""Flicker, and light that comes late."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from vfxswap.score.region import region_of
from vfxswap.score.temporal import cells, change, compensated, flicker, followed, lag_frames, unrest_ratio

Textured = Callable[[int], Tensor]


def _lights(shift: float, count: int = 24) -> list[Tensor]:
    """Light in nine cells over time, some of it in one of them only, `shift` frames late."""
    times = torch.arange(count, dtype=torch.float64) - shift
    swell = torch.sin(0.7 * times) + 0.5 * torch.sin(1.3 * times + 1)
    return list(0.5 + 0.02 * swell[:, None] * torch.linspace(0.5, 1.5, 9, dtype=torch.float64))


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0, -1.0])
def test_whole_frames_of_lag_are_found(shift: float) -> None:
    assert lag_frames(_lights(shift), _lights(0)) == pytest.approx(shift, abs=0.1)


@pytest.mark.parametrize("shift", [0.25, 0.5, 0.75])
def test_parts_of_a_frame_are_found(shift: float) -> None:
    assert lag_frames(_lights(shift), _lights(0)) == pytest.approx(shift, abs=0.15)


def test_equal_movies_have_no_lag() -> None:
    assert lag_frames(_lights(0), _lights(0)) == pytest.approx(0, abs=0.05)


def test_lag_grows_with_an_average_over_the_past() -> None:
    def late(share: float) -> float:
        series = [_lights(0)[0]]
        for value in _lights(0)[1:]:
            series.append(share * series[-1] + (1 - share) * value)
        found = lag_frames(series, _lights(0))
        assert found is not None
        return found

    found = [late(share) for share in (0.0, 0.3, 0.6)]
    assert found == sorted(found)
    assert found[2] > 0.4


def test_a_frame_without_a_face_is_left_out() -> None:
    lights = _lights(1)
    lights[7] = torch.full((9,), math.nan, dtype=torch.float64)
    assert lag_frames(lights, _lights(0)) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("series", [_lights(0)[:1] * 24, _lights(0)[:8]], ids=["steady", "short"])
def test_without_changes_there_is_no_lag_to_speak_of(series: Sequence[Tensor]) -> None:
    assert lag_frames(series, series) is None


def test_cells_are_mean_lumas_in_the_box(disc: Tensor) -> None:
    region = region_of(disc)
    assert region is not None
    halves = torch.where(torch.arange(128) < 64, 0.2, 0.6).expand(3, 96, 128)
    found = cells(region.cut(halves), region).reshape(3, 3)
    assert found[:, 0].tolist() == pytest.approx([0.2] * 3, abs=1e-6)
    assert found[:, 2].tolist() == pytest.approx([0.6] * 3, abs=1e-6)
    assert float(found[1, 1]) == pytest.approx(0.4, abs=0.01)


def test_what_the_truth_does_too_is_no_flicker(textured: Textured, disc: Tensor) -> None:
    step = change(textured(1), 0.5 * textured(1), disc, size_px=53)
    assert flicker(step, step) == (0, 0)


def test_a_change_of_light_has_its_size(textured: Textured, disc: Tensor) -> None:
    steady = change(textured(1), textured(1), disc, size_px=53)
    lit = change(textured(1) + 0.02, textured(1), disc, size_px=53)
    pixels, tone = flicker(lit, steady)
    assert math.sqrt(pixels) == pytest.approx(0.02, rel=1e-3)
    assert math.sqrt(tone) == pytest.approx(0.02, rel=1e-3)


def test_tone_flicker_is_blind_to_shimmer(textured: Textured, disc: Tensor) -> None:
    noise = 0.05 * torch.randn(3, 96, 128, generator=torch.Generator().manual_seed(1))
    steady = change(textured(1), textured(1), disc, size_px=53)
    pixels, tone = flicker(change(textured(1) + noise, textured(1), disc, size_px=53), steady)
    assert math.sqrt(tone) < 0.15 * math.sqrt(pixels)


def test_motion_of_the_plate_is_followed(textured: Textured, disc: Tensor) -> None:
    before = textured(1)
    now = torch.roll(before, (1, 2), dims=(1, 2))
    flow, weight = followed(now, before, disc)
    moved = compensated(before, flow)
    still = float((((now - before) ** 2).mean(0) * disc).sum())
    assert float((((now - moved) ** 2).mean(0) * weight).sum()) < 0.05 * still
    assert float(weight.sum()) > 0.7 * float(disc.sum())


def test_unrest_is_what_motion_does_not_explain(textured: Textured) -> None:
    first, whole = textured(1), torch.ones(96, 128)
    second = first.roll((0, 2), (1, 2))  # all of it moves to the right
    truth = (second, first)
    assert unrest_ratio(truth, truth, whole) == 1
    assert unrest_ratio((first, first), (first, first), whole) == 1
    lighter = unrest_ratio((second + 0.05, first), truth, whole)
    assert lighter > 2
    assert unrest_ratio((second + 0.1, first), truth, whole) > 1.5 * lighter
