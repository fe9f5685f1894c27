"""Queues and maps keep the order, are bounded, hand over errors, and leave no thread behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from vfxswap.conveyor import Awaited, Leash, ReadAhead, Sink, parallel, windowed


class _BoomError(Exception):
    pass


def _failing_after(count: int) -> Iterator[int]:
    yield from range(count)
    raise _BoomError


def test_read_ahead_keeps_the_order_and_hands_over_the_error_in_its_place() -> None:
    seen: list[int] = []
    with ReadAhead(_failing_after(5), depth=2, name="t") as items, pytest.raises(_BoomError):
        seen.extend(items)
    assert seen == list(range(5))


def test_read_ahead_never_makes_more_than_its_depth_ahead() -> None:
    made = 0

    def items() -> Iterator[int]:
        nonlocal made
        for i in range(100):
            made += 1
            yield i

    with ReadAhead(items(), depth=3, name="t") as ahead:
        next(ahead)
        time.sleep(0.3)
        assert made <= 1 + 3 + 1  # taken, queued, and the one that waits for a place


def test_read_ahead_left_early_stops_its_thread_and_closes_the_items_in_it() -> None:
    closed_in: list[str] = []

    def items() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed_in.append(threading.current_thread().name)

    with ReadAhead(items(), depth=2, name="reader-thread") as ahead:
        assert next(ahead) == 0
    assert closed_in == ["reader-thread"]
    assert "reader-thread" not in {thread.name for thread in threading.enumerate()}


def test_read_ahead_interrupted_while_its_thread_starts_leaves_none_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever interrupts closes next what the thread reads from."""
    busy, closed = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        try:
            busy.set()
            time.sleep(0.2)
            yield 1
        finally:
            closed.set()

    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        busy.wait(5)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), ReadAhead(items(), depth=1, name="t"):
        pass
    assert closed.is_set()


def test_parallel_gives_results_in_order_with_at_most_so_many_in_work() -> None:
    in_work, most = 0, 0
    lock = threading.Lock()

    def work(i: int) -> int:
        nonlocal in_work, most
        with lock:
            in_work += 1
            most = max(most, in_work)
        time.sleep(0.002 * (i % 3))
        with lock:
            in_work -= 1
        return i * i

    with ThreadPoolExecutor(4) as pool:
        assert list(parallel(pool, work, iter(range(30)), ahead=2)) == [i * i for i in range(30)]
    assert most <= 2


def test_parallel_gives_what_came_before_an_error_of_the_items() -> None:
    found: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        chain = parallel(pool, lambda i: i * 2, parallel(pool, lambda i: i * 2, _failing_after(5), ahead=3), ahead=3)
        with pytest.raises(_BoomError):
            found.extend(chain)
    assert found == [0, 4, 8, 12, 16]


def test_parallel_chains_share_a_pool_of_one_thread_without_a_deadlock() -> None:
    with ThreadPoolExecutor(1) as pool:
        first = parallel(pool, lambda i: i + 1, iter(range(20)), ahead=3)
        second = parallel(pool, lambda i: i * 2, first, ahead=3)
        assert list(second) == [2 * (i + 1) for i in range(20)]


def test_sink_consumes_in_order_and_raises_its_error_at_the_next_call() -> None:
    got: list[int] = []

    def consume(i: int) -> None:
        if i == 3:
            raise _BoomError
        got.append(i)

    sink = Sink(consume, depth=2, name="sink-thread")

    def put_all() -> None:
        for i in range(50):
            sink.put(i)
            time.sleep(0.01)

    with pytest.raises(_BoomError):
        put_all()
    sink.stop()
    assert got == [0, 1, 2]
    assert "sink-thread" not in {thread.name for thread in threading.enumerate()}


def test_sink_close_raises_an_error_of_the_last_item() -> None:
    def consume(_: int) -> None:
        raise _BoomError

    sink = Sink(consume, depth=4, name="t")
    sink.put(1)
    with pytest.raises(_BoomError):
        sink.close()


@pytest.mark.parametrize(("behind", "ahead"), [(0, 0), (1, 0), (0, 2), (2, 3), (9, 9)])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_windowed_gives_each_item_its_neighbours(behind: int, ahead: int, count: int) -> None:
    windows = list(windowed(range(count), behind=behind, ahead=ahead))
    assert [window[center] for window, center in windows] == list(range(count))
    for i, (window, _) in enumerate(windows):
        assert list(window) == list(range(max(0, i - behind), min(count, i + ahead + 1)))


def test_a_leash_ends_what_another_thread_goes_through() -> None:
    """Nobody waits for the rest of a long look at a plate."""
    closed: list[int] = []

    def endless() -> Iterator[int]:
        try:
            yield from iter(int, 1)
        finally:
            closed.append(1)

    with ThreadPoolExecutor(1) as pool:
        with Leash() as leash:
            consumer = pool.submit(lambda: sum(1 for _ in leash.held(endless())))
            while not consumer.running():
                time.sleep(0.001)
        assert consumer.result(timeout=10) >= 0
    assert closed == [1]


def test_what_is_waited_for_is_counted() -> None:
    def slow() -> Iterator[int]:
        for number in range(3):
            time.sleep(0.02)
            yield number

    items = Awaited(slow())
    assert list(items) == [0, 1, 2]
    assert items.seconds >= 0.06
