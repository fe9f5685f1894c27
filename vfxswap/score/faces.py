"""Landmarks of a result against the true ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from vfxswap.frame import Detection
from vfxswap.geometry import Points, iou


def landmark_error_percent(found: Sequence[Detection], wanted: Sequence[Detection]) -> float | None:
    """Mean distance of landmarks, in percent of the distance between the eyes' centres.

    The normalised mean error of C. Sagonas et al., "300 faces in-the-wild challenge", ICCV Workshops 2013, with the
    eyes' centres in place of their outer corners, since five points have no other. All points where both have the same
    numbering, else the five.

    Args:
        found: Faces of a frame of the result.
        wanted: True faces of that frame; each takes the found one of its track number, else the one that overlaps most.

    Returns:
        The mean over the faces; None if none could be compared.
    """
    errors = []
    for face in wanted:
        ours = _same(face, found)
        pair = None if ours is None else _points(ours, face)
        if pair is not None:
            errors.append(pair)
    return math.fsum(errors) / len(errors) if errors else None


def _same(face: Detection, found: Sequence[Detection]) -> Detection | None:
    if face.track is not None and any(other.track is not None for other in found):
        return next((other for other in found if other.track == face.track), None)
    near = max(found, key=lambda other: iou(face.box, other.box), default=None)
    return near if near is not None and iou(face.box, near.box) > 0 else None


def _points(ours: Detection, theirs: Detection) -> float | None:
    five, true_five = _five(ours), _five(theirs)
    if five is None or true_five is None:
        return None
    eyes = true_five
    mine, true = ours.landmarks, theirs.landmarks
    if mine is not None and true is not None and mine.scheme == true.scheme:
        five, true_five = mine.points[:, :2], true.points[:, :2]
    return distance_percent(five, true_five, eyes=eyes)


def distance_percent(ours: Points, true: Points, *, eyes: Points) -> float:
    """Mean distance of points `(J, 2)` from the true ones, in percent of the distance of the eyes' centres.

    `eyes` are five points of which the first two are these.
    """
    apart = float(np.linalg.norm(eyes[1] - eyes[0]))
    return 100 * float(np.linalg.norm(ours - true, axis=1).mean()) / max(apart, 1e-9)


def _five(face: Detection) -> Points | None:
    if face.five is not None:
        return face.five
    return None if face.landmarks is None else face.landmarks.five()
