"""Files that appear under their names only when they are whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vfxswap.errors import MediaError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Gives a name beside `path` to write to, and moves the file to `path` if nothing went wrong.

    Raises:
        MediaError: The file cannot be written; what was begun is removed.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
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
