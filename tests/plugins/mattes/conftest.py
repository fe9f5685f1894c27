"""What the tests of matte stages share: a setting, faces, and landmarks made by rule."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from vfxswap.alignment import TEMPLATES
from vfxswap.frame import FaceBatch
from vfxswap.geometry import REGIONS, Affine, Landmarks, Points
from vfxswap.models import ModelStore
from vfxswap.stage import Setting

SIZE = 128


def _ring(center: tuple[float, float], half: tuple[float, float], count: int) -> Points:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False) - np.pi / 2
    return np.column_stack([center[0] + half[0] * np.cos(angle), center[1] + half[1] * np.sin(angle)])


@pytest.fixture
def setting() -> Setting:
    return Setting(device=torch.device("cpu"), models=ModelStore([], {}), width=160, height=120, first=1001, last=1010)


@pytest.fixture
def mesh() -> Landmarks:
    """468 points in a 128 px crop: an egg-shaped oval, eyes and inner lips as rings, the rest at the nose."""
    points = np.tile([64.0, 72.0], (468, 1))
    regions = REGIONS["mesh468"]
    points[list(regions["oval"])] = _ring((64, 68), (38, 48), len(regions["oval"]))
    points[list(regions["left_eye"])] = _ring((48, 60), (8, 5), len(regions["left_eye"]))
    points[list(regions["right_eye"])] = _ring((80, 60), (8, 5), len(regions["right_eye"]))
    points[list(regions["lips_outer"])] = _ring((64, 93), (15, 9), len(regions["lips_outer"]))
    points[list(regions["lips_inner"])] = _ring((64, 93), (11, 5), len(regions["lips_inner"]))
    return Landmarks(points, "mesh468")


@pytest.fixture
def five() -> Landmarks:
    """The template's own five points in a 128 px crop."""
    return Landmarks(TEMPLATES["ffhq_512"] * SIZE, "five")


@pytest.fixture
def batch() -> Callable[..., FaceBatch]:
    """Makes a batch of 128 px crops from landmarks, similarities and frame numbers."""

    def make(landmarks: list[Landmarks], plate_to_crop: list[Affine] | None = None, first: int = 1001) -> FaceBatch:
        count = len(landmarks)
        same = np.array([(1.0, 0.0, -16.0), (0.0, 1.0, 4.0)])
        return FaceBatch(
            crops=torch.zeros(count, 3, SIZE, SIZE),
            landmarks=tuple(landmarks),
            plate_to_crop=tuple(plate_to_crop or [same] * count),
            frames=tuple(range(first, first + count)),
        )

    return make
