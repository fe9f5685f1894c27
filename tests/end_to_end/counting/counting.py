"""A plugin for tests that writes down at which frames it is asked to find faces, and puts in what is cheap."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor

from vfxswap.frame import Detection, FaceBatch
from vfxswap.geometry import Landmarks, umeyama
from vfxswap.hookspecs import StageOffer, hookimpl
from vfxswap.identity import Identity
from vfxswap.stage import (
    Aligner,
    AlignerOptions,
    Cutter,
    Detector,
    InputPath,
    StageOptions,
    Swapped,
    Swapper,
    SwapperOptions,
)
from vfxswap.testing import synthetic_plate
from vfxswap.trackfile import read_tracks


def _note(what: str) -> None:
    with (Path(os.environ["COUNT_FOLDER"]) / "asked").open("a", encoding="utf-8") as file:
        file.write(f"{what}\n")


class CountedOptions(StageOptions):
    """Settings of `counted`."""

    path: InputPath = Field(description="A tracks file with what it is going to find.")
    tracks: bool = Field(default=True, description="Whether it knows who is who.")
    shift: float = Field(default=0.0, description="Pixels by which it is wrong.")


class Counted(Detector[CountedOptions]):
    """Finds what a tracks file has, and writes down that it looked."""

    Options = CountedOptions

    def image_size(self) -> tuple[int, int]:
        """It wants to see something, as a network does."""
        return 32, 24

    def detect(self, images: Tensor | None, frames: Sequence[int]) -> list[list[Detection]]:
        """The file's faces."""
        file = read_tracks(self.options.path)
        for number in frames:
            _note(f"face {number}")
        return [[self._seen(face, file.width, file.height) for face in file.faces(number)] for number in frames]

    def _seen(self, face: Detection, width: int, height: int) -> Detection:
        found = face.moved(self.options.shift, 0).scaled(32 / width, 24 / height)
        return Detection(found.box, found.score, found.five, found.track if self.options.tracks else None)


class CountedPoints(Aligner[AlignerOptions]):
    """Lays a drawn face's mesh onto the five points, and writes down that it looked."""

    Options = AlignerOptions

    def align(self, detections: Sequence[Detection], cut: Cutter) -> list[Landmarks | None]:
        """The mesh of each face, as its five points lie."""
        mesh = synthetic_plate(1).landmarks
        for _ in detections:
            _note("points")
        return [None if face.five is None else mesh.mapped(umeyama(mesh.five(), face.five)) for face in detections]


class NegativeOptions(SwapperOptions):
    """Settings of `negative`."""

    depth: float = Field(default=1.0, ge=0, le=1, description="How much of the negative.")


class Negative(Swapper[NegativeOptions]):
    """Puts in the negative, which costs next to nothing."""

    Options = NegativeOptions

    def swap(self, faces: FaceBatch, identity: Identity) -> Swapped:
        """All of the crop, but for its rim."""
        mattes = torch.zeros_like(faces.crops[:, :1])
        mattes[..., 6:-6, 6:-6] = 1
        return Swapped(torch.lerp(faces.crops, 1 - faces.crops, self.options.depth), mattes)


@hookimpl
def vfxswap_api() -> tuple[int, int]:
    """The contract that it was written for."""
    return (1, 0)


@hookimpl
def vfxswap_stages() -> list[StageOffer]:
    """Its stages."""
    return [
        StageOffer("counted", "detector", ":Counted", "finds and counts"),
        StageOffer("counted-points", "aligner", ":CountedPoints", "aligns and counts"),
        StageOffer("negative", "swapper", ":Negative", "puts in the negative"),
    ]
