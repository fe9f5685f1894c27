"""Which of a person's faces become the stills that a decoder shows them by.

One for each role, in the order of the roles, so that what a trunk learns of a still by its number holds for everybody:
at rest, turned to either side, with the mouth open, with the eyes shut, and so on. All are near to the person's usual
light, and none is covered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.faceset import FaceRecord
from vfxswap.facesets.coverage import openness
from vfxswap.training.faces import Shelf
from vfxswap.training.marks import MARKS, certain, marks, seen
from vfxswap.training.planes import read_face

Floats = NDArray[np.float64]


class _Role(NamedTuple):
    """What a still shows: quantiles among the person's faces, 0..1; 0.5 is as usual."""

    yaw: float = 0.5
    pitch: float = 0.5
    mouth: float = 0.2
    eyes: float = 0.6


_ROLES: Final = (
    _Role(),
    _Role(yaw=0.08),
    _Role(yaw=0.92),
    _Role(mouth=0.95),
    _Role(eyes=0.02),
    _Role(pitch=0.05),
    _Role(pitch=0.95),
    _Role(yaw=0.02, mouth=0.8),
    _Role(yaw=0.98, mouth=0.8),
)
MOST_STILLS: Final = len(_ROLES)
_UNITS: Final = (8.0, 8.0, 0.08, 0.05, 0.08)
"""How far degrees of yaw and pitch, openings of mouth and eyes, and brightness differ that are felt alike."""
_COVERED: Final = 0.85
"""A face that shows less than so much of what faces like it show is covered by something."""
_NEAREST: Final = 12
"""How many faces are looked at for each role."""


class Stills(NamedTuple):
    """Of one person."""

    pictures: Tensor
    """`(3 K, S, S)` R'G'B' 0..1, still by still."""
    points: Tensor
    """`(K, 70, 2)`, as `vfxswap.training.marks.certain` of them."""


def stills_of(shelf: Shelf, count: int, size_px: int) -> Stills:
    """The stills of one person.

    Args:
        shelf: The person's faces.
        count: How many roles, up to `MOST_STILLS`.
        size_px: Their side.

    Raises:
        MediaError: A picture cannot be read.
    """
    if not count:
        return Stills(torch.zeros(0, size_px, size_px), torch.zeros(0, MARKS, 2))
    records = [shelf.facesets[spot.faceset].records[spot.place] for spot in shelf.spots]
    traits = _traits(records)
    chosen = [_least_covered(shelf, _nearest(traits, role)) for role in _ROLES[:count]]
    spots = [shelf.spots[place] for place in chosen]
    planes = torch.stack([read_face(shelf.facesets[spot.faceset], spot.place, size_px) for spot in spots])
    points = torch.stack([marks(seen(shelf.facesets[spot.faceset], spot.place)) for spot in spots])
    return Stills(planes[:, :3].flatten(0, 1).float() / 255, certain(points))


def _traits(records: Sequence[FaceRecord]) -> Floats:
    """`(N, 5)` yaw, pitch, openings of mouth and eyes (0 where the points do not tell), brightness."""
    return np.array([_row(record) for record in records], dtype=np.float64)


def _row(record: FaceRecord) -> tuple[float, ...]:
    mouth, eyes = (openness(record.landmarks, what) or 0.0 for what in ("mouth", "eyes"))
    return record.yaw, record.pitch, mouth, eyes, record.brightness


def _nearest(traits: Floats, role: _Role) -> list[int]:
    """Faces in the order of their distance from a role."""
    wanted = [float(np.quantile(column, share)) for column, share in zip(traits.T, (*role, 0.5), strict=True)]
    distance = np.abs((traits - wanted) / _UNITS).sum(axis=1)
    return [int(index) for index in np.argsort(distance, kind="stable")[:_NEAREST]]


def _least_covered(shelf: Shelf, places: Sequence[int]) -> int:
    """The first of some faces much alike whose matte is about as large as the largest of them."""
    areas = [float(shelf.face(place)[3].float().mean()) for place in places]
    return next(place for place, area in zip(places, areas, strict=True) if area >= _COVERED * max(areas))
