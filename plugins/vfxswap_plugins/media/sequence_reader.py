"""Image sequences: one file a frame, read on threads ahead of whoever asks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from vfxswap.errors import MediaError, TruncatedPlate, UsageError
from vfxswap.files import FramePattern, is_pattern, stamp_of
from vfxswap.frame import Frame, Picture
from vfxswap.geometry import Box
from vfxswap.media import PlateInfo, Reader
from vfxswap_plugins.media.picture_file import SUFFIXES, describe, info_of, read
from vfxswap_plugins.media.pools import threads_for
from vfxswap_plugins.media.sequence_clock import sequence_timecode
from vfxswap_plugins.media.stored import Stored, window_within

_HEADER_THREADS = 8
"""Headers read at once: hardly any work, and much waiting where the files are far away."""
_SHOWN = 3
"""Names of other files that are shown where a pattern matches none."""


class SequenceReader(Reader):
    """Reads the files of a pattern: EXR, DPX, TIFF, PNG or JPEG.

    Frames have the numbers of their files; numbers that are missing in between are `holes`. The first file that can be
    read says what the sequence is, and each other one must be like it in size, channels, display window and colour: all
    headers are read at once, and those that do not fit are `unfit`. An EXR is held whole, with all layers and parts, so
    that it can be written again.

    An EXR's picture is the data window, whose place in the display window is `PlateInfo.display`. Where data windows
    vary, as they do in plates that a renderer crops to what it has drawn, the picture is what holds all of them, black
    where a file has no pixels; each delivered file has its own data window again.
    """

    name = "sequence"
    chooses_layers = True

    @classmethod
    def can_read(cls, path: Path) -> bool:
        """Whether the suffix is a picture's and the name has a place for the frame number."""
        return path.suffix.lower() in SUFFIXES and is_pattern(path)

    def __init__(self, path: Path, *, layer: str | None = None) -> None:
        self._path, self._turn = path, 0
        try:
            self._pattern = FramePattern(path)
        except UsageError as error:
            raise MediaError(str(error), path=path) from error
        files = self._pattern.existing()
        if not files:
            raise _nothing_there(path)
        self._stamps = {number: stamp_of(file) for number, file in files.items()}
        headers = _headers(files, layer)
        self._stored = _first(headers)
        unfit = {number: why for number, header in headers.items() if (why := _misfit(header, self._stored, number))}
        self._window = _common_window([h for n, h in headers.items() if n not in unfit and isinstance(h, Stored)])
        whole = range(min(files), max(files) + 1)
        info = _windowed(info_of(path, self._stored, first=whole[0], count=len(whole)), self._stored, self._window)
        words = {n: h.code_word for n, h in headers.items() if isinstance(h, Stored) and h.code_word is not None}
        timecode, runs = sequence_timecode(words, first=whole[0], rate=self._stored.rate)
        holes = tuple(sorted(set(whole) - set(files)))
        self._info = replace(info, holes=holes, unfit=unfit, timecode=timecode, timecode_runs=runs)

    @property
    def info(self) -> PlateInfo:
        """The header, by the first file."""
        return self._info

    def frames(self, first: int, last: int) -> Iterator[Frame]:
        """Decodes `first..last` but for holes; a later call ends an earlier iterator.

        Raises:
            MediaError: The range is not within the plate.
            TruncatedPlate: A file is damaged or cut off, is not like the first, or is not the one that was there when
                the plate was opened; what comes before is given first.
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
        threads = threads_for(self._info)
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
            picture = read(path, self._stored, frame=number, window=self._window)
        except MediaError as error:
            if path.exists():
                self._check_stamp(path, number)
            raise TruncatedPlate(str(error), path=path, frame=number) from error
        self._check_stamp(path, number)
        return picture

    def _check_stamp(self, path: Path, number: int) -> None:
        """Whether the file is still the one that the run was checked with, and that its key was made of."""
        if stamp_of(path) != self._stamps[number]:
            raise TruncatedPlate(
                f"{path} was changed while the plate was being read; run again when it is whole",
                path=path,
                frame=number,
            )


def _headers(files: Mapping[int, Path], layer: str | None) -> dict[int, Stored | MediaError]:
    with ThreadPoolExecutor(_HEADER_THREADS, thread_name_prefix="header") as pool:
        return dict(zip(files, pool.map(partial(_header, layer=layer), files.values()), strict=True))


def _header(path: Path, layer: str | None) -> Stored | MediaError:
    try:
        return describe(path, layer)
    except MediaError as error:
        return error


def _first(headers: Mapping[int, Stored | MediaError]) -> Stored:
    """What the sequence is; the error of its first file if none can be read."""
    for header in headers.values():
        if isinstance(header, Stored):
            return header
    raise next(header for header in headers.values() if isinstance(header, MediaError))


def _misfit(header: Stored | MediaError, first: Stored, number: int) -> str | None:
    if isinstance(header, MediaError):
        return str(header)
    try:
        header.check(first, frame=number)
    except MediaError as error:
        return str(error)
    return None


def _common_window(headers: Sequence[Stored]) -> Box | None:
    """What holds all data windows, where they vary."""
    windows = {header.data for header in headers if header.data is not None}
    if len(windows) < 2:
        return None
    corners = list(zip(*windows, strict=True))
    return Box(min(corners[0]), min(corners[1]), max(corners[2]), max(corners[3]))


def _windowed(info: PlateInfo, stored: Stored, window: Box | None) -> PlateInfo:
    if window is None or stored.canvas is None:
        return info
    return replace(info, width=window.width, height=window.height, display=window_within(stored.canvas, window))


def _nothing_there(path: Path) -> MediaError:
    if not path.parent.is_dir():
        return MediaError(f"there is no folder {path.parent} for the sequence {path.name}", path=path)
    others = sorted(file.name for file in path.parent.iterdir() if file.suffix.lower() == path.suffix.lower())
    there = f"; there are {', '.join(others[:_SHOWN])}{' ...' if len(others) > _SHOWN else ''}" if others else ""
    return MediaError(f"there is no file {path.name} in {path.parent}{there}", path=path)
