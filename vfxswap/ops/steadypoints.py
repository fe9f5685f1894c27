"""Steadies landmarks over time: local polynomials in a centred, finite window, as wide as the motion allows.

Aligners tremble about the path that a head and its features take. Around each frame that path is fitted by polynomials
of the second degree (A. Savitzky and M. Golay, "Smoothing and differentiation of data by simplified least squares
procedures", Analytical Chemistry 36, 1964) whose weights fall off with time, with confidence, and for frames that do
not fit (W. Cleveland, "Robust locally weighted regression and smoothing scatterplots", JASA 74, 1979). A centred fit
has no lag: constant speed and acceleration pass unchanged.

What a fit leaves over says whether it may be believed: trembling is small, a motion that the fit is too slow for is
not. So fits of several widths are tried, and each counts as far as what it leaves stays within a tolerance (the
thought of V. Katkovnik, "A new method for varying adaptive bandwidth selection", IEEE Trans. Signal Processing 47,
1999). The head (place, turn and size, by the points that rest on it) and each point against the head are judged apart:
a cheek is steadied while the mouth talks. Points that move fast stay where they were seen. Where it is known which
points move by themselves, what lies far enough from them rests on the skull, and is believed to tremble more before it
is believed to move.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vfxswap.errors import ShapeError
from vfxswap.geometry import Points

Floats = NDArray[np.float64]

# In tolerances (a frame, where they are speeds); found on shots whose true landmarks are known.
_HEAD_SPEED: Final = 2.0  # of the head, at which what a fit leaves weighs twice in squares
_POINT_SPEED: Final = 2.4  # of a point against the head, above which it begins to be left alone
_PLATE_SPEED: Final = 6.0  # of a point in the plate, likewise
_FADE: Final = 2.5  # how many times that speed is fast: such points stay
_LEAST_BELIEVED: Final = 2.0  # left over by a fit that does not count any more
_RESTING: Final = 2.2  # tolerances of points that rest on the skull, against those that may move
_REACHED: Final = (0.9, 1.1)  # of a moving point's reach, between which rest begins

_STABLE_ROUNDS: Final = 3
_OUTLIER: Final = 6.0  # usual deviations beyond which a frame has no weight
_SPEED_FRAMES: Final = 2.0  # around a frame, in which fast motion is looked for


@dataclass(frozen=True, slots=True)
class PointSettings:
    """How landmarks are steadied."""

    radius_frames: int = 6
    """Frames looked at on each side, at least 0."""
    strength: float = 1.0
    """0 leaves the points, 1 puts them on the fitted path."""
    tolerance: float = 0.005
    """Deviation from a path up to which it counts as trembling, in sizes of the face: the root mean square distance of
    its points from their middle; above 0."""


def steadied_points(
    points: Floats,
    times: Floats,
    confidence: Floats,
    *,
    center: int,
    reach: Floats | None = None,
    settings: PointSettings | None = None,
) -> Points:
    """The landmarks of one frame, without their trembling.

    Args:
        points: `(T, K, 2 or 3)` float64 pixels: one face in T frames, ascending; frames may be missing.
        times: `(T,)` frame numbers; only those within the radius count.
        confidence: `(T,)` above 0, 1 for a sure frame; a doubtful one has less weight, and bends more to the others.
        center: Index of the frame to be steadied.
        reach: `(K,)` of each point that moves by itself, as lips and lids do: how far the skin around it goes with it,
            in sizes of the face; 0 for all others. Without it any point may move.
        settings: How.

    Returns:
        `(K, 2 or 3)`; the same points where the face has no neighbours.

    Raises:
        ShapeError: The arrays do not agree.
    """
    settings = settings or PointSettings()
    _check(points, times, confidence, center)
    near = np.abs(times - times[center]) <= settings.radius_frames
    center = int(near[:center].sum())
    seen, t, sure = points[near], times[near] - times[near][center], confidence[near]
    size = _size(seen[center])
    if len(seen) < 2 or settings.strength == 0 or size == 0:
        alone: Points = seen[center].copy()
        return alone
    motion = _parted(seen, center, size)
    sure = sure * _fitting(motion.heads, t, sure, settings)
    head = _path(motion.heads[:, None], t, sure, settings, usual_speed=_HEAD_SPEED)[0]
    resting = _resting(motion.shapes[center, :, :2], reach)
    shape = _path(motion.shapes, t, sure, settings, tolerances=resting)
    share = settings.strength * _calm(seen[..., :2] / size, motion.shapes[..., :2], t, resting, settings.tolerance)
    fitted = _joined(head, shape, motion.middle, size)
    result: Points = seen[center] + share[:, None] * (fitted - seen[center])
    return result


def distance(a: Points, b: Points) -> float:
    """How far two faces lie apart: in place, and in the logarithm of their size.

    Args:
        a: `(K, 2 or 3)` pixels.
        b: `(K, 2 or 3)` pixels.

    Returns:
        In sizes of the larger face; infinite if a face's points are all one.
    """
    sizes = _size(a), _size(b)
    if min(sizes) == 0:
        return float("inf")
    apart = float(np.linalg.norm(a[:, :2].mean(axis=0) - b[:, :2].mean(axis=0))) / max(sizes)
    return float(np.hypot(apart, np.log(sizes[0] / sizes[1])))


def _resting(shape: Floats, reach: Floats | None) -> Floats:
    """`(K,)` how many tolerances each point is given, by its distance from those that move."""
    if reach is None or not (reach > 0).any():
        return np.ones(len(shape))
    movers = reach > 0
    apart = np.linalg.norm(shape[:, None] - shape[movers][None], axis=-1) / reach[movers]
    start, end = _REACHED
    part = np.clip((apart.min(axis=1) - start) / (end - start), 0, 1)
    return np.asarray(1 + (_RESTING - 1) * part * part * (3 - 2 * part))


def _check(points: Floats, times: Floats, confidence: Floats, center: int) -> None:
    count = len(points)
    agree = points.ndim == 3 and points.shape[2] in {2, 3} and times.shape == confidence.shape == (count,)
    if not agree or not 0 <= center < count or (np.diff(times) <= 0).any() or (confidence <= 0).any():
        raise ShapeError(
            "landmarks over time",
            expected="(T, K, 2 or 3) points, T ascending times, T confidences above 0, and the index of one",
            actual=f"{points.shape}, {times.tolist()}, {confidence.tolist()}, {center}",
        )


def _size(points: Points) -> float:
    flat = points[:, :2]
    return float(np.sqrt(((flat - flat.mean(axis=0)) ** 2).sum(axis=1).mean()))


@dataclass(frozen=True, slots=True)
class _Motion:
    """A face over time, as the similarity of its head and the rest."""

    heads: Floats
    """`(T, 4)` place x and y in sizes, turn in radians, logarithm of the size; 0 in the central frame."""
    shapes: Floats
    """`(T, K, 2 or 3)` the points with that taken out, in sizes."""
    middle: Floats
    """`(2,)` pixels: the place of the central frame's head."""


def _parted(seen: Floats, center: int, size: float) -> _Motion:
    """Finds the head by the points that rest on it.

    The least-squares similarity of points in the plane is a product of complex numbers. Points that move against the
    others get less weight in it, so that lips do not move the head.
    """
    flat = seen[..., 0] + 1j * seen[..., 1]
    weights = np.ones(flat.shape[1])
    for _ in range(_STABLE_ROUNDS):
        weights /= weights.sum()
        middles = flat @ weights
        around = flat - middles[:, None]
        now = around[center]
        turns = (around * now.conj()) @ weights / (np.abs(now) ** 2 @ weights)
        shapes = around / (turns[:, None] * size)
        moved = np.sqrt((np.abs(shapes - shapes.mean(axis=0)) ** 2).mean(axis=0))
        weights = (1 + (moved / max(float(np.median(moved)), 1e-9)) ** 2) ** -2.0
    places = (middles - middles[center]) / size
    heads = np.column_stack([places.real, places.imag, np.angle(turns), np.log(np.abs(turns))])
    depth = seen[..., 2:] / (np.abs(turns)[:, None, None] * size)
    whole = np.concatenate([shapes.real[..., None], shapes.imag[..., None], depth], axis=-1)
    return _Motion(heads, whole, np.array([middles[center].real, middles[center].imag]))


def _joined(head: Floats, shape: Floats, middle: Floats, size: float) -> Points:
    """`(K, 2 or 3)` pixels of `(4,)` and `(K, 2 or 3)`."""
    scale, turn = size * np.exp(head[3]), head[2]
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.column_stack([shape[:, :2] @ matrix.T + middle + size * head[:2], shape[:, 2:] * scale])


def _kernel(times: Floats, radius: float) -> Floats:
    """Biweight; above 0 up to the radius."""
    return np.asarray(np.clip(1 - (times / (radius + 1)) ** 2, 0, None) ** 2)


@dataclass(frozen=True, slots=True)
class _Fit:
    """A polynomial in time through `(T, M, D)` values."""

    value: Floats
    """`(M, D)` at the central frame."""
    left: Floats
    """`(T, M, D)` what is left over."""


def _fit(path: Floats, times: Floats, weights: Floats) -> _Fit | None:
    """None where there are too few frames to tell a path from trembling."""
    before, after = (int((weights[side] > 0).sum()) for side in (times < 0, times > 0))
    if before + after < 2 or (min(before, after) == 0 and before + after < 3):
        return None
    powers = np.stack([times**degree for degree in range(3 if min(before, after) >= 2 else 2)], axis=1)
    weighted = powers * weights[:, None]
    found = np.tensordot(np.linalg.solve(powers.T @ weighted, weighted.T), path, axes=1)
    return _Fit(found[0], path - np.tensordot(powers, found, axes=1))


def _fitting(heads: Floats, times: Floats, sure: Floats, settings: PointSettings) -> Floats:
    """`(T,)` 0..1: how well each neighbour fits the head's path; 1 for the frame itself."""
    fit = _fit(heads[:, None], times, _kernel(times, settings.radius_frames) * sure)
    if fit is None:
        return np.ones(len(times))
    left = np.sqrt((fit.left[:, 0] ** 2).mean(axis=-1))
    usual = max(float(np.median(left)), settings.tolerance)
    weights = np.clip(1 - (left / (_OUTLIER * usual)) ** 2, 0, None) ** 2
    weights[times == 0] = 1
    return np.asarray(weights)


def _path(
    path: Floats,
    times: Floats,
    sure: Floats,
    settings: PointSettings,
    *,
    tolerances: Floats | float = 1.0,
    usual_speed: float | None = None,
) -> Floats:
    """`(M, D)`: where `(T, M, D)` paths lead at the central frame; each as widely fitted as its motion allows."""
    radius, tolerance = settings.radius_frames, settings.tolerance
    result = path[times == 0][0]
    for width in sorted({-(-radius // part) for part in (1, 2, 3)}):
        fit = _fit(path, times, _kernel(times, width) * sure)
        if fit is None:
            continue
        around = _kernel(times, max(width / 2, 1)) * sure
        left = (around[:, None] * (fit.left**2).mean(axis=-1)).sum(axis=0) / around.sum()
        if usual_speed is not None:
            speed, middles = _speeds(path, times)
            around = _kernel(middles, max(width / 2, 1))
            speed = (around[:, None] * speed**2 / path.shape[-1]).sum(axis=0) / around.sum()
            left = left * (1 + speed / (usual_speed * tolerance) ** 2)
        believed = _falling(np.sqrt(left) / (tolerances * tolerance), _LEAST_BELIEVED)
        result = result + believed[:, None] * (fit.value - result)
    return np.asarray(result)


def _speeds(path: Floats, times: Floats) -> tuple[Floats, Floats]:
    """`(T - 1, M)` lengths of the steps of `(T, M, D)` paths, a frame, and `(T - 1,)` when."""
    steps = np.diff(path, axis=0) / np.diff(times)[:, None, None]
    return np.sqrt((steps**2).sum(axis=-1)), (times[1:] + times[:-1]) / 2


def _calm(plate: Floats, shapes: Floats, times: Floats, resting: Floats, tolerance: float) -> Floats:
    """`(K,)` 0..1: 0 for points that move fast, by their fastest step around the frame or against the plate."""
    share = np.ones(shapes.shape[1])
    steps, middles = _speeds(shapes, times)
    around = _kernel(middles, _SPEED_FRAMES)
    fastest = (np.sqrt(around)[:, None] * steps).max(axis=0)
    share *= _falling(fastest / (_POINT_SPEED * tolerance * resting), _FADE)
    steps, _ = _speeds(plate, times)
    total = max(float(around.sum()), 1e-9)
    speed = np.sqrt((around[:, None] * steps**2).sum(axis=0) / total)
    return share * _falling(speed / (_PLATE_SPEED * tolerance), _FADE)


def _falling(value: Floats, end: float) -> Floats:
    """Smoothly from 1, up to a value of 1, to 0 at `end`."""
    x = np.clip((value - 1) / (end - 1), 0, 1)
    return np.asarray(1 - x * x * (3 - 2 * x))
