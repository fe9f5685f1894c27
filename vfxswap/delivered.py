"""What is there of a delivery already: what of it is left as it is, what is made again, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vfxswap.clock import FrameRange
from vfxswap.errors import UsageError
from vfxswap.files import FramePattern, file_sha256, stamp_of
from vfxswap.framekeys import FrameKeys
from vfxswap.host import Host
from vfxswap.journal import Journal, Standing, forget_the_dead
from vfxswap.layers import layer_files
from vfxswap.pipeline import Pipeline
from vfxswap.report import Report, past_run, report_path, reports_of
from vfxswap.verify import noted_digest


@dataclass(frozen=True, slots=True)
class Found:
    """What a run finds when it starts."""

    plan: Pipeline
    past: Standing
    """The frames of a sequence that are there."""
    journal: Journal | None
    """Takes the notes of the run; None for a delivery that is one file."""

    @classmethod
    def of(cls, plan: Pipeline, host: Host) -> Found:
        """Looks.

        Raises:
            FrameFailed: A stage cannot be made.
        """
        path = plan.delivery_path
        if not FramePattern(path).is_numbered:
            return cls(plan, Standing(), None)
        keys = FrameKeys(plan, host)
        journal = Journal(path, plan.frames[0], plan.frames[-1], keys.__getitem__)
        return cls(plan, Standing.of(path, keys, plan.writer.notes(path)), journal)

    @property
    def to_do(self) -> FrameRange:
        """The frames that are not there, or not as they would be now."""
        return FrameRange.of(set(self.plan.frames) - set(self.past.done))

    def report(self) -> Report | None:
        """The report of a run that has nothing to do, which only tidies up after killed ones; None where it has.

        Raises:
            UsageError: Something is there that is not, or not known to be, what this run would make.
        """
        plan = self.plan
        if self.journal is None:
            return _of_file(plan) if plan.delivery_path.exists() else None
        if not self.to_do and not self.past.unreported:
            forget_the_dead(plan.delivery_path)
            own = own_report(plan)  # there is none where other chunks, or the whole, made these frames
            outputs = tuple(FramePattern(plan.delivery_path).paths(plan.frames))
            return Report(
                outputs=outputs, layers=layers_of(plan), already_done=True, path=own if own.exists() else None
            )
        if self.past.strange:
            raise _refused(plan, self.past)
        return None

    def write(self, report: Report) -> None:
        """Writes the report of the run, with what is known of all frames that are there; then the journal may go.

        Raises:
            MediaError: It cannot be written; the journal stays.
        """
        if self.journal is None:
            report.write(own_report(self.plan))
            return
        kept = {**self.past.outdated, **self.past.done, **self.journal.notes}
        made = {record.frame for record in report.frames}
        report.made_of = {number: note.facts for number, note in kept.items()}
        report.earlier = [note.record for number, note in kept.items() if number not in made]
        report.write(own_report(self.plan))
        self.journal.forget()


def _of_file(plan: Pipeline) -> Report:
    """What to make of one file that is there."""
    where, report = plan.delivery_path, own_report(plan)
    before = past_run(report)
    if not (before and before.is_complete and (before.key, before.frames) == (plan.key, plan.frames)):
        raise _of_other_things(plan)
    if stamp_of(where) not in before.stamps and file_sha256(where) != noted_digest(before):
        raise UsageError(
            f"{where} was changed since it was made; write elsewhere with --out, or replace it with --overwrite"
        )
    if not all(before.kept_layers(where)):
        raise UsageError(
            f"{where} is there already, but files of its layers are missing or were changed; make all of it again with"
            " --overwrite"
        )
    return Report(outputs=(where,), layers=layers_of(plan), already_done=True, path=report)


def _refused(plan: Pipeline, past: Standing) -> UsageError:
    """Why frames that are there stand in the way."""
    where = plan.delivery_path
    if past.damaged:
        return UsageError(
            f"frames {FrameRange.of(past.damaged)} of {where}, or files of their layers, were changed since they were"
            " made; write elsewhere with --out, or replace them with --overwrite --frames"
        )
    if len(past.strange) < len(plan.frames):
        return UsageError(
            f"{len(past.strange)} of the {len(plan.frames)} frames of {where} are there already"
            f" ({FrameRange.of(past.strange)}) and were made from other settings or versions, or by somebody else;"
            " write elsewhere with --out, write the others with --frames, or replace them with --overwrite"
        )
    return _of_other_things(plan)


def _of_other_things(plan: Pipeline) -> UsageError:
    return UsageError(
        f"{plan.delivery_path} is there already and was made from other settings, another plate or other versions;"
        " write elsewhere with --out, or replace it with --overwrite"
    )


def own_report(plan: Pipeline) -> Path:
    """Where a run's report lies: runs that deliver parts of one sequence, at once or in turn, each have one."""
    whole = set(plan.edit.whole) - set(plan.plate.holes)
    is_part = FramePattern(plan.delivery_path).is_numbered and not whole.issubset(plan.frames)
    return report_path(plan.delivery_path, plan.frames if is_part else None)


def remove_outdated(plan: Pipeline) -> None:
    """Removes reports of other settings, all of whose frames this run replaced."""
    for path in reports_of(plan.delivery_path):
        run = past_run(path)
        if run is not None and run.key != plan.key and set(run.frames) <= set(plan.frames):
            path.unlink(missing_ok=True)


def layers_of(plan: Pipeline) -> dict[str, tuple[Path, ...]]:
    """The files of the layers, by layer; none where they are in the delivery's own."""
    files = layer_files(plan.delivery_path, plan.layers, frames=plan.plate.count)
    return {name: tuple(pattern.path(number) for number in plan.frames) for name, pattern in files.items()}
