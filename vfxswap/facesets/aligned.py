"""DeepFaceLab's aligned faces: JPEGs that carry what is known of the face in an APP15 segment, one by one or packed.

A packed `faceset.pak` is a version and a length (64 bits each), a pickled list of that length, a table of offsets, and
the JPEGs as they were. The list says nothing that the JPEGs do not say themselves, so it is stepped over, unread.

Their points and matrices count from the centres of pixels, as OpenCV does; here half a pixel is added.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vfxswap.alignment import FaceType
from vfxswap.errors import MediaError
from vfxswap.facesets.inert import NotData, read_data
from vfxswap.geometry import Affine, Landmarks, Points

FACE_TYPES: Mapping[str, FaceType] = {
    "half_face": "half",
    "midfull_face": "mid_full",
    "full_face": "full",
    "whole_face": "whole",
    "head": "head",
}
"""Theirs and ours; faces that were cut without being aligned have no counterpart."""
_APP15, _SCAN, _START, _END = 0xEF, 0xDA, 0xD8, 0xD9
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xDA)})
"""Markers without a length: ITU-T T.81, table B.1."""
_LARGEST_SIDE_PX = 8192
_MOST_POLYGONS, _MOST_POINTS = 256, 4096
_MOST_FACES = 5_000_000


@dataclass(frozen=True, slots=True, eq=False)
class AlignedFace:
    """One face as DeepFaceLab has it, in the conventions of this project."""

    name: str
    """The file's."""
    image: NDArray[np.uint8]
    """`(S, S, 3)` in OpenCV's order."""
    face_type: FaceType
    landmarks: Landmarks
    """iBUG's 68, in pixels of the image."""
    plate_to_crop: Affine | None
    source: str
    """Name of the picture that it was cut from; may be empty."""
    matte: NDArray[np.float32] | None
    """`(S, S)` 0..1: an artist's polygons, else the mask that was applied; None where there is neither."""


def packed(path: Path) -> Iterator[tuple[str, bytes]]:
    """`(name, JPEG)` of each face of a faceset.pak.

    Raises:
        MediaError: It is none, is of another version, or breaks off.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        version, length = struct.unpack("<QQ", head) if len(head) == 16 else (0, 0)
        if version != 1 or 16 + length + 16 > size:
            raise MediaError(
                f"{path} is no faceset.pak of version 1, or it breaks off (says version {version}, has {size} bytes)",
                path=path,
            )
        file.seek(16 + length)
        offsets = _offsets(file, size, path)
        first = file.tell()
        for number, (start, end) in enumerate(pairwise(offsets)):
            file.seek(first + start)
            yield f"{path.name}[{number}]", file.read(min(end, size - first) - start)


def _offsets(file: Any, size: int, path: Path) -> list[int]:
    """Where each JPEG begins and the last one ends, from the first one's beginning.

    How many there are is known by the last entry alone, which ends the file. DeepFaceLab counts that one entry from the
    file's beginning.
    """
    found: list[int] = []
    while len(found) < _MOST_FACES:
        entry = file.read(8)
        if len(entry) < 8:
            break
        offset = struct.unpack("<Q", entry)[0]
        if offset in {size, size - file.tell()} and found:
            return [*found, size - file.tell()]
        if (found and offset <= found[-1]) or (not found and offset != 0) or offset > size:
            break
        found.append(offset)
    raise MediaError(f"{path}: its table of faces is broken after {len(found)} entries; unpack it by hand", path=path)


def read_aligned(raw: bytes, name: str) -> AlignedFace:
    """Reads one aligned JPEG.

    Args:
        raw: The file's bytes.
        name: Its name, for messages and for what is kept.

    Raises:
        NotData: Its segment holds something else than data; nothing of it was run.
        MediaError: It is no JPEG, has no such segment, or what that says makes no face.
    """
    data, face_type, size = _known(raw, name)
    image = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None or image.shape[:2] != (size, size):
        raise MediaError(f"{name}: the picture cannot be read")
    source = data.get("source_filename")
    return AlignedFace(
        name,
        image.astype(np.uint8),
        face_type,
        Landmarks(_points(data.get("landmarks"), 68, f"{name}: landmarks") + 0.5, "ibug68"),
        _matrix(data.get("image_to_face_mat"), name),
        source if isinstance(source, str) else "",
        _matte(data, size, name),
    )


def kind_of(raw: bytes, name: str) -> tuple[FaceType, int]:
    """Face type and side of an aligned JPEG, which is not decoded.

    Raises:
        NotData: As `read_aligned`.
        MediaError: Likewise.
    """
    _, face_type, size = _known(raw, name)
    return face_type, size


def _known(raw: bytes, name: str) -> tuple[Mapping[Any, Any], FaceType, int]:
    """What a JPEG says: the table of its segment, the face type, and its side."""
    segments = dict(_segments(raw, name))
    sides = next((_frame_sides(content) for marker, content in segments.items() if marker in _FRAMES), None)
    if sides is None or sides[0] != sides[1] or not 0 < sides[0] <= _LARGEST_SIDE_PX:
        raise MediaError(f"{name}: the picture is not square, is larger than {_LARGEST_SIDE_PX} px, or says no size")
    if _APP15 not in segments:
        raise MediaError(f"{name} has no APP15 segment: it is not one of DeepFaceLab's aligned faces")
    try:
        data = read_data(segments[_APP15])
    except NotData as error:
        raise NotData(f"{name}: {error}; refused, nothing of it was run") from error
    if not isinstance(data, dict):
        raise MediaError(f"{name}: its APP15 segment holds no table")
    face_type = data.get("face_type") or "full_face"
    if not isinstance(face_type, str) or face_type not in FACE_TYPES:
        said = repr(face_type[:40]) if isinstance(face_type, str) else f"a {type(face_type).__name__}"
        raise MediaError(f"{name}: faces of type {said} are not aligned as ours; taken are {', '.join(FACE_TYPES)}")
    return data, FACE_TYPES[face_type], sides[0]


def _frame_sides(content: bytes) -> tuple[int, int] | None:
    """`(width, height)` of a frame header: ITU-T T.81, B.2.2."""
    return (int.from_bytes(content[3:5], "big"), int.from_bytes(content[1:3], "big")) if len(content) >= 5 else None


def _segments(raw: bytes, name: str) -> Iterator[tuple[int, bytes]]:
    """`(marker, content)` of the segments before the picture's own data."""
    if raw[:2] != bytes((0xFF, _START)):
        raise MediaError(f"{name} is no JPEG")
    place = 2
    while place + 4 <= len(raw) and raw[place] == 0xFF and raw[place + 1] not in {_SCAN, _END}:
        marker = raw[place + 1]
        if marker == 0xFF or marker in _ALONE:
            place += 1 if marker == 0xFF else 2
            continue
        length = max(int.from_bytes(raw[place + 2 : place + 4], "big"), 2)
        yield marker, raw[place + 4 : place + 2 + length]
        place += 2 + length


def _points(value: Any, count: int | None, what: str) -> Points:
    """`(K, 2)` finite numbers; lists are looked at before they are made an array."""
    if isinstance(value, list | tuple):
        pairs = [p for p in value[: _MOST_POINTS + 1] if isinstance(p, list | tuple | np.ndarray) and len(p) == 2]
        numbers = [n for pair in pairs for n in pair if isinstance(n, int | float | np.number)]
        value = np.array(numbers).reshape(-1, 2) if len(numbers) == 2 * len(value) else None
    if not isinstance(value, np.ndarray) or value.ndim != 2 or value.shape[1] != 2 or len(value) > _MOST_POINTS:
        raise MediaError(f"{what} are no list of points")
    points = value.astype(np.float64)
    if (count is not None and len(points) != count) or not np.isfinite(points).all():
        raise MediaError(f"{what} must be {count or 'any number of'} finite points, found {len(points)}")
    return points


def _matrix(value: Any, name: str) -> Affine | None:
    """Their image-to-face matrix, between centres of pixels, as ours between edges."""
    if value is None:
        return None
    rows = [list(row) for row in value] if isinstance(value, list | tuple) and len(value) == 2 else value
    with suppress(TypeError, ValueError):
        matrix = np.array(rows, dtype=np.float64)
        if matrix.shape == (2, 3) and np.isfinite(matrix).all() and abs(np.linalg.det(matrix[:, :2])) > 0:
            half = np.array([0.5, 0.5])
            matrix[:, 2] += half - matrix[:, :2] @ half
            return matrix
    raise MediaError(f"{name}: image_to_face_mat is no 2x3 matrix that can be inverted")


def _matte(data: Mapping[Any, Any], size_px: int, name: str) -> NDArray[np.float32] | None:
    polygons = _polygons(data.get("seg_ie_polys"), name)
    mask = _mask(data.get("xseg_mask"), size_px, name)
    included = [points for include, points in polygons if include]
    if not polygons or (mask is None and not included):
        return mask
    drawn = (
        np.zeros((size_px, size_px), np.uint8) if included or mask is None else (mask * 255).round().astype(np.uint8)
    )
    for include in (True, False):  # theirs are drawn in this order, whatever the order in the file
        for points in (points for kind, points in polygons if kind is include):
            corners = np.round(points * 16).astype(np.int32)
            cv2.fillPoly(drawn, [corners], 255 if include else 0, cv2.LINE_AA, 4)
    return _unit(drawn)


def _polygons(value: Any, name: str) -> list[tuple[bool, Points]]:
    """`(whether it includes, corners)`; of newer files a table, of older ones a list of pairs."""
    items = value.get("polys", []) if isinstance(value, dict) else value
    if items is None:
        return []
    if not isinstance(items, list | tuple) or len(items) > _MOST_POLYGONS:
        raise MediaError(f"{name}: seg_ie_polys is no list of polygons")
    found = []
    for item in items:
        kind, points = (item.get("type"), item.get("pts")) if isinstance(item, dict) else _pair(item, name)
        corners = _points(points, None, f"{name}: corners of a polygon")
        if np.abs(corners).max(initial=0.0) > 4 * _LARGEST_SIDE_PX:
            raise MediaError(f"{name}: corners of a polygon lie far outside the picture")
        if len(corners) >= 3:
            found.append((kind == 1, corners))
    return found


def _pair(item: Any, name: str) -> tuple[Any, Any]:
    if isinstance(item, list | tuple) and len(item) == 2:
        return item[0], item[1]
    raise MediaError(f"{name}: a polygon is neither a table nor a pair")


def _mask(value: Any, size_px: int, name: str) -> NDArray[np.float32] | None:
    """The mask that was applied: a PNG or JPEG, as bytes or as an array of them."""
    if value is None:
        return None
    coded = value.reshape(-1).tobytes() if isinstance(value, np.ndarray) and value.dtype == np.uint8 else value
    if not isinstance(coded, bytes) or not _is_small(coded, name):
        raise MediaError(f"{name}: xseg_mask is no PNG or JPEG of at most {_LARGEST_SIDE_PX} px")
    mask = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise MediaError(f"{name}: xseg_mask cannot be read")
    if mask.shape != (size_px, size_px):
        mask = cv2.resize(mask, (size_px, size_px), interpolation=cv2.INTER_LINEAR)
    return _unit(mask)


def _is_small(coded: bytes, name: str) -> bool:
    """Whether a picture says that it is small enough to be decoded."""
    if coded[:8] == b"\x89PNG\r\n\x1a\n":
        sides: tuple[int, int] | None = (int.from_bytes(coded[16:20], "big"), int.from_bytes(coded[20:24], "big"))
    elif coded[:2] == bytes((0xFF, _START)):
        sides = next((_frame_sides(part) for marker, part in _segments(coded, name) if marker in _FRAMES), None)
    else:
        sides = None
    return sides is not None and min(sides) > 0 and max(sides) <= _LARGEST_SIDE_PX


def _unit(values: NDArray[Any]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = (values.astype(np.float32) / np.float32(255)).astype(np.float32)
    return unit
