"""What an aligned crop of a face is like: how sharp, how bright, how lit, and how like another.

All is measured inside the face's outline, so that hair and background count for nothing, and at the crop's own
resolution: a crop that was enlarged from a small face has little at its finest scale, and counts as soft.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.geometry import Landmarks
from vfxswap.ops.matte import hull_distance

Plane = NDArray[np.float32]
"""`(S, S)` float32."""
Descriptor = NDArray[np.float32]
"""`(63,)` float32 of unit length."""

_LUMA = (0.2126, 0.7152, 0.0722)
"""Weights of R'G'B' in luma: ITU-R BT.709."""
_DETAIL_SIGMA_PX = 1.0
_SHARP = 100.0
_MARGIN_OF_FIVE = 0.7
"""How far a face reaches around its five points, in distances between the eyes."""
_GRID, _LOW = 32, 8
_DARK = 1e-3


class Measures(NamedTuple):
    """What one face is like."""

    sharpness: float
    """Energy of the finest detail over that of all contrast in the face, times 100; 0 is blank. See `measured`."""
    brightness: float
    """Mean luma of the face, 0..1 in the face space."""
    key_right_stops: float
    """How much lighter the image's right half of the face is than its left, in stops."""
    key_top_stops: float
    """How much lighter the upper half of the face is than the lower, in stops."""
    warmth_stops: float
    """Red over blue of the face in linear light, in stops: the light's colour and the skin's together."""


def measured(image: Tensor, landmarks: Landmarks) -> Measures:
    """Measures a face.

    Sharpness is the variance of the Laplacian of a Gaussian (sigma 1 pixel, which keeps grain from passing as detail)
    over the variance of luma itself, both inside the face's outline; a plain variance of the Laplacian (J. L.
    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000) would rank by contrast as well.

    Args:
        image: `(3, S, S)` float32 R'G'B' in the face space, nominally 0..1.
        landmarks: Points of the face in crop pixels.
    """
    inside = face_region(landmarks, int(image.shape[-1]))
    rgb = image.detach().cpu().clamp(0, 1).numpy()
    luma = luma_of(rgb)
    if not inside.any():
        return Measures(0.0, 0.0, 0.0, 0.0, 0.0)
    fine = cv2.Laplacian(cv2.GaussianBlur(luma, (0, 0), _DETAIL_SIGMA_PX), cv2.CV_32F, ksize=1)
    core = cv2.erode(inside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0  # the outline's own edge is no detail
    contrast = float(luma[inside].var())
    sharpness = _SHARP * float(fine[core].var()) / contrast if core.any() and contrast > _DARK**2 else 0.0
    right, top = _halves(landmarks, int(image.shape[-1]))
    linear = _linear(rgb)
    light = luma_of(linear)
    return Measures(
        sharpness,
        float(luma[inside].mean()),
        _stops(light, inside & right, inside & ~right),
        _stops(light, inside & top, inside & ~top),
        float(np.log2((linear[0][inside].mean() + _DARK) / (linear[2][inside].mean() + _DARK))),
    )


def face_region(landmarks: Landmarks, size_px: int) -> NDArray[np.bool_]:
    """`(S, S)` which pixels are inside the convex hull of a face's points (of five: with a margin)."""
    points = landmarks.points[:, :2]
    grow_px = 0.0
    if landmarks.scheme == "five":
        grow_px = _MARGIN_OF_FIVE * float(np.linalg.norm(points[1] - points[0]))
    distance = hull_distance(points, size_px, grow_px=grow_px, device=torch.device("cpu"))
    inside: NDArray[np.bool_] = distance.numpy() > 0
    return inside


def luma_of(rgb: NDArray[np.float32]) -> Plane:
    """`(S, S)` luma of `(3, S, S)` R'G'B'."""
    red, green, blue = (np.float32(weight) for weight in _LUMA)
    luma: Plane = red * rgb[0] + green * rgb[1] + blue * rgb[2]
    return luma


def _linear(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """Light of sRGB code values: IEC 61966-2-1."""
    linear: NDArray[np.float32] = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


def _halves(landmarks: Landmarks, size_px: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pixels are right of the face's middle line, and which are above its middle."""
    left, right, _, mouth_left, mouth_right = landmarks.five()
    eyes, mouth = (left + right) / 2, (mouth_left + mouth_right) / 2
    down = (mouth - eyes) / max(float(np.linalg.norm(mouth - eyes)), 1e-6)
    centre = (eyes + mouth) / 2
    y, x = np.mgrid[0:size_px, 0:size_px] + 0.5
    aside = (x - centre[0]) * down[1] - (y - centre[1]) * down[0]
    below = (x - centre[0]) * down[0] + (y - centre[1]) * down[1]
    return aside > 0, below < 0


def _stops(light: Plane, one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    if not one.any() or not other.any():
        return 0.0
    return float(np.log2((light[one].mean() + _DARK) / (light[other].mean() + _DARK)))


def descriptor(image: Tensor, landmarks: Landmarks) -> Descriptor:
    """What a face looks like, in 63 numbers that need no trained weights: two crops are compared by their dot product.

    Luma inside the face's outline at 32x32, with its mean taken out and filled in outside, as the lowest 8x8
    coefficients of its discrete cosine transform without the first: the idea of perceptual hashes (C. Zauner,
    "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010), kept in numbers instead of bits. It
    sees pose, light, expression and features alike, and tells a nearly equal picture (0.98 and more) or one that does
    not belong, not one person from another in all circumstances.
    """
    inside = face_region(landmarks, int(image.shape[-1]))
    luma = luma_of(image.detach().cpu().clamp(0, 1).numpy())
    mean = float(luma[inside].mean()) if inside.any() else 0.0
    luma = np.where(inside, luma - np.float32(mean), np.float32(0))
    small = cv2.resize(luma, (_GRID, _GRID), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small)[:_LOW, :_LOW].reshape(-1)[1:]
    return (low / max(float(np.linalg.norm(low)), 1e-9)).astype(np.float32)
