"""A face-like mesh of 468 points, made of formulas: outlines where a real face has them, plausible points between.

It stands in for an aligner's points in tests. It is nobody's face, and no measure of a real one.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from vfxswap.alignment import TEMPLATES
from vfxswap.geometry import MIRROR, REGIONS, SCHEME_SIZES, Affine, Landmarks, Points, Region, mapped

_EYES = TEMPLATES["ffhq_512"][:2]
_NOSE_TIP = TEMPLATES["ffhq_512"][2]
_MOUTH = TEMPLATES["ffhq_512"][3:]
_CENTRE, _HALF = np.array([0.5, 0.575]), np.array([0.285, 0.355])
"""The oval, in a unit crop of the FFHQ template."""
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def face_points(*, mouth_open: float = 0.2, eyes_open: float = 1.0) -> Points:
    """The `(468, 3)` points of the face in a unit crop of the `ffhq_512` template.

    Args:
        mouth_open: 0 (closed) to 1.
        eyes_open: 0 (closed) to 1.
    """
    points = _rest().copy()
    eye, lips = 0.02 * eyes_open, 0.035 * mouth_open
    _put(points, "left_eye", _ring(16, _EYES[0], (0.055, eye), math.pi, -1))
    _put(points, "right_eye", _ring(16, _EYES[1], (0.055, eye), math.pi, -1))
    mouth, half = _MOUTH.mean(axis=0), float(_MOUTH[1, 0] - _MOUTH[0, 0]) / 2
    _put(points, "lips_outer", _ring(20, mouth, (half, 0.03 + lips), math.pi, -1))
    _put(points, "lips_inner", _ring(20, mouth, (half * 0.8, lips), math.pi, -1))
    return points


def face_landmarks(unit_to_picture: Affine, *, mouth_open: float = 0.2, eyes_open: float = 1.0) -> Landmarks:
    """The face laid into a picture by the similarity from the unit crop to its pixels."""
    return Landmarks(mapped(unit_to_picture, face_points(mouth_open=mouth_open, eyes_open=eyes_open)), "mesh468")


@cache
def _rest() -> Points:
    """The mesh without the parts that move."""
    points = np.zeros((SCHEME_SIZES["mesh468"], 3))
    outlined = sorted({index for region in REGIONS["mesh468"].values() for index in region})
    mirror = MIRROR["mesh468"]
    left = [index for index in range(len(points)) if index not in outlined and index <= mirror[index]]
    turn = np.arange(len(left)) * _GOLDEN_ANGLE
    radius = 0.93 * np.sqrt((np.arange(len(left)) + 0.5) / len(left))
    # H. Vogel's sunflower (1979) spreads points evenly over a disc; here one half lies on the other, and is mirrored.
    for index, across, down in zip(left, -np.abs(radius * np.cos(turn)), radius * np.sin(turn), strict=True):
        points[index, :2] = _CENTRE + _HALF * (across if index < mirror[index] else 0.0, down)
        points[mirror[index], :2] = 2 * _CENTRE[0] - points[index, 0], points[index, 1]
    _put(points, "oval", _ring(36, _CENTRE, (_HALF[0], _HALF[1]), -math.pi / 2, 1))
    _put(points, "left_brow", _brow(_EYES[0]))
    _put(points, "right_brow", _brow(_EYES[1]))
    _put(points, "nose", _nose())
    return _with_depth(points)


def _put(points: Points, region: Region, outline: Points) -> None:
    points[list(REGIONS["mesh468"][region]), :2] = outline


def _ring(count: int, centre: Points, half: tuple[float, float], start: float, sense: int) -> Points:
    """`(count, 2)` points of an ellipse from an angle on; sense 1 is clockwise as seen in the picture."""
    angle = start + sense * 2 * math.pi * np.arange(count) / count
    return np.asarray(centre + np.column_stack([half[0] * np.cos(angle), half[1] * np.sin(angle)]), dtype=np.float64)


def _brow(eye: Points) -> Points:
    """`(10, 2)`: the lower line left to right, then the upper one back."""
    along = np.linspace(-1, 1, 5)
    low = eye + np.column_stack([0.07 * along, -0.05 - 0.015 * (1 - along**2)])
    return np.concatenate([low, low[::-1] - [0, 0.018]])


def _nose() -> Points:
    """`(12, 2)`: from between the eyes down to the base, then the nostrils."""
    root = _EYES.mean(axis=0)
    ridge = [root + (_NOSE_TIP - root) * part for part in (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)]
    base = [_NOSE_TIP + np.array([0, down]) for down in (0.012, 0.024, 0.036)]
    wings = [_NOSE_TIP + np.array([side, 0.022]) for side in (-0.045, 0.045)]
    return np.array([*ridge, *base, *wings])


def _with_depth(points: Points) -> Points:
    """Depth of an ellipsoid with a nose on it; smaller is nearer."""
    across = (points[:, :2] - _CENTRE) / _HALF
    height = 0.28 * np.sqrt(np.clip(1 - (across**2).sum(axis=1), 0, None))
    nose = 0.09 * np.exp(-(((points[:, :2] - _NOSE_TIP) / (0.05, 0.09)) ** 2).sum(axis=1))
    points[:, 2] = 0.2 - height - nose
    return points
