"""Moving things between threads: bounded, in order, and stopped without leftovers.

Nothing here knows of pictures. Every helper gives items in the order in which they came, holds a fixed number of them,
and hands an error of its thread to the caller.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 10.0
"""How long a thread is waited for of which nobody knows whether it has begun."""


class _End:
    """Marks the end of a stream, with the error that ended it."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class ReadAhead(Generic[T]):
    """Iterates over items that a thread of its own makes, at most `depth` ahead; used as a context.

    Left early, the thread is stopped and joined; an error of the items is raised at its place in the order.
    """

    def __init__(self, items: Iterable[T], *, depth: int, name: str) -> None:
        self._items = items
        self._channel: queue.Queue[T | _End] = queue.Queue(maxsize=depth)
        self._stop, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._produce, name=name, daemon=True)

    def __enter__(self) -> Iterator[T]:
        try:
            self._thread.start()
        except BaseException:
            # An interrupt while it starts leaves it running, on things that the caller is about to close.
            self._stop.set()
            self._ended.wait(_PATIENCE_SECONDS)
            raise
        return self._consume()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _produce(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                if not self._put(item):
                    break
        except BaseException as caught:  # noqa: BLE001 - carried to the consumer, which raises it
            error = caught
        finally:
            try:
                if isinstance(self._items, Generator):
                    self._items.close()  # in this thread, so that what it holds open is given back now
            finally:
                self._ended.set()
        self._put(_End(error))

    def _put(self, item: T | _End) -> bool:
        while not self._stop.is_set():
            try:
                self._channel.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def _consume(self) -> Iterator[T]:
        while not isinstance(item := self._channel.get(), _End):
            yield item
        if item.error is not None:
            raise item.error


class Leash:
    """Ends what another thread iterates over when this context is left, so that nobody waits for the rest of it."""

    def __init__(self) -> None:
        self._let_go = threading.Event()

    def __enter__(self) -> Leash:
        return self

    def __exit__(self, *_: object) -> None:
        self._let_go.set()

    def held(self, items: Iterator[T]) -> Iterator[T]:
        """The items, until the context is left."""
        for item in items:
            if self._let_go.is_set():
                break
            yield item


class Awaited(Iterator[T]):
    """Iterates over items, and adds up how long it waits for them."""

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self.seconds = 0.0

    def __next__(self) -> T:
        start = time.perf_counter()
        try:
            return next(self._items)
        finally:
            self.seconds += time.perf_counter() - start


def parallel(pool: Executor, work: Callable[[T], R], items: Iterator[T], *, ahead: int) -> Iterator[R]:
    """Maps items on a pool, at most `ahead` at once, results in order.

    An error of the items is raised at its place: after the results of what came before it.

    Args:
        pool: Runs `work`; may serve several such maps in a chain, since no task waits for another.
        work: A pure function.
        items: Pulled from the caller's thread.
        ahead: How many items may be in the pool.
    """
    pending: deque[Future[R]] = deque()
    failure: Exception | None = None
    try:
        while True:
            try:
                item = next(items)
            except StopIteration:
                break
            except Exception as error:  # noqa: BLE001 - raised below
                failure = error
                break
            pending.append(pool.submit(work, item))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
    if failure is not None:
        raise failure


class Sink(Generic[T]):
    """Hands items to a function on a thread of its own, in order, at most `depth` waiting.

    An error of the function is raised by the next `put` or by `close`.
    """

    def __init__(self, consume: Callable[[T], None], *, depth: int, name: str) -> None:
        self._channel: queue.Queue[T | _End] = queue.Queue(maxsize=depth)
        self._error: BaseException | None = None
        self._consume = consume
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not isinstance(item := self._channel.get(), _End):
            if self._error is None:
                try:
                    self._consume(item)
                except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                    self._error = error

    def put(self, item: T) -> None:
        """Hands over an item; waits while the queue is full."""
        self._raise()
        self._channel.put(item)

    def close(self) -> None:
        """Waits until all items are consumed."""
        self.stop()
        self._raise()

    def stop(self) -> None:
        """Ends the thread after what is queued, whatever happened in it."""
        if self._thread.is_alive():
            self._channel.put(_End(None))
            self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


def windowed(items: Iterable[T], *, behind: int, ahead: int) -> Iterator[tuple[tuple[T, ...], int]]:
    """Gives each item with its neighbours: `(items oldest first, index of the central one)`, shorter at both ends."""
    window: deque[T] = deque()
    center = 0
    for item in items:
        window.append(item)
        if len(window) - center > ahead:
            yield tuple(window), center
            center += 1
            if center > behind:
                window.popleft()
                center -= 1
    while center < len(window):
        yield tuple(window), center
        center += 1
        if center > behind:
            window.popleft()
            center -= 1
