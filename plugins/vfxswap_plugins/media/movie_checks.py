"""What can be wrong with a movie delivery, said before anything is opened, with what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av

from vfxswap.color import ColorTags, PixelLayout, Transfer
from vfxswap.media import PlateInfo
from vfxswap_plugins.media.layouts import layout_of
from vfxswap_plugins.media.movie_codecs import (
    CODECS,
    FORMATS,
    CodecName,
    MovieCodec,
    codec_of,
    converts,
    fitting_format,
    losses,
)
from vfxswap_plugins.media.movie_header import DISPLAY_MATRIX
from vfxswap_plugins.media.movie_look import look_problem, missing_look, needs_look
from vfxswap_plugins.media.movie_plan import MovieOptions, MoviePlan, chosen, codec_name, planned, wanted
from vfxswap_plugins.media.pending_file import folder_problems

_SQUARE_ENOUGH = Fraction(1, 200)
"""A pixel aspect that differs less from 1 may be lost: half a pixel in a hundred."""
_DECODER_NAMES = {"dts": "dca"}
"""Codecs whose decoder in FFmpeg has another name."""
_ALPHA_CODECS = "prores_4444 in .mov or ffv1 in .mkv"


def problems(path: Path, options: MovieOptions, like: PlateInfo, tags: ColorTags) -> list[str]:
    """What is wrong with a delivery, in words that say what to do; empty if nothing is."""
    found = list(folder_problems(path))
    if path.suffix.lower() not in FORMATS:
        return [*found, f"a movie cannot be written as {path.suffix!r}; allowed: {', '.join(FORMATS)}"]
    if (wrong := look_problem(options.wish, tags)) is not None:
        return [*found, wrong]
    name = codec_name(path.suffix.lower(), options, like, tags)
    found += _codec_problems(path, name, options)
    stored = list(_storage_problems(path, name, options, like, tags))
    if not stored:
        plan = planned(path, options, like, tags)
        stored = [*_size_problems(name, plan), *_tag_problems(path, plan)]
    return [*found, *stored, *_container_problems(path, name, like)]


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
    codec = codec_of(name, path.suffix.lower())
    pix_fmt, layout, is_shown = options.pixel_format, wanted(options, like), options.wish.is_said
    stored = layout_of(pix_fmt) if pix_fmt in codec.formats else None
    if pix_fmt is not None and stored is None:
        yield f"{name} does not store {pix_fmt}; it stores {', '.join(codec.formats)}"
    elif options.alpha in {"plate", "matte"} and layout.has_alpha and not _takes_alpha(codec, stored):
        yield _no_alpha(name, options, pix_fmt)
    elif options.alpha == "plate" and not layout.has_alpha:
        yield 'the plate has no alpha; leave alpha = "plate" out, or take "matte"'
    elif is_shown:
        if stored is not None and (stored.is_float or stored.model == "gray"):
            yield f"a view cannot be stored as {pix_fmt}; leave pixel_format out"
        elif pix_fmt is None and chosen(codec, options, like, tags) is None:
            yield f'{name} has no place for the plate\'s alpha; state alpha = "none", or choose {_ALPHA_CODECS}'
    elif needs_look(tags) and not _takes_light(codec, stored):
        yield missing_look(tags)
    elif stored is not None and not converts(stored.name, like.layout):
        yield (
            f"a plate of {like.layout.name} cannot become {pix_fmt} without a colour transform; write an image"
            " sequence, or ffv1"
        )
    elif pix_fmt is None and chosen(codec, options, like, tags) is None:
        yield from _lost(path, name, replace(like, layout=layout), tags)


def _takes_alpha(codec: MovieCodec, stored: PixelLayout | None) -> bool:
    return stored.has_alpha if stored is not None else any(layout_of(name).has_alpha for name in codec.formats)


def _takes_light(codec: MovieCodec, stored: PixelLayout | None) -> bool:
    """Whether scene light can be stored as it is, which is in float."""
    return stored.is_float if stored is not None else any(layout_of(name).is_float for name in codec.formats)


def _no_alpha(name: CodecName, options: MovieOptions, pix_fmt: str | None) -> str:
    what = "the matte as alpha" if options.alpha == "matte" else "the plate's alpha"
    where = f"{name} in {pix_fmt}" if pix_fmt is not None else name
    return f'{where} has no place for {what}; choose {_ALPHA_CODECS}, or alpha = "none"'


def _lost(path: Path, name: CodecName, like: PlateInfo, tags: ColorTags) -> Iterator[str]:
    codec = codec_of(name, path.suffix.lower())
    nearest = min(codec.formats, key=lambda each: len(losses(codec, each, like.layout, tags)))
    lost = losses(codec, nearest, like.layout, tags)
    text = f"{name} cannot hold {' and '.join(lost)} of the plate ({like.layout.name})"
    text += f"; choose {_holders(path, like, tags)}"
    if lost == ["alpha"]:
        text += ', or state alpha = "none" to leave it out'
    elif converts(nearest, like.layout):
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


def _tag_problems(path: Path, plan: MoviePlan) -> Iterator[str]:
    """Colours that the container has no label for (SMPTE ST 2067-21 and RP 224 name none for sRGB's curve)."""
    if path.suffix.lower() == ".mxf" and plan.tags.transfer is Transfer.SRGB:
        yield (
            "the curve of sRGB has no label in .mxf, so that the movie would not say its colour; choose .mov, or a"
            " display of BT.709"
        )


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
