"""The content key of a run: the same key, the same frames.

It is made of what a frame's pixels depend on: settings, the files that are read (by size and time, as a plate is too
large to be read for this), the models by their sha256, and the versions of what computes. The delivery's name and
folder are no part of it, nor which frames of the plate are asked for: chunks of one shot share their key.

What is known of the plate can be had apart, frame by frame: who replaces one file of a sequence does not change what
all frames are made of.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import vfxswap
from vfxswap.errors import UsageError
from vfxswap.files import FramePattern
from vfxswap.pipeline.colour import color_facts
from vfxswap.pipeline.plan import Pipeline

_LIBRARIES = ("torch", "kornia", "numpy", "opencv-python-headless", "onnxruntime", "onnxruntime-gpu")
"""Installed packages whose version can change a result; ONNX Runtime is installed as one of two."""

_NO_PIXELS = {"color_config", "frames", "timeline", "clip", "media", "handles", "plate", "analysis", "edits"}
"""Keys of [shot] that say which frames of which plate, and not what becomes of them; the configuration and
edits count by what they hold, the plate by its name and, apart, by its files."""

_OF_PLATE = (
    *("first", "count", "width", "height", "layout", "rate", "rate_from", "timecode", "timecode_runs"),
    *("pixel_aspect", "rotation", "interlaced", "display", "layer"),
)
"""Fields of a plate's header that may show in a frame which is far from where they were read."""


def content_key(plan: Pipeline) -> str:
    """A sha256 in hex over all that the delivery's frames depend on: what `settings_key` counts, and all of the plate.

    Args:
        plan: The pipeline; its own `key` does not count. Paths count relative to its folder, so a project may be moved.
    """
    whole = range(plan.plate.first, plan.plate.last + 1)
    stamps = [_stamp(path) for path in FramePattern(plan.plate.path).paths(whole)]
    return _digest([settings_key(plan), stamps])


def with_keys(plan: Pipeline) -> Pipeline:
    """The pipeline with the keys that are its own."""
    return replace(plan, key=content_key(plan), settings_key=settings_key(plan))


def settings_key(plan: Pipeline) -> str:
    """A sha256 in hex over all that the delivery's frames depend on, but for the plate's files.

    Counted are `[shot]` but for the frames asked for; the identities' folders, the colour space of their stills and the
    faces that they take; the stages' settings with all files these name, their owners with version, their models; the
    writer and its options; the kind of device, but not which one of that kind.

    Args:
        plan: The pipeline; see `content_key`.
    """
    facts: dict[str, Any] = {
        "versions": versions(),
        "device": plan.device.partition(":")[0],
        "shot": plan.shot.model_dump(exclude=_NO_PIXELS),
        "plate": _relative(plan.plate.path, plan.path.parent),
        "tags": [int(tag) for tag in (plan.tags.primaries, plan.tags.transfer, plan.tags.matrix, plan.tags.range)],
        "color": color_facts(plan.colors, plan.tags, plan.face, plan.identities.values()),
        "identities": {
            name: [plan.casting[name].model_dump(), identity.color_space, identity.folder]
            for name, identity in plan.identities.items()
        },
        "stages": [
            [
                stage.name,
                stage.owner,
                stage.options.model_dump(),
                [plan.store.card(name).sha256 for name in stage.models],
                [file.sha256 for file in stage.files],
            ]
            for stage in plan.stages
        ],
        "edits": plan.edits.facts() if plan.edits else [],
        "delivery": [plan.writer.name, plan.delivery_path.suffix, _layers(plan), plan.writer_options.model_dump()],
    }
    return _digest(facts, plan.path.parent)


class PlateKeys:
    """What is known of the plate, as far as a frame depends on it.

    Args:
        plan: The pipeline.
    """

    def __init__(self, plan: Pipeline) -> None:
        plate = plan.plate
        self._files = FramePattern(plate.path)
        self._first, self._last = plate.first, plate.last
        self._stamps: dict[int, list[Any]] = {}
        # A delivery's header has some of it; a stage is told of the plate's size and of its ends.
        head = {name: getattr(plate, name) for name in _OF_PLATE}
        self._head = [head, [int(tag) for tag in (plate.tags.primaries, plate.tags.transfer, plate.tags.matrix)]]

    def of(self, numbers: Iterable[int]) -> str:
        """A sha256 in hex over the plate's header and some of its frames; those that it has not do not count."""
        inside = [number for number in numbers if self._first <= number <= self._last]
        files = inside if self._files.is_numbered else inside[:1]
        return _digest([self._head, [self._stamped(number) for number in files]])

    def _stamped(self, number: int) -> list[Any]:
        if number not in self._stamps:
            self._stamps[number] = _stamp(self._files.path(number))
        return self._stamps[number]


def _digest(facts: object, folder: Path | None = None) -> str:
    text = json.dumps(facts, sort_keys=True, default=str if folder is None else partial(encode, folder))
    return hashlib.sha256(text.encode()).hexdigest()


def _layers(plan: Pipeline) -> list[Any]:
    """What is stored, and how; nothing where no layers are asked for."""
    order = plan.layers
    return [order.names, order.stored, order.identities] if order.names else []


def versions() -> dict[str, str]:
    """Of what computes."""
    found = {"vfxswap": vfxswap.__version__}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"  # such as one of ONNX Runtime's packages, or OpenCV under another name
    return found


def encode(folder: Path, value: object) -> object:
    """What JSON has no words for: paths with what they hold (relative to a folder), anything else by its own words."""
    if isinstance(value, Path):
        return [_relative(value, folder), _contents(value)]
    return sorted(map(str, value)) if isinstance(value, set | frozenset) else str(value)


def _relative(path: Path, folder: Path) -> str:
    path, folder = path.absolute(), folder.absolute()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()


def _contents(path: Path) -> list[Any]:
    """The stamps of a file, of a folder's files, or of a sequence's."""
    if path.is_dir():
        return [_stamp(file) for file in sorted(path.iterdir()) if file.is_file() and file.name != "identity.toml"]
    try:
        sequence = FramePattern(path).existing()
    except UsageError:
        sequence = {}  # two places for a number: a name like any other
    return [_stamp(file) for file in sequence.values()] or [_stamp(path)]


def _stamp(path: Path) -> list[Any]:
    """Name, bytes and time of modification."""
    try:
        stat = path.stat()
    except OSError:
        return [path.name]
    return [path.name, stat.st_size, stat.st_mtime_ns]
