"""What is known of a shot's faces while it is worked on: read from its analysis, and put down for the next time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vfxswap.analysis.file import Analysis, Head, extend_analysis, merged
from vfxswap.analysis.found import FoundFrame
from vfxswap.errors import VfxswapError

_SAVE_FRAMES = 512
"""New frames after which they are brought to the file, so that a run that is killed leaves most of them."""


class Book:
    """Found frames by their numbers; several threads may use it at once.

    Args:
        path: The analysis file.
        head: Of what is found from now on.
        known: What is known before.
        needed: All frames that the plate has.
        replaces: Whether what is found takes the place of a file that is there, whatever that is.
    """

    def __init__(
        self,
        path: Path,
        head: Head,
        known: Mapping[int, FoundFrame],
        needed: Iterable[int],
        *,
        replaces: bool = False,
    ) -> None:
        self.path, self._head, self._replaces = path, head, replaces
        self._known, self._new = dict(known), dict[int, FoundFrame]()
        self._needed = frozenset(needed)
        self._due = _SAVE_FRAMES
        self._lock, self._file = threading.Lock(), threading.Lock()
        self.is_closed = False
        """See `close`."""
        self.trouble: VfxswapError | None = None
        """Why frames did not go to the file when they were due, the first time; a later `save` may have done so."""

    def frame(self, number: int) -> FoundFrame | None:
        """What is known of a frame."""
        with self._lock:
            return self._known.get(number)

    def frames(self, numbers: Sequence[int]) -> tuple[FoundFrame, ...] | None:
        """What is known of some frames; None unless all of them are."""
        with self._lock:
            found = tuple(self._known[number] for number in numbers if number in self._known)
        return found if len(found) == len(numbers) else None

    @property
    def whole(self) -> Mapping[int, FoundFrame] | None:
        """All frames of the plate, if the faces of all of them are known."""
        with self._lock:
            return dict(sorted(self._known.items())) if self._needed <= self._known.keys() else None

    def add(self, frames: Iterable[FoundFrame]) -> None:
        """Puts down what was found; from time to time it goes to the file.

        Where that cannot be done, `trouble` says why, and it is tried again after some more frames: whoever finds faces
        is not to blame, and needs no file.
        """
        with self._lock:
            fresh = {frame.number: frame for frame in frames}
            self._known = dict(merged(self._known, fresh))
            if not self.is_closed:
                self._new = dict(merged(self._new, fresh))
            is_time = len(self._new) >= self._due
        if is_time:
            try:
                self.save()
            except VfxswapError as error:
                self.trouble = self.trouble or error

    def close(self) -> None:
        """Has what is put down from now on stay out of the file.

        For a plate that cannot be read to its end now and may be the next time: tracks and cuts are others then.
        """
        with self._lock:
            self.is_closed = True

    def save(self) -> int:
        """Brings what is new to the file; gives the number of frames. What cannot be written stays for the next time.

        Raises:
            MediaError: The file cannot be written.
            UsageError: What is there by now is damaged.
        """
        with self._file:
            with self._lock:
                new, self._new = self._new, {}
            due = _SAVE_FRAMES
            try:
                if new:
                    extend_analysis(self.path, Analysis(self._head, new), replaces=self._replaces)
                    self._replaces = False
            except BaseException:
                with self._lock:
                    self._new = dict(merged(new, self._new))
                    due += len(self._new)
                raise
            finally:
                self._due = due
            return len(new)
