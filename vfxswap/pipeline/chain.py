"""`[[stages]]`: the stages exist, their options are right, their order can work, and their models are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vfxswap.errors import ExitCode, ModelMissing, PluginError, Problem
from vfxswap.pipeline.order import Link, order_problems
from vfxswap.pipeline.plan import PlannedStage, stage_label
from vfxswap.pipeline.reading import Notes, nearest
from vfxswap.stage import KINDS, Stage, StageOptions

if TYPE_CHECKING:
    from vfxswap.host import Host
    from vfxswap.models import ModelStore


@dataclass(frozen=True, slots=True)
class Slot:
    """A stage as the file has it, as far as it could be read."""

    index: int
    name: str | None
    cls: type[Stage[Any]] | None
    options: StageOptions | None

    @property
    def label(self) -> str:
        """As messages name it."""
        return stage_label(self.index, self.name)


def read_stages(document: Mapping[str, Any], host: Host, notes: Notes) -> list[Slot]:
    """Reads the tables and finds the stages' classes."""
    tables = document.get("stages", [])
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        notes.add(Problem('must be tables, each written as [[stages]] with use = "..."', stage="stages"), "stages")
        return []
    return [_slot(index, table, host, notes) for index, table in enumerate(tables)]


def _slot(index: int, table: Mapping[str, Any], host: Host, notes: Notes) -> Slot:
    name = table.get("use")
    if not isinstance(name, str):
        wrong = "is missing" if name is None else "must be text"
        message = f"{wrong}; write the stage's name, as vfxswap plugins lists it"
        notes.add(Problem(message, stage=stage_label(index, None), key="use", value=name), "stages", index, "use")
        return Slot(index, None, None, None)
    cls = _class(index, name, host, notes)
    if cls is None:
        return Slot(index, name, None, None)
    settings = {key: value for key, value in table.items() if key != "use"}
    at, label = ("stages", index), stage_label(index, name)
    return Slot(index, name, cls, notes.read(cls.Options, settings, at=at, label=label, also=("use",), salvage=True))


def _class(index: int, name: str, host: Host, notes: Notes) -> type[Stage[Any]] | None:
    label, at = stage_label(index, name), ("stages", index, "use")
    if name not in host.stages and name not in {clash.name for clash in host.clashes if clash.what == "stage"}:
        notes.add(_unknown(label, name, host), *at)
        return None
    try:
        return host.stage_class(name)
    except PluginError as error:
        notes.add(Problem(str(error), stage=label, key="use", exit_code=error.exit_code), *at)
        return None


def _unknown(label: str, name: str, host: Host) -> Problem:
    """An unknown name that resembles a known one is a slip of the pen, any other a plugin that is not installed."""
    like = nearest(name, host.stages)
    broken = [record.owner for record in host.plugins if record.error is not None]
    hint = f" (it may be one of a broken plugin: {', '.join(broken)}; see vfxswap plugins)" if broken else ""
    return Problem(
        f"no plugin offers such a stage{hint}",
        stage=label,
        key="use",
        value=name,
        allowed=", ".join(sorted(host.stages)) or "none, as no plugin is installed",
        nearest=like,
        exit_code=ExitCode.USAGE if like else ExitCode.MISSING,
    )


def check_order(slots: Sequence[Slot], host: Host, notes: Notes) -> None:
    """Whether each stage gets what it needs; told only where every name is known, as else nothing can be said."""
    links = []
    for slot in slots:
        entry = host.stages.get(slot.name or "")
        cls = slot.cls or (KINDS[entry.offer.kind] if entry is not None else None)
        if slot.name is None or cls is None:
            return
        links.append(Link(slot.index, slot.name, cls))
    for index, problem in order_problems(links, host.stages):
        notes.add(problem, "stages", index)


def planned(slots: Sequence[Slot], host: Host, store: ModelStore, notes: Notes) -> tuple[PlannedStage, ...]:
    """The stages that could be read, with their models, which must be in the store."""
    found = []
    for slot in slots:
        if slot.name is None or slot.cls is None or slot.options is None:
            continue
        models = tuple(slot.cls.models(slot.options))
        for model in models:
            try:
                store.path(model)
            except ModelMissing as error:
                problem = Problem(str(error), stage=slot.label, exit_code=error.exit_code)
                notes.add(problem, "stages", slot.index)
        found.append(PlannedStage(slot.index, slot.name, slot.cls, slot.options, host.owner(slot.name), models))
    return tuple(found)
