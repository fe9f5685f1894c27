"""Rasterising triangles: which triangle shows at each pixel centre, and what it holds there."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vfxswap.errors import ShapeError

SUBPIXELS = 256
"""Vertices are rounded to 1/256 px, as graphics hardware does, so that edge tests are whole-number arithmetic."""
_DEPTH_STEPS = 1 << 24
_NEVER = (1 << 63) - 1


def snapped(vertices: Tensor) -> Tensor:
    """`(V, >=2)` vertices with x and y rounded to the raster's grid; attributes must be made from these."""
    result = vertices.clone()
    result[:, :2] = (vertices[:, :2] * SUBPIXELS).round() / SUBPIXELS
    return result


def rasterise(vertices: Tensor, triangles: Tensor, *, size_px: int) -> Tensor:
    """Finds the triangle that shows at each pixel centre.

    Triangles that face away (negative or no area, y running down) are culled; of several that cover a pixel centre the
    nearest wins, at equal depth the one with the smaller number. A centre on an edge belongs to both sides, so there
    are no cracks between neighbours: edges are tested in whole-number arithmetic, the same on every device.

    Args:
        vertices: `(V, 3)` float32 or float64: x, y in pixels and depth, smaller is nearer; finite, within 2**15 px.
        triangles: `(T, 3)` int64.
        size_px: Side of the picture.

    Returns:
        `(size, size)` int64 triangle numbers, -1 where there is none.

    Raises:
        ShapeError: Wrong shapes, or vertices out of range.
    """
    if vertices.ndim != 2 or vertices.shape[1] != 3 or triangles.ndim != 2 or triangles.shape[1] != 3:
        raise ShapeError(
            "mesh", expected="(V, 3) vertices, (T, 3) triangles", actual=f"{vertices.shape}, {triangles.shape}"
        )
    if not bool((vertices.abs() < 2**15).all()):
        raise ShapeError("vertices", expected="finite and within 2**15 px", actual="others")
    spans = _spans((vertices[:, :2] * SUBPIXELS).round().long()[triangles], size_px)
    span, column = _expanded(spans.width, spans.first)
    triangle, row = spans.triangle[span], spans.row[span]
    depth = _depth_keys(vertices, triangles, triangle, column, row)
    keys = torch.full((size_px * size_px,), _NEVER, dtype=torch.int64, device=vertices.device)
    keys.scatter_reduce_(0, row * size_px + column, (depth << 32) | triangle, reduce="amin")
    return torch.where(keys == _NEVER, -1, keys & 0xFFFFFFFF).view(size_px, size_px)


class _Spans(NamedTuple):
    """Rows of triangles: of each the pixels `first .. first + width - 1` are covered."""

    triangle: Tensor
    row: Tensor
    first: Tensor
    width: Tensor


def _spans(corners: Tensor, size_px: int) -> _Spans:
    """The covered pixels of each row of each triangle; corners `(T, 3, 2)` in subpixels."""
    half = SUBPIXELS // 2
    after = corners.roll(-1, dims=1)
    edge = after - corners
    facing = edge[:, 0, 0] * edge[:, 1, 1] - edge[:, 0, 1] * edge[:, 1, 0] > 0
    top = _ceil_div(_smallest(corners[..., 1]) - half, SUBPIXELS).clamp_min(0)
    bottom = _floor_div(_largest(corners[..., 1]) - half, SUBPIXELS).clamp_max(size_px - 1)
    triangle, row = _expanded((bottom - top + 1).clamp_min(0) * facing, top)
    # Inside is where slope * x + offset >= 0 for all three edges, x and y at pixel centres.
    dx, dy = edge[triangle, :, 0], edge[triangle, :, 1]
    centre = (row * SUBPIXELS + half)[:, None]
    offset = dx * (centre - corners[triangle, :, 1]) + dy * (corners[triangle, :, 0] - half)
    slope = -dy * SUBPIXELS
    safe = torch.where(slope == 0, 1, slope)
    least = torch.where(slope > 0, _ceil_div(-offset, safe), 0)
    most = torch.where(slope < 0, _floor_div(offset, -safe), size_px - 1)
    most = torch.where((slope == 0) & (offset < 0), -1, most)
    first, last = _largest(least).clamp_min(0), _smallest(most).clamp_max(size_px - 1)
    return _Spans(triangle, row, first, (last - first + 1).clamp_min(0))


def _smallest(three: Tensor) -> Tensor:
    """`(N,)` of `(N, 3)`; reductions over so short a side are slow."""
    return torch.minimum(torch.minimum(three[:, 0], three[:, 1]), three[:, 2])


def _largest(three: Tensor) -> Tensor:
    return torch.maximum(torch.maximum(three[:, 0], three[:, 1]), three[:, 2])


def _floor_div(number: Tensor, by: Tensor | int) -> Tensor:
    return torch.div(number, by, rounding_mode="floor")


def _ceil_div(number: Tensor, by: Tensor | int) -> Tensor:
    return -torch.div(-number, by, rounding_mode="floor")


def _expanded(count: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
    """Owner and number of each of `count[i]` consecutive numbers that start with `first[i]`."""
    owner = torch.repeat_interleave(torch.arange(len(count), device=count.device), count)
    start = count.cumsum(0) - count
    return owner, torch.arange(len(owner), device=count.device) - start[owner] + first[owner]


def _depth_keys(vertices: Tensor, triangles: Tensor, triangle: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """Depth at the pixel centres in `0 .. 2**24`, by the plane of each triangle."""
    depth = vertices[:, 2]
    nearest, extent = depth.amin(), (depth.amax() - depth.amin()).clamp_min(1e-9)
    corners = snapped(vertices)[triangles]
    a, b, c = corners.unbind(1)
    ab, ac = b - a, c - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    area = torch.where(area == 0, torch.inf, area)
    slope_x = (ab[:, 2] * ac[:, 1] - ac[:, 2] * ab[:, 1]) / area
    slope_y = (ac[:, 2] * ab[:, 0] - ab[:, 2] * ac[:, 0]) / area
    here = a[triangle, 2] + slope_x[triangle] * (column + 0.5 - a[triangle, 0])
    here = here + slope_y[triangle] * (row + 0.5 - a[triangle, 1])
    # The plane of a sliver is steep; inside the triangle no depth lies beyond those of its corners.
    here = here.clamp(_smallest(corners[..., 2])[triangle], _largest(corners[..., 2])[triangle])
    return ((here - nearest) / extent * _DEPTH_STEPS).round().clamp(0, _DEPTH_STEPS).long()


class Covered(NamedTuple):
    """The pixels of a picture that a mesh covers; P of them."""

    pixel: Tensor
    """`(P,)` int64 places in the flattened picture."""
    triangle: Tensor
    """`(P,)` int64."""
    x: Tensor
    """`(P,)` float32 distance from the triangle's centroid, in pixels."""
    y: Tensor
    """`(P,)` float32."""


def covered(shown: Tensor, centroids: Tensor) -> Covered:
    """The covered pixels of `rasterise`'s picture, by place.

    Args:
        shown: `(S, S)` int64, -1 where there is nothing.
        centroids: `(T, 2)` float32, on the same device.
    """
    flat = shown.reshape(-1)
    pixel = torch.nonzero(flat >= 0).squeeze(1)
    triangle = flat[pixel]
    width = shown.shape[1]
    at = centroids.T.contiguous().index_select(1, triangle)
    return Covered(
        pixel, triangle, pixel % width + 0.5 - at[0], torch.div(pixel, width, rounding_mode="floor") + 0.5 - at[1]
    )


def evaluated(factors: Tensor, where: Covered) -> Tensor:
    """Polynomials of the triangles at the covered pixels.

    Args:
        factors: `(T, C, 3)` (of `1, x, y`) or `(T, C, 6)` (of `1, x, y, x^2, xy, y^2`) float32, x and y from the
            triangle's centroid.
        where: The pixels.

    Returns:
        `(C, P)` float32.
    """
    rows = factors.permute(2, 1, 0).reshape(-1, factors.shape[0]).contiguous()
    terms = rows.index_select(1, where.triangle).view(factors.shape[2], factors.shape[1], -1)
    result = terms[0] + terms[1] * where.x + terms[2] * where.y
    if factors.shape[2] == 6:
        result = result + (terms[3] * where.x + terms[4] * where.y) * where.x + terms[5] * where.y * where.y
    return result


def soft_polygon(corners: Tensor, *, size_px: int, feather_px: float) -> Tensor:
    """A filled polygon with a linear edge of that width, centred on the outline.

    Args:
        corners: `(M, 2)` float32 x, y in pixels, closed; even-odd rule.
        size_px: Side of the picture.
        feather_px: Width of the edge, above 0.

    Returns:
        `(size, size)` float32: 1 inside, 0 outside.
    """
    result = torch.zeros((size_px, size_px), dtype=corners.dtype, device=corners.device)
    low = (corners.amin(dim=0) - feather_px).floor().clamp(0, size_px).long().tolist()
    high = (corners.amax(dim=0) + feather_px).ceil().clamp(0, size_px).long().tolist()
    y, x = (torch.arange(low[i], high[i], device=corners.device) + 0.5 for i in (1, 0))
    at = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], dim=-1)[..., None, :]
    edge = corners.roll(-1, dims=0) - corners
    away = at - corners
    along = ((away * edge).sum(-1) / (edge * edge).sum(-1).clamp_min(1e-12)).clamp(0, 1)
    distance = (away - along[..., None] * edge).square().sum(-1).amin(-1).sqrt()
    straddles = (corners[:, 1] > at[..., 1]) != ((corners + edge)[:, 1] > at[..., 1])
    rise = torch.where(edge[:, 1] == 0, 1, edge[:, 1])
    inside = (straddles & (away[..., 0] < away[..., 1] / rise * edge[:, 0])).sum(-1) % 2 == 1
    value = (0.5 + torch.where(inside, distance, -distance) / feather_px).clamp(0, 1)
    result[low[1] : high[1], low[0] : high[0]] = value
    return result
