"""Multi-band blend: detail changes over at the matte's edge, tone over a wide way inside it."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from vfxswap.ops import blend
from vfxswap.stage import Blend, StageOptions


class PyramidOptions(StageOptions):
    """Settings of `pyramid`."""

    levels: float | None = Field(
        None,
        ge=0,
        le=8,
        description="Halvings: each doubles the way over which the lowest tones change; fractions are allowed, 0 is the"
        " plain mix. By default by the face's size in the plate; more than one above that is not used.",
    )


class Pyramid(Blend[PyramidOptions]):
    """Burt and Adelson's multi-band blend of the difference, kept inside the matte."""

    Options = PyramidOptions

    def blend(self, patch: Tensor, plate: Tensor, matte: Tensor) -> Tensor:
        """Gives `(1, 3, H, W)`; exactly the plate where the matte is 0."""
        return blend.pyramid(patch, plate, matte, levels=self.options.levels)
