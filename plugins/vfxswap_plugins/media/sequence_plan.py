"""An image sequence's delivery, decided and checked before anything is opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from pydantic import Field

from vfxswap.clock import Timecode
from vfxswap.color import ColorTags, PixelLayout
from vfxswap.errors import MediaError, UsageError
from vfxswap.files import FramePattern
from vfxswap.frame import Frame, Picture
from vfxswap.layers import LayerOrder
from vfxswap.media import DeliveryOptions, PlateInfo
from vfxswap_plugins.media.convert import converted, same_samples
from vfxswap_plugins.media.exr_layers import layers_of, with_channels, with_parts
from vfxswap_plugins.media.exr_read import ExrPicture
from vfxswap_plugins.media.exr_write import INSTEAD, LOSSLESS, ExrCompression, encoded_like, encoded_new, with_rate
from vfxswap_plugins.media.movie_header import stored_size
from vfxswap_plugins.media.oiio_file import OiioPicture, new_header, write_oiio
from vfxswap_plugins.media.pending_file import folder_problems
from vfxswap_plugins.media.smpte import packed
from vfxswap_plugins.media.tags import delivered_tags

_BITS = {".dpx": (8, 10, 12, 16), ".tif": (8, 16, 32), ".tiff": (8, 16, 32), ".png": (8, 16), ".exr": (16, 32)}
"""Bits of a sample that each format stores; 32 is float, and all of an EXR is."""
SUFFIXES = frozenset(_BITS)
"""Suffixes of sequences that can be written."""
_KINDS = {".tiff": ".tif"}
"""Suffixes that mean another one."""
_TIFF_COMPRESSIONS = ("none", "lzw", "zip", "packbits")
_MORE_BITS = 2
"""R'G'B' needs so many bits more than the Y'CbCr that it is made of to keep its steps apart."""


class SequenceOptions(DeliveryOptions):
    """Settings of an image sequence."""

    compression: ExrCompression | Literal["lzw", "packbits"] | None = Field(
        default=None,
        description="Compression of an EXR, or of a TIFF (none, lzw, zip or packbits). By default the plate's own where"
        " that loses nothing, else a lossless one, which the report says; zips for a new EXR, zip for a new TIFF.",
    )
    bits: Literal[8, 10, 12, 16] | None = Field(
        default=None,
        description="Bits of a sample of a DPX (8, 10, 12, 16), PNG or TIFF (8, 16). By default the plate's; more where"
        " the format has not as few, or where the plate is Y'CbCr.",
    )
    threads: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Files written at once; 0 takes as many as there are cores, at most 16 and 1 GiB of pictures."
        " No bit depends on it.",
    )


@dataclass(frozen=True, slots=True)
class SequencePlan:
    """What is going to be written."""

    kind: str
    """Suffix that names the format."""
    layout: PixelLayout
    """How colours are stored."""
    tags: ColorTags
    """What their numbers mean."""
    is_native: bool
    """Whether files of the plate can be taken along."""
    compression: str | None
    """Name of the compression; None is the plate's own."""
    like: PlateInfo
    plate_tags: ColorTags
    timecode: Timecode | None
    """Of the plate's first frame."""

    def check(self, frame: Frame) -> None:
        """Whether a picture fits.

        Raises:
            MediaError: It has another size than the plate.
        """
        picture, size = frame.picture, stored_size(self.like)
        if (picture.width, picture.height) != size:
            raise MediaError(
                f"frame {frame.number} is {picture.width}x{picture.height}, the delivery was begun as"
                f" {size[0]}x{size[1]}",
                frame=frame.number,
            )

    def save(self, frame: Frame, path: Path, *, name: str, order: LayerOrder) -> None:
        """Writes a frame's picture, and its layers where they belong into the same file.

        Args:
            frame: Its picture, number and layers.
            path: The file to write; ends with the format's suffix.
            name: The name that the file will have.
            order: The layers.

        Raises:
            MediaError: The library refuses it; says why, but not which file.
            OSError: The disk does.
        """
        picture = frame.picture
        if self.kind == ".exr":
            try:
                path.write_bytes(self._with_layers(self._exr(picture, frame.number), frame, order))
            except RuntimeError as error:
                raise MediaError(str(error), path=path, frame=frame.number) from error
            return
        if not (self.is_native and isinstance(picture, OiioPicture)):
            picture = self._made(picture, frame.number)
        rate = self.like.rate if self.like.rate_from == "pipeline" else None
        write_oiio(path, picture, name=name, compression=self.compression, rate=rate)

    def _exr(self, picture: Picture, number: int) -> bytes:
        if self.is_native and isinstance(picture, ExrPicture):
            data = encoded_like(picture, self.compression)
            return with_rate(data, self.like.rate) if self.like.rate_from == "pipeline" else data
        code = self._code(number)
        return encoded_new(
            picture,
            self.tags,
            self.compression or INSTEAD,
            rate=self.like.stated_rate,
            timecode=None if code is None else str(code),
            aspect=self.like.pixel_aspect,
        )

    def _code(self, number: int) -> Timecode | None:
        """The timecode of a frame."""
        return None if self.timecode is None else self.timecode + (number - self.like.first)

    def _with_layers(self, data: bytes, frame: Frame, order: LayerOrder) -> bytes:
        if not order.names or order.stored == "files":
            return data
        picture = frame.picture
        part = picture.file.place.part if self.is_native and isinstance(picture, ExrPicture) else 0
        put_in = with_channels if order.stored == "channels" else with_parts
        return put_in(data, part, layers_of(frame, order))

    def _made(self, picture: Picture, number: int) -> OiioPicture:
        """A picture under a header of its own, in the delivery's layout."""
        planes = picture.planes
        if not (self.layout.is_float or same_samples(picture.layout, self.plate_tags, self.layout, self.tags)):
            planes = tuple(converted(planes, picture.layout, self.plate_tags, self.layout, self.tags))
        like = self.like
        header = new_header(
            self.layout,
            picture.width,
            picture.height,
            rate=like.stated_rate,
            timecode=self._code(number),
            aspect=like.pixel_aspect,
            orientation=like.rotation,
        )
        kind = np.float32 if self.layout.is_float else np.uint8 if self.layout.bits == 8 else np.uint16
        return OiioPicture(np.stack(planes, axis=-1).astype(kind, copy=False), header, self.tags)


def planned(path: Path, options: SequenceOptions, like: PlateInfo, tags: ColorTags) -> SequencePlan:
    """Decides on layout and compression; nothing of `problems` may stand in the way."""
    kind = _kind(path)
    model: Literal["rgb", "gray"] = "gray" if like.layout.model == "gray" else "rgb"
    bits = _bits(kind, options, like.layout)
    layout = PixelLayout(
        f"{model}{'a' * like.layout.has_alpha} {bits}",
        model,
        bits,
        is_float=like.layout.is_float,
        has_alpha=like.layout.has_alpha,
    )
    is_native = _kind(like.path) == kind and bits == like.layout.bits
    return SequencePlan(
        kind=kind,
        layout=layout,
        tags=delivered_tags(tags, like.layout, layout, full_range=True),
        is_native=is_native,
        compression=_compression(kind, options, like, is_native=is_native),
        like=like,
        plate_tags=tags,
        timecode=_timecode(like)[0],
    )


def problems(path: Path, options: SequenceOptions, like: PlateInfo, tags: ColorTags) -> list[str]:
    """What is wrong with a delivery, in words that say what to do; empty if nothing is."""
    kind = _kind(path)
    if kind not in _BITS:
        return [f"a sequence cannot be written as {path.suffix!r}; allowed: {', '.join(sorted(SUFFIXES))}"]
    try:
        pattern = FramePattern(path)
    except UsageError as error:
        return [str(error)]
    found = [*folder_problems(path), *_option_problems(kind, options), *_layout_problems(kind, like, tags)]
    if like.count > 1 and not pattern.is_numbered:
        found.append(f"{path.name} has no place for the frame number; write {path.stem}.####{path.suffix}")
    if like.interlaced:
        found.append("the plate is interlaced, and its fields would be taken for whole frames; de-interlace it first")
    return found


def layer_problems(path: Path, options: SequenceOptions | None, order: LayerOrder, like: PlateInfo | None) -> list[str]:
    """Why layers cannot be stored as asked, in words that say what to do; empty if they can."""
    if order.stored == "files":
        return []
    kind, advice = _kind(path), 'write layers_as = "files"'
    if kind != ".exr":
        return [f"only an EXR holds layers as {order.stored}, and this is a {kind}; {advice}"]
    found = []
    if options is not None and order.stored == "channels" and options.compression not in {None, *LOSSLESS}:
        found.append(f"{options.compression} would damage them, as channels of one part are compressed alike; {advice}")
    if like is not None and _kind(like.path) == kind:
        there = {word.rpartition(" ")[0] for part in like.channels.split(" | ") for word in part.split(", ")}
        taken = sorted(there & {channel for name in order.names for channel in order.channels(name)})
        if taken:
            found.append(f"the plate has the channels {', '.join(taken)} already; {advice}, or leave layers out")
    return found


def remarks(path: Path, options: SequenceOptions, like: PlateInfo, tags: ColorTags) -> list[str]:
    """What the report shall say of a delivery."""
    plan = planned(path, options, like, tags)
    found = []
    own = like.codec.rpartition(" ")[2]
    if plan.kind == ".exr" and options.compression not in {None, *LOSSLESS}:
        found.append(f"{options.compression} was asked for: no pixel keeps its bits, inside the matte or outside")
    elif plan.kind == ".exr" and plan.is_native and options.compression is None and own not in LOSSLESS:
        found.append(f"the plate is compressed by {own}, which loses with each writing; written as {INSTEAD}")
    elif plan.is_native and options.compression is None and own == "jpeg":
        found.append("the plate is compressed by jpeg, which loses with each writing; written as zip")
    if not plan.is_native and (problem := _timecode(like)[1]):
        found.append(f"the plate's timecode is not carried to frames that are written anew: {problem}")
    return found


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    return _KINDS.get(suffix, suffix)


def _bits(kind: str, options: SequenceOptions, plate: PixelLayout) -> int:
    if plate.is_float:
        return plate.bits if kind == ".exr" else 32
    if options.bits is not None:
        return options.bits
    least = plate.bits + (_MORE_BITS if plate.model == "ycbcr" else 0)
    return next((bits for bits in _BITS[kind] if bits >= least), 16)


def _compression(kind: str, options: SequenceOptions, like: PlateInfo, *, is_native: bool) -> str | None:
    if options.compression is not None or kind != ".tif":
        return options.compression
    return None if is_native and not like.codec.endswith(" jpeg") else "zip"


def _timecode(like: PlateInfo) -> tuple[Timecode | None, str | None]:
    """The plate's timecode, and why it cannot be had in a header."""
    if like.timecode is None:
        return None, None
    if like.rate_from == "nobody":
        return None, "nobody says the plate's rate; state [shot] rate"
    try:
        code = Timecode.parse(like.timecode, like.rate)
        packed(code)
    except UsageError as error:
        return None, str(error)
    return code, None


def _option_problems(kind: str, options: SequenceOptions) -> Iterator[str]:
    allowed = {".exr": get_args(ExrCompression), ".tif": _TIFF_COMPRESSIONS}.get(kind, ())
    if options.compression is not None and options.compression not in allowed:
        words = f"takes {', '.join(allowed)}" if allowed else "has no compression to choose; leave it out"
        yield f"compression {options.compression!r} does not go with {kind}, which {words}"
    if options.bits is not None and (kind == ".exr" or options.bits not in _BITS[kind]):
        words = "takes the plate's half or float" if kind == ".exr" else f"takes {', '.join(map(str, _BITS[kind]))}"
        yield f"bits = {options.bits} does not go with {kind}, which {words}"


def _layout_problems(kind: str, like: PlateInfo, tags: ColorTags) -> Iterator[str]:
    layout = like.layout
    if kind == ".exr" and not layout.is_float:
        yield (
            f"the plate's {layout.name} is for a display and an EXR is scene-linear: that needs a colour transform,"
            " which is not made on the way out; write .dpx, .tif, .png or a movie"
        )
    if layout.is_float and kind not in {".exr", ".tif"}:
        yield (
            f"the plate's {layout.name} is not clipped and {kind} would be: that needs a view transform, which is not"
            " made into a sequence; write .exr, .tif in float, or a movie with display and view"
        )
    if layout.is_float and layout.model == "ycbcr":
        yield f"the plate's {layout.name} is Y'CbCr in float, which no sequence stores; write a movie"
    if tags.range.name == "UNSPECIFIED":
        yield "the plate's range is not known; state [shot] color_space"
