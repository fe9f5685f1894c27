"""Which run wrote which frame of a sequence: hidden files beside the frames, for as long as the runs are not finished.

Each range of frames has a file of its own, so that chunks that are rendered at once, on machines that share a disk,
never write to the same one.

A line is written before its file gets its name, with the size and time that this will have: whatever moment a run is
killed at, a frame counts as done only if its file is the one that was noted.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from vfxswap.files import FramePattern, stamp_of

_RANGE = re.compile(r"-?\d+--?\d+")


def journal(delivery: Path, first: int, last: int) -> Path:
    """Where the notes of a run over some frames of a delivery are."""
    return delivery.with_name(f".{delivery.name}.{first}-{last}.jsonl")


def note(notes: Path, key: str, frame: int, file: Path, *, beside: Mapping[str, Path]) -> None:
    """Notes a frame that is written and will be renamed now; for one thread at a time.

    Args:
        notes: The `journal`.
        key: Of the run.
        frame: Its number.
        file: It, under its temporary name.
        beside: The files of its layers, by the names that they will have.

    Raises:
        OSError: The disk is full.
    """
    size, time = stamp_of(file)
    line: dict[str, object] = {"frame": frame, "key": key, "bytes": size, "mtime_ns": time}
    if beside:
        line["beside"] = {name: stamp_of(path) for name, path in beside.items()}
    with notes.open("a", encoding="utf-8") as kept:
        kept.write(f"{json.dumps(line)}\n")
        kept.flush()
        os.fsync(kept.fileno())


def noted(delivery: Path, key: str) -> frozenset[int]:
    """The frames that unfinished runs of this key noted, and whose files are those that they wrote."""
    pattern, stamps = FramePattern(delivery), {}
    found = set()
    for line in _lines(delivery):
        try:
            entry = json.loads(line)
            frame, said = int(entry["frame"]), (entry["key"], entry["bytes"], entry["mtime_ns"])
            beside = {str(name): tuple(stamp) for name, stamp in entry.get("beside", {}).items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # a line that a killed run left unfinished
        if frame not in stamps:
            stamps[frame] = stamp_of(pattern.path(frame))
        are_there = all(stamp_of(delivery.with_name(name)) == stamp for name, stamp in beside.items())
        if said == (key, *stamps[frame]) and are_there:
            found.add(frame)
    return frozenset(found)


def _lines(delivery: Path) -> Iterator[str]:
    start, end = f".{delivery.name}.", ".jsonl"
    try:
        names = sorted(path.name for path in delivery.parent.iterdir())
        for name in names:
            if name.startswith(start) and name.endswith(end) and _RANGE.fullmatch(name[len(start) : -len(end)]):
                yield from delivery.with_name(name).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return  # no folder yet; or a run that is finished now took its notes away, and its report says more
