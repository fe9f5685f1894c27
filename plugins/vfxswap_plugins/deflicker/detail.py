"""Takes shimmer out of a swapped face's fine detail."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from vfxswap.frame import FaceWindow
from vfxswap.ops.flow import FlowQuality
from vfxswap.ops.shimmer import ShimmerSettings, unshimmered
from vfxswap.stage import Deflicker, Span, StageOptions
from vfxswap_plugins.deflicker._window import near


class DetailDeflickerOptions(StageOptions):
    """Settings of `detail-deflicker`."""

    radius_frames: int = Field(
        2, ge=0, le=8, description="Frames looked at on each side; 0 changes nothing. The window is centred: no lag."
    )
    strength: float = Field(1.0, ge=0, le=1, description="How much of the shimmer is taken out.")
    most: float = Field(
        0.03,
        gt=0,
        le=0.5,
        description="Deviation of the shimmer, in codes of 0..1, above which it is taken for detail.",
    )
    quality: FlowQuality = Field("fast", description="Preset of the optical flow.")


class DetailDeflicker(Deflicker[DetailDeflickerOptions]):
    """Averages fine detail along the plate's motion, where neighbouring frames show the same.

    For networks whose pores, lashes and stubble are drawn anew in each frame. It finds by itself how strong the shimmer
    is; a face without any stays as it is. Colour, light and place are the business of `flow-deflicker`, after it.
    """

    Options = DetailDeflickerOptions

    @property
    def window(self) -> Span:
        """The radius, on both sides."""
        return Span(self.options.radius_frames, self.options.radius_frames)

    def steady(self, window: FaceWindow) -> Tensor:
        """Gives `(3, S, S)`: the window's central face, with steady detail."""
        settings = self.options
        faces = near(window, settings.radius_frames)
        return unshimmered(
            faces.swapped,
            faces.plate,
            faces.mattes,
            center=faces.center,
            times=faces.frames,
            settings=ShimmerSettings(
                strength=settings.strength,
                most=settings.most,
                spread_frames=max(settings.radius_frames, 1),
                quality=settings.quality,
            ),
        )
