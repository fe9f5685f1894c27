"""OpenEXR files, read by OpenEXR's own library: every channel of every part in its own type, and the head as it is."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR

from vfxswap.color import SPACES, ColorTags, Matrix, PixelLayout, Range, Transfer
from vfxswap.errors import MediaError, TruncatedPlate
from vfxswap.frame import Picture, Plane
from vfxswap.geometry import Box
from vfxswap_plugins.media.exr_chunks import PartChunks, chunks_of, part_alone
from vfxswap_plugins.media.exr_header import (
    DamagedExr,
    ExrChannel,
    ExrHead,
    PartHead,
    attributes_of,
    read_head,
)
from vfxswap_plugins.media.exr_places import Place, find_picture
from vfxswap_plugins.media.smpte import unpacked
from vfxswap_plugins.media.stored import Stored, window_within

_HEAD_BYTES = 1 << 16
"""Read first of a file whose head alone is wanted; most heads are smaller."""
_INTEROP = {
    "lin_ap1_scene": "ACEScg",
    "lin_ap0_scene": "ACES2065-1",
    "lin_rec709_scene": "Linear Rec.709 (sRGB)",
    "lin_p3d65_scene": "Linear P3-D65",
    "lin_rec2020_scene": "Linear Rec.2020",
    "srgb_rec709_scene": "srgb",
}
"""Values of `colorInteropID` (Color Interop Forum), as spaces of `vfxswap.color`."""

DecodedPart = tuple[Mapping[str, Any], Mapping[str, Any]]
"""The library's own header and channels; nobody changes them."""


@dataclass(frozen=True, slots=True, eq=False)
class ExrFile:
    """All that one file holds: the part of its picture decoded, the others as they are stored."""

    path: Path
    data: bytes
    """The file, whole."""
    head: ExrHead
    """As it stands in the file."""
    start: int
    """Bytes of the head."""
    chunks: tuple[PartChunks, ...]
    """Where the pixels of each part are."""
    place: Place
    """The picture's colours."""
    own: DecodedPart
    """The part that the picture is in."""

    @property
    def parts(self) -> tuple[DecodedPart, ...]:
        """All parts, decoded.

        Raises:
            MediaError: One of them is damaged.
        """
        return tuple(self.own if i == self.place.part else self._decoded(i) for i in range(len(self.head.parts)))

    def _decoded(self, index: int) -> DecodedPart:
        try:
            return decoded(part_alone(self.data, self.head, self.chunks, index))
        except (DamagedExr, RuntimeError, ValueError) as error:
            raise _damaged(self.path, error) from error


class ExrPicture(Picture):
    """The colours of an EXR, with the rest of its file.

    Args:
        file: What was read.
        layout: How to read its colours.
        tags: What their numbers mean.
        window: Part of the file's plane that the picture is, black where the file has no pixels; None is the file's own
            data window.
        planes: Stand in for the file's own; by default these.
    """

    def __init__(
        self,
        file: ExrFile,
        layout: PixelLayout,
        tags: ColorTags,
        *,
        window: Box | None = None,
        planes: Sequence[Plane] | None = None,
    ) -> None:
        data = file.head.parts[file.place.part].window("dataWindow")
        inner = None if window is None else window_within(data, window)
        if planes is None:
            own = [file.own[1][name].pixels for name in file.place.names]
            planes = own if window is None or inner is None else [_padded(plane, window, inner) for plane in own]
        super().__init__(planes, layout, tags)
        self.file, self.window = file, window
        self.inner = Box(0, 0, data.width, data.height) if inner is None else inner
        """Where the file's own pixels lie in the picture."""

    @property
    def own_planes(self) -> Mapping[str, Plane]:
        """The colours of the file's own pixels, by channel."""
        x0, y0, x1, y1 = self.inner
        planes = zip(self.file.place.names, self.planes, strict=True)
        return {name: plane if plane.shape == (y1, x1) else plane[y0:y1, x0:x1] for name, plane in planes}

    def copy(self) -> ExrPicture:
        """A picture with its own, writable colours; all else of the file is shared."""
        planes = [plane.copy() for plane in self.planes]
        return ExrPicture(self.file, self.layout, self.tags, window=self.window, planes=planes)


def _padded(plane: Plane, window: Box, inner: Box) -> Plane:
    whole = np.zeros((window.height, window.width), dtype=plane.dtype)
    whole[inner.y0 : inner.y1, inner.x0 : inner.x1] = plane
    whole.flags.writeable = False
    return whole


def describe_exr(path: Path, layer: str | None = None) -> Stored:
    """Reads the head of a file.

    Args:
        path: The file.
        layer: Name of a layer, a view or a part; None is the file's main picture.

    Raises:
        MediaError: It is no OpenEXR file, or one that cannot be rewritten as it is; says what to do.
    """
    return _stored(_head_of(path), path, layer)


def _stored(head: ExrHead, path: Path, layer: str | None) -> Stored:
    found = find_picture(head, path, layer)
    part = head.parts[found.place.part]
    try:
        data, display = part.window("dataWindow"), part.window("displayWindow")
    except DamagedExr as error:
        raise _damaged(path, error) from error
    aspect = (part.numbers("pixelAspectRatio", "f") or (1.0,))[0]
    word = _code_word(part)
    return Stored(
        path=path,
        width=data.width,
        height=data.height,
        layout=found.layout,
        tags=_tags(part.text("colorInteropID")),
        codec=f"exr {part.compression}",
        channels=_in_words(head),
        pixel_aspect=Fraction(aspect).limit_denominator(10_000)
        if math.isfinite(aspect) and aspect > 0
        else Fraction(1),
        data=data,
        canvas=display,
        layer=found.layer,
        layers=found.layers,
        rate=part.rate,
        timecode=None if word is None else unpacked(word, part.rate),
        code_word=word,
        reel=part.text("reelName"),
        metadata={
            each.name.decode("latin-1"): part.text(each.name.decode("latin-1")) or ""
            for index, each in attributes_of(head)
            if index == found.place.part and each.kind == b"string"
        },
    )


def read_exr(path: Path, like: Stored, *, frame: int, window: Box | None = None) -> ExrPicture:
    """Reads a file.

    Args:
        path: The file.
        like: What it must be like: what `describe_exr` says of it, or of the sequence's first file.
        frame: Its number, for messages.
        window: Part of the file's plane that is wanted; None is its data window.

    Raises:
        TruncatedPlate: It is damaged or cut off.
        MediaError: It cannot be read at all, or is not what it must be.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MediaError(f"cannot read {path}: {error.strerror or error}", path=path, frame=frame) from error
    try:
        head, start = read_head(data)
        layer = None if like.layer == like.layers[0] else like.layer
        _stored(head, path, layer).check(like, frame=frame)
        place = find_picture(head, path, layer).place
        chunks = chunks_of(data, start, head)
        own = decoded(part_alone(data, head, chunks, place.part))
    except (DamagedExr, RuntimeError, ValueError) as error:
        raise _damaged(path, error, frame=frame) from error
    return ExrPicture(ExrFile(path, data, head, start, chunks, place, own), like.layout, like.tags, window=window)


def decoded(data: bytes) -> DecodedPart:
    """Decodes a file of one part.

    Raises:
        DamagedExr: The library cannot decode its pixels; it says so by leaving out the part.
        RuntimeError: Likewise; it says so.
    """
    opened = OpenEXR.File(io.BytesIO(data), separate_channels=True)
    if len(opened.parts) != 1:
        raise DamagedExr("some of its pixels are missing or cannot be decoded")
    channels = opened.channels(0)
    for channel in channels.values():
        channel.pixels.flags.writeable = False
    return opened.header(0), channels


def _damaged(path: Path, why: object, *, frame: int | None = None) -> MediaError:
    message = f"{path} is damaged or cut off: {why}; copy it again"
    return MediaError(message, path=path) if frame is None else TruncatedPlate(message, path=path, frame=frame)


def _head_of(path: Path) -> ExrHead:
    size = path.stat().st_size
    wanted = _HEAD_BYTES
    with path.open("rb") as file:
        while True:
            file.seek(0)
            try:
                return read_head(file.read(wanted))[0]
            except DamagedExr as error:
                if wanted >= size:
                    raise MediaError(
                        f"{path} cannot be read as a picture: {error}; name a picture, or copy it again", path=path
                    ) from error
            wanted *= 8


def _in_words(head: ExrHead) -> str:
    parts = (_listed(part.channels) for part in head.parts)
    return " | ".join(parts)


def _listed(channels: Sequence[ExrChannel]) -> str:
    return ", ".join(f"{channel.name} {channel.sample}" for channel in channels)


def _tags(interop: str | None) -> ColorTags:
    space = SPACES.get(_INTEROP.get(interop or "", ""))
    if space is None:
        return ColorTags(transfer=Transfer.LINEAR, matrix=Matrix.RGB, range=Range.FULL)
    return ColorTags(space.primaries, space.transfer, Matrix.RGB, Range.FULL)


def _code_word(part: PartHead) -> int | None:
    found = part.numbers("timeCode", "2I")
    return None if found is None else int(found[0])


def same_samples(one: Plane, other: Plane) -> bool:
    """Whether two planes hold the same bits, not-a-number included."""
    return one.dtype == other.dtype and np.array_equal(one.view(f"u{one.itemsize}"), other.view(f"u{other.itemsize}"))
