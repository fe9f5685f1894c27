"""`vfxswap demo`: the main job on a synthetic performer, told as it goes, and scored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from vfxswap.cli.output import columns, say
from vfxswap.clock import FrameRange
from vfxswap.host import Host

if TYPE_CHECKING:
    from vfxswap.lab.demo import Demo
    from vfxswap.score import ShotScore

_TOLD = ("psnr_db", "ciede2000", "ring_ciede2000", "seam_codes", "flicker_codes", "sharpness", "grain")
"""The scores that are printed; the file has them all."""


def demonstrate(out: Path, frames: str | None, host: Host, *, size: tuple[int, int] | None = None) -> None:
    """Runs the demo, scores its result, and says where everything is.

    Args:
        out: Folder to write to.
        frames: Which frames of the demo's shot; all if not said.
        host: The plugins.
        size: Width and height of the shot; the demo's own if not said.

    Raises:
        VfxswapError: Something cannot be written, or the frames make no sense.
    """
    from vfxswap.lab import demo as lab  # noqa: PLC0415 - brings torch

    bars = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    chosen = None if frames is None else list(FrameRange.parse(frames))
    with Progress(*bars, console=Console(stderr=True)) as progress:
        tell = _Bars(progress)
        done = lab.demo(out, host, tell=tell, frames=chosen, size=size or lab.SIZE)
        plate, result = (
            _scored(path, done, host, lambda now, total, name=name: tell(f"score the {name}", now, total))  # type: ignore[misc]
            for name, path in (("plate", done.shot.plate), ("result", done.report.outputs[0]))
        )
    written = out / "score.json"
    written.write_text(json.dumps({"plate": plate.described(), "result": result.described()}, indent=1), "utf-8")
    say("\n".join([*_places(done, written), "", *_scores(plate, result), "", *_next(done, written)]))


def _scored(movie: Path, done: Demo, host: Host, progress: Callable[[int, int], None]) -> ShotScore:
    from vfxswap.score import References, score_movie  # noqa: PLC0415 - brings torch

    return score_movie(movie, References.of(done.shot.plate.parent), host=host, progress=progress)


def _places(done: Demo, scores: Path) -> list[str]:
    return [
        f"plate         {done.shot.plate}   (performer A, synthetic)",
        f"identity      {done.shot.identities[0]}   (performer B, synthetic; consent in identity.toml)",
        f"pipeline      {done.pipeline}",
        f"result        {done.report.outputs[0]}",
        f"truth         {done.shot.truth}   (what a perfect swap would be)",
        f"side by side  {done.beside}   (plate | result | truth)",
        f"a still of it {done.sheet}",
        f"scores        {scores}",
        f"report        {done.report.path}",
    ]


def _scores(plate: ShotScore, result: ShotScore) -> list[str]:
    """The result's scores beside those of doing nothing."""
    from vfxswap.score import METRICS  # noqa: PLC0415 - brings torch

    rows = [("HELD AGAINST THE TRUTH", "PLATE", "RESULT", "PERFECT", "WHAT")]
    for name in _TOLD:
        if name in result.values and name in plate.values:
            metric = METRICS[name]
            values = (f"{plate.values[name]:.3g}", f"{result.values[name]:.3g}", f"{metric.perfect:g}")
            rows.append((name, *values, metric.says))
    return columns(rows)


def _next(done: Demo, scores: Path) -> list[str]:
    pipeline, folder = done.pipeline, scores.parent
    other = folder / "other.mkv"
    return [
        "Try next: open the pipeline file, change a stage, run it again, and see what that did to the scores:",
        f"  vfxswap check {pipeline}",
        f"  vfxswap run {pipeline} --set stages.mkl.strength=0 --out {other}",
        f"  vfxswap score {other} --truth {folder}",
        "Other shots, performers and stages:  vfxswap lab presets, vfxswap lab performers, vfxswap plugins",
    ]


class _Bars:
    """One bar for each thing that is done."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total)
        self._bars.update(self._tasks[what], completed=done, total=total)
