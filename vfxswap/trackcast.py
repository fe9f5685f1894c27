"""Casting over tracks: an identity is given to a person of a piece between cuts, once, and not to faces one by one.

Where a tracker has followed the faces, a rule looks at what tracks show over their piece, so that "the largest" does
not jump from one person to another when someone steps forward. A rank is a row of tracks that are never seen together:
a person who is lost and found again, or two who take turns. One track stands before another if it does so over the
frames in which both are seen, and these are half of the other's or more: who passes by for a moment ranks nobody down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from vfxswap.frame import Detection

TrackKey = tuple[int, int]
"""The first frame of a piece between cuts, and the number of a track."""
Faces = Mapping[int, Sequence[Detection]]
"""The faces of each frame of the plate by its number, ascending; all with a track."""

SAMPLES: Final = 9
"""Most faces of a track that are compared with a still."""
_STRANGER: Final = 1.5
"""How much less like the still than the likest track another one may be, where nobody is known to be somebody else."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What a track shows in a piece."""

    key: TrackKey
    faces: Mapping[int, tuple[int, Detection]]
    """Its place in the frame's list, and the face, by frame number."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """The frames from one cut to the next."""

    first: int
    last: int
    shown: tuple[Shown, ...] = ()
    """Its tracks, by number."""


def pieces_of(faces: Faces, cuts: AbstractSet[int]) -> list[Piece]:
    """What tracks show in the pieces of a plate.

    Args:
        faces: Of the whole plate.
        cuts: The frames with which a new shot starts.
    """
    found: list[Piece] = []
    for numbers in _runs(faces, cuts):
        there: dict[int, dict[int, tuple[int, Detection]]] = {}
        for number in numbers:
            for place, face in enumerate(faces[number]):
                if face.track is not None:
                    there.setdefault(face.track, {})[number] = (place, face)
        shown = tuple(Shown((numbers[0], track), seen) for track, seen in sorted(there.items()))
        found.append(Piece(numbers[0], numbers[-1], shown))
    return found


def _runs(faces: Faces, cuts: AbstractSet[int]) -> Iterator[list[int]]:
    run: list[int] = []
    for number in faces:
        if number in cuts and run:
            yield run
            run = []
        run.append(number)
    if run:
        yield run


_Value = Callable[[int, Detection], float]

_VALUES: Mapping[str, _Value] = {
    "size": lambda _, face: -(face.box[2] - face.box[0]) * (face.box[3] - face.box[1]),
    "left": lambda _, face: face.box[0] + face.box[2],
    "top": lambda _, face: face.box[1] + face.box[3],
    "order": lambda place, _: float(place),
}
"""By what a rule ranks: the less, the earlier."""


def rows(piece: Piece, by: str) -> list[list[Shown]]:
    """The tracks of a piece by rank: the first row, then what is first among the others, and so on.

    Args:
        piece: The piece.
        by: `size`, `left`, `top` or `order`, as `vfxswap.pipeline.FaceRule` has them.
    """
    value = _VALUES[by]
    left = sorted(piece.shown, key=lambda shown: (-len(shown.faces), shown.key))
    found: list[list[Shown]] = []
    while left:
        first = [one for one in left if not any(_stands_before(other, one, value) for other in left)]
        row = _apart(first or left)
        found.append(row)
        left = [one for one in left if one not in row]
    return found


def _stands_before(one: Shown, other: Shown, value: _Value) -> bool:
    both = [number for number in other.faces if number in one.faces]
    if one is other or 2 * len(both) < len(other.faces):
        return False
    own, its = (sum(value(*shown.faces[number]) for number in both) for shown in (one, other))
    return (own, one.key) < (its, other.key)


def _apart(shown: Sequence[Shown]) -> list[Shown]:
    """As many as are never seen together; earlier ones have the first choice."""
    row: list[Shown] = []
    for one in shown:
        if all(one.faces.keys().isdisjoint(other.faces) for other in row):
            row.append(one)
    return row


def likest(
    piece: Piece, unlike: Mapping[TrackKey, float], taken: AbstractSet[TrackKey], *, near: float = 0.0
) -> list[Shown]:
    """The tracks of a piece that are the person of a still.

    The likest track is; so is another that is never seen with it, if it is nearer to that in likeness than to the
    likest of those that are seen with it and so must be somebody else.

    Args:
        piece: The piece.
        unlike: How unlike the still tracks are, 0 or more; those without are nobody.
        taken: Tracks that may not be taken.
        near: How unlike the same person may be in any case, where nobody is known to be somebody else.
    """
    known = sorted(
        (shown for shown in piece.shown if shown.key in unlike and shown.key not in taken),
        key=lambda shown: (unlike[shown.key], shown.key),
    )
    if not known:
        return []
    best = known[0]
    others = [unlike[one.key] for one in known if not best.faces.keys().isdisjoint(one.faces) and one is not best]
    limit = (unlike[best.key] + min(others)) / 2 if others else max(_STRANGER * unlike[best.key], near)
    return _apart([one for one in known if unlike[one.key] <= limit or one is best])


def sampled(shown: Shown) -> list[int]:
    """Frames by which a track is compared with a still: spread evenly, of those where it was detected, if any was."""
    seen = max(face.score for _, face in shown.faces.values())
    sure = [number for number, (_, face) in shown.faces.items() if face.score >= 0.8 * seen]
    places = np.linspace(0, len(sure) - 1, min(SAMPLES, len(sure)))
    return sorted({sure[round(float(place))] for place in places})


@dataclass(frozen=True, slots=True)
class TrackCast:
    """Who takes which track."""

    piece_of: Mapping[int, int] = field(default_factory=dict)
    """The first frame of the piece of each frame."""
    taken: Mapping[TrackKey, str] = field(default_factory=dict)
    """The identity that a track takes."""

    def takes(self, number: int, identity: str) -> frozenset[int]:
        """The tracks that an identity takes in a frame."""
        first = self.piece_of.get(number)
        return frozenset(track for (start, track), name in self.taken.items() if start == first and name == identity)
