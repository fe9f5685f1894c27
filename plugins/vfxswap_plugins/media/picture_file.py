"""One picture's file, whichever library reads its format."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from vfxswap.errors import MediaError
from vfxswap.frame import Picture
from vfxswap.geometry import Box
from vfxswap.media import PlateInfo
from vfxswap_plugins.media.exr_read import describe_exr, read_exr
from vfxswap_plugins.media.oiio_file import describe_oiio, read_oiio
from vfxswap_plugins.media.stored import Stored

SUFFIXES = frozenset({".exr", ".dpx", ".tif", ".tiff", ".png", ".jpg", ".jpeg"})
"""File suffixes that are taken for a picture's."""
_RATE = Fraction(24)
"""Of pictures that say no rate: one is demanded of every plate."""


def describe(path: Path, layer: str | None = None) -> Stored:
    """Reads the header of a picture.

    Args:
        path: The file.
        layer: Which of its pictures, by name; None is the main one.

    Raises:
        MediaError: There is no such file, or it is no picture that can be read; says what it is.
    """
    if path.suffix.lower() != ".exr":
        if layer is not None:
            raise MediaError(f"{path} has no layers to choose from; leave [shot] layer out", path=path)
        return describe_oiio(path)
    if path.is_dir():
        raise MediaError(f"{path} is a folder, not a picture", path=path)
    try:
        if path.stat().st_size == 0:
            raise MediaError(
                f"{path} is empty (0 bytes): it was never written, or its copy failed; fetch it again", path=path
            )
        return describe_exr(path, layer)
    except FileNotFoundError as error:
        raise MediaError(f"there is no file {path}", path=path) from error
    except OSError as error:
        raise MediaError(f"cannot read {path}: {error.strerror or error}", path=path) from error


def read(path: Path, like: Stored, *, frame: int, window: Box | None = None) -> Picture:
    """Reads a picture; its samples are read-only.

    Args:
        path: The file.
        like: What it must be like: what `describe` says of it, or of the sequence's first file.
        frame: Its number, for messages.
        window: Part of an EXR's plane that is wanted; None is its data window.

    Raises:
        TruncatedPlate: It is damaged or cut off.
        MediaError: It cannot be read any more, or is not what it must be.
    """
    if path.suffix.lower() == ".exr":
        return read_exr(path, like, frame=frame, window=window)
    return read_oiio(path, like, frame=frame)


def info_of(path: Path, stored: Stored, *, first: int, count: int) -> PlateInfo:
    """The header of a plate whose pictures are files.

    Args:
        path: The file, or the sequence's pattern.
        stored: Of its first picture.
        first: Number of the first frame.
        count: From the first to the last frame.
    """
    width, height = stored.upright_size
    return PlateInfo(
        path=path,
        width=width,
        height=height,
        layout=stored.layout,
        tags=stored.tags,
        first=first,
        count=count,
        rate=stored.rate or _RATE,
        rate_from="file" if stored.rate else "nobody",
        timecode=stored.timecode,
        reel=stored.reel,
        codec=stored.codec,
        pixel_aspect=stored.pixel_aspect,
        rotation=stored.rotation,
        metadata=stored.metadata,
        display=stored.display,
        channels=stored.channels,
        layers=stored.layers,
        layer=stored.layer,
    )
