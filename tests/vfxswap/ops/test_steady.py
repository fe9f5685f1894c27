"""Steadying as a pure function: what is looked at, at which size, and what is refused."""

from __future__ import annotations

from typing import Any

import cv2
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.ops.neighbours import WORK_SIDE_PX
from vfxswap.ops.steady import SteadySettings, steadied


def pictures(seed: int, count: int, size: int) -> Tensor:
    """`(count, 3, size, size)` one texture, each time in a colour of its own."""
    generator = torch.Generator().manual_seed(seed)
    texture = F.interpolate(torch.rand(1, 3, 24, 24, generator=generator), size=(size, size), mode="bicubic")
    return texture + 0.03 * torch.randn(count, 3, 1, 1, generator=generator)


def test_a_neighbour_without_matte_is_not_looked_at() -> None:
    swapped, plate = pictures(1, 3, 96), pictures(2, 1, 96).repeat(3, 1, 1, 1)
    mattes = torch.ones(3, 1, 96, 96)
    settings = SteadySettings()
    shown = steadied(swapped, plate, mattes, center=1, times=(1, 2, 3), settings=settings)
    assert not torch.allclose(shown, swapped[1], atol=1e-3)
    mattes[[0, 2]] = 0
    hidden = steadied(swapped, plate, mattes, center=1, times=(1, 2, 3), settings=settings)
    assert torch.allclose(hidden, swapped[1], atol=1e-6)


def test_large_crops_are_looked_at_small(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, ...]] = []
    blur = cv2.blur

    def noted(image: NDArray[Any], size: tuple[int, int]) -> object:
        sizes.append(image.shape)
        return blur(image, size)

    monkeypatch.setattr(cv2, "blur", noted)
    crops = pictures(1, 2, 512)
    steadied(crops, crops, torch.ones(2, 1, 512, 512), center=0, times=(1, 2), settings=SteadySettings())
    assert set(sizes) == {(WORK_SIDE_PX, WORK_SIDE_PX)}


def test_colours_go_to_the_mean_of_the_window() -> None:
    swapped, plate = pictures(1, 5, 96), pictures(2, 1, 96).repeat(5, 1, 1, 1)
    result = steadied(
        swapped,
        plate,
        torch.ones(5, 1, 96, 96),
        center=2,
        times=(1, 2, 3, 4, 5),
        settings=SteadySettings(spread_frames=1e6, tolerance=1.0),
    )
    assert torch.allclose(result.mean(dim=(1, 2)), swapped.mean(dim=(0, 2, 3)), atol=2e-3)


def test_strength_scales_what_is_taken_out() -> None:
    swapped, plate = pictures(1, 3, 96), pictures(2, 1, 96).repeat(3, 1, 1, 1)
    half, full = (
        steadied(
            swapped,
            plate,
            torch.ones(3, 1, 96, 96),
            center=1,
            times=(1, 2, 3),
            settings=SteadySettings(strength=strength, jitter=0.0),
        )
        - swapped[1]
        for strength in (0.5, 1.0)
    )
    assert full.abs().mean() > 5e-3
    assert torch.allclose(2 * half, full, atol=1e-5)


def test_wrong_shapes_are_refused() -> None:
    crops = torch.zeros(2, 3, 64, 64)
    with pytest.raises(ShapeError, match="window"):
        steadied(crops, crops, torch.zeros(2, 3, 64, 64), center=0, times=(1, 2), settings=SteadySettings())
