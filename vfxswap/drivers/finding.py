"""Drivers of the stages that find faces: detectors and aligners."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from vfxswap.analysis import exact
from vfxswap.casting import Given, cast
from vfxswap.crops import PlateCutter, lies_outside, small_picture
from vfxswap.drivers.base import Around, Driver, Shot, given
from vfxswap.drivers.likeness import TrackCasting
from vfxswap.drivers.recall import Known, Marks
from vfxswap.errors import MediaError, ShapeError
from vfxswap.frame import Detection, Face, Frame
from vfxswap.geometry import Landmarks
from vfxswap.stage import Aligner, AlignerOptions, Detector
from vfxswap.trackcast import TrackCast


class DetectorDriver(Driver):
    """Gives the stage small upright pictures."""

    stage: Detector[Any]

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Driver`."""
        batch, size = around.batch, self.stage.image_size()
        images = None
        if size is not None:
            pictures = [small_picture(frame.plate, self.shot.view, size) for frame in batch]
            images = torch.stack(pictures).to(self.shot.view.device)
        found = self.stage.detect(images, batch.numbers)
        if len(found) != len(batch):
            raise ShapeError("lists of detections", expected=f"{len(batch)}, one a frame", actual=str(len(found)))
        return tuple(self._seen(frame, list_, size) for frame, list_ in zip(batch, found, strict=True))

    def _seen(self, frame: Frame, found: Sequence[Detection], size: tuple[int, int] | None) -> Frame:
        if size is not None:
            width, height = self.shot.view.upright_size(frame.plate)
            found = [detection.scaled(width / size[0], height / size[1]) for detection in found]
        return frame.with_faces([Face(exact(detection)) for detection in found])


class AlignerDriver(Driver):
    """Gives the stage the faces of all frames, casts the identities, and cuts the crops of those who are swapped."""

    stage: Aligner[Any]

    def __init__(self, stage: Aligner[Any], shot: Shot) -> None:
        super().__init__(stage, shot)
        self._known, self._given = Known(), Given()
        self._casting: TrackCasting | None = None
        self._tracks: TrackCast | None = None

    @property
    def known(self) -> Known:
        """What is known of the faces before; whoever knows it puts it here."""
        return self._known

    @known.setter
    def known(self, known: Known) -> None:
        self._known, self._given = known, known.given
        if self.shot.is_tracked and self.shot.roles and known.found is not None:
            self._casting = TrackCasting(self.shot, known, self.stage.align)
            self._tracks = self._casting.cast()

    def survey_frames(self) -> Sequence[int]:
        """Where tracks are compared with stills; and what the stage wants to see."""
        own = self.stage.survey_frames(self.shot.first, self.shot.last)
        return own if self._casting is None else sorted({*own, *self._casting.frames})

    def survey(self, frames: Iterator[Frame]) -> None:
        """Casts the tracks."""
        if self._casting is None:
            super().survey(frames)
            return
        own = set(self.stage.survey_frames(self.shot.first, self.shot.last))
        kept: list[Frame] = []
        self._casting.look(_keeping(frames, own, kept))
        self._tracks = self._casting.cast()
        self.stage.survey(kept)

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Driver`."""
        cutter = PlateCutter([frame for frame in around.batch for _ in frame.faces], self.shot.view)
        found = enumerate(Marks(self.stage.align, self.shot.view, self.known).of(around.batch, cutter))
        return tuple(self._aligned(frame, [next(found) for _ in frame.faces], cutter) for frame in around.batch)

    def _aligned(self, frame: Frame, marks: Sequence[tuple[int, Landmarks | None]], cutter: PlateCutter) -> Frame:
        placed = [(i, self._placed(face, m)) for face, (i, m) in zip(frame.faces, marks, strict=True) if m is not None]
        faces = {i: face for i, face in placed if not self._outside(frame, face)}
        if len(faces) < len(frame.faces):
            frame = frame.noted(f"{len(frame.faces) - len(faces)} of {len(frame.faces)} detections show no face")
        frame = cast(frame.with_faces([*faces.values()]), self.shot.roles, self._given, self._tracks)
        self._refuse_missing(frame)
        return frame.with_faces([self._cropped(face, i, cutter) for i, face in zip(faces, frame.faces, strict=True)])

    def _refuse_missing(self, frame: Frame) -> None:
        missing = {role.identity for role in self.shot.roles} - {face.identity for face in frame.faces}
        if missing and self.shot.fail_on_missing:
            raise MediaError(
                f"no face found for identity {', '.join(sorted(missing))};"
                ' [shot] on_missing = "pass" leaves such frames untouched and lists them in the report',
                frame=frame.number,
            )

    def _placed(self, face: Face, marks: Landmarks) -> Face:
        options: AlignerOptions = self.stage.options
        matrix = options.crop.plate_to_crop(marks)
        return replace(face, landmarks=marks, plate_to_crop=matrix, crop_size=options.crop_size, crop_spec=options.crop)

    def _outside(self, frame: Frame, face: Face) -> bool:
        size = self.shot.view.upright_size(frame.plate)
        return lies_outside(given(face.plate_to_crop), face.crop_size, *size)

    def _cropped(self, face: Face, index: int, cutter: PlateCutter) -> Face:
        spec = self.shot.crops.get(face.identity or "")
        if spec is not None:
            matrix = spec.plate_to_crop(given(face.landmarks))
            face = replace(face, plate_to_crop=matrix, crop_size=spec.size_px, crop_spec=spec)
        if self.shot.roles and face.identity is None:
            return face  # nobody will look at its pixels
        return replace(face, crop=cutter.cut(index, given(face.plate_to_crop), face.crop_size))


def _keeping(frames: Iterator[Frame], numbers: Container[int], kept: list[Frame]) -> Iterator[Frame]:
    """The frames, of which some are kept."""
    for frame in frames:
        if frame.number in numbers:
            kept.append(frame)
        yield frame
