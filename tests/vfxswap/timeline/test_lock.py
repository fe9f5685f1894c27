"""One process at a time; a killed one is no obstacle."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from vfxswap.errors import MediaError
from vfxswap.timeline.lock import locked

TURNS = 40


def _count(path: Path) -> None:
    for _ in range(TURNS):
        with locked(path):
            seen = int(path.read_text())
            time.sleep(0.0005)
            path.write_text(str(seen + 1))


def _hold(path: Path) -> None:
    with locked(path):
        path.write_text("held")
        time.sleep(60)


def test_no_turn_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "count"
    path.write_text("0")
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_count, args=(path,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert int(path.read_text()) == 3 * TURNS
    assert [left.name for left in tmp_path.iterdir()] == ["count"]


def test_a_killed_holder_gives_back_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "count"
    path.write_text("free")
    holder = multiprocessing.get_context("fork").Process(target=_hold, args=(path,))
    holder.start()
    while path.read_text() != "held":
        time.sleep(0.01)
    os.kill(holder.pid or 0, signal.SIGKILL)
    holder.join()
    with locked(path):
        path.write_text("mine")
    assert path.read_text() == "mine"


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="choose another folder"), locked(tmp_path / "gone" / "out.otio"):
        pass
