"""What swappers share whose networks give a mask with the face: how its edge is treated, what they are shown."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from vfxswap.stage import SwapperOptions
from vfxswap_plugins._crops import blurred, border_fade, eroded


class MaskedSwapperOptions(SwapperOptions):
    """Settings of every trained swapper."""

    mask_erode_percent: float = Field(
        0.0, ge=0, le=20, description="Moves the matte's edge inwards, in percent of the crop's side."
    )
    mask_blur_percent: float = Field(
        0.0, ge=0, le=20, description="Gaussian blur of the matte (its sigma), in percent of the crop's side."
    )
    border_percent: float = Field(
        3.0, ge=0, le=25, description="The matte fades out over this margin of the crop, in percent of its side."
    )
    presharpen: float = Field(
        0.0, ge=0, le=10, description="Unsharp mask on what the model sees (a Gaussian of 1 pixel): its amount."
    )


def edged(masks: Tensor, options: MaskedSwapperOptions) -> Tensor:
    """`(N, 1, S, S)` float32 0..1, moved inwards, blurred and faded out at the crop's border as the settings say."""
    size = int(masks.shape[-1])
    shrunk = eroded(masks, options.mask_erode_percent / 100 * size)
    soft = blurred(shrunk, options.mask_blur_percent / 100 * size).clamp(0, 1)
    margin = options.border_percent / 100 * size
    return (soft * border_fade(size, inset_px=0, feather_px=margin, device=soft.device)).contiguous()
