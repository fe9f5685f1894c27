"""The screened Poisson equation: it is solved, what is known stays, and what is not known goes on from around."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from vfxswap.ops.screened import screened

SIDE = 64


def field(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.interpolate(torch.rand(1, 3, 8, 8, generator=generator), size=[SIDE, SIDE], mode="bicubic")[0]


@pytest.mark.parametrize("reach", [0.5, 1.0, 2.0])
def test_the_equation_holds(reach: float) -> None:
    """Of fields as smooth as those that it is for."""
    value, weight = field(1), field(2)[:1].clamp(0.2, 1)
    found = screened(value, weight, reach_px=reach)
    around = F.pad(found[None], (1, 1, 1, 1), mode="replicate")[0]
    neighbours = (around[:, 2:, 1:-1], around[:, :-2, 1:-1], around[:, 1:-1, 2:], around[:, 1:-1, :-2])
    laplacian = torch.stack(neighbours).sum(dim=0) - 4 * found
    left = weight * found - reach**2 * laplacian - weight * value
    assert left.abs().max() < 0.03


def test_a_constant_stays_whatever_is_known_of_it() -> None:
    weight = field(2)[:1].clamp(0, 1)
    weight[:, :, 20:50] = 0
    found = screened(torch.full((3, SIDE, SIDE), 0.3), weight, reach_px=2.0)
    torch.testing.assert_close(found, torch.full_like(found, 0.3), atol=2e-3, rtol=0)


def test_a_hole_is_filled_from_its_rim() -> None:
    """Not from the whole: one side is dark and one is bright."""
    ramp = torch.linspace(0, 1, SIDE).expand(1, SIDE, SIDE).contiguous()
    weight = torch.ones(1, SIDE, SIDE)
    weight[:, 24:40, 8:20] = 0
    value = ramp * weight + 5 * (1 - weight)
    found = screened(value, weight, reach_px=1.0)
    assert (found - ramp)[:, 24:40, 8:20].abs().max() < 0.05


def test_where_nothing_is_known_nothing_changes() -> None:
    assert screened(field(1), torch.zeros(1, SIDE, SIDE), reach_px=1.0).abs().max() == 0


def test_bits_do_not_depend_on_threads() -> None:
    value, weight = field(1), field(2)[:1].clamp(0, 1)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        first = screened(value, weight, reach_px=1.0)
        torch.set_num_threads(3)
        assert torch.equal(screened(value, weight, reach_px=1.0), first)
    finally:
        torch.set_num_threads(before)
