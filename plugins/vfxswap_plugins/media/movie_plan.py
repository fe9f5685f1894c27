"""A movie delivery, decided before anything is opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from vfxswap.color import ColorTags, PixelLayout, Primaries, Transfer
from vfxswap.geometry import Box
from vfxswap.media import DeliveryOptions, PlateInfo
from vfxswap_plugins.media.layouts import ChromaLocation, layout_of
from vfxswap_plugins.media.movie_codecs import (
    FORMATS,
    CodecName,
    MovieCodec,
    codec_of,
    default_codec,
    fitting_format,
    shown_codec,
    shown_format,
)
from vfxswap_plugins.media.movie_header import stored_size
from vfxswap_plugins.media.movie_look import Look, Wish, look_of
from vfxswap_plugins.media.tags import delivered_tags, quicktime_tags

_SHOWN = PixelLayout("shown", "rgb", 32, is_float=True)
"""What a view transform makes."""


class MovieOptions(DeliveryOptions):
    """Settings of a movie delivery."""

    codec: CodecName | None = Field(
        default=None,
        description="Codec. By default prores_hq (or prores_4444) for .mov, h264 (h265 above 8 bits) for .mp4, ffv1 for"
        " .mkv, dnxhr_hqx (or dnxhr_444) for .mxf.",
    )
    preset: (
        Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"] | None
    ) = Field(default=None, description="Effort of h264 and h265: slower gives smaller files. Default medium.")
    quality: int | None = Field(
        default=None, ge=0, le=51, description="Constant rate factor of h264 and h265: smaller is better. Default 16."
    )
    pixel_format: str | None = Field(
        default=None,
        description="FFmpeg's name of the stored pixel format, such as yuv420p; states that what it cannot hold of the"
        " plate (depth, chroma, alpha) may be lost. By default the one that holds the plate with the least change.",
    )
    alpha: Literal["plate", "matte", "none"] | None = Field(
        default=None,
        description="What the movie's alpha is, in prores_4444, prores_4444xq and ffv1: the plate's own, the matte of"
        " what was replaced (straight: colours are not multiplied by it), or nothing. By default the plate's, if it has"
        " one, and a codec that has no place for it is refused.",
    )
    display: str | None = Field(
        default=None,
        description="The display for which a scene-linear plate, or one in a camera's log, is shown, by its name in the"
        " OpenColorIO configuration, such as `Rec.1886 Rec.709 - Display`.",
    )
    view: str | None = Field(
        default=None,
        description="The view of the display, such as `ACES 2.0 - SDR 100 nits (Rec.709)`; by default its first.",
    )
    color_space: str | None = Field(
        default=None,
        description="Instead of display and view: the colour space that the movie is brought into, by its name in the"
        " configuration.",
    )
    tagged_as: Literal["bt709", "srgb", "bt601-625", "bt601-525", "bt2020", "p3-d65", "hlg", "pq"] | None = Field(
        default=None,
        description="What the movie says of its colour, where the name of display or color_space does not tell.",
    )
    threads: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Threads of the encoder; 0 takes all cores. The bits of h264 and h265 depend on it, their pictures"
        " hardly; ffv1, ProRes and DNxHR do not depend on it.",
    )

    @property
    def wish(self) -> Wish:
        """The transform that is asked for."""
        return Wish(self.display, self.view, self.color_space, self.tagged_as)


@dataclass(frozen=True, slots=True)
class MoviePlan:
    """What is going to be written."""

    codec: MovieCodec
    """The codec."""
    container: str
    """FFmpeg's name of the container."""
    layout: PixelLayout
    """How pictures are stored; the name is FFmpeg's pixel format."""
    tags: ColorTags
    """What their numbers mean."""
    said_tags: ColorTags
    """The same in the numbers that container and codec have for it."""
    width: int
    """Stored columns."""
    height: int
    """Stored rows."""
    window: Box | None
    """The part of the plate's picture that is delivered, which may reach beyond it; None is all of it."""
    look: Look | None
    """How scene light is shown."""
    has_matte: bool
    """Whether alpha is the matte."""
    drops_alpha: bool
    """Whether alpha may be lost because the user said so; otherwise each picture must be opaque if it has no place."""


def planned(path: Path, options: MovieOptions, like: PlateInfo, tags: ColorTags) -> MoviePlan:
    """Decides on codec, pixel format and tags.

    Raises:
        ValueError: One of `movie_checks.problems` stands in the way.
        ColorError: Likewise.
    """
    suffix = path.suffix.lower()
    name = codec_name(suffix, options, like, tags)
    codec = codec_of(name, suffix)
    pix_fmt = options.pixel_format or chosen(codec, options, like, tags)
    if pix_fmt is None:
        raise ValueError(f"{name} has no pixel format for the plate")
    look = look_of(options.wish, tags) if options.wish.is_said else None
    source, meaning = (like.layout, tags) if look is None else (_SHOWN, look.tags)
    layout = layout_of(pix_fmt, _siting(codec, source, meaning))
    delivered = delivered_tags(meaning, source, layout, full_range=codec.has_full_range)
    container = FORMATS[suffix]
    width, height = stored_size(like) if like.display is None else (like.display.width, like.display.height)
    return MoviePlan(
        codec=codec,
        container=container,
        layout=layout,
        tags=delivered,
        said_tags=quicktime_tags(delivered) if container == "mov" and not codec.has_vui else delivered,
        width=width,
        height=height,
        window=like.display,
        look=look,
        has_matte=options.alpha == "matte",
        drops_alpha=options.pixel_format is not None or options.alpha == "none",
    )


def _siting(codec: MovieCodec, source: PixelLayout, tags: ColorTags) -> ChromaLocation:
    """Where chroma lies: as in the plate, if the codec can say it; BT.2020 and BT.2100 want it at the top left."""
    if not codec.has_vui:
        return "left"
    if source.model == "ycbcr":
        return source.chroma_location
    return "topleft" if tags.primaries is Primaries.BT2020 else "left"


def codec_name(suffix: str, options: MovieOptions, like: PlateInfo, tags: ColorTags) -> CodecName:
    """The codec that is asked for, or the one that fits.

    Raises:
        ColorError: What `look_of` raises.
    """
    if options.codec is not None:
        return options.codec
    layout = wanted(options, like)
    if options.wish.is_said:
        return shown_codec(suffix, has_alpha=layout.has_alpha, is_hdr=_is_hdr(options, tags))
    return default_codec(suffix, layout, tags)


def wanted(options: MovieOptions, like: PlateInfo) -> PixelLayout:
    """The plate's layout with the alpha that the delivery shall have."""
    has_alpha = {"plate": like.layout.has_alpha, "matte": True, "none": False}
    return replace(like.layout, has_alpha=has_alpha[options.alpha or "plate"])


def _is_hdr(options: MovieOptions, tags: ColorTags) -> bool:
    return look_of(options.wish, tags).tags.transfer in {Transfer.PQ, Transfer.HLG}


def chosen(codec: MovieCodec, options: MovieOptions, like: PlateInfo, tags: ColorTags) -> str | None:
    """The pixel format of a delivery that states none; None if the codec has none that loses nothing.

    Raises:
        ColorError: What `look_of` raises.
    """
    layout = wanted(options, like)
    if options.wish.is_said:
        return shown_format(codec, has_alpha=layout.has_alpha, is_hdr=_is_hdr(options, tags))
    pix_fmt = fitting_format(codec, layout, tags)
    if pix_fmt is None and like.codec == "gif":
        # Every GIF is decoded with alpha, which few use: each picture is looked at as it is written.
        pix_fmt = fitting_format(codec, replace(layout, has_alpha=False), tags)
    return pix_fmt
