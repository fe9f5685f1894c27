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
    points: Tensor, depth: Tensor, triangles: Tensor, *, height: int, width: int, both_sides: bool = False
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
        both_sides: Also draw triangles seen from behind.
    """
    chosen = _visible(points, depth, triangles, (height, width), both_sides)
    affine, box, origin = _set_up(points, depth, triangles[chosen], (height, width))
    count = box[:, 2] * box[:, 3]
    owner = torch.repeat_interleave(torch.arange(len(chosen), device=points.device), count)
    offset = torch.arange(len(owner), device=points.device) - (count.cumsum(0) - count)[owner]
    row = torch.div(offset, box[owner, 2], rounding_mode="floor")
    column = box[owner, 0] + offset - row * box[owner, 2]
    row = box[owner, 1] + row
    a = affine[owner]
    dx, dy = column + 0.5 - origin[owner, 0], row + 0.5 - origin[owner, 1]
    second, third = a[:, 0] * dx + a[:, 1] * dy, a[:, 2] * dx + a[:, 3] * dy
    inside = ((second >= 0) & (third >= 0) & (second + third <= 1)).nonzero()[:, 0]
    second, third, a = second[inside], third[inside], a[inside]
    inverse = a[:, 4] + second * a[:, 5] + third * a[:, 6]
    nearest = _nearest(1 / inverse, (row * width + column)[inside], height * width)
    pixels = (nearest != _NOTHING).nonzero()[:, 0]
    winner = nearest[pixels] & 0xFFFFFFFF
    return _hits(
        pixels, chosen, owner[inside][winner], (second[winner], third[winner]), inverse[winner], depth, triangles
    )


def _visible(points: Tensor, depth: Tensor, triangles: Tensor, size: tuple[int, int], both_sides: bool) -> Tensor:
    """Numbers of the triangles that face the camera and whose box holds a pixel centre."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    low, high = torch.minimum(torch.minimum(a, b), c), torch.maximum(torch.maximum(a, b), c)
    first, last = (low - 0.5).ceil(), (high - 0.5).floor()
    limit = torch.tensor([size[1] - 1, size[0] - 1], device=points.device)
    holds = ((torch.minimum(last, limit) >= first.clamp_min(0)).all(1)) & (depth[triangles] > 1e-3).all(1)
    facing = area.abs() > 1e-9 if both_sides else area < -1e-9
    return (holds & facing).nonzero()[:, 0]


def _set_up(points: Tensor, depth: Tensor, triangles: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Affine forms of each triangle's barycentrics and inverse depth, its pixel box (x, y, w, h) and first corner."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    inverse = 1 / depth[triangles]
    affine = torch.stack(
        [
            (c[:, 1] - a[:, 1]) / area,
            -(c[:, 0] - a[:, 0]) / area,
            -(b[:, 1] - a[:, 1]) / area,
            (b[:, 0] - a[:, 0]) / area,
            inverse[:, 0],
            inverse[:, 1] - inverse[:, 0],
            inverse[:, 2] - inverse[:, 0],
        ],
        1,
    )
    limit = torch.tensor([size[1] - 1, size[0] - 1], device=points.device)
    first = (torch.minimum(torch.minimum(a, b), c) - 0.5).ceil().clamp_min(0)
    last = torch.minimum((torch.maximum(torch.maximum(a, b), c) - 0.5).floor(), limit)
    return affine, torch.cat([first, last - first + 1], 1).long(), a


def _nearest(depth: Tensor, pixels: Tensor, count: int) -> Tensor:
    """For each of `count` pixels the packed (depth, candidate) of the nearest candidate."""
    key = ((depth * _DEPTH_STEPS).long() << 32) | torch.arange(len(depth), device=depth.device)
    buffer = torch.full((count,), _NOTHING, device=depth.device)
    return buffer.scatter_reduce_(0, pixels, key, "amin")


def _hits(
    pixels: Tensor,
    chosen: Tensor,
    owner: Tensor,
    screen: tuple[Tensor, Tensor],
    inverse: Tensor,
    depth: Tensor,
    triangles: Tensor,
) -> Hits:
    """Turns screen-space barycentrics into perspective-correct ones."""
    number = chosen[owner]
    share = torch.stack([1 - screen[0] - screen[1], *screen], 1) / depth[triangles[number]]
    return Hits(pixels, number, share / inverse[:, None], 1 / inverse)
