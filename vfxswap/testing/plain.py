"""The contract of plain stages, which work on whole frames by `process`."""

# ruff: noqa: S101 - asserts are what a contract suite is made of

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from vfxswap.frame import Face, Frame
from vfxswap.stage import Window
from vfxswap.testing.checks import untouched
from vfxswap.testing.material import face_batch, synthetic_plate
from vfxswap.testing.pictures import synthetic_frame
from vfxswap.testing.stages import StageContract


class ProcessContract(StageContract):
    """What every plain stage must keep."""

    @pytest.fixture
    def seen(self, made: Any) -> Window:
        """A whole window of frames with one face each, aligned, swapped and with a matte."""
        behind, ahead = made.window
        return Window(tuple(_frame(1001 + n) for n in range(behind + ahead + 1)), center=behind)

    def test_it_gives_its_frame(self, made: Any, seen: Window) -> None:
        """A changed copy of the central frame, with the plate as it was."""
        frame = made.process(seen)
        assert frame.number == seen.frame.number
        assert frame.plate is seen.frame.plate

    def test_it_gives_the_same_bits_again(self, made: Any, seen: Window) -> None:
        """A frame that is rendered again must not differ."""
        assert _bits(made.process(seen)) == _bits(made.process(seen))

    def test_it_leaves_its_input_alone(self, made: Any, seen: Window) -> None:
        """Frames are shared between windows and threads."""
        before = [_bits(frame) for frame in seen.frames]
        with untouched(*(face.crop for frame in seen.frames for face in frame.faces)):
            made.process(seen)
        assert [_bits(frame) for frame in seen.frames] == before

    def test_shots_have_ends(self, made: Any) -> None:
        """Windows are shorter at cuts and at the shot's ends."""
        assert made.process(Window((_frame(1001),), center=0)).number == 1001

    def test_frames_without_faces_pass(self, made: Any, seen: Window) -> None:
        """Faces leave the picture."""
        empty = Window(tuple(frame.with_faces(()) for frame in seen.frames), seen.center)
        assert made.process(empty).number == seen.frame.number


def _frame(number: int) -> Frame:
    faces = face_batch(1, first=number)
    plate = synthetic_plate(number)
    face = Face(
        plate.detection,
        landmarks=plate.landmarks,
        plate_to_crop=faces.plate_to_crop[0],
        crop_size=faces.crops.shape[-1],
        identity="hero",
        crop=faces.crops[0],
        swapped=None if faces.swapped is None else faces.swapped[0],
        matte=None if faces.mattes is None else faces.mattes[0],
    )
    return synthetic_frame(number, width=160, height=160).with_faces([face])


def _bits(frame: Frame) -> list[str]:
    """Fingerprints of all that a stage may change; how bytes differ, pytest writes out for minutes."""
    tensors = [tensor for face in frame.faces for tensor in (face.crop, face.swapped, face.matte) if tensor is not None]
    marks = [face.landmarks.points for face in frame.faces if face.landmarks is not None]
    planes = [*frame.plate.planes, *frame.picture.planes, *(tensor.cpu().numpy() for tensor in tensors), *marks]
    return [hashlib.sha256(np.ascontiguousarray(plane).tobytes()).hexdigest() for plane in planes]
