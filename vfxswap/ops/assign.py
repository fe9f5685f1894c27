"""The best way to give each of some rows a column of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vfxswap.errors import ShapeError


def assigned(costs: NDArray[np.float64], *, worst: float) -> list[tuple[int, int]]:
    """Pairs of rows and columns of least total cost; a pair dearer than `worst` is rather left apart.

    The Hungarian method in its form of shortest augmenting paths (R. Jonker and A. Volgenant, "A shortest augmenting
    path algorithm for dense and sparse linear assignment problems", Computing 38, 1987), O(n^3). Each row has a column
    of its own at the price `worst` besides, so that it may stay alone: pairs are made where that makes the sum less.

    Args:
        costs: `(R, C)`; infinity forbids a pair, NaN is none.
        worst: What it costs to leave a row alone; finite.

    Returns:
        `(row, column)` by ascending row. Equal sums are decided by place, so that the same costs give the same pairs.

    Raises:
        ShapeError: The costs are not a matrix, or hold NaN.
    """
    if costs.ndim != 2 or bool(np.isnan(costs).any()):
        raise ShapeError("costs", expected="(R, C) without NaN", actual=str(costs.shape))
    rows, columns = costs.shape
    if rows == 0 or columns == 0:
        return []
    # a forbidden pair must be dearer than any way around it, and still be a number
    dear = (rows + 1) * (abs(worst) + float(np.abs(costs[np.isfinite(costs)]).max(initial=0.0)) + 1.0)
    alone = np.full((rows, rows), dear)
    np.fill_diagonal(alone, worst)
    table = np.hstack([np.where(np.isfinite(costs), costs, dear), alone])
    return sorted((row, column) for column, row in _columns(table).items() if column < columns)


def _columns(table: NDArray[np.float64]) -> dict[int, int]:
    """The row of each column that has one; there are at least as many columns as rows."""
    rows, columns = table.shape
    price_of_row, price_of_column = np.zeros(rows), np.zeros(columns)
    owner: dict[int, int] = {}
    for start in range(rows):
        reached = np.full(columns, np.inf)
        before = np.full(columns, -1)
        done = np.zeros(columns, dtype=bool)
        row, column, length = start, -1, 0.0
        rows_on_way = [(start, 0.0)]
        while True:
            ahead = length + table[row] - price_of_row[row] - price_of_column
            nearer = ~done & (ahead < reached)
            reached[nearer], before[nearer] = ahead[nearer], column
            column = int(np.argmin(np.where(done, np.inf, reached)))
            length = float(reached[column])
            done[column] = True
            if column not in owner:
                break
            row = owner[column]
            rows_on_way.append((row, length))
        for passed, at in rows_on_way:
            price_of_row[passed] += length - at
        price_of_column[done] -= length - reached[done]
        while column >= 0:
            previous = int(before[column])
            owner[column] = start if previous < 0 else owner[previous]
            column = previous
    return owner
