"""OpenEXR files, read by OpenEXR's own library: every channel of every part in its own type, and the head as it is."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import OpenEXR

from vfxswap.color import SPACES, ColorTags, Matrix, PixelLayout, Range, Transfer
from vfxswap.errors import MediaError, TruncatedPlate
from vfxswap.frame import Picture, Plane
from vfxswap.geometry import Box
from vfxswap_plugins.media.exr_chunks import PartChunks, chunks_of, part_alone
from vfxswap_plugins.media.exr_header import (
    COMPRESSIONS,
    DamagedExr,
    ExrChannel,
    ExrHead,
    PartHead,
    attributes_of,
    read_head,
)
from vfxswap_plugins.media.stored import Stored

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
_BITS = {"half": 16, "float": 32}


class Place(NamedTuple):
    """Where a file keeps the colours that are worked on."""

    part: int
    names: tuple[str, ...]
    """Channels in the layout's order."""


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
        planes: Stand in for the file's own; by default these.
        layout: How to read them.
        tags: What their numbers mean.
    """

    def __init__(
        self, file: ExrFile, layout: PixelLayout, tags: ColorTags, planes: Sequence[Plane] | None = None
    ) -> None:
        channels = file.own[1]
        super().__init__([channels[n].pixels for n in file.place.names] if planes is None else planes, layout, tags)
        self.file = file

    def copy(self) -> ExrPicture:
        """A picture with its own, writable colours; all else of the file is shared."""
        return ExrPicture(self.file, self.layout, self.tags, [plane.copy() for plane in self.planes])


def describe_exr(path: Path) -> Stored:
    """Reads the head of a file.

    Raises:
        MediaError: It is no OpenEXR file, or one that cannot be rewritten as it is; says what to do.
    """
    head = _head_of(path)
    place, layout = _colors(head, path)
    part = head.parts[place.part]
    try:
        data, display = part.window("dataWindow"), part.window("displayWindow")
    except DamagedExr as error:
        raise _damaged(path, error) from error
    seen = Box(display.x0 - data.x0, display.y0 - data.y0, display.x1 - data.x0, display.y1 - data.y0)
    aspect = (part.numbers("pixelAspectRatio", "f") or (1.0,))[0]
    return Stored(
        width=data.width,
        height=data.height,
        layout=layout,
        tags=_tags(part.text("colorInteropID")),
        codec=f"exr {part.compression}",
        channels=_in_words(head),
        pixel_aspect=Fraction(aspect).limit_denominator(10_000)
        if math.isfinite(aspect) and aspect > 0
        else Fraction(1),
        display=None if seen == Box(0, 0, data.width, data.height) else seen,
        rate=_rate(part),
        timecode=_timecode(part),
        reel=part.text("reelName"),
        metadata={
            each.name.decode("latin-1"): part.text(each.name.decode("latin-1")) or ""
            for index, each in attributes_of(head)
            if index == place.part and each.kind == b"string"
        },
    )


def read_exr(path: Path, stored: Stored, *, frame: int) -> ExrPicture:
    """Reads a file.

    Args:
        path: The file.
        stored: What `describe_exr` says of it.
        frame: Its number, for messages.

    Raises:
        TruncatedPlate: It is damaged or cut off.
        MediaError: It cannot be read at all, or its head changed since.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MediaError(f"cannot read {path}: {error.strerror or error}", path=path, frame=frame) from error
    try:
        head, start = read_head(data)
        place, _ = _colors(head, path)
        chunks = chunks_of(data, start, head)
        own = decoded(part_alone(data, head, chunks, place.part))
    except (DamagedExr, RuntimeError, ValueError) as error:
        raise _damaged(path, error, frame=frame) from error
    return ExrPicture(ExrFile(path, data, head, start, chunks, place, own), stored.layout, stored.tags)


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


def _colors(head: ExrHead, path: Path) -> tuple[Place, PixelLayout]:
    """Where the colours are, and how they are stored; refuses what could not be written back unchanged."""
    if head.is_deep:
        raise _refused(path, "is deep; flatten it first (in Nuke: DeepToImage)")
    for part in head.parts:
        _check_part(part, path)
    found = list(_candidates(head))
    plain = [each for each in found if "." not in each.names[0]] or found
    if not plain:
        names = ", ".join(channel.name for part in head.parts for channel in part.channels)
        raise _refused(path, f"has the channels {names}; expected R, G and B, or Y")
    if "." in plain[0].names[0] and len(plain) > 1:
        layers = ", ".join(each.names[0].rpartition(".")[0] for each in plain)
        raise _refused(path, f"has the layers {layers}, and none of them is the picture; write it to R, G and B")
    return _with_alpha(plain[0], head.parts[plain[0].part], path)


def _check_part(part: PartHead, path: Path) -> None:
    if part.compression not in COMPRESSIONS:
        raise _refused(path, f"is compressed by a method that is not known ({part.compression}); write it as ZIP")
    names = {channel.name.rpartition(".")[2] for channel in part.channels}
    if {"RY", "BY"} & names or any(channel.step != (1, 1) for channel in part.channels):
        raise _refused(
            path,
            "stores luminance and chroma, or channels of less pixels than others, which cannot be changed without a"
            " loss elsewhere; write it as R, G and B",
        )
    tiles = part.value("tiles")
    if tiles is not None and len(tiles) == 9 and tiles[8] & 0xF:
        raise _refused(path, "holds smaller copies of itself (mipmaps), as textures do; write it with one level")


def _candidates(head: ExrHead) -> Iterator[Place]:
    """The places of R, G and B, or else of Y, each layer and part."""
    for wanted in (("R", "G", "B"), ("Y",)):
        found = False
        for index, part in enumerate(head.parts):
            names = {channel.name.upper(): channel.name for channel in part.channels}
            for prefix in dict.fromkeys(name.rpartition(".")[0] for name in names):
                full = [f"{prefix}.{letter}" if prefix else letter for letter in wanted]
                if all(name in names for name in full):
                    found = True
                    yield Place(index, tuple(names[name] for name in full))
        if found:
            return


def _with_alpha(place: Place, part: PartHead, path: Path) -> tuple[Place, PixelLayout]:
    samples = {channel.name: channel.sample for channel in part.channels}
    kinds = {samples[name] for name in place.names}
    if len(kinds) > 1 or not kinds <= _BITS.keys():
        raise _refused(
            path,
            f"stores {', '.join(place.names)} as {', '.join(sorted(kinds))}; expected all as half, or all as float",
        )
    (kind,) = kinds
    prefix, dot, _ = place.names[0].rpartition(".")
    alpha = next((name for name in samples if name.upper() == f"{prefix}{dot}A".upper()), None)
    has_alpha = alpha is not None and samples[alpha] == kind
    model = "rgb" if len(place.names) == 3 else "gray"
    layout = PixelLayout(
        f"{model}{'a' * has_alpha} {kind}",
        "rgb" if model == "rgb" else "gray",
        _BITS[kind],
        is_float=True,
        has_alpha=has_alpha,
    )
    return (place._replace(names=(*place.names, alpha)) if alpha is not None and has_alpha else place), layout


def _refused(path: Path, what: str) -> MediaError:
    return MediaError(f"{path} {what}", path=path)


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


def _rate(part: PartHead) -> Fraction | None:
    found = part.numbers("framesPerSecond", "iI")
    if found is None or found[0] <= 0 or found[1] == 0:
        return None
    return Fraction(int(found[0]), int(found[1]))


def _timecode(part: PartHead) -> str | None:
    """The packing of SMPTE ST 12-1 for television at 60 fields, as `ImfTimeCode.h` describes it."""
    found = part.numbers("timeCode", "2I")
    if found is None:
        return None
    word = int(found[0])
    frame, second, minute, hour = (
        (word >> shift & 0xF) + 10 * (word >> shift + 4 & tens) for shift, tens in ((0, 3), (8, 7), (16, 7), (24, 3))
    )
    return f"{hour:02d}:{minute:02d}:{second:02d}{';' if word >> 6 & 1 else ':'}{frame:02d}"


def same_samples(one: Plane, other: Plane) -> bool:
    """Whether two planes hold the same bits, not-a-number included."""
    return one.dtype == other.dtype and np.array_equal(one.view(f"u{one.itemsize}"), other.view(f"u{other.itemsize}"))
