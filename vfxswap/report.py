"""What happened to each frame: kept as JSON lines beside the delivery.

The first line describes the run, then comes one line a frame, the last line is the summary. A frame that is less than
perfect (no face, a face that was lost, a bridged gap) says so in its notes; nothing is swallowed.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vfxswap.clock import FrameRange
from vfxswap.errors import ExitCode, MediaError, UsageError
from vfxswap.files import stamp_of

REPORT_SUFFIX = ".report.jsonl"
_LONGEST_RANGE = 60
"""Letters of a frame range in a file's name; of a longer one its ends stand there, and a digest."""
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
    is_survey: bool = False
    """Whether a stage looks at this frame before the run; nothing is made of it yet."""


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
    earlier: list[FrameRecord] = field(default_factory=list)
    """Records of the frames that were there already, as those told of them who made them."""
    made_of: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    """Of each frame of a sequence, what it was made of and by what its files are known again; see `vfxswap.journal`."""
    digests: tuple[Mapping[str, Any], ...] = ()
    """Of each file of a delivery that holds many frames, the sha256 of its bytes and of each picture."""
    stage_seconds: dict[str, float] = field(default_factory=dict)
    """Time spent in each step, summed over threads."""
    wall_seconds: float = 0.0
    """From the first to the last moment of the run."""
    outputs: tuple[Path, ...] = ()
    """Files that appeared."""
    layers: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    """Files of layers, by the layer's name, in the order of the frames; none where the outputs hold them."""
    error: str | None = None
    """Why the run stopped early."""
    already_done: bool = False
    """Whether the delivery was there already, complete and made from the same things, so that nothing was done."""
    path: Path | None = None
    """Where this report was written."""

    @property
    def records(self) -> list[FrameRecord]:
        """One record for each frame that is known of, in order."""
        made = {record.frame: record for record in (*self.earlier, *self.frames)}
        return [made[number] for number in sorted(made)]

    @property
    def degraded(self) -> list[FrameRecord]:
        """The frames with notes."""
        return [record for record in self.records if record.notes]

    @property
    def exit_code(self) -> ExitCode:
        """How a command that made this report ends."""
        return ExitCode.FAILED if self.error else ExitCode.OK

    def summary(self) -> dict[str, Any]:
        """The figures of the whole run."""
        records = self.records
        notes = Counter(note for record in records for note in record.notes)
        return {
            "type": "summary",
            "frames": len(records),
            "made": len(self.frames),
            "swapped": sum(1 for record in records if record.identities),
            "degraded": len(self.degraded),
            "notes": dict(sorted(notes.items())),
            "wall_seconds": round(self.wall_seconds, 3),
            "stage_ms_per_frame": {
                name: round(1000 * seconds / max(len(self.frames), 1), 3)
                for name, seconds in self.stage_seconds.items()
            },
            "outputs": [path.name for path in self.outputs],
            "stamps": [stamp_of(path) for path in self.outputs],
            "digests": list(self.digests),
            "layers": {name: [path.name for path in paths] for name, paths in self.layers.items()},
            "layer_stamps": {name: [stamp_of(path) for path in paths] for name, paths in self.layers.items()},
            "complete": self.error is None,
            "error": self.error,
        }

    def lines(self) -> Iterator[dict[str, Any]]:
        """The report's lines, in order."""
        yield {"type": "run", "version": FORMAT_VERSION, **self.run}
        for record in self.records:
            yield {"type": "frame", **asdict(record), **self.made_of.get(record.frame, {})}
        yield self.summary()

    def write(self, path: Path) -> None:
        """Writes the lines; the file appears whole or not at all.

        Raises:
            MediaError: It cannot be written; says why the run stopped, too.
        """
        temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in self.lines())
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            why = f"{self.error}; and " if self.error else ""
            raise MediaError(
                f"{why}the report {path} cannot be written: {error.strerror or error}; free some space, or deliver"
                " elsewhere",
                path=path,
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
        self.path = path


def report_path(delivery: Path, frames: FrameRange | None = None) -> Path:
    """Where the report of a delivery lies: beside it, under its name.

    Args:
        delivery: The file, or the pattern of a sequence.
        frames: Those of a run that makes a part of a sequence, such as a chunk on a farm: its report has their range in
            its name, so that no chunk's report takes the place of another's. None is the whole.
    """
    return delivery.with_name(f"{delivery.name}{'' if frames is None else f'.{_in_name(frames)}'}{REPORT_SUFFIX}")


def _in_name(frames: FrameRange) -> str:
    text = str(frames)
    if len(text) <= _LONGEST_RANGE:
        return text
    return f"{frames[0]}-{frames[-1]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def reports_of(delivery: Path) -> tuple[Path, ...]:
    """All reports that lie beside a delivery: of the whole, and of parts that were made by themselves."""
    try:
        names = sorted(path.name for path in delivery.parent.iterdir())
    except OSError:
        return ()
    start = f"{delivery.name}."
    mine = [name for name in names if name.startswith(start) and name.endswith(REPORT_SUFFIX)]
    return tuple(delivery.with_name(name) for name in mine)


@dataclass(frozen=True, slots=True)
class PastRun:
    """What a report says of the run that wrote it."""

    key: str
    """Content key: the same key, the same frames."""
    frames: FrameRange
    """Asked for."""
    is_complete: bool
    """Whether all of them were delivered."""
    stamps: tuple[tuple[int, int], ...]
    """Bytes and time of each file that appeared, as the run left it."""
    layers: tuple[tuple[tuple[str, tuple[int, int]], ...], ...] = ()
    """Name and stamp of each file of a layer, by frame."""
    digests: tuple[Mapping[str, Any], ...] = ()
    """See `Report.digests`."""

    def kept_layers(self, delivery: Path) -> list[bool]:
        """Of each frame, whether the files of its layers are as the run left them."""
        if not self.layers:
            return [True] * len(self.frames)
        return [all(stamp_of(delivery.with_name(name)) == stamp for name, stamp in files) for files in self.layers]


def past_run(path: Path) -> PastRun | None:
    """Reads a report's first and last line; None if it is no whole report."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        head, tail = json.loads(lines[0]), json.loads(lines[-1])
        if head["type"] != "run" or tail["type"] != "summary":
            return None
        stamps = tuple((int(size), int(time)) for size, time in tail.get("stamps", ()))
        frames = FrameRange.parse(str(head["frames"]))
        digests = tuple(dict(each) for each in tail.get("digests", ()))
        return PastRun(str(head["key"]), frames, bool(tail["complete"]), stamps, _layers(tail), digests)
    except (OSError, ValueError, IndexError, KeyError, TypeError, AttributeError, UsageError):
        return None


def _layers(tail: Mapping[str, Any]) -> tuple[tuple[tuple[str, tuple[int, int]], ...], ...]:
    columns = []
    for layer, names in tail.get("layers", {}).items():
        stamps = [(int(size), int(time)) for size, time in tail["layer_stamps"][layer]]
        columns.append(list(zip(map(str, names), stamps, strict=True)))
    return tuple(zip(*columns, strict=True))


def frame_records(path: Path) -> tuple[dict[str, Any], list[FrameRecord]]:
    """What a report says of its run and of each frame; nothing if it is no whole report."""
    if past_run(path) is None:
        return {}, []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return lines[0], [
        FrameRecord(line["frame"], line["faces"], tuple(line["identities"]), tuple(line["notes"]))
        for line in lines
        if line["type"] == "frame"
    ]
