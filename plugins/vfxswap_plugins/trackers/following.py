"""One pass over a plate: faces become tracks, and gaps are bridged, while a few frames are remembered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vfxswap.frame import Detection, Sighting, Tracked
from vfxswap.geometry import Landmarks, Points, iou
from vfxswap.ops.bridging import Bridged, Seen, bridged
from vfxswap.ops.facelook import look_of
from vfxswap.ops.flow import even_luma
from vfxswap.ops.linking import Candidate, Trail, linked
from vfxswap.ops.rejoin import Vector, rejoined

NOTE: Final = "track {} bridged by optical flow, not detected"
_CLEAR_IOU: Final = 0.05
_LOOKS_AT: Final = frozenset({0, 2, 5, 10, 20, 40, 80, 160, 320})
"""Which of a track's faces the recogniser is shown, counted from 0."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is a track; see `FaceTrackerOptions`."""

    sure_score: float
    max_gap_frames: int
    min_confidence: float
    min_track_frames: int
    same_person: float


@dataclass(slots=True)
class _Track:
    """What is known of a track when all is seen."""

    known: int | None
    seen: int = 0
    frames: set[int] = field(default_factory=set)
    vectors: list[Vector] = field(default_factory=list)


class Following:
    """Follows faces.

    Args:
        rules: What is a track.
        scale: `(2,)` pixels of the sightings' pictures for one of the plate.
        recogniser: Tells people apart, by a picture and five points in it.
    """

    def __init__(self, rules: Rules, scale: Points, recogniser: Callable[[Tensor, Points], Vector] | None) -> None:
        self._rules, self._scale, self._recogniser = rules, scale, recogniser
        self._faces: dict[int, list[Tracked]] = {}
        self._tracks: list[_Track] = []
        self._trails: list[Trail] = []
        self._last: dict[int, Detection] = {}
        self._pictures: deque[tuple[int, Tensor]] = deque(maxlen=rules.max_gap_frames + 2)

    def see(self, sighting: Sighting) -> None:
        """Goes on by a frame."""
        number, picture = sighting.number, sighting.picture
        if sighting.cut_before:
            self._trails, self._last = [], {}
            self._pictures.clear()
        self._trails = [t for t in self._trails if number - t.last - 1 <= self._rules.max_gap_frames]
        if picture is not None:
            self._pictures.append((number, (picture * 255).round().to(torch.uint8)))
        self._faces[number] = []
        candidates = self._candidates(sighting)
        for index, trail in self._taken(number, candidates):
            face = replace(sighting.detections[index], track=trail.number)
            if trail.frames:
                self._bridge(trail, number, face)
            trail.see(number, candidates[index])
            self._put_down(number, face, picture)

    def _candidates(self, sighting: Sighting) -> list[Candidate]:
        faces, known = sighting.detections, set[int]()
        found = []
        for face in faces:
            is_new = face.track is not None and face.track not in known
            known |= {face.track} if face.track is not None else set()
            is_clear = all(other is face or iou(other.box, face.box) < _CLEAR_IOU for other in faces)
            seen = _scaled(face, self._scale)
            look = None if sighting.picture is None else look_of(sighting.picture, seen.box, seen.five)
            found.append(Candidate(face.box, face.score, look, face.track if is_new else None, is_clear))
        return found

    def _taken(self, number: int, candidates: Sequence[Candidate]) -> list[tuple[int, Trail]]:
        """The faces that are on a track, in the detector's order; new tracks are begun."""
        sure = self._rules.sure_score
        pairs = linked(self._trails, number, candidates, sure=sure)
        on = {candidate: self._trails[trail] for trail, candidate in pairs}
        for index, candidate in enumerate(candidates):
            if index not in on and candidate.score >= sure:
                on[index] = Trail(len(self._tracks))
                self._tracks.append(_Track(candidate.known))
                self._trails.append(on[index])
        return sorted(on.items(), key=lambda item: item[0])

    def _put_down(self, number: int, face: Detection, picture: Tensor | None) -> None:
        track = self._tracks[face.track or 0]
        if self._recogniser is not None and picture is not None and face.five is not None and track.seen in _LOOKS_AT:
            track.vectors.append(self._recogniser(picture, face.five * self._scale))
        track.seen += 1
        track.frames.add(number)
        self._last[face.track or 0] = face
        self._faces[number].append(Tracked(face))

    def _bridge(self, trail: Trail, number: int, after: Detection) -> None:
        """Adds the face to the frames since it was last seen."""
        before = self._last[trail.number]
        part = [(n, picture) for n, picture in self._pictures if trail.last <= n <= number]
        if len(part) < 3 or part[0][0] != trail.last or self._rules.min_confidence == 1:
            return
        codes = [even_luma(picture.float() / 255) for _, picture in part]
        ends = [_scaled(face, self._scale) for face in (before, after)]
        seen = [_seen(end, _shared(before, after)) for end in ends]
        for (at, _), found in zip(part[1:-1], bridged(codes, *seen), strict=True):
            if found.confidence >= self._rules.min_confidence:
                face = self._made(found, before, after, part=(at - trail.last) / (number - trail.last))
                self._tracks[trail.number].frames.add(at)
                self._faces[at].append(Tracked(face, (NOTE,)))

    def _made(self, found: Bridged, before: Detection, after: Detection, *, part: float) -> Detection:
        """A bridged face in plate pixels."""
        x, y = (1.0 / float(side) for side in self._scale)
        x0, y0, x1, y1 = found.box
        points, shared, five, landmarks = found.points * (x, y), _shared(before, after), None, None
        if shared.five:
            five, points = points[:5], points[5:]
        if shared.dense and before.landmarks is not None and after.landmarks is not None:
            depth = (1 - part) * before.landmarks.points[:, 2:] + part * after.landmarks.points[:, 2:]
            landmarks = Landmarks(np.column_stack([points, depth]), before.landmarks.scheme)
        score = min(before.score, after.score) * found.confidence
        return Detection((x0 * x, y0 * y, x1 * x, y1 * y), score, five, before.track, landmarks)

    def found(self) -> dict[int, list[Tracked]]:
        """The faces of all frames."""
        names = self._names()
        return {
            number: [_named(face, names[face.detection.track or 0]) for face in faces if face.detection.track in names]
            for number, faces in self._faces.items()
        }

    def _names(self) -> Mapping[int, int]:
        """The numbers of the tracks that are kept: the detector's own, else counted from 1 as they begin."""
        kept = [i for i, track in enumerate(self._tracks) if track.seen >= self._rules.min_track_frames]
        tracks = [self._tracks[i] for i in kept]
        first = rejoined(
            [None if track.known is not None else _mean(track.vectors) for track in tracks],
            [track.frames for track in tracks],
            least=self._rules.same_person,
        )
        taken = {track.known for track in tracks}
        free = (number for number in count(1) if number not in taken)
        names: dict[int, int] = {}
        for place, i in enumerate(kept):
            known = self._tracks[i].known
            first_of_person = kept[first[place]]
            names[i] = names[first_of_person] if first_of_person in names else next(free) if known is None else known
        return names


def _scaled(face: Detection, scale: Points) -> Detection:
    return face.scaled(float(scale[0]), float(scale[1]))


class _Shared(NamedTuple):
    """Which points both ends of a gap have."""

    five: bool
    dense: bool


def _shared(before: Detection, after: Detection) -> _Shared:
    a, b = before.landmarks, after.landmarks
    dense = a is not None and b is not None and (a.scheme, a.points.shape) == (b.scheme, b.points.shape)
    return _Shared(before.five is not None and after.five is not None, dense)


def _seen(face: Detection, shared: _Shared) -> Seen:
    points = [np.zeros((0, 2))]
    points += [face.five] if shared.five and face.five is not None else []
    points += [face.landmarks.points[:, :2]] if shared.dense and face.landmarks is not None else []
    return Seen(face.box, np.vstack(points))


def _mean(vectors: Sequence[Vector]) -> Vector | None:
    if not vectors:
        return None
    total: Vector = np.sum(vectors, axis=0)
    unit: Vector = total / np.float32(max(float(np.linalg.norm(total)), 1e-9))
    return unit


def _named(face: Tracked, number: int) -> Tracked:
    notes = tuple(note.format(number) for note in face.notes)
    return Tracked(replace(face.detection, track=number), notes)
