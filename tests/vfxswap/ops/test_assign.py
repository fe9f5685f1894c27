"""The best pairs of rows and columns, against all that there are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vfxswap.errors import ShapeError
from vfxswap.ops.assign import assigned


def cheapest(costs: NDArray[np.float64], worst: float) -> float:
    """By trying all."""
    if len(costs) == 0:
        return 0.0
    choices = [worst + cheapest(costs[1:], worst)]
    for column in np.flatnonzero(np.isfinite(costs[0])):
        left = costs[1:].copy()
        left[:, column] = np.inf
        choices.append(float(costs[0, column]) + cheapest(left, worst))
    return min(choices)


@pytest.mark.parametrize("seed", range(60))
def test_no_other_pairs_are_cheaper(seed: int) -> None:
    dice = np.random.default_rng(seed)
    costs = dice.random(tuple(dice.integers(1, 5, 2))) * 3
    costs[dice.random(costs.shape) < 0.3] = np.inf
    pairs = assigned(costs, worst=1.5)
    rows, columns = {row for row, _ in pairs}, {column for _, column in pairs}
    assert len(rows) == len(columns) == len(pairs)
    assert sum(costs[pair] for pair in pairs) + 1.5 * (len(costs) - len(pairs)) == pytest.approx(cheapest(costs, 1.5))


def test_a_dear_pair_is_left_apart_and_a_forbidden_one_is_never_made() -> None:
    assert assigned(np.array([[1.0, 9.0], [9.0, 8.0]]), worst=5) == [(0, 0)]
    assert assigned(np.full((2, 2), np.inf), worst=5) == []
    assert assigned(np.zeros((0, 3)), worst=1) == []


def test_the_greedy_choice_is_not_always_the_best() -> None:
    assert assigned(np.array([[0.0, 1.0], [1.0, 9.0]]), worst=5) == [(0, 1), (1, 0)]


def test_costs_are_numbers_in_a_matrix() -> None:
    with pytest.raises(ShapeError, match="without NaN"):
        assigned(np.array([[np.nan]]), worst=1)
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        assigned(np.zeros(3), worst=1)
