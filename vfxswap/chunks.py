"""Which frames must be computed so that the asked-for ones come out the same in every chunk.

Windows reach beyond a chunk, so neighbouring frames (handles) are computed and not written. Batches are aligned to
absolute frame numbers and always whole (as far as the plate goes), so that what is stacked together never depends on
where a chunk begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from vfxswap.errors import TruncatedPlate
from vfxswap.frame import Batch, Frame
from vfxswap.stage import Span

BATCH_FRAMES = 4
"""Frames worked on together. Part of the result's bits on some devices, so it is a constant and no setting."""


def spans_to_compute(numbers: Sequence[int], first: int, last: int, reach: Span) -> list[tuple[int, int]]:
    """The contiguous frame ranges to decode for some asked-for frames.

    Args:
        numbers: Ascending frame numbers within `first..last`.
        first: First frame of the plate.
        last: Last frame of the plate.
        reach: How far all windows together reach.

    Returns:
        Disjoint `(first, last)` ranges, ascending, of whole batches within the plate.
    """
    found: list[tuple[int, int]] = []
    for number in numbers:
        low = max((max(number - reach.behind, first) // BATCH_FRAMES) * BATCH_FRAMES, first)
        high = min((min(number + reach.ahead, last) // BATCH_FRAMES + 1) * BATCH_FRAMES - 1, last)
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


class Batches:
    """Groups frames into aligned batches; a plate that breaks off still gives the frames before the break.

    Args:
        frames: Ascending and contiguous.
    """

    def __init__(self, frames: Iterable[Frame]) -> None:
        self._frames = frames
        self.broken: TruncatedPlate | None = None
        """Why the plate ended early, once it has."""

    def __iter__(self) -> Iterator[Batch]:
        group: list[Frame] = []
        frames = iter(self._frames)
        while (frame := self._next(frames)) is not None:
            if group and frame.number // BATCH_FRAMES != group[0].number // BATCH_FRAMES:
                yield Batch(tuple(group))
                group = []
            group.append(frame)
        if group:
            yield Batch(tuple(group))

    def _next(self, frames: Iterator[Frame]) -> Frame | None:
        try:
            return next(frames, None)
        except TruncatedPlate as error:
            self.broken = error
            return None
