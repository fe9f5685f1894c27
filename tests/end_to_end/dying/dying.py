"""A plugin for tests that kills its own process at a frame, as a machine that goes down does.

`DYING_FRAME` says at which, `DYING_SIGNAL` how (KILL), `DYING_SECONDS` how long after it was handed to the writer, and
`DYING_MARK` names a file that is there once it has died: it dies once then, and without such a name always.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from vfxswap.frame import Frame
from vfxswap.hookspecs import hookimpl


@hookimpl
def vfxswap_api() -> tuple[int, int]:
    """The contract that it was written for."""
    return (1, 0)


@hookimpl
def vfxswap_frame_done(frame: Frame) -> None:
    """Kills the process."""
    if os.environ.get("DYING_FRAME") != str(frame.number):
        return
    mark = os.environ.get("DYING_MARK")
    if mark is not None:
        if Path(mark).exists():
            return
        Path(mark).touch()
    how = signal.Signals[f"SIG{os.environ.get('DYING_SIGNAL', 'KILL')}"]
    threading.Timer(float(os.environ.get("DYING_SECONDS", "0")), os.kill, (os.getpid(), how)).start()
