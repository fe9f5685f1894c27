"""The codecs that a movie may be delivered in, and which of their pixel formats holds a plate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from vfxswap.color import ColorTags, PixelLayout, Range
from vfxswap_plugins.media.layouts import is_known, layout_of

CodecName = Literal[
    "h264",
    "h265",
    "prores_proxy",
    "prores_lt",
    "prores",
    "prores_hq",
    "prores_4444",
    "prores_4444xq",
    "dnxhr_lb",
    "dnxhr_sq",
    "dnxhr_hq",
    "dnxhr_hqx",
    "dnxhr_444",
    "ffv1",
]
"""What `[delivery] codec` takes."""

_MOV = frozenset({".mov"})
_MXF = frozenset({".mov", ".mxf"})
_MP4 = frozenset({".mp4", ".m4v", ".mov", ".mkv"})

FORMATS = {".mov": "mov", ".mp4": "mp4", ".m4v": "mp4", ".mkv": "matroska", ".mxf": "mxf"}
"""FFmpeg's container for each suffix."""


@dataclass(frozen=True, slots=True)
class MovieCodec:
    """A codec as it is delivered."""

    encoder: str
    """FFmpeg's name of the encoder."""
    formats: tuple[str, ...]
    """Pixel formats that it takes, the plainest first."""
    suffixes: frozenset[str]
    """Suffixes of the containers that it goes into."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Options of the encoder."""
    quality: int | None = None
    """The constant rate factor unless another is asked for; None if the codec has no such thing."""
    is_lossless: bool = False
    """Whether what is decoded equals what was encoded."""
    has_full_range: bool = True
    """Whether the stream can say that Y'CbCr has full range."""
    smallest: tuple[int, int] = (1, 1)
    """Least columns and rows."""
    whole_chroma: bool = False
    """Whether columns and rows must be multiples of the chroma grid."""
    tag: str | None = None
    """Sample description in QuickTime and MP4, where FFmpeg's own choice is not the one that players take."""
    shown: tuple[str, ...] = ()
    """Formats for what a view transform makes of a plate, the usual first; `formats` if empty."""
    has_vui: bool = False
    """Whether the stream says all of H.273's numbers itself; the others have few or none, and QuickTime's count."""


def _avc(depths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"yuv{grid}p{depth}" for depth in depths for grid in ("420", "422", "444"))


def _prores(profile: str, *formats: str) -> MovieCodec:
    # Apple's decoders look for the vendor; 16 bits of alpha are the only depth that loses nothing of 10.
    options = {"profile": profile, "vendor": "apl0", "alpha_bits": "16", "field_order": "progressive"}
    return MovieCodec("prores_ks", formats, _MOV | {".mkv"}, options, has_full_range=False)


def _dnxhr(profile: str, *formats: str) -> MovieCodec:
    options = {"profile": profile, "field_order": "progressive"}
    return MovieCodec("dnxhd", formats, _MXF, options, smallest=(256, 120))


def _ffv1() -> MovieCodec:
    depths = ("", "9le", "10le", "12le", "14le", "16le")
    alpha = ("", "9le", "10le", "12le", "16le")
    formats = (
        *(f"yuv{grid}p{depth}" for grid in ("420", "422", "444") for depth in depths),
        *("yuv410p", "yuv411p", "yuv440p", "yuv440p10le", "yuv440p12le"),
        *(f"yuva{grid}p{depth}" for grid in ("420", "422", "444") for depth in alpha),
        *("bgr0", *(f"gbrp{depth}" for depth in depths[1:])),
        *("bgra", "gbrap10le", "gbrap12le", "gbrap14le", "gbrap16le"),
        *(f"gray{depth}" for depth in depths),
        *("ya8", "gbrpf16le", "gbrpf32le"),
    )
    # Intra-only, with a checksum in each slice (RFC 9043), and as many slices on every machine: the same bytes.
    options = {"level": "3", "g": "1", "slices": "16", "slicecrc": "1"}
    known = tuple(name for name in formats if is_known(name))
    return MovieCodec(
        "ffv1", known, frozenset({".mkv"}), options, is_lossless=True, shown=("gbrp16le", "gbrap16le"), has_vui=True
    )


CODECS: dict[CodecName, MovieCodec] = {
    "h264": MovieCodec(
        "libx264",
        _avc(("", "10le")),
        _MP4,
        quality=16,
        whole_chroma=True,
        shown=("yuv420p", "yuv420p10le"),
        has_vui=True,
    ),
    "h265": MovieCodec(
        "libx265",
        (*_avc(("", "10le", "12le")), "gbrp", "gbrp10le", "gbrp12le"),
        _MP4,
        {"x265-params": "log-level=none"},
        quality=16,
        whole_chroma=True,
        tag="hvc1",
        shown=("yuv420p10le",),
        has_vui=True,
    ),
    "prores_proxy": _prores("proxy", "yuv422p10le"),
    "prores_lt": _prores("lt", "yuv422p10le"),
    "prores": _prores("standard", "yuv422p10le"),
    "prores_hq": _prores("hq", "yuv422p10le"),
    "prores_4444": _prores("4444", "yuv444p10le", "yuva444p10le"),
    "prores_4444xq": _prores("4444xq", "yuv444p10le", "yuva444p10le"),
    "dnxhr_lb": _dnxhr("dnxhr_lb", "yuv422p"),
    "dnxhr_sq": _dnxhr("dnxhr_sq", "yuv422p"),
    "dnxhr_hq": _dnxhr("dnxhr_hq", "yuv422p"),
    "dnxhr_hqx": _dnxhr("dnxhr_hqx", "yuv422p10le"),
    "dnxhr_444": _dnxhr("dnxhr_444", "yuv444p10le"),
    "ffv1": _ffv1(),
}
"""All of them, by the name in `[delivery] codec`."""

_DEFAULTS: dict[str, tuple[CodecName, ...]] = {
    ".mov": ("prores_hq", "prores_4444"),
    ".mp4": ("h264", "h265"),
    ".m4v": ("h264", "h265"),
    ".mkv": ("ffv1",),
    ".mxf": ("dnxhr_hqx", "dnxhr_444"),
}


def codec_of(name: CodecName, suffix: str) -> MovieCodec:
    """A codec as it is in a container: the MXF descriptor of DNxHR 444 has no place for a range."""
    codec = CODECS[name]
    return replace(codec, has_full_range=False) if (name, suffix) == ("dnxhr_444", ".mxf") else codec


def default_codec(suffix: str, plate: PixelLayout, tags: ColorTags) -> CodecName:
    """The codec of a delivery that names none.

    `.mov` is ProRes 422 HQ, or 4444 where 4:2:2 in 10 bits does not hold the plate; `.mp4` is H.264 for 8-bit plates
    and H.265 for deeper ones; `.mkv` is FFV1; `.mxf` is DNxHR HQX, or 444. Where none holds the plate it is the last of
    them, and what is lost is a problem for the user to decide.
    """
    choices = _DEFAULTS[suffix]
    if "h264" in choices:
        return "h264" if plate.bits == 8 else "h265"
    fitting = (name for name in choices if fitting_format(CODECS[name], plate, tags) is not None)
    return next(fitting, choices[-1])


def fitting_format(codec: MovieCodec, plate: PixelLayout, tags: ColorTags) -> str | None:
    """The pixel format that holds a plate with the least change; None if each of them would lose something.

    R'G'B' counts as held by 4:4:4 of the same depth in codecs that are lossy anyway.
    """
    held = [name for name in codec.formats if not losses(codec, name, plate, tags)]
    return min(held, key=lambda name: _change(layout_of(name), plate), default=None)


def shown_codec(suffix: str, *, has_alpha: bool, is_hdr: bool) -> CodecName:
    """The codec that shows what a view transform makes of a plate, where the delivery names none."""
    plain: dict[str, CodecName] = {".mov": "prores_hq", ".mp4": "h264", ".m4v": "h264", ".mkv": "ffv1"}
    if has_alpha and suffix == ".mov":
        return "prores_4444"
    name = plain.get(suffix, "dnxhr_hqx")
    return "h265" if is_hdr and name == "h264" else name


def shown_format(codec: MovieCodec, *, has_alpha: bool, is_hdr: bool) -> str | None:
    """The pixel format for what a view transform makes of a plate; None if the codec has none with such alpha.

    PQ and HLG spread light so thin that 8 bits show steps: they go into 10 where there are 10.
    """
    fitting = [name for name in codec.shown or codec.formats if layout_of(name).has_alpha == has_alpha]
    deep = [name for name in fitting if layout_of(name).bits > 8] if is_hdr else []
    return next(iter(deep or fitting), None)


def losses(codec: MovieCodec, pix_fmt: str, plate: PixelLayout, tags: ColorTags) -> list[str]:
    """What of a plate a pixel format cannot hold, in words; empty if it holds all."""
    target = layout_of(pix_fmt)
    lost = []
    if plate.is_float != target.is_float or (plate.is_float and plate.bits != target.bits):
        lost.append(f"{plate.bits}-bit float samples" if plate.is_float else f"{plate.bits}-bit integer samples")
    elif target.bits < plate.bits:
        lost.append(f"{plate.bits} bits")
    if plate.has_alpha and not target.has_alpha:
        lost.append("alpha")
    if _loses_color(codec, target, plate):
        lost.append(_grid(plate) if plate.model == "ycbcr" else "R'G'B'")
    has_full_range = tags.range is Range.FULL and plate.model != "rgb"
    if has_full_range and not codec.has_full_range and target.bits <= plate.bits:
        lost.append(f"the full range of {plate.bits} bits")
    return lost


def converts(pix_fmt: str, plate: PixelLayout) -> bool:
    """Whether a plate can be brought into a pixel format at all, if losses are accepted: integers, and color kept."""
    target = layout_of(pix_fmt)
    if plate.is_float or target.is_float:
        return plate.is_float and target.is_float and plate.bits == target.bits and plate.model == target.model
    return target.model != "gray" or plate.model == "gray"


def _loses_color(codec: MovieCodec, target: PixelLayout, plate: PixelLayout) -> bool:
    if plate.model == "gray":
        return target.model == "rgb"
    if plate.model == "rgb":
        through_ycbcr = target.model == "ycbcr" and target.chroma_log2 == (0, 0) and not codec.is_lossless
        return target.model != "rgb" and not through_ycbcr
    coarser = any(new > old for new, old in zip(target.chroma_log2, plate.chroma_log2, strict=True))
    return target.model != "ycbcr" or coarser


def _change(target: PixelLayout, plate: PixelLayout) -> tuple[bool, bool, int, int]:
    """How far a format is from the plate, for choosing the nearest of those that hold it."""
    finer = sum(plate.chroma_log2) - sum(target.chroma_log2) if plate.model == "ycbcr" else 0
    # R'G'B' goes out as Y'CbCr 4:4:4 where a lossy codec takes both: that is what players expect.
    wanted = "ycbcr" if plate.model == "rgb" else plate.model
    foreign = target.model != wanted
    return (foreign, target.has_alpha != plate.has_alpha, finer, target.bits - plate.bits)


def _grid(layout: PixelLayout) -> str:
    words = {(0, 0): "4:4:4", (1, 0): "4:2:2", (1, 1): "4:2:0", (2, 0): "4:1:1", (0, 1): "4:4:0", (2, 2): "4:1:0"}
    return f"{words[layout.chroma_log2]} chroma"
