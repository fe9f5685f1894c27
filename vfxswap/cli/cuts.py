"""`vfxswap run` and `vfxswap check` for several clips of a timeline."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from vfxswap.cli.clips import Clips
from vfxswap.cli.output import columns, complain, list_problems, say
from vfxswap.cli.pipelines import Asked, summary_lines, terminated_like_interrupted
from vfxswap.cli.progress import renderer
from vfxswap.errors import Cancelled, ExitCode, PipelineError, UsageError, VfxswapError
from vfxswap.host import Host
from vfxswap.pipeline import Pipeline
from vfxswap.shots import Outcome, PlannedCut, PlannedShot, cut_exit_code, plan_cut, run_cut


def run_clips(asked: Asked, clips: Clips, host: Host, *, overwrite: bool, style: str) -> ExitCode:
    """Runs each clip as a shot of its own and says what came of each.

    Raises:
        VfxswapError: None could be started, or somebody stopped them.
    """
    cut = _planned(asked, clips, host)
    _tell_skipped(cut)
    try:
        with terminated_like_interrupted(), renderer(style) as progress:
            outcomes = run_cut(
                cut, host, overwrite=overwrite, progress=progress, told=lambda outcome: _tell(outcome, style)
            )
    except KeyboardInterrupt:
        raise Cancelled("cancelled between two clips") from None
    failed = [outcome.shot.clip for outcome in outcomes if outcome.exit_code]
    if style == "json":
        say(json.dumps({"type": "cut", "clips": len(outcomes), "failed": failed}, ensure_ascii=False))
    else:
        words = f"; not done: {', '.join(failed)}" if failed else ""
        say(f"{len(outcomes) - len(failed)} of {len(outcomes)} clips are done{words}")
    return cut_exit_code(outcomes)


def check_clips(asked: Asked, clips: Clips, host: Host) -> ExitCode:
    """Says what would be made of each clip, or everything that is wrong, by clip."""
    try:
        cut = _planned(asked, clips, host)
    except PipelineError as error:
        list_problems(error.problems, sys.stdout)
        return error.run_exit_code
    _tell_skipped(cut)
    problems = [*cut.problems, *(line for shot in cut.shots for line in _problems(shot))]
    rows = [_row(shot.clip, shot.plan) for shot in cut.shots if shot.plan is not None]
    if rows:
        say(f"{asked.pipeline}: {len(rows)} of {len(cut.shots)} clips are ok")
        say("\n".join(columns([("CLIP", "PLATE", "FRAMES", "CUT", "DELIVERY"), *rows], "  ")))
    if problems:
        list_problems(problems, sys.stdout)
    return cut.exit_code


def _planned(asked: Asked, clips: Clips, host: Host) -> PlannedCut:
    if asked.frames is not None:
        raise UsageError("--frames goes with one clip alone, as each has its own; name it with --clip NAME")
    return plan_cut(
        asked.pipeline,
        host,
        clips=clips.names,
        overrides=asked.sets,
        plate=asked.plate,
        out=asked.out,
        device=asked.device,
    )


def _tell_skipped(cut: PlannedCut) -> None:
    for name, why in cut.skipped:
        sys.stderr.write(f"{name}: left out, as it is {why}\n")


def _tell(outcome: Outcome, style: str) -> None:
    clip, error, report = outcome.shot.clip, outcome.error, outcome.report
    if style == "json":
        facts = {"error": str(error)} if report is None else report.summary()
        outputs = [] if report is None else [str(path) for path in report.outputs]
        say(json.dumps({**facts, "type": "shot", "clip": clip, "outputs": outputs}, ensure_ascii=False))
    elif report is not None:
        say("\n".join(f"{clip}: {line}" for line in summary_lines(report)))
    elif error is not None:
        _complain_of(clip, error)


def _complain_of(clip: str, error: VfxswapError) -> None:
    found = error.problems if isinstance(error, PipelineError) else [error]
    for problem in found:
        complain([f"{clip}: {problem}"])


def _problems(shot: PlannedShot) -> list[str]:
    return [f"{shot.clip}: {problem}" for problem in shot.problems]


def _row(clip: str, plan: Pipeline) -> tuple[str, ...]:
    frames = f"{plan.frames} ({len(plan.frames)})"
    return clip, plan.plate_path.name, frames, str(plan.edit.cut), _short(plan.delivery_path)


def _short(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
