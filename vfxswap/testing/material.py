"""Synthetic material for tests: drawn faces on a moving background, as plates, crops, windows and identities.

All of it is a function of its arguments: the same call gives the same bits, and face number 2 is the same whether two
or twenty are asked for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.alignment import CropSpec
from vfxswap.frame import Detection, FaceBatch, FaceWindow
from vfxswap.geometry import Affine, Landmarks, Region
from vfxswap.identity import Consent, Identity, Portrait
from vfxswap.models import ModelStore
from vfxswap.ops import warp
from vfxswap.stage import Cutter, Setting, Stage
from vfxswap.testing.mesh import face_landmarks

Image = NDArray[np.float32]
"""`(H, W, 3)` R'G'B', nominally 0..1."""

_LOOKS = np.array([(0.82, 0.60, 0.48), (0.55, 0.37, 0.28), (0.90, 0.72, 0.62), (0.42, 0.27, 0.20)], dtype=np.float32)
"""Skin of the drawn people, R'G'B'."""
_SUBPIXEL_BITS = 4


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticPlate:
    """A drawn picture with a face whose points are known."""

    image: Tensor
    """`(3, H, W)` float32 R'G'B'; a highlight is above 1 and a corner below 0."""
    landmarks: Landmarks
    """`mesh468`, in pixels."""

    @property
    def detection(self) -> Detection:
        """What a detector would say of the face."""
        low, high = self.landmarks.points[:, :2].min(axis=0), self.landmarks.points[:, :2].max(axis=0)
        box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        return Detection(box, score=0.9, five=self.landmarks.five())


def synthetic_plate(number: int = 1, *, width: int = 160, height: int = 160, person: int = 0) -> SyntheticPlate:
    """Draws one frame: a gradient that moves, and a face that sways, talks and blinks.

    Args:
        number: Frame number; faces move smoothly from one to the next.
        width: Columns, at least 16.
        height: Rows, at least 16.
        person: Who it is; changes colours and features.
    """
    side = 0.8 * min(width, height)
    angle, shift = 0.12 * math.sin(0.21 * number), 0.05 * math.sin(0.13 * number)
    turn = side * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    centre = np.array([width * (0.5 + shift), height * 0.5])
    unit_to_picture = np.column_stack([turn, centre - turn @ np.array([0.5, 0.55])])
    landmarks = face_landmarks(
        unit_to_picture,
        mouth_open=0.5 + 0.5 * math.sin(0.9 * number + person),
        eyes_open=0.1 if number % 24 in {11, 12} else 1.0,
    )
    image = _background(number, width, height)
    _draw_face(image, landmarks, person)
    return SyntheticPlate(torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))), landmarks)


def _background(number: int, width: int, height: int) -> Image:
    x, y = np.meshgrid(np.arange(width, dtype=np.float32) / width, np.arange(height, dtype=np.float32) / height)
    wave = 0.1 * np.sin(20 * x + 7 * y + 0.3 * number)
    image = np.stack([0.2 + 0.5 * x + wave, 0.45 - 0.3 * y + wave, 0.3 + 0.3 * x * y - wave], axis=2)
    image[: height // 8, : width // 8] = -0.05
    return image.astype(np.float32)


def _draw_face(image: Image, landmarks: Landmarks, person: int) -> None:
    skin = _LOOKS[person % len(_LOOKS)]
    height, width = image.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    oval = landmarks.region("oval")
    across = (x - oval[:, 0].mean()) / np.ptp(oval[:, 0])
    pores = 0.02 * np.sin(1.9 * x + person) * np.sin(2.3 * y + 2 * person)
    light = 0.95 + 0.5 * across[..., None] + pores[..., None]
    _fill(image, landmarks, "oval", skin * light)
    for region, colour in _features(person).items():
        _fill(image, landmarks, region, np.array(colour, dtype=np.float32))
    _highlight(image, landmarks.points[4, :2], 0.06 * np.ptp(oval[:, 0]), 1.25)


def _features(person: int) -> dict[Region, tuple[float, float, float]]:
    hair = 0.1 + 0.08 * (person % 3)
    return {
        "left_eye": (0.9, 0.9, 0.92),
        "right_eye": (0.9, 0.9, 0.92),
        "left_brow": (hair, hair * 0.8, hair * 0.6),
        "right_brow": (hair, hair * 0.8, hair * 0.6),
        "lips_outer": (0.65, 0.25 + 0.05 * (person % 3), 0.25),
        "lips_inner": (0.12, 0.03, 0.03),
    }


def _fill(image: Image, landmarks: Landmarks, region: Region, colour: NDArray[Any]) -> None:
    cover = np.zeros(image.shape[:2], dtype=np.uint8)
    # OpenCV counts whole pixels from their centres, vfxswap from their corners.
    corners = np.round((landmarks.region(region) - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(cover, [corners], 255, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
    amount = cover[..., None].astype(np.float32) / 255
    image += amount * (colour - image)


def _highlight(image: Image, centre: NDArray[np.float64], radius_px: float, value: float) -> None:
    """A soft spot, brighter than diffuse white."""
    height, width = image.shape[:2]
    x, y = np.meshgrid(np.arange(width) + 0.5 - centre[0], np.arange(height) + 0.5 - centre[1])
    amount = np.exp(-(x**2 + y**2) / max(radius_px, 1.0) ** 2)[..., None].astype(np.float32)
    image += amount * (value - image)


class PlateCutter(Cutter):
    """Cuts out of synthetic plates, one a face.

    Args:
        plates: The plate of each face.
    """

    def __init__(self, plates: Sequence[SyntheticPlate]) -> None:
        self._plates = plates

    def __call__(self, index: Sequence[int], plate_to_crop: Sequence[Affine], size_px: int) -> Tensor:
        """See `vfxswap.stage.Cutter`."""
        pieces = [
            warp.cut(self._plates[i].image, origin=(0, 0), plate_to_crop=matrix, size_px=size_px)
            for i, matrix in zip(index, plate_to_crop, strict=True)
        ]
        return torch.stack(pieces) if pieces else torch.empty(0, 3, size_px, size_px)


def face_batch(count: int = 3, *, crop: CropSpec | None = None, first: int = 1001, swapped: bool = True) -> FaceBatch:
    """Crops of drawn faces, one a frame.

    Args:
        count: N.
        crop: What is cut; by default 96 px of the FFHQ template.
        first: Number of the first frame.
        swapped: Whether swapped crops (another person's) and soft mattes are there too.
    """
    spec = CropSpec(size_px=96) if crop is None else crop
    numbers = tuple(range(first, first + count))
    plates = [synthetic_plate(number) for number in numbers]
    matrices = tuple(spec.plate_to_crop(plate.landmarks) for plate in plates)
    others = [
        replace(plate, image=synthetic_plate(n, person=1).image) for n, plate in zip(numbers, plates, strict=True)
    ]
    landmarks = tuple(plate.landmarks.mapped(matrix) for plate, matrix in zip(plates, matrices, strict=True))
    everyone = range(count)
    return FaceBatch(
        crops=PlateCutter(plates)(everyone, matrices, spec.size_px),
        landmarks=landmarks,
        plate_to_crop=matrices,
        frames=numbers,
        swapped=PlateCutter(others)(everyone, matrices, spec.size_px) if swapped else None,
        mattes=torch.stack([soft_matte(points, spec.size_px) for points in landmarks]) if swapped else None,
    )


def soft_matte(landmarks: Landmarks, size_px: int) -> Tensor:
    """`(1, S, S)` float32: 1 in the middle of a face's oval, 0 from its edge on."""
    oval = landmarks.region("oval")
    middle, half = oval.mean(axis=0), np.ptp(oval, axis=0) / 2
    x, y = np.meshgrid(np.arange(size_px) + 0.5, np.arange(size_px) + 0.5)
    radius = np.hypot((x - middle[0]) / half[0], (y - middle[1]) / half[1])
    return torch.from_numpy(np.clip((1 - radius) / 0.25, 0, 1)[None].astype(np.float32))


def faces_of(faces: FaceBatch, index: Sequence[int]) -> FaceBatch:
    """Some faces of a batch, as a batch of their own."""
    return FaceBatch(
        crops=faces.crops[list(index)],
        landmarks=tuple(faces.landmarks[i] for i in index),
        plate_to_crop=tuple(faces.plate_to_crop[i] for i in index),
        frames=tuple(faces.frames[i] for i in index),
        swapped=None if faces.swapped is None else faces.swapped[list(index)],
        mattes=None if faces.mattes is None else faces.mattes[list(index)],
    )


def face_window(count: int = 5, *, center: int | None = None, size_px: int = 96, first: int = 1001) -> FaceWindow:
    """One drawn face over neighbouring frames.

    Args:
        count: T.
        center: Index of the frame to be steadied; by default the middle one.
        size_px: S.
        first: Number of the first frame.
    """
    faces = face_batch(count, crop=CropSpec(size_px=size_px), first=first)
    if faces.swapped is None or faces.mattes is None:
        raise AssertionError("face_batch gives both unless told not to")
    middle = count // 2 if center is None else center
    return FaceWindow(faces.swapped, faces.crops, faces.mattes, faces.frames, middle)


def setting(
    *,
    width: int = 160,
    height: int = 160,
    first: int = 1001,
    last: int = 1048,
    device: str = "cpu",
    models: ModelStore | None = None,
    identities: Mapping[str, Identity] | None = None,
) -> Setting:
    """What the host tells a stage; without models and identities unless given."""
    return Setting(
        device=torch.device(device),
        models=ModelStore([], {}) if models is None else models,
        width=width,
        height=height,
        first=first,
        last=last,
        identities=dict(identities or {}),
    )


def options_of(stage: type[Stage[Any]], values: Mapping[str, object], *, folder: Path | None = None) -> Any:
    """A stage's settings, validated as those of a pipeline file are.

    Args:
        stage: The stage's class.
        values: As in the pipeline file; paths may be `Path`.
        folder: The pipeline file's folder, to which relative paths belong.

    Returns:
        An instance of `stage.Options`.
    """
    context = {} if folder is None else {"folder": folder}
    return stage.Options.model_validate_json(json.dumps(dict(values), default=str), context=context)


def synthetic_identity(name: str = "hero", *, folder: Path | None = None, stills: int = 2) -> Identity:
    """A drawn person with a consent record and seen stills; nothing is on disk.

    Args:
        name: The pipeline's name for it.
        folder: Where its files would be.
        stills: Number of stills; they differ in expression and pose.
    """
    folder = Path(name) if folder is None else folder
    plates = [synthetic_plate(5 * index, width=192, height=192, person=2) for index in range(stills)]
    paths = tuple(folder / f"still{index:02d}.png" for index in range(1, stills + 1))
    consent = Consent(
        performer="a drawn face",
        grantor="nobody; it is drawn by a formula",
        productions=("*",),
        purposes=("*",),
        scope="tests",
        **{"from": date(2000, 1, 1), "until": date(2999, 12, 31)},
    )
    portraits = tuple(
        Portrait(path=path, image=plate.image, landmarks=plate.landmarks)
        for path, plate in zip(paths, plates, strict=True)
    )
    return Identity(name=name, folder=folder, consent=consent, title=name, stills=paths, portraits=portraits)
