"""The light on a face, by the directions in which its skin looks.

Distant light on matt skin is nearly nine numbers: the second-order spherical harmonics of the normal (R. Ramamoorthi,
P. Hanrahan, "An efficient representation for irradiance environment maps", SIGGRAPH 2001). They are fitted to the
logarithm of what the vertices of a face mesh show, so that gains of two faces' light are differences, and spots, beard
and brows, which do not depend on where the skin looks, stay what they are (the quotient image of A. Shashua,
T. Riklin-Raviv, IEEE PAMI 23(2), 2001, has the same use).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.geometry import Points
from vfxswap.ops.meshmap import Triangles

Floats = NDArray[np.float64]

_BLACK: Final = 0.02
"""Added to R'G'B' before the logarithm, so that noise in the blacks is no light."""
_RIDGE: Final = 0.02
"""Of the fit, for each of a picture's samples: normals that are hardly seen say little."""
_ROUNDS: Final = 3
_SPREAD: Final = 0.25
"""Deviation of the logarithm at which a vertex begins to count as no bare skin."""


def vertex_normals(vertices: Points, triangles: Triangles) -> Points:
    """`(V, 3)` unit normals, the mean of the neighbouring triangles' by area; towards the camera is z > 0."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    crosses = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], crosses)
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9))


def harmonics(normals: Points) -> Floats:
    """`(V, 9)` real spherical harmonics to the second order, each of about unit size."""
    x, y, z = normals.T
    return np.stack([np.ones_like(x), x, y, z, x * y, y * z, z * x, x * x - y * y, 3 * z * z - 1], axis=1)


def shown_at(image: Tensor, points: Points, *, cell_px: float) -> tuple[Floats, NDArray[np.bool_]]:
    """`(V, 3)` colours of a picture `(3, H, W)` at points, averaged over cells; and which points lie inside."""
    size = max(1, round(cell_px))
    small = F.avg_pool2d(image[None], size, ceil_mode=True, count_include_pad=False)
    height, width = image.shape[1:]
    grid = points[:, :2] / np.array([small.shape[3] * size, small.shape[2] * size]) * 2 - 1
    at = torch.from_numpy(grid).to(image.device, torch.float32)[None, None]
    found = F.grid_sample(small, at, mode="bilinear", padding_mode="border", align_corners=False)[0, :, 0].T
    x, y = points[:, 0], points[:, 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return np.asarray(found.cpu().double().numpy()), inside


def fitted_light(colours: Floats, normals: Points, weights: Floats) -> Floats:
    """`(9, 4)` factors of the harmonics, of the logarithm of R'G'B' and luma.

    Args:
        colours: `(V, 3)` R'G'B'.
        normals: `(V, 3)`.
        weights: `(V,)` how much each vertex shows bare skin, 0..1; what does not fit is left out further (iteratively
            re-weighted least squares, Welsch's function).
    """
    bright = np.column_stack([colours, colours @ np.array([0.2126, 0.7152, 0.0722])])
    target, basis = np.log(np.maximum(bright, 0) + _BLACK), harmonics(normals)
    share = weights.copy()
    found = np.zeros((9, 4))
    for _ in range(_ROUNDS):
        scaled = basis * share[:, None]
        ridge = _RIDGE * float(share.sum()) * np.diag([0.0, *[1.0] * 8]) + 1e-9 * np.eye(9)
        found = np.linalg.solve(basis.T @ scaled + ridge, scaled.T @ target)
        miss = np.abs(target - basis @ found).mean(axis=1)
        share = weights * np.exp(-0.5 * (miss / _SPREAD) ** 2)
    return np.asarray(found)
