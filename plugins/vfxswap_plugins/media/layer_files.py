"""Layers in files of their own: an EXR for each layer and frame, beside the delivery."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from vfxswap.clock import Timecode
from vfxswap.color import ColorTags
from vfxswap.errors import UsageError
from vfxswap.frame import Frame
from vfxswap.layers import LayerOrder, layer_files
from vfxswap.media import PlateInfo
from vfxswap_plugins.media.exr_layers import COMPRESSION, layer_file, layers_of
from vfxswap_plugins.media.exr_write import new_header, with_rate
from vfxswap_plugins.media.pending_file import PendingFile, said_clearly

_MOST_THREADS = 4


class LayerFiles:
    """Writes the layers of frames, each file under a temporary name until it is asked for.

    Args:
        delivery: The delivery's name or pattern.
        order: Which layers; stored as files.
        like: The plate.
        tags: Its colour, complete.
    """

    def __init__(self, delivery: Path, order: LayerOrder, like: PlateInfo, tags: ColorTags) -> None:
        self._order, self._like, self._tags = order, like, tags
        self._patterns = layer_files(delivery, order, frames=like.count)

    @property
    def are_none(self) -> bool:
        """Whether no layer has a file of its own."""
        return not self._patterns

    def write(self, frame: Frame) -> list[PendingFile]:
        """Writes the files of one frame; may be called from several threads.

        Raises:
            MediaError: The disk is full, or the folder cannot be written to; nothing is left then.
        """
        if self.are_none:
            return []
        fresh, pending = self._header(frame.number), list[PendingFile]()
        with ExitStack() as undo:
            for layer in layers_of(frame, self._order):
                file = PendingFile(self._patterns[layer.name].path(frame.number))
                undo.callback(file.remove)
                with said_clearly(file.path, frame.number):
                    file.temporary.write_bytes(self._rated(layer_file(layer, frame.plate, fresh)))
                pending.append(file)
            undo.pop_all()
        return pending

    def _rated(self, data: bytes) -> bytes:
        """The plate's head may not say the rate that the pipeline does."""
        return with_rate(data, self._like.rate) if self._like.rate_from == "pipeline" else data

    def _header(self, number: int) -> Mapping[str, Any]:
        """The library's header of a file that takes none from the plate's.

        A timecode that cannot be read, or that counts more frames than EXR has room for, is left out.
        """
        like = self._like

        def made(timecode: str | None) -> Mapping[str, Any]:
            return new_header(
                self._tags, COMPRESSION, rate=like.stated_rate, timecode=timecode, aspect=like.pixel_aspect
            )

        try:
            code = None if like.timecode is None else Timecode.parse(like.timecode, like.rate) + (number - like.first)
            return made(None if code is None else str(code))
        except UsageError:
            return made(None)


class LayersOfMovie:
    """The layers of a movie: written on threads behind its encoder, and under their names when the movie is.

    Args:
        files: What writes them.
    """

    def __init__(self, files: LayerFiles) -> None:
        self._files = files
        threads = min(_MOST_THREADS, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="layers")
        self._behind: deque[Future[list[PendingFile]]] = deque()
        self._most_behind = 2 * threads
        self._pending: list[PendingFile] = []

    def write(self, frame: Frame) -> None:
        """Hands over a frame; waits while as many as are allowed are being written.

        Raises:
            MediaError: An earlier one could not be written.
        """
        if self._files.are_none:
            return
        self._settle(self._most_behind - 1)
        self._behind.append(self._pool.submit(self._files.write, frame))

    def commit(self) -> None:
        """Moves all files under their names."""
        self._settle(0)
        self._pool.shutdown()
        for file in self._pending:
            file.commit()
        self._pending.clear()

    def abandon(self) -> None:
        """Removes what has no name yet."""
        for future in self._behind:
            future.cancel()
        self._pool.shutdown()
        for future in self._behind:
            if not future.cancelled() and future.exception() is None:
                self._pending += future.result()
        self._behind.clear()
        removed(self._pending)
        self._pending.clear()

    def _settle(self, most: int) -> None:
        while len(self._behind) > most:
            self._pending += self._behind.popleft().result()


def removed(files: Sequence[PendingFile]) -> None:
    """Removes files that have no name yet."""
    for file in files:
        file.remove()
