"""Where a training starts from: the likest of a base's performers is found, without trying everybody on everything."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vfxswap.nets.comb import Comb
from vfxswap.nets.spec import CombSpec
from vfxswap.training.starting import likest_style
from vfxswap.training.stills import Stills

PEOPLE = 40
SPEC = CombSpec(16, tuple(f"p{k}" for k in range(PEOPLE)), widths=(8, 8), code=8, style=6, shared=True)
NO_STILLS = Stills(torch.zeros(0, 16, 16), torch.zeros(0, 68, 2))


@pytest.fixture(scope="module")
def base() -> Comb:
    """A base whose people look different."""
    torch.manual_seed(1)
    comb = Comb(SPEC)
    with torch.no_grad():
        for name, weight in comb.trunks.named_parameters():
            weight.mul_(20 if ".line" in name and "blocks" in name else 0.1 if "heads" in name else 1)
    return comb.requires_grad_(requires_grad=False)


def faces_of(base: Comb, who: int, codes: Tensor) -> Tensor:
    """Faces that a person's decoder makes."""
    count = len(codes)
    made = base.decode_each(codes, [who] * count).image
    planes = torch.cat([made, torch.ones(count, 1, 16, 16), torch.zeros(count, 1, 16, 16)], 1)
    return (planes.clamp(0, 1) * 255).round().to(torch.uint8)


@pytest.mark.parametrize("who", [0, 7, PEOPLE - 1])
def test_a_performers_own_faces_get_the_performers_style(base: Comb, who: int, monkeypatch: pytest.MonkeyPatch) -> None:
    code = torch.randn(1, 8, generator=torch.Generator().manual_seed(3))
    monkeypatch.setattr(base, "encode", lambda images: code.expand(len(images), 8))
    told: list[float] = []
    found = likest_style(base, faces_of(base, who, code.expand(24, 8)), NO_STILLS, told.append)
    assert torch.equal(found, base.styles[who])
    assert told == sorted(told)
    assert told[-1] == 1.0


@pytest.mark.parametrize("count", [1, 3, 16])
def test_few_faces_are_enough_and_the_answer_is_always_the_same(base: Comb, count: int) -> None:
    faces = faces_of(base, 3, torch.ones(count, 8))
    one, again = (likest_style(base, faces, NO_STILLS, lambda _: None) for _ in range(2))
    assert torch.equal(one, again)


def test_not_everybody_is_tried_on_every_face(base: Comb, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    right = base.trunks[0].forward

    def counted(code: Tensor, *given: object) -> object:
        made.append(len(code))
        return right(code, *given)

    monkeypatch.setattr(base.trunks[0], "forward", counted)
    likest_style(base, faces_of(base, 3, torch.ones(16, 8)), NO_STILLS, lambda _: None)
    assert max(made) <= 16
    assert sum(made) < 0.35 * 16 * (PEOPLE + 1)
