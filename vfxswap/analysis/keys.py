"""Key frames: what a value is between them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container
from dataclasses import dataclass, field

import numpy as np

from vfxswap.analysis.edits import Then
from vfxswap.geometry import Points


@dataclass(slots=True)
class Curve:
    """A value over time: boxes as `(2, 2)`, points as `(K, 2 or 3)`; all of one shape."""

    values: dict[int, Points] = field(default_factory=dict)
    then: dict[int, Then] = field(default_factory=dict)

    def set(self, frame: int, value: Points, then: Then) -> None:
        """Sets a key; one that was there is replaced."""
        self.values[frame], self.then[frame] = value, then

    def at(self, frame: int, cuts: Container[int] = ()) -> Points | None:
        """The value at a frame; None where what was found holds.

        A key holds at its frame. Between two keys, the first one says what follows it: a straight way, a smooth one
        (cubic Hermite with central differences: E. Catmull and R. Rom, "A class of local interpolating splines", 1974),
        or what was found. No way leads over a cut.

        Args:
            frame: Its number.
            cuts: First frames of new shots.
        """
        if frame in self.values:
            return self.values[frame]
        frames = sorted(self.values)
        place = bisect_right(frames, frame)
        if place in {0, len(frames)}:
            return None
        before, after = frames[place - 1], frames[place]
        if not self._leads(before, after, cuts):
            return None
        share = (frame - before) / (after - before)
        start, end = self.values[before], self.values[after]
        if self.then[before] == "linear":
            return start + (end - start) * share
        slopes = [self._slope(frames, at, cuts) * (after - before) for at in (place - 1, place)]
        return _hermite(start, end, slopes[0], slopes[1], share)

    def _leads(self, before: int, after: int, cuts: Container[int]) -> bool:
        return self.then[before] != "found" and not any(number in cuts for number in range(before + 1, after + 1))

    def _slope(self, frames: list[int], at: int, cuts: Container[int]) -> Points:
        """By how much it changes a frame at a key, as its neighbours on the same way say."""
        low = at - 1 if at > 0 and self._leads(frames[at - 1], frames[at], cuts) else at
        high = at + 1 if at + 1 < len(frames) and self._leads(frames[at], frames[at + 1], cuts) else at
        first, last = frames[low], frames[high]
        return (self.values[last] - self.values[first]) / max(last - first, 1)


def _hermite(start: Points, end: Points, out: Points, into: Points, t: float) -> Points:
    square, cube = t * t, t * t * t
    weights = (2 * cube - 3 * square + 1, cube - 2 * square + t, 3 * square - 2 * cube, cube - square)
    return np.asarray(weights[0] * start + weights[1] * out + weights[2] * end + weights[3] * into)
