"""The last step: all frames are there and of one content key, and a movie is made of them.

Frames of a sequence have their names already; of them only the reports of the chunks become one.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from vfxswap.clock import FrameRange
from vfxswap.conveyor import ReadAhead, Sink
from vfxswap.delivered import layers_of, own_report
from vfxswap.errors import Cancelled, MediaError, UsageError, VfxswapError
from vfxswap.farm.chunk import is_finished, needs_assembly
from vfxswap.farm.pace import Pace
from vfxswap.farm.store import StoredFrame, heads, restored, store_path
from vfxswap.files import FramePattern
from vfxswap.frame import Frame
from vfxswap.framekeys import FrameKeys
from vfxswap.handover import hand_over
from vfxswap.host import Host
from vfxswap.journal import Standing
from vfxswap.media import Reader
from vfxswap.pipeline import Pipeline
from vfxswap.pipeline.key import with_keys
from vfxswap.record import described
from vfxswap.render import ProgressCallback
from vfxswap.report import FrameRecord, Report, frame_records, reports_of
from vfxswap.verify import digests_of

_AHEAD_FRAMES = 12
_DEVICES = ("cpu", "cuda", "mps")
"""Kinds of device that a chunk's key may be of; whoever assembles needs none of them."""


def assemble(
    plan: Pipeline,
    host: Host,
    *,
    overwrite: bool = False,
    keep: bool = False,
    progress: ProgressCallback | None = None,
) -> Report:
    """Makes the delivery of the frames that chunks have left.

    Args:
        plan: The whole job's; its device does not matter.
        host: The plugins.
        overwrite: Whether a movie that is there may be replaced.
        keep: Whether the frames stay when the movie is made.
        progress: Is told after each frame of a movie.

    Returns:
        What the chunks said of all frames; `already_done` if the delivery is there and made from the very same things.

    Raises:
        MediaError: Frames are missing, damaged, or made from different things; says which and what to do.
        UsageError: There is another movie of that name.
        Cancelled: Interrupted from the keyboard; no movie is left, the frames stay.
    """
    if needs_assembly(plan):
        made, report = _Movie(plan, host, progress).made(overwrite=overwrite, keep=keep)
    else:
        made, report = _sequence(plan, host)
    hand_over(made)
    return report


def _plans(plan: Pipeline) -> Iterator[Pipeline]:
    """The pipeline as it may have been run: on one kind of device or another, with the content key of that."""
    for kind in _DEVICES:
        yield with_keys(replace(plan, device=kind))


def _sequence(plan: Pipeline, host: Host) -> tuple[Pipeline, Report]:
    """Looks whether all frames are there, and makes one report of the chunks' own; and says by what they were made."""
    start = time.perf_counter()
    best = FrameRange.of(())
    for made in _plans(plan):
        keys = FrameKeys(made, host)
        found = Standing.of(made.delivery_path, keys)
        if len(found.done) == len(made.frames):
            report = _joined(made, host, made.delivery_path, {n: note.record for n, note in found.done.items()})
            report.made_of = {number: note.facts for number, note in found.done.items()}
            report.outputs = tuple(FramePattern(made.delivery_path).paths(made.frames))
            report.wall_seconds = time.perf_counter() - start
            return made, _written(report, made)
        best = max(best, FrameRange.of(found.done), key=len)
    raise _incomplete(plan, FrameRange.of(set(plan.frames) - set(best)))


def _joined(plan: Pipeline, host: Host, delivery: Path, known: Mapping[int, FrameRecord]) -> Report:
    """What is known of the job's frames, and what the chunks had to remark."""
    report = Report(run=described(plan, host))
    remarks: list[str] = []
    for path in reports_of(delivery):
        head, records = frame_records(path)
        if head.get("pipeline_sha256") == report.run["pipeline_sha256"] and any(r.frame in known for r in records):
            remarks += head.get("remarks", ())
    remarks += plan.writer.remarks(plan.delivery_path, plan.writer_options, plan.plate, plan.tags)
    if remarks:
        report.run["remarks"] = list(dict.fromkeys(remarks))
    report.frames = [known[number] for number in sorted(known)]
    return report


def _written(report: Report, plan: Pipeline) -> Report:
    report.write(own_report(plan))
    return report


def _incomplete(plan: Pipeline, missing: FrameRange, why: str = "") -> MediaError:
    return MediaError(
        f"{plan.delivery_path}: {len(missing)} of the job's {len(plan.frames)} frames are not done: {missing}{why}; run"
        f" their chunks again, as with --chunk {missing[0]}-{missing[-1]}, and assemble then",
        path=plan.delivery_path,
        frame=missing[0],
    )


class _Movie:
    """Puts a movie together."""

    def __init__(self, plan: Pipeline, host: Host, progress: ProgressCallback | None) -> None:
        self._plan, self._host = plan, host
        self._store = FramePattern(store_path(plan.delivery_path))
        self._pace = Pace(len(plan.frames), progress)

    def made(self, *, overwrite: bool, keep: bool) -> tuple[Pipeline, Report]:
        """By what its frames were made, and the report."""
        if self._plan.delivery_path.exists() and not overwrite:
            return self._standing()
        plan, stored = self._found()
        self._plan = plan
        records = {number: head.note.record for number, head in stored.items()}
        report = _joined(plan, self._host, self._store.pattern, records)
        start = time.perf_counter()
        try:
            self._write(report)
        except KeyboardInterrupt:
            report.error = "cancelled"
            raise Cancelled("cancelled; no movie was left behind, its frames are there: assemble again") from None
        except VfxswapError as error:
            report.error = str(error)
            raise
        finally:
            report.wall_seconds = time.perf_counter() - start
            _written(report, plan)
        if not keep:
            shutil.rmtree(self._store.pattern.parent, ignore_errors=True)
        return plan, report

    def _standing(self) -> tuple[Pipeline, Report]:
        plan = self._plan
        made = next((made for made in _plans(plan) if is_finished(made, {made.key})), None)
        if made is not None:
            return made, Report(outputs=(plan.delivery_path,), already_done=True, path=own_report(plan))
        raise UsageError(
            f"{plan.delivery_path} is there already and was made from other settings, another plate or other versions;"
            " deliver elsewhere with --out, or replace it with --overwrite"
        )

    def _found(self) -> tuple[Pipeline, dict[int, StoredFrame]]:
        """The pipeline as all frames were made by, and what they say of themselves."""
        there = heads(self._store.pattern)
        best, missing = dict[int, StoredFrame](), self._plan.frames
        for made in _plans(self._plan):
            keys = FrameKeys(made, self._host)
            found = {n: head for n in made.frames if (head := there.get(n)) is not None and head.key == keys[n]}
            if len(found) == len(made.frames):
                return made, found
            if len(found) > len(best):
                best, missing = found, FrameRange.of(set(made.frames) - set(found))
        others = FrameRange.of(number for number in missing if there.get(number) is not None)
        why = f" ({others} were made from other settings, plates or versions)" if others else ""
        raise _incomplete(self._plan, missing, why)

    def _write(self, report: Report) -> None:
        plan = self._plan
        first, last = plan.frames[0], plan.frames[-1]
        with (
            plan.reader.opened(plan.plate_path, plan.shot.layer) as reader,
            plan.writer(
                plan.delivery_path, plan.writer_options, like=plan.plate, tags=plan.tags, first=first, last=last
            ) as writer,
        ):
            writer.layers = plan.layers
            sink = Sink(writer.write, depth=_AHEAD_FRAMES, name="encode")
            try:
                with ReadAhead(self._frames(reader), depth=_AHEAD_FRAMES, name="decode") as frames:
                    for frame in frames:
                        sink.put(frame)
                        self._pace.add(1, frame.number)
                sink.close()
            finally:
                sink.stop()
            report.outputs = writer.finish()
            layers = layers_of(plan)
            report.layers = layers
            report.digests = tuple(digests_of(plan.writer, path, layers) for path in report.outputs)

    def _frames(self, reader: Reader) -> Iterator[Frame]:
        for first, last in _runs(self._plan.frames):
            for frame in reader.frames(first, last):
                yield restored(frame, self._store.path(frame.number))


def _runs(frames: FrameRange) -> Iterator[tuple[int, int]]:
    """The first and last of each row of frames without gaps."""
    start = previous = frames[0]
    for number in frames[1:]:
        if number != previous + 1:
            yield start, previous
            start = number
        previous = number
    yield start, previous
