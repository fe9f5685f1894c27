"""Frames that wait for their movie: of each, one file with what was changed of the plate.

A movie cannot be written in pieces that come out with the bits of the whole: its codec looks at neighbours, its audio
and times go through. So a chunk keeps, for each frame, those samples of the stored planes that differ from the plate's,
as they are, and a digest of the whole picture. Whoever assembles the movie decodes the plate anyway, for what the
decoder has beside the samples; with the differences put back, the encoder gets the very pictures of an undivided run,
or a digest says that it would not.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vfxswap.color import ColorTags
from vfxswap.errors import MediaError
from vfxswap.files import FramePattern, whole
from vfxswap.frame import Frame, Layer, Picture, Plane
from vfxswap.geometry import Box
from vfxswap.journal import RECORD, FrameKey, FrameNote
from vfxswap.media import DeliveryOptions, PlateInfo, Writer
from vfxswap.report import FrameRecord

SUFFIX = ".npz"
FORMAT_VERSION = 2
"""Of the files; grows when their meaning changes."""
_HEAD = "head"
_LAYER = "layer."

_NOBODYS = FrameKey("", "")
"""Of a frame that no run made."""

_DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What NumPy and `zipfile` raise at a file that is empty, cut off or changed: any bit of it."""

Corner = tuple[int, int] | None
"""Row and column of a plane's first changed sample; None where nothing is changed."""


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """The head of one file."""

    frame: int
    key: FrameKey
    """What it was made of."""
    layout: str
    """How the plate's samples are stored."""
    digest: str
    """A sha256, in hex, of all samples of the finished picture."""
    corners: tuple[Corner, ...] | None
    """Where the changed part of each plane lies; None for a frame that is the plate's own."""
    layers: tuple[tuple[str, tuple[int, int, int, int]], ...] = ()
    """Names and boxes of the pictures that were made beside this one."""
    record: FrameRecord | None = None
    """What its run said of it: a run that is killed writes no report."""
    version: int = FORMAT_VERSION

    @property
    def note(self) -> FrameNote:
        """The same as a journal would have it."""
        return FrameNote(self.record or FrameRecord(self.frame, 0, ()), self.key)


def store_path(delivery: Path) -> Path:
    """The pattern of the frames that wait for a delivery: in a folder beside it, under its name."""
    return delivery.with_name(f"{delivery.name}.frames") / f"{delivery.stem}.%07d{SUFFIX}"


class FrameStore(Writer):
    """Writes the frames of a chunk, one file each, whole or not there; frames may be written by several at once."""

    name = "frames"
    Options: ClassVar[type[DeliveryOptions]] = DeliveryOptions

    @classmethod
    def can_write(cls, path: Path) -> bool:
        """Whether the name is that of such a file."""
        return path.suffix == SUFFIX

    @classmethod
    def problems(cls, path: Path, options: DeliveryOptions, like: PlateInfo, tags: ColorTags) -> Sequence[str]:  # noqa: ARG003
        """Nothing: the delivery that they wait for was checked."""
        return ()

    @classmethod
    def notes(cls, path: Path) -> Mapping[int, FrameNote]:
        """What the frames that are there and can be read say of themselves."""
        return {frame: head.note for frame, head in heads(path).items() if head is not None}

    def __init__(
        self, path: Path, options: DeliveryOptions, *, like: PlateInfo, tags: ColorTags, first: int, last: int
    ) -> None:
        self._pattern, self._options, self._like, self._tags = FramePattern(path), options, like, tags
        self._first, self._last = first, last
        self._written: list[Path] = []

    def write(self, frame: Frame) -> None:
        """Writes what is changed of `frame.picture`.

        Raises:
            MediaError: The disk is full, or the finished picture is stored otherwise than the plate.
        """
        path = self._pattern.path(frame.number)
        corners, parts = _differences(frame)
        head = StoredFrame(
            frame=frame.number,
            key=_NOBODYS if self.journal is None else self.journal.key_of(frame.number),
            layout=frame.plate.layout.name,
            digest=digest(frame.picture),
            corners=corners,
            layers=tuple((name, (*layer.box,)) for name, layer in frame.layers.items()),
            record=record if isinstance(record := frame.props.get(RECORD), FrameRecord) else None,
        )
        arrays = {f"plane{place}": part for place, part in parts.items()}
        arrays |= {f"{_LAYER}{place}": layer.samples for place, layer in enumerate(frame.layers.values())}
        arrays[_HEAD] = np.frombuffer(json.dumps(asdict(head)).encode(), np.uint8)
        with whole(path, synced=True) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        self._written.append(path)

    def finish(self) -> tuple[Path, ...]:
        """The files that were written."""
        return tuple(self._written)

    def keep_partial(self) -> tuple[Path, ...]:
        """The files that were written; they are whole and keep their names."""
        return tuple(self._written)

    def abandon(self) -> None:
        """Does nothing: whole files stay, others are not there."""


def _differences(frame: Frame) -> tuple[tuple[Corner, ...] | None, dict[int, Plane]]:
    """Where each plane differs from the plate's, and its samples there."""
    if frame.result is None or frame.result is frame.plate:
        return None, {}
    corners: list[Corner] = []
    parts: dict[int, Plane] = {}
    for place, (new, old) in enumerate(zip(frame.result.planes, frame.plate.planes, strict=True)):
        if new.shape != old.shape or new.dtype != old.dtype:
            raise MediaError(
                f"frame {frame.number}: the finished picture has a plane {new.shape} {new.dtype}, the plate's is"
                f" {old.shape} {old.dtype}; a stage must keep the plate's form",
                frame=frame.number,
            )
        changed = _bits(new) != _bits(old)
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        if rows.size == 0:
            corners.append(None)
            continue
        corners.append((int(rows[0]), int(columns[0])))
        parts[place] = np.ascontiguousarray(new[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    return tuple(corners), parts


def _bits(plane: Plane) -> NDArray[Any]:
    """The samples as whole numbers, so that NaNs and signed zeros are told apart by their bits."""
    return plane.view(f"u{plane.itemsize}") if plane.dtype.kind == "f" else plane


def digest(picture: Picture) -> str:
    """A sha256, in hex, of all samples of a picture, whatever memory they lie in."""
    found = hashlib.sha256()
    for plane in picture.planes:
        found.update(repr((plane.shape, plane.dtype.str)).encode())
        found.update(np.ascontiguousarray(plane).data)
    return found.hexdigest()


def heads(pattern: Path) -> dict[int, StoredFrame | None]:
    """The frames that are there, ascending; None for a file that cannot be read."""
    return {number: _head_or_none(path) for number, path in FramePattern(pattern).existing().items()}


def _head_or_none(path: Path) -> StoredFrame | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return _head(stored)
    except _DAMAGE:
        return None


def _head(stored: Mapping[str, NDArray[Any]]) -> StoredFrame:
    fields = json.loads(stored[_HEAD].tobytes())
    if fields["version"] != FORMAT_VERSION:
        raise ValueError(f"of version {fields['version']}, not {FORMAT_VERSION}")
    corners = fields.pop("corners")
    found = None if corners is None else tuple(None if corner is None else (corner[0], corner[1]) for corner in corners)
    layers = tuple((name, tuple(box)) for name, box in fields.pop("layers"))
    said = fields.pop("record")
    record = said and FrameRecord(said["frame"], said["faces"], tuple(said["identities"]), tuple(said["notes"]))
    key = FrameKey(*map(str, fields.pop("key")))
    return StoredFrame(**fields, key=key, corners=found, layers=layers, record=record)


def restored(plate: Frame, path: Path) -> Frame:
    """The finished frame, made of the plate's and of what a chunk changed.

    Args:
        plate: As the reader gives it; left as it is.
        path: The file of the same frame.

    Raises:
        MediaError: The file is damaged, or the plate is decoded otherwise here than where the chunk was made.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            head = _head(stored)
            frame = plate if head.corners is None else replace(plate, result=_patched(plate.plate, head, stored))
            layers = {
                name: Layer(Box(*box), stored[f"{_LAYER}{place}"]) for place, (name, box) in enumerate(head.layers)
            }
    except _DAMAGE as error:
        raise MediaError(
            f"{path} cannot be read ({error}); delete it, run its chunk again, and assemble then",
            path=path,
            frame=plate.number,
        ) from error
    if digest(frame.picture) != head.digest:
        raise MediaError(
            f"frame {plate.number} of the plate is not decoded here as it was for {path}; run the chunks and the last"
            " step with one version of the libraries, or run this frame's chunk again with --overwrite",
            path=path,
            frame=plate.number,
        )
    return replace(frame, layers=layers) if layers else frame


def _patched(plate: Picture, head: StoredFrame, stored: Mapping[str, NDArray[Any]]) -> Picture:
    if plate.layout.name != head.layout or len(plate.planes) != len(head.corners or ()):
        raise ValueError(f"is of a {head.layout} picture, the plate is {plate.layout.name}")
    result = plate.copy()
    for place, corner in enumerate(head.corners or ()):
        if corner is not None:
            part = stored[f"plane{place}"]
            row, column = corner
            result.planes[place][row : row + part.shape[0], column : column + part.shape[1]] = part
    return result
