"""What changes in the course of training, as functions of how much of the budget is used up."""

from __future__ import annotations

import math
from typing import NamedTuple

from vfxswap.training.tables import Augment, Train

_LOWEST = 0.02
"""Of the learning rate, at the end."""


class Growth(NamedTuple):
    """How large pictures are at a moment."""

    size_px: int
    fade: float
    """How far the finest level is faded in, 0..1."""


class Schedule:
    """The course of a training.

    Args:
        train: The budget and the rates.
        augment: Until when inputs are bent.
    """

    def __init__(self, train: Train, augment: Augment) -> None:
        self._train, self._augment = train, augment
        start = train.start_size or train.size
        self._sizes = [start * 2**k for k in range((train.size // start).bit_length())]

    def progress(self, step: int, seconds: float) -> float:
        """Part of the budget that is used up: of steps or of time, whichever is further on; 1 is the end."""
        used = step / self._train.iterations
        if self._train.minutes is not None:
            used = max(used, seconds / (60 * self._train.minutes))
        return min(used, 1.0)

    def rate(self, step: int, progress: float) -> float:
        """Factor on the learning rate: rises in a line, stays, falls along a cosine."""
        rise = min((step + 1) / (self._train.warmup + 1), 1.0)
        late = max(progress - self._train.decay_from, 0.0) / (1 - self._train.decay_from)
        return rise * (_LOWEST + (1 - _LOWEST) * 0.5 * (1 + math.cos(math.pi * late)))

    def averaging(self, step: int) -> float:
        """How slowly the averaged weights follow; quicker at first, when there is nothing worth averaging."""
        return min(self._train.ema, (1 + step) / (10 + step)) if self._train.ema else 0.0

    def bends(self, progress: float) -> bool:
        """Whether inputs are bent."""
        return progress < self._augment.warp_until

    def growth(self, progress: float) -> Growth:
        """How large pictures are; each new level is faded in over the second half of its time."""
        steps = len(self._sizes) - 1
        if not steps or progress >= self._train.grow_share:
            return Growth(self._sizes[-1], 1.0)
        level, within = divmod(progress / self._train.grow_share * steps, 1.0)
        if within < 0.5:
            return Growth(self._sizes[int(level)], 1.0)
        return Growth(self._sizes[int(level) + 1], 2 * within - 1)
