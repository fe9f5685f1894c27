"""Casting tracks for an aligner, before its first frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vfxswap.alignment import CropSpec
from vfxswap.casting import cast_tracks, unlikeness
from vfxswap.crops import PlateCutter
from vfxswap.drivers.base import Shot
from vfxswap.drivers.recall import Align, Known
from vfxswap.frame import Detection, Frame
from vfxswap.geometry import Landmarks
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
        self._shot, self._align, self._given = shot, align, known.given
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
        """Looks at them."""
        for frame in frames:
            keys = self._wanted[frame.number]
            faces = [face.detection for face in frame.faces if face.detection.track in keys]
            cutter = PlateCutter([frame for _ in faces], self._shot.view)
            for index, (face, marks) in enumerate(zip(faces, self._align(faces, cutter), strict=True)):
                if marks is not None and face.track is not None:
                    self._compare(keys[face.track], marks, index, cutter)

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


def _recalled(known: Known, wanted: Mapping[int, Mapping[int, TrackKey]]) -> list[tuple[TrackKey, Landmarks]] | None:
    """The landmarks that tracks are compared by, if an analysis has those of all of them."""
    marks: list[tuple[TrackKey, Landmarks]] = []
    for number in sorted(wanted):
        frame = (known.found or {}).get(number)
        if frame is None or not frame.is_aligned:
            return None
        faces = [(face.detection.track, face.landmarks) for face in frame.faces]
        if known.edits is not None:
            edited = known.edits.faces.get(number, ())
            if any(face.found is None and face.landmarks is None for face in edited):
                return None  # it is aligned anew
            faces = [(f.detection.track, f.landmarks if f.found is None else f.found.landmarks) for f in edited]
        keys: Mapping[int | None, TrackKey] = dict(wanted[number].items())
        marks += [(keys[track], seen) for track, seen in faces if track in keys and seen is not None]
    return marks


def _all(known: Known) -> tuple[dict[int, list[Detection]], set[int]]:
    """The faces of all frames, as edits leave them, and the cuts."""
    found = known.found or {}
    cuts = {number for number, frame in found.items() if frame.cut_before}
    if known.edits is None:
        return {number: [face.detection for face in found[number].faces] for number in sorted(found)}, cuts
    edited = known.edits.faces
    return {number: [face.detection for face in edited.get(number, ())] for number in sorted(found)}, cuts
