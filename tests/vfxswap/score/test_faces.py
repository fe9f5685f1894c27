"""Landmarks against the true ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vfxswap.frame import Detection
from vfxswap.geometry import Landmarks, Points
from vfxswap.score.faces import landmark_error_percent

FIVE: Points = np.array([(40.0, 40), (80, 40), (60, 60), (45, 80), (75, 80)])


def _face(shift: float = 0.0, track: int | None = None) -> Detection:
    return Detection((30 + shift, 30, 90 + shift, 90), 1.0, FIVE + np.array([shift, 0]), track)


def test_a_shift_has_its_part_of_the_eyes_distance() -> None:
    assert landmark_error_percent([_face(4)], [_face()]) == pytest.approx(10)
    assert landmark_error_percent([_face()], [_face()]) == 0


def test_faces_go_together_by_track_and_else_by_place() -> None:
    true = [_face(0, track=0), _face(200, track=1)]
    assert landmark_error_percent([_face(201), _face(1)], true) == pytest.approx(2.5)
    assert landmark_error_percent([_face(200, track=0), _face(0, track=1)], true) == pytest.approx(500)


def test_all_points_count_where_the_numbering_agrees() -> None:
    points = np.random.default_rng(1).uniform(30, 90, (68, 2))
    true = replace(_face(), landmarks=Landmarks(points, "ibug68"))
    off = points.copy()
    off[0] += (40, 0)
    assert landmark_error_percent([replace(_face(), landmarks=Landmarks(off, "ibug68"))], [true]) == pytest.approx(
        100 / 68
    )


def test_a_numbering_that_does_not_agree_leaves_the_five() -> None:
    true = replace(_face(), landmarks=Landmarks(np.zeros((68, 2)), "ibug68"))
    assert landmark_error_percent([_face(2)], [true]) == pytest.approx(5)


@pytest.mark.parametrize("found", [[], [_face(500)], [Detection((30, 30, 90, 90), 1.0)]])
def test_without_a_face_to_compare_there_is_no_error(found: list[Detection]) -> None:
    assert landmark_error_percent(found, [_face()]) is None
