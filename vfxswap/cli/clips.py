"""The words `--clip` and `--all-clips`, and the clips of a timeline as `vfxswap probe` lists them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vfxswap.cli.output import columns, say
from vfxswap.errors import UsageError

if TYPE_CHECKING:
    from vfxswap.timeline import Clip


ClipNames = Annotated[
    list[str] | None,
    typer.Option(
        "--clip",
        metavar="NAME",
        help="Take this clip of the timeline; sh0* takes those that fit. May be repeated: each is a shot of its own.",
    ),
]
AllClips = Annotated[bool, typer.Option("--all-clips", help="Take all clips of the timeline, each as a shot.")]


@dataclass(frozen=True, slots=True)
class Clips:
    """Which clips the command line asks for."""

    names: tuple[str, ...] = ()
    is_all: bool = False

    @property
    def is_several(self) -> bool:
        """Whether they are more than the one that `[shot] clip` could say."""
        return self.is_all or len(self.names) > 1 or any(letter in name for name in self.names for letter in "*?[")

    @property
    def overrides(self) -> tuple[str, ...]:
        """The one clip, as `--set` has it."""
        if self.is_several:
            return ()
        return tuple(f"shot.clip={json.dumps(name, ensure_ascii=False)}" for name in self.names)

    def check_alone(self, *, is_spread: bool) -> None:
        """Whether several clips may be run in this way.

        Raises:
            UsageError: They may not; says what to do.
        """
        if is_spread:
            raise UsageError("chunks and engines take one clip at a time; name it with --clip NAME")


def list_clips(path: Path, *, as_json: bool) -> None:
    """Prints the clips of a timeline: media, what the cut shows of it, and what may be taken beyond.

    Raises:
        UsageError: The timeline cannot be read.
    """
    from vfxswap.timeline import read_clips, results_in  # noqa: PLC0415 - the words above are needed at every start

    clips, done = read_clips(path), frozenset(results_in(path))
    if as_json:
        found = [{**_described(clip), "result": clip.name in done} for clip in clips]
        say(json.dumps({"path": str(path), "clips": found}, indent=2, ensure_ascii=False))
        return
    rows: list[tuple[str, ...]] = [("CLIP", "TRACK", "MEDIA", "FROM", "FRAMES", "HANDLES", "NOTES")]
    rows += [_row(clip, has_result=clip.name in done) for clip in clips]
    say("\n".join(columns(rows)))


def _described(clip: Clip) -> dict[str, Any]:
    """A clip as data; times in frames of its rate."""
    return {
        "name": clip.name,
        "track": clip.track,
        "media": None if clip.path is None else str(clip.path),
        "rate": str(clip.rate),
        "start": float(clip.start),
        "count": float(clip.count),
        "handles": _handles(clip),
        "transitions": [float(clip.head), float(clip.tail)],
        "retime": None if clip.retime is None else clip.retime.scale,
        "problems": _problems(clip),
    }


def _row(clip: Clip, *, has_result: bool) -> tuple[str, ...]:
    handles = _handles(clip)
    notes = [*_problems(clip), *([f"plays {clip.retime}"] if clip.retime else [])]
    if clip.head or clip.tail:
        notes.append(f"transitions of {float(clip.head):g} and {float(clip.tail):g} frames")
    return (
        clip.name,
        clip.track,
        "" if clip.path is None else clip.path.name,
        f"{float(clip.start):g}" if clip.count else "",
        f"{float(clip.count):g}" if clip.count else "",
        "" if handles is None else f"{handles[0]:g}+{handles[1]:g}",
        "; ".join([*notes, *(["has a result"] if has_result else [])]),
    )


def _problems(clip: Clip) -> list[str]:
    return [problem for problem in (clip.skipped, clip.unplaced, clip.no_media) if problem is not None]


def _handles(clip: Clip) -> list[float] | None:
    """Frames that may be used before and behind what the clip shows; None if the timeline does not say."""
    if clip.media_start is None or clip.media_count is None:
        return None
    before = clip.start - clip.media_start
    return [float(before), float(clip.media_count - before - clip.count)]
