"""Pictures for people: a canvas with text, boxes and lines, by OpenCV alone.

OpenCV 5 has a typeface of its own; with 4 the strokes of its plotter letters do.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vfxswap.errors import MediaError, UsageError
from vfxswap.files import whole

Pixels = NDArray[np.uint8]
"""`(H, W, 3)` in OpenCV's order: blue, green, red."""


class Color(NamedTuple):
    """Red, green, blue, 0..255."""

    red: int
    green: int
    blue: int

    def mixed(self, other: Color, amount: float) -> Color:
        """Between this (0) and the other (1)."""
        return Color(*(round(a + (b - a) * amount) for a, b in zip(self, other, strict=True)))

    @property
    def bgr(self) -> tuple[int, int, int]:
        """In OpenCV's order."""
        return (self.blue, self.green, self.red)


PAPER, INK, GREY, FAINT = Color(250, 250, 248), Color(32, 34, 38), Color(118, 122, 130), Color(226, 227, 230)
BLUE, ORANGE, RED, GREEN = Color(52, 106, 176), Color(226, 132, 40), Color(196, 48, 48), Color(72, 140, 84)


class Canvas:
    """A picture to draw on; positions are pixels, x to the right, y down.

    Args:
        width: Columns.
        height: Rows.
        color: Of the ground.
    """

    def __init__(self, width: int, height: int, color: Color = PAPER) -> None:
        self.pixels: Pixels = np.full((height, width, 3), color.bgr, np.uint8)
        self._font: Any = cv2.FontFace("sans") if hasattr(cv2, "FontFace") else None
        self.fine = self._font is not None
        """Whether letters beyond ASCII can be written."""

    def box(self, x: float, y: float, width: float, height: float, color: Color) -> None:
        """Fills a rectangle."""
        first, last = (round(x), round(y)), (round(x + width) - 1, round(y + height) - 1)
        if last[0] >= first[0] and last[1] >= first[1]:
            cv2.rectangle(self.pixels, first, last, color.bgr, -1)

    def frame(self, x: float, y: float, width: float, height: float, color: Color, thickness_px: int = 1) -> None:
        """Draws the outline of a rectangle."""
        last = (round(x + width) - 1, round(y + height) - 1)
        cv2.rectangle(self.pixels, (round(x), round(y)), last, color.bgr, thickness_px)

    def line(self, x0: float, y0: float, x1: float, y1: float, color: Color, thickness_px: int = 1) -> None:
        """Draws a line."""
        cv2.line(self.pixels, (round(x0), round(y0)), (round(x1), round(y1)), color.bgr, thickness_px, cv2.LINE_AA)

    def dot(self, x: float, y: float, radius_px: float, color: Color) -> None:
        """Fills a disc, placed to a sixteenth of a pixel."""
        centre = (round(x * 16), round(y * 16))
        cv2.circle(self.pixels, centre, round(radius_px * 16), color.bgr, -1, cv2.LINE_AA, 4)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size_px: int = 15,
        color: Color = INK,
        bold: bool = False,
        at: float = 0,
    ) -> None:
        """Writes words; `(x, y)` is the beginning of their base line (`at` 0), its middle (0.5) or its end (1)."""
        x -= at * self.text_width(words, size_px=size_px, bold=bold)
        place = (round(x), round(y))
        if self._font is not None:
            cv2.putText(self.pixels, words, place, color.bgr, self._font, size_px, 700 if bold else 400)
        else:
            plain = _ascii(words)
            thickness = 2 if bold else 1
            scale = size_px / 30
            cv2.putText(self.pixels, plain, place, cv2.FONT_HERSHEY_SIMPLEX, scale, color.bgr, thickness, cv2.LINE_AA)

    def text_width(self, words: str, *, size_px: int = 15, bold: bool = False) -> float:
        """How wide words are, in pixels."""
        if not words:
            return 0.0
        if self._font is not None:
            box = cv2.getTextSize((0, 0), words, (0, 0), self._font, size_px, 700 if bold else 400)
            return float(box[2])
        return float(cv2.getTextSize(_ascii(words), cv2.FONT_HERSHEY_SIMPLEX, size_px / 30, 2 if bold else 1)[0][0])

    def wrapped(self, words: str, width_px: float, *, size_px: int = 15) -> list[str]:
        """Lines of whole words, none wider than that."""
        lines: list[str] = []
        for word in words.split():
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and self.text_width(longer, size_px=size_px) <= width_px:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines

    def paste(self, x: int, y: int, image: Pixels) -> None:
        """Puts a picture that lies wholly inside."""
        self.pixels[y : y + image.shape[0], x : x + image.shape[1]] = image

    def save(self, path: Path) -> str:
        """Writes it as PNG or JPEG; returns the file's sha256.

        Raises:
            UsageError: The name ends in something else.
            MediaError: It cannot be written.
        """
        if path.suffix.lower() not in {".png", ".jpg", ".jpeg"}:
            raise UsageError(f"{path}: a picture's name ends in .png or .jpg")
        done, coded = cv2.imencode(path.suffix.lower(), self.pixels)
        if not done:
            raise MediaError(f"{path}: a picture of {self.pixels.shape[:2]} cannot be stored so", path=path)
        raw = coded.tobytes()
        with whole(path) as temporary:
            temporary.write_bytes(raw)
        return hashlib.sha256(raw).hexdigest()


def _ascii(words: str) -> str:
    """Words without what plotter letters lack."""
    for fine, plain in (("−", "-"), ("–", "-"), ("°", " deg"), ("…", "..."), ("×", "x")):
        words = words.replace(fine, plain)
    return words.encode("ascii", "replace").decode()
