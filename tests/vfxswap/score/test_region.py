"""Where scores are taken."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.score.region import blurred, gradient, mean, region_of, toned


def test_the_ring_lies_outside_the_matte_and_near_it(disc: Tensor) -> None:
    region = region_of(disc)
    assert region is not None
    assert region.size_px == pytest.approx(float(disc.sum()) ** 0.5)
    assert float((region.ring * region.inside).max()) <= 1 / 512
    y, x = (region.ring > 0).nonzero().T.double() + 0.5
    away = torch.hypot(x + region.box.x0 - 64, y + region.box.y0 - 48)
    assert 31 < float(away.min()) < 33.5
    assert float(away.max()) < 32 + 1.5 * (0.12 * region.size_px + 1)


def test_the_border_is_crossed_outwards_to_inwards(disc: Tensor) -> None:
    region = region_of(disc)
    assert region is not None
    top = region.across[:, 18 - region.box.y0, 64 - region.box.x0]
    assert float(top[1]) > 0.05
    assert abs(float(top[0])) < 0.01
    assert float(region.across[:, 48 - region.box.y0, 64 - region.box.x0].norm()) < 1e-4


def test_a_matte_of_a_few_pixels_is_no_region() -> None:
    matte = torch.zeros(40, 40)
    matte[:7, :9] = 1
    assert region_of(matte) is None


def test_the_box_covers_the_other_matte_too(disc: Tensor) -> None:
    other = torch.roll(disc, 20, dims=1)
    alone, both = region_of(disc), region_of(disc, other)
    assert alone is not None
    assert both is not None
    assert both.box.x1 == min(alone.box.x1 + 20, disc.shape[1])
    assert both.size_px == alone.size_px


def test_mattes_of_two_sizes_are_refused(disc: Tensor) -> None:
    with pytest.raises(ShapeError):
        region_of(disc, disc[1:])


def test_the_mean_is_weighted() -> None:
    values = torch.tensor([[[1.0, 5.0]], [[3.0, 9.0]]])
    assert mean(values, torch.tensor([[3.0, 1.0]])) == pytest.approx((3 * 2 + 7) / 4)


def test_a_ramp_has_its_slope_everywhere_but_at_the_edge() -> None:
    ramp = (2.0 * torch.arange(9)).expand(7, 9)
    slopes = gradient(ramp)
    assert torch.equal(slopes[0, :, 1:-1], torch.full((7, 7), 2.0))
    assert float(slopes[1].abs().max()) == 0


def test_blur_keeps_constants_however_wide() -> None:
    assert torch.allclose(blurred(torch.full((2, 9, 12), 0.4), 50.0), torch.full((2, 9, 12), 0.4), atol=1e-6)


def test_tone_does_not_see_what_has_no_weight(disc: Tensor) -> None:
    face = torch.full((3, *disc.shape), 0.3)
    garish = face * (disc > 0) + 9.0 * (disc == 0)
    tone, share = toned(garish, disc, sigma_px=8)
    assert float(share.max()) == pytest.approx(1, abs=1e-6)
    assert torch.allclose(tone[:, share > 0.01], torch.tensor(0.3), atol=1e-4)
