"""`vfxswap cuts`."""
# ruff: noqa: PLC0415 - what a command does is imported when it is asked for, so that help is quick

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vfxswap.cli.output import columns, say
from vfxswap.clock import FrameRange, Timecode
from vfxswap.errors import PipelineError, UsageError
from vfxswap.files import make_folder, whole

if TYPE_CHECKING:
    from vfxswap.cutsearch import NewShot
    from vfxswap.host import Host
    from vfxswap.media import PlateInfo
    from vfxswap.pipeline.plate import OpenedPlate

HOW = {"cut": "", "dissolve": "middle of a dissolve", "black": "after black", "hole": "behind missing frames"}
"""What is said of how a shot starts."""


def cuts(
    context: typer.Context,
    plate: Annotated[
        Path,
        typer.Argument(
            metavar="PLATE|PIPELINE",
            help="A movie, a sequence as plate.####.exr, or the pipeline file (TOML) that names it.",
            show_default=False,
        ),
    ],
    frames: Annotated[str | None, typer.Option(metavar="RANGE", help="Look at these frames: 1001-1100.")] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Say what a plate does not: shot.color_space=ACEScg."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write them to a text file too, as [shot] cuts takes it.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the shots of a plate: hard cuts, dissolves, and what follows black.

    They are those that a run finds by itself. Write them with --out, mend the list by hand, and name it as [shot] cuts.
    """
    from vfxswap.cutsearch import find_cuts

    if out is not None and out.exists() and not overwrite:
        raise UsageError(
            f"{out} is there already, and somebody may have mended it; name another with --out, or replace it with"
            " --overwrite"
        )
    opened = _opened(plate, context.obj.host(), tuple(sets or ()), frames)
    found = list(find_cuts(opened, _tell if sys.stderr.isatty() else None))
    if out is not None:
        make_folder(out.parent)
        with whole(out) as temporary:
            temporary.write_text(_listed(opened.info, found), encoding="utf-8")
    if as_json:
        say(json.dumps(_described(opened.info, opened.frames, found), indent=2, ensure_ascii=False))
    else:
        say("\n".join(columns(_rows(opened.info, opened.frames, found))))


def _opened(plate: Path, host: Host, sets: tuple[str, ...], frames: str | None) -> OpenedPlate:
    """The plate; of one that does not say its colour, and that no file describes, the usual one will do for this."""
    from vfxswap.pipeline import read_plate_of

    try:
        return read_plate_of(plate, host, sets, frames)
    except PipelineError as error:
        if plate.suffix.lower() == ".toml" or any(problem.key != "color_space" for problem in error.problems):
            raise
    sys.stderr.write(f"{plate.name} does not say its colour; looked at as bt709 (else --set shot.color_space=NAME)\n")
    return read_plate_of(plate, host, (*sets, "shot.color_space=bt709"), frames)


def _tell(done: int, frames: int) -> None:
    sys.stderr.write(f"\r{done} of {frames} frames" + ("\n" if done == frames else ""))
    sys.stderr.flush()


def _shots(frames: FrameRange, found: Sequence[NewShot]) -> list[tuple[str, FrameRange]]:
    """How each shot starts, and its frames."""
    starts = [one for one in found if one.frame != frames[0]]
    bounds = [frames[0], *(one.frame for one in starts), frames[-1] + 1]
    words = ["", *(HOW[one.how] for one in starts)]
    return [
        (how, FrameRange.of(number for number in frames if first <= number < end))
        for how, (first, end) in zip(words, pairwise(bounds), strict=True)
    ]


def _rows(info: PlateInfo, frames: FrameRange, found: Sequence[NewShot]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("SHOT", "FRAMES", "COUNT", "TIMECODE", "STARTS")]
    for number, (how, shot) in enumerate(_shots(frames, found), 1):
        rows.append((str(number), str(shot), str(len(shot)), _timecode(info, shot[0]) or "-", how))
    return rows


def _described(info: PlateInfo, frames: FrameRange, found: Sequence[NewShot]) -> dict[str, Any]:
    """As data; frame numbers are the plate's own."""
    return {
        "path": str(info.path),
        "frames": str(frames),
        "cuts": [{"frame": one.frame, "timecode": _timecode(info, one.frame), "how": one.how} for one in found],
    }


def _listed(info: PlateInfo, found: Sequence[NewShot]) -> str:
    lines = [f"# frames of {info.path.name} with which a new shot starts"]
    lines += [f"{one.frame}  # {HOW[one.how]}" if HOW[one.how] else str(one.frame) for one in found]
    return "\n".join(lines) + "\n"


def _timecode(info: PlateInfo, frame: int) -> str | None:
    if info.timecode is None or not info.timecode_runs:
        return None
    return str(Timecode.parse(info.timecode, info.rate) + (frame - info.first))
