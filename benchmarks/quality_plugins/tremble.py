"""A fault, made on purpose: swapped faces tremble in light, colour and place, as of a model that sees one frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from vfxswap.frame import Face, Frame
from vfxswap.geometry import Box
from vfxswap.hookspecs import StageOffer, hookimpl
from vfxswap.ops.warp import uncut
from vfxswap.stage import Stage, StageOptions, Window


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


class Tremble(Stage[TrembleOptions]):
    """Gain and shift drawn for each frame by its number."""

    Options = TrembleOptions
    needs = frozenset({"swapped"})
    gives = frozenset({"swapped"})

    def process(self, window: Window) -> Frame:
        """Changes the swapped faces of a frame."""
        frame = window.frame
        rng = np.random.default_rng(frame.number)
        gain = torch.from_numpy(1 + self.options.gain * rng.standard_normal(3)).float().reshape(3, 1, 1)
        shift = self.options.shift_px * rng.standard_normal(2)
        return frame.with_faces([self._trembling(face, gain, shift) for face in frame.faces])

    def _trembling(self, face: Face, gain: Tensor, shift: np.typing.NDArray[np.float64]) -> Face:
        if face.swapped is None:
            return face
        moved = np.column_stack([np.eye(2), shift])
        size = int(face.swapped.shape[-1])
        return replace(face, swapped=uncut(face.swapped, moved, Box(0, 0, size, size)) * gain.to(face.swapped.device))
