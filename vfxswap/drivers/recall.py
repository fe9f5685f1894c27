"""Faces that are known before the run: by an analysis, by a look at the whole plate, or by an artist's word.

What was found in a frame is one thing (it is what an analysis keeps), what edits make of it another. The aligner looks
at what was found in whole batches, so that its bits never depend on edits, nor on what an analysis knows already; and
then at the faces that were edited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from vfxswap.analysis import Book, EditedFace, FoundFace, FoundFrame, Settled, exact_points, same_faces
from vfxswap.casting import Given
from vfxswap.crops import PlateCutter, View
from vfxswap.drivers.base import Around, Shot, Step
from vfxswap.errors import MediaError, ShapeError
from vfxswap.frame import Batch, Detection, Face, Frame, Tracked
from vfxswap.geometry import Affine, Landmarks
from vfxswap.stage import Cutter

T = TypeVar("T")
Align = Callable[[Sequence[Detection], Cutter], Sequence[Landmarks | None]]
Tracks = Mapping[int, Sequence[Tracked]]
"""The faces of each frame of the plate, by its number."""


class RecallFaces(Step):
    """A detector's step that gives the faces of an analysis where it has those of a whole batch.

    Args:
        detector: The step that finds them.
        book: What is known.
    """

    def __init__(self, detector: Step, book: Book) -> None:
        self._detector, self._book = detector, book

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Step`."""
        known = self._book.frames(around.batch.numbers)
        if known is None:
            return self._detector.work(around).frames
        return tuple(
            frame.with_faces([Face(face.detection, notes=face.notes) for face in found.faces])
            for frame, found in zip(around.batch, known, strict=True)
        )


class GatherFaces(Step):
    """Sees the faces of the whole plate before the run, for edits of a shot that no tracker has seen.

    Args:
        shot: The shot.
    """

    def __init__(self, shot: Shot) -> None:
        self._shot = shot
        self.tracks: Tracks = {}
        """What was found; empty before the survey."""

    def survey_frames(self) -> Sequence[int]:
        """All of the plate."""
        return range(self._shot.first, self._shot.last + 1)

    def survey(self, frames: Iterator[Frame]) -> None:
        """Notes the faces."""
        self.tracks = {
            frame.number: tuple(Tracked(face.detection, face.notes) for face in frame.faces) for frame in frames
        }

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Step`."""
        return tuple(with_tracked(frame, self.tracks) for frame in around.batch)


class EditedFaces(Step):
    """Gives each frame its faces as the edits leave them.

    Args:
        settled: The edits, applied to the whole plate.
    """

    def __init__(self, settled: Settled) -> None:
        self._settled = settled

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Step`."""
        return tuple(self._edited(frame) for frame in around.batch)

    def _edited(self, frame: Frame) -> Frame:
        faces = _looked_at(frame.number, self._settled.faces)
        return frame.with_faces([Face(face.detection, notes=face.notes) for face in faces])


def with_tracked(frame: Frame, tracks: Tracks) -> Frame:
    """A frame with the faces that are known of it.

    Raises:
        MediaError: The frame was not there when the plate was looked at.
    """
    faces = _looked_at(frame.number, tracks)
    return frame.with_faces([Face(face.detection, notes=face.notes) for face in faces])


def _looked_at(number: int, faces: Mapping[int, Sequence[T]]) -> Sequence[T]:
    """What is known of a frame since the plate was looked at.

    Raises:
        MediaError: The plate broke off before it then.
    """
    if number not in faces:
        raise MediaError(
            f"frame {number} was not seen when all of the plate was looked at before the run, as the plate broke off"
            " before it; mend the plate, or, if it can be read again, run again with --overwrite",
            frame=number,
        )
    return faces[number]


def found_in(tracks: Tracks, cuts: frozenset[int]) -> dict[int, FoundFrame]:
    """Tracked faces as an analysis keeps them; the aligner has not looked yet."""
    return {
        number: FoundFrame(number, number in cuts, tuple(FoundFace(face.detection, face.notes) for face in faces))
        for number, faces in tracks.items()
    }


def tracks_in(found: Mapping[int, FoundFrame]) -> Tracks:
    """The same the other way round."""
    return {
        number: tuple(Tracked(face.detection, face.notes) for face in frame.faces) for number, frame in found.items()
    }


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a shot's faces when the aligner begins."""

    book: Book | None = None
    """Takes what is found, and knows what was."""
    found: Mapping[int, FoundFrame] | None = None
    """The faces of the whole plate as they were found; None where they come with the frames."""
    edits: Settled | None = None

    @property
    def given(self) -> Given:
        """Whose faces the edits say some tracks are."""
        edits = self.edits
        if edits is None or self.found is None or not edits.identities:
            return Given()
        bound: dict[int, frozenset[str]] = {}
        for piece in _pieces(self.found):
            seen = {face.detection.track for number in piece for face in edits.faces[number]}
            names = frozenset(name for track, name in edits.identities.items() if track in seen and name is not None)
            bound |= dict.fromkeys(piece, names)
        return Given(edits.identities, bound)


def _pieces(found: Mapping[int, FoundFrame]) -> Iterator[list[int]]:
    """The frames between cuts."""
    piece: list[int] = []
    for number in sorted(found):
        if found[number].cut_before and piece:
            yield piece
            piece = []
        piece.append(number)
    if piece:
        yield piece


class Marks:
    """Finds the landmarks of a batch's faces, or knows them.

    Args:
        align: The aligner.
        view: How plates are looked at.
        known: What is known before.
    """

    def __init__(self, align: Align, view: View, known: Known) -> None:
        self._align, self._view, self._known = align, view, known

    def of(self, batch: Batch, cutter: PlateCutter) -> list[Landmarks | None]:
        """The landmarks of all faces of a batch, None where there is no face.

        Args:
            batch: With its faces.
            cutter: For them, in order.

        Raises:
            ShapeError: The aligner does not answer for each face.
        """
        edits = self._known.edits
        found = [self._found(frame) for frame in batch]
        marks = self._of_found(batch, found, cutter if edits is None else None)
        if edits is None:
            return marks
        faces = (face for frame in found for face in frame)
        places = {id(face): landmarks for face, landmarks in zip(faces, marks, strict=True)}
        edited = [face for frame in batch for face in edits.faces.get(frame.number, ())]
        return self._of_edited(edited, places, cutter)

    def _found(self, frame: Frame) -> tuple[FoundFace, ...]:
        """The faces of a frame as they were found."""
        if self._known.found is not None:
            there = self._known.found.get(frame.number)
            return () if there is None else there.faces
        return tuple(FoundFace(face.detection, face.notes) for face in frame.faces)

    def _of_found(
        self, batch: Batch, found: Sequence[tuple[FoundFace, ...]], cutter: PlateCutter | None
    ) -> list[Landmarks | None]:
        book = self._known.book
        known = None if book is None else book.frames(batch.numbers)
        if known is not None and all(
            frame.is_aligned and same_faces(frame.faces, faces) for frame, faces in zip(known, found, strict=True)
        ):
            return [face.landmarks for frame in known for face in frame.faces]
        if cutter is None:
            cutter = PlateCutter([f for f, faces in zip(batch, found, strict=True) for _ in faces], self._view)
        marks = self._aligned([face.detection for faces in found for face in faces], cutter)
        if book is not None:
            book.add(_put_down(batch, found, marks))
        return marks

    def _of_edited(
        self, faces: Sequence[EditedFace], places: Mapping[int, Landmarks | None], cutter: PlateCutter
    ) -> list[Landmarks | None]:
        """Of faces that are as they were found, what was found; points set by hand; the others are aligned."""
        marks = [face.landmarks if face.found is None else places[id(face.found)] for face in faces]
        anew = [i for i, face in enumerate(faces) if face.found is None and face.landmarks is None]
        fresh = self._aligned([faces[i].detection for i in anew], Chosen(cutter, anew))
        for i, landmarks in zip(anew, fresh, strict=True):
            marks[i] = landmarks
        return marks

    def _aligned(self, detections: Sequence[Detection], cutter: Cutter) -> list[Landmarks | None]:
        if not detections:
            return []
        marks = self._align(detections, cutter)
        if len(marks) != len(detections):
            raise ShapeError("sets of landmarks", expected=f"{len(detections)}, one a face", actual=str(len(marks)))
        return [None if landmarks is None else exact_points(landmarks) for landmarks in marks]


def _put_down(
    batch: Batch, found: Sequence[tuple[FoundFace, ...]], marks: Sequence[Landmarks | None]
) -> Iterator[FoundFrame]:
    """What was found in a batch, with its landmarks."""
    following = iter(marks)
    for frame, faces in zip(batch, found, strict=True):
        aligned = tuple(FoundFace(face.detection, face.notes, next(following)) for face in faces)
        yield FoundFrame(frame.number, frame.cut_before, aligned, is_aligned=True)


class Chosen(Cutter):
    """Cuts around some of the faces that a cutter has.

    Args:
        cutter: For all of them.
        places: Those that are asked for, by their index there.
    """

    def __init__(self, cutter: Cutter, places: Sequence[int]) -> None:
        self._cutter, self._places = cutter, places

    def __call__(self, index: Sequence[int], plate_to_crop: Sequence[Affine], size_px: int) -> Tensor:
        """See `Cutter`."""
        return self._cutter([self._places[i] for i in index], plate_to_crop, size_px)


class Looking(Step):
    """An aligner's step that finds landmarks and cuts no crops, for analyses."""

    def __init__(self, align: Align, view: View, known: Known) -> None:
        self._marks, self._view = Marks(align, view, known), view

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Step`."""
        self._marks.of(around.batch, PlateCutter([f for f in around.batch for _ in f.faces], self._view))
        return tuple(frame.with_faces(()) for frame in around.batch)
