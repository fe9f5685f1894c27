"""Gives a face the plate's film grain or sensor noise."""

from __future__ import annotations

import numpy as np
from pydantic import Field
from torch import Tensor

from vfxswap.frame import PastedFace
from vfxswap.ops.grain import regrained
from vfxswap.stage import Finish, Span, StageOptions


class GrainOptions(StageOptions):
    """Settings of `grain`."""

    amount: float = Field(
        1.0, ge=0, le=2, description="How much of the missing grain is added; 1 makes up what the plate has."
    )
    seed: int = Field(0, ge=0, lt=2**20, description="Of the noise; the same seed gives the same picture.")
    neighbours_frames: int = Field(
        1,
        ge=0,
        le=4,
        description="Plates looked at on each side, by which grain, new in each frame, is told from texture; 0 takes"
        " all fine texture of the plate for grain.",
    )


class GrainMatch(Finish[GrainOptions]):
    """Measures the plate's grain around and in the face and what of it the face has, and adds what is missing.

    By brightness, by spectrum, for luma and colour each for itself; new noise in each frame, never the plate's own
    texture. A face that came with grain gets less, and on a clean plate it does nothing. To stand after the blend.
    """

    Options = GrainOptions

    @property
    def window(self) -> Span:
        """The neighbours, on both sides."""
        return Span(self.options.neighbours_frames, self.options.neighbours_frames)

    def finish(self, face: PastedFace) -> Tensor:
        """Gives `(1, 3, H, W)`."""
        options = self.options
        if options.amount == 0:
            return face.result
        near = options.neighbours_frames
        now = face.frames[face.center]
        others = [
            plate
            for plate, frame in zip(face.plates, face.frames, strict=True)
            if frame != now and abs(frame - now) <= near
        ]
        plate = face.plates[face.center : face.center + 1]
        seed = int(np.random.SeedSequence([options.seed, now % 2**32, face.place]).generate_state(1)[0])
        return regrained(face.result, plate, face.matte, others=others, amount=options.amount, seed=seed)
