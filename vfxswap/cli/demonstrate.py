"""`vfxswap demo`: the main job on a synthetic performer, told as it goes."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from vfxswap.cli.output import say
from vfxswap.clock import FrameRange
from vfxswap.host import Host


def demonstrate(out: Path, frames: str | None, host: Host) -> None:
    """Runs the demo and says where everything is.

    Raises:
        VfxswapError: Something cannot be written, or the frames make no sense.
    """
    from vfxswap.lab.demo import demo  # noqa: PLC0415 - brings torch

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        done = demo(out, host, tell=_Bars(bars), frames=None if frames is None else list(FrameRange.parse(frames)))
    say(
        "\n".join(
            [
                f"plate         {done.shot.plate}   (performer A, synthetic)",
                f"identity      {done.shot.identities[0]}   (performer B, synthetic; consent in identity.toml)",
                f"pipeline      {done.pipeline}",
                f"result        {done.report.outputs[0]}",
                f"truth         {done.shot.truth}   (what a perfect swap would be)",
                f"side by side  {done.beside}   (plate | result | truth)",
                f"a still of it {done.sheet}",
                f"report        {done.report.path}",
                "",
                "Try next: look at the pipeline file, change a stage and run it again:",
                f"  vfxswap check {done.pipeline}",
                f"  vfxswap run {done.pipeline} --set stages.mkl.strength=0 --out other.mkv",
            ]
        )
    )


class _Bars:
    """One bar for each thing that is done."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total)
        self._bars.update(self._tasks[what], completed=done, total=total)
