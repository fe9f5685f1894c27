"""A swapper that paints the face over: quick, and everybody sees where it was."""

from __future__ import annotations

import torch

from vfxswap.frame import FaceBatch
from vfxswap.hookspecs import StageOffer, hookimpl
from vfxswap.identity import Identity
from vfxswap.stage import Swapped, Swapper, SwapperOptions


class Paint(Swapper[SwapperOptions]):
    """A disc of another colour, soft at its edge."""

    Options = SwapperOptions

    def swap(self, faces: FaceBatch, identity: Identity) -> Swapped:
        """Gives crops that are lighter and redder, and a disc of a matte."""
        size = faces.crops.shape[-1]
        place = (torch.arange(size) + 0.5) / size - 0.5
        distance = torch.hypot(place[:, None], place[None])
        matte = ((0.4 - distance) * 20).clamp(0, 1).expand(len(faces), 1, size, size)
        return Swapped(faces.crops * 0.5 + torch.tensor([0.6, 0.3, 0.1])[:, None, None], matte)


@hookimpl
def vfxswap_api() -> tuple[int, int]:
    """The contract that it was written for."""
    return (1, 0)


@hookimpl
def vfxswap_stages() -> list[StageOffer]:
    """The swapper."""
    return [StageOffer("paint", "swapper", ":Paint", "a disc of another colour")]
