"""Several devices of one machine: a worker process for each, chunk after chunk, as each is free; this one assembles."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from vfxswap.clock import FrameRange
from vfxswap.delivered import Found
from vfxswap.errors import ChunkFailed, UsageError
from vfxswap.farm.assemble import assemble
from vfxswap.farm.chunk import Stamps, needs_assembly, stamps_of
from vfxswap.farm.look import look
from vfxswap.farm.order import Order
from vfxswap.farm.pace import Pace
from vfxswap.farm.plan import FarmPlan, Needs, planned
from vfxswap.farm.worker import Task
from vfxswap.host import Host
from vfxswap.pipeline.device import choose_device
from vfxswap.render import ProgressCallback
from vfxswap.report import Report
from vfxswap.workers import cores

_LEAVE_SECONDS = 60.0
"""For workers that are given up: time to end what is being written."""


@dataclass(frozen=True, slots=True)
class Devices:
    """Where to, and how."""

    names: tuple[str, ...]
    """Of one kind, as `("cuda:0", "cuda:1")`; one named twice gets two workers."""
    chunk_frames: int | None = None
    """About how many frames a chunk has; None chooses by the pipeline's windows and the number of devices."""
    retries: int = 3
    """How often a chunk is tried again whose worker died or ran out of memory."""

    @classmethod
    def parse(cls, text: str, *, chunk_frames: int | None = None, retries: int = 3) -> Devices:
        """Reads `cuda:0,cuda:1`.

        Raises:
            UsageError: There is no such device anywhere, or they are not of one kind, whose bits would differ.
            PluginError: This machine has no such device.
        """
        names = tuple(choose_device(name.strip()) for name in text.split(","))
        kinds = sorted({name.partition(":")[0] for name in names})
        if len(kinds) > 1:
            raise UsageError(
                f"--devices {text}: {' and '.join(kinds)} do not give the same bits; name devices of one kind"
            )
        if retries < 0:
            raise UsageError(f"retries must be 0 or more, got {retries}")
        return cls(names, chunk_frames, retries)

    def threads(self) -> int | None:
        """Threads of each worker; on CPUs they share the cores."""
        return max(1, cores() // len(self.names)) if self.names[0] == "cpu" else None


def run(
    order: Order,
    host: Host,
    devices: Devices,
    *,
    overwrite: bool = False,
    progress: ProgressCallback | None = None,
) -> Report:
    """Runs a job on several devices of this machine, and assembles it.

    Args:
        order: The job; its own device does not count.
        host: The plugins here; workers have their own.
        devices: Where to.
        overwrite: Whether a delivery that is there may be replaced.
        progress: Is told after each frame.

    Returns:
        What happened to each frame.

    Raises:
        ChunkFailed: A chunk failed, or was given up after the last retry; names it and the cause.
        PipelineError: The pipeline file is wrong.
        UsageError: A delivery is there that is not, or not known to be, what would be made.
    """
    plan = order.loaded(host, devices.names[0])
    if not overwrite and not needs_assembly(plan) and (there := Found.of(plan, host).report()):
        return there
    if not overwrite and needs_assembly(plan) and plan.delivery_path.exists():
        return assemble(plan, host)  # is done already, or is another movie
    job = planned(plan, order, host, Needs(devices.chunk_frames))
    if devices.chunk_frames is None and len(job.chunks) < len(devices.names):
        share = -(-len(job.frames) // len(devices.names))
        job = planned(plan, order, host, Needs(share))
    look(plan, host)
    with _crew(job, devices, overwrite=overwrite, before=stamps_of(plan) if overwrite else {}) as crew:
        _Foreman(job, devices, crew, Pace(len(job.frames), progress)).go()
    return assemble(plan, host, overwrite=overwrite)


@dataclass(eq=False, slots=True)
class _Worker:
    """A process and what it is at."""

    process: subprocess.Popen[str]
    device: str
    chunk: FrameRange | None = None
    ears: threading.Thread | None = None
    """Hears what it says."""

    def give(self, chunk: FrameRange) -> None:
        self.chunk = chunk
        with suppress(BrokenPipeError):  # it is dead, which is heard of by the other pipe
            self._say(str(chunk))

    def _say(self, line: str) -> None:
        if self.process.stdin is not None:
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()

    def begin(self, task: Task) -> None:
        with suppress(BrokenPipeError):
            self._say(task.line)

    @property
    def end(self) -> str:
        """How it died, in words."""
        code = self.process.wait()
        if code >= 0:
            return f"ended with exit code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"was killed by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")


@dataclass(slots=True)
class _Crew:
    """All workers, and what they say."""

    job: FarmPlan
    devices: Devices
    overwrite: bool
    before: Stamps
    """See `Task`."""
    words: queue.SimpleQueue[tuple[_Worker, dict[str, Any] | None]] = field(default_factory=queue.SimpleQueue)
    workers: list[_Worker] = field(default_factory=list)

    def start(self, device: str) -> _Worker:
        """A new worker."""
        command = [sys.executable, "-m", "vfxswap.farm.worker"]
        process = subprocess.Popen(  # noqa: S603 - this very program
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        worker = _Worker(process, device)
        self.workers.append(worker)
        worker.ears = threading.Thread(target=self._listen, args=(worker,), name=f"hears {device}", daemon=True)
        worker.ears.start()
        order = replace(self.job.order, frames=str(self.job.frames), device=device)
        worker.begin(Task(order, self.overwrite, self.devices.threads(), self.before))
        return worker

    def _listen(self, worker: _Worker) -> None:
        with worker.process.stdout or nullcontext() as lines:
            for line in lines or ():
                try:
                    word = json.loads(line)
                except ValueError:
                    continue  # a line that a killed worker left unfinished
                self.words.put((worker, word))
        self.words.put((worker, None))

    def dismiss(self, workers: Sequence[_Worker]) -> None:
        """Ends workers: those at work after what is being written."""
        for worker in workers:
            with suppress(OSError):
                if worker.process.stdin is not None:
                    worker.process.stdin.close()
            if worker.chunk is not None:
                worker.process.terminate()
        for worker in workers:
            try:
                worker.process.wait(_LEAVE_SECONDS)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            if worker.ears is not None:
                worker.ears.join()
            self.workers.remove(worker)


@contextmanager
def _crew(job: FarmPlan, devices: Devices, *, overwrite: bool, before: Stamps) -> Iterator[_Crew]:
    crew = _Crew(job, devices, overwrite, before)
    try:
        yield crew
    finally:
        crew.dismiss(list(crew.workers))


class _Foreman:
    """Gives chunks to workers until all are made, or one cannot be."""

    def __init__(self, job: FarmPlan, devices: Devices, crew: _Crew, pace: Pace) -> None:
        self._waiting, self._crew, self._devices, self._pace = deque(job.chunks), crew, devices, pace
        self._tries: Counter[FrameRange] = Counter()
        self._told: set[int] = set()
        """Frames that progress was told of."""

    def go(self) -> None:
        for device in self._devices.names[: len(self._waiting)]:
            self._next(self._crew.start(device))
        while self._crew.workers:
            worker, word = self._crew.words.get()
            if worker not in self._crew.workers:
                continue  # a last word of one that was dismissed
            if word is None:
                self._again(worker, f"its worker on {worker.device} {worker.end}")
            elif "frame" in word:
                self._tell([int(word["frame"])])
            elif word["error"] is None:
                self._tell(worker.chunk or ())
                self._next(worker)
            elif word["retry"]:
                self._again(worker, str(word["error"]))
            else:
                raise ChunkFailed(str(worker.chunk), str(word["error"]))

    def _next(self, worker: _Worker) -> None:
        """Gives a worker what is to be done next, or lets it go."""
        worker.chunk = None
        if self._waiting:
            worker.give(self._waiting.popleft())
        else:
            self._crew.dismiss([worker])

    def _again(self, worker: _Worker, cause: str) -> None:
        """Has a chunk tried once more, by a fresh worker."""
        chunk = worker.chunk
        self._crew.dismiss([worker])
        if chunk is None:
            return
        self._tries[chunk] += 1
        retries = self._devices.retries
        if self._tries[chunk] > retries:
            times = {0: "", 1: ", also when tried again once"}.get(retries, f", also when tried again {retries} times")
            raise ChunkFailed(
                str(chunk),
                f"{cause}{times}; run this chunk by itself to see more: vfxswap run PIPELINE --chunk"
                f" {chunk[0]}-{chunk[-1]} --device {worker.device}",
            )
        self._waiting.appendleft(chunk)
        self._next(self._crew.start(worker.device))

    def _tell(self, frames: Sequence[int]) -> None:
        fresh = [number for number in frames if number not in self._told]
        if fresh:
            self._told.update(fresh)
            self._pace.add(len(fresh), fresh[-1])
