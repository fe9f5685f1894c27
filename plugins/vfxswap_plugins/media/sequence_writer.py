"""Image sequences: one file a frame, written on threads behind whoever renders, each whole or not there."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from vfxswap.color import ColorTags
from vfxswap.errors import MediaError
from vfxswap.files import FramePattern, is_pattern
from vfxswap.frame import Frame
from vfxswap.layers import LayerOrder
from vfxswap.media import DeliveryOptions, PlateInfo, Writer
from vfxswap_plugins.media.layer_files import LayerFiles, removed
from vfxswap_plugins.media.pending_file import PendingFile, remove_stale, said_clearly
from vfxswap_plugins.media.pools import threads_for
from vfxswap_plugins.media.sequence_plan import (
    SUFFIXES,
    SequenceOptions,
    SequencePlan,
    layer_problems,
    planned,
    problems,
    remarks,
)


class SequenceWriter(Writer):
    """Writes EXR, DPX, TIFF or PNG, one file a frame, numbered as the plate is.

    A picture from a file of the same format takes that file with it: header, layers, parts and all channels are the
    plate's own, and only its colours are written anew; those that nobody changed have the same bits. An EXR's header is
    the plate's byte for byte, but for the compression where that was a lossy one.

    Each file is written under a temporary name in the delivery's folder, brought to the disk, and renamed: what stands
    under a frame's name is whole, also when a run is killed, and stays when a later frame fails. The files of its
    layers get their names before it does. The host's journal is told of all of them before.
    """

    name = "sequence"
    Options: ClassVar[type[DeliveryOptions]] = SequenceOptions

    @classmethod
    def can_write(cls, path: Path) -> bool:
        """Whether the suffix is that of a picture that can be written."""
        return path.suffix.lower() in SUFFIXES

    @classmethod
    def problems(cls, path: Path, options: DeliveryOptions, like: PlateInfo, tags: ColorTags) -> Sequence[str]:
        """What is wrong with this delivery of this plate; nothing is opened."""
        return problems(path, _own(options), like, tags)

    @classmethod
    def remarks(cls, path: Path, options: DeliveryOptions, like: PlateInfo, tags: ColorTags) -> Sequence[str]:
        """What the report shall say: a compression that is not the plate's."""
        return remarks(path, _own(options), like, tags)

    @classmethod
    def layer_problems(
        cls, path: Path, options: DeliveryOptions | None, order: LayerOrder, like: PlateInfo | None
    ) -> Sequence[str]:
        """Layers go to files of their own beside any sequence, and into an EXR."""
        return layer_problems(path, None if options is None else _own(options), order, like)

    def __init__(
        self, path: Path, options: DeliveryOptions, *, like: PlateInfo, tags: ColorTags, first: int, last: int
    ) -> None:
        own = _own(options)
        if found := problems(path, own, like, tags):
            raise MediaError(f"{path}: {'; '.join(found)}", path=path)
        if first != last and not is_pattern(path):
            raise MediaError(f"{path}: {last - first + 1} frames need a number in their name, such as ####", path=path)
        self._path, self._first, self._last, self._like, self._tags = path, first, last, like, tags
        self._pattern = FramePattern(path)
        self._plan: SequencePlan = planned(path, own, like, tags)
        self._previous: int | None = None
        self._written: list[Path] = []
        PendingFile(self._pattern.path(first)).remove()  # says now that the folder cannot be written to
        remove_stale(self._pattern)
        threads = own.threads or threads_for(like)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="write")
        self._behind: deque[Future[Path]] = deque()
        self._most_behind = 2 * threads

    def write(self, frame: Frame) -> None:
        """Hands over `frame.picture`; waits while as many pictures as are allowed are being written.

        Raises:
            MediaError: The frame is not the next one, or is of another size; or an earlier one could not be written.
        """
        self._check(frame)
        self._settle(self._most_behind - 1)
        self._behind.append(self._pool.submit(self._write, frame))

    def finish(self) -> tuple[Path, ...]:
        """Waits until all files are under their names.

        Raises:
            MediaError: No frame was written, or one could not be.
        """
        if self._previous is None:
            raise MediaError(f"{self._path}: no frame was written", path=self._path)
        return self._ended()

    def keep_partial(self) -> tuple[Path, ...]:
        """Waits for the files that are being written; they are whole and keep their names."""
        return self._ended()

    def abandon(self) -> None:
        """Gives up what is not yet begun; whole files stay."""
        for future in self._behind:
            future.cancel()
        self._pool.shutdown()
        self._behind.clear()

    def _ended(self) -> tuple[Path, ...]:
        self._settle(0)
        self._pool.shutdown()
        return tuple(self._written)

    def _settle(self, most: int) -> None:
        """Waits until at most so many files are being written."""
        while len(self._behind) > most:
            self._written.append(self._behind.popleft().result())

    def _check(self, frame: Frame) -> None:
        is_next = self._previous is None or frame.number > self._previous
        if not (self._first <= frame.number <= self._last and is_next):
            raise MediaError(
                f"{self._path}: frame {frame.number} is out of order after {self._previous}; expected ascending numbers"
                f" within {self._first}-{self._last}",
                path=self._path,
                frame=frame.number,
            )
        self._plan.check(frame)
        self._previous = frame.number

    def _write(self, frame: Frame) -> Path:
        path = self._pattern.path(frame.number)
        pending, beside = PendingFile(path), list[PendingFile]()
        try:
            beside = self._layer_files.write(frame)
            with said_clearly(path, frame.number):
                self._plan.save(frame, pending.temporary, name=path.name, order=self.layers)
                if self.journal is not None:
                    self.journal.wrote(frame, {file.path.name: file.temporary for file in (pending, *beside)})
            for file in beside:
                file.commit()
            return pending.commit()  # the last: whoever sees the frame sees its layers
        except MediaError as error:
            if error.path != pending.temporary:
                raise
            raise MediaError(
                f"{path}, frame {frame.number}: it cannot be written ({error}); free some space, or choose another"
                " format",
                path=path,
                frame=frame.number,
            ) from error
        finally:
            removed([pending, *beside])

    @cached_property
    def _layer_files(self) -> LayerFiles:
        return LayerFiles(self._path, self.layers, self._like, self._tags)


def _own(options: DeliveryOptions) -> SequenceOptions:
    if not isinstance(options, SequenceOptions):
        raise TypeError(f"a sequence takes SequenceOptions, got {type(options).__name__}")
    return options
