"""Several clips of a cut, each a shot of its own: planned at once, run one after the other, none stopped by another.

One pipeline file serves them all: `{clip}` in it stands for the clip's name.
"""

from __future__ import annotations

import fnmatch
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vfxswap.errors import Cancelled, ExitCode, PipelineError, Problem, UsageError, VfxswapError
from vfxswap.host import Host
from vfxswap.models import ModelStore
from vfxswap.pipeline import Pipeline, load, read_clips_of
from vfxswap.render import ProgressCallback, render
from vfxswap.report import Progress, Report


@dataclass(frozen=True, slots=True)
class PlannedShot:
    """One clip, checked."""

    clip: str
    """Its name, as the timeline tells it from the others."""
    plan: Pipeline | None
    """None if something is wrong."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with this clip and not with all of them."""


@dataclass(frozen=True, slots=True)
class PlannedCut:
    """The clips that are worked on, in the timeline's order."""

    shots: tuple[PlannedShot, ...]
    problems: tuple[Problem, ...] = ()
    """What is wrong with every clip alike, each said once; nothing can be started then."""
    skipped: tuple[tuple[str, str], ...] = ()
    """Clips of which nothing can be made, with the reason: made by a generator, or disabled."""

    @property
    def exit_code(self) -> ExitCode:
        """How a command ends for the problems alone."""
        found = [*self.problems, *(problem for shot in self.shots for problem in shot.problems)]
        return PipelineError(found).run_exit_code if found else ExitCode.OK


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one shot."""

    shot: PlannedShot
    report: Report | None
    """None if it failed."""
    error: VfxswapError | None = None
    """Why it failed."""

    @property
    def exit_code(self) -> ExitCode:
        """How a run of this shot alone would end."""
        if self.error is None:
            return ExitCode.OK if self.report is None else self.report.exit_code
        return self.error.run_exit_code if isinstance(self.error, PipelineError) else self.error.exit_code


def plan_cut(
    pipeline: Path,
    host: Host,
    *,
    clips: Sequence[str] = (),
    overrides: Sequence[str] = (),
    plate: Path | None = None,
    out: Path | None = None,
    device: str | None = None,
) -> PlannedCut:
    """Checks a pipeline file for several clips of its timeline.

    Args:
        pipeline: The pipeline file; its [shot] names a timeline.
        host: The plugins.
        clips: Names of clips, or patterns such as `sh0*`; none means all.
        overrides: As `--set` has them.
        plate: Stands in for [shot] plate; may hold `{clip}`.
        out: Stands in for [delivery] path; should hold `{clip}`.
        device: Where to compute.

    Raises:
        PipelineError: The file or its timeline cannot be read.
        UsageError: A name fits no clip; or the timeline has none to work on.
    """
    there = read_clips_of(pipeline, overrides)
    chosen = _chosen([(clip.name, clip.own_name) for clip in there], clips)
    skipped = {clip.name: clip.skipped for clip in there if clip.skipped is not None}
    names = [name for name in chosen if name not in skipped]
    if not names:
        raise UsageError(f"{pipeline}: the timeline has no clip to work on, of {len(there)} in it")
    store = ModelStore.from_environment(host.model_cards())
    found: list[PlannedShot] = []
    for name in names:
        try:
            plan = load(
                pipeline, host, store=store, overrides=overrides, plate=plate, out=out, clip=name, device=device
            )
            found.append(PlannedShot(name, plan))
        except PipelineError as error:
            found.append(PlannedShot(name, None, error.problems))
    left_out = tuple((name, skipped[name]) for name in chosen if name in skipped)
    return _common(_apart(found), left_out)


def run_cut(
    cut: PlannedCut,
    host: Host,
    *,
    overwrite: bool = False,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
    told: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Runs the shots; one that fails, or could not be planned, does not stop the others.

    Args:
        cut: The clips; nothing may be wrong with all of them.
        host: The plugins.
        overwrite: Whether deliveries that are there may be replaced.
        workers: Threads that run stages.
        progress: Is told after each frame how far all of the shots are.
        told: Is told after each shot.

    Raises:
        PipelineError: Something is wrong with every clip alike.
        Cancelled: Interrupted from the keyboard; what is finished stays.
    """
    if cut.problems:
        raise PipelineError(cut.problems)
    whole = _Whole(sum(len(shot.plan.frames) for shot in cut.shots if shot.plan is not None), progress)
    outcomes = []
    for shot in cut.shots:
        outcome = _outcome(shot, host, overwrite=overwrite, workers=workers, whole=whole)
        outcomes.append(outcome)
        if told is not None:
            told(outcome)
        if isinstance(outcome.error, Cancelled):
            left = len(cut.shots) - len(outcomes)
            raise Cancelled(f"{shot.clip}: {outcome.error}; {left} more clips were not begun") from outcome.error
    return outcomes


def cut_exit_code(outcomes: Sequence[Outcome]) -> ExitCode:
    """How a run of several shots ends: as its worst, frames that failed before anything that was refused."""
    return min((outcome.exit_code for outcome in outcomes if outcome.exit_code), default=ExitCode.OK)


def _outcome(shot: PlannedShot, host: Host, *, overwrite: bool, workers: int | None, whole: _Whole) -> Outcome:
    if shot.plan is None:
        return Outcome(shot, None, PipelineError(shot.problems))
    count = len(shot.plan.frames)
    try:
        report = render(shot.plan, host, overwrite=overwrite, workers=workers, progress=whole.part(count))
        return Outcome(shot, report)
    except VfxswapError as error:
        return Outcome(shot, None, error)
    finally:
        whole.done += count


class _Whole:
    """How far several shots are together."""

    def __init__(self, total: int, progress: ProgressCallback | None) -> None:
        self.done, self._total, self._progress = 0, total, progress
        self._made, self._start = 0, time.perf_counter()

    def part(self, count: int) -> ProgressCallback | None:
        """What to tell of a shot of so many frames; those that were there already count as done."""
        if self._progress is None:
            return None

        def tell(progress: Progress) -> None:
            self._made += not progress.is_survey
            done = self.done + count - progress.total + progress.done
            fps = self._made / max(time.perf_counter() - self._start, 1e-6)
            eta = (self._total - done) / fps if fps else 0.0
            self._progress and self._progress(
                Progress(done, self._total, progress.frame, fps, eta, is_survey=progress.is_survey)
            )

        return tell


def _chosen(there: Sequence[tuple[str, str]], asked: Sequence[str]) -> list[str]:
    """The names of clips that are asked for, in the timeline's order.

    Args:
        there: Name and own name of each clip.
        asked: Names or patterns; none asks for all.
    """
    taken = set() if asked else {name for name, _ in there}
    for word in asked:
        exact = {name for name, own in there if word in {name, own}}
        fitting = exact or {name for name, own in there if fnmatch.fnmatchcase(name, word)}
        if not fitting:
            known = ", ".join(name for name, _ in there) or "none"
            raise UsageError(f"--clip {word}: the timeline has no such clip; there are {known}")
        taken |= fitting
    return [name for name, _ in there if name in taken]


def _apart(shots: Sequence[PlannedShot]) -> list[PlannedShot]:
    """Two shots may not write the same files."""
    paths = Counter(shot.plan.delivery_path.resolve() for shot in shots if shot.plan is not None)
    result = []
    for shot in shots:
        plan = shot.plan
        if plan is None or paths[plan.delivery_path.resolve()] == 1:
            result.append(shot)
            continue
        message = "another clip would be delivered to the same place; write {clip} where its name shall stand"
        value = str(plan.delivery_path)
        problem = Problem(message, file=str(plan.path), stage="delivery", key="path", value=value)
        result.append(PlannedShot(shot.clip, None, (problem,)))
    return result


def _common(shots: Sequence[PlannedShot], skipped: tuple[tuple[str, str], ...]) -> PlannedCut:
    """Says what is wrong with all clips once."""
    counts = Counter(str(problem) for shot in shots for problem in {str(one): one for one in shot.problems}.values())
    everywhere = {text for text, count in counts.items() if count == len(shots)}
    if not everywhere:
        return PlannedCut(tuple(shots), (), skipped)
    common = tuple(problem for problem in shots[0].problems if str(problem) in everywhere)
    rest = tuple(
        replace(shot, problems=tuple(problem for problem in shot.problems if str(problem) not in everywhere))
        for shot in shots
    )
    return PlannedCut(rest, common, skipped)
