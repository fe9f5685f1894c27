"""`vfxswap run` and `vfxswap check`."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from vfxswap.cli.output import columns, list_problems, say
from vfxswap.cli.progress import clock_text, renderer
from vfxswap.errors import Cancelled, ExitCode, PipelineError, UsageError
from vfxswap.host import Host
from vfxswap.modelfile import ModelFile
from vfxswap.models import ModelStore
from vfxswap.pipeline import Pipeline, load
from vfxswap.pipeline.colour import color_facts
from vfxswap.report import Report


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says of a pipeline."""

    pipeline: Path
    plate: Path | None
    out: Path | None
    frames: str | None
    sets: tuple[str, ...]
    device: str


def run_pipeline(asked: Asked, host: Host, *, overwrite: bool, style: str) -> ExitCode:
    """Runs a pipeline file and says what came of it.

    Raises:
        VfxswapError: It could not start, or stopped early.
    """
    try:
        with terminated_like_interrupted(), renderer(style) as progress:
            from vfxswap.render import run  # noqa: PLC0415 - takes a second, in which Ctrl-C should end well

            report = run(
                asked.pipeline,
                frames=asked.frames,
                plate=asked.plate,
                out=asked.out,
                overrides=asked.sets,
                device=asked.device,
                overwrite=overwrite,
                progress=progress,
                host=host,
            )
    except KeyboardInterrupt:
        raise Cancelled("cancelled before the first frame") from None
    return tell_report(report, style)


def verify_pipeline(asked: Asked, host: Host, *, style: str) -> ExitCode:
    """Reads what is there of a pipeline's delivery, and says what of it is not as it was written.

    Raises:
        VfxswapError: It could not start.
    """
    from vfxswap.verify import verified  # noqa: PLC0415 - as above

    plan = load(
        asked.pipeline,
        host,
        store=ModelStore.from_environment(host.model_cards()),
        overrides=asked.sets,
        plate=asked.plate,
        out=asked.out,
        frames=asked.frames,
        device=asked.device,
    )
    with renderer(style) as progress:
        found = verified(plan, host, progress=progress)
    if style == "json":
        frames = ("damaged", "missing", "outdated", "unknown")
        facts = {name: str(getattr(found, name)) for name in frames if getattr(found, name)}
        say(json.dumps({"type": "verified", "whole": found.is_whole, **facts, "words": found.words}))
    else:
        say("\n".join(found.lines))
    return ExitCode.OK if found.is_whole else ExitCode.FAILED


def tell_report(report: Report, style: str) -> ExitCode:
    """Says what came of a run, in the words of its progress, and how the command ends."""
    if style == "json":
        facts = {**report.summary(), "outputs": [str(path) for path in report.outputs]}
        del facts["digests"]  # thousands, which the report has
        say(json.dumps(facts, ensure_ascii=False))
    else:
        say("\n".join(summary_lines(report)))
    return report.exit_code


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """A farm ends a job by SIGTERM; it is treated as Ctrl-C, which leaves nothing half-written.

    Only the first counts: farms signal a process and then its group, and the second must not disturb the tidying up.
    """

    def interrupt(_signal: int, _frame: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def summary_lines(report: Report) -> list[str]:
    """What a run did, for people."""
    outputs = _in_short(report.outputs)
    if report.already_done:
        there = f"{outputs}: is there already, complete and made from the very same things; nothing to do"
        return [there, *_remarks(report)]
    facts = report.summary()
    seconds = report.wall_seconds
    rate = f", {facts['made'] / seconds:.1f} fps" if seconds > 0 else ""
    there = f" ({len(report.earlier)} of them were there)" if report.earlier else ""
    lines = [
        f"{outputs}: {facts['frames']} frames{there}, {facts['swapped']} with a face put in, {facts['degraded']} less"
        f" than perfect; {clock_text(seconds)}{rate}"
    ]
    lines += [f"  {count} x {note}" for note, count in facts["notes"].items()] + _remarks(report)
    return [*lines, f"report: {report.path}"] if report.path else lines


def _in_short(outputs: Sequence[Path]) -> str:
    """One file by its name, a sequence by its first and last."""
    if len(outputs) > 1:
        return f"{outputs[0]} .. {outputs[-1].name}"
    return str(outputs[0]) if outputs else "nothing"


def _remarks(report: Report) -> list[str]:
    return [f"  note: {remark}" for remark in report.run.get("remarks", ())]


def check_pipeline(asked: Asked, host: Host) -> ExitCode:
    """Says what a pipeline file would do, or everything that is wrong with it."""
    try:
        plan = load(
            asked.pipeline,
            host,
            store=ModelStore.from_environment(host.model_cards()),
            overrides=asked.sets,
            plate=asked.plate,
            out=asked.out,
            frames=asked.frames,
            device=asked.device,
        )
        from vfxswap.recall import standing  # noqa: PLC0415 - brings torch, which --help does without

        kept = standing(plan)
    except PipelineError as error:
        list_problems(error.problems, sys.stdout)
        return error.run_exit_code
    except UsageError as error:
        list_problems([error], sys.stdout)
        return error.exit_code
    say("\n".join(plan_lines(plan, kept)))
    return ExitCode.OK


def plan_lines(plan: Pipeline, kept: str = "") -> list[str]:
    """What a pipeline would do, for people.

    Args:
        plan: The pipeline.
        kept: What there is to say of the shot's analysis.
    """
    rows = [("plate", f"{plan.plate_path}: {_plate(plan)}"), *_frames(plan)]
    rows += [("colour", _colour(plan))]
    rows += [("identity", _identity(plan, name)) for name in plan.identities]
    rows += [(stage.label, f"from {stage.owner}") for stage in plan.stages] or [
        ("stages", "none: passes the plate through")
    ]
    rows += [("model", _model(plan, name)) for name in sorted({name for stage in plan.stages for name in stage.models})]
    rows += [("model file", _file(file)) for stage in plan.stages for file in stage.files]
    rows += [("analysis", kept)] if kept else []
    rows += [("edits", f"{plan.edits_path}: {len(plan.edits.edits)}")] if plan.edits else []
    rows += [("delivery", f"{plan.delivery_path}: by the writer {plan.writer.name!r}"), ("device", plan.device)]
    if plan.delivery_timeline is not None:
        rows.append(("timeline", f"{plan.delivery_timeline}: gets the result when the shot is whole"))
    return [f"{plan.path}: ok", *columns(rows, "  ")]


def _frames(plan: Pipeline) -> Iterator[tuple[str, str]]:
    edit = plan.edit
    if edit.timeline is not None:
        yield "clip", f"{edit.clip} in {edit.timeline}, which shows {edit.cut}"
    yield "frames", f"{plan.frames} ({len(plan.frames)})"
    yield from (("note", remark) for remark in plan.remarks)


def _plate(plan: Pipeline) -> str:
    plate, tags = plan.plate, plan.tags
    colour = "/".join(tag.name for tag in (tags.primaries, tags.transfer, tags.matrix))
    rate = f"{float(plate.rate):.6g} fps" + (", variable" if plate.variable_rate else "")
    return (
        f"{plate.width}x{plate.height} {plate.codec} {plate.layout.name}, {rate}, frames {plate.first}-{plate.last},"
        f" {colour} {tags.range.name.lower()}"
    )


def _colour(plan: Pipeline) -> str:
    facts = color_facts(plan.colors, plan.tags, plan.face, plan.identities.values())
    words = f"{facts['space'] or 'by its tags'}; stages see {facts['face_space']!r}"
    if "config" not in facts:
        return words
    by = f", computed by {facts['computed_by']}" if "computed_by" in facts else ""
    return f"{words}; by {facts['config']}{by}"


def _identity(plan: Pipeline, name: str) -> str:
    consent = plan.identities[name].consent
    return (
        f"{name}: {consent.performer}, consent by {consent.grantor} until {consent.valid_until}; takes the face"
        f" {plan.casting[name]}"
    )


def _model(plan: Pipeline, name: str) -> str:
    card = plan.store.card(name)
    return f"{name}: {card.licence}{'' if card.commercial else ', not for paid work'}"


def _file(file: ModelFile) -> str:
    paid = {True: "", False: ", not for paid work", None: ", not said whether for paid work"}[file.commercial]
    return f"{file.path.name}: {file.licence or 'licence not said'}{paid}; sha256 {file.sha256}"
