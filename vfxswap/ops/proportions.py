"""The shape that a person's face has at rest, and how to give it to another face's landmarks.

A face's points are its person's proportions, its expression and its pose at once. Over several pictures pose is taken
out by the similarity in space that fits best, and of what is left each point takes a weighted median, in which pictures
with a shut mouth count for lips and chin, and pictures with open eyes for lids. The difference of two people's shapes
is then a set of offsets in the head's own axes, which goes with the head in every frame and has nothing to tremble
about. The fewer the pictures, the less of it is believed: an expression that lasts through them all looks like
proportions, and a head that is turned looks crooked.

Only points with depth (`mesh468`) can be turned; for others there are no offsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vfxswap.geometry import MIRROR, REGIONS, Landmarks, Points, Region, Scheme, pose_of
from vfxswap.ops.mesh import head_axes

Floats = NDArray[np.float64]

_ROUNDS: Final = 4
_LIDS: Final[tuple[Region, Region]] = ("left_eye", "right_eye")
_CLOSED: Final = 0.03
"""Gap of the lips, in distances of the eyes, at which a picture counts half as much for the mouth as a shut one."""
_LEAST: Final = 1e-3
_OPEN: Final = 0.22
"""Gap of lids, in widths of the eye, at which a picture counts for them as one for the skin does."""


class _Belief(NamedTuple):
    """How far differences are believed, across, down and in depth."""

    most: tuple[float, float, float]
    """Share of them that many pictures leave."""
    worth: tuple[float, float, float]
    """As many good pictures leave half of that."""


_SKIN: Final = _Belief((0.95, 1.0, 0.95), (0.05, 0.1, 0.05))
_BROWS: Final = _Belief((0.25, 0.65, 0.55), (2.5, 0.6, 0.05))
_LIPS: Final = _Belief((0.8, 0.65, 0.5), (0.15, 1.5, 0.6))
"""About the least error of 46 pairs of the lab's performers, of which one wears the other's face, by draws of 1 to 80
pictures."""
_CROOKED: Final = 0.5
"""As many pictures from straight ahead leave half of what differs between left and right: on film people's noses differ
by 1 % of the distance of their eyes, and single pictures are wrong by 0.6 %."""
_STRAIGHT: Final = 6.0
"""Degrees of yaw at which a picture tells half as much of that: at 12 it is wrong by 2 %, at 25 by 8 %."""
_LOOSE: Final[tuple[tuple[tuple[Region, ...], _Belief], ...]] = (
    (("left_brow", "right_brow"), _BROWS),
    (("lips_outer", "lips_inner"), _LIPS),
)
_FEATURES: Final[tuple[Region, ...]] = (*_LIDS, "left_brow", "right_brow", "nose", "lips_outer")
_FAR: Final = 0.25
"""Distance from features, in distances of the eyes, at which a point belongs to the skull wholly."""
_NEAR: Final = 0.45
"""Distance from the lips, in distances of the eyes, at which the mouth's weights have given way to the others'."""


class RestShape(NamedTuple):
    """One person's face at rest."""

    points: Points
    """`(K, 3)`, centred, of unit distance between the eyes, in the head's own axes."""
    pictures: Floats
    """`(K,)` as many pictures from the front, mouth shut and eyes open, would tell as much of each point."""
    straight: float
    """As many from straight ahead would tell as much of what differs between left and right."""


def rest_shape(faces: Sequence[Landmarks]) -> RestShape | None:
    """The shape of one person's face at rest.

    Generalised Procrustes analysis (J. C. Gower, Psychometrika 40, 1975) with weighted medians in place of means. What
    differs between left and right is taken from pictures from straight ahead: a head that is turned looks crooked.

    Args:
        faces: Points of one person in several pictures.

    Returns:
        The shape; None without depth.
    """
    faces = [face for face in faces if face.scheme == "mesh468" and face.points.shape[1] == 3]
    if not faces:
        return None
    scheme = faces[0].scheme
    steady = _steady(scheme)
    shapes = [_unit(face.points, scheme) for face in faces]
    weights = _weights(shapes, scheme)
    mean = shapes[int(np.argmax([_frontal(shape) for shape in shapes]))]
    for _ in range(_ROUNDS):
        shapes = [_onto(shape, mean, steady) for shape in shapes]
        mean = _unit(_medians(np.stack(shapes), weights), scheme)
    axes = head_axes(Landmarks(mean, scheme)).T
    straight = np.array([1 / (1 + (pose_of(face).yaw / _STRAIGHT) ** 4) for face in faces])
    crooked = _crooked(np.average(np.stack(shapes) @ axes, axis=0, weights=straight), scheme)
    even = mean @ axes - _crooked(mean @ axes, scheme)
    return RestShape(np.asarray(even + crooked), weights.sum(axis=0), float(straight.sum()))


def offsets(wanted: RestShape, own: RestShape, scheme: Scheme) -> Points:
    """`(K, 3)`: from one face at rest to another, in the axes and the unit of the second.

    The first one's features are placed in the second's head, and differences are believed as far as the pictures of
    both go: a person's, or an expression's that lasts; what is crooked less than the rest.

    Args:
        wanted: Whose proportions are to be taken on.
        own: Who plays.
        scheme: Their numbering.
    """
    change = _housed(wanted.points, own.points, scheme) - own.points
    pictures = 1 / (1 / wanted.pictures + 1 / own.pictures)
    straight = 1 / (1 / wanted.straight + 1 / own.straight)
    crooked = _crooked(change, scheme)
    even = (change - crooked) * _belief(own.points, pictures, scheme)
    return np.asarray(even + crooked * (straight / (straight + _CROOKED)))


def _crooked(points: Points, scheme: Scheme) -> Points:
    """What of points, or of differences, in the head's axes is not the same on both sides."""
    return np.asarray((points - points[list(MIRROR[scheme])] * (-1, 1, 1)) / 2)


def _housed(wanted: Points, own: Points, scheme: Scheme) -> Points:
    """One face's features where another's head has room for them.

    The heads are laid onto one another; then each height is brought to where it is between top, eyes, mouth and chin
    of the second head, and each place across to where it is between the edges of its outline there. Depth is counted
    from the eyes. So eyes and mouth stay where they are, and a nose is as long as it is on its own face.
    """
    laid = _onto(wanted, own, _frame_of(own, scheme))
    down = np.interp(laid[:, 1], _storeys(laid, scheme), _storeys(own, scheme))
    left, right = _edges(laid, laid[:, 1], scheme)
    new_left, new_right = _edges(own, down, scheme)
    across = new_left + (laid[:, 0] - left) * ((new_right - new_left) / np.maximum(right - left, 1e-6))
    eyes = [index for lid in _LIDS for index in REGIONS[scheme][lid]]
    depth = laid[:, 2] + (own - laid)[eyes, 2].mean()
    return np.stack([across, down, depth], axis=1)


def _storeys(points: Points, scheme: Scheme) -> Floats:
    """Heights of a head's top, eyes, mouth and chin."""
    heights = points[:, 1]
    oval, mouth, *eyes = (heights[list(REGIONS[scheme][name])] for name in ("oval", "lips_outer", *_LIDS))
    return np.array([oval.min(), np.mean(eyes), mouth.mean(), oval.max()])


def _edges(points: Points, heights: Floats, scheme: Scheme) -> tuple[Floats, Floats]:
    """Left and right of a head's outline at some heights."""
    ring = points[list(REGIONS[scheme]["oval"])]
    half = len(ring) // 2
    sides = (side[np.argsort(side[:, 1])] for side in (ring[:half:-1], ring[1:half]))
    left, right = (np.interp(heights, side[:, 1], side[:, 0]) for side in sides)
    return left, right


def _frame_of(own: Points, scheme: Scheme) -> Floats:
    """`(K,)` of sum 1: what two faces are laid onto one another by: the skull above the mouth, away from features."""
    regions = REGIONS[scheme]
    ring = [index for region in _FEATURES for index in regions[region]]
    away = np.linalg.norm(own[:, None] - own[ring][None], axis=2).min(axis=1)
    above = own[:, 1] < own[list(regions["lips_outer"]), 1].min()
    weights = np.clip(away / _FAR, 0, 1) * above
    return np.asarray(weights / weights.sum())


def _belief(own: Points, pictures: Floats, scheme: Scheme) -> Floats:
    """`(K, 3)` 0..1: how far a difference is the person's, by the pictures that each point is known from.

    Shrinkage (W. James and C. Stein, 4th Berkeley Symposium, 1961): what is known of one face, against all faces.
    """
    belief = _share(_SKIN, pictures)
    for regions, loose in _LOOSE:
        ring = [index for region in regions for index in REGIONS[scheme][region]]
        away = np.linalg.norm(own[:, None] - own[ring][None], axis=2).min(axis=1)
        near = np.clip(1 - away / _NEAR, 0, 1)[:, None]
        near = near * near * (3 - 2 * near)
        belief = np.minimum(belief, 1 - near * (1 - _share(loose, pictures)))
    below = own[:, 1] > own[list(REGIONS[scheme]["lips_outer"]), 1].mean()
    belief[below] = np.minimum(belief, _share(_LIPS, pictures))[below]
    return belief


def _share(belief: _Belief, pictures: Floats) -> Floats:
    """`(K, 3)` 0..1 of a difference that some pictures leave."""
    count = pictures[:, None]
    return np.asarray(np.array(belief.most) * count / (count + np.array(belief.worth)))


def inside_outline(own: RestShape, scheme: Scheme) -> Floats:
    """`(K,)` 0 on a face's outline, which is where the head around it begins, to 1 well inside.

    Args:
        own: Whose.
        scheme: Its numbering.
    """
    ring = own.points[list(REGIONS[scheme]["oval"])]
    away = np.linalg.norm(own.points[:, None] - ring[None], axis=2).min(axis=1)
    share = np.clip(away / _FAR, 0, 1)
    return np.asarray(share * share * (3 - 2 * share))


def reshaped(landmarks: Landmarks, own: RestShape, change: Points, share: Floats) -> Landmarks:
    """Landmarks with another face's proportions.

    Args:
        landmarks: Of one frame, `(K, 3)`.
        own: The same face at rest.
        change: `offsets` from it.
        share: `(K,)` how much of the offsets each point takes.
    """
    points = landmarks.points
    rotation, scale = _turn(own.points, points, _steady(landmarks.scheme))
    moved = (change * share[:, None]) @ rotation.T * scale
    return Landmarks(points + _gentle(moved, points, own.points, landmarks.scheme), landmarks.scheme)


def _gentle(moved: Points, points: Points, own: Points, scheme: Scheme) -> Points:
    """Offsets with which lids and lips that are shut stay shut: what parts them goes with how far they are open."""
    moved = moved.copy()
    for region in (*_LIDS, "lips_inner"):
        ring = REGIONS[scheme][region]
        half = len(ring) // 2
        lower = np.array(ring[1:half])
        upper = np.array(ring[:half:-1])
        both, apart = (moved[upper] + moved[lower]) / 2, (moved[upper] - moved[lower]) / 2
        share = 0.0
        if region != "lips_inner":
            share = min(1.0, _gap(points, scheme, region) / max(_gap(own, scheme, region), 1e-6))
        moved[upper], moved[lower] = both + share * apart, both - share * apart
    return moved


def _gap(points: Points, scheme: Scheme, region: Region) -> float:
    """Mean distance of an opening's upper and lower edge, in widths of it."""
    ring = REGIONS[scheme][region]
    half = len(ring) // 2
    between = np.linalg.norm(points[list(ring[1:half])] - points[list(ring[:half:-1])], axis=1).mean()
    return float(between / max(float(np.linalg.norm(points[ring[0]] - points[ring[half]])), 1e-9))


def _steady(scheme: Scheme) -> Floats:
    """`(K,)` 1 for points that expressions hardly move."""
    regions = REGIONS[scheme]
    weights = np.ones(468)
    for region in (*_LIDS, "lips_outer", "lips_inner"):
        weights[list(regions[region])] = 0.0
    return weights


def _unit(points: Points, scheme: Scheme) -> Points:
    left, right = (points[list(REGIONS[scheme][eye])].mean(axis=0) for eye in _LIDS)
    return np.asarray((points - points.mean(axis=0)) / max(float(np.linalg.norm(right - left)), 1e-9))


def _frontal(shape: Points) -> float:
    """How far a face looks into the camera: the cosine between the plane of eyes and mouth and the picture's."""
    a, b, c = shape[33], shape[263], shape[[61, 291]].mean(axis=0)
    normal = np.cross(b - a, c - a)
    return float(normal[2] / max(float(np.linalg.norm(normal)), 1e-9))


def _weights(shapes: Sequence[Points], scheme: Scheme) -> Floats:
    """`(N, K)` how much each picture counts for each point."""
    ring = list(REGIONS[scheme]["lips_outer"])
    rows = []
    for shape in shapes:
        front = max(0.05, _frontal(shape)) ** 4
        shut = 1 / (1 + (_gap(shape, scheme, "lips_inner") / _CLOSED) ** 2) + _LEAST
        wide = min(1.0, float(np.mean([_gap(shape, scheme, eye) for eye in _LIDS])) / _OPEN) ** 2 + _LEAST
        away = np.linalg.norm(shape[:, None] - shape[ring][None], axis=2).min(axis=1)
        mouth = np.clip(1 - away / _NEAR, 0, 1)
        weight = front * shut**mouth
        for eye in _LIDS:
            weight[list(REGIONS[scheme][eye])] = front * wide
        rows.append(weight)
    return np.stack(rows)


def _medians(values: NDArray[np.float64], weights: Floats) -> Points:
    """`(K, 3)` weighted medians of `(N, K, 3)`, between samples linearly, so that a little more weight moves little."""
    order = np.argsort(values, axis=0, kind="stable")
    ascending = np.take_along_axis(values, order, axis=0)
    mass = np.take_along_axis(np.broadcast_to(weights[..., None], values.shape), order, axis=0)
    place = (np.cumsum(mass, axis=0) - mass / 2) / mass.sum(axis=0)
    result = np.empty(values.shape[1:])
    for point, axis in np.ndindex(*result.shape):
        result[point, axis] = np.interp(0.5, place[:, point, axis], ascending[:, point, axis])
    return result


def _turn(source: Points, target: Points, weights: Floats) -> tuple[Floats, float]:
    """`(3, 3)` rotation and scale of the least-squares similarity in space (S. Umeyama, IEEE PAMI 13(4), 1991)."""
    share = weights / weights.sum()
    a, b = (points - share @ points for points in (source, target))
    u, singular, vt = np.linalg.svd(b.T @ (a * share[:, None]))
    signs = np.array([1.0, 1.0, 1.0 if np.linalg.det(u) * np.linalg.det(vt) >= 0 else -1.0])
    scale = float((singular * signs).sum()) / max(float((share @ (a * a)).sum()), 1e-12)
    return np.asarray((u * signs) @ vt), scale


def _onto(source: Points, target: Points, weights: Floats) -> Points:
    """`source` under the similarity that brings it to `target`."""
    rotation, scale = _turn(source, target, weights)
    share = weights / weights.sum()
    return np.asarray((source - share @ source) @ rotation.T * scale + share @ target)
