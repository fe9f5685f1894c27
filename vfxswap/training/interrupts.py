"""Being asked to stop: the step at work is finished, everything is saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Asked:
    """Whether somebody asked."""

    def __init__(self) -> None:
        self.by = ""
        """Name of the signal; empty if nobody did."""

    def __bool__(self) -> bool:
        return bool(self.by)


@contextmanager
def stop_asked() -> Iterator[Asked]:
    """Watches for SIGTERM and Ctrl-C; a second one ends the process as it would have without this.

    Outside of the main thread, where signals do not arrive, nothing is watched.
    """
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def noted(number: int, _: object) -> None:
        asked.by = signal.Signals(number).name
        signal.signal(number, before[signal.Signals(number)] or signal.SIG_DFL)

    for number in before:
        signal.signal(number, noted)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
