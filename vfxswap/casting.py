"""Casting: which face of a frame becomes which identity.

Each identity has a rule; a rule looks at one frame alone, so that any chunk of a shot decides alike. Two identities
never take the same face: an earlier one in the pipeline file has the first choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from vfxswap.frame import Face, Frame
from vfxswap.geometry import Landmarks, Points
from vfxswap.pipeline import FaceRule


@dataclass(frozen=True, slots=True)
class Role:
    """An identity and the face that it takes."""

    identity: str
    rule: FaceRule
    likeness: Landmarks | None = None
    """For `by = "like"`: the points of the still of the person in the plate."""


@dataclass(frozen=True, slots=True)
class Given:
    """Whose faces artists' edits say some tracks are; rules have no say in these."""

    tracks: Mapping[int, str | None] = field(default_factory=dict)
    """The identity that is put in by the number of the track; None leaves its faces as they are."""
    bound: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """The identities of tracks that the piece between cuts has to which a frame belongs, by its number: there they are
    nobody else, also where their face is not seen."""


def cast(frame: Frame, roles: Sequence[Role], given: Given = Given()) -> Frame:
    """Gives each identity its face; notes an identity that finds none."""
    tracks = [face.detection.track for face in frame.faces]
    told = {i: given.tracks[track] for i, track in enumerate(tracks) if track is not None and track in given.tracks}
    taken = {index: identity for index, identity in told.items() if identity is not None}
    bound = given.bound.get(frame.number, frozenset())
    for role in roles:
        if role.identity in taken.values():
            continue
        free = [index for index in range(len(frame.faces)) if index not in taken and index not in told]
        chosen = None if role.identity in bound else choose(role, frame.faces, free)
        if chosen is None:
            frame = frame.noted(f"no face found for identity {role.identity}")
        else:
            taken[chosen] = role.identity
    faces = [replace(face, identity=taken.get(index)) for index, face in enumerate(frame.faces)]
    return frame.with_faces(faces)


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
