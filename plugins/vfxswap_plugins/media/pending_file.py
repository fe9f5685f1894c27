"""A file that appears under its name only when it is whole."""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from vfxswap.errors import MediaError
from vfxswap.files import FramePattern

_ADVICE = {
    errno.ENOENT: "there is no such folder; make it first",
    errno.ENOSPC: "the disk is full; free some space and run again",
    errno.EDQUOT: "the disk quota is used up; free some space and run again",
    errno.EFBIG: "the file would grow over the limit of this user or file system; deliver elsewhere",
    errno.EACCES: "it is not allowed; mend the permissions or deliver elsewhere",
    errno.EROFS: "the file system is read-only; deliver elsewhere",
    errno.EIO: "the disk or the network failed; run again",
}


_STALE_SECONDS = 24 * 3600.0
"""Age at which nobody writes a temporary file any more."""


class PendingFile:
    """A temporary file beside the one that is wanted, so that the last step is a rename within one file system.

    Args:
        path: The name wanted.

    Raises:
        MediaError: The folder does not take new files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.temporary = self.path.with_name(f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}.tmp{path.suffix}")
        with said_clearly(path):
            self.temporary.touch()

    def commit(self) -> Path:
        """Moves the file under its name, once it is on the disk."""
        return self._moved(self.path)

    def keep_partial(self) -> Path:
        """Moves the file to `NAME.partial`."""
        return self._moved(self.path.with_name(f"{self.path.name}.partial"))

    def remove(self) -> None:
        """Removes the temporary file, if it is there."""
        self.temporary.unlink(missing_ok=True)

    def _moved(self, target: Path) -> Path:
        with said_clearly(self.path):
            _sync(self.temporary)
            self.temporary.replace(target)
            _sync(target.parent)
        return target


def remove_stale(pattern: FramePattern) -> None:
    """Removes what runs that were killed left of a sequence's files, a day ago or longer.

    Younger ones may be another machine's, which is at work on them now: which processes live there nobody knows here.
    """
    start, _, end = (re.escape(part) for part in pattern.parts)
    suffix, now = re.escape(pattern.pattern.suffix), time.time()
    name = re.compile(rf"\.{start}-?\d*{end.removesuffix(suffix)}\.\d+-[0-9a-f]+\.tmp{suffix}")
    for path in pattern.pattern.parent.iterdir():
        if name.fullmatch(path.name) and _age(path, now) > _STALE_SECONDS:
            path.unlink(missing_ok=True)


def _age(path: Path, now: float) -> float:
    try:
        return now - path.stat().st_mtime
    except OSError:
        return 0.0  # its owner has just renamed it


def folder_problems(path: Path) -> Iterator[str]:
    """Why no file can be put under a name, as far as it can be seen without trying."""
    folder = path.absolute().parent  # one that is not there yet is made by whoever opens the writer
    if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
        yield f"the folder {folder} cannot be written to; mend its permissions or deliver elsewhere"
    elif path.is_dir():
        yield f"{path} is a folder; name a file"


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def said_clearly(path: Path, frame: int | None = None) -> Iterator[None]:
    """Turns the errors of the system and of FFmpeg into a `MediaError` that says what to do.

    Args:
        path: The delivery.
        frame: The frame at work.
    """
    try:
        yield
    except (OSError, av.error.FFmpegError, ValueError) as error:
        where = str(path) if frame is None else f"{path}, frame {frame}"
        number = getattr(error, "errno", None)
        advice = _ADVICE.get(number) if number is not None else None
        what = advice or f"it cannot be written as asked ({error}); try another codec or container"
        raise MediaError(f"{where}: {what}", path=path, frame=frame) from error
