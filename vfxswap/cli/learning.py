"""How a training is told: a dashboard in a terminal, plain lines in a log, JSON for programs."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from itertools import pairwise
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from vfxswap.cli.progress import clock_text
from vfxswap.training.events import Event, Prepared, Previewed, Saved, Started, Stepped, Tell, Warned

if TYPE_CHECKING:
    from rich.console import RenderableType

Clock = Callable[[], float]
_PAUSE_SECONDS = 10.0
_BARS = "▁▂▃▄▅▆▇█"
_CURVE_COLUMNS = 60


def listener(style: str, stream: TextIO) -> AbstractContextManager[Tell]:
    """Who listens to a training.

    Args:
        style: `auto` (a dashboard in a terminal, else lines), `json` or `none`.
        stream: Where the words go; warnings go to standard error but in a dashboard.
    """
    if style == "none":
        return nullcontext(_silent)
    if style == "json":
        return nullcontext(Json(stream))
    return Dashboard(stream) if stream.isatty() else nullcontext(Lines(stream))


def _silent(event: Event) -> None:
    """Says warnings alone."""
    if isinstance(event, Warned):
        sys.stderr.write(f"warning: {event.message}\n")


class Json:
    """One JSON object a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Writes `{"type": "stepped", ...}`."""
        row = {"type": type(event).__name__.lower(), **asdict(event)}
        self._stream.write(json.dumps(row, default=str, ensure_ascii=False) + "\n")
        self._stream.flush()


class Lines:
    """A line every few seconds, for a log."""

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        self._stream, self._clock, self._next = stream, clock, -float("inf")

    def __call__(self, event: Event) -> None:
        """Writes a line, if it is time."""
        if isinstance(event, Warned):
            sys.stderr.write(f"warning: {event.message}\n")
        elif not isinstance(event, Prepared | Stepped) or self._clock() >= self._next or _ends(event):
            # The first of each kind is told at once.
            self._next = self._clock() + _PAUSE_SECONDS if isinstance(event, Prepared | Stepped) else -float("inf")
            self._stream.write(described(event) + "\n")
            self._stream.flush()


def _ends(event: Prepared | Stepped) -> bool:
    return (event.part if isinstance(event, Prepared) else event.progress) >= 1


def described(event: Event) -> str:
    """An event in a line."""
    if isinstance(event, Prepared):
        return f"{event.what}: {100 * event.part:.0f} %"
    if isinstance(event, Started):
        faces = ", ".join(f"{name} {count}" for name, count in list(event.identities.items())[:6])
        more = f" and {len(event.identities) - 6} more" if len(event.identities) > 6 else ""
        where = f"{event.weights / 1e6:.1f} M weights on {event.device}"
        return f"{'going on from step ' + str(event.step) if event.step else 'training'}: faces {faces}{more}; {where}"
    if isinstance(event, Stepped):
        return (
            f"step {event.step} of {event.iterations} ({100 * event.progress:.0f} %), {event.size_px} px, loss"
            f" {event.parts['loss']:.4f}, {event.faces_per_second:.1f} faces/s, {clock_text(event.eta_seconds)} left"
        )
    if isinstance(event, Previewed):
        scores = list(event.scores.items())[:6]
        return f"preview {event.path}: " + ", ".join(f"{name} {value:.1f} dB" for name, value in scores)
    if isinstance(event, Saved):
        return f"saved {event.path} at step {event.step}"
    return f"warning: {event.message}"


class Dashboard:
    """A panel that is drawn anew: losses, their curve, scores, speed, time left."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415 - a farm needs no dashboard
        from rich.live import Live  # noqa: PLC0415

        self._console = Console(file=stream)
        self._live = Live(console=self._console, refresh_per_second=4)
        self._prepared: Prepared | None = None
        self._started: Started | None = None
        self._last: Stepped | None = None
        self._preview: Previewed | None = None
        self._curve: deque[float] = deque(maxlen=4000)

    def __enter__(self) -> Tell:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Takes an event and draws."""
        if isinstance(event, Prepared):
            self._prepared = event
        elif isinstance(event, Started):
            self._started = event
        elif isinstance(event, Stepped):
            self._last = event
            self._curve.append(event.parts["loss"])
        elif isinstance(event, Previewed):
            self._preview = event
        else:
            self._console.print(described(event), markup=False, highlight=False)
        self._live.update(self.panel())

    def panel(self) -> RenderableType:
        """What is shown."""
        from rich.console import Group  # noqa: PLC0415
        from rich.panel import Panel  # noqa: PLC0415
        from rich.progress_bar import ProgressBar  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table.grid(padding=(0, 2))
        if self._started is None and self._prepared is not None:
            table.add_row("before", Text(described(self._prepared)))
        if self._started is not None:
            table.add_row("faces", Text(described(self._started).partition(": faces ")[2]))
        last = self._last
        if last is None:
            return Panel(table, title="vfxswap train")
        table.add_row("step", f"{last.step} of {last.iterations}, {last.size_px} px, rate x{last.rate:.2f}")
        parts = ", ".join(f"{name} {value:.4f}" for name, value in last.parts.items() if name not in {"loss", "slope"})
        table.add_row("loss", Text(f"{last.parts['loss']:.4f}  ({parts})"))
        table.add_row("curve", sparkline(list(self._curve), _CURVE_COLUMNS))
        if self._preview is not None:
            scores = ", ".join(f"{name} {value:.1f} dB" for name, value in list(self._preview.scores.items())[:6])
            table.add_row("held out", Text(scores))
        left = clock_text(last.eta_seconds)
        table.add_row("speed", f"{last.faces_per_second:.1f} faces/s, {clock_text(last.seconds)} done, {left} left")
        bar = ProgressBar(total=1.0, completed=last.progress)
        return Panel(Group(table, bar), title="vfxswap train", subtitle="Ctrl-C saves and stops")


def sparkline(values: list[float], width: int) -> str:
    """A curve in one line of block characters, each the mean of its part, on a scale from lowest to highest."""
    if not values:
        return ""
    count = min(width, len(values))
    edges = [round(k * len(values) / count) for k in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    span = max(high - low, 1e-12)
    return "".join(_BARS[min(int((mean - low) / span * len(_BARS)), len(_BARS) - 1)] for mean in means)
