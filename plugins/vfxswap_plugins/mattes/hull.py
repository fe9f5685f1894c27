"""A matte from the landmarks: the face's outline, feathered inwards."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from vfxswap.errors import UsageError
from vfxswap.frame import FaceBatch
from vfxswap.geometry import Landmarks, Points, Region
from vfxswap.ops.matte import Insets, border_distance, hull_distance, polygon_distance, soft_edge
from vfxswap.stage import Matte, MatteOptions

Excluded = Literal["eyes", "mouth"]

_OUTLINES: dict[Excluded, tuple[Region, ...]] = {"eyes": ("left_eye", "right_eye"), "mouth": ("lips_inner",)}

_ABOVE_EYES, _BELOW_MOUTH = 0.6, 0.8
_HALF_WIDTH_BY_EYES, _HALF_WIDTH_BY_HEIGHT = 1.05, 0.85


class HullOptions(MatteOptions):
    """Settings of `hull`; every percentage is of the crop's side, so it means the same at any resolution."""

    feather_percent: float = Field(
        5.0, ge=0, le=50, description="Width of the soft edge, inside the outline, in percent of the crop's side."
    )
    grow_percent: float = Field(
        0.0, ge=-50, le=50, description="Moves the outline outwards, or inwards if negative, in percent of the side."
    )
    erode_top_percent: float = Field(0.0, ge=0, le=100, description="Moves the forehead's side inwards.")
    erode_bottom_percent: float = Field(0.0, ge=0, le=100, description="Moves the chin's side inwards.")
    erode_left_percent: float = Field(0.0, ge=0, le=100, description="Moves the picture's left side inwards.")
    erode_right_percent: float = Field(0.0, ge=0, le=100, description="Moves the picture's right side inwards.")
    forehead_percent: float = Field(
        0.0, ge=0, le=50, description="Raises the outline's top along the face, in percent of the crop's side."
    )
    exclude: tuple[Excluded, ...] = Field((), description="Parts that keep the plate: eyes, mouth (its inside).")
    exclude_feather_percent: float = Field(
        1.5, ge=0, le=20, description="Width of the soft edge around what is excluded, outside of it."
    )


class Hull(Matte[HullOptions]):
    """The convex hull of the landmarks, feathered inwards; fades out before the crop's border."""

    Options = HullOptions

    def matte(self, faces: FaceBatch) -> Tensor:
        """Gives `(N, 1, S, S)`; each face is computed for itself.

        Raises:
            UsageError: Something is to be excluded that the landmarks do not outline.
        """
        size, device = faces.crops.shape[-1], faces.crops.device
        return torch.stack([self._one(landmarks, size, device)[None] for landmarks in faces.landmarks])

    def _one(self, landmarks: Landmarks, size: int, device: torch.device) -> Tensor:
        options, unit = self.options, size / 100
        insets = Insets(
            options.erode_top_percent * unit,
            options.erode_bottom_percent * unit,
            options.erode_left_percent * unit,
            options.erode_right_percent * unit,
        )
        points = outline(landmarks, forehead_px=options.forehead_percent * unit)
        distance = hull_distance(points, size, insets=insets, grow_px=options.grow_percent * unit, device=device)
        distance = torch.minimum(distance, border_distance(size, device=device))
        matte = soft_edge(distance, options.feather_percent * unit)
        for part in options.exclude:
            matte = matte * self._without(part, landmarks, size, device)
        return matte

    def _without(self, part: Excluded, landmarks: Landmarks, size: int, device: torch.device) -> Tensor:
        if landmarks.scheme == "five":
            raise UsageError(
                f"hull cannot exclude {part!r}: five landmarks do not outline it; use an aligner with dense landmarks,"
                " such as facemesh, or leave exclude empty"
            )
        outside = torch.ones((size, size), device=device)
        for region in _OUTLINES[part]:
            hole = polygon_distance(landmarks.region(region), size, device=device)
            outside = outside * soft_edge(-hole, self.options.exclude_feather_percent * size / 100)
        return outside


def outline(landmarks: Landmarks, *, forehead_px: float = 0.0) -> Points:
    """`(K, 2)` crop pixels whose convex hull is the face.

    Dense landmarks are taken whole, so that a nose which reaches over the cheek in a half profile is inside. Of five
    points an ellipse is estimated from the eyes and the mouth.

    Args:
        landmarks: In crop pixels.
        forehead_px: How far the hull's top is raised along the face's own axis; what lies above the eyes is stretched.
    """
    points = _ellipse(landmarks.five()) if landmarks.scheme == "five" else landmarks.points[:, :2].copy()
    if forehead_px <= 0:
        return points
    five = landmarks.five()
    eyes, up = five[:2].mean(axis=0), _up(five)
    height = (points - eyes) @ up
    top = float(height.max())
    if top <= 0:
        return points
    return np.asarray(points + (height.clip(min=0) * (forehead_px / top))[:, None] * up)


def _up(five: Points) -> Points:
    """Unit vector from the mouth to the eyes."""
    axis = five[:2].mean(axis=0) - five[3:].mean(axis=0)
    return np.asarray(axis / max(float(np.linalg.norm(axis)), 1e-9))


def _ellipse(five: Points) -> Points:
    """`(64, 2)` points of an ellipse from brows to chin.

    A rule of thumb, for want of an outline: with the eyes' height over the mouth as unit, it reaches 0.6 above the eyes
    and 0.8 below the mouth; it is 2.1 eye distances wide, but not narrower than a turned head looks.
    """
    eyes, mouth, up = five[:2].mean(axis=0), five[3:].mean(axis=0), _up(five)
    height = float(np.linalg.norm(eyes - mouth))
    half_width = max(_HALF_WIDTH_BY_EYES * float(np.linalg.norm(five[1] - five[0])), _HALF_WIDTH_BY_HEIGHT * height)
    middle = (eyes + mouth) / 2 + up * height * (_ABOVE_EYES - _BELOW_MOUTH) / 2
    half_height = height * (1 + _ABOVE_EYES + _BELOW_MOUTH) / 2
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)[:, None]
    across = np.array([-up[1], up[0]])
    return np.asarray(middle + np.cos(angle) * half_width * across + np.sin(angle) * half_height * up)
