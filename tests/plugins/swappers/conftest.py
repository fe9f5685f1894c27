"""What the tests of swappers share: drawn faces whose points are known, in any pose and expression; trained weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vfxswap.frame import FaceBatch
from vfxswap.geometry import REGIONS, Landmarks, Points
from vfxswap.identity import Identity, Portrait
from vfxswap.ops import mesh
from vfxswap.testing import face_landmarks, synthetic_comb, synthetic_identity, write_synthetic_trained

SIZE = 128
UNIT_TO_CROP = np.array([(SIZE, 0.0, 0.0), (0.0, SIZE, 0.0)])
_IDENTITY = np.array([(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)])


def _turned(points: Points, yaw: float) -> Points:
    angle, middle = np.radians(yaw), points.mean(axis=0)
    turn = np.array([(np.cos(angle), 0, np.sin(angle)), (0, 1, 0), (-np.sin(angle), 0, np.cos(angle))])
    return np.asarray((points - middle) @ turn.T + middle)


def _ordered(points: Points) -> Points:
    """The drawn face with the rings around lips and lids in their places, nothing else inside, and smooth."""
    points = points.copy()
    outer, inner = (points[list(REGIONS["mesh468"][name])] for name in ("lips_outer", "lips_inner"))
    lips, lids = mesh._LIP_RINGS["mesh468"], mesh.LID_RINGS["mesh468"]
    for ring, part in zip(lips, (1 / 3, 2 / 3), strict=True):
        points[list(ring)] = outer + (inner - outer) * part
    eyes = [points[list(REGIONS["mesh468"][name])] for name in ("left_eye", "right_eye")]
    for lid, eye in zip(lids, eyes, strict=True):
        points[list(lid)] = eye.mean(axis=0) + (eye - eye.mean(axis=0)) * (1.3, 1.5, 1.0)
    placed = {i for ring in (*lips, *lids, *REGIONS["mesh468"].values()) for i in ring}
    loose = [i for i in range(len(points)) if i not in placed]
    for rim, around in ((outer, 1.15), (eyes[0], 1.9), (eyes[1], 1.9)):
        middle, half = rim.mean(axis=0)[:2], np.maximum(np.ptp(rim[:, :2], axis=0) / 2, 0.02 * SIZE) * around
        away = (points[loose, :2] - middle) / half
        radius = np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
        pushed = middle + away / radius * (1 + 0.2 * radius) * half
        points[loose, :2] = np.where(radius < 1.25, pushed, points[loose, :2])
    across = (points[:, :2] / SIZE - (0.5, 0.575)) / (0.285, 0.355)
    nose = 0.06 * np.exp(-np.square((points[:, :2] - points[4, :2]) / SIZE / (0.08, 0.12)).sum(axis=1))
    points[:, 2] = -SIZE * (0.28 * np.sqrt(np.clip(1 - np.square(across).sum(axis=1), 0, None)) + nose)
    return points


@pytest.fixture
def pose() -> Callable[..., Landmarks]:
    """Landmarks in a 128 px crop: yaw in degrees, mouth and eyes from 0 (closed) to 1."""

    def make(*, yaw: float = 0.0, mouth: float = 0.2, eyes: float = 1.0) -> Landmarks:
        face = face_landmarks(UNIT_TO_CROP, mouth_open=mouth, eyes_open=eyes)
        return Landmarks(_turned(_ordered(face.points), yaw), "mesh468")

    return make


@pytest.fixture
def skin() -> Callable[..., Tensor]:
    """A smooth coloured picture with a fine grain, `(3, 128, 128)`."""

    def make(red: float = 0.6, green: float = 0.5, blue: float = 0.4, *, grain: float = 0.05) -> Tensor:
        x, y = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
        wave = grain * (np.sin(x / 3.1) + np.cos(y / 4.3) * np.sin(x / 7.9))
        tone = np.array([red, green, blue])[:, None, None]
        return torch.from_numpy((tone + wave).astype(np.float32))

    return make


@pytest.fixture
def hero() -> Callable[..., Identity]:
    """An identity of the given stills: pairs of picture and landmarks."""

    def make(*stills: tuple[Tensor, Landmarks]) -> Identity:
        known = synthetic_identity("hero", stills=0)
        portraits = [Portrait(Path(f"still{i}.png"), image, points) for i, (image, points) in enumerate(stills)]
        return Identity(known.name, known.folder, known.consent, portraits=tuple(portraits))

    return make


@pytest.fixture
def batch() -> Callable[..., FaceBatch]:
    """Faces of one picture each."""

    def make(images: Sequence[Tensor], landmarks: Sequence[Landmarks]) -> FaceBatch:
        count = len(images)
        return FaceBatch(torch.stack(list(images)), tuple(landmarks), (_IDENTITY,) * count, tuple(range(count)))

    return make


@pytest.fixture
def with_weights() -> Callable[..., Identity]:
    """The identity of a folder with trained files."""
    return _with_weights


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    """An identity with one trained file."""
    write_synthetic_trained(tmp_path / "hero.safetensors", synthetic_comb())
    return _with_weights(tmp_path)


def _with_weights(folder: Path, **changes: Any) -> Identity:
    files = tuple(sorted(folder.glob("*.safetensors")))
    return replace(synthetic_identity(folder=folder), weights=files, **changes)
