"""The camera: where a point of the world falls in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from vfxswap.lab.maths import unit

SENSOR_HEIGHT_MM = 14.0
"""Height of the gate, as Super 35 three-perforation 16:9 (about 24.9 x 14.0 mm)."""


class Camera(BaseModel):
    """Lens and place of a camera that looks along -z."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    focal_mm: float = Field(default=50.0, gt=5, lt=500, description="Focal length on a gate 14 mm high.")
    distance_cm: float = Field(
        default=118.0, gt=30, lt=2000, description="From the origin between the performer's ears."
    )
    truck_cm: float = Field(default=0.0, ge=-200, le=200, description="Shift to the image's right.")
    boom_cm: float = Field(default=-2.2, ge=-100, le=100, description="Shift upwards.")

    def focal_px(self, height: int) -> float:
        """Focal length in pixels of a picture of that height."""
        return self.focal_mm / SENSOR_HEIGHT_MM * height

    def px_per_cm(self, height: int) -> float:
        """Scale at the origin."""
        return self.focal_px(height) / self.distance_cm


@dataclass(frozen=True, slots=True)
class View:
    """A camera at one instant, with a picture size."""

    camera: Camera
    height: int
    width: int
    offset: tuple[float, float] = (0.0, 0.0)
    """Shift of the picture in pixels (hand-held shake and sub-pixel sampling)."""

    @property
    def position(self) -> Tensor:
        """`(3,)` in the world."""
        return torch.tensor([self.camera.truck_cm, self.camera.boom_cm, self.camera.distance_cm])

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """World points `(..., 3)` as pixels `(..., 2)` (centres at +0.5) and distances along the axis `(...)`."""
        depth = self.camera.distance_cm - points[..., 2]
        scale = self.camera.focal_px(self.height) / depth
        x = self.width / 2 + self.offset[0] + (points[..., 0] - self.camera.truck_cm) * scale
        y = self.height / 2 + self.offset[1] - (points[..., 1] - self.camera.boom_cm) * scale
        return torch.stack([x, y], -1), depth

    def rays(self, pixels: Tensor) -> Tensor:
        """Unit directions `(P, 3)` through the centres of pixels given by number (row times width plus column)."""
        row = torch.div(pixels, self.width, rounding_mode="floor")
        column = pixels - row * self.width
        focal = self.camera.focal_px(self.height)
        x = (column + 0.5 - self.width / 2 - self.offset[0]) / focal
        y = -(row + 0.5 - self.height / 2 - self.offset[1]) / focal
        directions = torch.stack([x, y, torch.full_like(x, -1.0)], -1)
        return unit(directions)
