"""What the stages themselves find wrong with a pipeline, beyond their settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vfxswap.errors import ExitCode, Problem, VfxswapError
from vfxswap.modelfile import ModelFile
from vfxswap.pipeline.chain import Slot
from vfxswap.pipeline.plan import PlannedStage
from vfxswap.pipeline.reading import Notes
from vfxswap.stage import Stage, StageOptions, SwapperOptions

if TYPE_CHECKING:
    from vfxswap.brief import Brief
    from vfxswap.models import ModelStore


def check_stages(slots: Sequence[Slot], brief: Brief, notes: Notes) -> None:
    """Asks each stage whose settings could be read."""
    for slot in slots:
        if slot.cls is not None and slot.options is not None:
            for problem in _found_by(slot.cls, slot.options, brief):
                named = problem if problem.stage else replace(problem, stage=slot.label)
                notes.add(named, "stages", slot.index, *([problem.key] if problem.key else []))


def with_files(stages: Sequence[PlannedStage], brief: Brief, notes: Notes) -> tuple[PlannedStage, ...]:
    """The stages with the model files that they were given by hand; what is wrong with a file goes to the notes."""
    return tuple(replace(stage, files=_files(stage, brief, notes)) for stage in stages)


def _files(stage: PlannedStage, brief: Brief, notes: Notes) -> tuple[ModelFile, ...]:
    options = stage.options
    if isinstance(options, SwapperOptions) and options.identity not in brief.identities:
        return ()  # the identity itself is what is wrong
    try:
        return tuple(stage.cls.model_files(options, brief))
    except VfxswapError as error:
        notes.add(Problem(str(error), stage=stage.label, exit_code=error.exit_code), "stages", stage.index)
    return ()


def check_licences(stages: Sequence[PlannedStage], store: ModelStore, notes: Notes) -> None:
    """Refuses what paid work may not use, or of which nobody says that it may."""
    for stage in stages:
        cards = [store.card(name) for name in stage.models if name in store.cards]
        known = [(f"model {card.name!r}", card.commercial, card.licence) for card in cards]
        known += [(file.path.name, file.commercial is True, file.licence) for file in stage.files]
        for what, is_allowed, licence in known:
            if not is_allowed:
                message = (
                    f"{what} is not known to be allowed in paid work (its licence: {licence or 'not said'}), and [shot]"
                    " paid_work is true; take another model, or buy a licence and say so where the model is described"
                )
                problem = Problem(message, stage=stage.label, exit_code=ExitCode.REFUSED)
                notes.add(problem, "stages", stage.index)


def _found_by(cls: type[Stage[Any]], options: StageOptions, brief: Brief) -> Sequence[Problem]:
    try:
        return cls.problems(options, brief)
    except VfxswapError as error:
        return [Problem(str(error), exit_code=error.exit_code)]
    except Exception as error:  # noqa: BLE001 - the host's boundary to plugins
        message = f"the plugin failed while it checked its settings: {type(error).__name__}: {error}"
        return [Problem(message, exit_code=ExitCode.MISSING)]
