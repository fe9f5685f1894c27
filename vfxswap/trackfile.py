"""Tracks files: faces that were tracked, match-moved or drawn elsewhere, frame by frame.

All coordinates are pixels of the upright plate, x to the right, y down, the centre of the top-left pixel at
`(0.5, 0.5)`. Left and right are the image's. Numbers are written to a thousandth of a pixel.

JSON (`.json`), all a face may have:

    {"format": "vfxswap-tracks", "version": 1, "width": 1920, "height": 1080,
     "frames": {
      "1001": [{"track": 0, "score": 0.98, "box": [x0, y0, x1, y1],
                "five": [[x, y], ...],          left eye, right eye, nose tip, left and right corner of the mouth
                "scheme": "mesh468",            or "ibug68", "five": the numbering of
                "points": [[x, y, z], ...]}],   dense points; the depth z may be left out, smaller is nearer
      "1002": []}}

`track` names the same face in all frames. A face must have a box, the five points or dense points; what is missing is
taken from the points where they say it.

CSV (`.csv`), for boxes and five points: a first line `# vfxswap-tracks 1 1920x1080`, a line of column names
(`COLUMNS`), then one line a face; `track`, `score`, and all ten point columns may be empty.

A still may have its points beside it, as a JSON tracks file of frame 1: `still01.points.json` for `still01.jpg`.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vfxswap.errors import ShapeError, UsageError
from vfxswap.frame import Detection
from vfxswap.geometry import SCHEME_SIZES, Landmarks, Points, Scheme

FORMAT = "vfxswap-tracks"
"""What the file says of itself."""
VERSION = 1
"""Of the format; a reader refuses a later one."""
_POINTS = [f"{name}_{axis}" for name in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right") for axis in "xy"]
COLUMNS = ("frame", "track", "score", "x0", "y0", "x1", "y1", *_POINTS)
"""Column names of the CSV form."""
_DIGITS = 3

_Number = Annotated[float, Field(allow_inf_nan=False)]
_Point = Annotated[list[_Number], Field(min_length=2, max_length=3)]
_Five = Annotated[list[Annotated[list[_Number], Field(min_length=2, max_length=2)]], Field(min_length=5, max_length=5)]


class _Face(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    track: int | None = None
    score: float = Field(1.0, ge=0, le=1)
    box: Annotated[list[_Number], Field(min_length=4, max_length=4)] | None = None
    five: _Five | None = None
    scheme: Scheme | None = None
    points: list[_Point] | None = None

    def detection(self) -> Detection:
        """The face, checked; raises `ValueError` in words."""
        landmarks = self._landmarks()
        five = None if self.five is None else np.array(self.five, dtype=np.float64)
        if five is None and landmarks is not None:
            five = landmarks.five()
        box = _extent(five, landmarks) if self.box is None else tuple(self.box)
        if len(box) != 4 or box[2] <= box[0] or box[3] <= box[1]:
            raise ValueError(f"box must be [x0, y0, x1, y1] with x1 > x0 and y1 > y0, found {list(box)}")
        return Detection(box, self.score, five, self.track, landmarks)

    def _landmarks(self) -> Landmarks | None:
        if (self.scheme is None) != (self.points is None):
            raise ValueError("points and scheme belong together; one is missing")
        if self.scheme is None or self.points is None:
            return None
        if len({len(point) for point in self.points}) != 1 or len(self.points) != SCHEME_SIZES[self.scheme]:
            count = SCHEME_SIZES[self.scheme]
            raise ValueError(f"points must be {count} for {self.scheme}, all with or all without a depth")
        return Landmarks(np.array(self.points, dtype=np.float64), self.scheme)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal["vfxswap-tracks"]
    version: Literal[1]
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    frames: dict[Annotated[str, Field(pattern=r"^-?\d+$")], list[_Face]]


@dataclass(frozen=True, slots=True, eq=False)
class TrackFile:
    """The faces of a shot as a tracks file has them."""

    width: int
    """Columns of the upright plate that it was made for."""
    height: int
    """Rows of that plate."""
    frames: Mapping[int, tuple[Detection, ...]]
    """Faces by frame number, in the file's order."""
    path: Path | None = None
    """Where it was read."""

    def faces(self, frame: int) -> list[Detection]:
        """The faces of a frame, in the file's order; none if the file does not have the frame."""
        return list(self.frames.get(frame, ()))

    def check_size(self, width: int, height: int) -> None:
        """Refuses a plate of another size than the one that the tracks were made for; nothing is scaled by guess.

        Raises:
            UsageError: The sizes differ.
        """
        if (self.width, self.height) != (width, height):
            raise UsageError(
                f"tracks file {self.path} was made for a plate of {self.width}x{self.height}, this plate is"
                f" {width}x{height}; export the tracks for this plate (a proxy's do not fit the full picture)"
            )


def sidecar(path: Path) -> Path:
    """Where a still's points are: `still01.points.json` beside `still01.jpg`."""
    return path.with_name(f"{path.stem}.points.json")


def read_tracks(path: Path) -> TrackFile:
    """Reads a tracks file.

    Args:
        path: JSON or CSV, told apart by the suffix.

    Raises:
        UsageError: It cannot be read, or something in it is wrong; names the file and the line, or frame, face and key.
    """
    reader = _by_suffix(path, {".json": _read_json, ".csv": _read_csv})
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the tracks file {path}: {error}") from error
    width, height, frames = reader(path, text)
    return TrackFile(width, height, frames, path)


def write_tracks(path: Path, frames: Mapping[int, Sequence[Detection]], *, width: int, height: int) -> None:
    """Writes a tracks file; it appears under its name only when whole.

    Args:
        path: `.json` takes all that a face has; `.csv` boxes and five points only.
        frames: Faces by frame number, in plate pixels.
        width: Columns of the upright plate.
        height: Rows of it.

    Raises:
        UsageError: The suffix is neither, or a `.csv` is to hold dense points.
        ShapeError: A number is not finite.
    """
    writer = _by_suffix(path, {".json": _json_text, ".csv": _csv_text})
    text = writer(frames, width, height)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _by_suffix(path: Path, choices: Mapping[str, Any]) -> Any:
    if path.suffix.lower() not in choices:
        raise UsageError(f"a tracks file ends in .json or .csv, not in {path.suffix!r} ({path})")
    return choices[path.suffix.lower()]


def _extent(five: Points | None, landmarks: Landmarks | None) -> tuple[float, ...]:
    points = five if landmarks is None else landmarks.points
    if points is None:
        raise ValueError("a face needs a box, five points, or points with their scheme")
    return (*points[:, :2].min(axis=0).tolist(), *points[:, :2].max(axis=0).tolist())


_Faces = dict[int, tuple[Detection, ...]]


def _read_json(path: Path, text: str) -> tuple[int, int, _Faces]:
    try:
        data = json.loads(text, object_pairs_hook=_without_repeats)
        later = isinstance(data, dict) and data.get("format") == FORMAT and data.get("version") != VERSION
        if later:
            raise UsageError(f"{path} is a tracks file of version {data.get('version')}; this reads version {VERSION}")
        file = _File.model_validate(data)
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}, line {error.lineno}: not valid JSON: {error.msg}") from error
    except ValidationError as error:
        raise UsageError(f"{path}: {'; '.join(_said(item) for item in error.errors()[:5])}") from error
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    frames: _Faces = {}
    for number, faces in file.frames.items():
        frames[int(number)] = tuple(_checked(face, f"{path}: frame {number}, face {i}") for i, face in enumerate(faces))
    if len(frames) != len(file.frames):
        raise UsageError(f"{path}: a frame is there twice, with and without leading zeros")
    return file.width, file.height, frames


def _checked(face: _Face, where: str) -> Detection:
    try:
        return face.detection()
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")
    return found


def _said(error: Any) -> str:
    location = [str(part) for part in error["loc"]]
    if location[:1] == ["frames"] and len(location) > 2:
        location = [f"frame {location[1]}", f"face {location[2]}", ".".join(location[3:])]
    found = "" if error["type"] == "missing" else f" (found {str(error['input'])[:40]!r})"
    return f"{', '.join(part for part in location if part)}: {error['msg']}{found}"


def _rounded(values: Points | Sequence[float]) -> Any:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ShapeError("a face in a tracks file", expected="finite numbers", actual="NaN or infinity")
    return (np.round(array, _DIGITS) + 0.0).tolist()  # + 0.0 turns -0.0 into 0.0


def _json_text(frames: Mapping[int, Sequence[Detection]], width: int, height: int) -> str:
    head = json.dumps({"format": FORMAT, "version": VERSION, "width": width, "height": height})
    lines = [
        f'"{number}": {json.dumps([_as_json(face) for face in frames[number]], separators=(",", ":"))}'
        for number in sorted(frames)
    ]
    return f'{head[:-1]}, "frames": {{\n' + ",\n".join(lines) + "\n}}\n"


def _as_json(face: Detection) -> dict[str, object]:
    entry: dict[str, object] = {} if face.track is None else {"track": face.track}
    entry |= {"score": _rounded([face.score])[0], "box": _rounded(face.box)}
    if face.five is not None:
        entry["five"] = _rounded(face.five)
    if face.landmarks is not None:
        entry |= {"scheme": face.landmarks.scheme, "points": _rounded(face.landmarks.points)}
    return entry


_HEAD = re.compile(rf"^#\s*{FORMAT}\s+(\d+)\s+(\d+)x(\d+)[\s,]*$")


def _read_csv(path: Path, text: str) -> tuple[int, int, _Faces]:
    lines = text.lstrip("\ufeff").splitlines()
    head = _HEAD.match(lines[0]) if lines else None
    if head is None or int(head[1]) != VERSION:
        raise UsageError(f"{path}, line 1: must be '# {FORMAT} {VERSION} WIDTHxHEIGHT', found {(lines or [''])[0]!r}")
    rows = csv.DictReader(lines[1:])
    if set(rows.fieldnames or ()) != set(COLUMNS):
        raise UsageError(
            f"{path}, line 2: columns must be {','.join(COLUMNS)}, found {','.join(rows.fieldnames or ())}"
        )
    found: dict[int, list[Detection]] = {}
    for row in rows:
        where = f"{path}, line {rows.line_num + 1}"
        number, face = _csv_face(row, where)
        found.setdefault(number, []).append(_checked(face, where))
    return int(head[2]), int(head[3]), {number: tuple(faces) for number, faces in found.items()}


def _csv_face(row: dict[str, Any], where: str) -> tuple[int, _Face]:
    if None in row or None in row.values():
        raise UsageError(f"{where}: has {'more' if None in row else 'fewer'} than {len(COLUMNS)} columns")
    points = [row[name] for name in _POINTS]
    if any(points) and not all(points):
        raise UsageError(f"{where}: has some of the ten point columns; give all or none")
    try:
        face: dict[str, Any] = {"box": [float(row[name]) for name in ("x0", "y0", "x1", "y1")]}
        face |= {"track": int(row["track"])} if row["track"] else {}
        face |= {"score": float(row["score"])} if row["score"] else {}
        face |= {"five": np.array(points, dtype=np.float64).reshape(5, 2).tolist()} if all(points) else {}
        return int(row["frame"]), _Face.model_validate(face)
    except ValidationError as error:
        raise UsageError(f"{where}: {'; '.join(_said(item) for item in error.errors()[:5])}") from error
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error


def _csv_text(frames: Mapping[int, Sequence[Detection]], width: int, height: int) -> str:
    out = io.StringIO(newline="")
    out.write(f"# {FORMAT} {VERSION} {width}x{height}\n")
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    for number in sorted(frames):
        for face in frames[number]:
            if face.landmarks is not None:
                raise UsageError(f"frame {number} has {face.landmarks.scheme} points; a .csv holds five, write a .json")
            points = [""] * len(_POINTS) if face.five is None else _rounded(face.five.reshape(-1))
            track = "" if face.track is None else face.track
            rows.writerow([number, track, *_rounded([face.score, *face.box]), *points])
    return out.getvalue()
