"""Files that appear under their names only when they are whole, and files that are numbered by frame."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vfxswap.errors import MediaError, UsageError

_NUMBER = re.compile(r"%(?:0(\d+))?d|(#+)|(@{2,})|\$F(\d*)")
"""A place for the frame number. One `@` alone is a letter of the name."""


@contextmanager
def whole(path: Path, *, synced: bool = False) -> Iterator[Path]:
    """Gives a name beside `path` to write to, and moves the file to `path` if nothing went wrong.

    The name is nobody else's, on other machines that share the folder neither.

    Args:
        path: The name wanted.
        synced: Whether the file is brought to the disk before it gets its name, so that what stands under it is whole
            even if the machine goes down; takes some milliseconds.

    Raises:
        MediaError: The file cannot be written; what was begun is removed.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}.tmp{path.suffix}")
    try:
        yield temporary
        if synced:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise MediaError(
            f"cannot write {path}: {error}; choose another folder or free some space", path=path
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, where they are not there.

    Raises:
        MediaError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaError(f"cannot make the folder {folder}: {error}; choose another one", path=folder) from error


class FramePattern:
    """Files with the frame number in their name: `%04d`, `%d`, `####`, `@@@@`, `$F4` or `$F`; or one file for all.

    Args:
        path: Folder and name; the number stands in the name.

    Raises:
        UsageError: The name has several places for a number, or one `#`, which is one digit in some programs and four
            in others.
    """

    def __init__(self, path: Path) -> None:
        self.pattern = path
        found = list(_NUMBER.finditer(path.name))
        if len(found) > 1:
            raise UsageError(f"{path.name} has {len(found)} places for a frame number; write one, such as ####")
        self._match = found[0] if found else None
        if self._match is not None and self._match[2] == "#":
            raise UsageError(
                f"{path.name}: one # is one digit in some programs and four in others; write #### or %04d, or %d for"
                " numbers without leading zeros"
            )

    @property
    def is_numbered(self) -> bool:
        """Whether there is a place for the number; else one file stands for all frames."""
        return self._match is not None

    @property
    def digits(self) -> int:
        """The least digits of the number; 0 for one without leading zeros."""
        printf, hashes, ats, houdini = self._match.groups() if self._match is not None else ("",) * 4
        return len(hashes or ats or "") or int(printf or houdini or 0)

    def path(self, frame: int) -> Path:
        """The file of a frame, there or not."""
        if self._match is None:
            return self.pattern
        start, end = self._around
        return self.pattern.with_name(f"{start}{frame:0{self._digits}d}{end}")

    @property
    def parts(self) -> tuple[str, str, str]:
        """The name before the number, the place for it as it is written (or nothing), and the name after."""
        start, end = self._around
        return start, self._match[0] if self._match is not None else "", end

    @property
    def printf(self) -> Path:
        """The same files, with the place for the number as `%04d` or `%d`, which every program reads."""
        if self._match is None:
            return self.pattern
        start, end = self._around
        return self.pattern.with_name(f"{start}%{f'0{self._digits}' if self._digits else ''}d{end}")

    def paths(self, frames: Iterable[int]) -> list[Path]:
        """The files of some frames, there or not, each once."""
        return list(dict.fromkeys(self.path(frame) for frame in frames))

    def existing(self) -> dict[int, Path]:
        """The files that are there by frame number, ascending; none for a name without a place for the number.

        Numbers with other leading zeros than the pattern's are other files.
        """
        folder = self.pattern.parent
        if self._match is None or not folder.is_dir():
            return {}
        start, end = (re.escape(part) for part in self._around)
        shape = re.compile(f"{start}(-?[0-9]+){end}")
        matches = ((shape.fullmatch(path.name), path) for path in folder.iterdir())
        found = {int(match[1]): path for match, path in matches if match and self.path(int(match[1])) == path}
        return dict(sorted(found.items()))

    @property
    def _digits(self) -> int:
        """Least digits of a number; 0 if it is written without leading zeros."""
        if self._match is None:
            return 0
        printf, hashes, ats, houdini = self._match.groups()
        return len(hashes or ats or "") or int(printf or houdini or 0)

    @property
    def _around(self) -> tuple[str, str]:
        """The name before and after the number."""
        name = self.pattern.name
        if self._match is None:
            return name, ""
        return name[: self._match.start()], name[self._match.end() :]


def is_pattern(path: Path) -> bool:
    """Whether a name has a place for the frame number."""
    return _NUMBER.search(path.name) is not None


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, in lower-case hex.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp_of(path: Path) -> tuple[int, int]:
    """Bytes and time of modification in nanoseconds, by which a file is known again; (-1, -1) if it is not there."""
    try:
        stat = path.stat()
    except OSError:
        return (-1, -1)
    return stat.st_size, stat.st_mtime_ns
