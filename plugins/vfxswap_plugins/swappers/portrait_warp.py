"""Stills warped to a plate's face: colours, what can be seen of them, light and gaze."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.geometry import REGIONS, Landmarks, Points, Region
from vfxswap.ops import meshmap
from vfxswap.ops.gaze import EYES, Gaze, eye_frame, turned
from vfxswap.ops.mesh import SKIN, FaceMesh
from vfxswap.ops.raster import Covered, evaluated
from vfxswap.ops.texture import sampled
from vfxswap_plugins.swappers.portrait_stills import Prepared, Still, eye_distance

Floats = NDArray[np.float64]

_STRETCH = (0.25, 0.55)
"""Widths of the still's skin, in parts of the plate's, between which it fades in: narrower, it would be streaks."""
_MIDDLE = (0.5, 0.8)
"""Depths inside the mesh between which the still is kept, however stretched or grazing it is."""
_LOOSE: tuple[Region, ...] = ("left_eye", "right_eye", "lips_inner", "lips_outer")
_GRAZING = (-0.1, 0.15)
"""Cosines to the camera between which skin of the plate fades in."""
_SUPPLIED = (0.4, 0.8)
_AS_WIDE = (0.65, 0.85)
"""Ratios of the gaps (and of the mouth's widths) of still and plate between which the still begins to serve."""
_BORDER = 0.1
"""In parts of the distance of the eyes: fade at a still's border."""
_FINER = 0.7
"""Of a plate's pixel: how far stills are blurred before the crop goes onto it, which averages over the rest."""
_BRIGHTEST = 1.2
"""The gain of the light stays within exp(+-1.2): 0.3 to 3.3."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where stills go: a face in a crop."""

    landmarks: Landmarks
    """In crop pixels, with the proportions that are wanted."""
    vertices: Points
    """`(V, 3)` of the mesh."""
    where: Covered
    """The crop's pixels that it covers."""
    size_px: int
    """Side of the crop."""
    zoom: float
    """Crop pixels for one of the plate."""
    light: Floats
    """`(V, 4)` of `shown_light`: the plate's."""
    gaze: Gaze | None
    """Where the plate looks; None leaves the still's eyes as they are."""
    relight: float
    """How much of the light is taken, 0..1."""
    relight_color: float
    """How much of its colour, 0..1."""


def mixed(place: Place, prepared: Prepared, weights: Sequence[float]) -> tuple[Tensor, Tensor, dict[Region, float]]:
    """Colours `(3, P)`, matte `(P,)` and how far eyes and mouth are supplied, of the stills by their weights."""
    x = place.where.x
    colour = torch.zeros((3, len(place.where.pixel)), device=x.device)
    total = torch.zeros_like(x)
    supply: dict[Region, float] = {"left_eye": 0.0, "right_eye": 0.0, "lips_inner": 0.0}
    facing = _facing(place.vertices, prepared.mesh)
    for still, weight in zip(prepared.stills, weights, strict=True):
        if weight > 0:
            picture, alpha = _warped(place, still, prepared.mesh, facing)
            # A little of even a fading still keeps colours defined where all fade.
            share = weight * (alpha + 1e-3)
            colour += picture * share
            total += share
            for region in supply:
                supply[region] += weight * _supplied(place.landmarks, still.portrait.landmarks, region)
    return colour / total, (total - 1e-3).clamp(0, 1), supply


def on(values: Floats, like: Tensor) -> Tensor:
    """Numbers as a float32 tensor beside another."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(device=like.device, dtype=torch.float32)


def smoothstep(values: Floats, low: float, high: float) -> Floats:
    """0 up to `low`, 1 from `high` on, smooth between."""
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))


def _warped(place: Place, still: Still, mesh: FaceMesh, facing: Floats) -> tuple[Tensor, Tensor]:
    """A still's colours `(3, P)` in the plate's light, and matte `(P,)`, at the covered pixels."""
    vertices, where = place.vertices, place.where
    skin = mesh.triangles[mesh.parts == SKIN]
    scale = meshmap.scale_between(vertices, still.vertices, skin)
    jacobians = meshmap.vertex_jacobians(vertices, still.vertices, skin)
    factors = meshmap.smooth_map(vertices, still.vertices, mesh.triangles, jacobians)
    at = _looking(place, still, evaluated(on(factors, where.x), where))
    picture = sampled(still.texture, at, step_px=scale * max(1.0, _FINER * place.zoom))
    fade = _visible(jacobians / scale, mesh) * facing
    fade[mesh.landmark_count :] = 0
    field = meshmap.linear_field(vertices, fade, mesh.triangles)
    alpha = evaluated(on(field[:, None], where.x), where)[0].clamp(0, 1)
    return picture * _gain(place, still, mesh), alpha * _inside(at, still)


def _gain(place: Place, still: Still, mesh: FaceMesh) -> Tensor:
    """`(3, P)` from the light on a still to the plate's."""
    change = place.light - still.light
    change = change[:, 3:] + (change[:, :3] - change[:, 3:]) * place.relight_color
    change = np.tanh(change / _BRIGHTEST) * _BRIGHTEST * place.relight
    fields = [meshmap.linear_field(place.vertices, channel, mesh.triangles) for channel in change.T]
    return evaluated(on(np.stack(fields, axis=1), place.where.x), place.where).exp()


def _looking(place: Place, still: Still, at: Tensor) -> Tensor:
    """`(2, P)` places in a still, moved between the lids, so that its eyes look where the plate's do."""
    if place.gaze is None:
        return at
    offset = turned(place.gaze, still.gaze)
    x = place.where.pixel % place.size_px + 0.5
    y = torch.div(place.where.pixel, place.size_px, rounding_mode="floor") + 0.5
    for eye in EYES:
        here, there = (eye_frame(points.region(eye)) for points in (place.landmarks, still.portrait.landmarks))
        moved = on(there.vector(offset)[:, None], at)
        at = at - moved * here.inside(x, y)
    return at


def _visible(jacobians: Floats, mesh: FaceMesh) -> Floats:
    """`(V,)` 0..1: less where a still's skin is seen so much more obliquely than the plate's that it is stretched.

    Lids and lips take it from their neighbours: they are stretched by expression, and have a measure of their own.
    """
    smaller = np.linalg.svd(jacobians, compute_uv=False)[:, 1] * np.sign(np.linalg.det(jacobians))
    trusted = np.ones(len(smaller))
    for region in _LOOSE:
        trusted[list(REGIONS[mesh.scheme][region])] = 0
    spread = meshmap.smoothed(smaller, trusted, mesh.triangles, rounds=6)
    return _kept_inside(spread, _STRETCH, mesh)


def _facing(vertices: Points, mesh: FaceMesh) -> Floats:
    """`(V,)` 0..1: less where the plate's skin turns away from the camera."""
    cosines = meshmap.facing_cosines(vertices, mesh.triangles)
    return _kept_inside(meshmap.smoothed(cosines, np.ones(len(cosines)), mesh.triangles, rounds=2), _GRAZING, mesh)


def _kept_inside(values: Floats, band: tuple[float, float], mesh: FaceMesh) -> Floats:
    """A fade over a band of values; the middle of the face stays: a hole beside the nose is worse than a smear."""
    return np.maximum(smoothstep(values, *band), smoothstep(mesh.inward, *_MIDDLE))


def _inside(at: Tensor, still: Still) -> Tensor:
    """`(P,)` 1 inside the still, falling to 0 at its border."""
    height, width = still.portrait.image.shape[1:]
    nearest = torch.minimum(torch.minimum(at[0], width - at[0]), torch.minimum(at[1], height - at[1]))
    return (nearest / (_BORDER * still.eye_distance_px)).clamp(0, 1)


def _supplied(plate: Landmarks, still: Landmarks, region: Region) -> float:
    """0..1: whether a still's eye or mouth is shaped enough like the plate's to take its place.

    Both ways: lids or lips that are closed cannot fill a gap, and what lies between open ones would be squeezed.
    """
    (gap, width), (wanted_gap, wanted_width) = _opening(still, region), _opening(plate, region)
    tiny = 0.01
    like = _similar(gap + tiny, wanted_gap + tiny, _SUPPLIED)
    return like * _similar(width, wanted_width, _AS_WIDE) if region == "lips_inner" else like


def _similar(one: float, other: float, band: tuple[float, float]) -> float:
    ratio = min(one, other) / max(one, other, 1e-9)
    return float(smoothstep(np.array([ratio]), *band)[0])


def _opening(landmarks: Landmarks, region: Region) -> tuple[float, float]:
    """Mean gap of lids or lips, and their width, in parts of the distance of the eyes."""
    ring = landmarks.region(region)
    after = np.roll(ring, -1, axis=0)
    area = abs(float((ring[:, 0] * after[:, 1] - ring[:, 1] * after[:, 0]).sum())) / 2
    width = max(math.dist(ring[0], ring[len(ring) // 2]), 1e-6)
    left, right = landmarks.five()[:2]
    return area / width / eye_distance(landmarks), width / max(math.dist(left, right), 1e-6)
