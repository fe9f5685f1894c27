"""The landmarks that are learnt: 68 points of a face and its two irises; and where they would be on another face.

An iris goes neither with the lids nor with the corners of the eye, so a still that is bent by these alone would look
where it always looked. It is found in the picture (`vfxswap.ops.gaze`); where an eye is too narrow to tell, it is not
known, and nothing is learnt of it.

What one person's face does, done by another, has the other's proportions within the first one's outline, since it is
the first one's head that will be seen around it (`vfxswap.ops.proportions`). That tells where landmarks belong though
there is no picture of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.alignment import as_ibug68
from vfxswap.faceset import Faceset
from vfxswap.geometry import REGIONS, Landmarks, Points
from vfxswap.nets.heads import IRISES
from vfxswap.ops.gaze import EYES, Gaze, eye_frame, gaze
from vfxswap.ops.proportions import RestShape, inside_outline, offsets, reshaped, rest_shape

MARKS: Final = IRISES.stop
"""How many there are: those of ibug68, then the irises."""
_TRUSTED: Final = 0.3
"""An iris that is seen worse is not known."""
_MOST_SHAPES: Final = 160
"""Faces that a shape at rest is found from."""


class Seen(NamedTuple):
    """What is known of a face."""

    landmarks: Landmarks
    """In crop pixels."""
    gaze: Gaze | None
    """None where the landmarks say nothing of eyes."""
    side_px: int
    """Of the crop."""


def seen(faceset: Faceset, place: int) -> Seen:
    """What is known of a face of a faceset.

    Raises:
        MediaError: Its picture cannot be read.
    """
    landmarks = faceset.landmarks(place)
    looks = gaze(faceset.image(place), landmarks) if REGIONS[landmarks.scheme] else None
    return Seen(landmarks, looks, faceset.crop.size_px)


def marks(face: Seen) -> Tensor:
    """`(70, 2)`: x and y, the crop's side being -1..1; no number where something is not known."""
    if face.landmarks.scheme == "five":
        return torch.full((MARKS, 2), torch.nan)
    points = np.concatenate([as_ibug68(face.landmarks).points[:, :2], _irises(face.landmarks, face.gaze)])
    return torch.as_tensor(points * (2 / face.side_px) - 1, dtype=torch.float32)


def certain(found: Tensor) -> Tensor:
    """The same with an iris that is not known in the middle of its eye: `(..., 70, 2)`."""
    middles = torch.stack([found[..., 36:42, :].mean(-2), found[..., 42:48, :].mean(-2)], -2)
    guessed = torch.cat([found[..., :68, :], middles], -2)
    return torch.where(found.isfinite(), found, guessed)


def _irises(landmarks: Landmarks, looks: Gaze | None) -> Points:
    """`(2, 2)` pixels, the left one in the picture first."""
    found = np.full((2, 2), np.nan)
    if looks is None:
        return found
    for row, eye in enumerate(EYES):
        if looks.trust[row] >= _TRUSTED:
            frame = eye_frame(landmarks.region(eye))
            found[row] = frame.middle + frame.vector(looks.offset[row])
    return found


class Guest(NamedTuple):
    """How one person's landmarks become another's."""

    own: RestShape
    """The first one's face at rest."""
    change: Points
    """From there to the other's."""
    share: NDArray[np.float64]
    """`(468,)` how much of the change each point takes."""


def shape_at_rest(facesets: Sequence[Faceset], places: Sequence[tuple[int, int]]) -> RestShape | None:
    """A person's face at rest, from some faces; None without points in space.

    Args:
        facesets: The person's.
        places: Number of a faceset and place in it, in order.
    """
    step = max(1, len(places) // _MOST_SHAPES)
    return rest_shape([facesets[number].records[place].landmarks for number, place in places[::step]])


def guest(own: RestShape | None, other: RestShape | None) -> Guest | None:
    """How landmarks of a person of one shape at rest become those of another; None if either is not known."""
    if own is None or other is None:
        return None
    return Guest(own, offsets(other, own, "mesh468"), inside_outline(own, "mesh468"))


def marks_as(face: Seen, becomes: Guest | None) -> Tensor:
    """`(70, 2)` as `marks`, of another person who does the same; no numbers where that cannot be said."""
    if becomes is None or face.landmarks.scheme != "mesh468" or face.landmarks.points.shape[1] != 3:
        return torch.full((MARKS, 2), torch.nan)
    return marks(face._replace(landmarks=reshaped(face.landmarks, *becomes)))
