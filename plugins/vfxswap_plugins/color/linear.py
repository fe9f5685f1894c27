"""Colour matches by one matrix: fast, free of banding, safe with values outside 0..1."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from vfxswap.ops import match
from vfxswap.stage import ColorMap, ColorMatch, ColorMatchOptions


class LinearOptions(ColorMatchOptions):
    """Settings of the linear matches."""

    max_gain: float = Field(
        1.5, ge=1, le=20, description="No direction of colour is stretched by more, nor squeezed by more than 1 / this."
    )
    sample_size: int = Field(
        128, ge=16, le=512, description="Statistics are taken of the crop averaged down to this side, in pixels."
    )


class ReinhardOptions(LinearOptions):
    """Settings of `reinhard`."""

    robust: bool = Field(
        False, description="Take medians and quantiles for means and deviations, so that highlights weigh little."
    )


class Mkl(ColorMatch[LinearOptions]):
    """Monge-Kantorovich linear match: meets mean and covariance, and changes colours least. The one to start with."""

    Options = LinearOptions

    def fit(self, swapped: Tensor, plate: Tensor, matte: Tensor) -> ColorMap:
        """Finds one map of colours for faces that belong together."""
        found = match.populations(swapped, plate, matte, side_px=self.options.sample_size)
        return match.unchanged if found is None else match.mkl(*found, max_gain=self.options.max_gain)


class Lct(ColorMatch[LinearOptions]):
    """Whitens by one covariance and colours by the other; known from DeepFaceLab, may turn hues."""

    Options = LinearOptions

    def fit(self, swapped: Tensor, plate: Tensor, matte: Tensor) -> ColorMap:
        """Finds one map of colours for faces that belong together."""
        found = match.populations(swapped, plate, matte, side_px=self.options.sample_size)
        return match.unchanged if found is None else match.lct(*found, max_gain=self.options.max_gain)


class Reinhard(ColorMatch[ReinhardOptions]):
    """Matches centre and spread along three opponent axes."""

    Options = ReinhardOptions

    def fit(self, swapped: Tensor, plate: Tensor, matte: Tensor) -> ColorMap:
        """Finds one map of colours for faces that belong together."""
        found = match.populations(swapped, plate, matte, side_px=self.options.sample_size)
        if found is None:
            return match.unchanged
        return match.reinhard(*found, max_gain=self.options.max_gain, robust=self.options.robust)
