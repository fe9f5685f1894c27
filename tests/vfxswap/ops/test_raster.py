from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.ops.raster import SUBPIXELS, covered, evaluated, rasterise, snapped, soft_polygon

SQUARE = torch.tensor([(2.0, 2.0, 0.0), (10.0, 2.0, 0.0), (10.0, 10.0, 0.0), (2.0, 10.0, 0.0)], dtype=torch.float64)
HALVES = torch.tensor([(0, 1, 2), (0, 2, 3)])


def by_hand(vertices: Tensor, triangles: Tensor, size_px: int) -> Tensor:
    """Every pixel against every triangle, in whole numbers."""
    corners = (vertices[:, :2] * SUBPIXELS).round().long()[triangles].numpy().astype(object)
    result = torch.full((size_px, size_px), -1)
    best: dict[tuple[int, int], float] = {}
    for number, (a, b, c) in enumerate(corners):
        if (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) <= 0:
            continue
        depth = float(vertices[triangles[number], 2].mean())
        for row, column in np.ndindex(size_px, size_px):
            p = ((2 * column + 1) * SUBPIXELS // 2, (2 * row + 1) * SUBPIXELS // 2)
            sides = [(v[0] - u[0]) * (p[1] - u[1]) - (v[1] - u[1]) * (p[0] - u[0]) for u, v in ((a, b), (b, c), (c, a))]
            if min(sides) >= 0 and depth < best.get((row, column), np.inf):
                best[row, column] = depth
                result[row, column] = number
    return result


def test_a_square_covers_the_centres_inside_it_without_a_crack() -> None:
    shown = rasterise(SQUARE, HALVES, size_px=12)
    assert (shown >= 0).sum() == 64
    assert (shown[2:10, 2:10] >= 0).all()


def test_random_triangles_equal_the_definition() -> None:
    generator = torch.Generator().manual_seed(5)
    vertices = torch.rand((30, 3), generator=generator, dtype=torch.float64) * 28 - 4
    triangles = torch.randperm(30, generator=generator).view(10, 3)
    # Flat triangles at depths of their own, so that the definition is simple.
    vertices[triangles.reshape(-1), 2] = torch.arange(10, dtype=torch.float64).flip(0).repeat_interleave(3)
    assert torch.equal(rasterise(vertices, triangles, size_px=20), by_hand(vertices, triangles, 20))


def test_a_mesh_has_no_cracks() -> None:
    generator = np.random.default_rng(1)
    plane = cv2.Subdiv2D((-10, -10, 100, 100))
    points = np.concatenate([generator.uniform(0, 64, (200, 2)), [(-5, -5), (70, -5), (70, 70), (-5, 70)]])
    plane.insert([(float(x), float(y)) for x, y in points.astype(np.float32)])
    corners = torch.from_numpy(np.array(plane.getTriangleList())).double().view(-1, 2)
    triangles = torch.arange(len(corners)).view(-1, 3)
    turned = torch.cat([triangles, triangles.flip(1)])
    shown = rasterise(torch.cat([corners, torch.zeros(len(corners), 1)], dim=1), turned, size_px=64)
    assert (shown >= 0).all()


def test_the_nearest_wins_and_at_equal_depth_the_first() -> None:
    behind = SQUARE + torch.tensor([3.0, 0.0, 5.0])
    vertices = torch.cat([behind, SQUARE])
    shown = rasterise(vertices, torch.cat([HALVES, HALVES + 4]), size_px=16)
    assert (shown[2:10, 2:10] >= 2).all()
    assert (shown[2:10, 10:13] < 2).all()
    same = rasterise(torch.cat([SQUARE, SQUARE]), torch.cat([HALVES, HALVES + 4]), size_px=16)
    assert same.max() == 1


def test_crossing_triangles_are_cut_where_they_cross() -> None:
    falling = SQUARE.clone()
    falling[:, 2] = SQUARE[:, 0] - 6
    shown = rasterise(torch.cat([falling, SQUARE]), torch.cat([HALVES, HALVES + 4]), size_px=12)
    assert (shown[3:9, 2:6] < 2).all()
    assert (shown[3:9, 6:10] >= 2).all()


def test_what_faces_away_is_culled() -> None:
    assert (rasterise(SQUARE, HALVES.flip(1), size_px=12) == -1).all()
    flat = torch.tensor([(0, 1, 1)])
    assert (rasterise(SQUARE, flat, size_px=12) == -1).all()


def test_triangles_past_the_picture_are_cut() -> None:
    shown = rasterise(SQUARE * 100 - 300, HALVES, size_px=8)
    assert (shown >= 0).all()
    assert (rasterise(SQUARE + 1000, HALVES, size_px=8) == -1).all()
    assert (rasterise(SQUARE, HALVES[:0], size_px=8) == -1).all()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 2.0**16])
def test_wild_vertices_are_refused(value: float) -> None:
    wild = SQUARE.clone()
    wild[1, 1] = value
    with pytest.raises(ShapeError, match="finite and within"):
        rasterise(wild, HALVES, size_px=8)
    with pytest.raises(ShapeError, match=r"\(V, 3\) vertices"):
        rasterise(wild[:, :2], HALVES, size_px=8)


def test_polynomials_are_evaluated_at_pixel_centres() -> None:
    shown = rasterise(snapped(SQUARE), HALVES, size_px=12)
    centroids = SQUARE[HALVES, :2].mean(dim=1).float()
    where = covered(shown, centroids)
    cx, cy = centroids.T
    one = torch.ones_like(cx)
    # x^2 - 3 x y + y, written from the centroids.
    terms = [cx**2 - 3 * cx * cy + cy, 2 * cx - 3 * cy, 1 - 3 * cx, one, -3 * one, 0 * one]
    values = evaluated(torch.stack(terms, dim=1)[:, None], where)
    x, y = where.pixel % 12 + 0.5, where.pixel // 12 + 0.5
    torch.testing.assert_close(values[0], x**2 - 3 * x * y + y, rtol=1e-5, atol=1e-4)
    linear = evaluated(torch.stack(terms[:3], dim=1)[:, None], where)
    assert linear.shape == (1, 64)


def test_a_soft_polygon_has_its_area_and_a_linear_edge() -> None:
    corners = torch.tensor([(4.0, 4.0), (28.0, 4.0), (28.0, 20.0), (4.0, 20.0)])
    value = soft_polygon(corners, size_px=32, feather_px=4.0)
    assert value.sum().item() == pytest.approx(24 * 16, rel=0.02)
    assert value[12, 16] == 1
    assert value[12, :9].tolist() == pytest.approx([0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1, 1])
    assert value.min() == 0


def test_a_soft_polygon_may_lie_past_the_picture() -> None:
    corners = torch.tensor([(-9.0, -9.0), (6.0, -9.0), (6.0, 6.0), (-9.0, 6.0)])
    value = soft_polygon(corners, size_px=16, feather_px=2.0)
    assert value[:5, :5].min() == 1
    assert value[8:].max() == 0
    assert soft_polygon(corners - 100, size_px=16, feather_px=2.0).max() == 0
