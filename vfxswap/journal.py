"""Which run made which frame of what: known by the file of each frame, whatever became of the run.

A note is written before a frame's files get their names, with the size, time and sha256 that these will have: whatever
moment a run is killed at, a frame counts as done only if its files are those that were noted. Until the run's report
holds the notes they are in a hidden file beside the frames, one for each run, so that machines that share a disk never
write to the same one.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from vfxswap.files import FramePattern, file_sha256, stamp_of
from vfxswap.frame import Frame
from vfxswap.report import FrameRecord, reports_of

RECORD = "vfxswap.record"
"""The name among a finished frame's `props` of its `FrameRecord`."""
_NAME = re.compile(r"-?\d+--?\d+\.[0-9a-f]+")
_AT_WORK_NS = 24 * 60 * 60 * 10**9
"""After its last note a run may still be at work for that long, on whatever machine."""


class FrameKey(NamedTuple):
    """What a frame was made of: the same key, the same bits."""

    settings: str
    """A sha256, in hex, of all but the plate."""
    plate: str
    """The same of those frames of the plate that this one depends on."""


class FileFacts(NamedTuple):
    """By what a file is known again."""

    size: int
    """Bytes."""
    mtime_ns: int
    """Time of modification."""
    sha256: str
    """In hex."""

    @classmethod
    def of(cls, path: Path) -> FileFacts:
        """What a file is now.

        Raises:
            OSError: It cannot be read.
        """
        return cls(*stamp_of(path), file_sha256(path))

    def fit(self, path: Path, *, reading: bool = False) -> bool:
        """Whether a file is the one that was noted.

        Args:
            path: The file.
            reading: Whether its bytes are read in any case; else they are only where it has another time, as copies
                and frames have that were made twice.
        """
        size, time = stamp_of(path)
        if size != self.size:
            return False
        if time == self.mtime_ns and not reading:
            return True
        try:
            return file_sha256(path) == self.sha256
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class FrameNote:
    """What a run noted of a frame that it made."""

    record: FrameRecord
    key: FrameKey
    files: Mapping[str, FileFacts] = field(default_factory=dict)
    """Its files, that of the picture first, by their names in the delivery's folder; none where the frame's own file
    says all this."""

    @property
    def facts(self) -> dict[str, Any]:
        """What a line of the journal, or of a report, says besides the record."""
        return {"made_of": list(self.key), "files": {name: list(facts) for name, facts in self.files.items()}}

    @classmethod
    def read(cls, line: Mapping[str, Any]) -> FrameNote:
        """A note, out of a line.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: The line is none.
        """
        record = FrameRecord(
            int(line["frame"]),
            int(line["faces"]),
            tuple(map(str, line["identities"])),
            tuple(map(str, line["notes"])),
        )
        settings, plate = map(str, line["made_of"])
        files = {
            str(name): FileFacts(int(size), int(time), str(digest))
            for name, (size, time, digest) in line["files"].items()
        }
        return cls(record, FrameKey(settings, plate), files)

    def fits(self, delivery: Path, *, reading: bool = False) -> bool:
        """Whether all of its files are there as they were noted; see `FileFacts.fit`."""
        return all(facts.fit(delivery.with_name(name), reading=reading) for name, facts in self.files.items())


class Journal:
    """The notes of one run.

    Args:
        delivery: The pattern of the sequence.
        first: First frame of the run.
        last: Last frame of the run.
        key_of: What each frame is made of.
    """

    def __init__(self, delivery: Path, first: int, last: int, key_of: Callable[[int], FrameKey]) -> None:
        name = f".{delivery.name}.{first}-{last}.{secrets.token_hex(6)}.jsonl"
        self._path, self._delivery, self._noting = delivery.with_name(name), delivery, Lock()
        self.key_of = key_of
        self.notes: dict[int, FrameNote] = {}
        """What was noted, by frame."""

    def wrote(self, frame: Frame, files: Mapping[str, Path]) -> None:
        """Notes a frame whose files are written and will be renamed now; may be called from several threads.

        Args:
            frame: As it came to the writer.
            files: The files, that of the picture first, by the names that they will have.

        Raises:
            OSError: The disk is full.
        """
        record = frame.props.get(RECORD)
        if not isinstance(record, FrameRecord):
            record = FrameRecord(frame.number, len(frame.faces), ())
        facts = {name: FileFacts.of(path) for name, path in files.items()}
        note = FrameNote(record, self.key_of(frame.number), facts)
        line = json.dumps({**asdict(record), **note.facts}, ensure_ascii=False)
        with self._noting:
            with self._path.open("a", encoding="utf-8") as kept:
                kept.write(f"{line}\n")
                kept.flush()
                os.fsync(kept.fileno())
            self.notes[frame.number] = note

    def forget(self) -> None:
        """Removes the file, when a report holds the notes; and those of killed runs of which it holds all."""
        self._path.unlink(missing_ok=True)
        forget_the_dead(self._delivery)


def forget_the_dead(delivery: Path) -> None:
    """Removes the notes of killed runs of which reports hold all.

    A run that is at work may have noted nothing yet, or nothing that is new, and be about to: what was changed less
    than a day ago stays. So does what may not be removed, which is no harm.
    """
    dead = [path for path in journals_of(delivery) if time.time_ns() - stamp_of(path)[1] >= _AT_WORK_NS]
    kept = defaultdict(set)
    for note in _notes(reports_of(delivery) if dead else ()):
        kept[note.record.frame].add(_identity(note))
    for path in dead:
        if all(_identity(note) in kept[note.record.frame] for note in _notes([path])):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _identity(note: FrameNote) -> tuple[FrameKey, tuple[tuple[str, str], ...]]:
    """What a note says of its frame, whenever its files were written."""
    return note.key, tuple((name, facts.sha256) for name, facts in note.files.items())


def journals_of(delivery: Path) -> tuple[Path, ...]:
    """The files of notes beside a sequence: of runs that are at work, and of those that were killed."""
    start, end = f".{delivery.name}.", ".jsonl"
    try:
        names = sorted(path.name for path in delivery.parent.iterdir())
    except OSError:
        return ()
    mine = [name for name in names if name.startswith(start) and name.endswith(end)]
    return tuple(delivery.with_name(name) for name in mine if _NAME.fullmatch(name[len(start) : -len(end)]))


def _notes(paths: Iterable[Path]) -> Iterator[FrameNote]:
    """All notes in some journals and reports."""
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue  # a run that is finished now took its notes away, and its report says more
        for line in lines:
            try:
                yield FrameNote.read(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # another line of a report, or one that a killed run left unfinished


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a sequence is there, held against what is wanted of it now."""

    done: Mapping[int, FrameNote] = field(default_factory=dict)
    """Frames that are what they would be if they were made again."""
    outdated: Mapping[int, FrameNote] = field(default_factory=dict)
    """Frames of the same settings, as a run left them, of whose plate something has changed since."""
    strange: tuple[int, ...] = ()
    """Frames of other settings, that somebody changed, or of which nothing is known."""
    damaged: Set[int] = frozenset()
    """Those among the strange that were made by these settings, and are not as they were written."""
    unreported: Set[int] = frozenset()
    """Those among the done that no report tells of: their run was killed."""

    @classmethod
    def of(
        cls,
        delivery: Path,
        keys: Mapping[int, FrameKey],
        own: Mapping[int, FrameNote] | None = None,
        *,
        reading: bool = False,
    ) -> Standing:
        """Looks at what is there.

        Args:
            delivery: The pattern of the sequence.
            keys: What each wanted frame is to be made of.
            own: What the frames' files say of themselves, where they do; else reports and journals are asked.
            reading: Whether the bytes of files are read that have size and time as noted.
        """
        reported = _by_frame(own.values() if own is not None else _notes(reports_of(delivery)))
        journalled = _by_frame(() if own is not None else _notes(journals_of(delivery)))
        pattern, done, outdated = FramePattern(delivery), dict[int, FrameNote](), dict[int, FrameNote]()
        strange, damaged, unreported = list[int](), set[int](), set[int]()
        for number, key in keys.items():
            if not pattern.path(number).exists():
                continue
            # What a report says counts before what a killed run noted, if both are true; and the last before the first.
            mine = [*reversed(reported[number]), *reversed(journalled[number])]
            same = [note for note in mine if note.key == key]
            note = next((note for note in same if note.fits(delivery, reading=reading)), None)
            if note is not None:
                done[number] = note
                if note not in reported[number]:
                    unreported.add(number)
            elif older := _ours(mine, key, delivery, reading=reading):
                outdated[number] = older
            else:
                strange.append(number)
                if any(note.key.settings == key.settings for note in mine):
                    damaged.add(number)
        return cls(done, outdated, tuple(strange), damaged, unreported)


def _by_frame(notes: Iterable[FrameNote]) -> defaultdict[int, list[FrameNote]]:
    found: defaultdict[int, list[FrameNote]] = defaultdict(list)
    for note in notes:
        found[note.record.frame].append(note)
    return found


def _ours(notes: Iterable[FrameNote], key: FrameKey, delivery: Path, *, reading: bool) -> FrameNote | None:
    """A note of these settings, if each file that is there is one that such a run noted.

    One that was killed between two files of a frame left some of before, and somebody may have removed a layer.
    """
    mine = [note for note in notes if note.key.settings == key.settings]
    facts = [(name, said) for note in mine for name, said in note.files.items()]
    there = {name for name, _ in facts if delivery.with_name(name).exists()}
    known = {name for name, said in facts if name in there and said.fit(delivery.with_name(name), reading=reading)}
    return mine[0] if mine and there == known else None
