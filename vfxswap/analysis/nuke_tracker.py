"""Points as the tracks of Nuke's Tracker4 node, in the text that Nuke saves and pastes.

The `tracks` knob is a table of 31 columns: how many there are, what each column is, and a row a track, whose cells are
numbers, texts or curves: `{curve x1001 950.5 952 x1010 980}` has values at 1001, 1002 and 1010. Nuke counts y from the
bottom; its pixels span whole numbers as ours do, so `y` becomes the picture's height less `y`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vfxswap.errors import UsageError

PointTracks = Mapping[str, Mapping[int, tuple[float, float]]]
"""Positions by the track's name and the frame, in pixels of the display window, y down."""

_COLUMNS = (
    *("5 1 20 enable e", "3 1 75 name name", "2 1 58 track_x track_x", "2 1 58 track_y track_y"),
    *("2 1 63 offset_x offset_x", "2 1 63 offset_y offset_y", "4 1 27 T T", "4 1 27 R R", "4 1 27 S S"),
    *("2 0 45 error error", "1 1 0 error_min error_min", "1 1 0 error_max error_max"),
    *(f"1 1 0 {name} {name}" for name in ("pattern_x", "pattern_y", "pattern_r", "pattern_t")),
    *(f"1 1 0 {name} {name}" for name in ("search_x", "search_y", "search_r", "search_t")),
    *(f"2 1 0 {name} {name}" for name in ("key_track", "key_search_x", "key_search_y", "key_search_r", "key_search_t")),
    *(f"2 1 0 {name} {name}" for name in ("key_track_x", "key_track_y", "key_track_r", "key_track_t")),
    *("2 1 0 key_centre_offset_x key_centre_offset_x", "2 1 0 key_centre_offset_y key_centre_offset_y"),
)
_PATTERN, _SEARCH = "-32 -32 32 32", "-22 -22 22 22"
_DIGITS = 3


def tracker_text(tracks: PointTracks, *, height: int, name: str = "vfxswap_tracks") -> str:
    """A Tracker4 node with these points.

    Args:
        tracks: At least one, each with at least one frame.
        height: Rows of the display window.
        name: Of the node.
    """
    columns = "\n".join(f"{{ {column} 1 }}" for column in _COLUMNS)
    rows = "\n".join(_row(label, points, height) for label, points in tracks.items())
    head = f"{{ 1 {len(_COLUMNS)} {len(tracks)} }}"
    reference = min(frame for points in tracks.values() for frame in points)
    return (
        f"Tracker4 {{\n inputs 0\n tracks {{ {head}\n{{ {columns} }}\n{{\n{rows}\n}} }}\n"
        f" reference_frame {reference}\n name {name}\n}}\n"
    )


def _row(label: str, points: Mapping[int, tuple[float, float]], height: int) -> str:
    first = min(points)
    x, y = (_curve({frame: value(place) for frame, place in points.items()}) for value in (_across, _up(height)))
    still, on = f"{{curve x{first} 0}}", f"{{curve K x{first} 1}}"
    flags, empty = "1 0 0", " ".join(["{}"] * 11)
    return f' {{ {on} "{label}" {x} {y} {still} {still} {flags} {still} 1 0 {_PATTERN} {_SEARCH} {empty} }}'


def _across(place: tuple[float, float]) -> float:
    return place[0]


def _up(height: int) -> Any:
    return lambda place: height - place[1]


def _curve(values: Mapping[int, float]) -> str:
    words, expected = [], None
    for frame in sorted(values):
        words += [] if frame == expected else [f"x{frame}"]
        words.append(_fixed(values[frame]))
        expected = frame + 1
    return f"{{curve {' '.join(words)}}}"


def _fixed(value: float) -> str:
    return f"{round(value, _DIGITS) + 0.0:.{_DIGITS}f}".rstrip("0").rstrip(".")


def read_tracker(text: str, *, height: int, whose: str = "the script") -> PointTracks:
    """The points of all Tracker4 nodes in a script; of two tracks of one name, the later.

    Args:
        text: A saved script, or what was copied from the node graph.
        height: Rows of the display window.
        whose: How a message names it.

    Raises:
        UsageError: There is no Tracker4 in it, or its table is not such as Nuke writes.
    """
    found: dict[str, dict[int, tuple[float, float]]] = {}
    nodes = list(re.finditer(r"\bTracker4\s*\{", text))
    if not nodes:
        raise UsageError(
            f"{whose} holds no Tracker4 node; copy one from the node graph into a file, or save the script"
        )
    for node in nodes:
        body, _ = _braced(text, node.end() - 1, whose)
        knob = re.search(r"(?:^|\s)tracks\s*\{", body)
        if knob is not None:
            table, _ = _braced(body, knob.end() - 1, whose)
            found |= dict(_points(_list(table, whose), height, whose))
    return found


def _points(table: Sequence[Any], height: int, whose: str) -> Iterator[tuple[str, dict[int, tuple[float, float]]]]:
    if len(table) < 3 or not all(isinstance(part, list) for part in table[:3]):
        raise UsageError(f"{whose}: the tracks of a Tracker4 are not the table that Nuke writes")
    names = [column[3] if isinstance(column, list) and len(column) > 3 else "" for column in table[1]]
    if not {"name", "track_x", "track_y"} <= set(names):
        raise UsageError(f"{whose}: the tracks of a Tracker4 have no columns name, track_x and track_y")
    for row in table[2]:
        if not isinstance(row, list) or len(row) < len(names):
            raise UsageError(f"{whose}: a row of a Tracker4 has {len(row)} cells, and there are {len(names)} columns")
        cells = dict(zip(names, row, strict=False))
        label = str(cells["name"])
        x, y = (_values(cells[axis], f"{whose}, track {label!r}") for axis in ("track_x", "track_y"))
        yield label, {frame: (x[frame], height - y[frame]) for frame in sorted(x.keys() & y.keys())}


def _values(cell: Any, whose: str) -> dict[int, float]:
    """The keys of a curve; none of what is not animated."""
    if not isinstance(cell, list) or not cell or cell[0] != "curve":
        return {}
    frame, found = None, {}
    for word in cell[1:]:
        if isinstance(word, str) and re.fullmatch(r"x-?\d+(\.0*)?", word):
            frame = int(float(word[1:]))
        elif isinstance(word, str) and re.fullmatch(r"x-?[\d.]+", word):
            raise UsageError(f"{whose}: has a key between frames ({word[1:]}); bake its curves to whole frames")
        elif isinstance(word, str) and re.fullmatch(r"-?(\d+\.?\d*|\.\d+)(e-?\d+)?", word) and frame is not None:
            found[frame] = float(word)
            frame += 1
    return found  # other words are the keys' ways and slopes


def _braced(text: str, start: int, whose: str) -> tuple[str, int]:
    """What stands between a brace and its counterpart, and where that is; quoted texts and escapes are stepped over."""
    depth, place = 0, start
    while place < len(text):
        letter = text[place]
        if letter == "\\":
            place += 1
        elif letter == '"' and (end := _quote_end(text, place)) is not None:
            place = end
        elif letter in "{}":
            depth += 1 if letter == "{" else -1
            if depth == 0:
                return text[start + 1 : place], place
        place += 1
    raise UsageError(f"{whose}: ends in the middle of a Tracker4 node")


def _quote_end(text: str, start: int) -> int | None:
    match = re.compile(r'"(?:[^"\\]|\\.)*"').match(text, start)
    return None if match is None else match.end() - 1


def _list(text: str, whose: str) -> list[Any]:
    """A list of Tcl: words, texts in quotes, and lists in braces."""
    found: list[Any] = []
    place = 0
    while place < len(text):
        letter = text[place]
        if letter.isspace():
            place += 1
        elif letter == "{":
            inner, end = _braced(text, place, whose)
            found.append(_list(inner, whose))
            place = end + 1
        elif letter == '"' and (last := _quote_end(text, place)) is not None:
            found.append(re.sub(r"\\(.)", r"\1", text[place + 1 : last]))
            place = last + 1
        else:
            word = re.compile(r"[^\s{}]+").match(text, place)
            if word is None:
                raise UsageError(f"{whose}: a brace too many in a Tracker4 node")
            found.append(word[0])
            place = word.end()
    return found
