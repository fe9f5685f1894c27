"""Which faces a step sees: a function of the seed and the step's number, so that nothing need be remembered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

YAW_BINS = 16
"""Into so many parts the yaws of an identity's faces are sorted; empty ones do not count."""


def turns(first: int, count: int, people: int) -> Iterator[tuple[int, list[int]]]:
    """Shares draws among people in turn.

    Args:
        first: Number of the first draw of all.
        count: How many draws.
        people: How many people.

    Yields:
        A person's number, and the numbers of the draws that are theirs, counted for each person from 0.
    """
    shares: dict[int, list[int]] = {}
    for turn in range(first, first + count):
        shares.setdefault(turn % people, []).append(turn // people)
    yield from sorted(shares.items())


def shuffled(seed: int, stream: int, draw: int, count: int) -> int:
    """Draw `draw` of a stream that goes through `count` places again and again, in another order each time."""
    epoch, place = divmod(draw, count)
    return _order(seed, stream, epoch, count)[place]


@lru_cache(maxsize=4096)
def _order(seed: int, stream: int, epoch: int, count: int) -> tuple[int, ...]:
    dice = np.random.Generator(np.random.PCG64([seed, stream, epoch]))
    return tuple(int(place) for place in np.argsort(dice.random(count), kind="stable"))


def mixed_in(draw: int, share: float) -> tuple[bool, int]:
    """Whether a draw is one of a share that is spread evenly over all; and the how manieth it is of its kind."""
    before, after = int(draw * share), int((draw + 1) * share)
    return (True, before) if after > before else (False, draw - before)


def yaw_bins(yaws: Sequence[float]) -> list[list[int]]:
    """Places sorted by yaw into equal parts of the range that there is; only parts that hold some."""
    if not yaws:
        return []
    low, high = min(yaws), max(yaws)
    width = max(high - low, 1e-6) / YAW_BINS
    bins: list[list[int]] = [[] for _ in range(YAW_BINS)]
    for place, yaw in enumerate(yaws):
        bins[min(int((yaw - low) / width), YAW_BINS - 1)].append(place)
    return [found for found in bins if found]
