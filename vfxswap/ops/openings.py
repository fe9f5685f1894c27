"""Eyes between their lids, and what shows between the lips: the parts of a face that are not skin.

A map that brings light skin to dark skin would make eyeballs and teeth dark as well. What they take of a plate is its
light alone: the gain that brings their bright half (white of the eye, teeth) to the bright half of the plate's own,
which holds for any iris, gaze or tongue.
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

OPENINGS: Final[tuple[tuple[Region, ...], ...]] = (("left_eye", "right_eye"), ("lips_inner",))
"""What is looked at together."""
_FEATHER: Final = 0.06
"""Width of an opening's soft edge, in parts of the distance of the eyes."""
_SMALL: Final = 0.01
"""Area of an opening, in squared distances of the eyes, of which half of the gain is believed."""
_BLACK: Final = 0.02
"""Added to both sides of a gain, so that noise in a dark mouth is no light."""
_LARGEST: Final = 4.0


class OpeningGain(NamedTuple):
    """How eyes, or a mouth, are brought to the plate's light."""

    gain: Tensor
    """`(3, 1, 1)` by channel."""
    trust: float
    """0..1: how much of it is believed, by how much of the opening is seen."""


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


def opening_gain(
    swapped: Sequence[Tensor], plate: Sequence[Tensor], masks: Sequence[Tensor], *, eye_distances_px: Sequence[float]
) -> OpeningGain:
    """The gain from the bright half of an opening to the bright half of the plate's.

    Args:
        swapped: N pictures `(3, S, S)`, faces that belong together.
        plate: N pictures of the same places.
        masks: N masks `(S, S)` 0..1 of one kind of opening.
        eye_distances_px: Of each, to say what is small.
    """
    sides = [
        (_bright(face, mask), _bright(there, mask)) for face, there, mask in zip(swapped, plate, masks, strict=True)
    ]
    areas = [float(_floats(mask).sum()) for mask in masks]
    total = max(sum(areas), 1e-9)
    ours, theirs = (
        sum((pair[k] * (area / total) for pair, area in zip(sides, areas, strict=True)), start=np.zeros(3))
        for k in (0, 1)
    )
    gain = np.clip((theirs + _BLACK) / (ours + _BLACK), 1 / _LARGEST, _LARGEST)
    parts = [area / max(distance, 1.0) ** 2 for area, distance in zip(areas, eye_distances_px, strict=True)]
    seen = sum(parts) / max(len(parts), 1)
    return OpeningGain(
        torch.tensor(gain, dtype=torch.float32, device=swapped[0].device).reshape(3, 1, 1), seen / (seen + _SMALL)
    )


def eye_distance_px(landmarks: Landmarks) -> float:
    """Pixels between the eyes' centres in the picture."""
    return _eye_distance(landmarks)


def _eye_distance(landmarks: Landmarks) -> float:
    left, right = landmarks.five()[:2]
    return float(np.linalg.norm(right - left))


def _bright(picture: Tensor, mask: Tensor) -> NDArray[np.float64]:
    """`(3,)` mean colour of the brighter half of what a mask shows."""
    weight = _floats(mask).ravel()
    colours = np.maximum(_floats(picture).reshape(3, -1)[:, weight > 0], 0.0)
    weight = weight[weight > 0]
    if not len(weight):
        return np.zeros(3)
    brightness = colours.sum(axis=0)
    order = np.argsort(brightness, kind="stable")
    upper = np.cumsum(weight[order]) > weight.sum() / 2
    chosen = order[upper]
    return np.asarray((colours[:, chosen] * weight[chosen]).sum(axis=1) / weight[chosen].sum())


def _floats(tensor: Tensor) -> NDArray[np.float64]:
    return np.asarray(tensor.double().cpu().numpy())
