"""The planes of a face that is trained on: its picture, what of it is face, and where its eyes and mouth are."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vfxswap.alignment import as_ibug68
from vfxswap.faceset import Faceset
from vfxswap.geometry import Landmarks
from vfxswap.ops.matte import hull_distance, soft_edge

PLANES = 5
"""R', G', B', matte, eyes and mouth."""
_FEATURE_WIDTH = 0.035
"""Of an eye's or a mouth's soft spot, as part of a crop's side."""


def read_face(faceset: Faceset, index: int, size_px: int) -> Tensor:
    """One face's planes, `(5, S, S)` uint8, averaged down or interpolated up to the size.

    Raises:
        MediaError: A picture cannot be read.
    """
    image, matte = faceset.image(index), faceset.matte(index)
    points = faceset.landmarks(index)
    if matte is None:
        matte = hull_matte(points, faceset.crop.size_px)
    planes = torch.cat([image, matte, eyes_and_mouth(points, faceset.crop.size_px)])
    if faceset.crop.size_px != size_px:
        sized = (size_px, size_px)
        planes = functional.interpolate(planes[None], sized, mode="bilinear", antialias=True, align_corners=False)[0]
    return (planes.clamp(0, 1) * 255).round().to(torch.uint8)


def hull_matte(points: Landmarks, size_px: int) -> Tensor:
    """`(1, S, S)` what of a crop is face, as far as its landmarks tell: their hull, softly edged."""
    distance = hull_distance(points.points[:, :2], size_px, device=torch.device("cpu"))
    return soft_edge(distance, 0.03 * size_px)[None]


def eyes_and_mouth(points: Landmarks, size_px: int) -> Tensor:
    """`(1, S, S)` 0..1, soft spots about the points of eyes and mouth."""
    if points.scheme in {"mesh468", "ibug68"}:
        xy = as_ibug68(points).points[36:, :2]
    else:
        five = points.five()
        xy = five[[0, 1, 3, 4]]
    at = torch.as_tensor(np.ascontiguousarray(xy), dtype=torch.float32)
    line = torch.arange(size_px) + 0.5
    width = 2 * (_FEATURE_WIDTH * size_px) ** 2
    columns = torch.exp(-((line - at[:, :1]) ** 2) / width)
    rows = torch.exp(-((line - at[:, 1:]) ** 2) / width)
    return (rows[:, :, None] * columns[:, None, :]).amax(0)[None]
