"""What is known of faces is taken if it is known of these very faces; what nobody has seen is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vfxswap.analysis import Book, Finding, FoundFace, FoundFrame, Head, PlateStamp, Settled
from vfxswap.crops import PlateCutter, View
from vfxswap.drivers.base import Around
from vfxswap.drivers.recall import EditedFaces, Known, Marks
from vfxswap.errors import MediaError
from vfxswap.frame import Batch, Detection, Face
from vfxswap.geometry import Landmarks
from vfxswap.stage import Cutter
from vfxswap.testing import synthetic_frame, synthetic_plate

PLATE = PlateStamp(name="sh010.mov", width=640, height=360, first=1, last=1, files="a" * 64)
HEAD = Head(made_by="vfxswap 0", plate=PLATE, finding=Finding(key="b" * 64, stages=("find", "points")))
SEEN = replace(synthetic_plate(1).detection, track=1)
KNOWN, FOUND = (Landmarks(np.full((5, 2), value), "five") for value in (1.0, 2.0))


def book_of(path: Path, *faces: Detection) -> Book:
    """Of an aligned frame."""
    found = FoundFrame(1, False, tuple(FoundFace(face, landmarks=KNOWN) for face in faces), is_aligned=True)
    return Book(path, HEAD, {1: found}, [1])


def marks_of(book: Book) -> list[Landmarks | None]:
    """Of a frame with one face."""
    frame = synthetic_frame(1).with_faces([Face(SEEN)])
    view = View(frame.plate.tags, 0, torch.device("cpu"))

    def align(faces: Sequence[Detection], cut: Cutter) -> list[Landmarks | None]:
        return [FOUND for _ in faces]

    known = Known(book, {1: FoundFrame(1, False, (FoundFace(SEEN),))})
    return Marks(align, view, known).of(Batch((frame,)), PlateCutter([frame], view))


def test_landmarks_of_the_very_faces_are_not_found_again(tmp_path: Path) -> None:
    (marks,) = marks_of(book_of(tmp_path / "a.npz", replace(SEEN)))
    assert marks is KNOWN


@pytest.mark.parametrize(
    "others",
    [
        lambda face: [],
        lambda face: [face, face],
        lambda face: [replace(face, track=2)],
        lambda face: [replace(face, score=face.score / 2)],
        lambda face: [replace(face, five=None)],
        lambda face: [face.moved(1e-9, 0)],
    ],
    ids=["none", "two", "another track", "less sure", "without points", "elsewhere"],
)
def test_landmarks_of_other_faces_are(tmp_path: Path, others: Callable[[Detection], list[Detection]]) -> None:
    book = book_of(tmp_path / "a.npz", *others(SEEN))
    (marks,) = marks_of(book)
    assert marks is not None
    assert np.array_equal(marks.points, FOUND.points)
    frame = book.frame(1)
    assert frame is not None
    assert [face.detection for face in frame.faces] == [SEEN]


def test_a_frame_that_edits_were_not_held_against_is_named() -> None:
    step, frame = EditedFaces(Settled({}, {})), synthetic_frame(3)
    with pytest.raises(MediaError, match="frame 3 was not seen when all of the plate was looked at"):
        step.frames(Around((), Batch((frame,)), (), {3}))
