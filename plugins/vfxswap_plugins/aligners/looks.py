"""Several looks of a network at one face, slightly apart, whose averages tremble less.

A network's own noise depends on where the pixels fall. All looks are cut from one piece of the plate, which is dear to
cut: twice as fine as the network's square, with a margin for the shifts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch import Tensor

from vfxswap.geometry import Affine, composed, inverted
from vfxswap.ops import warp

_SHIFT, _SCALE, _TURN = 0.035, 0.04, 0.05
"""How far the looks stand apart: parts of the square's side, of its scale, and radians."""
_MARGIN = 1 / 6
"""Of the piece, in parts of the square's side."""


class Look(NamedTuple):
    """What a network sees at once."""

    from_square: Affine
    """The similarity from the square to the crop."""
    crop: Tensor
    """`(3, S, S)`."""


def offsets(count: int, side_px: int) -> list[Affine]:
    """Small similarities of a network's square whose shifts, scales and turns cancel out.

    Args:
        count: 1, 4 or 8 of them.
        side_px: Side of the square.
    """
    if count == 1:
        return [np.eye(2, 3)]
    found = []
    for k in range(count):
        around = 2 * math.pi * (k + 0.5) / count
        shift = np.array([math.cos(around), math.sin(around)]) * _SHIFT * side_px
        scale, turn = 1 + _SCALE * (-1) ** k, _TURN * (-1) ** (k // 2)
        along, across = math.cos(turn) * scale, math.sin(turn) * scale
        linear = np.array([(along, -across), (across, along)])
        middle = np.full(2, side_px / 2)
        found.append(np.column_stack([linear, middle + shift - linear @ middle]))
    return found


def piece_px(side_px: int) -> int:
    """Side of the piece that the looks at a square are cut from."""
    return 2 * round(side_px * (1 + _MARGIN))


def to_piece(side_px: int) -> Affine:
    """The similarity from a network's square to the piece around it."""
    margin = piece_px(side_px) / 2 - side_px
    return np.array([(2.0, 0.0, margin), (0.0, 2.0, margin)])


def looks(piece: Tensor, count: int, side_px: int) -> Iterator[Look]:
    """Cuts the looks at a square from the piece around it.

    Args:
        piece: `(3, P, P)` with P of `piece_px`.
        count: 1, 4 or 8 of them.
        side_px: Side of the square, and of each look.
    """
    to_square = inverted(to_piece(side_px))
    for offset in offsets(count, side_px):
        matrix = composed(offset, to_square)
        yield Look(offset, warp.cut(piece, origin=(0, 0), plate_to_crop=matrix, size_px=side_px))
