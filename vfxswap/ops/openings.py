"""Eyes between their lids, and what shows between the lips: the parts of a face that are not skin.

A map that brings light skin to dark skin would make eyeballs and teeth dark as well. What they take of a plate is its
light alone: what brings their bright half (white of the eye, teeth) to the bright half of the plate's own, and their
black to its black, which holds for any iris, gaze or tongue.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.geometry import REGIONS, Landmarks, Region
from vfxswap.ops.raster import soft_polygon

Floats = NDArray[np.float64]

OPENINGS: Final[tuple[tuple[Region, ...], ...]] = (("left_eye", "right_eye"), ("lips_inner",))
"""What is looked at together."""
_FEATHER: Final = 0.06
"""Width of an opening's soft edge, in parts of the distance of the eyes."""
_FEATURES: Final[tuple[Region, ...]] = ("left_eye", "right_eye", "left_brow", "right_brow", "lips_outer")
_AROUND: Final = 0.25
"""Width of the soft edge around features, in parts of the distance of the eyes; half of it is outside."""
_SMALL: Final = 0.01
"""Area of an opening, in squared distances of the eyes, of which half of the gain is believed."""
_BLACK: Final = 0.02
"""Added to both sides of a gain, so that noise in a dark mouth is no light."""
_LARGEST: Final = 4.0
_BRIGHT, _DARK = 0.7, 0.1
"""Parts of an opening, from dark to bright, above which is what is white, and up to which is what is black."""
_LUMA: Final = np.array([0.2126, 0.7152, 0.0722])


class OpeningMap(NamedTuple):
    """How eyes, or a mouth, are brought to the plate's light: `color * gain + offset`."""

    gain: Tensor
    """`(3, 1, 1)` by channel."""
    offset: Tensor
    """`(3, 1, 1)`."""
    trust: float
    """0..1: how much of it is believed, by how much of the opening is seen."""

    def __call__(self, picture: Tensor) -> Tensor:
        """Maps `(3, H, W)`."""
        return picture * self.gain + self.offset


def opening_masks(landmarks: Landmarks, like: Tensor) -> Tensor:
    """Where the openings are.

    Args:
        landmarks: In pixels of a square picture.
        like: `(C, S, S)` that picture.

    Returns:
        `(2, S, S)` float32 0..1: both eyes, the mouth. Zero for points without regions (`five`).
    """
    size_px = int(like.shape[-1])
    result = torch.zeros((len(OPENINGS), size_px, size_px), device=like.device)
    if REGIONS[landmarks.scheme]:
        feather_px = max(1.0, _FEATHER * _eye_distance(landmarks))
        for mask, regions in zip(result, OPENINGS, strict=True):
            for region in regions:
                corners = torch.from_numpy(landmarks.region(region)).to(like.device, torch.float32)
                torch.maximum(mask, soft_polygon(corners, size_px=size_px, feather_px=feather_px), out=mask)
    return result


def skin_mask(landmarks: Landmarks, like: Tensor) -> Tensor:
    """`(S, S)` 0..1: less where brows, lips or openings are, one's own or the other face's that is put over them."""
    size_px = int(like.shape[-1])
    features = torch.zeros((size_px, size_px), device=like.device)
    if REGIONS[landmarks.scheme]:
        feather_px = max(1.0, _AROUND * _eye_distance(landmarks))
        for region in _FEATURES:
            corners = torch.from_numpy(landmarks.region(region)).to(like.device, torch.float32)
            soft = soft_polygon(corners, size_px=size_px, feather_px=feather_px)
            torch.maximum(features, (2 * soft).clamp_max(1), out=features)
    return 1 - features


def opening_map(
    swapped: Sequence[Tensor], plate: Sequence[Tensor], masks: Sequence[Tensor], *, eye_distances_px: Sequence[float]
) -> OpeningMap:
    """The map from the bright half of an opening to the bright half of the plate's, and from black to black.

    Args:
        swapped: N pictures `(3, S, S)`, faces that belong together.
        plate: N pictures of the same places.
        masks: N masks `(S, S)` 0..1 of one kind of opening.
        eye_distances_px: Of each, to say what is small.
    """
    areas = [float(_floats(mask).sum()) for mask in masks]
    ours, theirs = (
        sum((_ends(face, mask) * area for face, mask, area in zip(faces, masks, areas, strict=True)), np.zeros((2, 3)))
        / max(sum(areas), 1e-9)
        for faces in (swapped, plate)
    )
    # what is darkest, pupil and throat, has the same colour in everyone: that of stray light
    (light, dark), (wanted, black) = ours, theirs
    gain = np.clip((wanted - black + _BLACK) / (light - dark + _BLACK), 1 / _LARGEST, _LARGEST)
    parts = [area / max(distance, 1.0) ** 2 for area, distance in zip(areas, eye_distances_px, strict=True)]
    seen = sum(parts) / max(len(parts), 1)
    factors = [
        torch.tensor(values, dtype=torch.float32, device=swapped[0].device).reshape(3, 1, 1)
        for values in (gain, wanted - gain * light)
    ]
    return OpeningMap(factors[0], factors[1], seen / (seen + _SMALL))


def eye_distance_px(landmarks: Landmarks) -> float:
    """Pixels between the eyes' centres in the picture."""
    return _eye_distance(landmarks)


def _eye_distance(landmarks: Landmarks) -> float:
    left, right = landmarks.five()[:2]
    return float(np.linalg.norm(right - left))


def _ends(picture: Tensor, mask: Tensor) -> Floats:
    """`(2, 3)`: mean colour of the brighter half of what a mask shows, and grey of its darkest tenth."""
    weight = _floats(mask).ravel()
    colours = np.maximum(_floats(picture).reshape(3, -1)[:, weight > 0], 0.0)
    weight = weight[weight > 0]
    if not len(weight):
        return np.zeros((2, 3))
    brightness = _LUMA @ colours
    order = np.argsort(brightness, kind="stable")
    place = np.cumsum(weight[order]) / weight.sum()
    upper, lower = order[place > _BRIGHT], order[place <= max(_DARK, float(place[0]))]
    light = (colours[:, upper] * weight[upper]).sum(axis=1) / max(float(weight[upper].sum()), 1e-9)
    dark = (brightness[lower] * weight[lower]).sum() / max(float(weight[lower].sum()), 1e-9)
    return np.stack([light, np.full(3, dark)])


def _floats(tensor: Tensor) -> Floats:
    return np.asarray(tensor.cpu().double().numpy())
