"""What was found in a plate: cuts, faces, their tracks and landmarks, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vfxswap.frame import Detection
from vfxswap.geometry import Landmarks, Points


@dataclass(frozen=True, slots=True, eq=False)
class FoundFace:
    """A face as detector, tracker and aligner left it; in plate pixels."""

    detection: Detection
    notes: tuple[str, ...] = ()
    """Why it is less than a detection, for the report."""
    landmarks: Landmarks | None = None
    """The aligner's points; None where it saw no face, or has not looked yet."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundFrame:
    """A frame of the plate."""

    number: int
    cut_before: bool
    """Whether a new shot starts with it."""
    faces: tuple[FoundFace, ...] = ()
    is_aligned: bool = False
    """Whether the aligner has looked at its faces."""


Found = Mapping[int, FoundFrame]
"""By frame number."""


def same_faces(one: Sequence[FoundFace], other: Sequence[FoundFace]) -> bool:
    """Whether the same faces were found, to the last bit, whatever the aligner made of them."""
    return len(one) == len(other) and all(
        _same(a.detection, b.detection) and a.notes == b.notes for a, b in zip(one, other, strict=True)
    )


def _same(one: Detection, other: Detection) -> bool:
    return (
        (one.box, one.score, one.track) == (other.box, other.score, other.track)
        and _same_points(one.five, other.five)
        and _same_dense(one.landmarks, other.landmarks)
    )


def _same_dense(one: Landmarks | None, other: Landmarks | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.scheme == other.scheme and _same_points(one.points, other.points)


def _same_points(one: Points | None, other: Points | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def exact(detection: Detection) -> Detection:
    """The same face in Python's floats and contiguous float64 arrays.

    What is stored and read again must be the very numbers that stages would see otherwise; sums over an array depend on
    its type and on its layout in memory.
    """
    x0, y0, x1, y1 = (float(value) for value in detection.box)
    landmarks = detection.landmarks
    return replace(
        detection,
        box=(x0, y0, x1, y1),
        score=float(detection.score),
        five=None if detection.five is None else _plain(detection.five),
        track=None if detection.track is None else int(detection.track),
        landmarks=None if landmarks is None else exact_points(landmarks),
    )


def exact_points(landmarks: Landmarks) -> Landmarks:
    """The same points as a contiguous float64 array."""
    return Landmarks(_plain(landmarks.points), landmarks.scheme)


def _plain(points: Points) -> Points:
    return np.ascontiguousarray(points, dtype=np.float64)
