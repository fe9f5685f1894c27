"""A swapper that gives back what it was given, so that all that is timed is the work around a swapper."""

from __future__ import annotations

import torch

from vfxswap.frame import FaceBatch
from vfxswap.hookspecs import API_VERSION, StageOffer, hookimpl
from vfxswap.identity import Identity
from vfxswap.stage import Swapped, Swapper, SwapperOptions


class Echo(Swapper[SwapperOptions]):
    """The crop itself, and all of it."""

    Options = SwapperOptions

    def swap(self, faces: FaceBatch, identity: Identity) -> Swapped:  # noqa: ARG002 - whoever it is
        """Gives the crops and full mattes."""
        return Swapped(faces.crops, torch.ones_like(faces.crops[:, :1]))


@hookimpl
def vfxswap_api() -> tuple[int, int]:
    """The contract that this plugin is written for."""
    return API_VERSION


@hookimpl
def vfxswap_stages() -> list[StageOffer]:
    """The swapper."""
    return [StageOffer("echo", "swapper", f"{__name__}:Echo", "the face that was there", "Apache-2.0")]
