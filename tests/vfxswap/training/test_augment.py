"""Variation: seeded, alike for input and target where it must be, and nothing where it is turned off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from vfxswap.training.augment import Batch, dice_for, varied
from vfxswap.training.faces import Draw
from vfxswap.training.tables import Augment

OFF = dict.fromkeys(
    ("warp", "rotation_degrees", "scale", "shift", "flip", "light", "borrow_tone", "surroundings", "degrade"), 0.0
)
CPU = torch.device("cpu")
CORNERS = torch.tensor([(-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.25, 0.75)])


def draw(count: int = 4, paired: int = 0) -> Draw:
    """Smooth pictures with a matte in the middle."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 32), torch.linspace(0, 1, 32), indexing="ij")
    tones = torch.linspace(0.3, 0.8, count)[:, None, None]
    colour = torch.stack([tones * (0.5 + x), tones * (0.5 + y), tones * (1.3 - x)], 1)
    matte = (((x - 0.5) ** 2 + (y - 0.5) ** 2) < 0.1).float().expand(count, 1, 32, 32)
    planes = (torch.cat([colour, matte, matte * 0.5], 1).clamp(0, 1) * 255).round().to(torch.uint8)
    who, corners = tuple(range(count)), CORNERS.expand(count, 4, 2)
    return Draw(planes, planes, who, paired, corners, who, corners + 0.1)


def made(*, bend: bool = True, paired: int = 0, step: int = 1, **options: Any) -> Batch:
    """A batch, with all variation off that is not given."""
    return varied(draw(paired=paired), Augment(**{**OFF, **options}), dice_for(1, step, 0), bend=bend, device=CPU)


def test_nothing_happens_where_all_is_off() -> None:
    batch = made()
    plain = draw().inputs.float() / 255
    assert torch.allclose(batch.inputs, plain[:, :3].clamp_min(1e-4), atol=1e-5)
    assert torch.allclose(batch.targets, batch.inputs)
    assert torch.allclose(batch.mattes, plain[:, 3:4], atol=1e-5)
    assert torch.allclose(batch.features, plain[:, 4:], atol=1e-5)


@pytest.mark.parametrize("options", [{"rotation_degrees": 20.0}, {"scale": 0.3}, {"shift": 0.2}])
def test_landmarks_move_with_the_picture(options: dict[str, float]) -> None:
    there = draw()
    marked = there.targets.clone()
    marked[:, 3] = 0
    for x, y in CORNERS.tolist():
        column, row = round((x + 1) * 16 - 0.5), round((y + 1) * 16 - 0.5)
        marked[:, 3, row - 1 : row + 2, column - 1 : column + 2] = 255
    moved = varied(
        replace(there, targets=marked), Augment(**{**OFF, **options}), dice_for(1, 1, 0), bend=False, device=CPU
    )
    seen = torch.nn.functional.grid_sample(moved.mattes, moved.points[:, :, None], align_corners=False)
    assert float(seen.min()) > 0.5
    assert not torch.allclose(moved.points, there.points, atol=0.02)


def test_surroundings_are_exchanged_and_faces_are_not() -> None:
    batch, plain = made(surroundings=1.0), made()
    face = plain.mattes > 0.5
    assert torch.equal(batch.inputs * face, plain.inputs * face)
    assert torch.equal(batch.targets, plain.targets)
    corner = (..., slice(0, 4), slice(0, 4))
    theirs = [next(k for k in range(4) if torch.allclose(one, plain.inputs[k][corner])) for one in batch.inputs[corner]]
    assert sorted(theirs) == [0, 1, 2, 3]
    assert theirs != [0, 1, 2, 3]


def test_of_mirrored_faces_no_landmarks_are_known() -> None:
    assert bool(made(flip=1.0).points.isnan().all())
    assert torch.allclose(made().points, draw().points)


@pytest.mark.parametrize(
    ("options", "alike"),
    [
        ({"rotation_degrees": 20.0}, True),
        ({"scale": 0.3}, True),
        ({"shift": 0.2}, True),
        ({"flip": 1.0}, True),
        ({"light": 0.5}, True),
        ({"borrow_tone": 1.0}, True),
        ({"warp": 0.2}, False),
        ({"surroundings": 1.0}, False),
        ({"degrade": 1.0}, False),
    ],
)
def test_each_kind_changes_pictures_and_says_whether_targets_follow(options: dict[str, Any], alike: bool) -> None:
    batch, plain = made(**options), made()
    assert not torch.allclose(batch.inputs, plain.inputs, atol=0.01)
    assert torch.allclose(batch.targets, plain.targets) != alike
    assert torch.allclose(batch.inputs, batch.targets, atol=1e-4) == alike
    for picture in (batch.inputs, batch.targets):
        assert 0 <= float(picture.min()) <= float(picture.max()) <= 1


def test_mirroring_is_exact() -> None:
    assert torch.allclose(made(flip=1.0).inputs, made().inputs.flip(3), atol=1e-4)


def test_bending_ends() -> None:
    assert torch.allclose(made(warp=0.2, bend=False).inputs, made().inputs, atol=1e-5)


def test_draws_follow_from_seed_step_and_lane() -> None:
    def numbers(*what: int) -> Tensor:
        return torch.rand(8, generator=dice_for(*what))

    assert torch.equal(numbers(1, 2, 3), numbers(1, 2, 3))
    assert len({tuple(numbers(*what).tolist()) for what in ((1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4))}) == 4
    assert torch.equal(made(warp=0.1, light=0.3).inputs, made(warp=0.1, light=0.3).inputs)
    assert not torch.equal(made(warp=0.1, step=1).inputs, made(warp=0.1, step=2).inputs)


def test_a_borrowed_tone_is_somebody_elses_mean_colour() -> None:
    batch, plain = made(borrow_tone=1.0), made()

    def means(of: Batch) -> Tensor:
        return (of.targets * of.mattes).sum((2, 3)) / of.mattes.sum((2, 3))

    nearest = torch.cdist(means(batch), means(plain)).min(1).values
    assert float(nearest.max()) < 0.05
    assert not torch.allclose(means(batch), means(plain), atol=0.02)


def test_pairs_keep_their_tones() -> None:
    batch, plain = made(borrow_tone=1.0, paired=4), made(paired=4)
    assert torch.allclose(batch.targets, plain.targets, atol=1e-5)
