"""`portrait`: puts in a face from one or several stills, warped to the plate's landmarks; nothing is trained."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from vfxswap.errors import UsageError
from vfxswap.frame import FaceBatch
from vfxswap.geometry import REGIONS, Affine, Box, Landmarks, Points, Region, mapped, scale_of, umeyama
from vfxswap.identity import Identity, Portrait
from vfxswap.ops import meshmap
from vfxswap.ops.mesh import SKIN, FaceMesh, face_mesh, with_depth
from vfxswap.ops.raster import SUBPIXELS, Covered, covered, evaluated, rasterise, soft_polygon
from vfxswap.ops.relight import relit
from vfxswap.ops.texture import LEVELS_PER_OCTAVE, Texture, sampled, texture
from vfxswap.stage import Setting, Swapped, Swapper, SwapperOptions

Supply = Literal["auto", "plate", "still"]

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
_LIGHT_SIGMA = 0.25
_BORDER = 0.1
_FEATHER = 0.05
"""In parts of the distance of the eyes: blur of the light, fade at a still's border, edge of eyes and mouth."""


class PortraitOptions(SwapperOptions):
    """Settings of `portrait`."""

    relight: float = Field(0.9, ge=0, le=1, description="How much of the plate's soft light the still takes on.")
    relight_color: float = Field(
        0.9, ge=0, le=1, description="How much of that light's colour: a warm lamp on one cheek, sky on the other."
    )
    eyes: Supply = Field(
        "auto",
        description="Eyes between the lids: the plate's, the still's, or the still's where they are open enough.",
    )
    mouth: Supply = Field(
        "auto",
        description="The mouth between the lips: the plate's, the still's, or the still's where it is open enough.",
    )
    margin: float = Field(
        0.1, ge=0, le=0.5, description="How far the still is shown beyond the face's outline, in parts of its radius."
    )
    still_mix: float = Field(
        0.03,
        ge=0.001,
        le=0.5,
        description="Stills that fit the plate almost as well as the best are mixed in, if their landmarks are farther "
        "off by no more than this part of the distance of the eyes.",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Still:
    """A portrait, ready to be sampled."""

    portrait: Portrait
    vertices: Points
    texture: Texture
    eye_distance_px: float


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """An identity's stills and the mesh that they share."""

    identity: Identity
    mesh: FaceMesh
    triangles: Tensor
    stills: tuple[_Still, ...]


class PortraitSwapper(Swapper[PortraitOptions]):
    """Warps the stills that fit best to the plate's landmarks."""

    Options = PortraitOptions

    def __init__(self, options: PortraitOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        self._lock = threading.Lock()
        self._prepared: dict[tuple[str, int], _Prepared] = {}

    @classmethod
    def wants_stills(cls) -> bool:
        """True: the host looks for the face in each still."""
        return True

    def close(self) -> None:
        """Lets go of the stills."""
        self._prepared.clear()

    @torch.inference_mode()
    def swap(self, faces: FaceBatch, identity: Identity) -> Swapped:
        """Puts the identity's stills over N faces, each for itself, so that batches do not matter.

        Raises:
            UsageError: The identity has no stills with a face, or stills and plate have other landmarks.
        """
        prepared = self._ready(identity, faces.crops)
        if not len(faces):
            return Swapped(faces.crops, faces.crops[:, :1])
        results = [
            self._put_in(plate, landmarks, scale_of(plate_to_crop), prepared)
            for plate, landmarks, plate_to_crop in zip(faces.crops, faces.landmarks, faces.plate_to_crop, strict=True)
        ]
        return Swapped(torch.stack([crop for crop, _ in results]), torch.stack([matte for _, matte in results]))

    def _ready(self, identity: Identity, crops: Tensor) -> _Prepared:
        key = (identity.name, int(crops.shape[-1]))
        with self._lock:
            known = self._prepared.get(key)
            if known is None or known.identity is not identity:
                known = _prepare(identity, margin=self.options.margin, size_px=key[1], device=crops.device)
                self._prepared[key] = known
            return known

    def _put_in(self, plate: Tensor, landmarks: Landmarks, zoom: float, prepared: _Prepared) -> tuple[Tensor, Tensor]:
        mesh = prepared.mesh
        if landmarks.scheme != mesh.scheme:
            raise UsageError(
                f"the plate's landmarks are {landmarks.scheme}, the stills' of {prepared.identity.name!r} are "
                f"{mesh.scheme}; one aligner must serve both"
            )
        vertices = mesh.vertices(landmarks.points)
        vertices[:, :2] = np.round(vertices[:, :2] * SUBPIXELS) / SUBPIXELS
        shown = rasterise(_on(vertices, plate), prepared.triangles, size_px=int(plate.shape[-1]))
        centroids = vertices[mesh.triangles, :2].mean(axis=1)
        where = covered(shown, _on(centroids, plate))
        weights = still_weights([_misfit(landmarks, still) for still in prepared.stills], mix=self.options.still_mix)
        colour, alpha, supply = _mixed(vertices, landmarks, prepared, weights, where, zoom)
        warped = plate.reshape(3, -1).clone()
        warped[:, where.pixel] = colour
        matte = torch.zeros_like(plate[:1]).reshape(1, -1)
        matte[0, where.pixel] = alpha
        matte = self._opened(matte.view_as(plate[:1]) * _silhouette(shown), landmarks, supply)
        sigma_px = _LIGHT_SIGMA * _eye_distance(landmarks)
        lit = relit(
            warped.view_as(plate),
            plate,
            matte,
            sigma_px=sigma_px,
            amount=self.options.relight,
            color=self.options.relight_color,
        )
        return torch.where(shown >= 0, lit, plate), matte

    def _opened(self, matte: Tensor, landmarks: Landmarks, supply: dict[Region, float]) -> Tensor:
        """A matte with holes where eyes and mouth are the plate's."""
        for region, available in supply.items():
            asked = self.options.mouth if region == "lips_inner" else self.options.eyes
            share = {"auto": available, "plate": 0.0, "still": 1.0}[asked]
            if share < 1:
                feather_px = max(1.0, _FEATHER * _eye_distance(landmarks))
                hole = soft_polygon(
                    _on(landmarks.region(region), matte), size_px=int(matte.shape[-1]), feather_px=feather_px
                )
                matte = matte * (1 - hole * (1 - share))
        return matte


def _silhouette(shown: Tensor) -> Tensor:
    """`(1, S, S)`: 1 where the mesh shows, with an edge of two pixels where it ends; edges of triangles are hard."""
    cover = (shown >= 0).float()[None]
    return (2 * functional.avg_pool2d(cover, 5, stride=1, padding=2, count_include_pad=False) - 1).clamp_min(0) * cover


def _on(values: NDArray[np.float64], like: Tensor) -> Tensor:
    return torch.from_numpy(values).to(device=like.device, dtype=torch.float32)


def _prepare(identity: Identity, *, margin: float, size_px: int, device: torch.device) -> _Prepared:
    if not identity.portraits:
        raise UsageError(
            f"identity {identity.name!r} has no still in which a face was found; put still*.jpg, .png, .tif or .exr "
            f"with one face each into {identity.folder}"
        )
    mesh = face_mesh([portrait.landmarks for portrait in identity.portraits], margin=margin)
    stills = tuple(_still(portrait, mesh, size_px, device) for portrait in identity.portraits)
    return _Prepared(identity, mesh, torch.from_numpy(mesh.triangles).to(device), stills)


def _still(portrait: Portrait, mesh: FaceMesh, size_px: int, device: torch.device) -> _Still:
    vertices = mesh.vertices(portrait.landmarks.points)
    box = Box.around(vertices).grown(8)
    # A face fills at most about the crop's width: twice its pixels are enough, and needed where a still is enlarged.
    # In steps of the levels, so that the still's own pixels are one of them.
    wanted = 2.0 * size_px / max(box.width, box.height, 1)
    finest = 2.0 ** (math.ceil(LEVELS_PER_OCTAVE * math.log2(wanted)) / LEVELS_PER_OCTAVE)
    return _Still(
        portrait,
        vertices,
        texture(portrait.image.to(device), box, finest=finest),
        _eye_distance(portrait.landmarks),
    )


def _eye_distance(landmarks: Landmarks) -> float:
    """Pixels between the eyes' centres, in depth too where it is known, so that a turned head keeps its size."""
    points = with_depth(landmarks.points)
    outlines = REGIONS[landmarks.scheme]
    left, right = (points[list(outlines[eye])].mean(axis=0) for eye in ("left_eye", "right_eye"))
    return max(float(np.linalg.norm(right - left)), 1e-6)


def _misfit(landmarks: Landmarks, still: _Still) -> float:
    """How far a still's landmarks are from the plate's: root mean square after the best similarity, in eye distances.

    Grows with a difference of pose and of expression alike; it is what the warp has to bridge.
    """
    theirs = still.portrait.landmarks.points[:, :2]
    ours = landmarks.points[:, :2]
    fitted: Affine = umeyama(theirs, ours)
    return float(np.sqrt(np.square(mapped(fitted, theirs) - ours).sum(axis=1).mean())) / _eye_distance(landmarks)


def still_weights(misfits: list[float], *, mix: float) -> tuple[float, ...]:
    """Shares of the stills, sum 1: a continuous function of their misfits, 0 for those worse than the best by `mix`."""
    best = min(misfits)
    raw = [max(0.0, 1 - (misfit - best) / mix) ** 2 for misfit in misfits]
    return tuple(weight / sum(raw) for weight in raw)


def _mixed(
    vertices: Points,
    landmarks: Landmarks,
    prepared: _Prepared,
    weights: tuple[float, ...],
    where: Covered,
    zoom: float,
) -> tuple[Tensor, Tensor, dict[Region, float]]:
    """Colours `(3, P)`, matte `(P,)` and how far eyes and mouth are supplied, of the stills by their weights."""
    colour = torch.zeros((3, len(where.pixel)), device=where.x.device)
    total = torch.zeros_like(where.x)
    supply: dict[Region, float] = {"left_eye": 0.0, "right_eye": 0.0, "lips_inner": 0.0}
    facing = _facing(vertices, prepared.mesh)
    for still, weight in zip(prepared.stills, weights, strict=True):
        if weight > 0:
            picture, alpha = _warped(vertices, still, prepared.mesh, facing, where, zoom)
            # A little of even a fading still keeps colours defined where all fade.
            share = weight * (alpha + 1e-3)
            colour += picture * share
            total += share
            for region in supply:
                supply[region] += weight * _supplied(landmarks, still.portrait.landmarks, region)
    return colour / total, (total - 1e-3).clamp(0, 1), supply


def _warped(
    vertices: Points, still: _Still, mesh: FaceMesh, facing: NDArray[np.float64], where: Covered, zoom: float
) -> tuple[Tensor, Tensor]:
    """A still's colours `(3, P)` and matte `(P,)` at the covered pixels."""
    skin = mesh.triangles[mesh.parts == SKIN]
    scale = meshmap.scale_between(vertices, still.vertices, skin)
    jacobians = meshmap.vertex_jacobians(vertices, still.vertices, skin)
    factors = meshmap.smooth_map(vertices, still.vertices, mesh.triangles, jacobians)
    at = evaluated(_on(factors, where.x), where)
    picture = sampled(still.texture, at, step_px=scale * max(1.0, zoom))
    fade = _visible(jacobians / scale, mesh) * facing
    fade[mesh.landmark_count :] = 0
    field = meshmap.linear_field(vertices, fade, mesh.triangles)
    alpha = evaluated(_on(field[:, None], where.x), where)[0].clamp(0, 1)
    return picture, alpha * _inside(at, still)


def _visible(jacobians: NDArray[np.float64], mesh: FaceMesh) -> NDArray[np.float64]:
    """`(V,)` 0..1: less where a still's skin is seen so much more obliquely than the plate's that it is stretched.

    Lids and lips take it from their neighbours: they are stretched by expression, and have a measure of their own.
    """
    smaller = np.linalg.svd(jacobians, compute_uv=False)[:, 1] * np.sign(np.linalg.det(jacobians))
    trusted = np.ones(len(smaller))
    for region in _LOOSE:
        trusted[list(REGIONS[mesh.scheme][region])] = 0
    spread = meshmap.smoothed(smaller, trusted, mesh.triangles, rounds=6)
    return _kept_inside(spread, _STRETCH, mesh)


def _facing(vertices: Points, mesh: FaceMesh) -> NDArray[np.float64]:
    """`(V,)` 0..1: less where the plate's skin turns away from the camera."""
    cosines = meshmap.facing_cosines(vertices, mesh.triangles)
    return _kept_inside(meshmap.smoothed(cosines, np.ones(len(cosines)), mesh.triangles, rounds=2), _GRAZING, mesh)


def _kept_inside(values: NDArray[np.float64], band: tuple[float, float], mesh: FaceMesh) -> NDArray[np.float64]:
    """A fade over a band of values; the middle of the face stays: a hole beside the nose is worse than a smear."""
    return np.maximum(_smoothstep(values, *band), _smoothstep(mesh.inward, *_MIDDLE))


def _inside(at: Tensor, still: _Still) -> Tensor:
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
    return float(_smoothstep(np.array([ratio]), *band)[0])


def _opening(landmarks: Landmarks, region: Region) -> tuple[float, float]:
    """Mean gap of lids or lips, and their width, in parts of the distance of the eyes."""
    ring = landmarks.region(region)
    after = np.roll(ring, -1, axis=0)
    area = abs(float((ring[:, 0] * after[:, 1] - ring[:, 1] * after[:, 0]).sum())) / 2
    width = max(math.dist(ring[0], ring[len(ring) // 2]), 1e-6)
    left, right = landmarks.five()[:2]
    return area / width / _eye_distance(landmarks), width / max(math.dist(left, right), 1e-6)


def _smoothstep(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))
