"""What happened to each frame: kept as JSON lines beside the delivery.

The first line describes the run, then comes one line a frame, the last line is the summary. A frame that is less than
perfect (no face, a face that was lost, a bridged gap) says so in its notes; nothing is swallowed.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vfxswap.errors import ExitCode

REPORT_SUFFIX = ".report.jsonl"
FORMAT_VERSION = 1
"""Of the report's lines; grows when their meaning changes."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come."""

    done: int
    """Frames handed to the writer."""
    total: int
    """Frames asked for."""
    frame: int
    """Number of the last one."""
    fps: float
    """Frames a second since the first frame was done; 0 until it is known."""
    eta_seconds: float
    """Expected seconds to the end; 0 until it is known."""


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """What happened to one frame."""

    frame: int
    faces: int
    """Faces seen."""
    identities: tuple[str, ...]
    """Who was put in."""
    notes: tuple[str, ...] = ()
    """Why it is less than perfect; empty for a good frame."""


@dataclass(slots=True)
class Report:
    """What a run did; written beside the delivery, returned by `vfxswap.run`."""

    run: dict[str, Any] = field(default_factory=dict)
    """What ran: pipeline and key, plate, versions, stages and owners, models and sha256, identities and consent."""
    frames: list[FrameRecord] = field(default_factory=list)
    """One record for each frame handed to the writer, in order."""
    stage_seconds: dict[str, float] = field(default_factory=dict)
    """Time spent in each step, summed over threads."""
    wall_seconds: float = 0.0
    """From the first to the last moment of the run."""
    outputs: tuple[Path, ...] = ()
    """Files that appeared."""
    error: str | None = None
    """Why the run stopped early."""
    already_done: bool = False
    """Whether the delivery was there already, complete and made from the same things, so that nothing was done."""
    path: Path | None = None
    """Where this report was written."""

    @property
    def degraded(self) -> list[FrameRecord]:
        """The frames with notes."""
        return [record for record in self.frames if record.notes]

    @property
    def exit_code(self) -> ExitCode:
        """How a command that made this report ends."""
        return ExitCode.FAILED if self.error else ExitCode.OK

    def summary(self) -> dict[str, Any]:
        """The figures of the whole run."""
        notes = Counter(note for record in self.frames for note in record.notes)
        return {
            "type": "summary",
            "frames": len(self.frames),
            "swapped": sum(1 for record in self.frames if record.identities),
            "degraded": len(self.degraded),
            "notes": dict(sorted(notes.items())),
            "wall_seconds": round(self.wall_seconds, 3),
            "stage_ms_per_frame": {
                name: round(1000 * seconds / max(len(self.frames), 1), 3)
                for name, seconds in self.stage_seconds.items()
            },
            "outputs": [path.name for path in self.outputs],
            "complete": self.error is None,
            "error": self.error,
        }

    def lines(self) -> Iterator[dict[str, Any]]:
        """The report's lines, in order."""
        yield {"type": "run", "version": FORMAT_VERSION, **self.run}
        for record in self.frames:
            yield {"type": "frame", **asdict(record)}
        yield self.summary()

    def write(self, path: Path) -> None:
        """Writes the lines; the file appears whole or not at all."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in self.lines())
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        self.path = path


def report_path(delivery: Path) -> Path:
    """Where the report of a delivery lies: beside it, under its name."""
    return delivery.with_name(delivery.name + REPORT_SUFFIX)


def finished_run(delivery: Path) -> tuple[str, str] | None:
    """The content key and the frames of the complete run that made a delivery, or None if there is no such report."""
    try:
        lines = report_path(delivery).read_text(encoding="utf-8").splitlines()
        head, tail = json.loads(lines[0]), json.loads(lines[-1])
    except (OSError, ValueError, IndexError):
        return None
    if head.get("type") != "run" or tail.get("type") != "summary" or not tail.get("complete"):
        return None
    return str(head.get("key")), str(head.get("frames"))
