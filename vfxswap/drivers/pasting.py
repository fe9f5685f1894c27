"""The drivers of blends and of finishes: faces go back into their plates, and are part of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from vfxswap.crops import Pasted, finish, paste
from vfxswap.drivers.base import Around, Driver, checked, given
from vfxswap.drivers.time import neighbours
from vfxswap.frame import Face, Frame, PastedFace, Picture
from vfxswap.stage import Blend, Finish, Window


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
        picture, faces = frame.picture.copy(), list(frame.faces)
        for face in sorted(ready, key=lambda face: face.size_px):
            patch = (given(face.swapped), given(face.matte))
            matrix = given(face.plate_to_crop)
            if paste(picture, self.shot.view, matrix, patch, self._joined, pointwise=self.stage.pointwise):
                faces[faces.index(face)] = replace(face, pasted=(*face.pasted, patch[1]))
        if faces == list(frame.faces):
            return frame.noted("the matte is empty: nothing was put in")
        return replace(frame, result=picture, faces=tuple(faces))

    def _joined(self, patch: Tensor, plate: Tensor, matte: Tensor) -> Tensor:
        return checked(self.stage.blend(patch, plate, matte), "the blended picture", tuple(plate.shape))


class FinishDriver(Driver):
    """Works on the faces that are in a frame, the farthest first."""

    stage: Finish[Any]

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Driver`."""
        return tuple(
            self._finished(neighbours(around, frame, self.span)) if frame.number in around.wanted else frame
            for frame in around.batch
        )

    def _finished(self, window: Window) -> Frame:
        frame = window.frame
        faces = [(place, face) for place, face in enumerate(frame.faces) if face.matte is not None]
        if frame.result is None or not faces:
            return frame
        picture = frame.result.copy()
        for place, face in sorted(faces, key=lambda numbered: numbered[1].size_px):
            self._finish(window, picture, place, face)
        return replace(frame, result=picture)

    def _finish(self, window: Window, picture: Picture, place: int, face: Face) -> None:
        def work(pasted: Pasted) -> Tensor:
            given_face = PastedFace(
                result=pasted.result[None],
                matte=pasted.matte[None],
                plates=pasted.plates,
                frames=tuple(frame.number for frame in window.frames),
                center=window.center,
                place=place,
            )
            shape = tuple(given_face.result.shape)
            return checked(self.stage.finish(given_face), "the finished picture", shape)[0]

        plates = [frame.plate for frame in window.frames]
        finish(picture, plates, self.shot.view, (given(face.plate_to_crop), given(face.matte)), work)
