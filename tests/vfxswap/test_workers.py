"""What a process has one of: set while somebody computes, and put back behind the last."""

from __future__ import annotations

import cv2
import pytest
import torch

from vfxswap.workers import _precisions, _set_precisions, cores, whole_floats, worker_pool


def test_each_worker_has_one_thread_inside_torch() -> None:
    with worker_pool(2) as pool:
        assert pool.submit(torch.get_num_threads).result() == 1
    assert cores() >= 1


def test_opencv_has_its_threads_again_after_the_last_pool() -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        first, second = worker_pool(1), worker_pool(1)
        first.__enter__()
        assert cv2.getNumThreads() == 1
        second.__enter__()
        first.__exit__(None, None, None)
        assert cv2.getNumThreads() == 1
        second.__exit__(None, None, None)
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


def test_opencv_has_its_threads_again_after_an_error() -> None:
    before = cv2.getNumThreads()
    with pytest.raises(KeyError), worker_pool(1):
        raise KeyError
    assert cv2.getNumThreads() == before


def test_convolutions_have_their_precision_again_after_the_last_user() -> None:
    before = _precisions()
    _set_precisions(("tf32",) * len(before))
    try:
        first, second = whole_floats(), whole_floats()
        first.__enter__()
        assert set(_precisions()) == {"ieee"}
        second.__enter__()
        first.__exit__(None, None, None)
        assert set(_precisions()) == {"ieee"}
        second.__exit__(None, None, None)
        assert set(_precisions()) == {"tf32"}
        with pytest.raises(KeyError), whole_floats():
            raise KeyError
        assert set(_precisions()) == {"tf32"}
    finally:
        _set_precisions(before)
