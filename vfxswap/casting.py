"""Casting: which face of a frame becomes which identity.

Each identity has a rule. Where a tracker has followed the faces, rules look at tracks (`vfxswap.trackcast`), once for
each piece between cuts; else at one frame alone, so that any chunk of a shot decides alike. Two identities never take
the same face: an earlier one in the pipeline file has the first choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vfxswap.frame import Face, Frame
from vfxswap.geometry import Landmarks, Points
from vfxswap.pipeline import FaceRule
from vfxswap.trackcast import Piece, TrackCast, TrackKey, likest, rows

_NEAR = 0.5
"""How far from a still a recogniser may see the same person in any case: one minus the cosine."""
_NOBODY = 0.8
"""From where on it is somebody else, though nobody else be there."""


@dataclass(frozen=True, slots=True)
class Role:
    """An identity and the face that it takes."""

    identity: str
    rule: FaceRule
    likeness: Landmarks | None = None
    """For `by = "like"`: the points of the still of the person in the plate."""
    vector: NDArray[np.float32] | None = None
    """What the tracker's recogniser says of that still, if there is one."""


@dataclass(frozen=True, slots=True)
class Given:
    """Whose faces artists' edits say some tracks are; rules have no say in these."""

    tracks: Mapping[int, str | None] = field(default_factory=dict)
    """The identity that is put in by the number of the track; None leaves its faces as they are."""
    bound: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """The identities of tracks that the piece between cuts has to which a frame belongs, by its number: there they are
    nobody else, also where their face is not seen."""


def cast(frame: Frame, roles: Sequence[Role], given: Given = Given(), tracks: TrackCast | None = None) -> Frame:
    """Gives each identity its face; notes an identity that finds none.

    Args:
        frame: With its faces.
        roles: Who wants one.
        given: What edits say.
        tracks: Who takes which track; None where each frame is cast for itself.
    """
    numbers = [face.detection.track for face in frame.faces]
    told = {i: given.tracks[track] for i, track in enumerate(numbers) if track is not None and track in given.tracks}
    taken = {index: identity for index, identity in told.items() if identity is not None}
    bound = given.bound.get(frame.number, frozenset())
    for role in roles:
        if role.identity in taken.values():
            continue
        free = [index for index in range(len(frame.faces)) if index not in taken and index not in told]
        chosen = None if role.identity in bound else _chosen(role, frame, free, tracks)
        if chosen is None:
            frame = frame.noted(f"no face found for identity {role.identity}")
        else:
            taken[chosen] = role.identity
    faces = [replace(face, identity=taken.get(index)) for index, face in enumerate(frame.faces)]
    return frame.with_faces(faces)


def _chosen(role: Role, frame: Frame, free: Sequence[int], tracks: TrackCast | None) -> int | None:
    if tracks is None or role.rule.by == "track":
        return choose(role, frame.faces, free)
    its = tracks.takes(frame.number, role.identity)
    return next((index for index in free if frame.faces[index].detection.track in its), None)


def cast_tracks(
    roles: Sequence[Role],
    pieces: Sequence[Piece],
    unlike: Mapping[str, Mapping[TrackKey, float]],
    given: Given = Given(),
) -> TrackCast:
    """Gives each identity its tracks, in each piece between cuts.

    Args:
        roles: Who wants one. Ranks count over all tracks, taken or not.
        pieces: What tracks show.
        unlike: How unlike their stills tracks are, by identity, for those with `by = "like"`.
        given: What edits say: such tracks are nobody's likeness.
    """
    taken: dict[TrackKey, str] = {}
    for piece in pieces:
        told = {shown.key for shown in piece.shown if shown.key[1] in given.tracks}
        for role in roles:
            if role.rule.by == "like":
                near = 0.0 if role.vector is None else _NEAR
                its = likest(piece, unlike.get(role.identity, {}), told | taken.keys(), near=near)
            else:
                ranked = [] if role.rule.by == "track" else rows(piece, role.rule.by)
                its = ranked[role.rule.rank - 1] if role.rule.rank <= len(ranked) else []
            taken |= {shown.key: role.identity for shown in its if shown.key not in taken}
    piece_of = {number: piece.first for piece in pieces for shown in piece.shown for number in shown.faces}
    return TrackCast(piece_of, taken)


def unlikeness(role: Role, shapes: Sequence[Landmarks], vectors: Sequence[NDArray[np.float32]]) -> float | None:
    """How unlike the still of a role some faces of a track are.

    Args:
        role: With a still's points, and its vector where there is a recogniser.
        shapes: The faces' points.
        vectors: What the recogniser says of them.

    Returns:
        With a recogniser, one minus the cosine between the still and the mean of the faces, None from 0.8 on, for that
        is nobody like them; else the median of the shapes' distances. None where nothing can be compared.
    """
    if role.vector is not None and vectors:
        mean = np.sum(vectors, axis=0, dtype=np.float64)
        away = 1.0 - float(role.vector @ mean) / max(float(np.linalg.norm(mean)), 1e-9)
        return max(away, 0.0) if away < _NOBODY else None
    still = role.likeness
    distances = [shape_distance(shape, still) for shape in shapes if still is not None and shape.scheme == still.scheme]
    return float(np.median(distances)) if distances else None


def choose(role: Role, faces: Sequence[Face], free: Sequence[int]) -> int | None:
    """The index of the face that a role takes, or None.

    Ranks count over all faces, taken or not, so that "the second from the left" means the same whoever chose before.
    """
    if role.rule.by == "track":
        return next((i for i in free if faces[i].detection.track == role.rule.rank), None)
    if role.rule.by == "like":
        return _most_alike(role, faces, free)
    ranked = _ORDERS[role.rule.by](faces)
    place = role.rule.rank - 1
    return ranked[place] if place < len(ranked) and ranked[place] in free else None


def _order(key: Callable[[Face], float]) -> Callable[[Sequence[Face]], list[int]]:
    return lambda faces: sorted(range(len(faces)), key=lambda i: (key(faces[i]), i))


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.detection.box
    return (x1 - x0) * (y1 - y0)


_ORDERS: Mapping[str, Callable[[Sequence[Face]], list[int]]] = {
    "size": _order(lambda face: -_area(face)),
    "left": _order(lambda face: face.detection.box[0] + face.detection.box[2]),
    "top": _order(lambda face: face.detection.box[1] + face.detection.box[3]),
    "order": _order(lambda _: 0.0),
}


def _most_alike(role: Role, faces: Sequence[Face], free: Sequence[int]) -> int | None:
    if role.likeness is None:
        return None
    distances = [
        (shape_distance(marks, role.likeness), index)
        for index in free
        if (marks := faces[index].landmarks) is not None and marks.scheme == role.likeness.scheme
    ]
    return min(distances)[1] if distances else None


def shape_distance(a: Landmarks, b: Landmarks) -> float:
    """How unlike two faces' shapes are: what the best rotation, scale and shift leave (full Procrustes distance).

    Points with depth are turned in space, so that pose counts for little; without, in the picture.

    Args:
        a: Points of one face.
        b: Points of the other, in the same numbering.

    Returns:
        0 for equal shapes, at most 1 (I. Dryden and K. Mardia, "Statistical Shape Analysis", 2016, section 4.1).
    """
    dimensions = min(a.points.shape[1], b.points.shape[1])
    u, v = _unit_shape(a.points[:, :dimensions]), _unit_shape(b.points[:, :dimensions])
    left, singular, right = np.linalg.svd(u.T @ v)
    if np.linalg.det(left) * np.linalg.det(right) < 0:
        singular = singular.copy()
        singular[-1] = -singular[-1]
    return float(np.sqrt(max(0.0, 1.0 - float(singular.sum()) ** 2)))


def _unit_shape(points: Points) -> Points:
    centred: Points = points - points.mean(axis=0)
    return centred / max(float(np.linalg.norm(centred)), 1e-12)
