"""Takes flicker out of a swapped face, guided by the plate's own motion and light."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from vfxswap.frame import FaceWindow
from vfxswap.ops.flow import FlowQuality
from vfxswap.ops.steady import SteadySettings, steadied
from vfxswap.stage import Deflicker, Span, StageOptions
from vfxswap_plugins.deflicker._window import near


class FlowDeflickerOptions(StageOptions):
    """Settings of `flow-deflicker`."""

    radius_frames: int = Field(
        2, ge=0, le=8, description="Frames looked at on each side; 0 changes nothing. The window is centred: no lag."
    )
    strength: float = Field(1.0, ge=0, le=1, description="How much of the flicker of colour and light is taken out.")
    jitter: float = Field(
        1.0, ge=0, le=1, description="How much of the face's trembling against the plate is taken out."
    )
    tolerance: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Change of colour, in codes of 0..1, up to which it counts as flicker; a larger one is kept.",
    )
    quality: FlowQuality = Field("fast", description="Preset of the optical flow.")


class FlowDeflicker(Deflicker[FlowDeflickerOptions]):
    """Motion-compensated de-flicker: follows the plate's changes at once, averages only what the plate does not do.

    The one to begin with, by the figures of benchmarks/STEADINESS.md: for any swap that is new in each frame, whose
    colour, light and place tremble from frame to frame, over the whole face or in a patch of it. It neither lags nor
    softens, and leaves no ghost of what passes in front. Light that comes and goes more slowly than its window is long
    is for `light-deflicker`, fine detail that is drawn anew in each frame for `detail-deflicker`; both may stand before
    it.
    """

    Options = FlowDeflickerOptions

    @property
    def window(self) -> Span:
        """The radius, on both sides."""
        return Span(self.options.radius_frames, self.options.radius_frames)

    def steady(self, window: FaceWindow) -> Tensor:
        """Gives `(3, S, S)`: the window's central face, steadied."""
        settings = self.options
        faces = near(window, settings.radius_frames)
        return steadied(
            faces.swapped,
            faces.plate,
            faces.mattes,
            center=faces.center,
            times=faces.frames,
            settings=SteadySettings(
                strength=settings.strength,
                jitter=settings.jitter,
                tolerance=settings.tolerance,
                spread_frames=max(settings.radius_frames, 1),
                quality=settings.quality,
            ),
        )
