"""Losses: zero for the truth, larger for worse, heavier where it matters."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from vfxswap.nets.comb import Decoded
from vfxswap.training.augment import Batch
from vfxswap.training.losses import consistency_loss, importance, perceptual_loss, picture_losses, placing_loss
from vfxswap.training.tables import Losses


def batch(paired: int = 0) -> Batch:
    """Two faces with a matte on the left half and an eye in it."""
    torch.manual_seed(3)
    picture = torch.rand(2, 3, 32, 32)
    matte = torch.zeros(2, 1, 32, 32)
    matte[..., :16] = 1
    eyes = torch.zeros_like(matte)
    eyes[..., 8:12, 4:8] = 1
    places = torch.zeros(2, 3, 2)
    return Batch(picture, picture, matte, eyes, (0, 1), paired, places, (1, 0), places)


def losses(image: torch.Tensor, **options: Any) -> dict[str, float]:
    """The parts for a picture that was made."""
    given = batch()
    parts = picture_losses(Decoded(image, given.mattes, given.points), given, Losses(**options))
    return {name: float(value) for name, value in parts.items()}


def test_the_truth_costs_nothing() -> None:
    assert all(value < 1e-6 for value in losses(batch().targets).values())


def test_worse_costs_more_and_parts_can_be_left_out() -> None:
    target = batch().targets
    near, far = losses((target + 0.05).clamp(0, 1)), losses((target + 0.3).clamp(0, 1))
    for name in ("pixel", "detail", "structure"):
        assert 0 < near[name] < far[name]
    assert set(losses(target, pixel=0.0, matte=0.0)) == {"structure", "detail"}


def test_detail_sees_blur_more_than_a_shift_of_tone_does() -> None:
    target = batch().targets
    blurred = torch.nn.functional.avg_pool2d(target, 3, 1, 1)
    shifted = target + (blurred - target).abs().mean()
    assert losses(blurred)["detail"] > losses(shifted)["detail"]


def test_weights_lie_inside_the_matte_and_on_the_eyes() -> None:
    weight = importance(batch(), Losses(outside=0.1, eyes_mouth=2))
    skin, eye, outside = weight[0, 0, 20, 4], weight[0, 0, 9, 5], weight[0, 0, 9, 20]
    assert math.isclose(float(eye / skin), 3, rel_tol=1e-5)
    assert math.isclose(float(outside / skin), 0.1, rel_tol=1e-5)
    assert math.isclose(float(weight.mean()), 1, rel_tol=1e-5)


def test_of_pairs_nothing_outside_counts() -> None:
    weight = importance(batch(paired=1), Losses())
    assert float(weight[1, 0, :, 16:].max()) == 0
    assert float(weight[0, 0, :, 16:].min()) > 0


def test_the_same_code_is_consistent() -> None:
    code = torch.rand(2, 8)
    assert float(consistency_loss(code, code)) == 0
    assert float(consistency_loss(code, code + 1)) == 1


def test_landmarks_that_nobody_knows_cost_nothing() -> None:
    wanted = torch.zeros(2, 3, 2)
    found = wanted + torch.tensor([0.01, 0.03])
    whole = float(placing_loss(found, wanted))
    wanted[1] = torch.nan
    assert math.isclose(float(placing_loss(found, wanted)), whole, rel_tol=1e-5)
    found.requires_grad_()
    torch.autograd.backward(placing_loss(found, torch.full_like(wanted, torch.nan)))
    assert found.grad is not None
    assert float(found.grad.abs().max()) == 0


def test_what_is_seen_alike_is_alike_whatever_its_strength() -> None:
    seen = [torch.rand(2, 4, 8, 8) + 0.1, torch.rand(2, 6, 4, 4) + 0.1]
    assert float(perceptual_loss(seen, [3 * features for features in seen])) < 1e-6
    # Features at right angles are the square root of 2 apart, opposite ones 2.
    one, other = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1), torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1)
    assert float(perceptual_loss([one], [other])) == pytest.approx(2)
    assert float(perceptual_loss([one, one], [-one, one])) == pytest.approx(2)


def test_a_large_error_of_few_landmarks_counts_more_than_small_ones_of_many() -> None:
    """Of the same sum; so that the few faces that blink are not outvoted."""
    wanted = torch.zeros(10, 70, 2)
    many, few = wanted + 0.001, wanted.clone()
    few[0] += 0.01
    assert float(placing_loss(few, wanted)) > 1.5 * float(placing_loss(many, wanted))
    assert float(placing_loss(many, wanted)) < 1.2 * 0.001


def test_landmarks_of_eyes_and_mouth_have_priority() -> None:
    wanted = torch.zeros(2, 70, 2)
    skin, eyes = wanted.clone(), wanted.clone()
    skin[:, :34] += 0.001
    eyes[:, 36:] += 0.001
    assert math.isclose(float(placing_loss(skin, wanted)), float(placing_loss(eyes, wanted)), rel_tol=1e-5)
    ratio = float(placing_loss(eyes, wanted, 2.0)) / float(placing_loss(skin, wanted, 2.0))
    assert math.isclose(ratio, 3, rel_tol=1e-5)
    assert math.isclose(
        float(placing_loss(wanted + 0.001, wanted, 2.0)), float(placing_loss(wanted + 0.001, wanted)), rel_tol=1e-5
    )
