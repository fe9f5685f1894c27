"""Single pictures, read by OpenImageIO as plates of one frame."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the name that its own documentation uses
from numpy.typing import NDArray

from vfxswap.color import ColorTags, Matrix, PixelLayout, Range, Transfer
from vfxswap.errors import MediaError, TruncatedPlate
from vfxswap.frame import Frame, Picture
from vfxswap.media import PlateInfo, Reader

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".exr"})
"""File suffixes that are taken for a picture's."""

_BITS = {"uint8": 8, "uint16": 16, "half": 16, "float": 32}
"""Sample types that are kept as they are, by OpenImageIO's names."""
_TURNS = {1: 0, 3: 180, 6: 90, 8: 270}
"""EXIF 2.32 tag 0x0112: the orientations that are not mirrored, in clockwise degrees for display."""
_COLOR_CHANNELS = ("R", "G", "B")
_RATE = Fraction(24)
"""A single picture has no rate; one is demanded of every plate."""


class _Header(NamedTuple):
    spec: Any
    places: tuple[int, ...]
    """Index in the file of each channel of the layout."""
    layout: PixelLayout


class StillReader(Reader):
    """Reads a JPEG, PNG, TIFF or EXR as a plate of one frame, number 1.

    Samples keep their type (uint8, uint16, float16, float32) and order of rows; alpha stays as it is stored, not
    multiplied and not divided. Channels other than gray or R, G, B and A are not read. The file's own colour space is
    not guessed: only an EXR is known to be linear, and whoever reads states the rest.
    """

    name = "still"

    @classmethod
    def can_read(cls, path: Path) -> bool:
        """Whether the suffix is a picture's and the name is not a pattern of a sequence."""
        return path.suffix.lower() in SUFFIXES and not any(mark in path.name for mark in ("%", "#", "@", "$F"))

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = 0
        source = _opened(path)
        try:
            self._header = _header(source, path)
            self._info = _plate_info(source.format_name(), self._header, path)
        finally:
            source.close()

    @property
    def info(self) -> PlateInfo:
        """The header."""
        return self._info

    def frames(self, first: int, last: int) -> Iterator[Frame]:
        """Reads the picture; `first` and `last` must be 1.

        Raises:
            MediaError: Another frame is asked for.
            TruncatedPlate: The file ends before its last line, or cannot be decoded.
        """
        if (first, last) != (1, 1):
            raise MediaError(
                f"{self._path} is one picture, frame 1; frames {first}-{last} are not in it", path=self._path
            )
        self._turn += 1
        return self._frames(self._turn)

    def close(self) -> None:
        """Gives back the file, which is open only while the picture is read."""
        self._turn += 1

    def _frames(self, turn: int) -> Iterator[Frame]:
        if turn == self._turn:
            samples = _samples(self._path, self._header)
            samples.flags.writeable = False
            planes = [samples[:, :, place] for place in range(samples.shape[2])]
            yield Frame(1, Picture(planes, self._header.layout, self._info.tags))


def _opened(path: Path) -> Any:
    if path.is_dir():
        raise MediaError(f"{path} is a folder, not a picture", path=path)
    if not path.exists():
        raise MediaError(f"there is no file {path}", path=path)
    if path.stat().st_size == 0:
        raise MediaError(
            f"{path} is empty (0 bytes): it was never written, or its copy failed; fetch it again", path=path
        )
    hints = oiio.ImageSpec()
    hints["oiio:UnassociatedAlpha"] = 1
    source = oiio.ImageInput.open(str(path), hints)
    if source is None:
        raise MediaError(
            f"{path} cannot be read as a picture: {oiio.geterror()}; name a picture, or copy it again", path=path
        )
    return source


def _header(source: Any, path: Path) -> _Header:
    spec = source.spec()
    kind = str(spec.format)
    if kind not in _BITS:
        raise MediaError(f"{path} stores {kind} samples; expected one of {', '.join(_BITS)}: convert it", path=path)
    if spec.deep:
        raise MediaError(f"{path} is a deep picture; flatten it first", path=path)
    names = [name.upper() for name in spec.channelnames]
    if all(name in names for name in _COLOR_CHANNELS):
        places, model = [names.index(name) for name in _COLOR_CHANNELS], "rgb"
    elif "Y" in names or len(names) in {1, 2}:
        places, model = [names.index("Y") if "Y" in names else 0], "gray"
    else:
        raise MediaError(f"{path} has the channels {', '.join(spec.channelnames)}; expected gray or R, G, B", path=path)
    has_alpha = "A" in names and names.index("A") not in places
    if has_alpha:
        places.append(names.index("A"))
    layout = PixelLayout(
        f"{model}{'a' * has_alpha} {kind}",
        "rgb" if model == "rgb" else "gray",
        _BITS[kind],
        is_float=kind in {"half", "float"},
        has_alpha=has_alpha,
    )
    return _Header(spec, tuple(places), layout)


def _plate_info(codec: str, header: _Header, path: Path) -> PlateInfo:
    spec = header.spec
    orientation = spec.get_int_attribute("Orientation", 1)
    if orientation not in _TURNS:
        raise MediaError(
            f"{path} is stored mirrored (EXIF orientation {orientation}); save it upright first", path=path
        )
    rotation = _TURNS[orientation]
    width, height = (spec.width, spec.height) if rotation % 180 == 0 else (spec.height, spec.width)
    transfer = Transfer.LINEAR if codec == "openexr" else Transfer.UNSPECIFIED
    return PlateInfo(
        path=path,
        width=width,
        height=height,
        layout=header.layout,
        tags=ColorTags(transfer=transfer, matrix=Matrix.RGB, range=Range.FULL),
        first=1,
        count=1,
        rate=_RATE,
        codec=codec,
        pixel_aspect=Fraction(spec.get_float_attribute("PixelAspectRatio", 1.0)).limit_denominator(10_000),
        rotation=rotation,
    )


def _samples(path: Path, header: _Header) -> NDArray[Any]:
    """`(H, W, C)` samples in the file's own type, channels in the layout's order."""
    source = _opened(path)
    try:
        pixels = source.read_image(header.spec.format)
        # A cut JPEG still gives an array, its rest grey; only the message tells.
        reason = source.geterror()
        if pixels is None or reason:
            raise TruncatedPlate(f"{path} is damaged or cut off: {reason}; copy it again", path=path, frame=1)
    finally:
        source.close()
    stored: NDArray[Any] = np.asarray(pixels).reshape(header.spec.height, header.spec.width, -1)
    return stored[:, :, list(header.places)] if header.places != tuple(range(stored.shape[2])) else stored
