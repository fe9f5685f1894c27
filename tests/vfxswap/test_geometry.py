"""Boxes, similarities, templates, landmarks and poses, against brute force and known truths."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfxswap.errors import ShapeError
from vfxswap.geometry import (
    MIRROR,
    REGIONS,
    SCHEME_SIZES,
    Affine,
    Box,
    Landmarks,
    Points,
    Region,
    Scheme,
    composed,
    inverted,
    iou,
    mapped,
    pose_of,
    scale_of,
    umeyama,
)
from vfxswap.lab.mesh468 import ADDRESSES


def similarity(scale: float, degrees: float, shift: tuple[float, float]) -> Affine:
    turn = math.radians(degrees)
    linear = scale * np.array([(math.cos(turn), -math.sin(turn)), (math.sin(turn), math.cos(turn))])
    return np.column_stack([linear, shift])


def some_points(seed: int, count: int = 5) -> Points:
    return np.random.default_rng(seed).uniform(-100, 100, (count, 2))


def test_a_box_has_pixels_from_its_first_to_before_its_last() -> None:
    box = Box(2, 3, 10, 7)
    assert (box.width, box.height, box.empty) == (8, 4, False)
    assert Box(2, 3, 2, 7).empty
    assert Box(2, 7, 3, 3).empty


def test_a_box_is_clipped_grown_and_aligned() -> None:
    assert Box(-5, 2, 99, 50).clipped(64, 48) == Box(0, 2, 64, 48)
    assert Box(70, 0, 80, 10).clipped(64, 48).empty
    assert Box(2, 3, 4, 5).grown(2) == Box(0, 1, 6, 7)
    assert Box(3, 3, 5, 5).aligned(2, 4) == Box(2, 0, 6, 8)
    assert Box(-3, -1, 4, 8).aligned(4, 2) == Box(-4, -2, 4, 8)


def test_a_box_around_points_covers_their_pixels() -> None:
    points = np.array([(0.5, 1.0, 9.0), (3.2, 2.9, -9.0)])
    assert Box.around(points) == Box(0, 1, 4, 3)


def test_iou_of_known_rectangles() -> None:
    assert iou((0, 0, 2, 2), (1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert iou((0, 0, 2, 2), (0, 0, 2, 2)) == 1
    assert iou((0, 0, 2, 2), (2, 0, 4, 2)) == 0
    assert iou((0, 0, 4, 4), (1, 1, 2, 2)) == iou((1, 1, 2, 2), (0, 0, 4, 4)) == pytest.approx(1 / 16)


@given(
    st.integers(0, 10_000),
    st.floats(0.05, 20),
    st.floats(-180, 180),
    st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_umeyama_finds_a_similarity_again(seed: int, scale: float, degrees: float, shift: tuple[float, float]) -> None:
    expected, source = similarity(scale, degrees, shift), some_points(seed)
    assert np.allclose(umeyama(source, mapped(expected, source)), expected, atol=1e-8)


@given(st.integers(0, 10_000), st.integers(2, 9))
def test_umeyama_is_the_least_squares_similarity(seed: int, count: int) -> None:
    """A similarity without mirroring is linear in (a, b, tx, ty), so any solver of linear least squares finds it."""
    source, target = some_points(seed, count), some_points(seed + 1, count)
    one, nil = np.ones(count), np.zeros(count)
    x, y = source.T
    system = np.concatenate([np.stack([x, -y, one, nil], axis=1), np.stack([y, x, nil, one], axis=1)])
    (a, b, tx, ty), *_ = np.linalg.lstsq(system, target.T.reshape(-1), rcond=None)
    assert np.allclose(umeyama(source, target), [(a, -b, tx), (b, a, ty)], atol=1e-6)


def test_umeyama_never_mirrors() -> None:
    source = some_points(1)
    found = umeyama(source, source * (-1, 1))
    assert np.linalg.det(found[:, :2]) > 0


def test_umeyama_takes_points_on_a_line() -> None:
    source = np.array([(0.0, 0.0), (1.0, 1.0), (3.0, 3.0)])
    expected = similarity(2, 30, (5, -1))
    assert np.allclose(umeyama(source, mapped(expected, source)), expected)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (np.ones((5, 2)), some_points(1)),
        (np.full((5, 2), np.nan), some_points(1)),
        (some_points(1, 1), some_points(1, 1)),
        (some_points(1, 4), some_points(1, 5)),
        (np.ones((5, 3)), np.ones((5, 3))),
    ],
)
def test_umeyama_refuses_what_fixes_no_similarity(source: Points, target: Points) -> None:
    with pytest.raises(ShapeError, match="points of a similarity"):
        umeyama(source, target)


def test_maps_are_inverted_and_joined() -> None:
    first, second, points = similarity(2, 30, (5, 6)), similarity(0.5, -70, (1, 2)), some_points(4)
    assert np.allclose(mapped(inverted(first), mapped(first, points)), points)
    assert np.allclose(mapped(composed(second, first), points), mapped(second, mapped(first, points)))
    assert scale_of(first) == pytest.approx(2)
    assert scale_of(composed(second, first)) == pytest.approx(1)


def test_a_depth_is_scaled_with_its_point_and_the_points_are_left_alone() -> None:
    points = np.array([(1.0, 2.0, -3.0)])
    got = mapped(similarity(2, 90, (10, 0)), points)
    assert np.allclose(got, [(6.0, 2.0, -6.0)])
    assert points.tolist() == [[1.0, 2.0, -3.0]]


@pytest.mark.parametrize("scheme", ["ibug68", "mesh468"])
def test_regions_are_distinct_points_of_their_numbering(scheme: Scheme) -> None:
    assert set(REGIONS[scheme]) == set(get_args(Region))
    for numbers in REGIONS[scheme].values():
        assert len(set(numbers)) == len(numbers)
        assert max(numbers) < SCHEME_SIZES[scheme]
    assert not set(REGIONS[scheme]["left_eye"]) & set(REGIONS[scheme]["right_eye"])


@pytest.mark.parametrize("scheme", ["five", "ibug68", "mesh468"])
def test_landmarks_must_fit_their_numbering(scheme: Scheme) -> None:
    size = SCHEME_SIZES[scheme]
    for shape in ((size - 1, 2), (size, 4), (size,)):
        with pytest.raises(ShapeError, match=f"landmarks {scheme} must be"):
            Landmarks(np.zeros(shape), scheme)
    assert repr(Landmarks(np.zeros((size, 3)), scheme)) == f"Landmarks({scheme}, {size}x3)"


def test_five_points_have_no_regions() -> None:
    with pytest.raises(KeyError):
        Landmarks(np.zeros((5, 2)), "five").region("oval")


def test_the_five_of_a_numbering_are_eye_middles_nose_and_mouth_corners() -> None:
    points = np.zeros((68, 2))
    points[36:42, 0], points[42:48, 0] = np.arange(6), np.arange(6) + 10
    points[30], points[48], points[54] = (7, 5), (3, 8), (11, 8)
    assert Landmarks(points, "ibug68").five().tolist() == [[2.5, 0], [12.5, 0], [7, 5], [3, 8], [11, 8]]
    five = np.arange(10.0).reshape(5, 2)
    marks = Landmarks(five, "five")
    marks.five()[0] = 99
    assert marks.points[0, 0] == 0, "a copy is given"


def test_landmarks_go_through_a_similarity_as_their_five_do() -> None:
    marks, matrix = Landmarks(np.random.default_rng(2).uniform(0, 90, (468, 3)), "mesh468"), similarity(2, 40, (7, 8))
    assert np.allclose(marks.mapped(matrix).five(), mapped(matrix, marks.five()))


def turned(yaw: float, pitch: float, roll: float) -> Points:
    """A rotation, `(3, 3)`, of x right, y down, z away: the nose goes right by yaw, down by pitch; then clockwise."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([(math.cos(y), 0, -math.sin(y)), (0, 1, 0), (math.sin(y), 0, math.cos(y))])
    about_x = np.array([(1, 0, 0), (0, math.cos(p), -math.sin(p)), (0, math.sin(p), math.cos(p))])
    about_z = np.array([(math.cos(r), -math.sin(r), 0), (math.sin(r), math.cos(r), 0), (0, 0, 1)])
    rotation: Points = about_z @ about_y @ about_x
    return rotation


HEAD = np.zeros((468, 3))
HEAD[[234, 454, 10, 152]] = [(-7, 0, 2), (7, 0, 2), (0, -8, 0), (0, 9, 0)]
HEAD[list(REGIONS["mesh468"]["left_eye"])] = (-3.2, -2, 0)
HEAD[list(REGIONS["mesh468"]["right_eye"])] = (3.2, -2, 0)
HEAD[[1, 61, 291]] = [(0, 1.5 + 0.04 * 7, -0.56 * 7), (-2.5, 5, 0), (2.5, 5, 0)]
"""The points that tell a pose, of a head that looks into the camera; nose as `pose_of` takes it to be."""


@pytest.mark.parametrize("yaw", [-60, -25, 0, 40])
@pytest.mark.parametrize("pitch", [-30, 0, 20])
@pytest.mark.parametrize("roll", [-170, -45, 0, 90])
def test_the_pose_of_a_mesh_is_that_of_the_head(yaw: float, pitch: float, roll: float) -> None:
    points = HEAD @ turned(yaw, pitch, roll).T * 30 + (500, 400, 9)
    assert pose_of(Landmarks(points, "mesh468")) == pytest.approx((yaw, pitch, roll), abs=1e-9)


@pytest.mark.parametrize(
    "pose", [(0, 0, 0), (30, 0, 0), (-45, 0, 0), (0, 20, 0), (0, -25, 0), (0, 0, 60), (-30, 0, 20), (0, 15, -40)]
)
def test_the_pose_of_five_points_is_right_about_one_axis_and_roll(pose: tuple[float, float, float]) -> None:
    points = HEAD @ turned(*pose).T * 30 + (500, 400, 9)
    five = Landmarks(Landmarks(points, "mesh468").five(), "five")
    assert pose_of(five) == pytest.approx(pose, abs=1e-6)
    assert pose_of(Landmarks(points[:, :2], "mesh468")) == pytest.approx(pose, abs=1e-6)


def test_the_pose_of_points_that_coincide_is_a_number() -> None:
    for scheme in ("five", "ibug68", "mesh468"):
        for dimensions in (2, 3):
            points = np.ones((SCHEME_SIZES[scheme], dimensions))
            assert np.isfinite(pose_of(Landmarks(points, scheme))).all()


def test_points_lie_opposite_one_another() -> None:
    """As they do on the lab's template, which is symmetrical; and an outline lies opposite an outline."""
    mirror = np.array(MIRROR["mesh468"])
    np.testing.assert_array_equal(mirror[mirror], np.arange(468))
    places = np.array(ADDRESSES)
    around = places.mean(axis=0)[0]
    np.testing.assert_allclose(places[mirror] - (around, 0), (places - (around, 0)) * (-1, 1), atol=1e-3)
    regions = REGIONS["mesh468"]
    opposite: tuple[tuple[Region, Region], ...] = (
        ("left_eye", "right_eye"),
        ("left_brow", "right_brow"),
        ("lips_inner", "lips_inner"),
        ("oval", "oval"),
    )
    for one, other in opposite:
        assert set(mirror[list(regions[one])]) == set(regions[other])
