"""The rasteriser against a plain loop over pixels."""

from __future__ import annotations

import numpy as np
import torch

from vfxswap.lab.raster import rasterise


def _soup(seed: int, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(count * 3, 2, generator=generator) * 24 - 2
    depth = torch.rand(count * 3, generator=generator) * 40 + 60
    return points, depth, torch.arange(count * 3).reshape(count, 3)


def _by_loop(points: torch.Tensor, depth: torch.Tensor, triangles: torch.Tensor, size: int) -> np.ndarray:
    """Nearest depth a pixel, in float64, both sides; infinity where nothing is."""
    nearest = np.full((size, size), np.inf)
    xy, z = points.double().numpy(), depth.double().numpy()
    for a, b, c in triangles.numpy():
        edges = np.array([xy[b] - xy[a], xy[c] - xy[a]]).T
        for row in range(size):
            for column in range(size):
                second, third = np.linalg.solve(edges, np.array([column + 0.5, row + 0.5]) - xy[a])
                if second >= 0 and third >= 0 and second + third <= 1:
                    inverse = (1 - second - third) / z[a] + second / z[b] + third / z[c]
                    nearest[row, column] = min(nearest[row, column], 1 / inverse)
    return nearest


def test_nearest_depth_is_that_of_a_plain_loop() -> None:
    points, depth, triangles = _soup(3, 12)
    hits = rasterise(points, depth, triangles, height=20, width=20, both_sides=True)
    expected = _by_loop(points, depth, triangles, 20).reshape(-1)
    assert set(hits.pixels.tolist()) == set(np.flatnonzero(np.isfinite(expected)).tolist())
    np.testing.assert_allclose(hits.depth.numpy(), expected[hits.pixels.numpy()], rtol=1e-4)


def test_weights_reproduce_the_place_of_the_pixel() -> None:
    points, depth, triangles = _soup(5, 8)
    hits = rasterise(points, depth, triangles, height=20, width=20, both_sides=True)
    # Perspective-correct: x/z and 1/z are affine on the screen.
    values = torch.cat([points * depth[:, None], depth[:, None]], 1)
    at = hits.interpolate(values, triangles)
    x, y = at[:, 0] / at[:, 2], at[:, 1] / at[:, 2]
    torch.testing.assert_close(x, hits.pixels % 20 + 0.5, atol=2e-3, rtol=0)
    torch.testing.assert_close(y, torch.div(hits.pixels, 20, rounding_mode="floor") + 0.5, atol=2e-3, rtol=0)


def test_order_of_triangles_does_not_matter() -> None:
    points, depth, triangles = _soup(7, 30)
    hits = rasterise(points, depth, triangles, height=20, width=20, both_sides=True)
    turned = rasterise(points, depth, triangles.flip(0), height=20, width=20, both_sides=True)
    assert torch.equal(hits.pixels, turned.pixels)
    assert torch.equal(hits.depth, turned.depth)


def test_back_faces_are_left_out() -> None:
    points, depth, triangles = _soup(9, 20)
    one = rasterise(points, depth, triangles, height=20, width=20)
    other = rasterise(points, depth, triangles[:, [0, 2, 1]], height=20, width=20)
    both = rasterise(points, depth, triangles, height=20, width=20, both_sides=True)
    assert 0 < len(one.pixels) < len(both.pixels)
    assert set(one.pixels.tolist()) | set(other.pixels.tolist()) == set(both.pixels.tolist())


def test_neighbours_leave_no_gap() -> None:
    steps = torch.linspace(1.3, 18.7, 9)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    points = torch.stack([x, y], -1).reshape(-1, 2)
    corner = torch.arange(8)[:, None] * 9 + torch.arange(8)[None]
    corner = corner.reshape(-1)
    triangles = torch.cat(
        [torch.stack([corner, corner + 9, corner + 1], 1), torch.stack([corner + 1, corner + 9, corner + 10], 1)]
    )
    hits = rasterise(points, torch.full((81,), 50.0), triangles, height=20, width=20, both_sides=True)
    assert len(hits.pixels) == 18 * 18  # centres 1.5 ... 18.5


def test_nothing_in_view_gives_no_pixels() -> None:
    points, depth, triangles = _soup(1, 4)
    hits = rasterise(points + 1000, depth, triangles, height=20, width=20)
    assert len(hits.pixels) == 0
