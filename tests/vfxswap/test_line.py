"""The line: windows stop at cuts and ends, chunks equal the whole, and blame is exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from vfxswap.chunks import Batches, spans_to_compute
from vfxswap.color import ColorTags, PixelLayout
from vfxswap.drivers.base import Around, Step
from vfxswap.drivers.time import GivenCuts, neighbours
from vfxswap.errors import Cancelled, FrameFailed, OutOfMemory, UsageError
from vfxswap.frame import Batch, Frame, Picture
from vfxswap.line import Meter, Station, carry, is_out_of_memory, reach
from vfxswap.stage import Span

FIRST, LAST = 1001, 1030
BLACK = Picture([np.zeros((1, 1), np.uint8)], PixelLayout("gray", "gray", 8), ColorTags())


def plate(first: int, last: int) -> Iterator[Frame]:
    layout = PixelLayout("gray", "gray", 8)
    for number in range(first, last + 1):
        value = (number * 37) % 251
        yield Frame(number, Picture([np.full((1, 1), value, np.uint8)], layout, ColorTags()), props={"v": float(value)})


class Mean(Step):
    """A temporal step: the mean over its window."""

    def __init__(self, behind: int, ahead: int) -> None:
        self.span = Span(behind, ahead)

    def frames(self, around: Around) -> tuple[Frame, ...]:
        return tuple(self._mean(around, frame) for frame in around.batch)

    def _mean(self, around: Around, frame: Frame) -> Frame:
        window = neighbours(around, frame, self.span)
        values = [float(str(other.props["v"])) for other in window.frames]
        return replace(frame, props={"v": sum(values) / len(values), "n": len(values)})


class Add(Step):
    """A step that sees one frame."""

    def frames(self, around: Around) -> tuple[Frame, ...]:
        return tuple(replace(f, props={**f.props, "v": float(str(f.props["v"])) + 1}) for f in around.batch)


class Fails(Step):
    """Fails on one frame."""

    def __init__(self, at: int, error: Exception) -> None:
        self._at, self._error = at, error

    def frames(self, around: Around) -> tuple[Frame, ...]:
        if self._at in around.batch.numbers:
            raise self._error
        return around.batch.frames


def carried(steps: Sequence[Step], numbers: Sequence[int], workers: int = 2) -> dict[int, dict[str, object]]:
    stations = [Station(type(step).__name__, "test (here 1.0)", step) for step in steps]
    found = {}
    with ThreadPoolExecutor(workers) as pool:
        for first, last in spans_to_compute(numbers, FIRST, LAST, reach(stations)):
            batches = Batches(plate(first, last))
            for batch in carry(batches, stations, wanted=numbers, pool=pool, ahead=3, meter=Meter()):
                found.update({frame.number: dict(frame.props) for frame in batch if frame.number in numbers})
    return found


STEPS = (Mean(2, 3), Add(), Mean(3, 1))


@pytest.mark.parametrize("chunk", [1, 3, 7, 16])
@pytest.mark.parametrize("workers", [1, 3])
def test_chunks_equal_the_whole_bit_for_bit(chunk: int, workers: int) -> None:
    numbers = list(range(FIRST, LAST + 1))
    whole = carried(STEPS, numbers)
    assert sorted(whole) == numbers
    pieces: dict[int, dict[str, object]] = {}
    for start in range(0, len(numbers), chunk):
        pieces.update(carried(STEPS, numbers[start : start + chunk], workers))
    assert pieces == whole


def test_a_stepped_range_equals_the_whole() -> None:
    whole = carried(STEPS, list(range(FIRST, LAST + 1)))
    stepped = carried(STEPS, list(range(FIRST + 2, LAST, 5)))
    assert stepped == {number: whole[number] for number in stepped}


class Counts(Add):
    """Keeps the numbers of the frames that it works on."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def frames(self, around: Around) -> tuple[Frame, ...]:
        self.seen += around.batch.numbers
        return super().frames(around)


def test_what_serves_a_far_window_alone_goes_no_further_than_that() -> None:
    """Frames 1009 and 1029 look 9 frames back, then 2 ahead, in batches of 4."""
    far, near, last = Counts(), Counts(), Counts()
    whole = carried((far, Mean(9, 0), near, Mean(0, 2), last), list(range(FIRST, LAST + 1)))
    assert far.seen == near.seen == last.seen == list(range(FIRST, LAST + 1))
    for step in (far, near, last):
        step.seen = []
    some = carried((far, Mean(9, 0), near, Mean(0, 2), last), [1009, 1029])
    assert some == {number: whole[number] for number in (1009, 1029)}
    assert far.seen == [*range(1001, 1012), *range(1020, 1031)]
    assert near.seen == last.seen == [*range(1008, 1012), *range(1028, 1031)]


class Forgets(Mean):
    """Needs no picture of what lies behind."""

    def remembered(self, batch: Batch) -> Batch:
        return Batch(tuple(replace(frame, plate=BLACK) for frame in batch))

    def frames(self, around: Around) -> tuple[Frame, ...]:
        assert all(frame.plate is BLACK for frame in around.before)
        assert not any(frame.plate is BLACK for frame in (*around.batch, *around.after))
        return super().frames(around)


def test_a_step_may_forget_what_it_needs_not_of_frames_behind() -> None:
    numbers = list(range(FIRST, LAST + 1))
    assert carried((Forgets(9, 5), Mean(1, 1)), numbers) == carried((Mean(9, 5), Mean(1, 1)), numbers)


def test_windows_shorten_at_the_ends_and_stop_at_cuts() -> None:
    found = carried((GivenCuts({1010}), Mean(2, 2)), list(range(FIRST, LAST + 1)))
    counts = {number: props["n"] for number, props in found.items()}
    assert counts[1001] == 3
    assert counts[1005] == 5
    assert (counts[1008], counts[1009], counts[1010], counts[1011], counts[1012]) == (4, 3, 3, 4, 5)
    assert counts[LAST] == 3


@pytest.mark.parametrize("at", [1001, 1006, 1030])
def test_a_failure_names_the_stage_its_owner_and_the_one_frame(at: int) -> None:
    with pytest.raises(
        FrameFailed, match=rf"stage 'Fails' \(from test \(here 1.0\)\) failed at frame {at}: "
    ) as caught:
        carried((Add(), Fails(at, ValueError("no such thing"))), list(range(FIRST, LAST + 1)))
    assert caught.value.frames == (at,)
    assert isinstance(caught.value.cause, ValueError)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("too much"),
        MemoryError(),
        # ONNX Runtime's errors derive from Exception itself
        Exception(
            "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer of size 9"
        ),
        Exception("[ONNXRuntimeError] : 1 : FAIL : CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0"),
        Exception("[ONNXRuntimeError] : 1 : FAIL : CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED ; GPU=0"),
        RuntimeError("CUDA error: out of memory"),
    ],
    ids=str,
)
def test_memory_is_a_reason_to_try_again(error: Exception) -> None:
    with pytest.raises(OutOfMemory, match="'Fails' ran out of memory at frames 1001-1003; use a smaller crop_size"):
        carried((Fails(1003, error),), range(FIRST, LAST + 1))


def test_memory_is_known_by_what_an_error_came_of() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    wrapped = UsageError("cannot load the network")
    assert not is_out_of_memory(wrapped)
    wrapped.__cause__ = MemoryError()
    assert is_out_of_memory(wrapped)


def test_a_cancel_stays_one() -> None:
    with pytest.raises(Cancelled):
        carried((Fails(1003, Cancelled("stop")),), range(FIRST, LAST + 1))


def test_the_meter_tells_each_step() -> None:
    meter = Meter()
    stations = [Station("add", "t", Add()), Station("mean", "t", Mean(1, 1))]
    with ThreadPoolExecutor(1) as pool:
        list(carry(Batches(plate(1001, 1008)), stations, wanted=range(1001, 1009), pool=pool, ahead=2, meter=meter))
    assert set(meter.seconds) == {"add", "mean"}
    assert all(seconds > 0 for seconds in meter.seconds.values())
