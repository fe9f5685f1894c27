"""How far a job is, and when it may be done."""

from __future__ import annotations

import time

from vfxswap.render import ProgressCallback
from vfxswap.report import Progress


class Pace:
    """Counts frames and tells of them.

    Args:
        total: Frames asked for.
        tell: Is told after each step; None tells nobody.
    """

    def __init__(self, total: int, tell: ProgressCallback | None) -> None:
        self._total, self._tell = total, tell
        self._done = 0
        self._first: tuple[int, float] | None = None
        """How many were done when the first were, and the time of it: what came before is not of this speed."""

    def add(self, count: int, frame: int) -> None:
        """Counts frames, the last of which has this number."""
        self._done += count
        if self._tell is None:
            return
        now = time.perf_counter()
        if self._first is None:
            self._first = (self._done, now)
        done, start = self._first
        fps = (self._done - done) / (now - start) if now > start else 0.0
        eta = (self._total - self._done) / fps if fps else 0.0
        self._tell(Progress(self._done, self._total, frame, fps, eta))
