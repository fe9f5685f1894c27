"""What is found goes to its file from time to time; a file that cannot be written stops nobody and loses nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from vfxswap.analysis import Book, Finding, FoundFace, FoundFrame, Head, PlateStamp, read_analysis
from vfxswap.errors import MediaError
from vfxswap.frame import Detection

PLATE = PlateStamp(name="sh010.mov", width=640, height=360, first=1, last=2000, files="a" * 64)
HEAD = Head(made_by="vfxswap 0", plate=PLATE, finding=Finding(key="b" * 64, stages=("find", "points")))
FACE = FoundFace(Detection((1.0, 2.0, 3.0, 4.0), 0.9, None, 1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sh010.analysis.npz"


@pytest.fixture
def book(path: Path) -> Book:
    return Book(path, HEAD, {}, range(1, 2001))


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Takes a word for each time that the file would be written, and cannot be."""
    tries: list[str] = []

    def refuse(*_: object, **__: object) -> None:
        tries.append("tried")
        raise MediaError(f"the share is gone ({len(tries)})")

    monkeypatch.setattr("vfxswap.analysis.book.extend_analysis", refuse)
    return tries


def found(numbers: Iterable[int]) -> list[FoundFrame]:
    return [FoundFrame(number, cut_before=False, faces=(FACE,), is_aligned=True) for number in numbers]


def add(book: Book, first: int, last: int) -> None:
    """A batch at a time."""
    for number in range(first, last + 1, 4):
        book.add(found(range(number, min(number + 4, last + 1))))


def test_it_goes_to_the_file_from_time_to_time(book: Book, path: Path) -> None:
    add(book, 1, 508)
    assert not path.exists()
    add(book, 509, 520)
    assert list(read_analysis(path).found) == list(range(1, 513))
    assert book.save() == 8
    assert list(read_analysis(path).found) == list(range(1, 521))
    assert book.trouble is None


def test_a_file_that_cannot_be_written_stops_nobody_who_finds(book: Book, path: Path, refused: list[str]) -> None:
    """It is not tried with each batch from then on: each time may take two minutes, for a lock."""
    add(book, 1, 1020)
    assert len(refused) == 1
    add(book, 1021, 1024)
    assert len(refused) == 2
    assert str(book.trouble) == "the share is gone (1)"
    assert book.frame(1024) is not None
    assert not path.exists()


def test_what_could_not_be_written_is_written_the_next_time(
    book: Book, path: Path, refused: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(book, 1, 600)
    with pytest.raises(MediaError, match=r"the share is gone \(2\)"):
        book.save()
    monkeypatch.undo()
    book.add(found([601]))
    assert book.save() == 601
    assert list(read_analysis(path).found) == list(range(1, 602))
    assert (book.save(), len(refused)) == (0, 2)


def test_a_closed_book_keeps_what_it_had_and_takes_no_more(book: Book, path: Path) -> None:
    add(book, 1, 8)
    book.close()
    add(book, 9, 2000)
    assert book.save() == 8
    assert list(read_analysis(path).found) == list(range(1, 9))
    assert book.whole is not None, "the run itself goes on with all of it"
