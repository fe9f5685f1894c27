"""Threads that compute.

Several threads with one thread inside torch each are faster on a CPU than torch's own pool of threads, and their sums
do not depend on how many cores a machine has. The same goes for OpenCV, whose pool costs more in waking it up than a
small picture's work is worth.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import cv2
import torch


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def worker_pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads, each with one thread inside torch; leaving the context ends it, with what is still queued.

    While there is such a pool OpenCV has one thread in all of the process, for it knows no other measure; its results
    do not depend on that.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="worker", initializer=torch.set_num_threads, initargs=(1,))
    try:
        with _OPENCV.one_thread():
            yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _OpenCVThreads:
    """OpenCV's count of threads, which the last of several users puts back as the first one found it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._found = 0

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        with self._lock:
            if self._users == 0:
                self._found = cv2.getNumThreads()
                cv2.setNumThreads(1)
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    cv2.setNumThreads(self._found)


_OPENCV = _OpenCVThreads()
