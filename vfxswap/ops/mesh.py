"""Triangle meshes over a face's landmarks.

Geometry is numpy float64, a few hundred vertices; maps between two meshes are in `vfxswap.ops.meshmap`, pixels in
`vfxswap.ops.raster`. Pixel convention as in `vfxswap.geometry`: y runs down, so a triangle faces the camera where
`(b - a) x (c - a)` is positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vfxswap.errors import ShapeError, UsageError
from vfxswap.geometry import REGIONS, SCHEME_SIZES, Landmarks, Points, Region, Scheme
from vfxswap.ops.meshmap import Triangles, doubled_areas

SKIN, LEFT_EYE, RIGHT_EYE, MOUTH = 0, 1, 2, 3
"""What a triangle covers: skin and lips, an eye between its lids, the gap between the lips."""

_OPENINGS: tuple[tuple[int, Region], ...] = (
    (LEFT_EYE, "left_eye"),
    (RIGHT_EYE, "right_eye"),
    (MOUTH, "lips_inner"),
)
_OUTLINES: tuple[Region, ...] = ("oval", *(region for _, region in _OPENINGS))
# Beside which point of the outer lips each point of the inner lips lies.
_INNER_LIP_PARTNERS: dict[Scheme, tuple[int, ...]] = {
    "mesh468": tuple(range(20)),
    "ibug68": (0, 2, 3, 4, 6, 8, 9, 10),
}
# FaceMesh has two more rings between the outer and the inner lips, point for point beside these.
_LIP_RINGS: dict[Scheme, tuple[tuple[int, ...], ...]] = {
    "mesh468": (
        (76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306, 408, 304, 303, 302, 11, 72, 73, 74, 184),
        (62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 407, 272, 271, 268, 12, 38, 41, 42, 183),
    ),
    "ibug68": (),
}
LID_RINGS: dict[Scheme, tuple[tuple[int, ...], ...]] = {
    "mesh468": (
        (130, 25, 110, 24, 23, 22, 26, 112, 243, 190, 56, 28, 27, 29, 30, 247),
        (463, 341, 256, 252, 253, 254, 339, 255, 359, 467, 260, 259, 257, 258, 286, 414),
    ),
    "ibug68": (),
}
"""The next ring around each eye, point for point beside the lids; a lid that is opened must not be pushed over it."""
_LOWER_FIRST: dict[Scheme, bool] = {"mesh468": True, "ibug68": False}
"""Whether the outlines of eyes and lips go from the image's left along the lower half and back along the upper."""
_FOREHEAD = 0.38
"""iBUG's 68 points end at the brows; the forehead above is so much of the way from chin to brows."""
_BROWS, _CHIN = slice(17, 27), 8
"""Places in the outline of iBUG's 68 points."""
_UNITS = 1000.0
_INSIDE = 0.9
"""How far behind the middle of the outline the layout's eye sits, in distances of the eyes."""
_MIN_EYE, _MIN_LID, _MIN_LIPS = 0.16, 0.35, 0.22
"""Least half height of an eye, of the ring around it and of the lips in the layout, in parts of their half widths."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceMesh:
    """Triangles over one numbering of landmarks, with a ring of extra vertices outside the face's outline.

    The ring lets a matte fade beyond the outline. Vertices 0..K-1 are the landmarks, K..K+R-1 the ring.
    """

    scheme: Scheme
    triangles: Triangles
    parts: NDArray[np.int64]
    """`(T,)`: `SKIN`, `LEFT_EYE`, `RIGHT_EYE` or `MOUTH`."""
    reach: NDArray[np.float64]
    """`(R,)`: how far each point of the ring lies beyond the outline, in parts of its distance from the middle."""
    rise: NDArray[np.float64]
    """`(R,)`: how far it lies above as well, in parts of the way from chin to brows; 0 where a forehead is known."""
    inward: NDArray[np.float64]
    """`(K + R,)`: 0 at the outline and beyond, 1 at the landmark that is farthest inside."""

    @property
    def landmark_count(self) -> int:
        """K."""
        return SCHEME_SIZES[self.scheme]

    def vertices(self, points: Points) -> Points:
        """`(K + R, 3)` vertices: the landmarks (`(K, 2 or 3)`; no depth is depth 0) and the ring around them."""
        return _with_ring(points, self.scheme, self.reach, self.rise)


def face_mesh(landmarks: Sequence[Landmarks], *, margin: float = 0.1) -> FaceMesh:
    """The mesh of an identity: a Delaunay triangulation of its most frontal still, turned to the front.

    Eyes and mouth are opened before, so that the topology does not depend on what a still happened to do, and their
    outlines are edges of the mesh: no triangle leads across the gap of the lips or of the lids from skin to skin.

    Args:
        landmarks: One or several of the same numbering, at least one.
        margin: Reach of the ring beyond the face's outline, in parts of its distance from the middle.

    Raises:
        UsageError: No landmarks, several numberings, or one without regions (`five`).
        ShapeError: The points are not those of a face.
    """
    schemes = sorted({item.scheme for item in landmarks})
    if len(schemes) != 1 or schemes[0] not in _LIP_RINGS:
        raise UsageError(
            f"a face mesh needs landmarks of one dense numbering ({', '.join(_LIP_RINGS)}), "
            f"got {', '.join(schemes) or 'none'}; use an aligner such as 'facemesh'"
        )
    scheme: Scheme = landmarks[0].scheme
    reach = np.full(len(REGIONS[scheme]["oval"]), margin)
    rise = np.zeros_like(reach)
    if scheme == "ibug68":
        rise[_BROWS] = _FOREHEAD * np.sin(np.linspace(0.2, 0.8, len(rise[_BROWS])) * np.pi)
    flattened = _opened(_flattened(min(landmarks, key=_turn)), scheme)
    layout = _with_ring(flattened, scheme, reach, rise)[:, :2]
    triangles = _constrained(_delaunay(layout), layout, scheme)
    triangles = triangles[inside_polygon(layout[triangles].mean(axis=1), layout[len(flattened) :])]
    centres = layout[triangles].mean(axis=1)
    parts = np.zeros(len(triangles), np.int64)
    for part, region in _OPENINGS:
        parts[inside_polygon(centres, layout[list(REGIONS[scheme][region])])] = part
    return FaceMesh(scheme, triangles, parts, reach, rise, _inward(layout, REGIONS[scheme]["oval"], len(flattened)))


def _with_ring(points: Points, scheme: Scheme, reach: NDArray[np.float64], rise: NDArray[np.float64]) -> Points:
    core = with_depth(points)
    oval = core[list(REGIONS[scheme]["oval"])]
    outward = oval - oval.mean(axis=0)
    # The ring lies behind the face, so that a turned cheek hides it and not the other way round.
    outward[:, 2] = np.linalg.norm(outward[:, :2], axis=1) if points.shape[1] == 3 else 0.0
    ring = oval + outward * reach[:, None]
    if rise.any():
        ring += (oval[_BROWS].mean(axis=0) - oval[_CHIN]) * rise[:, None]
    return np.concatenate([core, ring])


def _inward(layout: Points, outline: Sequence[int], count: int) -> NDArray[np.float64]:
    """Distance of each landmark from the outline, in parts of the largest; the vertices past the landmarks have 0."""
    ring = layout[list(outline)]
    edge = np.roll(ring, -1, axis=0) - ring
    away = layout[:count, None] - ring
    along = np.clip((away * edge).sum(axis=2) / np.maximum((edge**2).sum(axis=1), 1e-12), 0.0, 1.0)
    distance = np.linalg.norm(away - along[..., None] * edge, axis=2).min(axis=1)
    distance *= inside_polygon(layout[:count], ring)
    return np.concatenate([distance / max(float(distance.max()), 1e-9), np.zeros(len(layout) - count)])


def with_depth(points: Points) -> Points:
    """`(K, 3)`: points with their depth, or with depth 0."""
    return points if points.shape[1] == 3 else np.column_stack([points, np.zeros(len(points))])


def head_axes(landmarks: Landmarks) -> NDArray[np.float64]:
    """`(3, 3)` rows: the head's own x (across the eyes), y (from eyes to mouth) and z (away from the viewer).

    For points without depth the head is taken to look at the camera, and only its roll is known.

    Raises:
        ShapeError: Eyes and mouth do not span a plane.
    """
    xyz = with_depth(landmarks.points)
    outlines = REGIONS[landmarks.scheme]
    left, right, mouth = (xyz[list(outlines[name])].mean(axis=0) for name in ("left_eye", "right_eye", "lips_outer"))
    across = right - left
    width = float(np.linalg.norm(across))
    down = mouth - (left + right) / 2
    down = down - across * (float(down @ across) / max(width, 1e-9) ** 2)
    height = float(np.linalg.norm(down))
    if width < 1e-6 or height < 1e-6:
        raise ShapeError("landmarks", expected="eyes and mouth apart", actual=f"{width:g} and {height:g} px")
    x, y = across / width, down / height
    return np.stack([x, y, np.cross(x, y)])


def _turn(landmarks: Landmarks) -> float:
    """How far a head is turned from the camera: 0 is frontal."""
    if landmarks.points.shape[1] == 3:
        return -float(head_axes(landmarks)[2, 2])
    left, right, nose, *_ = landmarks.five()
    return abs(float((nose - (left + right) / 2) @ (right - left))) / float((right - left) @ (right - left))


def _flattened(landmarks: Landmarks) -> Points:
    """`(K, 2)`: turned to the front, with the eyes 1000 units apart, and unrolled.

    An azimuthal equidistant projection from a point inside the head, so that cheeks and jaw, which the camera sees
    edge on, get room of their own. Without depth it is the picture itself.
    """
    turned = with_depth(landmarks.points) @ head_axes(landmarks).T
    outlines = REGIONS[landmarks.scheme]
    left, right = (turned[list(outlines[name])].mean(axis=0) for name in ("left_eye", "right_eye"))
    unit = (turned - (left + right) / 2) / float(np.linalg.norm(right - left))
    if landmarks.points.shape[1] == 2:
        return np.asarray(unit[:, :2] * _UNITS)
    middle = unit[list(outlines["oval"])].mean(axis=0)
    across = unit[:, :2] - middle[:2]
    radius = np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    angle = np.arctan2(radius, middle[2] + _INSIDE - unit[:, 2:])
    return np.asarray(across / radius * angle * _UNITS)


def _opened(layout: Points, scheme: Scheme) -> Points:
    """A layout with the eyes and the mouth open, so that lids and lips lie in their order."""
    layout = layout.copy()
    eyes = (REGIONS[scheme]["left_eye"], REGIONS[scheme]["right_eye"])
    outer = REGIONS[scheme]["lips_outer"]
    leasts = [*((ring, _MIN_EYE) for ring in eyes), *((ring, _MIN_LID) for ring in LID_RINGS[scheme])]
    for ring, least in (*leasts, (outer, _MIN_LIPS)):
        layout[list(ring)] = _lens(layout[list(ring)], lower_first=_LOWER_FIRST[scheme], least=least)
    lips = layout[list(outer)]
    centre = (lips[0] + lips[len(lips) // 2]) / 2
    partners = lips[list(_INNER_LIP_PARTNERS[scheme])] - centre
    rings = (*_LIP_RINGS[scheme], REGIONS[scheme]["lips_inner"])
    for number, ring_points in enumerate(rings, start=1):
        inward = number / len(rings)
        layout[list(ring_points)] = centre + partners * (1 - 0.18 * inward, 1 - 0.65 * inward)
    return layout


def _lens(ring: Points, *, lower_first: bool, least: float) -> Points:
    """A ring of points from corner to corner and back, opened where it is flatter than a lens of that height."""
    half = len(ring) // 2
    first, second = ring[0], ring[half]
    middle, axis = (first + second) / 2, (second - first) / 2
    normal = np.array([-axis[1], axis[0]])
    square = max(float(axis @ axis), 1e-9)
    along, across = (ring - middle) @ axis / square, (ring - middle) @ normal / square
    sign = np.ones(len(ring))
    sign[half:] = -1
    sign *= 1 if lower_first else -1
    lens = least * np.clip(1 - along**2, 0.0, 1.0)
    across[1:half] = (sign * np.maximum(sign * across, lens))[1:half]
    across[half + 1 :] = (sign * np.maximum(sign * across, lens))[half + 1 :]
    return np.asarray(middle + along[:, None] * axis + across[:, None] * normal)


def inside_polygon(points: Points, polygon: Points) -> NDArray[np.bool_]:
    """`(P,)`: which of `(P, 2)` points lie inside a closed polygon `(M, 2)`, by the even-odd rule."""
    a, b = polygon[None], np.roll(polygon, -1, axis=0)[None]
    x, y = points[:, :1], points[:, 1:2]
    straddles = (a[..., 1] > y) != (b[..., 1] > y)
    rise = np.where(straddles, b[..., 1] - a[..., 1], 1.0)
    crossing = a[..., 0] + (y - a[..., 1]) / rise * (b[..., 0] - a[..., 0])
    return np.asarray((straddles & (x < crossing)).sum(axis=1) % 2 == 1)


def _delaunay(layout: Points) -> Triangles:
    """Delaunay triangles of points within some thousand units of the origin, all facing the camera."""
    single = layout.astype(np.float32)
    if not np.isfinite(single).all() or float(np.abs(single).max()) > 100 * _UNITS:
        raise ShapeError("landmarks", expected="those of a face", actual="points far from the eyes, or not finite")
    bound = int(np.abs(single).max()) + 10
    plane = cv2.Subdiv2D((-bound, -bound, 2 * bound, 2 * bound))
    number: dict[tuple[float, float], int] = {}
    for index, point in enumerate(single):
        key = (float(point[0]), float(point[1]))
        if key not in number:
            number[key] = index
            plane.insert(key)
    corners = np.asarray(plane.getTriangleList(), np.float32).reshape(-1, 3, 2)
    found = [tuple(number.get((float(x), float(y)), -1) for x, y in triangle) for triangle in corners]
    triangles = np.array(sorted(_facing(t, layout) for t in found if min(t) >= 0), np.int64).reshape(-1, 3)
    return triangles[doubled_areas(layout, triangles) > 0]


def _facing(triangle: Sequence[int], layout: Points) -> tuple[int, int, int]:
    """The same triangle, facing the camera, its smallest number first."""
    a, b, c = (int(i) for i in triangle)
    if _cross(layout[a], layout[b], layout[c]) < 0:
        b, c = c, b
    least = min(a, b, c)
    return (a, b, c) if a == least else (b, c, a) if b == least else (c, a, b)


def _cross(a: Points, b: Points, c: Points) -> float:
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def _constrained(triangles: Triangles, layout: Points, scheme: Scheme) -> Triangles:
    """Makes the outlines of face, eyes and mouth edges of the mesh.

    By flipping the edges that cross them: S. W. Sloan, "A fast algorithm for generating constrained Delaunay
    triangulations", Computers & Structures 47(3), 1993.
    """
    faces = [(int(a), int(b), int(c)) for a, b, c in triangles]
    for ring in (REGIONS[scheme][region] for region in _OUTLINES):
        for u, v in zip(ring, (*ring[1:], ring[0]), strict=True):
            faces = _recovered(faces, layout, u, v)
    return np.array(sorted(faces), np.int64)


def _recovered(faces: list[tuple[int, int, int]], layout: Points, u: int, v: int) -> list[tuple[int, int, int]]:
    for _ in range(100):
        owners: dict[tuple[int, int], int] = {}
        for index, (a, b, c) in enumerate(faces):
            owners |= {(a, b): index, (b, c): index, (c, a): index}
        if (u, v) in owners or (v, u) in owners:
            return faces
        crossing = [edge for edge in owners if edge[0] < edge[1] and _segments_cross(layout, edge, (u, v))]
        for a, b in crossing:
            one, two = faces[owners[a, b]], faces[owners[b, a]]
            c, d = (next(i for i in face if i not in {a, b}) for face in (one, two))
            if _segments_cross(layout, (a, b), (c, d)):
                faces[owners[a, b]] = _facing((a, d, c), layout)
                faces[owners[b, a]] = _facing((b, c, d), layout)
                break
        else:
            break
    raise ShapeError("landmarks", expected="those of a face", actual=f"eyes or lips that overlap at {u}-{v}")


def _segments_cross(layout: Points, one: tuple[int, int], two: tuple[int, int]) -> bool:
    """Whether two segments cross in their insides."""
    if set(one) & set(two):
        return False
    a, b, c, d = (layout[i] for i in (*one, *two))
    return _cross(a, b, c) * _cross(a, b, d) < 0 and _cross(c, d, a) * _cross(c, d, b) < 0
