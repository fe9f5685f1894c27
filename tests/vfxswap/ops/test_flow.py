"""Optical flow on known motion, its inverse, and what it says of hidden places."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.ops.flow import FlowQuality, dense_flow, even_luma, flow_confidence, warp_by_flow


def texture(seed: int = 0, size: int = 160) -> Tensor:
    """`(3, size, size)` detail at several scales."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(1, 3, size, size)
    for cells, share in ((6, 0.5), (16, 0.3), (48, 0.2)):
        coarse = torch.rand(1, 3, cells, cells, generator=generator)
        total += share * F.interpolate(coarse, size=(size, size), mode="bicubic")
    return total[0]


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


@pytest.mark.parametrize("quality", ["ultrafast", "fast", "medium"])
def test_a_shift_is_found(quality: FlowQuality) -> None:
    wide = texture(size=160)
    first, second = wide[:, 16:144, 16:144], wide[:, 13:141, 18:146]
    flow = dense_flow(first, second, quality=quality)
    middle = flow[:, 16:-16, 16:-16].flatten(1).median(dim=1).values
    assert torch.allclose(middle, torch.tensor([-2.0, 3.0]), atol=0.2)


def test_warping_by_the_flow_brings_the_second_picture_to_the_first() -> None:
    first = texture(size=128)
    angle = torch.tensor(0.03)
    turn = torch.stack(
        [torch.stack([angle.cos(), -angle.sin(), angle * 0]), torch.stack([angle.sin(), angle.cos(), angle * 0 + 0.02])]
    )
    grid = F.affine_grid(turn.unsqueeze(0), [1, 3, 128, 128], align_corners=False)
    second = F.grid_sample(first.unsqueeze(0), grid, align_corners=False, padding_mode="border")[0]
    back = warp_by_flow(second, dense_flow(first, second))
    inside = (slice(None), slice(16, -16), slice(16, -16))
    assert (back - first)[inside].abs().mean() < 0.25 * (second - first)[inside].abs().mean()


def test_warp_follows_the_stated_convention() -> None:
    image = torch.zeros(1, 9, 9)
    image[0, 3, 5] = 1
    flow = torch.zeros(2, 9, 9)
    flow[0], flow[1] = 2, -1
    assert warp_by_flow(image, flow)[0, 4, 3] == 1
    assert torch.equal(warp_by_flow(image, torch.zeros(2, 9, 9)), image)


def test_a_change_of_light_is_not_taken_for_motion() -> None:
    first = texture(size=128)
    shade = torch.linspace(0.5, 1.0, 128)
    assert dense_flow(first, first * shade * 0.8 + 0.05)[:, 16:-16, 16:-16].abs().mean() < 0.15


def test_flat_pictures_have_no_motion() -> None:
    noise = 0.004 * torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert dense_flow(torch.full((3, 64, 64), 0.5), torch.full((3, 64, 64), 0.5)).abs().max() == 0
    assert dense_flow(0.5 + noise[0], 0.5 + noise[1]).abs().mean() < 1.5


def test_confidence_is_low_where_something_hides_the_other_picture() -> None:
    wide = texture(size=160)
    first, second = wide[:, 16:144, 16:144], wide[:, 16:144, 20:148].clone()
    second[:, :, 50:80] = texture(5, 128)[:, :, 50:80]
    there, back = dense_flow(first, second), dense_flow(second, first)
    confidence = flow_confidence(there, back)[0]
    assert confidence[20:-20, 20:44].mean() > 0.9
    assert confidence[20:-20, 90:110].mean() > 0.9
    assert confidence[20:-20, 58:80].mean() < 0.6


def test_confidence_is_a_half_at_the_published_threshold() -> None:
    there = torch.zeros(2, 40, 40)
    back = torch.zeros(2, 40, 40)
    back[0] = (0.5 / 0.99) ** 0.5
    assert flow_confidence(there, back).mean().item() == pytest.approx(0.5, abs=1e-4)
    assert flow_confidence(there, there).min() == 1


def test_bits_do_not_depend_on_the_threads(threads: None) -> None:
    found = []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        cv2.setNumThreads(count)
        found.append(dense_flow(texture(1, 200), texture(2, 200)))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_threads_of_opencv_are_left_alone(threads: None) -> None:
    cv2.setNumThreads(2)
    dense_flow(texture(1, 64), texture(2, 64))
    assert cv2.getNumThreads() == 2


def test_even_luma_is_centred_and_spread() -> None:
    codes = even_luma(texture(3, 128) * 0.5 + 0.2)
    assert abs(float(codes.mean()) - 128) < 4
    assert 20 < float(codes.std()) < 60


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="32"):
        dense_flow(torch.zeros(3, 16, 16), torch.zeros(3, 16, 16))
    with pytest.raises(ShapeError, match="optical flow"):
        dense_flow(torch.zeros(3, 64, 64), torch.zeros(3, 64, 60))
    with pytest.raises(ShapeError, match="warp"):
        warp_by_flow(torch.zeros(3, 64, 64), torch.zeros(2, 32, 32))
