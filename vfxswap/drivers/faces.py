"""Drivers of the stages that work on stacked crops: swappers and mattes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vfxswap.crops import PlateCutter
from vfxswap.drivers.base import Around, Driver, Shot, checked, given
from vfxswap.frame import Batch, Face, FaceBatch, Frame
from vfxswap.identity import Identity
from vfxswap.stage import (
    Matte,
    MatteOptions,
    Swapper,
    SwapperOptions,
)

Chosen = Callable[[Face], bool]


def per_face(batch: Batch, chosen: Chosen, work: Callable[[list[tuple[Frame, Face]]], list[Face]]) -> tuple[Frame, ...]:
    """Maps some faces of a batch, those of equal crop size together, and puts them back into their frames."""
    places = [(i, j) for i, frame in enumerate(batch) for j, face in enumerate(frame.faces) if chosen(face)]
    sizes = sorted({batch.frames[i].faces[j].crop_size for i, j in places})
    changed = [list(frame.faces) for frame in batch]
    for size in sizes:
        group = [(i, j) for i, j in places if batch.frames[i].faces[j].crop_size == size]
        results = work([(batch.frames[i], batch.frames[i].faces[j]) for i, j in group])
        for (i, j), face in zip(group, results, strict=True):
            changed[i][j] = face
    return tuple(frame.with_faces(faces) for frame, faces in zip(batch, changed, strict=True))


def stacked(faces: Sequence[tuple[Frame, Face]]) -> FaceBatch:
    """Faces as a stage gets them; all have crops of one size."""
    return FaceBatch(
        crops=torch.stack([given(face.crop) for _, face in faces]),
        landmarks=tuple(given(face.landmarks).mapped(given(face.plate_to_crop)) for _, face in faces),
        plate_to_crop=tuple(given(face.plate_to_crop) for _, face in faces),
        frames=tuple(frame.number for frame, _ in faces),
        swapped=_stack([face.swapped for _, face in faces]),
        mattes=_stack([face.matte for _, face in faces]),
    )


def _stack(tensors: Sequence[Tensor | None]) -> Tensor | None:
    present = [tensor for tensor in tensors if tensor is not None]
    return torch.stack(present) if present and len(present) == len(tensors) else None


class SwapperDriver(Driver):
    """Gives the stage the faces that are to become its identity."""

    stage: Swapper[Any]

    def __init__(self, stage: Swapper[Any], shot: Shot, identity: Identity) -> None:
        super().__init__(stage, shot)
        self._identity = identity

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Driver`."""
        options: SwapperOptions = self.stage.options
        return per_face(
            around.batch, lambda face: face.identity == options.identity and face.crop is not None, self._swap
        )

    def _swap(self, places: list[tuple[Frame, Face]]) -> list[Face]:
        faces = stacked(places)
        count, _, size, _ = faces.crops.shape
        swapped = self.stage.swap(faces, self._identity)
        crops = checked(swapped.crops, "swapped crops", (count, 3, size, size))
        if self.stage.light_beyond == "plate":
            crops = crops + (faces.crops - faces.crops.clamp(0, 1))
        elif self.stage.light_beyond == "larger":
            crops = crops + (faces.crops.clamp_min(1) - crops.clamp_min(1)).clamp_min(0)
        mattes = checked(swapped.mattes, "the swapper's mattes", (count, 1, size, size)).clamp(0, 1)
        return [
            replace(face, swapped=crop, matte=matte if face.matte is None else face.matte * matte)
            for (_, face), crop, matte in zip(places, crops, mattes, strict=True)
        ]


_COMBINED: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "multiply": torch.mul,
    "min": torch.minimum,
    "max": torch.maximum,
    "replace": lambda _, new: new,
}


class MatteDriver(Driver):
    """Joins the stage's mattes with those that are there."""

    stage: Matte[Any]

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Driver`."""
        return per_face(around.batch, lambda face: face.crop is not None, self._matte)

    def _matte(self, places: list[tuple[Frame, Face]]) -> list[Face]:
        options: MatteOptions = self.stage.options
        faces = replace(stacked(places), cut=PlateCutter([frame for frame, _ in places], self.shot.view))
        shape = (len(faces), 1, *faces.crops.shape[2:])
        mattes = checked(self.stage.matte(faces), "mattes", shape).clamp(0, 1)
        combine = _COMBINED[options.combine]
        return [
            replace(face, matte=new if face.matte is None else combine(face.matte, new))
            for (_, face), new in zip(places, mattes, strict=True)
        ]
