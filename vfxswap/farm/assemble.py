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
from vfxswap.errors import Cancelled, MediaError, UsageError, VfxswapError
from vfxswap.farm.chunk import is_finished, needs_assembly
from vfxswap.farm.pace import Pace
from vfxswap.farm.store import heads, restored, store_path
from vfxswap.files import FramePattern
from vfxswap.frame import Frame
from vfxswap.handover import hand_over
from vfxswap.host import Host
from vfxswap.media import Reader
from vfxswap.pipeline import Pipeline
from vfxswap.pipeline.key import content_key
from vfxswap.record import described
from vfxswap.render import ProgressCallback, own_report
from vfxswap.report import FrameRecord, Report, finished_frames, frame_records, reports_of

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
    movie = _Movie(plan, host, progress) if needs_assembly(plan) else None
    report = _sequence(plan, host) if movie is None else movie.made(overwrite=overwrite, keep=keep)
    hand_over(plan)
    return report


def _keys(plan: Pipeline) -> dict[str, str]:
    """The kind of device by each content key that the job may have."""
    return {content_key(replace(plan, device=kind)): kind for kind in _DEVICES}


def _sequence(plan: Pipeline, host: Host) -> Report:
    """Looks whether all frames are there, and makes one report of the chunks' own."""
    start = time.perf_counter()
    best = FrameRange.of(())
    for key, kind in _keys(plan).items():
        there = finished_frames(plan.delivery_path, key)
        if there.issuperset(plan.frames):
            made = replace(plan, key=key, device=kind)
            report = _joined(made, host, plan.delivery_path, {})
            report.outputs = tuple(FramePattern(plan.delivery_path).paths(plan.frames))
            report.wall_seconds = time.perf_counter() - start
            return _written(report, made)
        best = max(best, FrameRange.of(there & set(plan.frames)), key=len)
    raise _incomplete(plan, FrameRange.of(set(plan.frames) - set(best)))


def _joined(plan: Pipeline, host: Host, delivery: Path, known: Mapping[int, FrameRecord]) -> Report:
    """What the reports of all chunks say of the job's frames, and where there is none, the frames themselves."""
    report = Report(run=described(plan, host))
    found: dict[int, FrameRecord] = {}
    remarks: list[str] = []
    for path in reports_of(delivery):
        head, records = frame_records(path)
        if head.get("key") == plan.key:
            found |= {record.frame: record for record in records if record.frame in plan.frames}
            remarks += [remark for remark in head.get("remarks", ()) if remark not in remarks]
    remarks += plan.writer.remarks(plan.delivery_path, plan.writer_options, plan.plate, plan.tags)
    found |= {number: record for number, record in known.items() if number not in found}
    if unknown := FrameRange.of(set(plan.frames) - set(found)):
        remarks.append(f"of the frames {unknown} no report is left, as the run that made them was killed")
    if remarks:
        report.run["remarks"] = list(dict.fromkeys(remarks))
    report.frames = [found[number] for number in sorted(found)]
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

    def made(self, *, overwrite: bool, keep: bool) -> Report:
        keys = _keys(self._plan)
        if self._plan.delivery_path.exists() and not overwrite:
            return self._standing(keys)
        key = self._one_key(keys)
        plan = self._plan = replace(self._plan, key=key, device=keys[key])
        stored = heads(self._store.pattern)
        known = {number: head.record for number, head in stored.items() if head is not None and head.record is not None}
        report = _joined(plan, self._host, self._store.pattern, known)
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
        return report

    def _standing(self, keys: Mapping[str, str]) -> Report:
        plan = self._plan
        if is_finished(plan, keys):
            return Report(outputs=(plan.delivery_path,), already_done=True, path=own_report(plan))
        raise UsageError(
            f"{plan.delivery_path} is there already and was made from other settings, another plate or other versions;"
            " deliver elsewhere with --out, or replace it with --overwrite"
        )

    def _one_key(self, keys: Mapping[str, str]) -> str:
        """The key that all frames have."""
        plan = self._plan
        there = heads(self._store.pattern)
        found: dict[str, list[int]] = {}
        for number in plan.frames:
            head = there.get(number)
            found.setdefault("" if head is None else head.key, []).append(number)
        key = max((key for key in found if key in keys), key=lambda each: len(found[each]), default="")
        wrong = FrameRange.of(number for other, numbers in found.items() if other != key for number in numbers)
        if not key:
            wrong = plan.frames
        if wrong:
            others = [number for number in wrong if there.get(number) is not None]
            why = f" ({FrameRange.of(others)} were made from other settings, plates or versions)" if others else ""
            raise _incomplete(plan, wrong, why)
        return key

    def _write(self, report: Report) -> None:
        plan = self._plan
        first, last = plan.frames[0], plan.frames[-1]
        with (
            plan.reader(plan.plate_path) as reader,
            plan.writer(
                plan.delivery_path, plan.writer_options, like=plan.plate, tags=plan.tags, first=first, last=last
            ) as writer,
        ):
            writer.key, writer.layers = plan.key, plan.layers
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
