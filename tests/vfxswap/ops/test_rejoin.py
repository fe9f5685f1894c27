"""Tracks of one person become one, by a recogniser's vectors."""

from __future__ import annotations

import numpy as np
import pytest

from vfxswap.errors import ShapeError
from vfxswap.ops.rejoin import Vector, rejoined


def toward(degrees: float) -> Vector:
    angle = np.radians(degrees)
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def test_alike_tracks_at_different_times_are_one_person() -> None:
    vectors = [toward(0), toward(90), toward(10), toward(85)]
    assert rejoined(vectors, [{1, 2}, {1, 2}, {5}, {5}], least=0.5) == [0, 1, 0, 1]


def test_who_is_seen_together_is_never_one() -> None:
    assert rejoined([toward(0), toward(1), toward(2)], [{1, 2}, {2, 3}, {9}], least=0.5) == [0, 1, 1]


def test_groups_keep_apart_what_any_of_them_was_seen_with() -> None:
    vectors = [toward(0), toward(1), toward(30)]
    assert rejoined(vectors, [{1}, {2}, {2}], least=0.5) == [0, 0, 2]


def test_unlike_and_unknown_tracks_stay_alone() -> None:
    assert rejoined([toward(0), toward(70), None], [{1}, {2}, {3}], least=0.5) == [0, 1, 2]
    assert rejoined([], [], least=0.5) == []


def test_each_track_has_its_frames() -> None:
    with pytest.raises(ShapeError, match="1 sets of frames"):
        rejoined([toward(0)], [], least=0.5)
