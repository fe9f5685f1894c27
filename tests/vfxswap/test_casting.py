"""Who becomes whom: ranks, tracks, likeness, and two people in one frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vfxswap.casting import Role, cast, shape_distance
from vfxswap.color import ColorTags, PixelLayout
from vfxswap.frame import Detection, Face, Frame, Picture
from vfxswap.geometry import Landmarks
from vfxswap.pipeline.tables import FaceRule

PICTURE = Picture([np.zeros((2, 2), np.uint8)], PixelLayout("gray", "gray", 8), ColorTags())


def a_face(x: float, y: float, size: float, *, track: int | None = None, seed: int = 0) -> Face:
    points = np.random.default_rng(seed).normal(size=(68, 3)) * size + (x, y, 0)
    detection = Detection((x, y, x + size, y + size), 0.9, track=track)
    return Face(detection, landmarks=Landmarks(points, "ibug68"))


LEFT_SMALL = a_face(10, 50, 20, track=7, seed=1)
MIDDLE_LARGE = a_face(100, 60, 80, track=3, seed=2)
RIGHT_MEDIUM = a_face(300, 5, 40, track=5, seed=3)
FRAME = Frame(1001, PICTURE, faces=(LEFT_SMALL, MIDDLE_LARGE, RIGHT_MEDIUM))


def casting_of(*roles: Role) -> list[str | None]:
    return [face.identity for face in cast(FRAME, roles).faces]


@pytest.mark.parametrize(
    ("rule", "index"),
    [
        (FaceRule(by="size", rank=1), 1),
        (FaceRule(by="size", rank=3), 0),
        (FaceRule(by="left", rank=1), 0),
        (FaceRule(by="left", rank=3), 2),
        (FaceRule(by="top", rank=1), 2),
        (FaceRule(by="order", rank=2), 1),
        (FaceRule(by="track", rank=5), 2),
    ],
)
def test_a_rule_takes_its_face(rule: FaceRule, index: int) -> None:
    cast_ = casting_of(Role("hero", rule))
    assert cast_ == ["hero" if i == index else None for i in range(3)]


def test_two_identities_onto_two_people() -> None:
    roles = (Role("hero", FaceRule(by="left", rank=1)), Role("villain", FaceRule(by="left", rank=3)))
    assert casting_of(*roles) == ["hero", None, "villain"]


def test_two_identities_never_take_one_face_and_the_second_is_noted() -> None:
    roles = (Role("hero", FaceRule(by="size", rank=1)), Role("villain", FaceRule(by="left", rank=2)))
    frame = cast(FRAME, roles)
    assert [face.identity for face in frame.faces] == [None, "hero", None]
    assert frame.notes == ("no face found for identity villain",)


@pytest.mark.parametrize("rule", [FaceRule(by="size", rank=4), FaceRule(by="track", rank=99)])
def test_a_rule_that_finds_nothing_is_noted(rule: FaceRule) -> None:
    frame = cast(FRAME, (Role("hero", rule),))
    assert [face.identity for face in frame.faces] == [None] * 3
    assert "hero" in frame.notes[0]


def test_likeness_takes_the_most_alike_whatever_its_pose_size_and_place() -> None:
    marks = RIGHT_MEDIUM.landmarks
    assert marks is not None
    turn = np.array([[np.cos(0.6), 0, np.sin(0.6)], [0, 1, 0], [-np.sin(0.6), 0, np.cos(0.6)]])
    still = Landmarks(marks.points @ turn.T * 3.0 + (500, 20, 9), "ibug68")
    rule = FaceRule.model_construct(by="like", rank=1, still=None)
    assert casting_of(Role("hero", rule, likeness=still)) == [None, None, "hero"]


def test_a_face_without_points_is_never_alike() -> None:
    frame = replace(FRAME, faces=(replace(LEFT_SMALL, landmarks=None),))
    rule = FaceRule.model_construct(by="like", rank=1, still=None)
    assert cast(frame, (Role("hero", rule, likeness=MIDDLE_LARGE.landmarks),)).faces[0].identity is None


def test_shape_distance_is_zero_for_a_similar_shape_and_sees_a_mirrored_one() -> None:
    points = np.random.default_rng(5).normal(size=(68, 2))
    a = Landmarks(points, "ibug68")
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    assert shape_distance(a, Landmarks(points @ turn.T * 4 + 9, "ibug68")) == pytest.approx(0, abs=1e-6)
    assert shape_distance(a, Landmarks(points * (-1, 1), "ibug68")) > 0.3
