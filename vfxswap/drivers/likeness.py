"""Casting tracks for an aligner, before its first frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vfxswap.alignment import CropSpec
from vfxswap.analysis import EditedFace, exact_points
from vfxswap.casting import cast_tracks, unlikeness
from vfxswap.crops import PlateCutter
from vfxswap.drivers.base import Shot
from vfxswap.drivers.recall import Align, Chosen, Known
from vfxswap.frame import Detection, Frame
from vfxswap.geometry import Landmarks
from vfxswap.stage import Cutter
from vfxswap.trackcast import TrackCast, TrackKey, pieces_of, sampled

_LOOK = CropSpec("ffhq_512", 256)
"""The piece of the plate that a recogniser is shown."""


class TrackCasting:
    """Who takes which track of a plate: by what tracks show, and, for `by = "like"`, by some faces of each.

    Args:
        shot: With roles.
        known: The faces of the whole plate, on tracks.
        align: The aligner.
    """

    def __init__(self, shot: Shot, known: Known, align: Align) -> None:
        self._shot, self._align, self._known, self._given = shot, align, known, known.given
        faces, cuts = _all(known)
        self._pieces = pieces_of(faces, cuts)
        self._shapes: defaultdict[TrackKey, list[Landmarks]] = defaultdict(list)
        self._vectors: defaultdict[TrackKey, list[NDArray[np.float32]]] = defaultdict(list)
        self._wanted: defaultdict[int, dict[int, TrackKey]] = defaultdict(dict)
        if any(role.rule.by == "like" for role in shot.roles):
            for shown in (shown for piece in self._pieces for shown in piece.shown):
                for number in sampled(shown):
                    self._wanted[number][shown.key[1]] = shown.key
        by_shape = all(role.vector is None for role in shot.roles)
        if by_shape and (marks := _recalled(known, self._wanted)) is not None:
            self._wanted.clear()
            for key, landmarks in marks:
                self._shapes[key].append(landmarks)

    @property
    def frames(self) -> Sequence[int]:
        """The frames to be looked at."""
        return sorted(self._wanted)

    def look(self, frames: Iterator[Frame]) -> None:
        """Looks at them; landmarks that are known already, or were set by hand, are taken as they are."""
        for frame in frames:
            keys = self._wanted.get(frame.number)
            if keys is None:
                continue
            seen = zip(frame.faces, _seen(self._known, frame.number), strict=True)
            wanted = [(face.detection, marks) for face, marks in seen if marks.track in keys]
            cutter = PlateCutter([frame for _ in wanted], self._shot.view)
            for index, ((face, _), marks) in enumerate(zip(wanted, self._marks(wanted, cutter), strict=True)):
                if marks is not None and face.track is not None:
                    self._compare(keys[face.track], marks, index, cutter)

    def _marks(self, faces: Sequence[tuple[Detection, _Seen]], cutter: Cutter) -> list[Landmarks | None]:
        """The landmarks of some faces; those that nobody knows are found."""
        marks = [seen.landmarks for _, seen in faces]
        anew = [i for i, (_, seen) in enumerate(faces) if not seen.is_known]
        fresh = self._align([faces[i][0] for i in anew], Chosen(cutter, anew)) if anew else ()
        for i, landmarks in zip(anew, fresh, strict=True):
            marks[i] = None if landmarks is None else exact_points(landmarks)
        return marks

    def _compare(self, key: TrackKey, marks: Landmarks, index: int, cutter: PlateCutter) -> None:
        self._shapes[key].append(marks)
        if self._shot.recognise is None:
            return
        matrix = _LOOK.plate_to_crop(marks)
        picture = cutter([index], [matrix], _LOOK.size_px)[0].clamp(0, 1)
        vector = self._shot.recognise(picture, marks.mapped(matrix).five())
        if vector is not None:
            self._vectors[key].append(vector)

    def cast(self) -> TrackCast:
        """Who takes which track, by what was seen."""
        unlike: dict[str, Mapping[TrackKey, float]] = {}
        for role in self._shot.roles:
            if role.rule.by == "like":
                measured = {
                    key: unlikeness(role, shapes, self._vectors.get(key, ())) for key, shapes in self._shapes.items()
                }
                unlike[role.identity] = {key: value for key, value in measured.items() if value is not None}
        return cast_tracks(self._shot.roles, self._pieces, unlike, self._given)


class _Seen(NamedTuple):
    """What is known of a face's landmarks before anybody looks at it."""

    track: int | None
    is_known: bool
    """Whether it is not aligned: the aligner has looked at it, or somebody set its points."""
    landmarks: Landmarks | None
    """None where the aligner saw no face, too."""


def _seen(known: Known, number: int) -> list[_Seen]:
    """The faces of a frame, in their order, as edits leave them."""
    frame = (known.found or {})[number]
    if known.edits is None:
        return [_Seen(face.detection.track, frame.is_aligned, face.landmarks) for face in frame.faces]
    return [_seen_edited(face, is_aligned=frame.is_aligned) for face in known.edits.faces[number]]


def _seen_edited(face: EditedFace, *, is_aligned: bool) -> _Seen:
    if face.found is not None:
        return _Seen(face.detection.track, is_aligned, face.found.landmarks)
    return _Seen(face.detection.track, face.landmarks is not None, face.landmarks)


def _recalled(known: Known, wanted: Mapping[int, Mapping[int, TrackKey]]) -> list[tuple[TrackKey, Landmarks]] | None:
    """The landmarks that tracks are compared by, if those of all of them are known."""
    marks: list[tuple[TrackKey, Landmarks]] = []
    for number in sorted(wanted):
        for track, is_known, landmarks in _seen(known, number):
            if track is None or track not in wanted[number]:
                continue
            if not is_known:
                return None
            if landmarks is not None:
                marks.append((wanted[number][track], landmarks))
    return marks


def _all(known: Known) -> tuple[dict[int, list[Detection]], set[int]]:
    """The faces of all frames, as edits leave them, and the cuts."""
    found = known.found or {}
    cuts = {number for number, frame in found.items() if frame.cut_before}
    if known.edits is None:
        return {number: [face.detection for face in found[number].faces] for number in sorted(found)}, cuts
    edited = known.edits.faces
    return {number: [face.detection for face in edited.get(number, ())] for number in sorted(found)}, cuts
