"""The driver of blends: faces go back into their plates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from vfxswap.crops import paste
from vfxswap.drivers.base import Around, Driver, checked, given
from vfxswap.frame import Frame
from vfxswap.stage import Blend


class BlendDriver(Driver):
    """Pastes the faces of a frame, the farthest first."""

    stage: Blend[Any]

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Driver`."""
        return tuple(self._pasted(frame) if frame.number in around.wanted else frame for frame in around.batch)

    def _pasted(self, frame: Frame) -> Frame:
        ready = [face for face in frame.faces if face.swapped is not None and face.matte is not None]
        if not ready:
            return frame
        picture = frame.picture.copy()
        changed = False
        for face in sorted(ready, key=lambda face: face.size_px):
            patch = (given(face.swapped), given(face.matte))
            matrix = given(face.plate_to_crop)
            changed |= paste(picture, self.shot.view, matrix, patch, self._joined, pointwise=self.stage.pointwise)
        return replace(frame, result=picture) if changed else frame.noted("the matte is empty: nothing was put in")

    def _joined(self, patch: Tensor, plate: Tensor, matte: Tensor) -> Tensor:
        return checked(self.stage.blend(patch, plate, matte), "the blended picture", tuple(plate.shape))
