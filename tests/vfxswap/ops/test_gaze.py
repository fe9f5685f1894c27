"""Gaze of drawn eyes whose irises are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from vfxswap.geometry import Landmarks
from vfxswap.ops.gaze import Gaze, eye_frame, gaze, turned
from vfxswap.testing import face_landmarks

SIZE = 256
UNIT_TO_PICTURE = np.array([(SIZE, 0.0, 0.0), (0.0, SIZE, 0.0)])


def marks(eyes: float = 1.0) -> Landmarks:
    return face_landmarks(UNIT_TO_PICTURE, mouth_open=0.2, eyes_open=eyes)


def looking(face: Landmarks, across: float, *, iris: float = 0.1, white: float = 0.8) -> Tensor:
    """`(3, SIZE, SIZE)`: skin, and eyes whose irises are off the middle by so many half widths."""
    y, x = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    picture = torch.full((3, SIZE, SIZE), 0.5)
    for eye in ("left_eye", "right_eye"):
        frame = eye_frame(face.region(eye))
        shown = frame.inside(x, y) > 0
        centre = frame.middle + frame.across * across
        radius = 0.4 * float(np.linalg.norm(frame.across))
        dark = torch.hypot(x - centre[0], y - centre[1]) < radius
        picture = torch.where(shown, torch.where(dark, iris, white), picture)
    return picture


@pytest.mark.parametrize("across", [-0.3, 0.0, 0.25])
def test_irises_are_found(across: float) -> None:
    found = gaze(looking(marks(), across), marks())
    assert found.trust.min() > 0.8
    np.testing.assert_allclose(found.offset[:, 0], across, atol=0.1)


def test_the_order_is_kept() -> None:
    found = [gaze(looking(marks(), across), marks()).offset[:, 0].mean() for across in (-0.3, -0.1, 0.1, 0.3)]
    assert (np.diff(found) > 0.1).all()


def test_shut_and_flat_eyes_say_nothing() -> None:
    assert gaze(looking(marks(eyes=0.05), 0.2), marks(eyes=0.05)).trust.max() < 0.1
    assert gaze(looking(marks(), 0.2, iris=0.78), marks()).trust.max() < 0.1
    assert gaze(torch.full((3, SIZE, SIZE), torch.nan), marks()).trust.max() == 0


def test_eyes_outside_the_picture_say_nothing() -> None:
    away = Landmarks(marks().points + SIZE, "mesh468")
    assert gaze(looking(marks(), 0.2), away).trust.max() == 0


def test_both_eyes_turn_alike_and_less_if_seen_badly() -> None:
    straight = Gaze(np.zeros((2, 2)), np.ones(2))
    aside = Gaze(np.array([(0.2, 0.0), (0.4, 0.0)]), np.array([1.0, 1.0]))
    np.testing.assert_allclose(turned(aside, straight), (0.3, 0.0))
    unsure = Gaze(aside.offset, np.array([0.0, 0.1]))
    np.testing.assert_allclose(turned(unsure, straight), (0.04, 0.0))
    np.testing.assert_array_equal(turned(Gaze(aside.offset, np.zeros(2)), straight), 0)
