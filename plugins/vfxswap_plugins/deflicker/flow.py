"""Takes flicker out of a swapped face, guided by the plate's own motion and light."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from vfxswap.frame import FaceWindow
from vfxswap.ops.flow import FlowQuality
from vfxswap.ops.steady import SteadySettings, steadied
from vfxswap.stage import Deflicker, Span, StageOptions


class FlowDeflickerOptions(StageOptions):
    """Settings of `flow-deflicker`."""

    radius_frames: int = Field(
        2, ge=0, le=8, description="Frames looked at on each side; 0 changes nothing. The window is centred: no lag."
    )
    strength: float = Field(1.0, ge=0, le=1, description="How much of the flicker of colour and light is taken out.")
    jitter: float = Field(
        1.0, ge=0, le=1, description="How much of the face's trembling against the plate is taken out."
    )
    detail: float = Field(
        0.0, ge=0, le=1, description="How much the face's fine detail is averaged; softens, for shimmering models only."
    )
    tolerance: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Change of colour, in codes of 0..1, up to which it counts as flicker; a larger one is kept.",
    )
    quality: FlowQuality = Field("fast", description="Preset of the optical flow.")


class FlowDeflicker(Deflicker[FlowDeflickerOptions]):
    """Motion-compensated de-flicker: follows the plate's changes at once, averages only what the plate does not do."""

    Options = FlowDeflickerOptions

    @property
    def window(self) -> Span:
        """The radius, on both sides."""
        return Span(self.options.radius_frames, self.options.radius_frames)

    def steady(self, window: FaceWindow) -> Tensor:
        """Gives `(3, S, S)`: the window's central face, steadied."""
        settings = self.options
        radius = settings.radius_frames
        now = window.frames[window.center]
        near = [index for index, frame in enumerate(window.frames) if abs(frame - now) <= radius]
        some = slice(near[0], near[-1] + 1)
        return steadied(
            window.swapped[some],
            window.plate[some],
            window.mattes[some],
            center=window.center - near[0],
            times=window.frames[some],
            settings=SteadySettings(
                strength=settings.strength,
                jitter=settings.jitter,
                detail=settings.detail,
                tolerance=settings.tolerance,
                spread_frames=max(radius, 1),
                quality=settings.quality,
            ),
        )
