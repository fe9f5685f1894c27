"""The line: batches of frames go through the steps in order, several batches at once.

Windows, timing and blame live here, once, so that no step has to know of them.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import torch

from vfxswap.chunks import BATCH_FRAMES
from vfxswap.conveyor import parallel, windowed
from vfxswap.drivers.base import Around, Step
from vfxswap.errors import FrameFailed, OutOfMemory, Refused, Retryable
from vfxswap.frame import Batch
from vfxswap.stage import Span

_OUT_OF_MEMORY = (
    *("Failed to allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"),
    *("out of memory", "DefaultCPUAllocator", "Insufficient memory", "std::bad_alloc"),
)
"""What libraries say whose errors for it are of no kind of their own: ONNX Runtime with cuBLAS and cuDNN, CUDA and
Metal, torch on a CPU, OpenCV, and whoever passes on what C++ says."""


@dataclass(frozen=True, slots=True)
class Station:
    """A step and who answers for it."""

    label: str
    """As the report shows it: `"mkl"`, or `"mkl (stage 5)"` where a stage is used twice."""
    owner: str
    """Plugin and distribution."""
    step: Step


class Meter:
    """Adds up seconds by name, from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def add(self, name: str, seconds: float) -> None:
        """Adds to a name's sum."""
        with self._lock:
            self.seconds[name] += seconds


def reach(stations: Sequence[Station]) -> Span:
    """How far the windows of all steps together look."""
    return Span(sum(s.step.span.behind for s in stations), sum(s.step.span.ahead for s in stations))


def carry(
    batches: Iterable[Batch],
    stations: Sequence[Station],
    *,
    wanted: Container[int],
    pool: Executor,
    ahead: int,
    meter: Meter,
) -> Iterator[Batch]:
    """Carries batches of one contiguous range through the steps, lazily and in order.

    Steps that see no neighbours run back to back in one task; a step with a window begins a new task, which waits until
    its neighbours have come through the steps before. A batch goes no further than windows after it reach from frames
    that are wanted: what serves the first window alone, such as the pictures around a cut, costs no swap.

    Args:
        batches: Ascending.
        stations: The steps.
        wanted: Frames that will be written.
        pool: Runs the tasks.
        ahead: Batches in work at once, for each task.
        meter: Is told the seconds spent in each step.

    Raises:
        FrameFailed: A step failed; names the stage, its owner and the frame.
        OutOfMemory: The device's memory is too small.
    """
    line, segments = iter(batches), _segments(stations)
    for place, segment in enumerate(segments):
        later = reach([station for others in segments[place + 1 :] for station in others])
        arounds = _arounds(line, segment[0].step, wanted, later)
        line = parallel(pool, _Task(segment, meter), arounds, ahead=ahead)
    return line


def _segments(stations: Sequence[Station]) -> list[list[Station]]:
    found: list[list[Station]] = []
    for station in stations:
        if not found or station.step.span != (0, 0):
            found.append([])
        found[-1].append(station)
    return found


def _arounds(batches: Iterable[Batch], step: Step, wanted: Container[int], later: Span) -> Iterator[Around]:
    """Each batch that serves a purpose, with the frames around it that a window of the step may reach."""
    behind, ahead = -(-step.span.behind // BATCH_FRAMES), -(-step.span.ahead // BATCH_FRAMES)
    places = ([batch] for batch in batches)  # what is behind is changed in its place
    for window, center in windowed(places, behind=behind, ahead=ahead):
        (batch,) = window[center]
        low, high = batch.numbers[0] - step.span.behind, batch.numbers[-1] + step.span.ahead
        if _serves(batch, later, wanted):
            yield Around(
                before=tuple(frame for (other,) in window[:center] for frame in other if frame.number >= low),
                batch=batch,
                after=tuple(frame for (other,) in window[center + 1 :] for frame in other if frame.number <= high),
                wanted=wanted,
            )
        window[center][0] = step.remembered(batch)


def _serves(batch: Batch, later: Span, wanted: Container[int]) -> bool:
    """Whether a batch is wanted, or in reach of the windows that wanted frames still have before them."""
    return any(
        number in wanted for number in range(batch.numbers[0] - later.ahead, batch.numbers[-1] + later.behind + 1)
    )


class _Task:
    """The steps of one segment, run on one batch by a thread of the pool."""

    def __init__(self, segment: Sequence[Station], meter: Meter) -> None:
        self._segment, self._meter = segment, meter

    def __call__(self, around: Around) -> Batch:
        with torch.inference_mode():
            for station in self._segment:
                start = time.perf_counter()
                batch = blamed(station, around)
                self._meter.add(station.label, time.perf_counter() - start)
                around = Around((), batch, (), around.wanted)
        return around.batch


def blamed(station: Station, around: Around) -> Batch:
    """Runs a step; an error is laid at the door of its stage and of the one frame that caused it.

    Raises:
        FrameFailed: The step failed.
        OutOfMemory: The device's memory is too small.
    """
    try:
        return station.step.work(around)
    except (Refused, Retryable):
        raise
    except Exception as error:  # the host's boundary to plugins
        if is_out_of_memory(error):
            where = f"at frames {around.batch.numbers[0]}-{around.batch.numbers[-1]}"
            raise out_of_memory(station.label, where) from error
        number = _culprit(station, around)
        numbers = around.batch.numbers if number is None else (number,)
        raise FrameFailed(stage=station.label, owner=station.owner, frames=numbers, cause=error) from error


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that it came of, says that the device's memory or the machine's is too small."""
    while error is not None:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(w in str(error) for w in _OUT_OF_MEMORY):
            return True
        error = error.__cause__
    return False


def out_of_memory(label: str, where: str) -> OutOfMemory:
    """What is said of a stage whose memory was too small.

    Args:
        label: The stage's.
        where: In words: `"at frames 1001-1004"`.
    """
    return OutOfMemory(f"stage {label!r} ran out of memory {where}; use a smaller crop_size, or fewer workers")


def _culprit(station: Station, around: Around) -> int | None:
    """The first frame of a failed batch that fails alone too."""
    frames = around.batch.frames
    for i, frame in enumerate(frames):
        alone = replace(
            around,
            before=(*around.before, *frames[:i]),
            batch=Batch((frame,)),
            after=(*frames[i + 1 :], *around.after),
        )
        try:
            station.step.work(alone)
        except Exception:  # noqa: BLE001 - looked for, and told by the caller
            return frame.number
    return None
