"""The stills that a portrait is made of: seen once, then sampled for each frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vfxswap.errors import UsageError
from vfxswap.geometry import REGIONS, Affine, Box, Landmarks, Points, Region, mapped, umeyama
from vfxswap.identity import Identity, Portrait
from vfxswap.ops.gaze import Gaze, gaze
from vfxswap.ops.mesh import FaceMesh, face_mesh, with_depth
from vfxswap.ops.proportions import RestShape, offsets, rest_shape
from vfxswap.ops.shading import fitted_light, harmonics, shown_at, vertex_normals
from vfxswap.ops.texture import LEVELS_PER_OCTAVE, Texture, texture

Floats = NDArray[np.float64]

_FEATURES: tuple[Region, ...] = ("left_eye", "right_eye", "left_brow", "right_brow", "lips_outer", "lips_inner")
_SEEN = 0.5
"""Cosine to the camera from which on a vertex counts wholly for the light."""
_LIGHT_CELL = 0.08
"""In parts of the distance of the eyes: side of what a vertex's colour is the mean of."""


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """A portrait, ready to be sampled."""

    portrait: Portrait
    vertices: Points
    texture: Texture
    eye_distance_px: float
    light: Floats
    """`(V, 4)` of `shown_light`."""
    gaze: Gaze


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An identity's stills and the mesh that they share."""

    identity: Identity
    mesh: FaceMesh
    triangles: torch.Tensor
    stills: tuple[Still, ...]
    change: Points | None
    """From the face in the plate at rest to this one; None where the points of either have no depth."""


def prepare(
    identity: Identity, own: RestShape | None, *, margin: float, size_px: int, device: torch.device
) -> Prepared:
    """Makes an identity's stills ready.

    Args:
        identity: Who.
        own: The face in the plate at rest.
        margin: Of `face_mesh`.
        size_px: Side of the crops.
        device: Where the stills are kept.

    Raises:
        UsageError: There is no still with a face.
    """
    if not identity.portraits:
        raise UsageError(
            f"identity {identity.name!r} has no still in which a face was found; put still*.jpg, .png, .tif or .exr "
            f"with one face each into {identity.folder}"
        )
    points = [portrait.landmarks for portrait in identity.portraits]
    mesh = face_mesh(points, margin=margin)
    stills = tuple(_still(portrait, mesh, size_px, device) for portrait in identity.portraits)
    rest = None if own is None else rest_shape(points)
    change = None if own is None or rest is None else offsets(rest, own, mesh.scheme)
    return Prepared(identity, mesh, torch.from_numpy(mesh.triangles).to(device), stills, change)


def _still(portrait: Portrait, mesh: FaceMesh, size_px: int, device: torch.device) -> Still:
    vertices = mesh.vertices(portrait.landmarks.points)
    box = Box.around(vertices).grown(8)
    # A face fills at most about the crop's width: twice its pixels are enough, and needed where a still is enlarged.
    # In steps of the levels, so that the still's own pixels are one of them.
    wanted = 2.0 * size_px / max(box.width, box.height, 1)
    finest = 2.0 ** (math.ceil(LEVELS_PER_OCTAVE * math.log2(wanted)) / LEVELS_PER_OCTAVE)
    image = portrait.image.to(device)
    return Still(
        portrait,
        vertices,
        texture(image, box, finest=finest),
        eye_distance(portrait.landmarks),
        shown_light(image, portrait.landmarks, mesh, vertices),
        gaze(portrait.image, portrait.landmarks),
    )


def shown_light(image: torch.Tensor, landmarks: Landmarks, mesh: FaceMesh, looking: Points) -> Floats:
    """The light of a picture on a face.

    Args:
        image: `(3, H, W)` with the face at `landmarks`.
        landmarks: In its pixels.
        mesh: Over their numbering.
        looking: `(V, 3)` vertices that are lit: the face's own, or others in the same place.

    Returns:
        `(V, 4)` logarithms for R'G'B' and luma, less their means over skin.
    """
    own = mesh.vertices(landmarks.points)
    normals = vertex_normals(own, mesh.triangles)
    colours, inside = shown_at(image, own, cell_px=_LIGHT_CELL * eye_distance(landmarks))
    skin = np.clip(normals[:, 2] / _SEEN, 0, 1) * inside
    skin[mesh.landmark_count :] = 0
    skin[[index for region in _FEATURES for index in REGIONS[mesh.scheme][region]]] = 0
    light = harmonics(vertex_normals(looking, mesh.triangles)) @ fitted_light(colours, normals, skin)
    return np.asarray(light - (skin @ light) / max(float(skin.sum()), 1e-9))


def eye_distance(landmarks: Landmarks) -> float:
    """Pixels between the eyes' centres, in depth too where it is known, so that a turned head keeps its size."""
    points = with_depth(landmarks.points)
    outlines = REGIONS[landmarks.scheme]
    left, right = (points[list(outlines[eye])].mean(axis=0) for eye in ("left_eye", "right_eye"))
    return max(float(np.linalg.norm(right - left)), 1e-6)


def misfit(landmarks: Landmarks, still: Still) -> float:
    """How far a still's landmarks are from the plate's: root mean square after the best similarity, in eye distances.

    Grows with a difference of pose and of expression alike; it is what the warp has to bridge.
    """
    theirs = still.portrait.landmarks.points[:, :2]
    ours = landmarks.points[:, :2]
    fitted: Affine = umeyama(theirs, ours)
    return float(np.sqrt(np.square(mapped(fitted, theirs) - ours).sum(axis=1).mean())) / eye_distance(landmarks)


def still_weights(misfits: list[float], *, mix: float) -> tuple[float, ...]:
    """Shares of the stills, sum 1: a continuous function of their misfits, 0 for those worse than the best by `mix`."""
    best = min(misfits)
    raw = [max(0.0, 1 - (misfit - best) / mix) ** 2 for misfit in misfits]
    return tuple(weight / sum(raw) for weight in raw)
