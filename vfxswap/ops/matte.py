"""Mattes from outlines: signed distances, exact and smooth in the outline's points, and soft edges made of them.

A distance field moves with its landmarks by fractions of a pixel, so an edge made from it does not crawl. Distances are
computed at a quarter of the resolution and interpolated: inside a convex outline they are piecewise linear and concave,
so an interpolated distance is never larger than the true one, and a matte never leaves its outline.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.geometry import Points

_STEP_PX = 4
_OUTSIDE_PX = -1e6


class Insets(NamedTuple):
    """How far each side of an outline moves inwards, in pixels, along the axes of the crop; all >= 0."""

    top: float = 0.0
    bottom: float = 0.0
    left: float = 0.0
    right: float = 0.0


NO_INSETS = Insets()
"""No side moves."""


def _checked(points: Points) -> Points:
    if points.ndim != 2 or points.shape[1] != 2 or not len(points) or not np.isfinite(points).all():
        raise ShapeError("an outline", expected="(K>=1, 2) finite points", actual=f"{points.shape}: {points!r:.80}")
    return points


def _nodes(size_px: int) -> NDArray[np.float64]:
    """Where distances are computed along an axis: from the first to the last pixel's centre."""
    return np.linspace(0.5, size_px - 0.5, max(2, -(-size_px // _STEP_PX) + 1))


def _interpolated(coarse: Tensor, size_px: int) -> Tensor:
    return F.interpolate(coarse[None, None], (size_px, size_px), mode="bilinear", align_corners=True)[0, 0]


def hull_distance(
    points: Points, size_px: int, *, insets: Insets = NO_INSETS, grow_px: float = 0.0, device: torch.device
) -> Tensor:
    """Signed distance to the convex hull of some points.

    The least of the distances to the lines through the hull's edges: inside this is the exact distance; outside it is
    that of the hull with mitred corners, at most the true one. A side's inset cuts the hull by a copy of itself that is
    moved inwards, which for a convex outline is a shift of each line along its own normal.

    Args:
        points: `(K, 2)` crop pixels.
        size_px: Side S of the crop.
        insets: How far the sides move inwards.
        grow_px: How far the whole outline moves outwards; negative shrinks it.
        device: Where the result shall be.

    Returns:
        `(S, S)` float32 pixels at the pixel centres, positive inside. Points without an area have no inside.

    Raises:
        ShapeError: The points are not `(K, 2)`, or not finite.
    """
    hull = cv2.convexHull(_checked(points).astype(np.float32)).reshape(-1, 2).astype(np.float64)
    edges = np.roll(hull, -1, axis=0) - hull
    lengths = np.linalg.norm(edges, axis=1)
    if len(hull) < 3 or lengths.min() <= 0:
        return torch.full((size_px, size_px), _OUTSIDE_PX, device=device)
    normals = np.column_stack([-edges[:, 1], edges[:, 0]]) / lengths[:, None]
    if (normals * (hull.mean(axis=0) - hull)).sum(axis=1).mean() < 0:
        normals = -normals
    shifts = np.array([(0, insets.top), (0, -insets.bottom), (insets.left, 0), (-insets.right, 0)])
    cut = (normals @ shifts.T).clip(min=0).max(axis=1)
    offsets = grow_px - cut - (normals * hull).sum(axis=1)
    nodes = _nodes(size_px)
    lines = (normals[:, :1] * nodes)[:, None, :] + (normals[:, 1:] * nodes + offsets[:, None])[:, :, None]
    return _interpolated(torch.from_numpy(lines.min(axis=0).astype(np.float32)).to(device), size_px)


def polygon_distance(points: Points, size_px: int, *, device: torch.device) -> Tensor:
    """Signed distance to a closed outline, convex or not; even-odd where it crosses itself.

    The distance to the nearest point of any edge; the sign by counting crossings of a ray (M. Shimrat, "Algorithm 112:
    Position of point relative to polygon", CACM 5(8), 1962).

    Args:
        points: `(K, 2)` crop pixels, in order around the outline.
        size_px: Side S of the crop.
        device: Where the result shall be.

    Returns:
        `(S, S)` float32 pixels at the pixel centres, positive inside; interpolated from every fourth pixel.

    Raises:
        ShapeError: The points are not `(K, 2)`, or not finite.
    """
    start = _checked(points)
    edge = np.roll(start, -1, axis=0) - start
    nodes = _nodes(size_px)
    x, y = (nodes[None, None, :] - start[:, 0, None, None], nodes[None, :, None] - start[:, 1, None, None])
    edge_x, edge_y = edge[:, 0, None, None], edge[:, 1, None, None]
    along = (x * edge_x + y * edge_y) / np.maximum(edge_x**2 + edge_y**2, 1e-12)
    along = along.clip(0, 1)
    distance = np.sqrt(((x - along * edge_x) ** 2 + (y - along * edge_y) ** 2).min(axis=0))
    spans = (y >= 0) != (y >= edge_y)
    crosses = spans & (np.where(edge_y > 0, 1, -1) * (x * edge_y - y * edge_x) < 0)
    inside = np.logical_xor.reduce(crosses, axis=0)
    signed = np.where(inside, distance, -distance).astype(np.float32)
    return _interpolated(torch.from_numpy(signed).to(device), size_px)


def border_distance(size_px: int, *, device: torch.device) -> Tensor:
    """`(S, S)` float32: how far each pixel's centre lies from the crop's border, in pixels."""
    nodes = torch.arange(size_px, dtype=torch.float32, device=device) + 0.5
    near = torch.minimum(nodes, size_px - nodes)
    return torch.minimum(near[None, :], near[:, None])


def soft_edge(distance: Tensor, feather_px: float) -> Tensor:
    """A matte from a signed distance: 0 where it is not positive, 1 from `feather_px` on, smoothstep between.

    The feather lies inside the outline. One of less than a pixel is a pixel wide, which is the edge's anti-aliasing.

    Args:
        distance: Pixels, any shape.
        feather_px: Width of the edge, >= 0.

    Returns:
        Float32 0..1, exactly 0 outside and exactly 1 in the core.
    """
    t = (distance / max(feather_px, 1.0)).clamp_(0, 1)
    return t * t * (3 - 2 * t)


def holes_filled(mattes: Tensor) -> Tensor:
    """Fills what the border cannot be reached from: each hole rises to the lowest pass on a way out of it.

    Hole filling by grey-scale reconstruction (L. Vincent, "Morphological grayscale reconstruction in image analysis:
    applications and efficient algorithms", IEEE TIP 2(2), 1993); pixels that touch at a corner are joined.

    Args:
        mattes: `(N, 1, H, W)` float32 0..1.

    Returns:
        The same shape, nowhere lower; what is joined to the border keeps its bits.
    """
    lacking = 1 - mattes
    reached = lacking.clone()
    reached[..., 1:-1, 1:-1] = 0
    while True:
        further = torch.minimum(F.max_pool2d(reached, 3, 1, 1), lacking)
        if torch.equal(further, reached):
            return torch.where(reached == lacking, mattes, 1 - reached)
        reached = further
