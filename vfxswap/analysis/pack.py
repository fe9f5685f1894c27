"""Found frames as arrays, and back; every number keeps its bits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vfxswap.analysis.found import Found, FoundFace, FoundFrame
from vfxswap.frame import Detection
from vfxswap.geometry import SCHEME_SIZES, Landmarks, Scheme

Arrays = dict[str, NDArray[Any]]

SCHEMES: tuple[Scheme, ...] = ("five", "ibug68", "mesh468")
"""The numberings of points, by the numbers that stand for them in the file; new ones are added at the end."""
_NONE = -1

COLUMNS: Mapping[str, tuple[str, tuple[int, ...], str]] = {
    "frame": ("<i8", (), "frames"),
    "cut_before": ("|b1", (), "frames"),
    "aligned": ("|b1", (), "frames"),
    "faces": ("<i4", (), "frames"),
    "box": ("<f8", (4,), "faces"),
    "score": ("<f8", (), "faces"),
    "track": ("<i8", (), "faces"),
    "has_track": ("|b1", (), "faces"),
    "five": ("<f8", (5, 2), "faces"),
    "has_five": ("|b1", (), "faces"),
    "dense_scheme": ("|i1", (), "faces"),
    "dense_axes": ("|i1", (), "faces"),
    "dense": ("<f8", (), "dense"),
    "landmarks_scheme": ("|i1", (), "faces"),
    "landmarks_axes": ("|i1", (), "faces"),
    "landmarks": ("<f8", (), "landmarks"),
    "note_face": ("<i4", (), "notes"),
    "note_text": ("<i4", (), "notes"),
}
"""Type, shape of a row, and what the rows are, by the names of the arrays."""


def packed(found: Found) -> tuple[Arrays, list[str]]:
    """The arrays of some frames, and the texts of their notes."""
    frames = [found[number] for number in sorted(found)]
    faces = [face for frame in frames for face in frame.faces]
    seen = [face.detection for face in faces]
    texts = sorted({note for face in faces for note in face.notes})
    notes = [(place, texts.index(note)) for place, face in enumerate(faces) for note in face.notes]
    dense, landmarks = _points([d.landmarks for d in seen]), _points([face.landmarks for face in faces])
    rows: dict[str, Sequence[Any] | NDArray[Any]] = {
        "frame": [frame.number for frame in frames],
        "cut_before": [frame.cut_before for frame in frames],
        "aligned": [frame.is_aligned for frame in frames],
        "faces": [len(frame.faces) for frame in frames],
        "box": [d.box for d in seen],
        "score": [d.score for d in seen],
        "track": [0 if d.track is None else d.track for d in seen],
        "has_track": [d.track is not None for d in seen],
        "five": [np.zeros((5, 2)) if d.five is None else d.five for d in seen],
        "has_five": [d.five is not None for d in seen],
        **{f"dense{name}": values for name, values in dense.items()},
        **{f"landmarks{name}": values for name, values in landmarks.items()},
        "note_face": [face for face, _ in notes],
        "note_text": [text for _, text in notes],
    }
    return {name: np.array(rows[name], kind).reshape(-1, *row) for name, (kind, row, _) in COLUMNS.items()}, texts


def _points(sets: Sequence[Landmarks | None]) -> dict[str, Sequence[Any] | NDArray[Any]]:
    present = [marks.points.reshape(-1) for marks in sets if marks is not None]
    return {
        "_scheme": [_NONE if marks is None else SCHEMES.index(marks.scheme) for marks in sets],
        "_axes": [0 if marks is None else marks.points.shape[1] for marks in sets],
        "": np.concatenate(present) if present else [],
    }


def unpacked(arrays: Mapping[str, NDArray[Any]], texts: Sequence[str]) -> Found:
    """The frames again.

    Raises:
        ValueError: The arrays are not such as `packed` makes; says what is wrong, in words.
    """
    rows = {name: _column(arrays, name) for name in COLUMNS}
    _check_lengths(rows)
    ends = np.concatenate([[0], np.cumsum(rows["faces"])])
    if (rows["faces"] < 0).any() or ends[-1] != len(rows["box"]):
        raise ValueError(f"frames have {ends[-1]} faces together, and there are {len(rows['box'])}")
    if (np.diff(rows["frame"]) <= 0).any():
        raise ValueError("frame numbers do not ascend")
    faces = list(_faces(rows, texts))
    return {
        number: FoundFrame(number, bool(cut), tuple(faces[first:last]), bool(aligned))
        for number, cut, aligned, (first, last) in zip(
            rows["frame"].tolist(), rows["cut_before"], rows["aligned"], pairwise(ends.tolist()), strict=True
        )
    }


def _column(arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    kind, row, _ = COLUMNS[name]
    if name not in arrays:
        raise ValueError(f"the array {name!r} is missing")
    array = arrays[name]
    if array.dtype != np.dtype(kind) or array.shape[1:] != row or array.ndim != 1 + len(row):
        raise ValueError(f"the array {name!r} is {array.dtype} {array.shape}, not {kind} (n, {row})")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"the array {name!r} has numbers that are not finite")
    return array


def _check_lengths(rows: Mapping[str, NDArray[Any]]) -> None:
    for of in ("frames", "faces", "notes"):
        lengths = {name: len(rows[name]) for name, (_, _, kind) in COLUMNS.items() if kind == of}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the arrays of {of} differ in length: {lengths}")


def _faces(rows: Mapping[str, NDArray[Any]], texts: Sequence[str]) -> Iterator[FoundFace]:
    count = len(rows["box"])
    notes: list[list[str]] = [[] for _ in range(count)]
    for face, text in zip(rows["note_face"].tolist(), rows["note_text"].tolist(), strict=True):
        if not (0 <= face < count and 0 <= text < len(texts)):
            raise ValueError(f"a note names face {face} of {count} and text {text} of {len(texts)}")
        notes[face].append(texts[text])
    dense, landmarks = _sets(rows, "dense"), _sets(rows, "landmarks")
    for place in range(count):
        x0, y0, x1, y1 = rows["box"][place].tolist()
        detection = Detection(
            box=(x0, y0, x1, y1),
            score=float(rows["score"][place]),
            five=rows["five"][place].copy() if rows["has_five"][place] else None,
            track=int(rows["track"][place]) if rows["has_track"][place] else None,
            landmarks=dense[place],
        )
        yield FoundFace(detection, tuple(notes[place]), landmarks[place])


def _sets(rows: Mapping[str, NDArray[Any]], name: str) -> list[Landmarks | None]:
    values, start = rows[name], 0
    found: list[Landmarks | None] = []
    for scheme, axes in zip(rows[f"{name}_scheme"].tolist(), rows[f"{name}_axes"].tolist(), strict=True):
        if scheme == _NONE:
            found.append(None)
            continue
        if not 0 <= scheme < len(SCHEMES) or axes not in {2, 3}:
            raise ValueError(f"the array {name!r} names points of numbering {scheme} with {axes} coordinates")
        kind = SCHEMES[scheme]
        end = start + SCHEME_SIZES[kind] * cast("int", axes)
        if end > len(values):
            raise ValueError(f"the array {name!r} ends in the middle of a face")
        found.append(Landmarks(values[start:end].reshape(-1, axes).copy(), kind))
        start = end
    if start != len(values):
        raise ValueError(f"the array {name!r} has {len(values) - start} numbers that belong to no face")
    return found
