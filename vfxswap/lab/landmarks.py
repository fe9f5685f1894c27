"""Exact landmarks: where the numbered points of a face are in the picture.

Every point has an address on the template, so it follows identity, expression and pose. The outlines of the eyes run
along the lids as they blink, and the inner lips along the edges that part when the jaw opens; the other addresses
are measured (see `mesh468`). Depth is in pixels, smaller is nearer, zero at the mean of the points. It runs along the
line of sight to the face, as networks tell it that see the face alone; along the axis of the camera a face that is not
in the middle would look crooked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.alignment import as_ibug68
from vfxswap.geometry import REGIONS, Landmarks, Pose
from vfxswap.lab.camera import View
from vfxswap.lab.maths import unit
from vfxswap.lab.mesh468 import ADDRESSES
from vfxswap.lab.performer import Performer, Stance
from vfxswap.lab.template import EYE, MOUTH_HALF, MOUTH_Y, lower_lid, upper_lid

_BEHIND_CM = 0.45
"""A point this much, and a pixel's own size, behind the surface that is seen counts as hidden."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceTruth:
    """One performer's face in one frame."""

    track: int
    """Number of the performer in the shot, from 0."""
    mesh: Landmarks
    """`mesh468` with depth, plate pixels."""
    visible: NDArray[np.bool_]
    """`(468,)` whether a point is inside the picture and nothing hides it."""
    pose: Pose
    """The head's true rotation."""

    @property
    def ibug68(self) -> Landmarks:
        """The 68 points, with depth."""
        return as_ibug68(self.mesh)

    @property
    def five(self) -> Landmarks:
        """Eye centres, nose tip and corners of the mouth."""
        return Landmarks(self.mesh.five(), "five")

    @property
    def box(self) -> tuple[float, float, float, float]:
        """`(x0, y0, x1, y1)` round all points."""
        low, high = self.mesh.points[:, :2].min(axis=0), self.mesh.points[:, :2].max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def face_truth(track: int, performer: Performer, stance: Stance, view: View, seen_depth: Tensor) -> FaceTruth:
    """Landmarks of a performer at one instant.

    Args:
        track: Its number.
        performer: Who.
        stance: Doing what.
        view: Seen how.
        seen_depth: `(H, W)` distance of what each pixel shows.
    """
    numbers, weights = _spots(performer, stance)
    head = performer.to_world(performer.shapes.applied(performer.head, stance.expression), stance)
    places = (head[numbers] * weights[..., None]).sum(1)
    points, depth = view.project(places)
    scale = view.camera.focal_px(view.height) / depth.mean()
    away = places - view.position
    sight = away @ unit(away.mean(0))
    mesh = torch.cat([points, ((sight - sight.mean()) * scale)[:, None]], 1).cpu().double().numpy()
    visible = _visible(points, depth, seen_depth, _BEHIND_CM + float(1 / scale))
    return FaceTruth(track, Landmarks(mesh, "mesh468"), visible, stance.pose)


def _spots(performer: Performer, stance: Stance) -> tuple[Tensor, Tensor]:
    """Vertices and weights of all 468 points."""
    u, y = torch.tensor(ADDRESSES).unbind(1)
    u, y = u.clone(), y.clone()
    regions, expression = REGIONS["mesh468"], stance.expression
    for outline, sign, blink in (
        (list(regions["left_eye"]), -1.0, expression.blink_left),
        (list(regions["right_eye"]), 1.0, expression.blink_right),
    ):
        u[outline], y[outline] = _lid_spots(performer, sign, blink)
    u, y = _lip_spots(performer, u, y)
    return performer.grid.locate(u, y)


def _lid_spots(performer: Performer, sign: float, blink: float) -> tuple[Tensor, Tensor]:
    """Addresses along an eye's outline: along the lower lid from corner to corner, back along the upper."""
    turn = torch.arange(16) / 8 * torch.pi
    x = (
        -sign * 1.30 * torch.cos(turn)
    )  # the left eye's outline begins at its outer corner, the right eye's at its inner
    opening = performer.face.eyes.opening
    lower = lower_lid(x, opening=opening)
    upper = upper_lid(x, opening=opening, blink=blink)
    y = torch.where(torch.arange(16) > 8, upper, lower)
    return performer.grid.across(torch.stack([sign * (EYE[0] + x), y], 1)), y


def _lip_spots(performer: Performer, u: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Puts the inner lips on the edges of the opening."""
    inner = list(REGIONS["mesh468"]["lips_inner"])
    turn = torch.arange(20) / 10 * torch.pi
    x = -(MOUTH_HALF - 0.12) * torch.cos(turn)
    edge = 0.13 * (1 - (x / MOUTH_HALF) ** 4)
    height = torch.where(
        torch.arange(20) % 10 == 0, torch.full_like(x, MOUTH_Y), MOUTH_Y - edge * torch.sin(turn).sign()
    )
    y[inner] = height
    u[inner] = performer.grid.across(torch.stack([x, height], 1))
    return u, y


def _visible(points: Tensor, depth: Tensor, seen_depth: Tensor, tolerance_cm: float) -> NDArray[np.bool_]:
    height, width = seen_depth.shape
    column, row = points[:, 0].floor().long(), points[:, 1].floor().long()
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    nearest = seen_depth[row.clamp(0, height - 1), column.clamp(0, width - 1)]
    return (inside & (depth <= nearest + tolerance_cm)).cpu().numpy().astype(np.bool_)
