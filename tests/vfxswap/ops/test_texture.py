from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vfxswap.geometry import Box
from vfxswap.ops.texture import Texture, sampled, texture

SIZE = 96


@pytest.fixture
def image() -> Tensor:
    generator = torch.Generator().manual_seed(2)
    rough = torch.rand((1, 3, SIZE, SIZE), generator=generator)
    return functional.avg_pool2d(rough, 3, stride=1, padding=1)[0]


def centres(count: int, step_px: float) -> Tensor:
    along = (torch.arange(count) + 0.5) * step_px
    return torch.stack(torch.meshgrid(along, along, indexing="xy")).reshape(2, -1)


def whole(image: Tensor, finest: float = 1.0) -> Texture:
    return texture(image, Box(0, 0, SIZE, SIZE), finest=finest)


def test_its_own_pixels_come_back(image: Tensor) -> None:
    got = sampled(whole(image), centres(SIZE, 1.0), step_px=1.0).view_as(image)
    torch.testing.assert_close(got, image, rtol=0, atol=1e-5)


@pytest.mark.parametrize("step_px", [1.3, 2.0, 2.9, 4.0])
def test_a_coarse_step_is_a_resize_without_aliasing(image: Tensor, step_px: float) -> None:
    count = int(SIZE / step_px)
    step_px = SIZE / count
    wanted = functional.interpolate(image[None], size=(count, count), mode="bicubic", antialias=True)[0]
    got = sampled(whole(image), centres(count, step_px), step_px=step_px).view_as(wanted)
    assert (got - wanted).square().mean().sqrt() < 0.015


def test_fine_stripes_turn_grey_and_not_to_moire() -> None:
    stripes = (torch.arange(SIZE) % 2).float().expand(3, SIZE, SIZE).contiguous()
    at = centres(31, 3.1)
    aliased = sampled(whole(stripes), at, step_px=1.0)
    assert aliased.std() > 0.2
    assert sampled(whole(stripes), at, step_px=3.1).std() < 0.02


def test_it_changes_continuously_with_the_step(image: Tensor) -> None:
    at = centres(24, 4.0)
    steps = torch.linspace(0, 3.5, 141)
    pictures = [sampled(whole(image), at, step_px=float(2**step)) for step in steps]
    jumps = [(b - a).abs().max().item() for a, b in pairwise(pictures)]
    assert max(jumps) < 0.02
    assert (pictures[-1] - pictures[0]).abs().max() > 0.2


def test_a_part_is_addressed_by_the_pixels_of_the_whole(image: Tensor) -> None:
    part = texture(image, Box(16, 24, 64, 80), finest=1.0)
    at = torch.tensor([(20.5, 40.0), (30.5, 55.25)])
    torch.testing.assert_close(sampled(part, at, step_px=1.0), sampled(whole(image), at, step_px=1.0))


def test_past_the_border_the_last_pixels_repeat(image: Tensor) -> None:
    at = torch.tensor([(-30.0, 200.0), (0.5, 95.5)])
    got = sampled(whole(image), at, step_px=1.0)
    torch.testing.assert_close(got, torch.stack([image[:, 0, 0], image[:, 95, 95]], dim=1))


def test_an_enlarged_still_is_smooth(image: Tensor) -> None:
    at = centres(4 * SIZE, 0.25)
    wanted = functional.interpolate(image[None], scale_factor=4, mode="bicubic", align_corners=False)[0]
    smooth, plain = (sampled(whole(image, finest), at, step_px=0.25).view_as(wanted) for finest in (4.0, 1.0))
    inner = slice(16, -16)
    errors = [(got - wanted)[:, inner, inner].square().mean().sqrt() for got in (smooth, plain)]
    assert errors[0] < 0.7 * errors[1]


LARGE = 1600


@pytest.fixture(scope="module")
def photo() -> Tensor:
    """`(3, LARGE, LARGE)` with detail of every size, as pictures have."""
    generator = torch.Generator().manual_seed(5)
    total = torch.zeros(1, 3, LARGE, LARGE)
    for cells in (5, 20, 80, 320, LARGE):
        part = torch.rand((1, 3, cells, cells), generator=generator)
        total += functional.interpolate(part, size=(LARGE, LARGE), mode="bicubic") / 5
    return total[0]


@pytest.mark.parametrize("finest", [2.0, 1.0, 2**-0.5, 2**-4.5])
def test_small_levels_are_those_of_one_resize(photo: Tensor, finest: float) -> None:
    made = texture(photo, Box(0, 0, LARGE, LARGE), finest=finest)
    assert 16 <= made.levels[-1].shape[-1] < 24
    for level in made.levels:
        straight = functional.interpolate(photo[None], size=level.shape[2:], mode="bicubic", antialias=True)
        assert (level - straight).square().mean().sqrt() < 0.0002
        if LARGE / level.shape[-1] <= 8:
            assert torch.equal(level, straight)


@pytest.mark.parametrize("finest", [2.0, 1.0, 2**-0.5, 2**-4.5])
def test_no_resize_reduces_by_much(photo: Tensor, finest: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA refuses it over some 47 times."""
    resize, reductions = functional.interpolate, []

    def noted(picture: Tensor, size: tuple[int, int], **options: Any) -> Tensor:
        reductions.append(max(old / new for old, new in zip(picture.shape[2:], size, strict=True)))
        return resize(picture, size=size, **options)

    monkeypatch.setattr(functional, "interpolate", noted)
    texture(photo, Box(0, 10, LARGE, LARGE - 7), finest=finest)
    assert len(reductions) > 3
    assert max(reductions) < 8.5
