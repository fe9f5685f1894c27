"""Threads that compute.

Several threads with one thread inside torch each are faster on a CPU than torch's own pool of threads, and their sums
do not depend on how many cores a machine has. The same goes for OpenCV, whose pool costs more in waking it up than a
small picture's work is worth.

What a process has one of, for all its threads, is set for as long as somebody computes, and put back behind the last.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import cv2
import torch

T = TypeVar("T")

_CUDNN: Any = torch.backends.cudnn


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
        with _OPENCV_THREADS.held():
            yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def whole_floats() -> Iterator[None]:
    """Convolutions of float32 keep its 24 bits for as long as this lasts, in all of the process.

    Else cuDNN may compute them in TF32, with 11, on GPUs that have it (from Ampere on), but not on others.
    """
    with _CONVOLUTIONS.held():
        yield


class _Held(Generic[T]):
    """A setting of the whole process, which the last of several users puts back as the first one found it."""

    def __init__(self, value: T, *, read: Callable[[], T], write: Callable[[T], object]) -> None:
        self._value, self._read, self._write = value, read, write
        self._lock = threading.Lock()
        self._users = 0
        self._found = value

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._lock:
            if self._users == 0:
                self._found = self._read()
                self._write(self._value)
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._write(self._found)


def _precisions() -> tuple[str, ...]:
    """Of cuDNN's convolutions and recurrent cells: `ieee`, `tf32` ..."""
    if hasattr(_CUDNN, "conv"):
        return _CUDNN.conv.fp32_precision, _CUDNN.rnn.fp32_precision
    return ("tf32",) if _CUDNN.allow_tf32 else ("ieee",)


def _set_precisions(wanted: tuple[str, ...]) -> None:
    """By torch's words from 2.9 on where it knows them: it warns of the older ones, and takes no mixture of both."""
    if hasattr(_CUDNN, "conv"):
        _CUDNN.conv.fp32_precision, _CUDNN.rnn.fp32_precision = wanted
    else:
        _CUDNN.allow_tf32 = "tf32" in wanted


_OPENCV_THREADS = _Held(1, read=cv2.getNumThreads, write=cv2.setNumThreads)
_CONVOLUTIONS = _Held[tuple[str, ...]](("ieee", "ieee"), read=_precisions, write=_set_precisions)
