"""`[shot] cuts` as a file: the edit that the plate is, as a timeline, or a list of frames as text or CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from vfxswap.clock import Timecode, frames_of
from vfxswap.errors import Problem, UsageError
from vfxswap.media import PlateInfo
from vfxswap.pipeline.reading import Notes
from vfxswap.pipeline.tables import Shot

_START = "Start Frame"
"""The column of PySceneDetect's list of scenes that counts frames, from 1 whatever the plate's own numbers are."""


def with_given_cuts(shot: Shot, info: PlateInfo, notes: Notes) -> Shot:
    """The table with the numbers that stand in its file of cuts; what is wrong with cuts goes to the notes.

    A list must fit the plate. An edit may be longer: a reel or a part of it has the cuts that fall into it.
    """
    if isinstance(shot.cuts, Path):
        try:
            shot = shot.model_copy(update={"cuts": read_cuts(shot.cuts, info)})
        except UsageError as error:
            notes.add(Problem(str(error), stage="shot", key="cuts", value=str(shot.cuts)), "shot", "cuts")
            return shot.model_copy(update={"cuts": ()})
    numbers = shot.given_cuts or ()
    if outside := [number for number in numbers if not info.first < number <= info.last]:
        allowed = f"{info.first + 1}..{info.last}; a cut is the first frame of the new shot"
        message = "there are cuts outside the plate"
        notes.add(Problem(message, stage="shot", key="cuts", value=outside, allowed=allowed), "shot", "cuts")
    return shot


def read_cuts(path: Path, info: PlateInfo) -> tuple[int, ...]:
    """The frames of a plate with which a new shot starts, ascending.

    Args:
        path: A timeline (.otio) that the plate shows as it was edited; a list of scenes as PySceneDetect writes it
            (CSV); or text with the plate's frame numbers or timecodes, as many in a line as one likes, divided by
            commas or spaces, with `#` before what is no number.
        info: The plate.

    Raises:
        UsageError: It cannot be read, or is none of these; says where and what to do.
    """
    if path.suffix.lower() == ".otio":
        return _of_edit(path, info)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8 (byte {error.start})") from error
    rows = list(csv.reader(lines))
    head = next((i for i, row in enumerate(rows[:2]) if _START in [cell.strip() for cell in row]), None)
    found = _of_text(path, lines, info) if head is None else _of_scenes(path, rows, head, info)
    return tuple(sorted(set(found)))


def _of_text(path: Path, lines: Sequence[str], info: PlateInfo) -> Iterator[int]:
    for number, line in enumerate(lines, 1):
        for word in line.partition("#")[0].replace(",", " ").split():
            try:
                (frame,) = frames_of(word, first=info.first, start=info.timecode, rate=info.rate)
            except (UsageError, ValueError) as error:
                why = str(error) if isinstance(error, UsageError) else f"{word!r} is more than one frame"
                raise UsageError(
                    f"{path}, line {number}: {why}; a list of cuts holds the numbers or timecodes of frames with which"
                    " a new shot starts"
                ) from error
            yield frame


def _of_scenes(path: Path, rows: Sequence[Sequence[str]], head: int, info: PlateInfo) -> Iterator[int]:
    """PySceneDetect's scenes; where the first begins is no cut."""
    column = [cell.strip() for cell in rows[head]].index(_START)
    for number, row in enumerate(rows[head + 1 :], head + 2):
        if not row:
            continue
        try:
            start = int(row[column])
        except (ValueError, IndexError) as error:
            raise UsageError(f"{path}, line {number}: there is no frame in column {_START!r}") from error
        if start > 1:
            yield info.first + start - 1


def _of_edit(path: Path, info: PlateInfo) -> tuple[int, ...]:
    from vfxswap.timeline import read_edit  # noqa: PLC0415 - takes a moment that few pipelines need

    edit = read_edit(path)
    scale = Fraction(1) if round(edit.rate) == round(info.rate) else info.rate / edit.rate
    first = Fraction(info.first)
    if edit.start is not None and info.timecode is not None:
        by_clock = first + edit.start * scale - Timecode.parse(info.timecode, info.rate).frames
        if by_clock <= info.last and by_clock + edit.length * scale > info.first:
            first = by_clock  # the plate is a part of the edit, or has something before it
    numbers = (round(first + cut * scale) for cut in edit.cuts)
    return tuple(number for number in numbers if info.first < number <= info.last)
