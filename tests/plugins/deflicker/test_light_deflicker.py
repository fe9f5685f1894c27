"""Pumping: slow coming and going of light goes, the plate's own light is followed at once."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from vfxswap.stage import Span
from vfxswap.testing import options_of, setting
from vfxswap_plugins.deflicker.light import LightDeflicker


def pumping(count: int, side: int, *, height: float = 0.06) -> Tensor:
    """Gains of a wave over five frames, which is a quarter ahead on the right; the blue one turns the other way."""
    time = torch.arange(count).reshape(-1, 1, 1, 1)
    aside = torch.linspace(0, math.pi / 2, side)
    return 1 + height * torch.tensor([1.0, 1.0, -0.5]).reshape(3, 1, 1) * torch.sin(2 * math.pi * time / 5 + aside)


def light(pictures: Tensor, clean: Tensor, mattes: Tensor) -> Tensor:
    """`(T, 3, 2)` of the left and the right half: light over that of the clean ones."""
    halves = [slice(None, 64), slice(64, None)]
    sums = [[(p * mattes)[..., half].sum(dim=(2, 3)) for half in halves] for p in (pictures, clean)]
    return torch.stack(sums[0], dim=-1) / torch.stack(sums[1], dim=-1)


def test_pumping_goes_and_detail_stays(steady: Any, lab_face: Any) -> None:
    gains = pumping(9, 128)
    swapped = lab_face.truth * gains
    result = steady(LightDeflicker, swapped, lab_face.plate, lab_face.mattes)
    before, after = (light(each, lab_face.truth, lab_face.mattes).std(dim=0).mean() for each in (swapped, result))
    assert after < 0.45 * before
    assert lab_face.error(result) < 0.5 * lab_face.error(swapped)
    change = result / swapped
    assert change.diff(dim=3).abs().max() < 0.01  # smooth: it cannot soften


def test_what_does_not_pump_is_left_as_it_is(steady: Any, lab_face: Any) -> None:
    result = steady(LightDeflicker, lab_face.truth, lab_face.plate, lab_face.mattes)
    assert lab_face.error(result) < 0.5 / 255


@pytest.mark.parametrize("lit", [lambda t: 1.0 if t < 5 else 0.6, lambda t: 0.8 + 0.2 * math.sin(1.3 * t)])
def test_the_plate_s_light_is_followed_at_once(steady: Any, lab_face: Any, lit: Any) -> None:
    gains = torch.tensor([lit(t) for t in range(9)]).reshape(-1, 1, 1, 1)
    truth = lab_face.truth * gains
    swapped = truth * pumping(9, 128, height=0.03)
    result = steady(LightDeflicker, swapped, lab_face.plate * gains, lab_face.mattes)
    assert (light(result, truth, lab_face.mattes) - 1).abs().max() < 0.025


def test_a_steady_change_against_the_plate_passes(steady: Any, lab_face: Any) -> None:
    drift = (1 + 0.01 * torch.arange(9)).reshape(-1, 1, 1, 1)
    result = steady(LightDeflicker, lab_face.truth * drift, lab_face.plate, lab_face.mattes)
    assert (light(result, lab_face.truth * drift, lab_face.mattes) - 1).abs().max() < 0.01


def test_a_bar_that_passes_is_no_pumping(steady: Any, lab_face: Any, crossed: Any) -> None:
    plate, truth, seen = crossed(lab_face.plate, lab_face.truth)
    result = steady(LightDeflicker, truth, plate, lab_face.mattes * seen)
    assert ((result - truth) * lab_face.mattes).abs().max() < 0.02


def test_a_change_larger_than_the_tolerance_is_kept(steady: Any, lab_face: Any) -> None:
    swapped = lab_face.truth.clone()
    swapped[5:] *= 1.5
    result = steady(LightDeflicker, swapped, lab_face.plate, lab_face.mattes, tolerance_percent=3)
    assert (light(result, swapped, lab_face.mattes) - 1).abs().max() < 0.05


def test_frames_outside_the_window_have_no_influence(steady: Any, lab_face: Any) -> None:
    swapped = lab_face.truth * pumping(9, 128)
    changed = swapped.clone()
    changed[6:] *= 0.5
    first, second = (steady(LightDeflicker, each, lab_face.plate, radius_frames=2) for each in (swapped, changed))
    assert torch.equal(first[:4], second[:4])
    assert not torch.equal(first[4], second[4])


@pytest.mark.parametrize("values", [{"radius_frames": 0}, {"strength": 0.0}])
def test_nothing_is_nothing(steady: Any, lab_face: Any, values: dict[str, object]) -> None:
    swapped = lab_face.truth * pumping(9, 128)
    torch.testing.assert_close(steady(LightDeflicker, swapped, lab_face.plate, **values), swapped, atol=1e-6, rtol=0)


def test_a_face_that_is_hidden_is_left_alone(steady: Any, lab_face: Any) -> None:
    swapped, hidden = lab_face.truth * pumping(9, 128), torch.zeros_like(lab_face.mattes)
    assert torch.equal(steady(LightDeflicker, swapped, lab_face.plate, hidden), swapped)


def test_the_window_is_the_radius_on_both_sides() -> None:
    stage = LightDeflicker(options_of(LightDeflicker, {"radius_frames": 6}), setting())
    assert stage.window == Span(6, 6)


@pytest.mark.parametrize("values", [{"radius_frames": 25}, {"strength": 1.5}, {"tolerance_percent": 0}])
def test_options_are_bounded(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(values))):
        options_of(LightDeflicker, values)
