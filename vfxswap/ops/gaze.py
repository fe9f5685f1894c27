"""Where eyes look: the iris between the lids, by its darkness, in the eye's own frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.geometry import Box, Landmarks, Points, Region
from vfxswap.ops.relight import luma

Floats = NDArray[np.float64]

EYES: Final[tuple[Region, Region]] = ("left_eye", "right_eye")
_INSET: Final = 0.1
"""What is left out along the lids, where lashes and their shadow are, in parts of an eye's width."""
_NARROW: Final = (0.12, 0.24)
"""Heights of an eye, in parts of its width, between which its iris begins to be seen well enough."""
_FLAT: Final = (0.1, 0.3)
"""Contrasts of white and iris, in parts of the white, between which likewise."""
_SUBPIXEL_BITS: Final = 4


class EyeFrame(NamedTuple):
    """An eye's outline as a frame: from corner to corner is -1..1 along `across`."""

    middle: Floats
    """`(2,)` pixels."""
    across: Floats
    """`(2,)` half the eye's width, in pixels, as a vector."""
    height: float
    """Half the eye's height, in parts of half its width."""

    def inside(self, x: Tensor, y: Tensor) -> Tensor:
        """1 in the middle of the eye, falling to 0 at its outline and beyond."""
        square = float(self.across @ self.across)
        dx, dy = x - float(self.middle[0]), y - float(self.middle[1])
        along = (dx * float(self.across[0]) + dy * float(self.across[1])) / square
        down = (dy * float(self.across[0]) - dx * float(self.across[1])) / square
        return (1 - along.square() - (down / max(self.height, 0.05)).square()).clamp(0, 1)

    def vector(self, offset: Floats) -> Floats:
        """`(2,)` pixels of an offset in the eye's frame."""
        return np.asarray(self.across * offset[0] + np.array([-self.across[1], self.across[0]]) * offset[1])


class Gaze(NamedTuple):
    """Where the irises are, in the frames of the eyes."""

    offset: Floats
    """`(2, 2)` of both eyes: across and down, in half widths."""
    trust: Floats
    """`(2,)` 0..1."""


def eye_frame(outline: Points) -> EyeFrame:
    """The frame of an outline `(M, 2)` that begins at one corner and has the other half-way."""
    first, second = outline[0], outline[len(outline) // 2]
    across = (second - first) / 2 * (1 if second[0] >= first[0] else -1)
    middle = (first + second) / 2
    square = max(float(across @ across), 1e-9)
    away = outline - middle
    down = (away[:, 1] * across[0] - away[:, 0] * across[1]) / square
    centre = (float(down.max()) + float(down.min())) / 2
    height = (float(down.max()) - float(down.min())) / 2
    return EyeFrame(middle + np.array([-across[1], across[0]]) * centre, across, height)


def gaze(picture: Tensor, landmarks: Landmarks) -> Gaze:
    """Where a face looks.

    Args:
        picture: `(3, H, W)` float32 R'G'B'.
        landmarks: With regions, in its pixels.
    """
    found = [_iris(picture, landmarks.region(eye)) for eye in EYES]
    return Gaze(np.stack([offset for offset, _ in found]), np.array([trust for _, trust in found]))


def turned(wanted: Gaze, own: Gaze) -> Floats:
    """`(2,)`: by how much eyes must look elsewhere, in half widths; both alike, and less if they are seen badly."""
    trust = wanted.trust * own.trust
    total = float(trust.sum())
    if total <= 0:
        return np.zeros(2)
    mean = ((wanted.offset - own.offset) * trust[:, None]).sum(axis=0) / total
    return np.asarray(mean * min(1.0, total))


def _iris(picture: Tensor, outline: Points) -> tuple[Floats, float]:
    frame = eye_frame(outline)
    width = 2 * float(np.linalg.norm(frame.across))
    box = Box.around(outline).grown(2).clipped(int(picture.shape[2]), int(picture.shape[1]))
    open_ = _step(frame.height, _NARROW)
    if box.width < 6 or box.height < 4 or open_ == 0:
        return np.zeros(2), 0.0
    bright = luma(picture[:, box.y0 : box.y1, box.x0 : box.x1])[0].cpu().double().numpy()
    shown = _inset(outline - np.array([box.x0, box.y0]), bright.shape, width)
    if shown.sum() < 8 or not np.isfinite(bright).all():
        return np.zeros(2), 0.0
    white, black = (_quantile(bright, shown, level) for level in (0.8, 0.1))
    contrast = (white - black) / max(white, 1e-3)
    dark = shown * np.clip((white - bright) / max(white - black, 1e-6), 0, 1) ** 2
    rows, columns = np.mgrid[: bright.shape[0], : bright.shape[1]] + 0.5
    at = np.array([(dark * columns).sum(), (dark * rows).sum()]) / max(float(dark.sum()), 1e-9)
    away = at + np.array([box.x0, box.y0]) - frame.middle
    square = float(frame.across @ frame.across)
    across = float(away @ frame.across) / square
    down = float(away[1] * frame.across[0] - away[0] * frame.across[1]) / square
    return np.array([across, down]), open_ * _step(contrast, _FLAT)


def _inset(outline: Points, shape: Sequence[int], width: float) -> Floats:
    """`(h, w)` 0..1: an outline's inside, without a margin along it."""
    cover = np.zeros(tuple(shape), np.uint8)
    corners = np.round((outline - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(cover, [corners], 255, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
    margin = round(_INSET * width)
    if margin > 0:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
        cover = np.asarray(cv2.erode(cover, kernel, borderValue=0), np.uint8)
    return cover.astype(np.float64) / 255


def _quantile(values: Floats, weights: Floats, level: float) -> float:
    order = np.argsort(values, axis=None, kind="stable")
    mass = np.cumsum(weights.ravel()[order])
    return float(values.ravel()[order][min(int(np.searchsorted(mass, level * mass[-1])), len(order) - 1)])


def _step(value: float, band: tuple[float, float]) -> float:
    t = min(1.0, max(0.0, (value - band[0]) / (band[1] - band[0])))
    return t * t * (3 - 2 * t)
