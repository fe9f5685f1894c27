"""The analysis file: what was found in a shot, kept beside it; see docs/analysis.md.

A NumPy archive (`.npz`, a zip of arrays; no pickle is ever loaded) whose entry `head` is JSON in UTF-8, and whose other
entries are the arrays of `vfxswap.analysis.pack.COLUMNS`.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vfxswap.analysis.found import Found, FoundFrame, same_faces
from vfxswap.analysis.pack import packed, unpacked
from vfxswap.errors import MediaError, UsageError
from vfxswap.files import make_folder, whole

FORMAT = "vfxswap-analysis"
"""What the file says of itself."""
VERSION = 1
"""Of the format; a reader refuses a later one."""
_WAIT_SECONDS = 120.0
"""For another process that is extending the file."""

_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PlateStamp(_Strict):
    """By what a plate is known again."""

    name: str
    """File, or pattern."""
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    first: int
    last: int
    files: _Sha256
    """Over names, sizes and times of all its files."""

    def __str__(self) -> str:
        return f"{self.name} ({self.width}x{self.height}, frames {self.first}-{self.last})"


class Finding(_Strict):
    """By what the stages that find faces are known again."""

    key: _Sha256
    """Over settings, models and versions of all that the arrays depend on, but for the plate."""
    stages: tuple[str, ...]
    """Their names, in order."""


class Head(_Strict):
    """What the file says of itself."""

    format: Literal["vfxswap-analysis"] = "vfxswap-analysis"
    version: Literal[1] = 1
    made_by: str
    """Program and version that wrote it last."""
    plate: PlateStamp
    finding: Finding
    notes: tuple[str, ...] = ()
    """Texts that the array `note_text` counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """An analysis file."""

    head: Head
    found: Found

    def has(self, numbers: Iterator[int] | tuple[int, ...] | range) -> bool:
        """Whether these frames are all there, with what the aligner saw."""
        return all(number in self.found and self.found[number].is_aligned for number in numbers)


def read_head(path: Path) -> Head:
    """Reads what the file says of itself, and not the arrays.

    Raises:
        UsageError: It is no analysis file, damaged, or of a later version; names it and says what to do.
    """
    with _opened(path) as archive:
        return _head(archive, path)


def read_analysis(path: Path) -> Analysis:
    """Reads an analysis file.

    Raises:
        UsageError: As `read_head`.
    """
    with _opened(path) as archive:
        head = _head(archive, path)
        return Analysis(head, unpacked({name: archive[name] for name in archive.files if name != "head"}, head.notes))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The archive; whatever is wrong with it is said in one form."""
    try:
        with zipfile.ZipFile(path):  # else NumPy takes it for a pickle, and says so
            pass
        with np.load(path, allow_pickle=False) as archive:
            yield archive
    except (ValueError, KeyError, EOFError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UsageError(
            f"the analysis file {path} is damaged or cannot be read: {said}; make it again with `vfxswap analyze"
            " PIPELINE --overwrite`, or remove it"
        ) from error


def _head(archive: Any, path: Path) -> Head:
    raw: NDArray[Any] = archive["head"]
    if raw.dtype != np.uint8 or raw.ndim != 1:
        raise ValueError("its head is no text")
    facts = json.loads(raw.tobytes().decode("utf-8"))
    if isinstance(facts, dict) and facts.get("format") == FORMAT and facts.get("version") != VERSION:
        raise UsageError(
            f"the analysis file {path} is of version {facts.get('version')}; this program reads version {VERSION}: make"
            " it again with `vfxswap analyze PIPELINE --overwrite`"
        )
    try:
        return Head.model_validate_json(raw.tobytes())
    except ValidationError as error:
        wrong = error.errors()[0]
        raise ValueError(f"head: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from error


def write_analysis(path: Path, analysis: Analysis) -> None:
    """Writes an analysis file; it appears under its name when it is whole.

    Raises:
        MediaError: It cannot be written.
    """
    arrays, texts = packed(analysis.found)
    head = analysis.head.model_copy(update={"notes": tuple(texts)})
    arrays["head"] = np.frombuffer(head.model_dump_json().encode("utf-8"), np.uint8)
    make_folder(path.parent)
    with whole(path, synced=True) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def extend_analysis(path: Path, analysis: Analysis, *, replaces: bool = False) -> Analysis:
    """Adds frames to an analysis file, or makes it; several processes may do so at once, and all frames are in it then.

    What is there of another plate or of other settings is replaced.

    Args:
        path: The file.
        analysis: What was found.
        replaces: Whether the file is replaced, whatever is in it.

    Returns:
        What the file holds now.

    Raises:
        MediaError: It cannot be written.
        UsageError: What is there is damaged.
    """
    make_folder(path.parent)
    with locked(path):
        there = read_analysis(path) if path.exists() and not replaces else None
        if there is not None and is_alike(there.head, analysis.head):
            analysis = replace(analysis, found=merged(there.found, analysis.found))
        write_analysis(path, analysis)
    return analysis


def is_alike(head: Head, other: Head) -> bool:
    """Whether two files are of the same plate and the same settings, so that their frames go together."""
    return (head.plate.files, head.finding.key) == (other.plate.files, other.finding.key)


def merged(old: Found, new: Found) -> Found:
    """Frames of both; of one that is in both, the new one, or the old one if the aligner looked at the same faces."""
    kept = {number: frame for number, frame in old.items() if number in new and _knows_more(frame, new[number])}
    return {**old, **new, **kept}


def _knows_more(old: FoundFrame, new: FoundFrame) -> bool:
    """Whether the aligner has looked at the very faces of a new frame, which it has not looked at.

    Other faces may be tracks of a tracker that did not see all of the plate, which do not go together with new ones.
    """
    is_same = old.cut_before == new.cut_before and same_faces(old.faces, new.faces)
    return is_same and old.is_aligned and not new.is_aligned


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time, on this machine and, where the share knows locks, on others; a dead one holds none."""
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=_WAIT_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        raise MediaError(
            f"{path} is being extended by another process for more than {_WAIT_SECONDS:.0f} seconds; try again",
            path=path,
        ) from error
    except (OSError, NotImplementedError) as error:
        raise MediaError(
            f"cannot lock {path}: {error}; say in [shot] analysis of a folder where that works", path=path
        ) from error
    try:
        yield
    finally:
        lock.release()
