"""A frame counts as done only if its files are those that a run of the same things noted."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from vfxswap.journal import RECORD, FrameKey, Journal, Standing, journals_of
from vfxswap.report import FrameRecord, Report, report_path
from vfxswap.testing import synthetic_frame

KEYS = {number: FrameKey("settings", f"plate {number}") for number in range(1, 7)}


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    return tmp_path / "x.%d.exr"


def path_of(delivery: Path, number: int) -> Path:
    return delivery.with_name(f"x.{number}.exr")


def written(journal: Journal, delivery: Path, number: int, text: str = "picture") -> None:
    """Writes a frame as a writer does: note, then name."""
    temporary = delivery.with_name(f".{number}.tmp")
    temporary.write_text(f"{text} {number}")
    record = FrameRecord(number, 1, ("hero",), ("bridged",) if number == 2 else ())
    frame = replace(synthetic_frame(number), props={RECORD: record})
    journal.wrote(frame, {path_of(delivery, number).name: temporary})
    temporary.replace(path_of(delivery, number))


def killed(delivery: Path, *numbers: int) -> Journal:
    """A run that wrote some frames and nothing else."""
    journal = Journal(delivery, 1, 6, KEYS.__getitem__)
    for number in numbers:
        written(journal, delivery, number)
    return journal


def aged(path: Path) -> None:
    """As if nobody had noted anything for two days."""
    long_ago = time.time() - 2 * 24 * 60 * 60
    os.utime(path, (long_ago, long_ago))


def reported(journal: Journal, delivery: Path) -> Path:
    """The report of a run, as runs write it."""
    report = Report(run={"key": "k", "frames": "1-6"})
    report.frames = [note.record for note in journal.notes.values()]
    report.made_of = {number: note.facts for number, note in journal.notes.items()}
    path = report_path(delivery)
    report.write(path)
    return path


def test_what_a_killed_run_left_is_known_with_its_records(delivery: Path) -> None:
    killed(delivery, 1, 2)
    found = Standing.of(delivery, KEYS)
    assert (set(found.done), found.unreported, found.strange) == ({1, 2}, {1, 2}, ())
    assert found.done[2].record == FrameRecord(2, 1, ("hero",), ("bridged",))


def test_a_run_that_was_killed_before_a_file_got_its_name_has_not_made_it(delivery: Path) -> None:
    journal = killed(delivery, 1, 2)
    path_of(delivery, 2).write_text("somebody's")
    with journals_of(delivery)[0].open("a") as file:
        file.write('{"frame": 3, "faces"')
    path_of(delivery, 3).write_text("picture 3")
    found = Standing.of(delivery, KEYS)
    assert (set(found.done), found.strange, found.damaged) == ({1}, (2, 3), {2})
    assert set(journal.notes) == {1, 2}


def test_other_settings_are_strange_and_another_plate_is_outdated(delivery: Path) -> None:
    killed(delivery, 1, 2)
    keys = {1: FrameKey("settings", "a new plate"), 2: FrameKey("other settings", "plate 2"), 5: KEYS[5]}
    found = Standing.of(delivery, keys)
    assert (set(found.done), set(found.outdated), found.strange, found.damaged) == (set(), {1}, (2,), frozenset())


def test_a_copy_is_known_by_its_bytes(delivery: Path) -> None:
    """Also one whose time was lost on the way; of another size no byte is read."""
    killed(delivery, 1, 2, 3)
    os.utime(path_of(delivery, 1), ns=(5, 5))
    path_of(delivery, 2).write_text("pixture 2")
    path_of(delivery, 3).write_text("another size")
    found = Standing.of(delivery, KEYS)
    assert (set(found.done), found.strange) == ({1}, (2, 3))


def test_only_reading_finds_what_kept_its_time(delivery: Path) -> None:
    killed(delivery, 1)
    path = path_of(delivery, 1)
    time = path.stat().st_mtime_ns
    path.write_text("pixture 1")
    os.utime(path, ns=(time, time))
    assert set(Standing.of(delivery, KEYS).done) == {1}
    found = Standing.of(delivery, KEYS, reading=True)
    assert (set(found.done), found.damaged) == (set(), {1})


def test_a_report_takes_the_place_of_journals_and_of_no_more(delivery: Path) -> None:
    older, other = killed(delivery, 1), Journal(delivery, 1, 6, KEYS.__getitem__)
    written(other, delivery, 6)
    journal = killed(delivery, 1, 2)  # the first frame once more, with the same bits
    assert len(journals_of(delivery)) == 3
    for path in journals_of(delivery):
        aged(path)
    reported(journal, delivery)
    journal.forget()
    assert len(journals_of(delivery)) == 1, "of a frame that the report knows nothing of"
    found = Standing.of(delivery, KEYS)
    assert (set(found.done), found.unreported) == ({1, 2, 6}, {6})
    assert older.notes[1].files["x.1.exr"].sha256 == journal.notes[1].files["x.1.exr"].sha256


@pytest.mark.parametrize("text", ["", '{"frame": 3, "fac', "\n"], ids=["empty", "half a note", "no note"])
def test_who_may_be_at_work_keeps_the_own_notes(delivery: Path, text: str) -> None:
    """A run that has noted nothing yet, or nothing new, may do so in the next moment; a day later it is dead."""
    begun = delivery.with_name(f".{delivery.name}.1-6.0123456789ab.jsonl")
    begun.write_text(text)
    killed(delivery, 1)  # or at work still
    journal = killed(delivery, 1, 2)
    (other,) = (path for path in journals_of(delivery) if path != begun and path.read_text().count("\n") == 1)
    reported(journal, delivery)
    journal.forget()
    assert set(journals_of(delivery)) == {begun, other}
    aged(other)
    journal.forget()
    assert set(journals_of(delivery)) == {begun}
    aged(begun)
    journal.forget()
    assert journals_of(delivery) == ()


def test_of_files_that_say_it_themselves_nobody_else_is_asked(delivery: Path) -> None:
    journal = killed(delivery, 1, 2)
    own = {1: replace(journal.notes[1], files={})}
    found = Standing.of(delivery, KEYS, own)
    assert (set(found.done), found.strange, found.unreported) == ({1}, (2,), frozenset())
