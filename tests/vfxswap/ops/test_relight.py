from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vfxswap.ops.relight import luma, relit, shading

SIZE = 96


@pytest.fixture
def ramp() -> Tensor:
    """Light that grows fourfold from left to right, on grey."""
    return (0.5 * 2 ** torch.linspace(-1, 1, SIZE)).expand(3, SIZE, SIZE).contiguous()


@pytest.fixture
def weight() -> Tensor:
    matte = torch.zeros(1, SIZE, SIZE)
    matte[:, 16:80, 16:80] = 1
    return matte


def skin(red: float, green: float, blue: float) -> Tensor:
    return torch.tensor([red, green, blue])[:, None, None].expand(3, SIZE, SIZE).contiguous()


def test_luma_is_bt709() -> None:
    assert luma(skin(1.0, 1.0, 1.0)).mean().item() == pytest.approx(1.0)
    assert luma(skin(0.0, 1.0, 0.0)).mean().item() == pytest.approx(0.7152)


def test_the_light_is_carried_over_and_the_skin_stays(ramp: Tensor, weight: Tensor) -> None:
    image = skin(0.6, 0.4, 0.3)
    got = relit(image, ramp, weight, sigma_px=6, amount=1.0)
    inner = got[:, 24:72, 24:72]
    wanted = ramp[:, 24:72, 24:72] / ramp[:, 24:72, 24:72].mean()
    torch.testing.assert_close(
        inner / inner.mean(dim=(1, 2), keepdim=True), wanted, rtol=0.08, atol=0.0, check_stride=False
    )
    torch.testing.assert_close(got[0] / got[2], torch.full((SIZE, SIZE), 2.0))


def test_none_leaves_the_picture_alone(ramp: Tensor, weight: Tensor) -> None:
    image = skin(0.6, 0.4, 0.3)
    assert torch.equal(relit(image, ramp, weight, sigma_px=6, amount=0.0), image)


def test_half_is_between(ramp: Tensor, weight: Tensor) -> None:
    image = skin(0.6, 0.4, 0.3)
    none, half, full = (relit(image, ramp, weight, sigma_px=6, amount=amount)[0, 48] for amount in (0.0, 0.5, 1.0))
    torch.testing.assert_close(half, (none * full).sqrt())


def test_skin_tone_and_exposure_of_the_plate_do_not_matter(ramp: Tensor, weight: Tensor) -> None:
    image = skin(0.6, 0.4, 0.3)
    one = relit(image, ramp, weight, sigma_px=6, amount=1.0)
    other = relit(image, ramp * skin(0.5, 0.35, 0.3), weight, sigma_px=6, amount=1.0)
    torch.testing.assert_close(one, other, rtol=0.05, atol=0.0)


def test_what_lies_outside_the_weight_does_not_matter(ramp: Tensor, weight: Tensor) -> None:
    other = torch.where(weight > 0, ramp, 30.0)
    one, two = (shading(plate[None], weight[None], sigma_px=6) for plate in (ramp, other))
    torch.testing.assert_close(one, two)


@pytest.mark.parametrize("level", [-0.5, 0.0, 40.0])
def test_extreme_plates_give_finite_light(level: float, weight: Tensor) -> None:
    plate = torch.full((3, SIZE, SIZE), level)
    plate[:, :, 48:] = 1.0
    got = relit(skin(0.6, 0.4, 0.3), plate, weight, sigma_px=6, amount=1.0)
    assert got.isfinite().all()
    assert got.max() < 0.6 * 3.4


def test_an_empty_weight_gives_finite_light(ramp: Tensor) -> None:
    assert relit(ramp, ramp, torch.zeros(1, SIZE, SIZE), sigma_px=6, amount=1.0).isfinite().all()


def test_the_lights_colour_is_carried_over_only_if_asked_for(ramp: Tensor, weight: Tensor) -> None:
    """Warm light from the right: red grows to the right, blue falls."""
    plate = torch.stack([ramp[0], ramp[0].sqrt() * 0.6, 0.3 / ramp[0]])
    image = skin(0.6, 0.4, 0.3)
    plain = relit(image, plate, weight, sigma_px=6, amount=1.0)
    torch.testing.assert_close(plain[0] / plain[2], torch.full((SIZE, SIZE), 2.0))
    warm = relit(image, plate, weight, sigma_px=6, amount=1.0, color=1.0)
    ratio = (warm[0] / warm[2])[48, 24:72] / (plate[0] / plate[2])[48, 24:72]
    torch.testing.assert_close(ratio / ratio.mean(), torch.ones(48), rtol=0.2, atol=0.0)
