"""`portrait`: puts in a face from one or several stills, warped to the plate's landmarks; nothing is trained."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from vfxswap.errors import UsageError
from vfxswap.frame import FaceBatch, Frame
from vfxswap.geometry import Landmarks, Points, Region, scale_of
from vfxswap.identity import Identity
from vfxswap.ops import meshmap
from vfxswap.ops.gaze import gaze
from vfxswap.ops.openings import skin_mask
from vfxswap.ops.proportions import RestShape, reshaped, rest_shape
from vfxswap.ops.raster import SUBPIXELS, covered, evaluated, rasterise, soft_polygon
from vfxswap.ops.relight import relit
from vfxswap.stage import Setting, Swapped, Swapper, SwapperOptions
from vfxswap_plugins.swappers.portrait_stills import (
    Prepared,
    eye_distance,
    misfit,
    prepare,
    shown_light,
    still_weights,
)
from vfxswap_plugins.swappers.portrait_warp import Place, mixed, on, smoothstep

Supply = Literal["auto", "plate", "still"]

_LIGHT_SIGMA = 0.25
_FEATHER = 0.05
"""In parts of the distance of the eyes: blur of the light, edge of eyes and mouth."""
_REST = 0.5
"""How much of the light that no distant lamp explains (shadows, mostly, and spots that are no light) is taken on."""
_SHAPE_FADE = 0.4
"""Depth inside the mesh at which the identity's proportions are reached; they fade in from the outline."""


class PortraitOptions(SwapperOptions):
    """Settings of `portrait`."""

    relight: float = Field(1.0, ge=0, le=1, description="How much of the plate's soft light the still takes on.")
    relight_color: float = Field(
        0.9, ge=0, le=1, description="How much of that light's colour: a warm lamp on one cheek, sky on the other."
    )
    gaze: bool = Field(
        True, description="Whether the still's eyes are made to look where the plate's look, as its irises show."
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
    shape: float = Field(
        1.0,
        ge=0,
        le=1,
        description="How far the face takes on the identity's own proportions: 0 lays the still onto the plate's "
        "features, 1 moves brows, eyes, nose and mouth to where the identity has them, as far as its stills tell: what "
        "one still shows may be its pose or expression, so more of it is believed the more stills there are, from the "
        "front and at rest above all. The face's outline stays the plate's. Wants landmarks with depth (`mesh468`).",
    )
    shape_frames: int = Field(
        15,
        ge=1,
        le=99,
        description="Frames looked at, spread over the shot, to learn the proportions of the face in the plate.",
    )


class PortraitSwapper(Swapper[PortraitOptions]):
    """Warps the stills that fit best to the plate's landmarks."""

    Options = PortraitOptions
    light_beyond = "larger"

    def __init__(self, options: PortraitOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        self._lock = threading.Lock()
        self._prepared: dict[tuple[str, int], Prepared] = {}
        self._own: RestShape | None = None

    @classmethod
    def wants_stills(cls) -> bool:
        """True: the host looks for the face in each still."""
        return True

    def survey_frames(self, first: int, last: int) -> Sequence[int]:
        """Frames spread evenly over the plate, for `shape`."""
        if self.options.shape == 0:
            return ()
        count = last - first + 1
        steps = min(self.options.shape_frames, count)
        return sorted({first + (2 * i + 1) * count // (2 * steps) for i in range(steps)})

    def survey(self, frames: Sequence[Frame]) -> None:
        """Learns how the face in the plate is built."""
        faces = [face for frame in frames for face in frame.faces if face.identity == self.options.identity]
        self._own = rest_shape([face.landmarks for face in faces if face.landmarks is not None])
        self._prepared.clear()

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

    def _ready(self, identity: Identity, crops: Tensor) -> Prepared:
        key = (identity.name, int(crops.shape[-1]))
        with self._lock:
            known = self._prepared.get(key)
            if known is None or known.identity is not identity:
                margin, own = self.options.margin, self._own
                known = prepare(identity, own, margin=margin, size_px=key[1], device=crops.device)
                self._prepared[key] = known
            return known

    def _put_in(self, plate: Tensor, landmarks: Landmarks, zoom: float, prepared: Prepared) -> tuple[Tensor, Tensor]:
        mesh = prepared.mesh
        if landmarks.scheme != mesh.scheme:
            raise UsageError(
                f"the plate's landmarks are {landmarks.scheme}, the stills' of {prepared.identity.name!r} are "
                f"{mesh.scheme}; one aligner must serve both"
            )
        wanted = self._reshaped(landmarks, prepared)
        vertices = mesh.vertices(wanted.points)
        vertices[:, :2] = np.round(vertices[:, :2] * SUBPIXELS) / SUBPIXELS
        shown = rasterise(on(vertices, plate), prepared.triangles, size_px=int(plate.shape[-1]))
        place = Place(
            wanted,
            vertices,
            covered(shown, on(vertices[mesh.triangles, :2].mean(axis=1), plate)),
            int(plate.shape[-1]),
            zoom,
            light=shown_light(plate, landmarks, mesh, vertices),
            gaze=gaze(plate, landmarks) if self.options.gaze else None,
            relight=self.options.relight,
            relight_color=self.options.relight_color,
        )
        weights = still_weights([misfit(wanted, still) for still in prepared.stills], mix=self.options.still_mix)
        colour, alpha, supply = mixed(place, prepared, weights)
        holes = self._holes(plate, wanted, supply)
        if wanted is not landmarks:
            own = _moved(plate, place, mesh.vertices(landmarks.points), mesh.triangles)
            colour = torch.lerp(colour, own, holes.reshape(-1)[place.where.pixel])
            holes = torch.zeros_like(holes)
        warped = plate.reshape(3, -1).clone()
        warped[:, place.where.pixel] = colour
        matte = torch.zeros_like(plate[:1]).reshape(1, -1)
        matte[0, place.where.pixel] = alpha
        matte = matte.view_as(plate[:1]) * _silhouette(shown) * (1 - holes)
        skin = matte * skin_mask(landmarks, plate) * skin_mask(wanted, plate)
        lit = self._lit(warped.view_as(plate), plate, skin, eye_distance(landmarks))
        return torch.where(shown >= 0, lit, plate), matte

    def _reshaped(self, landmarks: Landmarks, prepared: Prepared) -> Landmarks:
        """Landmarks with the identity's proportions; the same object if they stay."""
        own, change = self._own, prepared.change
        if self.options.shape == 0 or own is None or change is None or landmarks.points.shape[1] != 3:
            return landmarks
        share = self.options.shape * smoothstep(prepared.mesh.inward[: len(own.points)], 0.0, _SHAPE_FADE)
        return reshaped(landmarks, own, change, share)

    def _holes(self, plate: Tensor, landmarks: Landmarks, supply: dict[Region, float]) -> Tensor:
        """`(S, S)` 0..1: how far eyes and mouth are the plate's."""
        holes = torch.zeros_like(plate[0])
        feather_px = max(1.0, _FEATHER * eye_distance(landmarks))
        for region, available in supply.items():
            asked = self.options.mouth if region == "lips_inner" else self.options.eyes
            share = {"auto": available, "plate": 0.0, "still": 1.0}[asked]
            if share < 1:
                outline = on(landmarks.region(region), plate)
                hole = soft_polygon(outline, size_px=int(plate.shape[-1]), feather_px=feather_px)
                holes = 1 - (1 - holes) * (1 - hole * (1 - share))
        return holes

    def _lit(self, warped: Tensor, plate: Tensor, skin: Tensor, eyes_px: float) -> Tensor:
        """The warped face with what is left of the plate's light."""
        options = self.options
        sigma_px = _LIGHT_SIGMA * eyes_px
        amount = _REST * options.relight
        return relit(warped, plate, skin, sigma_px=sigma_px, amount=amount, color=options.relight_color)


def _moved(plate: Tensor, place: Place, vertices: Points, triangles: meshmap.Triangles) -> Tensor:
    """`(3, P)` the plate's own face, moved from its vertices to the wanted ones."""
    fields = [meshmap.linear_field(place.vertices, vertices[:, axis], triangles) for axis in (0, 1)]
    at = evaluated(on(np.stack(fields, axis=1), place.where.x), place.where)
    grid = (at * (2 / place.size_px) - 1).T[None, None]
    found = functional.grid_sample(plate[None], grid, mode="bicubic", padding_mode="border", align_corners=False)
    return found[0, :, 0]


def _silhouette(shown: Tensor) -> Tensor:
    """`(1, S, S)`: 1 where the mesh shows, with an edge of two pixels where it ends; edges of triangles are hard."""
    cover = (shown >= 0).float()[None]
    return (2 * functional.avg_pool2d(cover, 5, stride=1, padding=2, count_include_pad=False) - 1).clamp_min(0) * cover
