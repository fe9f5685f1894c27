"""`--set KEY=VALUE`: one value of a pipeline file, given on the command line.

A key is the path to the value: `shot.on_missing`, `delivery.codec`, `identities.hero.path`, and for a stage its name or
its number counted from 0: `stages.mkl.strength`, `stages.4.strength`. The value is read as TOML, or else is the text
itself, so that `delivery.codec=ffv1` needs no quotes.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli

from vfxswap.errors import Problem
from vfxswap.pipeline.reading import DocPath, nearest

_FRAMES = "--frames {}"


@dataclass(frozen=True, slots=True)
class Override:
    """One value that stands in the place of the file's."""

    keys: tuple[str, ...]
    value: object
    words: str
    """As the command line says it."""


def from_flags(*, plate: Path | None, out: Path | None, frames: str | None, clip: str | None = None) -> list[Override]:
    """The overrides that have an option of their own; their paths are relative to the current folder."""
    found = []
    if plate is not None:
        found.append(Override(("shot", "plate"), str(plate.absolute()), f"--plate {plate}"))
    if frames is not None:
        found.append(Override(("shot", "frames"), frames, _FRAMES.format(frames)))
    if clip is not None:
        found.append(Override(("shot", "clip"), clip, f"--clip {clip}"))
    if out is not None:
        found.append(Override(("delivery", "path"), str(out.absolute()), f"--out {out}"))
    return found


def own_frames(document: dict[str, Any], overrides: Sequence[Override]) -> str | None:
    """What a pipeline file says of its frames, or `--set` in its place, whatever `--frames` says."""
    shot = document.get("shot")
    value = shot.get("frames") if isinstance(shot, dict) else None
    for override in overrides:
        if override.keys == ("shot", "frames") and override.words != _FRAMES.format(override.value):
            value = override.value
    return None if value is None else str(value)


def parse(text: str) -> Override | Problem:
    """Reads `KEY=VALUE`."""
    words = f"--set {text}"
    key, equals, value = text.partition("=")
    keys = _keys(key)
    if not equals or keys is None:
        return Problem(
            "cannot be read", file=words, allowed="KEY=VALUE, such as shot.on_missing=fail or stages.NAME.KEY=0.5"
        )
    return Override(keys, _value(value.strip()), words)


def _keys(text: str) -> tuple[str, ...] | None:
    """A dotted key of TOML, its parts quoted or not."""
    try:
        table: Any = tomli.loads(f"{text.strip()} = 0") if "\n" not in text else {}
    except tomli.TOMLDecodeError:
        return None
    keys: list[str] = []
    while isinstance(table, dict):
        if len(table) != 1:
            return None
        ((key, table),) = table.items()
        keys.append(key)
    return tuple(keys)


def _value(text: str) -> object:
    try:
        return tomli.loads(f"value = {text}")["value"] if "\n" not in text else text
    except tomli.TOMLDecodeError:
        return text


def apply(
    document: dict[str, Any], overrides: Sequence[Override]
) -> tuple[dict[str, Any], dict[DocPath, str], list[Problem]]:
    """Puts the values in.

    Returns:
        The changed copy of the document, which words set which of its values, and what is wrong with the keys.
    """
    document, words, problems = deepcopy(document), {}, []
    for override in overrides:
        at, problem = _resolved(document, override)
        if problem is None:
            problem = _put(document, at, override)
        if problem is None:
            words[at] = override.words
        else:
            problems.append(problem)
    return document, words, problems


def _resolved(document: dict[str, Any], override: Override) -> tuple[DocPath, Problem | None]:
    """The override's place, with a stage's name turned into its number."""
    if override.keys[0] != "stages":
        return override.keys, None
    stages = document.get("stages", [])
    names = (
        [stage.get("use") if isinstance(stage, dict) else None for stage in stages] if isinstance(stages, list) else []
    )
    if len(override.keys) < 3:
        return (), Problem(
            "must name a stage and its key", file=override.words, allowed="stages.NAME.KEY or stages.3.KEY"
        )
    which = override.keys[1]
    found = [index for index, name in enumerate(names) if name == which]
    if not found and which.isdecimal() and int(which) < len(names):
        found = [int(which)]
    if len(found) == 1:
        return ("stages", found[0], *override.keys[2:]), None
    if found:
        places = " or ".join(f"stages.{index}.{'.'.join(override.keys[2:])}" for index in found)
        message = f"the pipeline has {len(found)} stages {which!r}; write {places}"
        return (), Problem(message, file=override.words)
    known = [name for name in names if isinstance(name, str)]
    return (), Problem(
        "the pipeline has no such stage",
        file=override.words,
        value=which,
        allowed=", ".join(known) or "none, as it has no stages",
        nearest=nearest(which, known),
    )


def _put(document: dict[str, Any], at: DocPath, override: Override) -> Problem | None:
    here: Any = document
    for part in at[:-1]:
        here = here.setdefault(part, {}) if isinstance(here, dict) else here[part]
        if not isinstance(here, dict | list):
            return Problem(f"{part} is no table that has keys", file=override.words, value=here)
    if not isinstance(here, dict):
        return Problem("only a key of a table can be set", file=override.words)
    here[at[-1]] = override.value
    return None
