"""A small exact rasteriser in plain torch: the nearest triangle at each pixel centre."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_DEPTH_STEPS = 4096
"""Depth is compared in steps of 1/4096 cm, so that the comparison packs into 32 bits up to 5 km."""
_NOTHING = torch.iinfo(torch.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """The pixels that a mesh covers; P of them, in ascending order."""

    pixels: Tensor
    """`(P,)` int64, row times width plus column."""
    triangles: Tensor
    """`(P,)` int64."""
    weights: Tensor
    """`(P, 3)` float32 barycentric, perspective-correct."""
    depth: Tensor
    """`(P,)` float32 distance along the optical axis."""

    def take(self, mask: Tensor) -> Hits:
        """Those of a boolean mask `(P,)`."""
        return Hits(self.pixels[mask], self.triangles[mask], self.weights[mask], self.depth[mask])

    def interpolate(self, values: Tensor, triangles: Tensor) -> Tensor:
        """Vertex values `(V, C)` at the pixels, `(P, C)`; `triangles` is the mesh's `(T, 3)`."""
        corners = triangles[self.triangles]
        total = values[corners[:, 0]] * self.weights[:, :1]
        total = total + values[corners[:, 1]] * self.weights[:, 1:2]
        return total + values[corners[:, 2]] * self.weights[:, 2:]


def rasterise(
    points: Tensor, depth: Tensor, triangles: Tensor, *, height: int, width: int, both_sides: Tensor | bool = False
) -> Hits:
    """Finds which triangle each pixel centre sees.

    Every triangle is expanded into the pixels of its bounding box, tested by its edges, and the nearest wins by one
    `scatter_reduce` of (depth, candidate) packed in an integer: no order of evaluation can change the result.

    Args:
        points: `(V, 2)` float32 pixel positions, pixel centres at +0.5.
        depth: `(V,)` float32 distance from the camera, positive; triangles with a corner behind it are left out.
        triangles: `(T, 3)` int64.
        height: Rows of the picture.
        width: Columns.
        both_sides: Whether to draw triangles seen from behind too, for all or, `(T,)` bool, for each.
    """
    chosen = _visible(points, depth, triangles, (height, width), both_sides)
    edges, inverse_depth, box = _set_up(points, depth, triangles[chosen], (height, width))
    owner, column, row = _expanded(box)
    e = edges[owner]
    dx, dy = column + 0.5 - e[:, 4], row + 0.5 - e[:, 5]
    second, third = e[:, 0] * dx + e[:, 1] * dy, e[:, 2] * dx + e[:, 3] * dy
    inside = ((second >= 0) & (third >= 0) & (second + third <= 1)).nonzero()[:, 0]
    second, third, owner = second[inside], third[inside], owner[inside]
    corner = inverse_depth[owner]
    inverse = corner[:, 0] + second * corner[:, 1] + third * corner[:, 2]
    nearest = _nearest(1 / inverse, row[inside] * width + column[inside], height * width)
    pixels = (nearest != _NOTHING).nonzero()[:, 0]
    winner = nearest[pixels] & 0xFFFFFFFF
    number = chosen[owner[winner]]
    second, third, inverse = second[winner], third[winner], inverse[winner]
    share = torch.stack([1 - second - third, second, third], 1) / depth[triangles[number]]
    return Hits(pixels, number, share / inverse[:, None], 1 / inverse)


def _expanded(box: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For every pixel of every box (x, y, w, h) the number of the box, the column and the row."""
    count = box[:, 2] * box[:, 3]
    owner = torch.repeat_interleave(torch.arange(len(box), device=box.device), count)
    start = torch.stack([box[:, 0], box[:, 1], box[:, 2], count.cumsum(0) - count], 1)[owner]
    offset = torch.arange(len(owner), device=box.device) - start[:, 3]
    down = torch.div(offset, start[:, 2], rounding_mode="floor")
    return owner, start[:, 0] + offset - down * start[:, 2], start[:, 1] + down


def _visible(
    points: Tensor, depth: Tensor, triangles: Tensor, size: tuple[int, int], both_sides: Tensor | bool
) -> Tensor:
    """Numbers of the triangles that face the camera and whose box holds a pixel centre."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    low, high = torch.minimum(torch.minimum(a, b), c), torch.maximum(torch.maximum(a, b), c)
    first, last = (low - 0.5).ceil(), (high - 0.5).floor()
    limit = torch.tensor([size[1] - 1, size[0] - 1], device=points.device)
    holds = ((torch.minimum(last, limit) >= first.clamp_min(0)).all(1)) & (depth[triangles] > 1e-3).all(1)
    facing = (area < -1e-9) | ((area > 1e-9) & both_sides)
    return (holds & facing).nonzero()[:, 0]


def _set_up(points: Tensor, depth: Tensor, triangles: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Of each triangle: two edge forms and their origin `(T, 6)`, inverse depth `(T, 3)`, pixel box (x, y, w, h)."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    ab, ac = b - a, c - a
    area = (ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0])[:, None]
    normal = torch.stack([ac[:, 1], -ac[:, 0], -ab[:, 1], ab[:, 0]], 1)
    inverse = 1 / depth[triangles]
    slopes = torch.stack([inverse[:, 0], inverse[:, 1] - inverse[:, 0], inverse[:, 2] - inverse[:, 0]], 1)
    limit = torch.tensor([size[1] - 1, size[0] - 1], device=points.device)
    first = (torch.minimum(torch.minimum(a, b), c) - 0.5).ceil().clamp_min(0)
    last = torch.minimum((torch.maximum(torch.maximum(a, b), c) - 0.5).floor(), limit)
    return torch.cat([normal / area, a], 1), slopes, torch.cat([first, last - first + 1], 1).long()


def _nearest(depth: Tensor, pixels: Tensor, count: int) -> Tensor:
    """For each of `count` pixels the packed (depth, candidate) of the nearest candidate."""
    key = ((depth * _DEPTH_STEPS).long() << 32) | torch.arange(len(depth), device=depth.device)
    buffer = torch.full((count,), _NOTHING, device=depth.device)
    return buffer.scatter_reduce_(0, pixels, key, "amin")
