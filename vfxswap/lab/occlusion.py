"""Shadow by depth maps: what the key light reaches, and how open a spot is to the sky."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from vfxswap.lab.maths import unit
from vfxswap.lab.parts import Part
from vfxswap.lab.raster import rasterise
from vfxswap.lab.template import grid_normals, grid_triangles

_FAR = 1000.0
_REACH_CM = 24.0
"""Half the width of a depth map."""
_SKY_DIRECTIONS = 28


def depth_map(
    points: Tensor, triangles: Tensor, *, towards: Tensor, centre: Tensor, size: int
) -> tuple[Tensor, Tensor]:
    """Orthographic depth as seen from a light.

    Args:
        points: `(V, 3)` casters.
        triangles: `(T, 3)`.
        towards: `(3,)` unit direction to the light.
        centre: `(3,)` middle of the map; it must not depend on who is in the picture.
        size: Side of the map in texels.

    Returns:
        `(1, 1, size, size)` distances and the `(3, 3)` basis (columns: right, down, away from the light).
    """
    right = unit(torch.linalg.cross(torch.tensor([0.0, 1.0, 1e-4]), towards))
    basis = torch.stack([right, -torch.linalg.cross(towards, right), -towards], 1)
    place = (points - centre) @ basis
    xy = place[:, :2] * (size / (2 * _REACH_CM)) + size / 2
    hits = rasterise(xy, place[:, 2] + 100.0, triangles, height=size, width=size, both_sides=True)
    depth = torch.full((size * size,), _FAR)
    depth[hits.pixels] = hits.depth
    return depth.reshape(1, 1, size, size), basis


def reached(
    depth: Tensor, basis: Tensor, points: Tensor, normals: Tensor, *, centre: Tensor, softness_cm: float
) -> Tensor:
    """Share 0..1 of a light that reaches each point `(V, 3)`; a ring of taps makes the penumbra."""
    place = (points + normals * 0.25 - centre) @ basis
    grid, total = place[:, :2] / _REACH_CM, torch.zeros(len(points))
    taps = 8
    for tap in range(taps):
        angle, radius = 2.399963 * tap, math.sqrt((tap + 0.5) / taps) * softness_cm / _REACH_CM
        shift = torch.tensor([radius * math.cos(angle), radius * math.sin(angle)])
        seen = functional.grid_sample(
            depth, (grid + shift)[None, None], mode="bilinear", align_corners=False, padding_mode="border"
        )[0, 0, 0]
        total = total + torch.sigmoid((seen - (place[:, 2] + 100.0) + 0.25) * 9)
    return total / taps


def openness(parts: Sequence[Part]) -> Tensor:
    """`(V,)` cosine-weighted share of the sky that each vertex of some grids sees (ambient occlusion), 0..1."""
    positions = torch.cat([item.positions for item in parts])
    normals = torch.cat([grid_normals(item.positions, item.rows, item.cols) for item in parts])
    triangles = _coarse_triangles(parts)
    centre = torch.tensor([0.0, -3.0, 0.0])
    total, weight = torch.zeros(len(positions)), torch.full((len(positions),), 1e-6)
    for towards in _sky():
        depth, basis = depth_map(positions, triangles, towards=towards, centre=centre, size=128)
        cosine = (normals @ towards).clamp_min(0)
        total = total + cosine * reached(depth, basis, positions, normals, centre=centre, softness_cm=0.4)
        weight = weight + cosine
    return (total / weight).clamp(0, 1)


def _coarse_triangles(parts: Sequence[Part]) -> Tensor:
    """Triangles over every second row and column; of glass none, it casts no shadow."""
    pieces, offset = [], 0
    for item in parts:
        if item.clear:
            offset += item.rows * item.cols
            continue
        numbers = torch.arange(item.rows * item.cols).reshape(item.rows, item.cols)
        kept = numbers[sorted({*range(0, item.rows, 2), item.rows - 1})]
        kept = kept[:, sorted({*range(0, item.cols, 2), item.cols - 1})]
        pieces.append(kept.reshape(-1)[grid_triangles(*kept.shape)] + offset)
        offset += item.rows * item.cols
    return torch.cat(pieces)


def _sky() -> list[Tensor]:
    """Directions spread evenly over the sphere, the lowest left out (a Fibonacci lattice)."""
    found = []
    for index in range(_SKY_DIRECTIONS):
        y = 1 - 1.7 * (index + 0.5) / _SKY_DIRECTIONS
        radius, angle = math.sqrt(1 - y * y), math.pi * (3 - math.sqrt(5)) * index
        found.append(torch.tensor([radius * math.cos(angle), y, radius * math.sin(angle)]))
    return found
