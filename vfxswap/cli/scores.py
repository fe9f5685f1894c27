"""`vfxswap score`: how good a finished shot is, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vfxswap.cli.output import columns, say
from vfxswap.clock import FrameRange
from vfxswap.host import Host
from vfxswap.score import METRICS, References, ShotScore, score_movie

_BETTER = {"highest": "higher", "lowest": "lower", "one": "nearer to 1", "zero": "nearer to 0"}


@dataclass(frozen=True, slots=True)
class Judged:
    """What the command line asked for."""

    result: Path
    truth: Path | None
    plate: Path | None
    matte: Path | None
    tracks: Path | None
    faces_by: str | None
    frames: str | None
    color_space: str | None

    def references(self) -> References:
        """Those of the truth's folder (or the truth's movie alone), with what was named besides in their place."""
        if self.truth is None or self.truth.is_file():
            found = References(truth=self.truth)
        else:
            found = References.of(self.truth)
        named = {name: path for name in ("plate", "matte") if (path := getattr(self, name)) is not None}
        return replace(found, **named)


def score(asked: Judged, host: Host, *, as_json: bool) -> None:
    """Scores a result and prints what it scored.

    Raises:
        UsageError: What it is held against is missing, or does not belong to it.
        MediaError: Something cannot be read.
    """
    bars = (TextColumn("score"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*bars, console=Console(stderr=True)) as progress:
        task = progress.add_task("score", total=None)
        found = score_movie(
            asked.result,
            asked.references(),
            tracks=asked.tracks,
            faces_by=[] if asked.faces_by is None else [name.strip() for name in asked.faces_by.split(",")],
            frames=None if asked.frames is None else FrameRange.parse(asked.frames),
            color_space=asked.color_space,
            host=host,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    say(found.to_json() if as_json else "\n".join(_told(found)))


def _told(found: ShotScore) -> list[str]:
    rows = [("SCORE", "SHOT", "BETTER", "PERFECT", "WORST", "AT FRAME", "WHAT")]
    for name, value in found.values.items():
        metric, worst = METRICS[name], found.worst(name)
        at = ("", "") if worst is None else (f"{worst.values[name]:.4g}", str(worst.number))
        rows.append((name, f"{value:.4g}", _BETTER[metric.best], f"{metric.perfect:g}", *at, metric.says))
    lines = [f"{found.result}, {len(found.frames)} frames", *columns(rows)]
    noted = [f"frame {frame.number}: {note}" for frame in found.frames for note in frame.notes]
    reasons = dict.fromkeys(found.missing.values())
    lines += [f"not scored, {why}: {', '.join(_with(why, found.missing))}" for why in reasons]
    return [*lines, *noted]


def _with(why: str, missing: Mapping[str, str]) -> list[str]:
    return [name for name, reason in missing.items() if reason == why]
