"""Colour tags between FFmpeg and vfxswap: both use the code points of ITU-T H.273, so a tag moves by its number."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Protocol, TypeVar

from vfxswap.color import ColorTags, Matrix, PixelLayout, Primaries, Range, Transfer
from vfxswap.errors import ColorError

_RESERVED = 0
"""H.273: reserved in primaries and transfer, where FFmpeg writes it for 'nobody said'."""
_UNSPECIFIED = 2
_OWN = 256
"""Numbers from here on are vfxswap's own, and no stream can say them."""
_AS_BT709 = frozenset({Transfer.SMPTE170M, Transfer.BT2020_10, Transfer.BT2020_12})
"""H.273 table 3: functionally the same as `BT709`."""


class Tagged(Protocol):
    """What carries FFmpeg's four numbers: a frame or a codec context."""

    color_primaries: int
    color_trc: int
    colorspace: int
    color_range: int


@dataclass(frozen=True, slots=True)
class Said:
    """FFmpeg's four numbers, taken down before somebody changes them."""

    primaries: int
    transfer: int
    matrix: int
    range: int

    @classmethod
    def by(cls, source: Tagged) -> Said:
        """What a frame or a codec context says now."""
        return cls(source.color_primaries, source.color_trc, source.colorspace, source.color_range)


EnumT = TypeVar("EnumT", bound=IntEnum)


def read_tags(container: Said, frame: Said, layout: PixelLayout, path: Path) -> tuple[ColorTags, dict[str, str]]:
    """What a stream says of its colour: the container's words first, then the decoded frame's own.

    The container comes first because some decoders answer for streams that say nothing (DNxHR: BT.709, JPEG: BT.601).

    Args:
        container: What the decoder's context says before it decodes, which is what the container says.
        frame: What the first decoded frame says.
        layout: R'G'B' layouts have the matrix `RGB` and `yuvj` ones full range, whatever is tagged.
        path: The movie, for the message.

    Returns:
        The tags, and words on primaries or a transfer that are tagged but not known to vfxswap. These two become
        unspecified, so that the pipeline has to state the colour space.

    Raises:
        ColorError: The matrix has a number that is not known: a stated colour space could not mend that.
    """
    notes: dict[str, str] = {}
    primaries = _known(Primaries, _said(container.primaries, frame.primaries), Primaries.UNSPECIFIED, notes)
    transfer = _known(Transfer, _said(container.transfer, frame.transfer), Transfer.UNSPECIFIED, notes)
    span = Range(container.range or frame.range)
    if layout.name.startswith("yuvj"):
        span = Range.FULL
    return ColorTags(primaries, transfer, _matrix(container, frame, layout, path), span), notes


def write_tags(target: Tagged, tags: ColorTags) -> None:
    """Sets FFmpeg's four numbers on a frame or a codec context; what H.273 has no number for is left unspecified."""
    target.color_primaries = int(tags.primaries) if tags.primaries < _OWN else _UNSPECIFIED
    target.color_trc = int(tags.transfer) if tags.transfer < _OWN else _UNSPECIFIED
    target.colorspace = int(tags.matrix)
    target.color_range = int(tags.range)


def quicktime_tags(tags: ColorTags) -> ColorTags:
    """The same colours by the numbers that QuickTime's `colr` atom has for them (Apple TN2162).

    H.273 has several numbers for one and the same curve (6, 14 and 15 are BT.709's) and for one matrix (5 is 6);
    QuickTime, and the frame headers of ProRes (SMPTE RDD 36), know 1 and 6 alone: SD is 5-1-6 or 6-1-6, UHD 9-1-9.
    The curve of sRGB keeps its 13, which RDD 36 does not list: FFmpeg's decoder believes a frame above its container.
    """
    transfer = Transfer.BT709 if tags.transfer in _AS_BT709 else tags.transfer
    matrix = Matrix.SMPTE170M if tags.matrix is Matrix.BT470BG else tags.matrix
    return replace(tags, transfer=transfer, matrix=matrix)


def delivered_tags(tags: ColorTags, plate: PixelLayout, delivery: PixelLayout, *, full_range: bool) -> ColorTags:
    """The tags of a delivery whose layout may differ from the plate's.

    Args:
        tags: The plate's, complete.
        plate: How the plate is stored.
        delivery: How the delivery is stored.
        full_range: Whether the codec can say that a Y'CbCr picture has full range.

    Returns:
        The plate's tags, with `Matrix.RGB` and full range for R'G'B' deliveries; for Y'CbCr made of R'G'B' or gray the
        matrix that belongs to the primaries (H.273 table 4), and limited range unless the plate was full-range Y'CbCr.
    """
    if delivery.model == "rgb":
        span = tags.range if plate.model == "rgb" else Range.FULL
        return replace(tags, matrix=Matrix.RGB, range=span)
    if delivery.model == "gray" or plate.model == "gray":
        matrix = tags.matrix if tags.matrix is not Matrix.RGB else _matrix_of(tags.primaries)
        return replace(tags, matrix=matrix, range=tags.range if full_range else Range.LIMITED)
    if plate.model == "rgb":
        return replace(tags, matrix=_matrix_of(tags.primaries), range=Range.LIMITED)
    return tags if full_range else replace(tags, range=Range.LIMITED)


def _matrix_of(primaries: Primaries) -> Matrix:
    if primaries is Primaries.BT2020:
        return Matrix.BT2020_NCL
    if primaries in {Primaries.BT470BG, Primaries.SMPTE170M}:
        return Matrix(int(primaries))
    return Matrix.BT709


def _said(first: int, second: int) -> int:
    for number in (first, second):
        if number not in {_RESERVED, _UNSPECIFIED}:
            return number
    return _UNSPECIFIED


def _known(kind: type[EnumT], number: int, unspecified: EnumT, notes: dict[str, str]) -> EnumT:
    if number in set(kind):
        return kind(number)
    notes[f"color_{kind.__name__.lower()}"] = f"H.273 number {number}, which is not supported"
    return unspecified


def _matrix(container: Said, frame: Said, layout: PixelLayout, path: Path) -> Matrix:
    if layout.model == "rgb":
        return Matrix.RGB
    # Number 0 is R'G'B' here; in a Y'CbCr stream it can only stand for 'nobody said'.
    number = _said(container.matrix, frame.matrix)
    if number not in set(Matrix):
        raise ColorError(
            f"{path} is tagged with the matrix coefficients {number} (H.273 table 4), which are not supported; expected"
            f" one of {', '.join(f'{int(m)} ({m.name})' for m in Matrix)}: transcode the plate, or mend its tag",
            path=path,
        )
    return Matrix(number)
