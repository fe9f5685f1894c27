"""One process at a time at a file that several write to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vfxswap.errors import MediaError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Waits until nobody else has `path`, in this process or another; one that is killed gives it back.

    The lock is a hidden file beside it, which goes with its last holder: whoever waited for it looks whether it is
    still the one under that name.

    Raises:
        MediaError: Nothing can be written beside it.
    """
    lock = path.with_name(f".{path.name}.lock")
    try:
        handle = _held(lock)
    except OSError as error:
        raise MediaError(f"cannot write {path}: {error.strerror or error}; choose another folder", path=path) from error
    try:
        yield
    finally:
        if sys.platform != "win32":  # where a file that is open cannot be removed
            lock.unlink(missing_ok=True)
        os.close(handle)


def _held(lock: Path) -> int:
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if sys.platform == "win32":
                msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
                return handle
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.path.samestat(lock.stat(), os.fstat(handle)):
                return handle
        except FileNotFoundError:
            pass  # its holder removed it between two looks
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
