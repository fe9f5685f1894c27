"""What the file of one picture says of it, in the same words for every format."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from vfxswap.color import ColorTags, PixelLayout
from vfxswap.geometry import Box


@dataclass(frozen=True, slots=True)
class Stored:
    """A picture's header; the samples are not read yet."""

    width: int
    """Stored columns."""
    height: int
    """Stored rows."""
    layout: PixelLayout
    """How its colour and alpha are stored; other channels are carried along."""
    tags: ColorTags
    """What the file itself says of its colour; may be incomplete."""
    codec: str
    """Format and compression."""
    channels: str
    """All its channels with their types, in words; alike in all files of a sequence."""
    pixel_aspect: Fraction = Fraction(1)
    """Width of a pixel over its height."""
    rotation: int = 0
    """Degrees by which it is to be turned clockwise for display."""
    display: Box | None = None
    """The display window, in stored pixels, where it is not the whole picture."""
    rate: Fraction | None = None
    """Frames a second, if it says so."""
    timecode: str | None = None
    """SMPTE timecode, if it says so."""
    reel: str | None = None
    """Reel or tape name, if it says so."""
    metadata: dict[str, str] = field(default_factory=dict)
    """Other text that it carries."""

    @property
    def upright_size(self) -> tuple[int, int]:
        """`(width, height)` as it is displayed."""
        return (self.width, self.height) if self.rotation % 180 == 0 else (self.height, self.width)

    def difference(self, first: Stored) -> str | None:
        """How it differs from the sequence's first picture, in words; None where it fits.

        Compared is what stages and windows depend on; times, compression and text may differ from frame to frame.
        """
        for what, here, there in (
            ("size", f"{self.width}x{self.height}", f"{first.width}x{first.height}"),
            ("channels", self.channels, first.channels),
            ("display window", _said(self.display), _said(first.display)),
            ("colour", self.tags, first.tags),
            ("orientation", self.rotation, first.rotation),
            ("pixel aspect", self.pixel_aspect, first.pixel_aspect),
        ):
            if here != there:
                return f"has the {what} {here}, while the sequence begins with {there}"
        return None


def _said(display: Box | None) -> str:
    return (
        "of the whole picture" if display is None else f"{display.width}x{display.height} at {display.x0},{display.y0}"
    )
