"""`[delivery]`: its writer can make it of this plate, its folder can be written to, and it overwrites no input."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from vfxswap.errors import PluginError, Problem, UsageError
from vfxswap.files import FramePattern
from vfxswap.layers import LayerName, LayerOrder, Storing, layer_files, ordered
from vfxswap.media import DeliveryOptions, Writer
from vfxswap.pipeline.chain import Slot
from vfxswap.pipeline.plate import OpenedPlate
from vfxswap.pipeline.reading import Notes
from vfxswap.pipeline.tables import Delivery
from vfxswap.stage import SwapperOptions

if TYPE_CHECKING:
    from vfxswap.host import Host

_OWN_KEYS = tuple(Delivery.model_fields)


@dataclass(frozen=True, slots=True)
class Goal:
    """Where the result goes, as far as it could be read."""

    path: Path
    layers: tuple[LayerName, ...]
    layers_as: Storing
    writer: type[Writer] | None
    options: DeliveryOptions | None
    timeline: Path | None = None
    """The timeline to write the result to."""


def read_delivery(document: Mapping[str, Any], host: Host, notes: Notes) -> Goal | None:
    """Reads the table with the writer's own options."""
    table = document.get("delivery")
    if not isinstance(table, Mapping):
        wrong = "is missing" if table is None else "must be a table"
        notes.add(Problem(f"{wrong}; write [delivery] with path = ...", stage="delivery", value=table), "delivery")
        return None
    own = {key: value for key, value in table.items() if key in _OWN_KEYS}
    head = notes.read(Delivery, own, at=("delivery",), label="delivery")
    if head is None:
        return None
    layers = ordered(head.layers)
    try:
        writer = host.writer_for(head.path)
    except PluginError as error:
        problem = Problem(str(error), stage="delivery", key="path", exit_code=error.exit_code)
        notes.add(problem, "delivery", "path")
        return Goal(head.path, layers, head.layers_as, None, None, head.timeline)
    rest = {key: value for key, value in table.items() if key not in _OWN_KEYS}
    options = notes.read(writer.Options, rest, at=("delivery",), label="delivery", also=_OWN_KEYS)
    return Goal(head.path, layers, head.layers_as, writer, options, head.timeline)


def check_delivery(goal: Goal, plate: OpenedPlate | None, inputs: Iterable[tuple[str, Path]], notes: Notes) -> None:
    """Whether this delivery can be made.

    Args:
        goal: What is asked for.
        plate: The plate, if it could be opened.
        inputs: What the run reads, in words and as a path.
        notes: Takes what is wrong.
    """

    def wrong(message: str, key: str = "path", value: object = None) -> None:
        notes.add(Problem(message, stage="delivery", key=key, value=value), "delivery", key)

    frames = plate.frames if plate is not None else ()
    targets = [goal.path, *_layer_patterns(goal, plate)]
    taken = next((what for what, path in inputs for target in targets if _overlap(target, path, frames)), None)
    if taken is not None:
        wrong(f"would overwrite {taken}; give the delivery another name", value=str(goal.path))
    if goal.path.is_dir():
        wrong("is a folder; give the file's name too", value=str(goal.path))
    elif (unwritable := _unwritable(goal.path.parent)) is not None:
        wrong(unwritable, value=str(goal.path))
    if plate is None or plate.tags is None or goal.writer is None or goal.options is None:
        return
    for message in goal.writer.problems(goal.path, goal.options, plate.info, plate.tags):
        notes.add(Problem(message, stage="delivery"), "delivery")


def order_of(goal: Goal, slots: Sequence[Slot]) -> LayerOrder:
    """The layers that are asked for, with those who may be in them."""
    put_in = [slot.options.identity for slot in slots if isinstance(slot.options, SwapperOptions)]
    return LayerOrder(goal.layers, goal.layers_as, tuple(dict.fromkeys(put_in)), _pictured(goal))


def _pictured(goal: Goal) -> tuple[LayerName, ...]:
    if goal.writer is None or goal.options is None:
        return ()
    return goal.writer.pictured_layers(goal.options)


def check_layers(goal: Goal, plate: OpenedPlate | None, slots: Sequence[Slot], notes: Notes) -> None:
    """Whether the stages make what the layers show, and the writer can store them.

    Args:
        goal: What is asked for.
        plate: The plate, if it could be opened.
        slots: The stages.
        notes: Takes what is wrong.
    """

    def wrong(message: str, key: str = "layers", value: object = None) -> None:
        notes.add(Problem(message, stage="delivery", key=key, value=value), "delivery", key)

    shown = (*goal.layers, *_pictured(goal))
    if shown and not any(slot.cls is None or "result" in slot.cls.gives for slot in slots):
        what, key = ("show", "layers") if goal.layers else ("the picture is to hold", "alpha")
        wrong(f"{what} what a blend puts in, and no stage does; add one, or leave {key} out", key, list(shown))
    if not goal.layers or goal.writer is None:
        return
    order = order_of(goal, slots)
    info = None if plate is None else plate.info
    for message in goal.writer.layer_problems(goal.path, goal.options, order, info):
        wrong(message, "layers", list(goal.layers))


def check_timeline(goal: Goal, plate: OpenedPlate | None, source: Path | None, notes: Notes) -> None:
    """Whether the result can be written to a timeline.

    Args:
        goal: What is asked for.
        plate: The plate, if it could be opened.
        source: The timeline that is read, if there is one.
        notes: Takes what is wrong.
    """
    if goal.timeline is None:
        return
    from vfxswap.timeline import timeline_problem  # noqa: PLC0415 - takes a moment that few pipelines need

    found = timeline_problem(goal.timeline, source) or _unwritable(goal.timeline.parent)
    whole = () if plate is None else plate.wanted.edit.whole
    if found is None and whole and len(whole) <= whole[-1] - whole[0]:
        found = f"a timeline wants every frame, and {whole} leaves some out; leave timeline out, or the step in frames"
    if found is not None:
        value = str(goal.timeline)
        notes.add(Problem(found, stage="delivery", key="timeline", value=value), "delivery", "timeline")


def paths_in(value: object) -> Iterator[Path]:
    """The paths among a record's values, at any depth."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from paths_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from paths_in(item)
    elif isinstance(value, tuple | list | set | frozenset):
        for item in value:
            yield from paths_in(item)


def _overlap(delivery: Path, source: Path, frames: Sequence[int]) -> bool:
    """Whether a file of the delivery is a file of the source, by whatever name, link or mount."""
    if delivery.resolve() == source.resolve():
        return True
    sources = {found for path in _files(source, frames) if (found := _file_id(path)) is not None}
    return bool(sources) and any(_file_id(path) in sources for path in _files(delivery, frames))


def _layer_patterns(goal: Goal, plate: OpenedPlate | None) -> list[Path]:
    try:
        files = layer_files(goal.path, LayerOrder(goal.layers, goal.layers_as), frames=plate.info.count if plate else 1)
    except UsageError:
        return []  # the writer says what is wrong with the name
    return [pattern.pattern for pattern in files.values()]


def _files(path: Path, frames: Sequence[int]) -> list[Path]:
    """The files of a sequence's frames, or the file itself."""
    try:
        return FramePattern(path).paths(frames) or [path]
    except UsageError:
        return [path]  # whoever reads or writes it says what is wrong with the name


def _file_id(path: Path) -> tuple[int, int] | None:
    """Device and inode, which hard links share."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _unwritable(folder: Path) -> str | None:
    """Why no file can be made in a folder, or in the nearest one that exists of those above; None if one can."""
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not there.is_dir():
            return f"{there} is a file, so it cannot be a folder for the delivery; choose another"
        # Only trying tells: permissions alone say nothing of a read-only mount, a root-squashed share or a quota.
        with tempfile.TemporaryFile(dir=there):
            return None
    except OSError as error:
        reason = error.strerror or str(error)
        return f"nothing can be written in {folder}: {reason}; choose another folder, or have its permissions changed"
