"""Colour as data: what a stored picture's numbers mean.

The enumerations carry the code points of ITU-T H.273 (2021), which H.264, H.265, ProRes, MOV and MKV all share, so a
reader converts a tag by its number. *Unspecified* is a value that nothing is computed from: `ColorTags.resolved` either
gets an answer from the pipeline's `color_space` or raises.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Literal

from vfxswap.errors import ColorError


class Primaries(IntEnum):
    """Chromaticities of the primaries and white (H.273 table 2); those from 256 on are not in H.273."""

    BT709 = 1
    UNSPECIFIED = 2
    BT470BG = 5
    SMPTE170M = 6
    BT2020 = 9
    P3_D65 = 12
    AP0 = 256
    """Of ACES2065-1 (SMPTE ST 2065-1)."""
    AP1 = 257
    """Of ACEScg (Academy S-2014-004)."""


class Transfer(IntEnum):
    """Transfer characteristics (H.273 table 3)."""

    BT709 = 1
    UNSPECIFIED = 2
    SMPTE170M = 6
    LINEAR = 8
    SRGB = 13
    BT2020_10 = 14
    BT2020_12 = 15
    PQ = 16
    HLG = 18


class Matrix(IntEnum):
    """Matrix from R'G'B' to Y'CbCr (H.273 table 4)."""

    RGB = 0
    BT709 = 1
    UNSPECIFIED = 2
    BT470BG = 5
    SMPTE170M = 6
    BT2020_NCL = 9


class Range(IntEnum):
    """How code values span black to white; numbers as in FFmpeg's `AVColorRange`."""

    UNSPECIFIED = 0
    LIMITED = 1
    """8-bit luma 16..235, chroma 16..240, scaled up for deeper pictures (H.273 8.3)."""
    FULL = 2
    """All code values."""


LUMA_WEIGHTS: dict[Matrix, tuple[float, float]] = {
    Matrix.BT709: (0.2126, 0.0722),
    Matrix.BT470BG: (0.299, 0.114),
    Matrix.SMPTE170M: (0.299, 0.114),
    Matrix.BT2020_NCL: (0.2627, 0.0593),
}
"""`(Kr, Kb)` of each matrix (H.273 table 4); `Kg = 1 - Kr - Kb`."""


@dataclass(frozen=True, slots=True)
class ConfigSpace:
    """A colour space of an OpenColorIO configuration; `vfxswap.ocio` finds it and computes with it."""

    config: str
    """`ocio://NAME`, or the path of a file."""
    sha256: str
    """Of the configuration's text."""
    name: str
    """As the configuration has it, whatever alias or role it was asked by."""
    encoding: str
    """In OpenColorIO's words, as `scene-linear`, `log`, `sdr-video`; may be empty."""
    is_linear: bool
    """Whether its numbers are proportional to light."""


@dataclass(frozen=True, slots=True)
class ColorTags:
    """The facts that turn code values into colour: four of the stream, or two of it and a space."""

    primaries: Primaries = Primaries.UNSPECIFIED
    transfer: Transfer = Transfer.UNSPECIFIED
    matrix: Matrix = Matrix.UNSPECIFIED
    range: Range = Range.UNSPECIFIED
    space: ConfigSpace | None = None
    """What R'G'B' means, where it goes by a configuration; matrix and range are facts of storing still. Primaries and
    transfer are what the stream itself says then (`LINEAR` for a linear space) and are written again, not computed
    with."""

    @property
    def complete(self) -> bool:
        """Whether pixels can be computed with: everything but the range, whose absence has a standard meaning."""
        return (
            self.primaries is not Primaries.UNSPECIFIED
            and self.transfer is not Transfer.UNSPECIFIED
            and self.matrix is not Matrix.UNSPECIFIED
        )

    def resolved(self, stated: str | None, *, path: object = None) -> ColorTags:
        """Complete tags: the pipeline's statement where there is one, else the stream's own.

        Args:
            stated: The pipeline's `color_space`, a name of `SPACES`, or None. It wins over tags, but never over the
                stream's range, which is a fact of the coding and not of the camera; what is stored as R'G'B' stays so.
            path: The file, for the message.

        Returns:
            Tags with nothing unspecified. A range that is not signalled is limited for Y'CbCr (the default of H.264 and
            H.265, which is what `video_full_range_flag` absent means) and full for R'G'B'.

        Raises:
            ColorError: `stated` is not a known name, or of RGB alone while the plate is Y'CbCr; or a tag is missing and
                nothing was stated.
        """
        tags = self
        if stated is not None:
            space = SPACES.get(stated)
            if space is None:
                raise ColorError(f"unknown colour space {stated!r}; allowed: {_NAMES}", path=path)
            is_rgb = self.matrix is Matrix.RGB
            if space.matrix is Matrix.RGB and not is_rgb:
                raise ColorError(f"{path or 'the plate'} is stored as Y'CbCr, {stated!r} is a space of RGB", path=path)
            tags = replace(space, matrix=Matrix.RGB if is_rgb else space.matrix, range=self.range)
        if not tags.complete:
            missing = [
                name
                for name, value in (("primaries", tags.primaries), ("transfer", tags.transfer), ("matrix", tags.matrix))
                if value.name == "UNSPECIFIED"
            ]
            raise ColorError(
                f"{path or 'the plate'} does not say its colour ({', '.join(missing)} not tagged); state it in the"
                f' pipeline file, as [shot] color_space = "{_like(self)}" (allowed: {_NAMES})',
                path=path,
            )
        if tags.range is Range.UNSPECIFIED:
            tags = replace(tags, range=Range.FULL if tags.matrix is Matrix.RGB else Range.LIMITED)
        return tags


SPACES: dict[str, ColorTags] = {
    "bt709": ColorTags(Primaries.BT709, Transfer.BT709, Matrix.BT709),
    "srgb": ColorTags(Primaries.BT709, Transfer.SRGB, Matrix.BT709),
    "bt601-625": ColorTags(Primaries.BT470BG, Transfer.SMPTE170M, Matrix.BT470BG),
    "bt601-525": ColorTags(Primaries.SMPTE170M, Transfer.SMPTE170M, Matrix.SMPTE170M),
    "bt2020": ColorTags(Primaries.BT2020, Transfer.BT2020_10, Matrix.BT2020_NCL),
    "p3-d65": ColorTags(Primaries.P3_D65, Transfer.SRGB, Matrix.BT709),
    "hlg": ColorTags(Primaries.BT2020, Transfer.HLG, Matrix.BT2020_NCL),
    "pq": ColorTags(Primaries.BT2020, Transfer.PQ, Matrix.BT2020_NCL),
    "ACEScg": ColorTags(Primaries.AP1, Transfer.LINEAR, Matrix.RGB),
    "ACES2065-1": ColorTags(Primaries.AP0, Transfer.LINEAR, Matrix.RGB),
    "Linear Rec.709 (sRGB)": ColorTags(Primaries.BT709, Transfer.LINEAR, Matrix.RGB),
    "Linear P3-D65": ColorTags(Primaries.P3_D65, Transfer.LINEAR, Matrix.RGB),
    "Linear Rec.2020": ColorTags(Primaries.BT2020, Transfer.LINEAR, Matrix.RGB),
}
"""Names of movies' colours, and of linear ones that have numbers, as OpenColorIO's ACES configurations have them."""
_OF_MOVIES = ", ".join(name for name, tags in SPACES.items() if tags.transfer is not Transfer.LINEAR)
_NAMES = f"{_OF_MOVIES}, or a colour space of the OpenColorIO configuration"


def _like(tags: ColorTags) -> str:
    """An example for a picture of that kind."""
    return "ACEScg" if tags.transfer is Transfer.LINEAR else "bt709"


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How samples lie in memory, the same words for every codec.

    A picture's planes are always given in the order of `channels`, each as a 2-D array with its own (perhaps
    subsampled) size; a packed store such as rgb24 or nv12 is given as strided views, so every consumer sees planes.
    """

    name: str
    """The store's own name, such as FFmpeg's pixel format `"yuv422p10le"`."""
    model: Literal["ycbcr", "rgb", "gray"]
    """What the channels are: Y', Cb, Cr; R', G', B'; or Y' alone."""
    bits: int
    """Significant bits of an integer sample; 16 or 32 for float."""
    is_float: bool = False
    """Float samples: 0..1 is black to white, nothing is clipped."""
    chroma_log2: tuple[int, int] = (0, 0)
    """log2 of the chroma subsampling, (horizontal, vertical): 4:2:0 is (1, 1), 4:2:2 is (1, 0)."""
    shift: int = 0
    """Left shift of the significant bits inside the stored word (6 for p010, else 0)."""
    has_alpha: bool = False
    """Whether a last plane holds alpha; it is carried, never touched."""
    chroma_location: Literal["left", "center", "topleft"] = "left"
    """Where chroma samples sit between luma samples (H.273 8.7); MPEG-2 and H.264 default to left."""

    @property
    def channels(self) -> int:
        """Number of planes, alpha included."""
        return (1 if self.model == "gray" else 3) + int(self.has_alpha)
