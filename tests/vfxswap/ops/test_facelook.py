"""Looks of drawn people: near for one person, far for two."""

from __future__ import annotations

import numpy as np
import torch

from vfxswap.ops.facelook import Look, look_distance, look_of
from vfxswap.testing import synthetic_plate


def look(number: int, person: int, *, light: float = 1.0, five: bool = True) -> Look:
    plate = synthetic_plate(number, person=person)
    face = plate.detection
    found = look_of((plate.image * light).clamp(0, 1), face.box, face.five if five else None)
    assert found is not None
    return found


def test_one_person_is_nearer_to_itself_a_moment_later_than_to_others() -> None:
    for five in (True, False):
        same = max(look_distance(look(1, 0, five=five), look(n, 0, five=five)) for n in (2, 3, 4))
        others = min(look_distance(look(1, 0, five=five), look(1, n, five=five)) for n in (1, 3))
        assert same < 0.6 * others


def test_light_counts_for_half() -> None:
    one = look(1, 1)
    assert abs(look_distance(one, one + np.float32(0.2)) - 0.1) < 1e-6


def test_what_is_tiny_or_outside_has_no_look() -> None:
    picture = torch.rand(3, 50, 50, generator=torch.Generator().manual_seed(1))
    assert look_of(picture, (0, 0, 5, 5), None) is None
    assert look_of(picture, (45, 0, 75, 30), None) is None
    assert look_of(picture, (5, 5, 40, 40), np.full((5, 2), 20.0)) is not None
