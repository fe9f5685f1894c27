"""DPX, TIFF, PNG and JPEG by OpenImageIO: samples in the file's own type, with the file's own header."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the name that its own documentation uses
from numpy.typing import NDArray

from vfxswap.clock import Timecode, exact_rate
from vfxswap.color import ColorTags, Matrix, PixelLayout, Range
from vfxswap.errors import MediaError, TruncatedPlate
from vfxswap.frame import Picture
from vfxswap_plugins.media.smpte import packed, unpacked
from vfxswap_plugins.media.stored import Stored

_BITS = {"uint8": 8, "uint16": 16, "half": 16, "float": 32}
"""Sample types that are kept as they are, by OpenImageIO's names."""
_TURNS = {1: 0, 3: 180, 6: 90, 8: 270}
"""EXIF 2.32 tag 0x0112: the orientations that are not mirrored, in clockwise degrees for display."""
_COLORS = ("R", "G", "B")
_RATES = ("FramesPerSecond", "dpx:FrameRate", "dpx:FramesPerSecond")
_PARTIAL = frozenset({10, 12, 14})
"""Bits of samples that OpenImageIO gives in 16-bit words, their upper bits repeated below."""
_DPX_NAME = slice(36, 136)
"""Bytes of a DPX header that hold the file's own name (SMPTE 268M, field 4)."""


_DPX_FILM = (
    1920,
    "smpte:KeyCode FilmEdgeCode Format FramePosition SequenceLength HeldCount FrameRate ShutterAngle FrameId SlateInfo",
)
_DPX_TELEVISION = (
    2048,
    "smpte:TimeCode TimeCode UserBits Interlace FieldNumber HorizontalSampleRate"
    " VerticalSampleRate TemporalFrameRate TimeOffset BlackLevel BlackGain BreakPoint WhiteLevel Signal"
    " IntegrationTimes Gamma",
)
"""Where two parts of a DPX header end (SMPTE 268M), and what the library reads there."""


@dataclass(frozen=True, slots=True, eq=False)
class OiioHeader:
    """What is needed to write a file like another."""

    spec: Any
    """The library's own header."""
    places: tuple[int, ...]
    """Index in the file of each channel of the layout."""
    layout: PixelLayout
    """How colour and alpha are stored."""

    @property
    def spare_bits(self) -> int:
        """How far the significant bits lie above the library's words' end."""
        return 16 - self.layout.bits if self.layout.bits in _PARTIAL else 0


class OiioPicture(Picture):
    """The colours of a picture, with its file's other channels and header.

    Args:
        samples: `(H, W, C)` all channels of the file, in its order.
        header: Of the file.
        tags: What its numbers mean.
    """

    def __init__(self, samples: NDArray[Any], header: OiioHeader, tags: ColorTags) -> None:
        super().__init__([samples[:, :, place] for place in header.places], header.layout, tags)
        self.samples, self.header = samples, header

    def copy(self) -> OiioPicture:
        """A picture with its own, writable samples."""
        return OiioPicture(self.samples.copy(), self.header, self.tags)


def describe_oiio(path: Path) -> Stored:
    """Reads the header of a file.

    Raises:
        MediaError: It is no picture, or of a kind that is not supported; says what to do.
    """
    source = _opened(path)
    try:
        header = _header(_spec(source, path), path)
        return _stored(source.format_name(), header, path)
    finally:
        source.close()


def read_oiio(path: Path, like: Stored, *, frame: int) -> OiioPicture:
    """Reads a file.

    Args:
        path: The file.
        like: What it must be like: what `describe_oiio` says of it, or of the sequence's first file.
        frame: Its number, for messages.

    Raises:
        TruncatedPlate: It ends before its last line, or cannot be decoded.
        MediaError: It cannot be opened, or is not what it must be.
    """
    source = _opened(path)
    try:
        header = _header(_spec(source, path), path)
        _stored(source.format_name(), header, path).check(like, frame=frame)
        pixels = source.read_image(header.spec.format)
        # A cut JPEG still gives an array, its rest grey; only the message tells.
        reason = source.geterror()
        if pixels is None or reason:
            raise TruncatedPlate(f"{path} is damaged or cut off: {reason}; copy it again", path=path, frame=frame)
    finally:
        source.close()
    samples: NDArray[Any] = np.asarray(pixels).reshape(header.spec.height, header.spec.width, -1)
    if header.spare_bits:
        samples = samples >> header.spare_bits
    samples.flags.writeable = False
    return OiioPicture(samples, header, like.tags)


def write_oiio(
    path: Path, picture: OiioPicture, *, name: str, compression: str | None, rate: Fraction | None = None
) -> None:
    """Writes a file with a picture's samples and header.

    Args:
        path: The file; its suffix says the format.
        picture: What is stored; its header may be another format's.
        name: The name that the file will have, where the format stores it.
        compression: For a TIFF; None is the header's own, or a lossless one.
        rate: Frames a second, to be said in the header; None leaves it as it is.

    Raises:
        MediaError: The library refuses it, or the disk does.
    """
    header, target = picture.header, oiio.ImageOutput.create(str(path))
    spec = oiio.ImageSpec(header.spec)
    spec.attribute("oiio:UnassociatedAlpha", 1)
    for noise in ("oiio:subimages", "Exif:ImageHistory"):
        spec.erase_attribute(noise)
    if compression is not None:
        spec.attribute("compression", compression)
    if rate is not None:
        _say_rate(spec, rate)
    samples = picture.samples
    if bits := header.spare_bits:
        spec.attribute("oiio:BitsPerSample", header.layout.bits)
        samples = (samples << bits) | (samples >> (header.layout.bits - bits))
    elif spec.get_int_attribute("oiio:BitsPerSample", 0) not in {0, 8, 16, 32}:
        spec.erase_attribute("oiio:BitsPerSample")
    whole = np.ascontiguousarray(samples)
    if target is None or not (target.open(str(path), spec) and target.write_image(whole) and target.close()):
        raise MediaError(oiio.geterror() if target is None else target.geterror(), path=path)
    if path.suffix.lower() == ".dpx":
        _name_inside(path, name)
    elif path.suffix.lower() == ".png":
        _check_written(path, whole)


def new_header(
    layout: PixelLayout,
    width: int,
    height: int,
    *,
    rate: Fraction | None,
    timecode: Timecode | None,
    aspect: Fraction,
    orientation: int,
) -> OiioHeader:
    """The header of a new file.

    Args:
        layout: R, G, B (or gray) and perhaps alpha; 8, 10, 12 or 16 bits, or float.
        width: Columns.
        height: Rows.
        rate: Frames a second; None if nobody says it.
        timecode: Of the frame; kept by DPX.
        aspect: Width of a pixel over its height.
        orientation: Degrees by which the picture is to be turned clockwise for display.
    """
    kind = "float" if layout.is_float else "uint8" if layout.bits == 8 else "uint16"
    names = (*(("Y",) if layout.model == "gray" else _COLORS), *("A" * layout.has_alpha))
    spec = oiio.ImageSpec(width, height, len(names), kind)
    spec.channelnames = names
    spec.alpha_channel = names.index("A") if layout.has_alpha else -1
    if rate is not None:
        _say_rate(spec, rate)
    if timecode is not None:
        spec.attribute("smpte:TimeCode", oiio.TypeTimeCode, (packed(timecode), 0))
    spec.attribute("PixelAspectRatio", float(aspect))
    if orientation:
        spec.attribute("Orientation", next(code for code, turn in _TURNS.items() if turn == orientation))
    spec.attribute("DateTime", "1970:01:01 00:00:00")  # the library would write the present time
    return OiioHeader(spec, tuple(range(len(names))), layout)


def _check_written(path: Path, samples: NDArray[Any]) -> None:
    """Reads a PNG again: the library says nothing of what the disk refused."""
    source = _opened(path)
    try:
        found = source.read_image(source.spec().format)
        if found is None or not np.array_equal(np.asarray(found).reshape(samples.shape), samples):
            raise MediaError("the disk did not take all of it, perhaps because it is full", path=path)
    finally:
        source.close()


def _name_inside(path: Path, name: str) -> None:
    """Puts the final name into a DPX header, which else says the temporary one."""
    room = _DPX_NAME.stop - _DPX_NAME.start
    with path.open("r+b") as file:
        file.seek(_DPX_NAME.start)
        file.write(name.encode("ascii", "replace")[: room - 1].ljust(room, b"\0"))


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


def _spec(source: Any, path: Path) -> Any:
    """The library's header; of a DPX without what lies past the place where its pixels begin.

    FFmpeg begins them at 1664 bytes, and the library takes them for names, rates and timecode all the same.
    """
    spec = source.spec()
    if source.format_name() != "dpx":
        return spec
    with path.open("rb") as file:
        magic, offset = file.read(4), file.read(4)
    first = int.from_bytes(offset, "big" if magic == b"SDPX" else "little")
    spec = oiio.ImageSpec(spec)
    for end, names in (_DPX_FILM, _DPX_TELEVISION):
        for name in names.split() if first < end else ():
            spec.erase_attribute(name if ":" in name else f"dpx:{name}")
    return spec


def _header(spec: Any, path: Path) -> OiioHeader:
    kind = str(spec.format)
    if kind not in _BITS:
        raise MediaError(f"{path} stores {kind} samples; expected one of {', '.join(_BITS)}: convert it", path=path)
    if spec.deep:
        raise MediaError(f"{path} is a deep picture; flatten it first", path=path)
    places, model = _places([name.upper() for name in spec.channelnames], path)
    stored_bits = spec.get_int_attribute("oiio:BitsPerSample", 0)
    bits = stored_bits if kind == "uint16" and stored_bits in _PARTIAL else _BITS[kind]
    has_alpha = len(places) in {2, 4}
    layout = PixelLayout(
        f"{model}{'a' * has_alpha} {kind if bits == _BITS[kind] else f'uint{bits}'}",
        "rgb" if model == "rgb" else "gray",
        bits,
        is_float=kind in {"half", "float"},
        has_alpha=has_alpha,
    )
    return OiioHeader(spec, tuple(places), layout)


def _places(names: Sequence[str], path: Path) -> tuple[list[int], str]:
    """Where colour and alpha are among the file's channels, and what model they make."""
    if all(name in names for name in _COLORS):
        places, model = [names.index(name) for name in _COLORS], "rgb"
    elif "Y" in names or len(names) in {1, 2}:
        places, model = [names.index("Y") if "Y" in names else 0], "gray"
    else:
        raise MediaError(f"{path} has the channels {', '.join(names)}; expected gray or R, G, B", path=path)
    if "A" in names and names.index("A") not in places:
        places.append(names.index("A"))
    return places, model


def _stored(codec: str, header: OiioHeader, path: Path) -> Stored:
    spec = header.spec
    orientation = spec.get_int_attribute("Orientation", 1)
    if orientation not in _TURNS:
        raise MediaError(
            f"{path} is stored mirrored (EXIF orientation {orientation}); save it upright first", path=path
        )
    compression = spec.get_string_attribute("compression", "")
    aspect = spec.get_float_attribute("PixelAspectRatio", 1.0)
    word = _code_word(spec)
    return Stored(
        path=path,
        width=spec.width,
        height=spec.height,
        layout=header.layout,
        tags=ColorTags(matrix=Matrix.RGB, range=Range.FULL),
        codec=f"{codec} {compression}" if compression else codec,
        channels=f"{', '.join(spec.channelnames)} {header.layout.name}",
        pixel_aspect=Fraction(aspect).limit_denominator(10_000)
        if math.isfinite(aspect) and aspect > 0
        else Fraction(1),
        rotation=_TURNS[orientation],
        rate=_rate(spec),
        timecode=None if word is None else unpacked(word, _rate(spec)),
        code_word=word,
        metadata={each.name: each.value for each in spec.extra_attribs if isinstance(each.value, str)},
    )


def _rate(spec: Any) -> Fraction | None:
    found = (spec.get_float_attribute(name, 0.0) for name in _RATES)
    return next((exact_rate(rate) for rate in found if math.isfinite(rate) and 0 < rate < 10_000), None)


def _code_word(spec: Any) -> int | None:
    found = spec.getattribute("smpte:TimeCode")
    return None if found is None else int(found[0])


def _say_rate(spec: Any, rate: Fraction) -> None:
    """Under the names of all formats; each writes its own alone."""
    for name in ("FramesPerSecond", "dpx:FrameRate"):
        spec.attribute(name, float(rate))
