"""Colour matches by optimal transport and histograms: they bend colours where a matrix cannot follow."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from vfxswap.ops import match, transport
from vfxswap.stage import ColorMap, ColorMatch, ColorMatchOptions


class TransportOptions(ColorMatchOptions):
    """Settings of the matches that are not linear."""

    max_gain: float = Field(
        1.5, ge=1, le=20, description="No gradient is made steeper than by this factor; lower keeps noise down."
    )
    smoothness: float = Field(
        0.04, ge=0.01, le=0.5, description="Width of the smoothing of the curves, as a part of the range of colours."
    )
    sample_size: int = Field(
        64, ge=16, le=512, description="Distributions are taken of the crop averaged down to this side, in pixels."
    )


class IdtOptions(TransportOptions):
    """Settings of `idt`."""

    rotations: int = Field(12, ge=1, le=100, description="Rotated frames along whose axes histograms are matched.")
    seed: int = Field(0, ge=0, description="Of the rotations; the same seed gives the same picture.")


class SotOptions(TransportOptions):
    """Settings of `sot`."""

    steps: int = Field(10, ge=1, le=100, description="Steps down the sliced Wasserstein distance.")
    directions: int = Field(12, ge=3, le=100, description="Random directions of each step.")
    seed: int = Field(0, ge=0, description="Of the directions; the same seed gives the same picture.")


class Idt(ColorMatch[IdtOptions]):
    """Iterative distribution transfer."""

    Options = IdtOptions

    def fit(self, swapped: Tensor, plate: Tensor, matte: Tensor) -> ColorMap:
        """Finds one map of colours for faces that belong together."""
        settings = self.options
        found = match.populations(swapped, plate, matte, side_px=settings.sample_size)
        if found is None:
            return match.unchanged
        return transport.idt(
            *found,
            rotations=settings.rotations,
            seed=settings.seed,
            smoothness=settings.smoothness,
            max_gain=settings.max_gain,
        )


class Sot(ColorMatch[SotOptions]):
    """Sliced optimal transport."""

    Options = SotOptions

    def fit(self, swapped: Tensor, plate: Tensor, matte: Tensor) -> ColorMap:
        """Finds one map of colours for faces that belong together."""
        settings = self.options
        found = match.populations(swapped, plate, matte, side_px=settings.sample_size)
        if found is None:
            return match.unchanged
        return transport.sot(
            *found,
            steps=settings.steps,
            directions=settings.directions,
            seed=settings.seed,
            smoothness=settings.smoothness,
            max_gain=settings.max_gain,
        )


class Hist(ColorMatch[TransportOptions]):
    """Histogram match, channel by channel."""

    Options = TransportOptions

    def fit(self, swapped: Tensor, plate: Tensor, matte: Tensor) -> ColorMap:
        """Finds one map of colours for faces that belong together."""
        found = match.populations(swapped, plate, matte, side_px=self.options.sample_size)
        if found is None:
            return match.unchanged
        return transport.hist(*found, smoothness=self.options.smoothness, max_gain=self.options.max_gain)
