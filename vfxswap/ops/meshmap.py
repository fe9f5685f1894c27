"""Maps between two pictures of one triangle mesh: smooth warps, and what they do to scale and to what can be seen.

Numpy float64; a triangle faces the camera where `(b - a) x (c - a)` is positive (y runs down).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vfxswap.errors import ShapeError
from vfxswap.geometry import Points

Triangles = NDArray[np.int64]
"""`(T, 3)` vertex numbers; facing the camera on a face seen from the front."""

_SLIVER = 0.02
"""Doubled area in pixels squared; a thinner triangle is constant, as float32 could not tell its corners apart."""


def doubled_areas(vertices: Points, triangles: Triangles) -> NDArray[np.float64]:
    """`(T,)` twice the signed areas in pixels squared; positive faces the camera."""
    a, b, c = (vertices[triangles[:, i], :2] for i in range(3))
    ab, ac = b - a, c - a
    return np.asarray(ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0])


def facing_cosines(vertices: Points, triangles: Triangles) -> NDArray[np.float64]:
    """`(V,)` cosine between each vertex's normal and the line to the camera: 1 is face on, below 0 is turned away.

    The mean of the neighbouring triangles' normals, by area; with depths of 0 it is 1 wherever the mesh is not folded.
    """
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    normals = np.zeros_like(vertices)
    crosses = np.cross(b - a, c - a)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], crosses)
    return np.asarray(normals[:, 2] / np.maximum(np.linalg.norm(normals, axis=1), 1e-9))


def smoothed(
    values: NDArray[np.float64], trusted: NDArray[np.float64], triangles: Triangles, *, rounds: int
) -> NDArray[np.float64]:
    """`(V,)` values spread over the mesh: in each round the mean of a vertex and its neighbours.

    Args:
        values: `(V,)`.
        trusted: `(V,)` weights; a vertex of weight 0 takes its value from its neighbours.
        triangles: `(T, 3)`.
        rounds: Larger is smoother.
    """
    total, weight = values * trusted, trusted.copy()
    ends = triangles.reshape(-1)
    starts = (np.roll(triangles, 1, axis=1).reshape(-1), np.roll(triangles, 2, axis=1).reshape(-1))
    valence = 1 + 2 * np.bincount(ends, minlength=len(values))
    for _ in range(rounds):
        total, weight = (
            (array + sum(np.bincount(ends, array[start], len(values)) for start in starts)) / valence
            for array in (total, weight)
        )
    return np.asarray(total / np.maximum(weight, 1e-9))


def scale_between(source: Points, target: Points, triangles: Triangles) -> float:
    """Pixels of the target for one of the source, over the triangles that face the camera in both.

    Raises:
        ShapeError: No triangle does.
    """
    areas, others = doubled_areas(source, triangles), doubled_areas(target, triangles)
    both = (areas > 0) & (others > 0)
    if not both.any():
        raise ShapeError("face mesh", expected="triangles that face the camera in both pictures", actual="none")
    return float(np.sqrt(others[both].sum() / areas[both].sum()))


def vertex_jacobians(source: Points, target: Points, triangles: Triangles) -> NDArray[np.float64]:
    """`(V, 2, 2)` derivatives of the map from source to target at each vertex.

    Green-Gauss: the mean over the neighbouring triangles that face the camera, by area. Vertices with hardly any such
    neighbour get the similarity of the whole.

    Args:
        source: `(V, >=2)` pixels.
        target: `(V, >=2)` pixels.
        triangles: `(T, 3)`; leave out those over which the map breaks, such as the gap of the lips.
    """
    areas = doubled_areas(source, triangles)
    front = areas > 0
    triangles, areas = triangles[front], areas[front]
    weighted = np.einsum("tki,tkj->tij", target[triangles, :2], _perpendiculars(source, triangles))
    total, area = np.zeros((len(source), 2, 2)), np.zeros(len(source))
    for corner in range(3):
        np.add.at(total, triangles[:, corner], weighted)
        np.add.at(area, triangles[:, corner], areas)
    whole = weighted.sum(axis=0) / max(float(areas.sum()), 1e-9)
    little = 0.05 * float(areas.mean()) if len(areas) else 1.0
    return np.asarray((total + little * whole) / (area + little)[:, None, None])


def _perpendiculars(source: Points, triangles: Triangles) -> NDArray[np.float64]:
    """`(T, 3, 2)`: gradients of the barycentric coordinates, times the doubled areas."""
    corners = source[triangles, :2]
    opposite = np.roll(corners, -2, axis=1) - np.roll(corners, -1, axis=1)
    return np.stack([-opposite[..., 1], opposite[..., 0]], axis=2)


def smooth_map(
    source: Points, target: Points, triangles: Triangles, jacobians: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`(T, 2, 6)` a quadratic map from source to target over each triangle.

    `f(p) = sum_i b_i(p) (q_i + J_i (p - p_i) / 2)`: half the linear interpolation of the vertices, half the
    interpolation of their tangent maps (Phong tessellation's blend; T. Boubekeur and M. Alexa, SIGGRAPH Asia 2008).
    Continuous, exact at the vertices and for quadratic maps with exact derivatives, so that no facets show.

    Args:
        source: `(V, >=2)` pixels.
        target: `(V, >=2)` pixels.
        triangles: `(T, 3)`.
        jacobians: `(V, 2, 2)` as `vertex_jacobians` gives them.

    Returns:
        Factors of `1, x, y, x^2, xy, y^2` for both coordinates, x and y counted from the triangle's centroid.
    """
    gradients = _barycentric_gradients(source, triangles)
    corners, goal = source[triangles, :2], target[triangles, :2]
    half = jacobians[triangles] / 2
    centre = corners.mean(axis=1, keepdims=True)
    there = goal + np.einsum("tkij,tkj->tki", half, centre - corners)
    linear = half.mean(axis=1) + np.einsum("tki,tkj->tij", there, gradients)
    square = np.einsum("tkj,tkil->tijl", gradients, half)
    mixed = square[:, :, 0, 1] + square[:, :, 1, 0]
    return np.stack(
        [there.mean(axis=1), linear[..., 0], linear[..., 1], square[..., 0, 0], mixed, square[..., 1, 1]], axis=2
    )


def linear_field(source: Points, values: NDArray[np.float64], triangles: Triangles) -> NDArray[np.float64]:
    """`(T, 3)` factors of `1, x, y` (from the centroid) that interpolate `(V,)` values over each triangle."""
    gradients = _barycentric_gradients(source, triangles)
    corner = values[triangles]
    slope = np.einsum("tk,tkj->tj", corner, gradients)
    return np.column_stack([corner.mean(axis=1), slope])


def _barycentric_gradients(source: Points, triangles: Triangles) -> NDArray[np.float64]:
    areas = doubled_areas(source, triangles)
    safe = np.where(np.abs(areas) > _SLIVER, areas, np.inf)
    return np.asarray(_perpendiculars(source, triangles) / safe[:, None, None])
