"""Found faces as artists' edits leave them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from vfxswap.alignment import CropSpec
from vfxswap.analysis.edits import (
    BoxKeys,
    Delete,
    Edit,
    Edits,
    FiveKeys,
    GiveIdentity,
    Join,
    Keys,
    NewTrack,
    PointKeys,
)
from vfxswap.analysis.found import Found, FoundFace
from vfxswap.analysis.keys import Curve
from vfxswap.clock import FrameRange
from vfxswap.errors import UsageError
from vfxswap.frame import Detection
from vfxswap.geometry import Box, Landmarks, Points, inverted, mapped, scale_of, umeyama

_AROUND_FIVE = CropSpec("arcface_112_v2", 112)
"""Whose square is about a detector's box, for five points that nobody gave a box."""


@dataclass(frozen=True, slots=True, eq=False)
class EditedFace:
    """A face of a frame after the edits; in plate pixels."""

    detection: Detection
    notes: tuple[str, ...] = ()
    landmarks: Landmarks | None = None
    """Dense points that were set by hand: it is not aligned."""
    found: FoundFace | None = None
    """The found face that it is, where the aligner would see the same; else it is aligned anew."""


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """A shot's faces after the edits."""

    faces: Mapping[int, tuple[EditedFace, ...]]
    """By frame number, for the frames that were found."""
    identities: Mapping[int, str | None]
    """Who is put in, by the tracks of which that was said; None leaves a face as it is."""


@dataclass(frozen=True, slots=True)
class Stand:
    """What edits are held against."""

    window: Box
    """The display window in the plate's pixels: what artists' coordinates count from."""
    first: int
    """First frame of the plate."""
    last: int
    """Last frame of the plate."""
    identities: Collection[str] = ()
    """The pipeline's."""


def settled(found: Found, edits: Edits, stand: Stand, whose: str = "the edits") -> Settled:
    """Applies edits to all that was found in a plate.

    Args:
        found: All frames of the plate (as far as it goes), tracked.
        edits: In their order.
        stand: What they are held against.
        whose: How a message names them, such as the file.

    Raises:
        UsageError: They were made for another size, or one of them speaks of a track, a frame or an identity that is
            not there; names it and what is there.
    """
    check_edits(edits, stand, whose)
    draft = _Draft(found, stand)
    for place, edit in enumerate(edits.edits, 1):
        with _blamed(whose, place, edit):
            draft.take(edit)
    try:
        draft.check()
    except UsageError as error:
        raise UsageError(f"{whose}: {error}") from error
    return Settled({number: tuple(draft.faces(number)) for number in sorted(found)}, draft.identities)


def check_edits(edits: Edits, stand: Stand, whose: str = "the edits") -> None:
    """What can be wrong with edits whatever is found.

    Raises:
        UsageError: They were made for another size, or speak of a frame outside the shot or of an unknown identity.
    """
    if (edits.width, edits.height) != (stand.window.width, stand.window.height):
        raise UsageError(
            f"{whose}: made for a plate of {edits.width}x{edits.height}, this plate is"
            f" {stand.window.width}x{stand.window.height}; nothing is scaled by guess"
        )
    for place, edit in enumerate(edits.edits, 1):
        with _blamed(whose, place, edit):
            _check_frames(edit, stand)
            if isinstance(edit, GiveIdentity) and edit.identity is not None and edit.identity not in stand.identities:
                known = ", ".join(stand.identities) or "none"
                raise UsageError(f"there is no identity {edit.identity!r} in the pipeline file; there are: {known}")


def _check_frames(edit: Edit, stand: Stand) -> None:
    frames: Iterable[int] = ()
    if isinstance(edit, BoxKeys | FiveKeys | PointKeys):
        frames = edit.frames
    elif isinstance(edit, Delete) and edit.frames is not None:
        frames = FrameRange.parse(edit.frames)
    if outside := [number for number in frames if not stand.first <= number <= stand.last]:
        raise UsageError(f"frame {outside[0]} is outside the shot, which has {stand.first}-{stand.last}")


@contextmanager
def _blamed(whose: str, place: int, edit: Edit) -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{whose}, edit {place} ({edit.do}): {error}") from error


@dataclass(slots=True)
class _Curves:
    """What was set of a track."""

    box: Curve = field(default_factory=Curve)
    five: Curve = field(default_factory=Curve)
    points: Curve = field(default_factory=Curve)
    scheme: PointKeys | None = None

    def taken(self, other: _Curves) -> None:
        """Takes the keys of a track that is joined to this one, where it has none itself."""
        for mine, theirs in ((self.box, other.box), (self.five, other.five), (self.points, other.points)):
            for frame, value in theirs.values.items():
                if frame not in mine.values:
                    mine.set(frame, value, theirs.then[frame])
        self.scheme = self.scheme or other.scheme


class _Draft:
    """Edits while they are taken, one after the other."""

    def __init__(self, found: Found, stand: Stand) -> None:
        self._found, self._stand = found, stand
        self._cuts = frozenset(frame.number for frame in found.values() if frame.cut_before)
        self._seen = frames_of_tracks(found)
        self._whose = {track: track for track in self._seen}
        self._joined: dict[int, int] = {}
        self._deleted: dict[int, set[int] | None] = {}
        self._curves: dict[int, _Curves] = {}
        self.identities: dict[int, str | None] = {}

    def take(self, edit: Edit) -> None:
        if isinstance(edit, NewTrack):
            self._begin(edit.track)
            return
        self._known(edit.track)
        if isinstance(edit, BoxKeys | FiveKeys | PointKeys):
            self._key(edit)
        elif isinstance(edit, Delete):
            self._delete(edit)
        elif isinstance(edit, Join):
            self._join(edit)
        else:
            self._give(edit)

    def check(self) -> None:
        """What only all of them together can do wrong."""
        for track in self.identities | self._curves:
            if self._is_gone(track):
                what = "given an identity" if track in self.identities else "given keys"
                raise UsageError(f"track {track} is deleted and {what}; take one of the two back")

    def _begin(self, track: int) -> None:
        if track in self._whose or track in self._joined:
            free = max([*self._whose, *self._joined]) + 1
            raise UsageError(f"there is a track {track} already; the next free number is {free}")
        self._whose[track] = track
        self._seen[track] = ()

    def _known(self, track: int) -> None:
        if track in self._joined:
            raise UsageError(f"track {track} was joined to track {self._joined[track]}; speak of that one")
        if track not in self._seen:
            raise UsageError(f"there is no track {track}; there are {named_tracks(self._seen)}")

    def _key(self, edit: Keys) -> None:
        gone = [frame for frame in edit.frames if not self._may_be(edit.track, frame)]
        if gone:
            raise UsageError(f"track {edit.track} is deleted at frame {gone[0]}; take that back first")
        curves = self._curves.setdefault(edit.track, _Curves())
        corner = np.array([self._stand.window.x0, self._stand.window.y0], dtype=np.float64)
        if isinstance(edit, PointKeys):
            self._fits(curves, edit)
            curves.scheme = edit
        curve = {"box": curves.box, "five": curves.five, "points": curves.points}[edit.do]
        for name, value in edit.keys.items():
            points = np.array(value, dtype=np.float64)
            points = points.reshape(2, 2) if edit.do == "box" else points
            points[:, :2] += corner
            curve.set(int(name), points, edit.then)

    @staticmethod
    def _fits(curves: _Curves, edit: PointKeys) -> None:
        axes = len(next(iter(edit.keys.values()))[0])
        before = curves.scheme
        if before is None:
            return
        axes_before = len(next(iter(before.keys.values()))[0])
        if (before.scheme, axes_before) != (edit.scheme, axes):
            raise UsageError(
                f"its points are {edit.scheme} with {axes} coordinates; earlier keys of track {edit.track} are"
                f" {before.scheme} with {axes_before}"
            )

    def _delete(self, edit: Delete) -> None:
        members = [track for track, whose in self._whose.items() if whose == edit.track]
        frames = None if edit.frames is None else set(FrameRange.parse(edit.frames))
        for track in members:
            before = self._deleted.get(track, set())
            self._deleted[track] = None if frames is None or before is None else before | frames

    def _join(self, edit: Join) -> None:
        self._known(edit.other)
        for gone in (edit.track, edit.other):
            if self._is_gone(gone):
                raise UsageError(f"track {gone} is deleted; take that back, or leave it alone")
        for track, whose in self._whose.items():
            if whose == edit.other:
                self._whose[track] = edit.track
        self._joined[edit.other] = edit.track
        if edit.other in self._curves:
            self._curves.setdefault(edit.track, _Curves()).taken(self._curves.pop(edit.other))
        if edit.other in self.identities:
            self.identities.setdefault(edit.track, self.identities.pop(edit.other))

    def _give(self, edit: GiveIdentity) -> None:
        self.identities[edit.track] = edit.identity

    def _is_gone(self, track: int) -> bool:
        """Whether all of a track was deleted."""
        return all(self._deleted.get(t, set()) is None for t, whose in self._whose.items() if whose == track)

    def _may_be(self, track: int, frame: int) -> bool:
        """Whether a face of a track was not deleted at a frame."""
        return not all(self._is_deleted(own, frame) for own, whose in self._whose.items() if whose == track)

    def _is_deleted(self, track: int, frame: int) -> bool:
        deleted = self._deleted.get(track, set())
        return deleted is None or frame in deleted

    def faces(self, frame: int) -> Iterator[EditedFace]:
        """The faces of a frame, in the order in which they were found; those that were not, at the end."""
        kept = self._kept(frame)
        for track, face in kept:
            edited = None if track is None else self._edited(track, frame, face.detection)
            if edited is not None:
                yield edited
            elif track == face.detection.track:
                yield EditedFace(face.detection, face.notes, found=face)
            else:
                yield EditedFace(replace(face.detection, track=track), face.notes, found=face)
        there = {track for track, _ in kept}
        for track in sorted(self._curves):
            if track not in there and self._may_be(track, frame):
                edited = self._edited(track, frame, self._nearest(track, frame))
                if edited is not None:
                    yield edited

    def _kept(self, frame: int) -> list[tuple[int | None, FoundFace]]:
        """The found faces that stay, with their tracks; of two that are one person, the one of the track itself."""
        kept: list[tuple[int | None, FoundFace]] = []
        for face in self._found[frame].faces:
            own = face.detection.track
            if own is not None and self._is_deleted(own, frame):
                continue
            track = None if own is None else self._whose[own]
            twin = next((i for i, (other, _) in enumerate(kept) if track is not None and other == track), None)
            if twin is None:
                kept.append((track, face))
            elif own == track:
                kept[twin] = (track, face)
        return kept

    def _nearest(self, track: int, frame: int) -> Detection | None:
        """The found face of a track that is nearest in time, which says how points lie in its box."""
        best: tuple[int, Detection] | None = None
        for own, whose in self._whose.items():
            for number in self._seen[own] if whose == track else ():
                far = abs(number - frame)
                if self._is_deleted(own, number) or (best is not None and far >= best[0]):
                    continue
                best = (far, next(f.detection for f in self._found[number].faces if f.detection.track == own))
        return None if best is None else best[1]

    def _edited(self, track: int, frame: int, like: Detection | None) -> EditedFace | None:
        """The face as it was set; None where nothing was."""
        curves = self._curves.get(track)
        if curves is None:
            return None
        box, five, points = (curve.at(frame, self._cuts) for curve in (curves.box, curves.five, curves.points))
        if box is None and five is None and points is None:
            return None
        if points is not None and curves.scheme is not None:
            landmarks = Landmarks(points, curves.scheme.scheme)
            detection = _by_points(landmarks, box, track)
            return EditedFace(detection, landmarks=landmarks)
        return EditedFace(_by_box(like, box, track) if five is None else _by_five(like, box, five, track))


def frames_of_tracks(found: Found) -> dict[int, tuple[int, ...]]:
    """In which frames each track has a face, by its number, ascending."""
    seen: dict[int, list[int]] = {}
    for number in sorted(found):
        for face in found[number].faces:
            if face.detection.track is not None:
                seen.setdefault(face.detection.track, []).append(number)
    return {track: tuple(seen[track]) for track in sorted(seen)}


def named_tracks(seen: Mapping[int, Sequence[int]]) -> str:
    """`0 (1001-1100), 1 (1001-1020,1040-1100)`; what is there, for a message."""
    named = [f"{track} ({FrameRange.of(frames)})" if frames else f"{track} (by hand)" for track, frames in seen.items()]
    more = f" and {len(named) - 8} more" if len(named) > 8 else ""
    return ", ".join(named[:8]) + more or "none: no stage of this pipeline gives tracks; put a tracker in"


def _rectangle(box: Points) -> tuple[float, float, float, float]:
    (x0, y0), (x1, y1) = box.tolist()
    return x0, y0, x1, y1


def _extent(points: Points) -> Points:
    return np.stack([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])


def _by_points(landmarks: Landmarks, box: Points | None, track: int) -> Detection:
    around = _extent(landmarks.points) if box is None else box
    return Detection(_rectangle(around), 1.0, landmarks.five(), track, landmarks)


def _by_five(like: Detection | None, box: Points | None, five: Points, track: int) -> Detection:
    if box is None and like is not None and like.five is not None:
        moved = umeyama(like.five, five)
        x0, y0, x1, y1 = like.box
        middle = mapped(moved, np.array([[(x0 + x1) / 2, (y0 + y1) / 2]]))
        half = np.array([[x1 - x0, y1 - y0]]) / 2 * scale_of(moved)
        box = np.concatenate([middle - half, middle + half])
    if box is None:
        side = float(_AROUND_FIVE.size_px)
        corners = np.array([(0.0, 0.0), (side, 0.0), (side, side), (0.0, side)])
        box = _extent(mapped(inverted(_AROUND_FIVE.plate_to_crop(Landmarks(five, "five"))), corners))
    return Detection(_rectangle(box), 1.0, five, track)


def _by_box(like: Detection | None, box: Points | None, track: int) -> Detection:
    """What is known of the face goes along with its box."""
    if box is None:
        raise AssertionError("asked for where a box was set")
    x0, y0, x1, y1 = _rectangle(box)
    if like is None:
        return Detection((x0, y0, x1, y1), 1.0, None, track)
    left, top, right, bottom = like.box
    along = like.moved(-left, -top).scaled((x1 - x0) / (right - left), (y1 - y0) / (bottom - top)).moved(x0, y0)
    return replace(along, box=(x0, y0, x1, y1), score=1.0, track=track)
