"""A fault, made on purpose: swapped faces tremble in light, colour and place, as of a model that sees one frame."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody uses
from pydantic import Field
from torch import Tensor

from vfxswap.frame import Face, Frame
from vfxswap.geometry import Box
from vfxswap.hookspecs import StageOffer, hookimpl
from vfxswap.ops.warp import uncut
from vfxswap.stage import Stage, StageOptions, Window

_PUMP_FRAMES = 11.0


@hookimpl
def vfxswap_api() -> tuple[int, int]:
    """The contract that this is written for."""
    return (1, 0)


@hookimpl
def vfxswap_stages() -> list[StageOffer]:
    """The one stage."""
    return [StageOffer("tremble", "stage", ":Tremble", "a fault, for de-flickering to mend", "Apache-2.0")]


class TrembleOptions(StageOptions):
    """Settings of `tremble`."""

    gain: float = Field(0.03, ge=0, le=0.5, description="Deviation of each channel's gain from frame to frame.")
    shift_px: float = Field(1.5, ge=0, le=20, description="Deviation of the face's place, in pixels of the crop.")
    pump: float = Field(0.0, ge=0, le=0.5, description="Height of a slow wave of the light, of another phase aside.")
    shimmer: float = Field(0.0, ge=0, le=0.2, description="Deviation of detail of some two pixels, new each frame.")


class Tremble(Stage[TrembleOptions]):
    """Gain, shift and detail drawn for each frame by its number; and light that comes and goes."""

    Options = TrembleOptions
    needs = frozenset({"swapped"})
    gives = frozenset({"swapped"})

    def process(self, window: Window) -> Frame:
        """Changes the swapped faces of a frame."""
        frame = window.frame
        rng = np.random.default_rng(frame.number)
        gain = torch.from_numpy(1 + self.options.gain * rng.standard_normal(3)).float().reshape(3, 1, 1)
        shift = self.options.shift_px * rng.standard_normal(2)
        faces = [self._trembling(face, gain, shift) for face in frame.faces]
        return frame.with_faces([self._restless(face, frame.number) for face in faces])

    def _trembling(self, face: Face, gain: Tensor, shift: np.typing.NDArray[np.float64]) -> Face:
        if face.swapped is None:
            return face
        moved = np.column_stack([np.eye(2), shift])
        size = int(face.swapped.shape[-1])
        return replace(face, swapped=uncut(face.swapped, moved, Box(0, 0, size, size)) * gain.to(face.swapped.device))

    def _restless(self, face: Face, number: int) -> Face:
        if face.swapped is None or self.options.pump == self.options.shimmer == 0:
            return face
        size = int(face.swapped.shape[-1])
        aside = torch.linspace(0, math.pi / 2, size)
        wave = 1 + self.options.pump * torch.sin(2 * math.pi * number / _PUMP_FRAMES + aside)
        drawn = torch.from_numpy(np.random.default_rng(number).standard_normal((1, 1, size // 2, size // 2))).float()
        fine = 2 * self.options.shimmer * F.interpolate(drawn, size=[size, size], mode="bilinear")[0]
        return replace(face, swapped=face.swapped * wave.to(face.swapped) + fine.to(face.swapped))
