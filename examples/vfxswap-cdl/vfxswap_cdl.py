"""A colour stage for vfxswap: the grade that the show's colourist gave, applied to the swapped face alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from vfxswap.hookspecs import StageOffer, hookimpl
from vfxswap.stage import ColorMap, ColorMatch, ColorMatchOptions

if TYPE_CHECKING:
    from torch import Tensor

AtLeast0 = Annotated[float, Field(ge=0)]
Above0 = Annotated[float, Field(gt=0)]


class CdlOptions(ColorMatchOptions):
    """The ten numbers of a CDL; the defaults change nothing."""

    slope: tuple[AtLeast0, AtLeast0, AtLeast0] = Field((1, 1, 1), description="Multiplies R', G' and B'.")
    offset: tuple[float, float, float] = Field((0, 0, 0), description="Is added to R', G' and B'; 1 is white.")
    power: tuple[Above0, Above0, Above0] = Field((1, 1, 1), description="Exponents of R', G' and B'.")
    saturation: float = Field(1, ge=0, description="0 is grey, 1 leaves the saturation as it is.")


class Cdl(ColorMatch[CdlOptions]):
    """Slope, offset, power and saturation after the ASC Color Decision List, release 1.2, in the face space.

    Nothing is clipped: as in OpenColorIO's `noclamp` style, values below 0 pass the power unchanged.
    """

    Options = CdlOptions

    def fit(self, swapped: Tensor, plate: Tensor, matte: Tensor) -> ColorMap:
        """Gives the same grade for every face."""
        del swapped, plate, matte  # a colourist has looked at them
        return self.grade

    def grade(self, colors: Tensor) -> Tensor:
        """Grades `(..., 3, H, W)` R'G'B'."""
        slope, offset, power = (
            colors.new_tensor(values)[:, None, None]
            for values in (self.options.slope, self.options.offset, self.options.power)
        )
        moved = colors * slope + offset
        bent = moved.where(moved <= 0, moved.clamp(min=0) ** power)
        luma = (bent * bent.new_tensor([0.2126, 0.7152, 0.0722])[:, None, None]).sum(dim=-3, keepdim=True)
        return luma + self.options.saturation * (bent - luma)


@hookimpl
def vfxswap_api() -> tuple[int, int]:
    """The plugin API that this was written for: a number, not vfxswap's own constant, which grows with vfxswap."""
    return (1, 3)


@hookimpl
def vfxswap_stages() -> list[StageOffer]:
    """What a pipeline file may `use`."""
    return [StageOffer("cdl", "color", ":Cdl", "an ASC CDL grade", "Apache-2.0")]
