"""What the file of one picture says of it, in the same words for every format."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from vfxswap.color import ColorTags, PixelLayout
from vfxswap.errors import MediaError
from vfxswap.geometry import Box


@dataclass(frozen=True, slots=True)
class Stored:
    """A picture's header; the samples are not read yet."""

    path: Path
    """The file."""
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
    data: Box | None = None
    """The data window, where the format has one, in pixels of the file's own plane."""
    canvas: Box | None = None
    """The display window, likewise."""
    layer: str = ""
    """Which of its pictures this is, where the format may hold several."""
    layers: tuple[str, ...] = ()
    """The names of its pictures; the first is the one that is taken unless another is asked for."""
    rate: Fraction | None = None
    """Frames a second, if it says so."""
    timecode: str | None = None
    """SMPTE timecode, if it says so."""
    code_word: int | None = None
    """The 32 bits that say it."""
    reel: str | None = None
    """Reel or tape name, if it says so."""
    metadata: dict[str, str] = field(default_factory=dict)
    """Other text that it carries."""

    @property
    def upright_size(self) -> tuple[int, int]:
        """`(width, height)` as it is displayed."""
        return (self.width, self.height) if self.rotation % 180 == 0 else (self.height, self.width)

    @property
    def display(self) -> Box | None:
        """The display window, in stored pixels, where it is not the whole picture."""
        return None if self.data is None or self.canvas is None else window_within(self.canvas, self.data)

    def difference(self, first: Stored) -> str | None:
        """How it differs from the sequence's first picture, in words; None where it fits.

        Compared is what stages and windows depend on; times, compression and text may differ from frame to frame, and
        so may a data window, as programs crop it to what they have drawn.
        """
        for what, here, there in (
            ("size", self._size, first._size),
            ("channels", self.channels, first.channels),
            ("layer", self.layer, first.layer),
            ("display window", _said(self.canvas), _said(first.canvas)),
            ("colour", _color(self.tags), _color(first.tags)),
            ("orientation", self.rotation, first.rotation),
            ("pixel aspect", self.pixel_aspect, first.pixel_aspect),
        ):
            if here != there:
                return f"has the {what} {here}, while the sequence begins with {there}"
        return None

    @property
    def _size(self) -> str:
        width, height = (self.width, self.height) if self.canvas is None else (self.canvas.width, self.canvas.height)
        return f"{width}x{height}"

    def check(self, first: Stored, *, frame: int) -> None:
        """Whether it may stand in a sequence.

        Raises:
            MediaError: It is another kind of picture than the first; says how.
        """
        if difference := self.difference(first):
            raise MediaError(
                f"{self.path} {difference} ({first.path.name}); split the sequence where it changes, or write it anew"
                " in one form",
                path=self.path,
                frame=frame,
            )


def window_within(window: Box, picture: Box) -> Box | None:
    """A window in pixels of a picture, counted from its corner; None where it is the whole picture."""
    if window == picture:
        return None
    return Box(window.x0 - picture.x0, window.y0 - picture.y0, window.x1 - picture.x0, window.y1 - picture.y0)


def _color(tags: ColorTags) -> str:
    return f"{tags.primaries.name.lower()}, {tags.transfer.name.lower()}"


def _said(window: Box | None) -> str:
    return "" if window is None else f"{window.width}x{window.height} at {window.x0},{window.y0}"
