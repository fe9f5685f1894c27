"""Handles and batches: what is computed covers what the windows reach, in whole batches, within the plate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfxswap.chunks import BATCH_FRAMES, Batches, spans_to_compute
from vfxswap.color import ColorTags, PixelLayout
from vfxswap.errors import TruncatedPlate
from vfxswap.frame import Frame, Picture
from vfxswap.stage import Span

PICTURE = Picture([np.zeros((2, 2), np.uint8)], PixelLayout("gray", "gray", 8), ColorTags())


def frames(first: int, last: int, breaks_at: int | None = None) -> Iterator[Frame]:
    for number in range(first, last + 1):
        if number == breaks_at:
            raise TruncatedPlate("gone", frame=number)
        yield Frame(number, PICTURE)


@given(
    first=st.integers(-50, 1100),
    count=st.integers(1, 60),
    picks=st.sets(st.integers(0, 59), min_size=1),
    behind=st.integers(0, 9),
    ahead=st.integers(0, 9),
)
def test_spans_cover_every_window_in_whole_batches(
    first: int, count: int, picks: set[int], behind: int, ahead: int
) -> None:
    last = first + count - 1
    numbers = sorted({first + pick % count for pick in picks})
    spans = spans_to_compute(numbers, first, last, Span(behind, ahead))
    covered = [n for low, high in spans for n in range(low, high + 1)]
    assert covered == sorted(set(covered))
    assert min(covered) >= first
    assert max(covered) <= last
    for number in numbers:
        for near in range(max(number - behind, first), min(number + ahead, last) + 1):
            assert near in covered
    for low, high in spans:
        assert low == first or low % BATCH_FRAMES == 0
        assert high == last or (high + 1) % BATCH_FRAMES == 0


@pytest.mark.parametrize("start", range(1001, 1001 + 2 * BATCH_FRAMES))
def test_a_batch_holds_the_same_frames_wherever_a_chunk_begins(start: int) -> None:
    whole = {batch.numbers for batch in Batches(frames(1001, 1040))}
    (span,) = spans_to_compute([start], 1001, 1040, Span(1, 1))
    for batch in Batches(frames(*span)):
        assert batch.numbers in whole


def test_a_plate_that_breaks_off_gives_what_came_before() -> None:
    batches = Batches(frames(1, 20, breaks_at=11))
    numbers = [frame.number for batch in batches for frame in batch]
    assert numbers == list(range(1, 11))
    assert batches.broken is not None
    assert batches.broken.frame == 11
