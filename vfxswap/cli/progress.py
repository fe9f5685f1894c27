"""How far a run is, in the words that terminals, logs and render farms understand."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from vfxswap.report import Progress

if TYPE_CHECKING:
    import rich.progress

Clock = Callable[[], float]


class ProgressStyle(StrEnum):
    """How a command tells how far it is."""

    AUTO = "auto"
    OPENJD = "openjd"
    DEADLINE = "deadline"
    ALFRED = "alfred"
    JSON = "json"
    NONE = "none"


class Renderer:
    """Takes the progress of one run; the base of the styles is silent.

    Args:
        stream: Where the words go.
        clock: Seconds that only grow.
    """

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        self.stream, self.clock = stream, clock

    def __call__(self, progress: Progress) -> None:
        """Is called after each frame."""

    def failed(self, message: str) -> None:
        """Is called when the run ends by an error."""

    def __enter__(self) -> Renderer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.failed(str(error))

    def line(self, text: str) -> None:
        """Writes a line at once: farms read while the process runs, and look for their words in column 0."""
        self.stream.write(f"{text}\n")
        self.stream.flush()


class _Paced(Renderer):
    """Speaks at the first frame, at the last, and in between at most every `pause_seconds`."""

    pause_seconds = 5.0

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        super().__init__(stream, clock)
        self._next = -float("inf")

    def __call__(self, progress: Progress) -> None:
        now = self.clock()
        if now >= self._next or progress.done >= progress.total:
            self._next = now + self.pause_seconds
            self.tell(progress)

    def tell(self, progress: Progress) -> None:
        """Writes how far it is."""
        self.line(described(progress))


class _Percent(Renderer):
    """Speaks whenever a whole percent is full, in a farm's own words."""

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        super().__init__(stream, clock)
        self._told = -1

    def __call__(self, progress: Progress) -> None:
        percent = percent_of(progress)
        if percent > self._told:
            self._told = percent
            self.tell(progress)

    def tell(self, progress: Progress) -> None:
        """Writes how far it is."""
        raise NotImplementedError


class Json(_Paced):
    """One JSON object a line."""

    pause_seconds = 0.5

    def tell(self, progress: Progress) -> None:
        """Writes `{"type": "progress", "done": 10, ...}`."""
        self.line(json.dumps({"type": "progress", **asdict(progress)}))

    def failed(self, message: str) -> None:
        """Writes `{"type": "error", ...}`."""
        self.line(json.dumps({"type": "error", "message": message}, ensure_ascii=False))


class OpenJd(_Percent):
    """Open Job Description 2023-09, "How Jobs Are Run", stdout messages: AWS Deadline Cloud and others."""

    def tell(self, progress: Progress) -> None:
        """Writes `openjd_progress: 12.5` and a status."""
        self.line(f"openjd_progress: {100 * progress.done / max(progress.total, 1):.1f}")
        self.line(f"openjd_status: {described(progress)}")

    def failed(self, message: str) -> None:
        """Writes `openjd_fail: ...`, in one line, as the protocol has it."""
        self.line(f"openjd_fail: {' '.join(message.split())}")


class Deadline(_Percent):
    """Thinkbox Deadline 10, the progress words of its command line plugin."""

    def tell(self, progress: Progress) -> None:
        """Writes `Progress: 12%`."""
        self.line(f"Progress: {percent_of(progress)}%")


class Alfred(_Percent):
    """Pixar Tractor and Alfred."""

    def tell(self, progress: Progress) -> None:
        """Writes `ALF_PROGRESS 12%`."""
        self.line(f"ALF_PROGRESS {percent_of(progress)}%")


class Bar(Renderer):
    """A bar in a terminal."""

    def __enter__(self) -> Bar:
        from rich import progress as parts  # noqa: PLC0415 - a farm needs no bar
        from rich.console import Console  # noqa: PLC0415

        self._bar: rich.progress.Progress = parts.Progress(
            parts.TextColumn("frame {task.fields[frame]}"),
            parts.BarColumn(),
            parts.MofNCompleteColumn(),
            parts.TextColumn("{task.fields[fps]:.1f} fps"),
            parts.TimeRemainingColumn(),
            console=Console(file=self.stream),
        )
        self._task = self._bar.add_task("", total=None, frame="", fps=0.0)
        self._bar.start()
        return self

    def __call__(self, progress: Progress) -> None:
        """Moves the bar."""
        self._bar.update(
            self._task, completed=progress.done, total=progress.total, frame=progress.frame, fps=progress.fps
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


_STYLES: dict[str, type[Renderer]] = {
    "openjd": OpenJd,
    "deadline": Deadline,
    "alfred": Alfred,
    "json": Json,
    "none": Renderer,
}


def renderer(style: str, stream: TextIO | None = None) -> Renderer:
    """The renderer of a style.

    Args:
        style: `auto` (a bar in a terminal, else a line every few seconds), `openjd`, `deadline`, `alfred`, `json` or
            `none`.
        stream: Where the words go; None is standard output.

    Raises:
        KeyError: There is no such style.
    """
    stream = sys.stdout if stream is None else stream
    if style == "auto":
        return Bar(stream) if stream.isatty() else _Paced(stream)
    return _STYLES[style](stream)


def percent_of(progress: Progress) -> int:
    """Whole percents that are done, 0..100."""
    return 100 * progress.done // max(progress.total, 1)


def described(progress: Progress) -> str:
    """`frame 1010, 10 of 100 (10 %), 3.2 fps, 0:28 left`; or what is done before."""
    if progress.is_survey:
        return f"looks at frame {progress.frame} before the run"
    words = [f"frame {progress.frame}", f"{progress.done} of {progress.total} ({percent_of(progress)} %)"]
    if progress.fps > 0:
        words.append(f"{progress.fps:.1f} fps")
    if progress.eta_seconds > 0:
        words.append(f"{clock_text(progress.eta_seconds)} left")
    return ", ".join(words)


def clock_text(seconds: float) -> str:
    """`0:28`, `12:05`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
