"""A movie delivery, decided and checked before anything is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
from pydantic import Field

from vfxswap.color import ColorTags, PixelLayout
from vfxswap.media import DeliveryOptions, PlateInfo
from vfxswap_plugins.media.layouts import layout_of
from vfxswap_plugins.media.movie_codecs import (
    CODECS,
    FORMATS,
    CodecName,
    MovieCodec,
    converts,
    default_codec,
    fitting_format,
    losses,
)
from vfxswap_plugins.media.movie_header import DISPLAY_MATRIX, stored_size
from vfxswap_plugins.media.pending_file import folder_problems
from vfxswap_plugins.media.tags import delivered_tags

_SQUARE_ENOUGH = Fraction(1, 200)
"""A pixel aspect that differs less from 1 may be lost: half a pixel in a hundred."""
_DECODER_NAMES = {"dts": "dca"}
"""Codecs whose decoder in FFmpeg has another name."""


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
    threads: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Threads of the encoder; 0 takes all cores. The bits of h264 and h265 depend on it, their pictures"
        " hardly; ffv1, ProRes and DNxHR do not depend on it.",
    )


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
    width: int
    """Stored columns."""
    height: int
    """Stored rows."""
    drops_alpha: bool
    """Whether alpha may be lost because the user said so; otherwise each picture must be opaque if it has no place."""


def planned(path: Path, options: MovieOptions, like: PlateInfo, tags: ColorTags) -> MoviePlan:
    """Decides on codec, pixel format and tags.

    Raises:
        ValueError: One of `problems` stands in the way.
    """
    name = options.codec or default_codec(path.suffix.lower(), like.layout, tags)
    codec = CODECS[name]
    pix_fmt = options.pixel_format or _chosen(codec, like, tags)
    if pix_fmt is None:
        raise ValueError(f"{name} has no pixel format for the plate")
    layout = layout_of(pix_fmt, like.layout.chroma_location)
    width, height = stored_size(like)
    delivered = delivered_tags(tags, like.layout, layout, full_range=codec.has_full_range)
    container = FORMATS[path.suffix.lower()]
    return MoviePlan(codec, container, layout, delivered, width, height, drops_alpha=options.pixel_format is not None)


def problems(path: Path, options: MovieOptions, like: PlateInfo, tags: ColorTags) -> list[str]:
    """What is wrong with a delivery, in words that say what to do; empty if nothing is."""
    found = list(folder_problems(path))
    if path.suffix.lower() not in FORMATS:
        return [*found, f"a movie cannot be written as {path.suffix!r}; allowed: {', '.join(FORMATS)}"]
    name = options.codec or default_codec(path.suffix.lower(), like.layout, tags)
    found += _codec_problems(path, name, options)
    stored = list(_storage_problems(path, name, options, like, tags))
    found += stored or _size_problems(name, planned(path, options, like, tags))
    return [*found, *_container_problems(path, name, like)]


def _chosen(codec: MovieCodec, like: PlateInfo, tags: ColorTags) -> str | None:
    pix_fmt = fitting_format(codec, like.layout, tags)
    if pix_fmt is None and like.codec == "gif":
        # Every GIF is decoded with alpha, which few use: each picture is looked at as it is written.
        pix_fmt = fitting_format(codec, replace(like.layout, has_alpha=False), tags)
    return pix_fmt


def _codec_problems(path: Path, name: CodecName, options: MovieOptions) -> Iterator[str]:
    codec = CODECS[name]
    if path.suffix.lower() not in codec.suffixes:
        yield f"{name} does not go into {path.suffix}; it goes into {', '.join(sorted(codec.suffixes))}"
    for key in ("quality", "preset"):
        if codec.quality is None and getattr(options, key) is not None:
            yield f"{name} has no {key}; leave it out, or choose h264 or h265"


def _storage_problems(
    path: Path, name: CodecName, options: MovieOptions, like: PlateInfo, tags: ColorTags
) -> Iterator[str]:
    codec = CODECS[name]
    pix_fmt = options.pixel_format
    if pix_fmt is not None and pix_fmt not in codec.formats:
        yield f"{name} does not store {pix_fmt}; it stores {', '.join(codec.formats)}"
    elif pix_fmt is not None and not converts(pix_fmt, like.layout):
        yield (
            f"a plate of {like.layout.name} cannot become {pix_fmt} without a colour transform; write an image"
            " sequence, or ffv1"
        )
    elif pix_fmt is None and _chosen(codec, like, tags) is None:
        nearest = min(codec.formats, key=lambda each: len(losses(codec, each, like.layout, tags)))
        lost = " and ".join(losses(codec, nearest, like.layout, tags))
        text = f"{name} cannot hold {lost} of the plate ({like.layout.name}); choose {_holders(path, like, tags)}"
        if converts(nearest, like.layout):
            text += f', or state pixel_format = "{nearest}" to accept the loss'
        yield text


def _holders(path: Path, like: PlateInfo, tags: ColorTags) -> str:
    """The codecs that hold a plate: those for the delivery's own suffix, else for others."""
    able = [name for name, codec in CODECS.items() if fitting_format(codec, like.layout, tags) is not None]
    here = [name for name in able if path.suffix.lower() in CODECS[name].suffixes]
    if here:
        return f"codec {' or '.join(here)}"
    there = [f"{name} in {' or '.join(sorted(CODECS[name].suffixes))}" for name in able]
    return f"codec {' or '.join(there)}" if there else "an image sequence"


def _size_problems(name: CodecName, plan: MoviePlan) -> list[str]:
    least_width, least_height = plan.codec.smallest
    found = []
    if plan.width < least_width or plan.height < least_height:
        found.append(
            f"{name} needs at least {least_width}x{least_height} pixels, the plate has {plan.width}x{plan.height};"
            " choose codec ffv1 or prores_hq"
        )
    log2_x, log2_y = plan.layout.chroma_log2
    if plan.codec.whole_chroma and (plan.width % (1 << log2_x) or plan.height % (1 << log2_y)):
        finer = plan.layout.name.replace("420", "444").replace("422", "444")
        found.append(
            f"{name} in {plan.layout.name} needs an even size, the plate is {plan.width}x{plan.height}; state"
            f' pixel_format = "{finer}", or choose ffv1 in .mkv or prores_hq in .mov: nothing is cropped or padded'
        )
    return found


def _container_problems(path: Path, name: CodecName, like: PlateInfo) -> Iterator[str]:
    suffix = path.suffix.lower()
    if like.interlaced:
        yield "the plate is interlaced, and its fields would be taken for whole frames; de-interlace it first"
    if suffix == ".mxf" and (like.rotation or DISPLAY_MATRIX in like.metadata):
        yield f"the plate is shown turned by {like.rotation} degrees, which .mxf cannot say; choose .mov, .mp4 or .mkv"
    says_aspect = suffix in {".mov", ".mp4", ".m4v"} or CODECS[name].quality is not None
    if not says_aspect and abs(like.pixel_aspect - 1) > _SQUARE_ENOUGH:
        yield (
            f"the plate's pixels are {like.pixel_aspect} as wide as high, which {name} in {suffix} cannot say;"
            " choose .mov or .mp4"
        )
    if suffix == ".mxf" and like.variable_rate:
        yield "the plate has a variable frame rate, which .mxf cannot store; choose .mov, .mp4 or .mkv"
    if suffix == ".mkv" and like.rate > 500:
        yield f"the plate has {like.rate} frames a second, too many for the milliseconds of .mkv; choose .mov"
    refused = [name for name in like.audio if _DECODER_NAMES.get(name, name) not in _audio_of(suffix)]
    if refused:
        yield (
            f"the plate's audio ({', '.join(refused)}) cannot be copied into {suffix}; choose"
            f" {', '.join(other for other in FORMATS if _takes(other, like.audio)) or 'another container'}"
        )


def _takes(suffix: str, audio: tuple[str, ...]) -> bool:
    return all(_DECODER_NAMES.get(name, name) in _audio_of(suffix) for name in audio)


def _audio_of(suffix: str) -> set[str]:
    """Names of the codecs that a container takes, as FFmpeg says."""
    if suffix == ".mxf":
        return {"pcm_s16le", "pcm_s24le"}  # SMPTE ST 382
    with av.open(os.devnull, "w", format=FORMATS[suffix]) as container:
        return container.supported_codecs
