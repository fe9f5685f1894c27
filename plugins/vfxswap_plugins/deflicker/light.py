"""Takes slow coming and going of light out of a swapped face."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from vfxswap.frame import FaceWindow
from vfxswap.ops.pumping import PumpingSettings, unpumped
from vfxswap.stage import Deflicker, Span, StageOptions
from vfxswap_plugins.deflicker._window import near


class LightDeflickerOptions(StageOptions):
    """Settings of `light-deflicker`."""

    radius_frames: int = Field(
        8, ge=0, le=24, description="Frames looked at on each side; 0 changes nothing. The window is centred: no lag."
    )
    strength: float = Field(1.0, ge=0, le=1, description="How much of the pumping is taken out.")
    tolerance_percent: float = Field(
        10.0, gt=0, le=100, description="Change of light against the plate's up to which it is pumping; more is kept."
    )


class LightDeflicker(Deflicker[LightDeflickerOptions]):
    """Steadies a face's light against the plate's, as a whole and from side to side, over a wide window.

    For pumping: light or tint that comes and goes over half a second, as of a colour match that sees single frames. It
    follows no motion, so that it is cheap, and blur does not disturb it; it changes nothing smaller than half a face,
    and no place. Its wide window costs frames at a chunk's ends.
    """

    Options = LightDeflickerOptions

    @property
    def window(self) -> Span:
        """The radius, on both sides."""
        return Span(self.options.radius_frames, self.options.radius_frames)

    def steady(self, window: FaceWindow) -> Tensor:
        """Gives `(3, S, S)`: the window's central face, in steady light."""
        settings = self.options
        faces = near(window, settings.radius_frames)
        return unpumped(
            faces.swapped,
            faces.plate,
            faces.mattes,
            center=faces.center,
            times=faces.frames,
            settings=PumpingSettings(
                strength=settings.strength,
                tolerance=settings.tolerance_percent / 100,
                spread_frames=max(settings.radius_frames, 1) / 2,
            ),
        )
