"""A process that makes chunks on one device, as it is told: the other end of `vfxswap.farm.devices`.

It is told in JSON, a line at a time: first the order, then one chunk after another; it answers with how far it is, and
with what came of each chunk. When it is told no more it ends. Plugins and models are found once, by each such process.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn, TextIO

from vfxswap.clock import FrameRange
from vfxswap.errors import Cancelled, ExitCode, Retryable, VfxswapError
from vfxswap.farm.chunk import Stamps, run_chunk
from vfxswap.farm.order import Order
from vfxswap.host import Host
from vfxswap.pipeline import Pipeline
from vfxswap.report import Progress

_PATHS = {"pipeline", "plate", "out"}


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is told first."""

    order: Order
    """With the worker's own device."""
    overwrite: bool
    threads: int | None
    """That run stages; None for as many as the device wants."""
    before: Stamps = field(default_factory=dict)
    """What was there of the job's frames: what is another file by now was overwritten by this job."""

    @property
    def line(self) -> str:
        """As it is told."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def read(cls, line: str) -> Task:
        """As it is understood."""
        said: dict[str, Any] = json.loads(line)
        order = {each.name: _understood(each.name, said["order"][each.name]) for each in fields(Order)}
        before = {int(number): (int(size), int(time)) for number, (size, time) in said["before"].items()}
        return cls(Order(**order), said["overwrite"], said["threads"], before)


def _understood(name: str, value: Any) -> Any:
    if name in _PATHS:
        return None if value is None else Path(value)
    if name == "plugin_path":
        return tuple(map(Path, value))
    return tuple(value) if isinstance(value, list) else value


def main() -> int:
    """Makes chunks until nobody asks for more."""
    signal.signal(signal.SIGTERM, _interrupt)
    # What libraries print is no word of this conversation.
    speech = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with suppress(KeyboardInterrupt, BrokenPipeError):
        task = Task.read(sys.stdin.readline())
        for answer in _answers(task, sys.stdin, speech):
            _say(speech, answer)
        return int(ExitCode.OK)
    # Who started this one is gone or wants no more; what was made is whole. Nothing is left to be flushed to them.
    os._exit(int(ExitCode.RETRY))


def _answers(task: Task, chunks: TextIO, speech: TextIO) -> Iterator[dict[str, Any]]:
    """What came of each chunk."""
    host = Host(plugin_path=task.order.plugin_path)
    plan: Pipeline | None = None
    for line in chunks:
        try:
            plan = task.order.loaded(host) if plan is None else plan
            _make(plan, FrameRange.parse(line.strip()), host, task, speech)
        except Cancelled as error:
            raise KeyboardInterrupt from error
        except VfxswapError as error:
            yield {"error": str(error), "retry": isinstance(error, Retryable)}
        else:
            yield {"error": None}


def _make(plan: Pipeline, chunk: FrameRange, host: Host, task: Task, speech: TextIO) -> None:
    def tell(progress: Progress) -> None:
        if not progress.is_survey:
            _say(speech, {"frame": progress.frame})

    run_chunk(plan, chunk, host, overwrite=task.overwrite, before=task.before, workers=task.threads, progress=tell)


def _say(speech: TextIO, what: dict[str, Any]) -> None:
    speech.write(f"{json.dumps(what)}\n")
    speech.flush()


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    """A first word to stop is Ctrl-C; a second must not disturb the tidying up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
