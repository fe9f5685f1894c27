"""Threads that compute.

Several threads with one thread inside torch each are faster on a CPU than torch's own pool of threads, and their sums
do not depend on how many cores a machine has.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def worker_pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads, each with one thread inside torch; leaving the context ends it, with what is still queued."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="worker", initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
