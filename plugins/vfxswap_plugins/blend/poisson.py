"""Gradient-domain blend: the patch's detail on the plate's tone."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from vfxswap.ops import blend
from vfxswap.stage import Blend, StageOptions


class PoissonOptions(StageOptions):
    """Settings of `poisson`."""

    strength: float = Field(1.0, ge=0, le=1, description="0 is the plain mix, 1 takes the border's tone wholly.")
    limit: float = Field(
        0.25,
        gt=0,
        le=10,
        description="Largest change of a channel, in R'G'B' 0..1: where the border differs by more (hair, a hand), some"
        " of the seam stays and the foreign colour does not run into the face.",
    )
    reach_percent: float = Field(
        10.0,
        gt=0,
        le=1000,
        description="How far the border's tone is carried inwards, in percent of the shorter side of the matte's box.",
    )


class Poisson(Blend[PoissonOptions]):
    """Perez, Gangnet and Blake's seamless cloning, screened and for soft mattes."""

    Options = PoissonOptions

    def blend(self, patch: Tensor, plate: Tensor, matte: Tensor) -> Tensor:
        """Gives `(1, 3, H, W)`; exactly the plate where the matte is 0."""
        options = self.options
        return blend.poisson(
            patch, plate, matte, strength=options.strength, limit=options.limit, reach=options.reach_percent / 100
        )
