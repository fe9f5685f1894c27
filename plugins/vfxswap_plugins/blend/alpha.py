"""The plain mix of patch and plate by the matte."""

from __future__ import annotations

from torch import Tensor

from vfxswap.ops import blend
from vfxswap.stage import Blend, StageOptions


class AlphaOptions(StageOptions):
    """`alpha` has no settings: the matte says all."""


class Alpha(Blend[AlphaOptions]):
    """`plate + matte (patch - plate)`."""

    Options = AlphaOptions
    pointwise = True

    def blend(self, patch: Tensor, plate: Tensor, matte: Tensor) -> Tensor:
        """Gives `(1, 3, H, W)`; exactly the plate where the matte is 0."""
        return blend.alpha(patch, plate, matte)
