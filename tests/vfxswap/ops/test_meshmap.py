from __future__ import annotations

import numpy as np
import pytest

from vfxswap.errors import ShapeError
from vfxswap.geometry import Points
from vfxswap.ops.meshmap import (
    Triangles,
    doubled_areas,
    facing_cosines,
    linear_field,
    scale_between,
    smooth_map,
    smoothed,
    vertex_jacobians,
)

LINEAR = np.array([(1.3, 0.4), (-0.2, 0.8)])
SHIFT = np.array([5.0, -3.0])


def grid(count: int = 7, step: float = 10.0) -> tuple[Points, Triangles]:
    """A square of jittered vertices, two triangles a cell."""
    x, y = np.meshgrid(np.arange(count), np.arange(count))
    jitter = np.random.default_rng(3).uniform(-0.25, 0.25, (count * count, 2))
    points = np.column_stack([np.column_stack([x.ravel(), y.ravel()]) + jitter, np.zeros(count * count)]) * step
    corner = (np.arange(count - 1)[:, None] * count + np.arange(count - 1)).ravel()
    upper = np.column_stack([corner, corner + 1, corner + count])
    lower = np.column_stack([corner + 1, corner + count + 1, corner + count])
    return points, np.concatenate([upper, lower]).astype(np.int64)


def evaluate(factors: Points, source: Points, triangles: Triangles, bary: tuple[float, float, float]) -> Points:
    """The map at one place of each triangle."""
    at = np.einsum("k,tkj->tj", np.array(bary), source[triangles, :2])
    x, y = (at - source[triangles, :2].mean(axis=1)).T
    return np.asarray(np.einsum("tcf,tf->tc", factors, np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)))


def place(source: Points, triangles: Triangles, bary: tuple[float, float, float]) -> Points:
    return np.asarray(np.einsum("k,tkj->tj", np.array(bary), source[triangles, :2]))


@pytest.mark.parametrize("bary", [(1, 0, 0), (0.2, 0.3, 0.5), (0.5, 0.5, 0)])
def test_an_affine_map_is_exact(bary: tuple[float, float, float]) -> None:
    source, triangles = grid()
    target = source[:, :2] @ LINEAR.T + SHIFT
    jacobians = vertex_jacobians(source, target, triangles)
    assert jacobians == pytest.approx(np.broadcast_to(LINEAR, jacobians.shape))
    factors = smooth_map(source, target, triangles, jacobians)
    wanted = place(source, triangles, bary) @ LINEAR.T + SHIFT
    assert evaluate(factors, source, triangles, bary) == pytest.approx(wanted, abs=1e-9)


def test_a_quadratic_map_with_its_derivatives_is_exact() -> None:
    source, triangles = grid()
    x, y = source[:, :2].T

    def bent(at: Points) -> Points:
        return np.column_stack([at[:, 0] + 0.01 * at[:, 0] * at[:, 1], at[:, 1] - 0.02 * at[:, 0] ** 2])

    rows = [np.stack([1 + 0.01 * y, 0.01 * x], axis=1), np.stack([-0.04 * x, np.ones_like(x)], axis=1)]
    factors = smooth_map(source, bent(source[:, :2]), triangles, np.stack(rows, axis=1))
    bary = (0.15, 0.35, 0.5)
    assert evaluate(factors, source, triangles, bary) == pytest.approx(bent(place(source, triangles, bary)), abs=1e-9)


def test_neighbours_agree_on_their_edge() -> None:
    source, triangles = grid()
    target = source[:, :2] + 4 * np.sin(source[:, 1::-1] / 9)
    factors = smooth_map(source, target, triangles, vertex_jacobians(source, target, triangles))
    seen: dict[tuple[int, int], Points] = {}
    shared = 0
    for bary, (i, j) in (((0.5, 0.5, 0.0), (0, 1)), ((0.0, 0.5, 0.5), (1, 2)), ((0.5, 0.0, 0.5), (0, 2))):
        for triangle, value in zip(triangles, evaluate(factors, source, triangles, bary), strict=True):
            edge = (min(int(triangle[i]), int(triangle[j])), max(int(triangle[i]), int(triangle[j])))
            if edge in seen:
                shared += 1
                assert value == pytest.approx(seen[edge], abs=1e-9)
            seen[edge] = value
    assert shared > 50


def test_facets_are_smoothed() -> None:
    source, triangles = grid(13, 6.0)

    def wave(at: Points) -> Points:
        return np.asarray(at + 3 * np.sin(at[:, ::-1] / 11))

    target = wave(source[:, :2])
    smooth = smooth_map(source, target, triangles, vertex_jacobians(source, target, triangles))
    flat = np.zeros_like(smooth)
    for axis in range(2):
        flat[:, axis, :3] = linear_field(source, target[:, axis], triangles)
    inner = np.abs(place(source, triangles, (1 / 3, 1 / 3, 1 / 3)) - 36).max(axis=1) < 24
    third = (1 / 3, 1 / 3, 1 / 3)
    wanted = wave(place(source, triangles, third))[inner]
    error = np.abs(evaluate(smooth, source, triangles, third)[inner] - wanted).mean()
    assert error < 0.5 * np.abs(evaluate(flat, source, triangles, third)[inner] - wanted).mean()


def test_a_vertex_without_neighbours_that_face_the_camera_gets_the_whole() -> None:
    source, triangles = grid()
    folded = np.concatenate([source, [(500.0, 500.0, 0.0)]])
    jacobians = vertex_jacobians(folded, folded[:, :2] * 2, triangles)
    assert jacobians[-1] == pytest.approx(2 * np.eye(2))


def test_a_linear_field_meets_its_vertices() -> None:
    source, triangles = grid()
    values = source[:, 0] * 0.3 - source[:, 1] + 2
    field = linear_field(source, values, triangles)
    assert field[:, 0] == pytest.approx(values[triangles].mean(axis=1))
    assert field[:, 1:] == pytest.approx(np.broadcast_to((0.3, -1.0), (len(triangles), 2)))


def test_areas_and_scale() -> None:
    source, triangles = grid()
    assert (doubled_areas(source, triangles) > 0).all()
    assert (doubled_areas(source, triangles[:, ::-1]) < 0).all()
    assert scale_between(source, source * 2.5, triangles) == pytest.approx(2.5)
    with pytest.raises(ShapeError, match="face the camera"):
        scale_between(source, source * (-1, 1, 1), triangles)


@pytest.mark.parametrize(("tilt", "cosine"), [(0.0, 1.0), (60.0, 0.5), (120.0, -0.5)])
def test_facing_is_the_cosine_of_the_tilt(tilt: float, cosine: float) -> None:
    source, triangles = grid()
    angle = np.radians(tilt)
    tilted = np.column_stack([source[:, 0] * np.cos(angle), source[:, 1], source[:, 0] * np.sin(angle)])
    assert facing_cosines(tilted, triangles) == pytest.approx(cosine)


def test_smoothing_keeps_constants_and_bridges_what_is_not_trusted() -> None:
    source, triangles = grid()
    trusted = np.ones(len(source))
    trusted[24] = 0
    values = np.full(len(source), 0.7)
    values[24] = 50.0
    assert smoothed(values, trusted, triangles, rounds=3) == pytest.approx(0.7)
    spread = smoothed(np.eye(len(source))[20], np.ones(len(source)), triangles, rounds=2)
    assert 0 < spread.max() < 0.5
    assert (spread > 0).sum() > 7
