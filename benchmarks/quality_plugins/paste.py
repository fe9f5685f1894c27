"""The plainest swap there is, to be beaten: the best still, turned and scaled onto the plate's five points."""

from __future__ import annotations

import numpy as np
import torch

from vfxswap.frame import FaceBatch
from vfxswap.geometry import Box, Landmarks, mapped, umeyama
from vfxswap.hookspecs import StageOffer, hookimpl
from vfxswap.identity import Identity, Portrait
from vfxswap.ops.warp import uncut
from vfxswap.stage import Swapped, Swapper, SwapperOptions


@hookimpl
def vfxswap_api() -> tuple[int, int]:
    """The contract that this is written for."""
    return (1, 0)


@hookimpl
def vfxswap_stages() -> list[StageOffer]:
    """The one stage."""
    return [StageOffer("paste", "swapper", ":Paste", "a still, turned and scaled", "Apache-2.0")]


class Paste(Swapper[SwapperOptions]):
    """A still under one similarity: no mesh, no light, no expression."""

    Options = SwapperOptions

    @classmethod
    def wants_stills(cls) -> bool:
        """True: their landmarks are needed."""
        return True

    @torch.inference_mode()
    def swap(self, faces: FaceBatch, identity: Identity) -> Swapped:
        """Puts the still that fits best over each face."""
        size_px = int(faces.crops.shape[-1])
        pictures, mattes = [], []
        for landmarks in faces.landmarks:
            still = min(identity.portraits, key=lambda portrait: _misfit(landmarks, portrait.landmarks))
            picture = _with_cover(still).to(faces.crops.device)
            crop_to_still = umeyama(landmarks.five(), still.landmarks.five())
            warped = uncut(picture, crop_to_still, Box(0, 0, size_px, size_px), padding="zeros")
            pictures.append(warped[:3])
            mattes.append(warped[3:].clamp(0, 1))
        return Swapped(torch.stack(pictures), torch.stack(mattes))


def _with_cover(still: Portrait) -> torch.Tensor:
    """`(4, H, W)`: a last channel of ones, which is 0 beyond the still once it is warped."""
    return torch.cat([still.image, torch.ones_like(still.image[:1])])


def _misfit(plate: Landmarks, still: Landmarks) -> float:
    ours, theirs = plate.points[:, :2], still.points[:, :2]
    return float(np.square(mapped(umeyama(theirs, ours), theirs) - ours).sum(axis=1).mean())
