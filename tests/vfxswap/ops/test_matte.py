"""Distances to outlines and soft edges made of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vfxswap.errors import ShapeError
from vfxswap.geometry import Points
from vfxswap.ops.matte import Insets, border_distance, holes_filled, hull_distance, polygon_distance, soft_edge

CPU = torch.device("cpu")
SIZE = 128


def ellipse(center: tuple[float, float], half: tuple[float, float], count: int = 40) -> Points:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.column_stack([center[0] + half[0] * np.cos(angle), center[1] + half[1] * np.sin(angle)])


STAR = np.array([(64, 8), (76, 50), (120, 52), (84, 76), (98, 118), (64, 92), (30, 118), (44, 76), (8, 52), (52, 50)])


def brute(points: Points) -> NDArray[np.float64]:
    """OpenCV's own signed distance, pixel centre by pixel centre."""
    contour = points.astype(np.float32).reshape(-1, 1, 2)
    return np.array(
        [[cv2.pointPolygonTest(contour, (x + 0.5, y + 0.5), True) for x in range(SIZE)] for y in range(SIZE)]
    )


@pytest.mark.parametrize("turned", [False, True])
def test_hull_distance_is_exact_inside(turned: bool) -> None:
    points = ellipse((61.3, 66.8), (40.2, 47.7))
    distance = hull_distance(points[::-1] if turned else points, SIZE, device=CPU).numpy()
    expected = brute(points)
    inside = expected > 0
    assert (expected - distance)[inside].min() > -1e-3
    # Interpolation flattens the ridge in the middle, where a matte is 1 anyway; near the edge it is exact.
    assert np.abs(expected - distance)[inside].max() < 2
    assert np.abs(expected - distance)[inside & (expected < 15)].max() < 0.3
    assert (distance[~inside] <= 1e-3).all()


def test_hull_ignores_points_inside_and_their_order() -> None:
    points = ellipse((64, 64), (40, 30))
    more = np.concatenate([points, ellipse((64, 64), (20, 10))])
    shuffled = np.random.default_rng(0).permutation(more)
    assert torch.equal(hull_distance(points, SIZE, device=CPU), hull_distance(shuffled, SIZE, device=CPU))


@pytest.mark.parametrize(
    ("insets", "box"),
    [
        (Insets(top=10), (20, 30, 100, 90)),
        (Insets(bottom=10), (20, 20, 100, 80)),
        (Insets(left=10), (30, 20, 100, 90)),
        (Insets(right=10), (20, 20, 90, 90)),
        (Insets(top=5, left=10), (30, 25, 100, 90)),
    ],
)
def test_insets_move_the_sides(insets: Insets, box: tuple[int, int, int, int]) -> None:
    square = np.array([(20.0, 20.0), (100.0, 20.0), (100.0, 90.0), (20.0, 90.0)])
    inside = hull_distance(square, SIZE, insets=insets, device=CPU) > 0
    expected = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    expected[box[1] : box[3], box[0] : box[2]] = True
    assert not bool((inside & ~expected).any())
    assert int((inside ^ expected).sum()) <= 12, "more than the corners' pixels differ"


def test_growing_moves_every_side() -> None:
    points = ellipse((64, 64), (40, 30))
    plain, grown = (hull_distance(points, SIZE, grow_px=grow, device=CPU) for grow in (0.0, 7.5))
    torch.testing.assert_close(grown, plain + 7.5)


def test_distances_follow_the_points_by_fractions_of_a_pixel() -> None:
    points = ellipse((60.0, 60.0), (30.0, 35.0))
    first = float(soft_edge(hull_distance(points, SIZE, device=CPU), 12).sum())
    areas = [float(soft_edge(hull_distance(points * (1 + k / 1000), SIZE, device=CPU), 12).sum()) for k in range(1, 9)]
    steps = np.diff([first, *areas])
    assert steps.min() > 0.5 * steps.mean()
    assert steps.max() < 1.6 * steps.mean()


@pytest.mark.parametrize("points", [np.array([(5.0, 5.0)]), np.array([(5.0, 5.0), (90.0, 40.0)]), np.full((9, 2), 7.0)])
def test_points_without_an_area_have_no_inside(points: Points) -> None:
    assert float(hull_distance(points, SIZE, device=CPU).max()) <= 0
    assert float(soft_edge(polygon_distance(points, SIZE, device=CPU), 4).max()) == 0


def test_polygon_distance_of_a_star_agrees_with_opencv() -> None:
    distance = polygon_distance(STAR.astype(np.float64), SIZE, device=CPU).numpy()
    assert np.abs(distance - brute(STAR)).max() < 2
    assert np.abs(distance - brute(STAR)).mean() < 0.1


def test_soft_edge_is_exact_at_both_ends_and_inside_only() -> None:
    distance = torch.tensor([-5.0, 0.0, 1e-3, 5.0, 9.999, 10.0, 50.0])
    matte = soft_edge(distance, 10.0)
    assert matte[:2].tolist() == [0, 0]
    assert matte[5:].tolist() == [1, 1]
    assert float(matte[3]) == pytest.approx(0.5)
    assert bool((matte.diff() >= 0).all())
    assert soft_edge(torch.tensor([0.5]), 0.0).tolist() == [0.5]


@pytest.mark.parametrize("feather", [0.0, 3.0, 15.0])
def test_a_matte_never_leaves_its_outline(feather: float) -> None:
    points = ellipse((61.3, 66.8), (40.2, 47.7), count=9)
    matte = soft_edge(hull_distance(points, SIZE, device=CPU), feather).numpy()
    outside = brute(points) < -1e-3
    assert (matte[outside] == 0).all()
    assert matte.max() == 1


def test_border_distance() -> None:
    distance = border_distance(6, device=CPU)
    assert distance[0].tolist() == [0.5] * 6
    assert distance[2].tolist() == [0.5, 1.5, 2.5, 2.5, 1.5, 0.5]


@pytest.mark.parametrize("points", [np.zeros((3, 3)), np.zeros((0, 2)), np.array([(0.0, np.nan), (1, 1), (2, 0)])])
def test_a_wrong_outline_is_refused(points: Points) -> None:
    with pytest.raises(ShapeError, match="outline"):
        hull_distance(points, SIZE, device=CPU)
    with pytest.raises(ShapeError, match="outline"):
        polygon_distance(points, SIZE, device=CPU)


def test_a_hole_is_filled_up_to_the_lowest_pass_out_of_it() -> None:
    mattes = torch.ones(2, 1, 9, 9)
    mattes[:, :, 3:6, 3:6] = 0.2  # a hole
    mattes[1, 0, 4, 6:] = 0.7  # a way out of it, to the right border
    filled = holes_filled(mattes)
    assert torch.equal(filled[0], torch.ones(1, 9, 9))
    assert torch.allclose(filled[1, 0, 3:6, 3:6], torch.full((3, 3), 0.7))
    assert torch.equal(filled[1, 0, 4, 6:], mattes[1, 0, 4, 6:])


def test_what_reaches_in_from_the_border_is_no_hole() -> None:
    mattes = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    mattes[..., 4:8, :6] = 0.0
    filled = holes_filled(mattes)
    assert torch.equal(filled[..., 4:8, :6], mattes[..., 4:8, :6])
    assert bool((filled >= mattes).all())
    assert torch.equal(holes_filled(filled), filled)
