"""`vfxswap probe`: what a plate is, by its header; decodes no more than that takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vfxswap.cli.output import columns, say
from vfxswap.clock import FrameRange
from vfxswap.errors import ColorError
from vfxswap.host import Host
from vfxswap.media import PlateInfo
from vfxswap.pipeline.colour import FILE_ID, ColorNames, name_of


def probe(path: Path, host: Host, *, as_json: bool) -> None:
    """Prints what a plate is, or which clips a timeline has.

    Args:
        path: A movie, a picture, the pattern of a sequence, or a timeline (.otio).
        host: The plugins.
        as_json: For programs: all of it, under names that stay.

    Raises:
        PluginError: No reader takes such a file.
        MediaError: It cannot be read.
        UsageError: The timeline cannot be read.
    """
    if path.suffix.lower() == ".otio":
        from vfxswap.cli.clips import list_clips  # noqa: PLC0415 - takes a moment that plates do not need

        list_clips(path, as_json=as_json)
        return
    reader = host.reader_for(path)
    with reader(path) as opened:
        info = opened.info
    if as_json:
        say(json.dumps(described(info, reader.name), indent=2, ensure_ascii=False))
    else:
        say("\n".join(columns(_lines(info, reader.name))))


def described(info: PlateInfo, reader: str) -> dict[str, Any]:
    """A plate's header as data: numbers as numbers, exact ones as text."""
    layout, tags, display = info.layout, info.tags, info.display
    return {
        "path": str(info.path),
        "reader": reader,
        "width": info.width,
        "height": info.height,
        "display": None if display is None else list(display),
        "pixel_aspect": str(info.pixel_aspect),
        "rotation": info.rotation,
        "interlaced": info.interlaced,
        "first": info.first,
        "last": info.last,
        "count": info.count,
        "holes": str(FrameRange.of(info.holes)),
        "rate": str(info.rate),
        "rate_from": info.rate_from,
        "variable_rate": info.variable_rate,
        "timecode": info.timecode,
        "timecode_runs": info.timecode_runs,
        "reel": info.reel,
        "codec": info.codec,
        "layout": {
            "name": layout.name,
            "model": layout.model,
            "bits": layout.bits,
            "float": layout.is_float,
            "alpha": layout.has_alpha,
            "chroma_log2": list(layout.chroma_log2),
        },
        "channels": info.channels,
        "layer": info.layer,
        "layers": list(info.layers),
        "unfit": {str(number): why for number, why in info.unfit.items()},
        "color": {
            "primaries": tags.primaries.name,
            "transfer": tags.transfer.name,
            "matrix": tags.matrix.name,
            "range": tags.range.name,
            "space": _space(info),
        },
        "audio": list(info.audio),
        "metadata": dict(sorted(info.metadata.items())),
    }


def _space(info: PlateInfo) -> str | None:
    """The name that says of a plate's colour what its file says; None where a pipeline file must state one.

    Of a file that names its space itself, the name that the configuration has for it (`$OCIO`, or the pinned one).
    """
    try:
        return name_of(ColorNames().of_plate(info.tags, None, file_id=info.metadata.get(FILE_ID), path=info.path))
    except ColorError:
        return None


def _lines(info: PlateInfo, reader: str) -> list[tuple[str, str]]:
    """What people look for, a line each; what is as usual is left out."""
    layout = info.layout
    kind = f"{layout.bits}-bit {'float' if layout.is_float else 'integer'} {'with alpha' if layout.has_alpha else ''}"
    found = [
        ("plate", f"{info.path} ({reader}, {info.codec})"),
        ("size", f"{info.width}x{info.height}"),
        ("display window", "" if info.display is None else _window(info)),
        ("pixel aspect", "" if info.pixel_aspect == 1 else str(info.pixel_aspect)),
        ("shown turned", f"{info.rotation} degrees clockwise" if info.rotation else ""),
        ("frames", f"{info.first}-{info.last} ({info.count - len(info.holes)} frames)"),
        ("missing", str(FrameRange.of(info.holes))),
        ("rate", f"{_rate(info)}{', variable' if info.variable_rate else ''}"),
        ("fields", "interlaced" if info.interlaced else ""),
        ("timecode", f"{info.timecode or ''}{'' if info.timecode_runs else ', and does not count on from there'}"),
        ("reel", info.reel or ""),
        ("samples", f"{layout.name}, {kind.strip()}"),
        ("channels", info.channels),
        ("layers", ", ".join(info.layers) if len(info.layers) > 1 else ""),
        ("unfit", f"{FrameRange.of(info.unfit)}: {next(iter(info.unfit.values()))}" if info.unfit else ""),
        ("colour", _color(info)),
        ("audio", ", ".join(info.audio)),
        *((name, " ".join(text.split())) for name, text in sorted(info.metadata.items())),
    ]
    return [(name, text) for name, text in found if text]


def _window(info: PlateInfo) -> str:
    if info.display is None:
        return ""
    x0, y0, x1, y1 = info.display
    return f"{x1 - x0}x{y1 - y0}, its corner at {x0},{y0} of the picture"


def _rate(info: PlateInfo) -> str:
    if info.rate_from == "nobody":
        return f"not said; taken for {info.rate}: state [shot] rate" if info.count > 1 else ""
    rate = info.rate
    return str(rate) if rate.denominator == 1 else f"{rate} ({float(rate):.3f})"


def _color(info: PlateInfo) -> str:
    tags, space = info.tags, _space(info)
    words = ", ".join(
        f"{what} {tag.name.lower()}"
        for what, tag in (
            ("primaries", tags.primaries),
            ("transfer", tags.transfer),
            ("matrix", tags.matrix),
            ("range", tags.range),
        )
    )
    return f"{words}: state [shot] color_space" if space is None else f"{space} ({words})"
