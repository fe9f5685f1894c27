"""Which tracks are one person, by what a face recogniser says of them."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from vfxswap.errors import ShapeError

Vector = NDArray[np.float32]
"""`(D,)` of unit length."""


def rejoined(vectors: Sequence[Vector | None], frames: Sequence[AbstractSet[int]], *, least: float) -> list[int]:
    """Joins tracks of one person: the likest pair of groups first, as long as any pair is alike enough.

    Agglomerative clustering by the mean of each group (centroid linkage) with one ban: a person has one face, so groups
    that are in a frame together are never joined.

    Args:
        vectors: N recognisers' vectors; None for a track of which nothing is known, which stays alone.
        frames: The frames of each track.
        least: Least dot product of the means of two groups that are joined, -1..1.

    Returns:
        For each track the index of the first track of its group.

    Raises:
        ShapeError: There are not as many sets of frames as vectors.
    """
    if len(vectors) != len(frames):
        raise ShapeError("tracks", expected=f"{len(vectors)} sets of frames", actual=str(len(frames)))
    groups = {i: [i] for i in range(len(vectors))}
    means = {i: vector.astype(np.float64) for i, vector in enumerate(vectors) if vector is not None}
    there = {i: set(frames[i]) for i in means}
    while (pair := _likest(means, there, least)) is not None:
        first, second = pair
        groups[first] += groups.pop(second)
        there[first] |= there.pop(second)
        del means[second]
        members = [vectors[i] for i in groups[first]]
        means[first] = _unit(np.sum([vector for vector in members if vector is not None], axis=0, dtype=np.float64))
    found = {member: first for first, members in groups.items() for member in members}
    return [found[i] for i in range(len(vectors))]


def _likest(means: dict[int, NDArray[np.float64]], there: dict[int, set[int]], least: float) -> tuple[int, int] | None:
    names = sorted(means)
    if len(names) < 2:
        return None
    table = np.stack([means[name] for name in names])
    alike = np.triu(table @ table.T, 1) + np.tril(np.full((len(names), len(names)), -np.inf))
    for place in np.argsort(-alike, axis=None, kind="stable"):
        first, second = (int(i) for i in np.unravel_index(place, alike.shape))
        if alike[first, second] < least:
            return None
        if there[names[first]].isdisjoint(there[names[second]]):
            return names[first], names[second]
    return None


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
