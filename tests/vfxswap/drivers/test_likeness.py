"""Tracks compared with a still: by the shapes of some faces, or by what a recogniser says of their pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.analysis import EditedFace, FoundFace, FoundFrame, Settled
from vfxswap.casting import Role
from vfxswap.crops import View
from vfxswap.drivers.base import Shot
from vfxswap.drivers.likeness import TrackCasting
from vfxswap.drivers.recall import Align, Known
from vfxswap.frame import Detection, Face, Frame
from vfxswap.geometry import Landmarks, Points
from vfxswap.pipeline.tables import FaceRule
from vfxswap.stage import Cutter
from vfxswap.testing import synthetic_frame

COUNT, CUT = 40, 25
BOXES = {1: (8.0, 20.0, 48.0, 60.0), 2: (70.0, 20.0, 110.0, 60.0)}
"""Where the tracks are; after the cut they change numbers and places: 3 is who was 2, and 4 who was 1."""


def shape(person: int, box: tuple[float, float, float, float]) -> Landmarks:
    points = np.random.default_rng(person).normal(size=(68, 2))
    return Landmarks(np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]) + 8 * points, "ibug68")


def person_of(track: int) -> int:
    return {1: 1, 2: 2, 3: 2, 4: 1}[track]


def faces(number: int) -> list[Detection]:
    tracks = (1, 2) if number < CUT else (3, 4)
    return [Detection(BOXES[place], 0.9, None, track) for place, track in enumerate(tracks, 1)]


def align(detections: Sequence[Detection], cut: Cutter) -> list[Landmarks | None]:
    """Knows everybody."""
    return [shape(person_of(face.track or 0), face.box) for face in detections]


def frame(number: int) -> Frame:
    """Who is 1 is lighter."""
    made = synthetic_frame(number, width=128, height=96)
    for plane in made.plate.planes[:1]:
        plane[:] = 40
        for face in faces(number):
            x0, y0, x1, y1 = (int(side) for side in face.box)
            plane[y0:y1, x0:x1] = 200 if person_of(face.track or 0) == 1 else 90
    return made.with_faces([Face(face) for face in faces(number)])


def brightness(picture: Tensor, five: Points) -> NDArray[np.float32]:
    """A recogniser."""
    x, y = five.mean(axis=0).astype(int)
    angle = float(picture[:, y, x].mean()) * np.pi / 2
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def casting_of(role: Role, **options: object) -> TrackCasting:
    view = View(synthetic_frame(1).plate.tags, 0, torch.device("cpu"))
    found = {
        n: FoundFrame(n, n == CUT, tuple(FoundFace(face) for face in faces(n))) for n in range(1, COUNT + 1) if n != 9
    }
    shot = Shot(view=view, first=1, last=COUNT, roles=(role,), is_tracked=True, **options)  # type: ignore[arg-type]
    return TrackCasting(shot, Known(found=found), align)


def edited_casting(role: Role, *, is_known: bool, aligner: Align, **options: object) -> TrackCasting:
    """The same, with the points of track 1 set by hand, to those of a third person; with an analysis or without."""
    found, edited = dict[int, FoundFrame](), dict[int, tuple[EditedFace, ...]]()
    for number in range(1, COUNT + 1):
        seen = [FoundFace(face, landmarks=_known(face) if is_known else None) for face in faces(number)]
        found[number] = FoundFrame(number, number == CUT, tuple(seen), is_aligned=is_known)
        edited[number] = tuple(_by_hand(face) for face in seen)
    view = View(synthetic_frame(1).plate.tags, 0, torch.device("cpu"))
    shot = Shot(view=view, first=1, last=COUNT, roles=(role,), is_tracked=True, **options)  # type: ignore[arg-type]
    return TrackCasting(shot, Known(found=found, edits=Settled(edited, {})), aligner)


def _known(face: Detection) -> Landmarks:
    return shape(person_of(face.track or 0), face.box)


def _by_hand(face: FoundFace) -> EditedFace:
    if face.detection.track != 1:
        return EditedFace(face.detection, found=face)
    return EditedFace(face.detection, landmarks=shape(3, face.detection.box))


LIKE = FaceRule.model_construct(by="like", rank=1, still=None)


@pytest.mark.parametrize("person", [1, 2])
def test_a_still_is_found_again_after_a_cut(person: int) -> None:
    casting = casting_of(Role("lead", LIKE, shape(person, BOXES[1])))
    casting.look(map(frame, casting.frames))
    its = {1: {(1, 1): "lead", (CUT, 4): "lead"}, 2: {(1, 2): "lead", (CUT, 3): "lead"}}
    assert casting.cast().taken == its[person]


def test_a_few_frames_are_enough_and_none_is_missing_in_the_plate() -> None:
    frames = casting_of(Role("lead", LIKE, shape(1, BOXES[1]))).frames
    assert 9 not in frames
    assert len([number for number in frames if number < CUT]) == 9
    assert len(frames) == 18


def test_a_recogniser_has_the_word_if_there_is_one() -> None:
    light = brightness(torch.full((3, 4, 4), 0.75), np.full((5, 2), 2.0))
    role = Role("lead", LIKE, shape(2, BOXES[1]), light)  # by its shape it would be the other
    casting = casting_of(role, recognise=brightness)
    casting.look(map(frame, casting.frames))
    assert casting.cast().taken == {(1, 1): "lead", (CUT, 4): "lead"}


@pytest.mark.parametrize("is_known", [False, True], ids=["found", "known"])
def test_points_that_were_set_by_hand_are_what_is_compared(*, is_known: bool) -> None:
    """With an analysis and without; only faces of which nobody knows are aligned."""
    shown: list[int | None] = []

    def aligner(detections: Sequence[Detection], cut: Cutter) -> list[Landmarks | None]:
        shown.extend(face.track for face in detections)
        return align(detections, cut)

    role = Role("lead", LIKE, shape(3, BOXES[1]))
    casting = edited_casting(role, is_known=is_known, aligner=aligner)
    assert bool(casting.frames) is not is_known
    casting.look(map(frame, casting.frames))
    assert set(shown) == (set() if is_known else {2, 3, 4})
    assert casting.cast().taken[1, 1] == "lead"
    assert (1, 2) not in casting.cast().taken


def test_a_recogniser_is_shown_faces_by_their_points_whoever_knew_them() -> None:
    light = brightness(torch.full((3, 4, 4), 0.75), np.full((5, 2), 2.0))
    role = Role("lead", LIKE, shape(3, BOXES[1]), light)
    pieces: list[list[float]] = []
    for is_known in (False, True):
        seen = list[float]()
        pieces.append(seen)

        def recognise(picture: Tensor, five: Points, seen: list[float] = seen) -> NDArray[np.float32]:
            seen.append(float(picture.sum()))
            return brightness(picture, five)

        casting = edited_casting(role, is_known=is_known, aligner=align, recognise=recognise)
        casting.look(map(frame, casting.frames))
        assert (CUT, 4) in casting.cast().taken
    assert pieces[0] == pieces[1]


def test_ranks_look_at_nothing() -> None:
    casting = casting_of(Role("lead", FaceRule(by="left", rank=2)))
    assert casting.frames == []
    assert casting.cast().taken == {(1, 2): "lead", (CUT, 4): "lead"}
    assert casting.cast().takes(30, "lead") == {4}
    assert casting.cast().takes(9, "lead") == frozenset()
