"""Shapes at rest and their differences, on drawn faces whose proportions, pose and expression are known."""

from __future__ import annotations

import numpy as np
import pytest

from vfxswap.alignment import TEMPLATES
from vfxswap.geometry import REGIONS, Landmarks
from vfxswap.ops.proportions import RestShape, offsets, reshaped, rest_shape
from vfxswap.testing import face_landmarks

UNIT_TO_PICTURE = np.array([(200.0, 0.0, 20.0), (0.0, 200.0, 10.0)])
NOSE = (1, 2, 4, 5, 19, 94, 98, 327)
EYES_PX = 200 * float(np.linalg.norm(TEMPLATES["ffhq_512"][1] - TEMPLATES["ffhq_512"][0]))


def face(*, mouth: float = 0.0, eyes: float = 1.0, nose_px: float = 0.0) -> Landmarks:
    """A drawn face as half an egg; the nose lower by some pixels."""
    points = face_landmarks(UNIT_TO_PICTURE, mouth_open=mouth, eyes_open=eyes).points
    across = (points[:, :2] - (120, 120)) / (70, 90)
    depth = -60 * np.sqrt(np.clip(1 - np.square(across).sum(axis=1), 0, None))
    points = np.column_stack([points[:, :2], depth])
    points[list(NOSE), 1] += nose_px
    return Landmarks(points, "mesh468")


def turned(marks: Landmarks, yaw: float, roll: float = 0.0, scale: float = 1.0) -> Landmarks:
    a, b = np.radians([yaw, roll])
    about_y = np.array([(np.cos(a), 0, np.sin(a)), (0, 1, 0), (-np.sin(a), 0, np.cos(a))])
    about_z = np.array([(np.cos(b), -np.sin(b), 0), (np.sin(b), np.cos(b), 0), (0, 0, 1)])
    middle = marks.points.mean(axis=0)
    return Landmarks((marks.points - middle) @ (about_z @ about_y).T * scale + middle + 15, marks.scheme)


def rest(*faces: Landmarks) -> RestShape:
    found = rest_shape(faces)
    assert found is not None
    return found


def test_pose_and_size_are_taken_out() -> None:
    one = rest(face()).points
    other, pictures, straight = rest(turned(face(), 25, 12, 1.7), turned(face(), -20), face())
    np.testing.assert_allclose(other, one, atol=1e-6)
    eyes = [one[list(REGIONS["mesh468"][eye])].mean(axis=0) for eye in ("left_eye", "right_eye")]
    assert np.linalg.norm(eyes[1] - eyes[0]) == pytest.approx(1)
    assert 1 < pictures.min() <= pictures.max() < 3
    assert straight == pytest.approx(1, abs=0.02)


def test_a_picture_counts_for_what_it_tells() -> None:
    """Turned, talking or blinking it tells less, of lips and lids above all."""
    nose, lips, lids = 4, list(REGIONS["mesh468"]["lips_inner"]), list(REGIONS["mesh468"]["left_eye"])
    good = rest(face()).pictures
    assert good == pytest.approx(1, abs=0.1)
    assert rest(turned(face(), 40)).pictures[nose] < 0.5
    assert rest(face(mouth=1.0)).pictures[lips].max() < 0.1
    blinking = rest(face(eyes=0.1)).pictures
    assert blinking[lids].max() < 0.1
    assert blinking[nose] == pytest.approx(good[nose])
    np.testing.assert_allclose(rest(*[face()] * 7).pictures, 7 * good)


def test_a_shut_mouth_counts_for_the_mouth() -> None:
    talking = rest(face(mouth=1.0), face(mouth=0.8), face(mouth=0.6), face())
    lips = list(REGIONS["mesh468"]["lips_inner"])
    assert np.abs(talking.points - rest(face()).points)[lips].max() < 0.03


def test_the_difference_is_the_persons() -> None:
    own = rest(*[face(), turned(face(), 15)] * 10)
    change = offsets(rest(*[face(nose_px=6)] * 20), own, "mesh468")
    assert change[list(NOSE), 1].mean() == pytest.approx(6 / EYES_PX, rel=0.15)
    others = np.delete(change, NOSE, axis=0)
    assert np.abs(others).max() < 0.02


def test_a_face_is_housed_in_another_head() -> None:
    """A nose of the same share of a longer, wider head makes no difference; one that is longer for its head does."""
    stretched = face(nose_px=6).points * (1.2, 1.3, 1.0)
    own = rest(*[face()] * 20)
    change = offsets(rest(*[Landmarks(stretched, "mesh468")] * 20), own, "mesh468")
    across, down = change[:, 0], change[:, 1]
    assert down[list(NOSE)].mean() == pytest.approx(6 / EYES_PX, rel=0.15)
    assert np.abs(np.delete(down, NOSE)).max() < 0.02
    assert np.abs(across).max() < 0.03


def test_few_pictures_are_believed_less() -> None:
    own = rest(*[face()] * 20)
    shares = []
    for count in (1, 4, 100):
        change = offsets(rest(*[face(nose_px=6, mouth=0.4)] * count), own, "mesh468")
        shares.append([np.abs(change[list(points)]).max() for points in (NOSE, REGIONS["mesh468"]["lips_inner"])])
    nose, lips = np.array(shares).T
    assert (np.diff(nose) > 0).all()
    assert (np.diff(lips) > 0).all()
    assert lips[0] / lips[2] < 0.2
    assert nose[0] / nose[2] > 0.6


def test_what_is_crooked_is_taken_from_straight_ahead() -> None:
    """A head that is turned looks crooked, also in the average of many of the same side."""
    crooked = face()
    crooked.points[list(NOSE), 0] += 4.0
    own = rest(*[face()] * 400)

    def aside(*pictures: Landmarks) -> float:
        return float(offsets(rest(*pictures), own, "mesh468")[4, 0] * EYES_PX / 4.0)

    assert 0.55 < aside(crooked) < 0.75
    assert 0.9 < aside(*[crooked] * 20) < 1.1
    wrong = turned(crooked, 30)
    assert abs(aside(*[wrong] * 20)) < 0.2
    assert aside(*[wrong] * 20, face()) < 0.1
    assert aside(*[turned(face(), 30)] * 20, crooked) > 0.5


def test_points_are_moved_in_the_heads_own_axes() -> None:
    own = rest(face())
    change = offsets(rest(face(nose_px=6)), own, "mesh468")
    share = np.ones(468)
    frontal, rolled = (reshaped(marks, own, change, share) for marks in (face(), turned(face(), 0, 90)))
    down = (frontal.points - face().points)[4, :2]
    left = (rolled.points - turned(face(), 0, 90).points)[4, :2]
    np.testing.assert_allclose(left, (-down[1], down[0]), atol=1e-6)
    nothing = reshaped(face(), own, change, np.zeros(468))
    np.testing.assert_array_equal(nothing.points, face().points)


def test_shut_eyes_stay_shut() -> None:
    own, wide = rest(face(eyes=0.6)), rest(face(eyes=1.0))
    change = offsets(wide, own, "mesh468")
    shut = reshaped(face(eyes=0.02), own, change, np.ones(468))
    gaps = [_gap(marks) for marks in (face(eyes=0.02), shut, reshaped(face(eyes=0.6), own, change, np.ones(468)))]
    assert gaps[1] < gaps[0] + 0.01 * 200
    assert gaps[2] > 1.2 * _gap(face(eyes=0.6))


def _gap(marks: Landmarks) -> float:
    ring = marks.region("left_eye")
    return float(np.ptp(ring[:, 1]))


def test_points_without_depth_have_no_shape() -> None:
    flat = Landmarks(face().points[:, :2], "mesh468")
    assert rest_shape([flat]) is None
    assert rest_shape([]) is None
