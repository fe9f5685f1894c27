"""Image sequences: one file a frame, read on threads ahead of whoever asks."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from vfxswap.errors import MediaError, UsageError
from vfxswap.files import FramePattern, is_pattern
from vfxswap.frame import Frame, Picture
from vfxswap.media import PlateInfo, Reader
from vfxswap_plugins.media.picture_file import SUFFIXES, describe, info_of, read

_MOST_THREADS = 4
"""Pictures decoded at once; each is held in memory, and more threads wait for the disk alone."""
_SHOWN = 3
"""Names of other files that are shown where a pattern matches none."""


class SequenceReader(Reader):
    """Reads the files of a pattern: EXR, DPX, TIFF, PNG or JPEG.

    Frames have the numbers of their files; numbers that are missing in between are `holes`. The first file says what
    the sequence is, and each other one must be like it in size, channels, windows and colour. An EXR is decoded whole,
    with all layers and parts, so that it can be written again; its picture is the data window, whose place in the
    display window is `PlateInfo.display`.
    """

    name = "sequence"

    @classmethod
    def can_read(cls, path: Path) -> bool:
        """Whether the suffix is a picture's and the name has a place for the frame number."""
        return path.suffix.lower() in SUFFIXES and is_pattern(path)

    def __init__(self, path: Path) -> None:
        self._path, self._turn = path, 0
        try:
            self._pattern = FramePattern(path)
        except UsageError as error:
            raise MediaError(str(error), path=path) from error
        numbers = list(self._pattern.existing())
        if not numbers:
            raise _nothing_there(path)
        self._stored = describe(self._pattern.path(numbers[0]))
        first, last = numbers[0], numbers[-1]
        holes = tuple(sorted(set(range(first, last + 1)) - set(numbers)))
        self._info = info_of(path, self._stored, first=first, count=last - first + 1, holes=holes)

    @property
    def info(self) -> PlateInfo:
        """The header, by the first file."""
        return self._info

    def frames(self, first: int, last: int) -> Iterator[Frame]:
        """Decodes `first..last` but for holes; a later call ends an earlier iterator.

        Raises:
            MediaError: The range is not within the plate; or a file is not like the first, or cannot be read.
            TruncatedPlate: A file is damaged or cut off; what comes before is given first.
        """
        if not self._info.first <= first <= last <= self._info.last:
            raise MediaError(
                f"{self._path}: frames {first}-{last} are not within the plate, which has"
                f" {self._info.first}-{self._info.last}",
                path=self._path,
            )
        self._turn += 1
        return self._frames(self._turn, first, last)

    def close(self) -> None:
        """Ends an iterator that is still there; files are open only while they are read."""
        self._turn += 1

    def _frames(self, turn: int, first: int, last: int) -> Iterator[Frame]:
        holes = frozenset(self._info.holes)
        numbers = (number for number in range(first, last + 1) if number not in holes)
        threads = min(_MOST_THREADS, os.cpu_count() or 1)
        pool = ThreadPoolExecutor(threads, thread_name_prefix="read")
        ahead: deque[tuple[int, Future[Picture]]] = deque()
        try:
            while self._turn == turn:
                while len(ahead) < threads and (number := next(numbers, None)) is not None:
                    ahead.append((number, pool.submit(self._read, number)))
                if not ahead:
                    return
                number, picture = ahead.popleft()
                yield Frame(number, picture.result(), cut_before=number - 1 in holes)
        finally:
            pool.shutdown(cancel_futures=True)

    def _read(self, number: int) -> Picture:
        path = self._pattern.path(number)
        try:
            stored = describe(path)
        except MediaError as error:
            raise MediaError(str(error), path=path, frame=number) from error
        if difference := stored.difference(self._stored):
            raise MediaError(
                f"{path} {difference} ({self._pattern.path(self._info.first).name}); split the sequence where it"
                " changes, or write it anew in one form",
                path=path,
                frame=number,
            )
        return read(path, stored, frame=number)


def _nothing_there(path: Path) -> MediaError:
    if not path.parent.is_dir():
        return MediaError(f"there is no folder {path.parent} for the sequence {path.name}", path=path)
    others = sorted(file.name for file in path.parent.iterdir() if file.suffix.lower() == path.suffix.lower())
    there = f"; there are {', '.join(others[:_SHOWN])}{' ...' if len(others) > _SHOWN else ''}" if others else ""
    return MediaError(f"there is no file {path.name} in {path.parent}{there}", path=path)
