"""Where two facesets lie: in maps of two values and along scales of one, and where one has what the other lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Cell = tuple[int, int]
"""Which multiples of the steps a cell lies on: (across, down)."""

FEW = 5
"""So many faces of the identity must be near for what the plate shows to count as covered."""


@dataclass(frozen=True, slots=True)
class Map:
    """A map's cells: each lies around a multiple of the step."""

    step: float
    """Side of a cell, in the map's unit; faces of the identity up to this far from a cell's middle count as near."""
    plate: dict[Cell, tuple[int, ...]]
    """Places of the plate's faces, by cell."""
    near: dict[Cell, int]
    """Faces of the identity near each cell that the plate or the identity has faces in."""
    identity: dict[Cell, int]
    """Faces of the identity inside each cell."""
    middle: tuple[float, float] = (0.0, 0.0)
    """Median of the identity's faces."""
    spread: tuple[float, float] = (1.0, 1.0)
    """Their standard deviation, at least a step."""

    @property
    def missing(self) -> list[Cell]:
        """Cells of the plate that the identity does not cover."""
        return sorted(cell for cell in self.plate if self.near[cell] < FEW)

    def groups(self) -> Iterator[list[Cell]]:
        """Missing cells that touch one another, corners included, and lie on one side of the identity's middle."""
        sides: dict[int, set[Cell]] = {}
        for cell in self.missing:
            sides.setdefault(self._side(cell), set()).add(cell)
        for _, left in sorted(sides.items()):
            while left:
                yield _connected(left)

    def _side(self, cell: Cell) -> int:
        """Left, above, right or below, as the identity's faces are spread; a rim all around is four gaps, not one."""
        across, down = ((cell[i] * self.step - self.middle[i]) / self.spread[i] for i in (0, 1))
        if abs(across) >= abs(down):
            return 0 if across < 0 else 2
        return 1 if down < 0 else 3


def _connected(left: set[Cell]) -> list[Cell]:
    """Takes a cell, and all that hang together with it, out of some cells."""
    group, edge = [], [min(left)]
    left.discard(edge[0])
    while edge:
        cell = edge.pop()
        group.append(cell)
        around = [(cell[0] + i, cell[1] + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        found = [other for other in around if other in left]
        left.difference_update(found)
        edge += found
    return sorted(group)


def mapped_faces(plate: Values, identity: Values, step: float) -> Map:
    """Sorts faces into the cells of a map.

    Args:
        plate: `(N, 2)` values of the plate's faces.
        identity: `(M, 2)` of the identity's.
        step: Side of a cell.
    """
    cells: dict[Cell, list[int]] = {}
    for index, cell in enumerate(cells_of(plate, step)):
        cells.setdefault(cell, []).append(index)
    counts: dict[Cell, int] = {}
    for cell in cells_of(identity, step):
        counts[cell] = counts.get(cell, 0) + 1
    near = {}
    for cell in {*cells, *counts}:
        away = np.abs(identity - np.array(cell) * step) if len(identity) else np.zeros((0, 2))
        near[cell] = int((away <= step).all(axis=1).sum())
    plain = {cell: tuple(faces) for cell, faces in cells.items()}
    if not len(identity):
        return Map(step, plain, near, counts)
    middle, spread = np.median(identity, axis=0), np.maximum(identity.std(axis=0), step)
    return Map(step, plain, near, counts, (middle[0], middle[1]), (spread[0], spread[1]))


def cells_of(values: Values, step: float) -> list[Cell]:
    """The cell of each of `(N, 2)` values."""
    return [(int(x), int(y)) for x, y in np.floor(values / step + 0.5)]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a scale where the plate has faces and the identity hardly any."""

    faces: tuple[int, ...]
    """Places of the plate's faces."""
    low: float
    high: float
    near: int
    """Faces of the identity that are near it."""


def missing_stretches(plate: Values, identity: Values, reach: float) -> list[Stretch]:
    """Where the plate's values have too few of the identity's near them.

    Args:
        plate: `(N,)` values of the plate's faces.
        identity: `(M,)` of the identity's.
        reach: How far a value counts as near.
    """
    ordered = np.sort(identity)
    counts = np.searchsorted(ordered, plate + reach, "right") - np.searchsorted(ordered, plate - reach, "left")
    lacking = sorted((float(plate[i]), int(i)) for i in np.flatnonzero(counts < FEW))
    found: list[list[tuple[float, int]]] = []
    for value, index in lacking:
        if found and value - found[-1][-1][0] <= reach:
            found[-1].append((value, index))
        else:
            found.append([(value, index)])
    return [_stretch(run, ordered, reach) for run in found]


def _stretch(run: Sequence[tuple[float, int]], ordered: Values, reach: float) -> Stretch:
    low, high = run[0][0], run[-1][0]
    near = np.searchsorted(ordered, high + reach / 2, "right") - np.searchsorted(ordered, low - reach / 2, "left")
    return Stretch(tuple(sorted(index for _, index in run)), low, high, int(near))
