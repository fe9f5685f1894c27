"""Which run wrote which frame of a sequence: a hidden file beside the frames, for as long as the run is not finished.

A line is written before its file gets its name, with the size and time that this will have: whatever moment a run is
killed at, a frame counts as done only if its file is the one that was noted.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from vfxswap.files import FramePattern


def journal(delivery: Path) -> Path:
    """Where the notes of a delivery are."""
    return delivery.with_name(f".{delivery.name}.jsonl")


def note(delivery: Path, key: str, frame: int, file: Path) -> None:
    """Notes a frame that is written and will be renamed now; for one thread at a time.

    Args:
        delivery: The pattern.
        key: Of the run.
        frame: Its number.
        file: It, under its temporary name.

    Raises:
        OSError: The disk is full.
    """
    stat = file.stat()
    line = {"frame": frame, "key": key, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    with journal(delivery).open("a", encoding="utf-8") as notes:
        notes.write(f"{json.dumps(line)}\n")
        notes.flush()
        os.fsync(notes.fileno())


def noted(delivery: Path, key: str) -> frozenset[int]:
    """The frames that a run of this key noted last, and whose files are those that it wrote."""
    try:
        lines = journal(delivery).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return frozenset()
    last = {}
    for line in lines:
        try:
            entry = json.loads(line)
            last[int(entry["frame"])] = (entry["key"], entry["bytes"], entry["mtime_ns"])
        except (ValueError, KeyError, TypeError):
            continue  # a line that a killed run left unfinished
    pattern = FramePattern(delivery)
    return frozenset(frame for frame, said in last.items() if said == (key, *_stamp(pattern.path(frame))))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (-1, -1)
    return stat.st_size, stat.st_mtime_ns
