"""How many pictures are decoded or encoded at once."""

from __future__ import annotations

import os

from vfxswap.media import PlateInfo

_MOST_THREADS = 16
"""More of them wait for the disk alone."""
_MOST_BYTES = 1 << 30
"""Of the pictures that are in work at once."""


def threads_for(plate: PlateInfo) -> int:
    """A thread for each core that this process may use, as long as their pictures take no more than 1 GiB."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    picture = plate.width * plate.height * plate.layout.channels * plate.layout.bits // 8
    return max(1, min(cores, _MOST_THREADS, _MOST_BYTES // max(picture, 1)))
