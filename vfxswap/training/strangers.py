"""Faces that are in the wrong folder: more like another identity's than like their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from vfxswap.errors import MediaError
from vfxswap.faceset import Faceset
from vfxswap.ops.measure import descriptor
from vfxswap.training.settings import Sources

_LOOKED_AT = 64
_MARGIN = 0.1
_SHARE = 1 / 3
_FEWEST = 16
_MOST_PEOPLE = 8
"""A base's hundreds are not compared: nobody mixes those by hand."""


def strangers(sources: Mapping[str, Sources]) -> Iterator[str]:
    """Looks at faces spread over each faceset; gives a warning for each that holds somebody else's.

    Likeness is that of `vfxswap.ops.measure.descriptor`, which is coarse, so single faces prove nothing: a faceset is
    named when a third of its faces are clearly more like another identity's middle face than like their own's.
    """
    if len(sources) > _MOST_PEOPLE:
        return
    seen = {name: [(item, _seen(item)) for item in own.faces] for name, own in sources.items()}
    middles = {name: _middle([found for _, found in sets]) for name, sets in seen.items()}
    for name, sets in seen.items():
        for faceset, own in sets:
            # Where there are several facesets, the others say how the person looks.
            rest = _middle([found for item, found in sets if item is not faceset])
            yield from _judged(name, faceset, own, middles[name] if rest is None else rest, middles)


def _seen(faceset: Faceset) -> NDArray[np.float32]:
    found = []
    for index in range(0, len(faceset), max(1, len(faceset) // _LOOKED_AT)):
        with suppress(MediaError):  # named elsewhere
            found.append(descriptor(faceset.image(index), faceset.landmarks(index)))
    return np.stack(found) if found else np.zeros((0, 1), np.float32)


def _middle(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32] | None:
    if sum(map(len, parts)) < _FEWEST:
        return None
    middle = np.median(np.concatenate(parts), axis=0)
    unit: NDArray[np.float32] = middle / max(float(np.linalg.norm(middle)), 1e-9)
    return unit


def _judged(
    name: str,
    faceset: Faceset,
    own: NDArray[np.float32],
    home: NDArray[np.float32] | None,
    middles: Mapping[str, NDArray[np.float32] | None],
) -> Iterator[str]:
    if home is None:
        return
    shares = {
        other: float((own @ middle > own @ home + _MARGIN).mean())
        for other, middle in middles.items()
        if middle is not None and other != name
    }
    other = max(shares, key=shares.__getitem__, default="")
    if shares and shares[other] > _SHARE:
        yield (
            f"{shares[other]:.0%} of the faces of {faceset.folder} (identity {name!r}) are more like {other!r} than"
            f" like {name!r}: are they in the wrong folder?"
        )
