"""The journey: a pipeline's plate goes through its stages into its delivery.

Decoding and encoding have threads of their own, stages run in a pool, and every queue is bounded, so that memory does
not grow with the shot. Nothing here is global: `run` may be called again, or from several threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from vfxswap.assembly import Workshop, assembled
from vfxswap.chunks import Batches, spans_to_compute
from vfxswap.clock import FrameRange
from vfxswap.conveyor import ReadAhead, Sink
from vfxswap.delivered import Found, layers_of, remove_outdated
from vfxswap.drivers.time import Cuts
from vfxswap.errors import Cancelled, FrameFailed, MediaError, TruncatedPlate, VfxswapError
from vfxswap.files import FramePattern
from vfxswap.frame import Frame
from vfxswap.handover import hand_over
from vfxswap.host import Host
from vfxswap.journal import RECORD, Journal
from vfxswap.line import Station, carry, reach
from vfxswap.media import Reader, Writer
from vfxswap.models import ModelStore
from vfxswap.pipeline import Pipeline, load
from vfxswap.recall import kept_findings, standing
from vfxswap.record import described
from vfxswap.report import FrameRecord, Progress, Report
from vfxswap.verify import digests_of
from vfxswap.workers import cores, whole_floats, worker_pool

_DECODED_FRAMES = 12
"""Frames decoded ahead of the stages."""
_ENCODE_FRAMES = 8
"""Finished frames that may wait for the encoder."""

ProgressCallback = Callable[[Progress], None]


def run(  # noqa: PLR0913 - each is a word of the command line
    pipeline: Path | str,
    *,
    frames: str | None = None,
    plate: Path | str | None = None,
    out: Path | str | None = None,
    overrides: Sequence[str] = (),
    clip: str | None = None,
    device: str | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
    host: Host | None = None,
) -> Report:
    """Runs a pipeline file.

    Args:
        pipeline: The TOML file.
        frames: Frames to write instead of those the file says, as `"1001-1100x2"`.
        plate: Plate to take instead, relative to the working folder.
        out: Delivery to write instead, relative to the working folder.
        overrides: Settings to change, as `"stages.mkl.strength=0.5"`.
        clip: Clip of the timeline to take instead; its name stands for `{clip}`.
        device: `"cpu"`, `"cuda"`, `"cuda:1"` or `"auto"` (a GPU where there is one).
        overwrite: Whether a delivery that is there may be replaced.
        workers: Threads that run stages; by default one a core on the CPU, two on a GPU.
        progress: Is told after each frame, from this thread.
        host: The plugins; by default all that this machine has.

    Returns:
        What happened to each frame. If the delivery is there already, complete and made from the very same things,
        nothing is done and `already_done` is true. Of a sequence, what is missing is made, and those frames that see
        something of the plate which has changed since.

    Raises:
        PipelineError: The file, or what it names, is wrong; holds all problems.
        FrameFailed: A stage failed; what is done so far is kept as `NAME.partial`.
        TruncatedPlate: The plate broke off; likewise.
        MediaError: The delivery cannot be written.
        Cancelled: Interrupted from the keyboard; no delivery is left, but for whole frames of a sequence.
    """
    host = Host() if host is None else host
    plan = load(
        Path(pipeline),
        host,
        store=ModelStore.from_environment(host.model_cards()),
        overrides=overrides,
        clip=clip,
        plate=None if plate is None else Path(plate),
        out=None if out is None else Path(out),
        frames=frames,
        device=device,
    )
    return render(plan, host, overwrite=overwrite, workers=workers, progress=progress)


def render(
    plan: Pipeline,
    host: Host,
    *,
    overwrite: bool = False,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
) -> Report:
    """Runs a pipeline that is loaded already; see `run`."""
    report = _rendered(plan, host, overwrite=overwrite, workers=workers, progress=progress)
    if remark := hand_over(plan):
        report.run["remarks"] = [*report.run.get("remarks", []), remark]
    return report


def _rendered(
    plan: Pipeline, host: Host, *, overwrite: bool, workers: int | None, progress: ProgressCallback | None
) -> Report:
    """Makes the delivery, or finds that it is there."""
    found = Found.of(plan, host)
    if not overwrite and (there := found.report()):
        return there
    standing(plan)  # refuses an analysis that is damaged, or of another plate
    numbers = plan.frames if overwrite else found.to_do
    _make_folder(plan.delivery_path.parent)
    report = Report(run=described(plan, host))
    _remark(report, plan, FrameRange.of(() if overwrite else found.past.outdated), numbers)
    host.notify("vfxswap_shot_started", pipeline=str(plan.path), first=plan.frames[0], last=plan.frames[-1])
    start = time.perf_counter()
    try:
        if numbers:
            _render(plan, host, report, numbers, found.journal, workers=workers, progress=progress)
        if found.journal is not None:
            report.outputs = tuple(FramePattern(plan.delivery_path).paths(plan.frames))
        report.layers = layers_of(plan)
    except KeyboardInterrupt:
        report.error = "cancelled"
        kept = "run again to go on after the frames that are whole"
        raise Cancelled(f"cancelled; {kept if found.journal else 'no delivery was left behind'}") from None
    except VfxswapError as error:
        report.error = str(error)
        raise
    finally:
        report.wall_seconds = time.perf_counter() - start
        found.write(report)
        host.notify("vfxswap_shot_finished", report=report)
    remove_outdated(plan)
    return report


def _render(
    plan: Pipeline,
    host: Host,
    report: Report,
    numbers: FrameRange,
    journal: Journal | None,
    *,
    workers: int | None,
    progress: ProgressCallback | None,
) -> None:
    """Makes some frames."""
    device = torch.device(plan.device)
    count = workers or (cores() if device.type == "cpu" else 2)
    remarks: list[str] = []
    try:
        with kept_findings(plan, remarks) as book, whole_floats(), worker_pool(count) as pool:
            shop = Workshop(plan=plan, host=host, device=device, pool=pool, ahead=count + 1, remarks=remarks, book=book)
            try:
                _Render(shop, report, progress, numbers, journal).go()
            finally:
                report.stage_seconds = dict(shop.meter.seconds)
    finally:
        if remarks:
            report.run["remarks"] = [*report.run.get("remarks", []), *remarks]


def _remark(report: Report, plan: Pipeline, outdated: FrameRange, numbers: FrameRange) -> None:
    """Says what is special about this run."""
    remarks = [*plan.remarks, *plan.writer.remarks(plan.delivery_path, plan.writer_options, plan.plate, plan.tags)]
    if outdated:
        remarks.append(f"what the frames {outdated} see of the plate, or files of theirs, changed since; made again")
    if remarks:
        report.run["remarks"] = remarks
    if len(numbers) < len(plan.frames):
        report.run["resumed"] = str(numbers)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaError(
            f"cannot make the folder {folder} of the delivery: {error.strerror or error}; deliver elsewhere",
            path=folder,
        ) from error


class _Render:
    """One run: reader, line, writer."""

    def __init__(
        self,
        shop: Workshop,
        report: Report,
        progress: ProgressCallback | None,
        numbers: FrameRange,
        journal: Journal | None,
    ) -> None:
        self._shop, self._plan, self._report, self._progress = shop, shop.plan, report, progress
        self._numbers, self._journal = numbers, journal
        self._started = 0.0
        shop.surveyed = self._tell_survey

    def go(self) -> None:
        plan = self._plan
        opened = plan.reader.opened(plan.plate_path, plan.shot.layer)
        with opened as reader, assembled(self._shop) as stations, self._writer() as writer:
            sink = Sink(self._timed("encode", writer.write), depth=_ENCODE_FRAMES, name="encode")
            try:
                # Closed before the reader is, also when it is left in the middle: its thread is decoding.
                with closing(self._frames(reader, stations)) as frames:
                    self._deliver(frames, sink)
                sink.close()
            except (FrameFailed, TruncatedPlate):
                sink.close()
                self._report.outputs = writer.keep_partial()
                raise
            finally:
                sink.stop()
            self._report.outputs = writer.finish()
        if self._journal is None:
            layers = layers_of(plan)
            self._report.digests = tuple(digests_of(plan.writer, path, layers) for path in self._report.outputs)

    @contextmanager
    def _writer(self) -> Iterator[Writer]:
        plan = self._plan
        writer = plan.writer(
            plan.delivery_path,
            plan.writer_options,
            like=plan.plate,
            tags=plan.tags,
            first=plan.frames[0],
            last=plan.frames[-1],
        )
        writer.journal, writer.layers = self._journal, plan.layers
        try:
            yield writer
        finally:
            writer.abandon()

    def _frames(self, reader: Reader, stations: Sequence[Station]) -> Generator[Frame]:
        """The asked-for frames, finished, in order."""
        plan, shop = self._plan, self._shop
        wanted, span = frozenset(self._numbers), reach(stations)
        for first, last in spans_to_compute(self._numbers, plan.plate.first, plan.plate.last, span):
            with ReadAhead(self._decoded(reader, first, last), depth=_DECODED_FRAMES, name="decode") as decoded:
                batches = Batches(decoded)
                line = carry(batches, stations, wanted=wanted, pool=shop.pool, ahead=shop.ahead, meter=shop.meter)
                for batch in line:
                    yield from (frame for frame in batch if frame.number in wanted)
            if batches.broken is not None and _matters(batches.broken, max(n for n in wanted if n <= last), stations):
                raise batches.broken

    def _decoded(self, reader: Reader, first: int, last: int) -> Iterator[Frame]:
        frames = reader.frames(first, last)
        while True:
            start = time.perf_counter()
            frame = next(frames, None)
            self._shop.meter.add("decode", time.perf_counter() - start)
            if frame is None:
                return
            yield frame

    def _timed(self, name: str, work: Callable[[Frame], None]) -> Callable[[Frame], None]:
        def timed(frame: Frame) -> None:
            start = time.perf_counter()
            work(frame)
            self._shop.meter.add(name, time.perf_counter() - start)

        return timed

    def _deliver(self, frames: Iterator[Frame], sink: Sink[Frame]) -> None:
        for frame in frames:
            self._shop.host.notify("vfxswap_frame_done", frame=frame)
            record = _record(frame)
            # Crops are not kept alive by the encoder's queue; what became of them is known to who stores frames.
            sink.put(replace(frame, faces=(), props={**frame.props, RECORD: record}))
            self._report.frames.append(record)
            self._tell()
        if len(self._report.frames) != len(self._numbers):
            raise MediaError(
                f"{len(self._numbers)} frames were asked for and {len(self._report.frames)} came from the plate",
                path=self._plan.plate_path,
            )

    def _tell_survey(self, frame: int) -> None:
        if self._progress is not None:
            self._progress(Progress(0, len(self._numbers), frame, 0.0, 0.0, is_survey=True))

    def _tell(self) -> None:
        if self._progress is None:
            return
        done, total = len(self._report.frames), len(self._numbers)
        now = time.perf_counter()
        self._started = self._started or now
        fps = (done - 1) / (now - self._started) if done > 1 else 0.0
        eta = (total - done) / fps if fps else 0.0
        self._progress(Progress(done, total, self._report.frames[-1].frame, fps, eta))


def _matters(broken: TruncatedPlate, last: int, stations: Sequence[Station]) -> bool:
    """Whether a break of the plate is within what the last asked-for frame depends on, and not in the batch's rest.

    For whoever looks for cuts the plate ends there: it does for all who read it.
    """
    span = reach([station for station in stations if not isinstance(station.step, Cuts)])
    return broken.frame is None or broken.frame <= last + span.ahead


def _record(frame: Frame) -> FrameRecord:
    put_in = tuple(face.identity for face in frame.faces if face.identity and face.swapped is not None)
    notes = (*frame.notes, *(note for face in frame.faces for note in face.notes))
    return FrameRecord(frame.number, len(frame.faces), put_in, notes)
