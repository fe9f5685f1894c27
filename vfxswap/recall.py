"""The analysis of a shot, as a run uses and extends it, and as `vfxswap analyze` makes it.

What is found again and again is kept: a run with an analysis has the very bits of a run without one, so an analysis is
no part of what a delivery depends on. What goes wrong with keeping is said, and stops no run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from vfxswap.analysis import Book, Found, FoundFrame, Head, is_alike, read_analysis, read_head
from vfxswap.assembly import Workshop, assembled, rendered
from vfxswap.clock import FrameRange
from vfxswap.errors import Cancelled, FrameFailed, MediaError, TruncatedPlate, UsageError, VfxswapError
from vfxswap.host import Host
from vfxswap.pipeline import Pipeline, finding_stages, head_of, plate_stamp
from vfxswap.report import Progress
from vfxswap.stage import Tracker
from vfxswap.workers import cores, whole_floats, worker_pool

ProgressCallback = Callable[[Progress], None]

_KINDS = ("cpu", "cuda", "mps")


def standing(plan: Pipeline) -> str:
    """What there is to say of a pipeline's analysis before a run; empty where there is none, and none is to be made.

    Raises:
        UsageError: It is damaged, or of another plate.
    """
    path = plan.analysis_path
    if not path.exists() or not finding_stages(plan.stages):
        return f"{path} is going to be made" if plan.shot.analysis and finding_stages(plan.stages) else ""
    there, own = read_head(path), head_of(plan)
    if there.plate.files != own.plate.files:
        if plan.shot.analysis is None and _is_other_plate(plan):
            return f"{path} is not used: it is of the pipeline's own plate, {there.plate}"
        refuse_another_plate(plan, there)
    if not is_alike(there, own):
        return _of_other_settings(path, there)
    return f"{path}: what it has is not found again"


def _is_other_plate(plan: Pipeline) -> bool:
    return any(words.startswith("--plate") for words in plan.overrides)


def refuse_another_plate(plan: Pipeline, there: Head) -> None:
    """Holds an analysis against the pipeline's plate.

    Raises:
        UsageError: It is of another one.
    """
    own = plate_stamp(plan)
    if there.plate.files == own.files:
        return
    plates = f"is of the plate {there.plate}, and this is {own}"
    if str(there.plate) == str(own):
        plates = f"is of {there.plate} as its files were then; they were written anew or changed since"
    raise UsageError(
        f"the analysis file {plan.analysis_path} {plates}; make it again with `vfxswap analyze PIPELINE --overwrite`,"
        " or name another file with [shot] analysis"
    )


def _of_other_settings(path: Path, there: Head) -> str:
    return (
        f"{path} was made with other settings of {', '.join(there.finding.stages)}, other versions or another kind of"
        " device; faces are found anew, and it is replaced"
    )


def fits_any_device(plan: Pipeline, there: Head) -> bool:
    """Whether an analysis is what this pipeline would find on one kind of device or another."""
    return any(is_alike(there, head_of(replace(plan, device=kind))) for kind in _KINDS)


def open_book(plan: Pipeline, remarks: list[str]) -> Book | None:
    """What is known of a pipeline's shot, and where what is found goes.

    Args:
        plan: The pipeline.
        remarks: Takes what the report shall say.

    Returns:
        None where there is no analysis and none is to be made.

    Raises:
        UsageError: The analysis is damaged, or of another plate.
    """
    path = plan.analysis_path
    said = standing(plan)
    if not said or " is not used: " in said:
        remarks += [said] if said else []
        return None
    head, known = head_of(plan), dict[int, FoundFrame]()
    if path.exists():
        there = read_analysis(path)
        if is_alike(there.head, head):
            known = dict(_usable(plan, there.found))
        else:
            remarks.append(said)
    return Book(path, head, known, _frames_of(plan))


def _usable(plan: Pipeline, found: Found) -> Found:
    """What of an analysis goes together with what is found now.

    Where a tracker follows the faces that is all of it or nothing: tracks of a part of the plate are others, and what a
    tracker gives is not what it is to be shown.
    """
    is_tracked = any(issubclass(stage.cls, Tracker) for stage in plan.stages)
    return found if not is_tracked or found.keys() >= set(_frames_of(plan)) else {}


def _frames_of(plan: Pipeline) -> FrameRange:
    plate = plan.plate
    return FrameRange.of(set(range(plate.first, plate.last + 1)) - set(plate.holes))


@contextmanager
def kept_findings(plan: Pipeline, remarks: list[str]) -> Iterator[Book | None]:
    """What is known of a shot for as long as it is worked on; then what was found goes to its file.

    A file that cannot be written is remarked on: the run does not need it.
    """
    book = open_book(plan, remarks)
    try:
        yield book
    except (FrameFailed, TruncatedPlate):
        # A stage that fails is asked again for single frames, which may cost the last bit on a GPU; so may the part of
        # a batch that comes before a break of the plate, which need not be there the next time.
        book = None
        raise
    finally:
        if book is not None:
            try:
                _save(book, remarks)
            except VfxswapError as error:
                remarks.append(f"what was found is not kept: {error}")


def _save(book: Book, remarks: list[str]) -> None:
    book.save()
    if book.trouble is not None:
        remarks.append(f"what was found could be kept only at the end: {book.trouble}")


@dataclass(frozen=True, slots=True)
class Analysed:
    """What came of an analysis."""

    path: Path
    frames: FrameRange
    """Those that it holds now."""
    looked_at: int
    """Frames that were looked at for it now."""
    remarks: tuple[str, ...] = ()


def analyze(
    plan: Pipeline,
    host: Host,
    *,
    overwrite: bool = False,
    numbers: FrameRange | None = None,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
) -> Analysed:
    """Finds what the pipeline's detector, tracker and aligner see, and keeps it beside the shot.

    What the file has already is not looked at again, whoever put it there.

    Args:
        plan: The pipeline; edits have no say.
        host: The plugins.
        overwrite: Whether a file that is there is replaced, be it damaged or of another plate. One of other settings is
            replaced in any case.
        numbers: Frames of the plate to look at; all, by default. A tracker sees the whole plate in any case.
        workers: Threads that run stages; by default one a core on the CPU, two on a GPU.
        progress: Is told after each frame, from this thread or another.

    Raises:
        UsageError: The pipeline finds nothing, or the file is damaged or of another plate.
        MediaError: The file cannot be written, or the plate breaks off.
        FrameFailed: A stage failed.
        Cancelled: Interrupted from the keyboard; what was found is kept.
    """
    path, head = plan.analysis_path, head_of(plan)
    remarks: list[str] = []
    known: Found = {}
    if path.exists() and not overwrite:
        known = _known(plan, head, remarks)
    book = Book(path, head, known, _frames_of(plan), replaces=overwrite)
    wanted = _frames_of(plan) if numbers is None else FrameRange.of(set(numbers) & set(_frames_of(plan)))
    fresh = FrameRange.of(number for number in wanted if number not in known or not known[number].is_aligned)
    if fresh:
        alone = replace(plan, stages=finding_stages(plan.stages), edits=None)
        try:
            _look(alone, host, book, fresh, remarks=remarks, workers=workers, progress=progress)
        except KeyboardInterrupt:
            kept = f"{path} keeps what was found: run it again to go on" if book.save() else "nothing was found yet"
            raise Cancelled(f"cancelled; {kept}") from None
        except VfxswapError:
            with suppress(VfxswapError):  # what went wrong first is what is said
                book.save()
            raise
        _save(book, remarks)
        if book.is_closed:
            raise MediaError("; ".join(remarks), path=plan.plate_path)
    seen = FrameRange.of(number for number in _frames_of(plan) if (f := book.frame(number)) and f.is_aligned)
    return Analysed(path, seen, len(fresh), tuple(remarks))


def _known(plan: Pipeline, head: Head, remarks: list[str]) -> Found:
    """What the file knows already.

    Raises:
        UsageError: It is damaged, or of another plate.
    """
    there = read_analysis(plan.analysis_path)
    refuse_another_plate(plan, there.head)
    if is_alike(there.head, head):
        return _usable(plan, there.found)
    remarks.append(_of_other_settings(plan.analysis_path, there.head))
    return {}


def _look(
    plan: Pipeline,
    host: Host,
    book: Book,
    numbers: FrameRange,
    *,
    remarks: list[str],
    workers: int | None,
    progress: ProgressCallback | None,
) -> None:
    device = torch.device(plan.device)
    count = workers or (cores() if device.type == "cpu" else 2)
    is_tracked = any(issubclass(stage.cls, Tracker) for stage in plan.stages) and book.whole is None
    pace = _Pace(len(numbers) + is_tracked * len(_frames_of(plan)), progress)
    with whole_floats(), worker_pool(count) as pool:
        shop = Workshop(
            plan=plan,
            host=host,
            device=device,
            pool=pool,
            ahead=count + 1,
            remarks=remarks,
            book=book,
            only_looks=True,
            surveyed=pace.tell,
        )
        with assembled(shop) as stations:
            for frame in rendered(shop, stations, numbers):
                pace.tell(frame.number)


class _Pace:
    """Tells how far it is."""

    def __init__(self, total: int, progress: ProgressCallback | None) -> None:
        self._total, self._progress = total, progress
        self._done, self._start = 0, time.perf_counter()

    def tell(self, frame: int) -> None:
        self._done += 1
        seconds = time.perf_counter() - self._start
        fps = self._done / seconds if seconds > 0 else 0.0
        if self._progress is not None:
            eta = max(self._total - self._done, 0) / fps if fps else 0.0
            self._progress(Progress(min(self._done, self._total), self._total, frame, fps, eta))
