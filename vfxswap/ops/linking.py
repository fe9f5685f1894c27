"""Linking: which face of a frame goes on which track, by where it should be and, where known, by what it looks like.

A track is expected to go on as it went lately (constant velocity, less and less sure). Each pair of track and face has
a cost, twice the negative logarithm of how likely the face's deviation is under normal distributions that grow with the
time since the track was seen; pairs of least total cost are made (`vfxswap.ops.assign`). The plan is that of Y. Zhang
et al., "ByteTrack: multi-object tracking by associating every detection box", ECCV 2022: sure faces first, to all
tracks; then unsure ones, to tracks that are still there, so that a face which turns away or blurs is kept, and what
looks a little like a face begins no track.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vfxswap.ops.assign import assigned
from vfxswap.ops.facelook import Look, look_distance

_MEMORY: Final = 5  # seen frames of which the velocity is made
_PLACE: Final = 0.12  # deviation of a place that was predicted one frame ahead, in sizes of the face
_PLACE_MORE: Final = 0.07  # what each frame without the face adds
_SIZE: Final = 0.10  # the same for the logarithm of the size
_SIZE_MORE: Final = 0.02
_REACH: Final = 3.5  # deviations up to which a face may be the same
_UNLIKE: Final = 4.5  # deviations of the look that count; more may be a light that was switched on
_LOOK: Final = 0.06  # of the look, in code values
_LOOK_MORE: Final = 0.002
_NEWEST: Final = 0.2  # weight of a face in what its track looks like
_FADE: Final = 0.95  # of the velocity, for each frame without the face
_WORST: Final = 2 * _REACH**2  # cost at which a face rather begins a track of its own
_LATEST: Final = 3  # frames since an unsure face's track was seen


class Candidate(NamedTuple):
    """A face of a frame."""

    box: tuple[float, float, float, float]
    """`(x0, y0, x1, y1)` pixels."""
    score: float
    """0..1."""
    look: Look | None = None
    known: int | None = None
    """Which face it is, if the detector knows."""
    is_clear: bool = True
    """Whether no other face is near enough to cover it or to be mixed up with it."""


@dataclass(slots=True)
class Trail:
    """A track while it is followed: what of its past says where it goes on."""

    number: int
    frames: list[int] = field(default_factory=list)
    """The last frames in which it was seen, ascending."""
    places: list[NDArray[np.float64]] = field(default_factory=list)
    """Centre x, centre y and the logarithm of the size (root of the box's area) in each of them."""
    look: Look | None = None
    """What it looks like, where nothing is near it."""
    known: int | None = None
    """Which face it is, if the detector knows."""

    @property
    def last(self) -> int:
        """The frame in which it was last seen."""
        return self.frames[-1]

    def see(self, frame: int, candidate: Candidate) -> None:
        """Goes on with a face."""
        self.frames.append(frame)
        self.places.append(_place(candidate))
        del self.frames[:-_MEMORY], self.places[:-_MEMORY]
        self.known = candidate.known if self.known is None else self.known
        if candidate.look is not None and (candidate.is_clear or self.look is None):
            self.look = candidate.look if self.look is None else self.look + _NEWEST * (candidate.look - self.look)

    def expected(self, frame: int) -> NDArray[np.float64]:
        """Where it should be: the last place and, ever slower, on by the velocity of the last few frames."""
        if len(self.frames) < 2:
            return self.places[-1]
        span = self.frames[-1] - self.frames[0]
        velocity = (self.places[-1] - self.places[0]) / span
        steps = frame - self.last
        return self.places[-1] + velocity * _FADE * (1 - _FADE**steps) / (1 - _FADE)


def _place(candidate: Candidate) -> NDArray[np.float64]:
    x0, y0, x1, y1 = candidate.box
    size = np.sqrt(max((x1 - x0) * (y1 - y0), 1e-6))
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2, np.log(size)])


def motion_cost(trail: Trail, frame: int, candidate: Candidate) -> float:
    """How unlikely a face is where it is, on a track: 0 for the expected place a frame on; infinite out of reach."""
    expected, seen = trail.expected(frame), _place(candidate)
    waited = frame - trail.last - 1
    place_sigma, size_sigma = _PLACE + _PLACE_MORE * waited, _SIZE + _SIZE_MORE * waited
    size = np.exp((expected[2] + seen[2]) / 2)
    off = float(np.hypot(*(seen[:2] - expected[:2])) / size / place_sigma)
    grown = float(abs(seen[2] - expected[2]) / size_sigma)
    if off > _REACH or grown > _REACH:
        return float("inf")
    return off**2 + grown**2 + 4 * float(np.log(place_sigma / _PLACE)) + 2 * float(np.log(size_sigma / _SIZE))


def look_cost(trail: Trail, frame: int, candidate: Candidate) -> float:
    """How unlikely a face looks, on a track; 0 where nothing is known. No look is forbidden: light and faces change."""
    if trail.look is None or candidate.look is None:
        return 0.0
    off = look_distance(trail.look, candidate.look) / (_LOOK + _LOOK_MORE * (frame - trail.last - 1))
    return float(min(off, _UNLIKE) ** 2)


def cost(trail: Trail, frame: int, candidate: Candidate) -> float:
    """How unlikely a face is on a track."""
    if trail.known is not None and candidate.known is not None:
        return 0.0 if trail.known == candidate.known else float("inf")
    return motion_cost(trail, frame, candidate) + look_cost(trail, frame, candidate)


def linked(
    trails: Sequence[Trail], frame: int, candidates: Sequence[Candidate], *, sure: float
) -> list[tuple[int, int]]:
    """Which track each of a frame's faces goes on.

    Args:
        trails: The tracks that may go on.
        frame: The frame's number.
        candidates: Its faces.
        sure: Score from which a face may go on a track that was not seen for a while.

    Returns:
        `(index of the trail, index of the candidate)`, ascending.
    """
    firm = [i for i, candidate in enumerate(candidates) if candidate.score >= sure]
    pairs = _linked(trails, range(len(trails)), frame, candidates, firm)
    taken = {trail for trail, _ in pairs}
    waiting = [i for i, trail in enumerate(trails) if i not in taken and frame - trail.last <= _LATEST]
    weak = [i for i, candidate in enumerate(candidates) if candidate.score < sure]
    return sorted([*pairs, *_linked(trails, waiting, frame, candidates, weak)])


def _linked(
    trails: Sequence[Trail], rows: Sequence[int], frame: int, candidates: Sequence[Candidate], columns: Sequence[int]
) -> list[tuple[int, int]]:
    costs = np.array([[cost(trails[r], frame, candidates[c]) for c in columns] for r in rows])
    pairs = assigned(costs.reshape(len(rows), len(columns)), worst=_WORST)
    return [(rows[row], columns[column]) for row, column in pairs]
