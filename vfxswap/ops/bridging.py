"""Bridging: where a face was in frames between two in which it was seen.

From the last frame before the gap and from the first one after it the face is followed by dense optical flow into the
gap, a frame at a time: a grid of points goes along, those that do not come back to where they began are left out, and
what the others do becomes a similarity (Z. Kalal, K. Mikolajczyk, J. Matas, "Forward-backward error: automatic
detection of tracking failures", ICPR 2010, with a similarity fitted by least squares in place of medians). Where both
ways agree, the face is surely there. Where something has come before it, flow follows that instead: then the two ways
disagree, or the patch no longer looks like the face, and the confidence says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vfxswap.errors import ShapeError
from vfxswap.geometry import Affine, Box, Points, composed, mapped, umeyama
from vfxswap.ops.flow import Codes, luma_flow

FADE: Final = 0.97
"""What is left of the confidence for each frame away from the nearest one in which the face was seen."""

_GRID: Final = 11  # points a side
_INNER: Final = 0.8  # of the box's sides: what is further out is background
_ROOM: Final = 0.6  # of the box's longer side, read around it
_RETURN: Final = 0.02  # of the box's size by which a point may miss where it began, and
_RETURN_PX: Final = 0.4
_FEWEST: Final = 8  # points of which a similarity is made
_APART: Final = 0.10  # of the box's size by which the two ways may disagree for the confidence to halve
_PATCH: Final = 24
_ALIKE: Final = (0.2, 0.7)  # correlations with the seen face at which a patch counts as none, and fully
_LEAST_SIDE: Final = 32

_IDENTITY: Final = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


class Seen(NamedTuple):
    """A face in a frame in which it was seen."""

    box: tuple[float, float, float, float]
    """`(x0, y0, x1, y1)` pixels of the pictures."""
    points: Points
    """`(K, 2)` whatever is to be known of it in the gap, such as its five points; K may be 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Bridged:
    """A face in a frame in which it was not seen."""

    box: tuple[float, float, float, float]
    points: Points
    confidence: float
    """0..1; 1 is as sure as seen."""


def bridged(pictures: Sequence[Codes], before: Seen, after: Seen) -> list[Bridged]:
    """Finds a face in the frames between two.

    Args:
        pictures: N + 2 pictures, `(h, w)` uint8 as `vfxswap.ops.flow.even_luma` makes them: that of `before`, those of
            the N frames between, that of `after`.
        before: The face in the first.
        after: The face in the last; as many points.

    Returns:
        N faces.

    Raises:
        ShapeError: There are fewer than two pictures, they are not of one size, or the points do not agree.
    """
    sizes = {picture.shape for picture in pictures}
    if len(pictures) < 2 or len(sizes) > 1 or before.points.shape != after.points.shape:
        raise ShapeError(
            "a gap",
            expected="two or more pictures of one size, equally many points",
            actual=f"{len(pictures)} of {sizes}, {before.points.shape}, {after.points.shape}",
        )
    ahead = _way(pictures, before.box)
    back = [*reversed(_way(list(reversed(pictures)), after.box))]
    ends = (_corners(before), _corners(after))
    own = [_patch(picture, seen.box) for picture, seen in ((pictures[0], before), (pictures[-1], after))]
    return [
        _between(
            pictures[at], (ahead[at], back[at]), ends, part=at / (len(pictures) - 1), steps=len(pictures) - 1, own=own
        )
        for at in range(1, len(pictures) - 1)
    ]


class _Step(NamedTuple):
    """Where a face has got to on its way."""

    matrix: Affine
    """From the picture in which it was seen."""
    trust: float
    """0..1, how much of it was followed all the way."""


def _way(pictures: Sequence[Codes], box: tuple[float, float, float, float]) -> list[_Step]:
    """The face's way from the first picture through all others."""
    steps = [_Step(_IDENTITY, 1.0)]
    corners = np.array([(box[0], box[1]), (box[2], box[3])])
    for first, second in pairwise(pictures):
        last = steps[-1]
        low, high = mapped(last.matrix, corners)
        step = _moved(first, second, (float(low[0]), float(low[1]), float(high[0]), float(high[1])))
        steps.append(_Step(composed(step.matrix, last.matrix), last.trust * step.trust))
    return steps


def _moved(first: Codes, second: Codes, box: tuple[float, float, float, float]) -> _Step:
    """How the face in a box moves from a picture to the next."""
    size = max(box[2] - box[0], box[3] - box[1])
    height, width = first.shape
    room = Box.around(np.array([(box[0], box[1]), (box[2], box[3])])).grown(int(_ROOM * size) + _LEAST_SIDE // 2)
    part = room.clipped(width, height)
    if min(part.width, part.height) < _LEAST_SIDE:
        return _Step(_IDENTITY, 0.0)
    a, b = (np.ascontiguousarray(picture[part.y0 : part.y1, part.x0 : part.x1]) for picture in (first, second))
    there, back = (luma_flow(*pair, quality="medium").numpy() for pair in ((a, b), (b, a)))
    start = _grid(box) - (part.x0, part.y0)
    end = start + _at(there, start)
    miss = np.linalg.norm(end + _at(back, end) - start, axis=1)
    inside = ((end > 0) & (end < (part.width, part.height))).all(axis=1)
    good = inside & (miss < _RETURN * size + _RETURN_PX)
    if good.sum() < _FEWEST:
        return _Step(_IDENTITY, 0.0)
    matrix = umeyama(start[good], end[good])
    off = np.linalg.norm(mapped(matrix, start) - end, axis=1)
    near = good & (off <= max(2 * float(np.median(off[good])), _RETURN_PX))
    if near.sum() >= _FEWEST:
        matrix = umeyama(start[near], end[near])
    shift = np.array([part.x0, part.y0])
    matrix = np.column_stack([matrix[:, :2], matrix[:, 2] + shift - matrix[:, :2] @ shift])
    return _Step(matrix, float(good.mean()) ** 0.5)


def _grid(box: tuple[float, float, float, float]) -> Points:
    """Points of the box's inner part."""
    share = 0.5 + _INNER * (np.arange(_GRID) / (_GRID - 1) - 0.5)
    x, y = np.meshgrid(box[0] + share * (box[2] - box[0]), box[1] + share * (box[3] - box[1]))
    return np.column_stack([x.ravel(), y.ravel()])


def _at(flow: NDArray[np.float32], points: Points) -> Points:
    """`(K, 2)` flow `(2, h, w)` at places, between pixels."""
    x, y = (np.ascontiguousarray(points[:, axis] - 0.5, np.float32)[None] for axis in (0, 1))
    found = [cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0] for plane in flow]
    return np.stack(found, axis=1).astype(np.float64)


def _corners(seen: Seen) -> Points:
    """The box's corners, and the points."""
    return np.vstack([np.array(seen.box).reshape(2, 2), seen.points[:, :2]])


def _between(
    picture: Codes,
    ways: tuple[_Step, _Step],
    ends: tuple[Points, Points],
    *,
    part: float,
    steps: int,
    own: Sequence[Codes],
) -> Bridged:
    """The face between the two ways: each counts by its trust, and for more the nearer its end is."""
    from_before, from_after = (mapped(way.matrix, end) for way, end in zip(ways, ends, strict=True))
    straight = (1 - part) * ends[0] + part * ends[1]
    weights = np.array([ways[0].trust / part, ways[1].trust / (1 - part), _SLIGHT])
    weights = weights / weights.sum()
    places = weights[0] * from_before + weights[1] * from_after + weights[2] * straight
    size = float(np.ptp(straight[:2], axis=0).max())
    apart = float(np.linalg.norm(from_before[:2].mean(axis=0) - from_after[:2].mean(axis=0))) / max(size, 1e-6)
    box = (float(places[0, 0]), float(places[0, 1]), float(places[1, 0]), float(places[1, 1]))
    if box[0] >= box[2] or box[1] >= box[3]:
        return Bridged(_boxed(straight), straight[2:], 0.0)
    alike = max(_correlation(_patch(picture, box), patch) for patch in own)
    low, high = _ALIKE
    visible = float(np.clip((alike - low) / (high - low), 0, 1))
    away = min(part, 1 - part) * steps
    agreed = 1 / (1 + (apart / _APART) ** 2)
    return Bridged(box, places[2:], FADE**away * agreed * visible)


_SLIGHT: Final = 0.02
"""Weight of the straight line, which is all that is left where nothing can be followed."""


def _boxed(places: Points) -> tuple[float, float, float, float]:
    return float(places[0, 0]), float(places[0, 1]), float(places[1, 0]), float(places[1, 1])


def _patch(picture: Codes, box: tuple[float, float, float, float]) -> Codes:
    """`(24, 24)` what is in the inner part of a box."""
    centre = ((box[0] + box[2]) / 2 - 0.5, (box[1] + box[3]) / 2 - 0.5)
    sides = [max(2, round(_INNER * (box[2] - box[0]))), max(2, round(_INNER * (box[3] - box[1])))]
    inner = cv2.getRectSubPix(picture, (min(sides[0], 2048), min(sides[1], 2048)), centre)
    return np.asarray(cv2.resize(inner, (_PATCH, _PATCH), interpolation=cv2.INTER_AREA), np.uint8)


def _correlation(one: Codes, other: Codes) -> float:
    """Zero-mean normalised correlation, -1..1."""
    a, b = (patch.astype(np.float64) - patch.mean() for patch in (one, other))
    return float((a * b).sum() / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-9))
