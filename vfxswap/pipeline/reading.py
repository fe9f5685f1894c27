"""Reads a table into its record and puts what is wrong with it into words.

pydantic finds the errors; the words come from the record's own JSON Schema, so that bounds, choices and names in a
message can never differ from what is checked.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from vfxswap.errors import Problem
from vfxswap.pipeline.words import bounds, choices, deref, describe, kind_of, without_null

ModelT = TypeVar("ModelT", bound=BaseModel)

DocPath = tuple[str | int, ...]
"""Where something stands in a pipeline file: `("stages", 4, "strength")`."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from: the file, or a word of the command line that stands in its place."""

    file: Path
    overrides: Mapping[DocPath, str] = field(default_factory=dict)
    """The words of the command line, by what they set."""

    def of(self, *path: str | int) -> str:
        """The file, or the words that set this value or what it stands in."""
        return next((words for at, words in self.overrides.items() if path[: len(at)] == at), str(self.file))


def nearest(name: object, names: Iterable[str]) -> str | None:
    """The name that is most like another one, or has such a word (`fether`: `feather_percent`); None if none is."""
    wrong, known = str(name).lower(), list(names)
    spelt = {whole.lower(): whole for whole in reversed(known)}
    if close := difflib.get_close_matches(wrong, spelt, n=1):
        return spelt[close[0]]
    words = {word: whole for whole in reversed(known) for word in re.split(r"[_-]", whole)}
    close = difflib.get_close_matches(wrong, words, n=1, cutoff=0.75)
    return words[close[0]] if close else None


@dataclass(slots=True)
class Notes:
    """What is wrong, collected while a pipeline file is read."""

    origin: Origin
    problems: list[Problem] = field(default_factory=list)

    def add(self, problem: Problem, *at: str | int) -> None:
        """Takes a problem; one that names no file is blamed on what set the value at that place."""
        self.problems.append(problem if problem.file else replace(problem, file=self.origin.of(*at)))

    def read(
        self,
        model: type[ModelT],
        table: Mapping[str, Any],
        *,
        at: DocPath,
        label: str,
        also: Sequence[str] = (),
        salvage: bool = False,
    ) -> ModelT | None:
        """Validates a table; a relative path in it is relative to the pipeline file's folder.

        Args:
            model: Its record.
            table: As TOML has it.
            at: Where the table stands.
            label: How a message names the table: `shot`, `stages[3] (mkl)`.
            also: Keys that belong to the table and are read elsewhere, for what is said of an unknown one.
            salvage: Where something is wrong, read what is right, so that it can be checked further in the same go.

        Returns:
            The record; None where something is wrong with it, or if salvaged where too much is. What is wrong is among
            the problems.
        """
        try:
            return self._validated(model, table)
        except ValidationError as error:
            found = _grouped(error, table)
        schema = model.model_json_schema()
        for path, errors in found.items():
            self.add(replace(_problem(schema, table, path, errors, also), stage=label), *at, *path)
        if not salvage:
            return None
        wrong = {path[0] for path in found if path}
        try:
            return self._validated(model, {key: value for key, value in table.items() if key not in wrong})
        except ValidationError:
            return None

    def _validated(self, model: type[ModelT], table: Mapping[str, Any]) -> ModelT:
        # TOML's values are those of JSON and times; in JSON's terms a list may become a tuple or a set, text a path or
        # an enumeration, though everything else is strict.
        text = json.dumps(table, default=_encode)
        return model.model_validate_json(text, context={"folder": self.origin.file.parent})

    def blames(self, label: str, key: str) -> bool:
        """Whether something is wrong with that key already."""
        return any(problem.stage == label and problem.key == key for problem in self.problems)


def _encode(value: object) -> str:
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    raise TypeError(f"TOML has no {type(value).__name__}")


def _grouped(error: ValidationError, table: Mapping[str, Any]) -> dict[DocPath, list[Any]]:
    """Errors by the value that they blame; the branches of a union are errors of one value."""
    found: dict[DocPath, list[Any]] = {}
    for item in error.errors(include_url=False):
        found.setdefault(_data_path(item["loc"], table, missing=item["type"] == "missing"), []).append(item)
    return found


def _data_path(location: Sequence[str | int], data: Any, *, missing: bool) -> DocPath:
    """The part of pydantic's location that stands in the data; from a union on, it names branches instead."""
    path: list[str | int] = []
    for place, part in enumerate(location):
        inside = (isinstance(data, Mapping) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        )
        if inside:
            data = data[part]
        elif not (missing and place == len(location) - 1):
            break
        path.append(part)
    return tuple(path)


def _problem(
    schema: dict[str, Any], table: Mapping[str, Any], path: DocPath, errors: list[Any], also: Sequence[str]
) -> Problem:
    key = ".".join(str(part) for part in path) or None
    kind, here = errors[0]["type"], schema_at(schema, path)
    if kind == "missing":
        meaning = f": {here['description']}" if here.get("description") else ""
        return Problem(f"is missing{meaning}", key=key, allowed=describe(schema, here))
    value = _value_at(table, path) if path else None
    shown = None if isinstance(value, Mapping) else value
    if kind == "extra_forbidden":
        names = sorted([*schema_at(schema, path[:-1]).get("properties", {}), *(also if len(path) == 1 else ())])
        known = ", ".join(names) or "no keys"
        return Problem("unknown key", key=key, value=shown, allowed=known, nearest=nearest(path[-1], names))
    return Problem(
        _message(schema, here, value, errors),
        key=key,
        value=shown,
        allowed=_allowed(schema, here, errors),
        nearest=nearest(value, map(str, choices(here))) if isinstance(value, str) else None,
    )


def _message(schema: dict[str, Any], here: dict[str, Any], value: object, errors: list[Any]) -> str:
    kind = errors[0]["type"]
    if kind in {"value_error", "unknown_name"}:
        return str(errors[0].get("ctx", {}).get("error", errors[0]["msg"]))
    if len(errors) > 1 or kind in {"literal_error", "enum"}:
        return "is none of what may stand here"
    if kind.endswith(("_type", "_parsing", "_from_float")):
        return f"must be {describe(schema, here, bare=True)}, not {kind_of(value)}"
    if kind.startswith(("greater", "less")):
        return "is out of bounds"
    if kind in _LENGTHS:
        return _LENGTHS[kind]
    return str(errors[0]["msg"]).replace("Input should", "should", 1)


_LENGTHS = {
    "too_short": "has too few items",
    "too_long": "has too many items",
    "string_too_short": "is too short",
    "string_too_long": "is too long",
}


def _allowed(schema: dict[str, Any], here: dict[str, Any], errors: list[Any]) -> str | None:
    if errors[0]["type"] == "value_error":
        return None
    if len(errors) > 1:
        return describe(schema, here)
    return ", ".join(json.dumps(choice) for choice in choices(here)) or bounds(here) or None


def schema_at(schema: dict[str, Any], path: DocPath) -> dict[str, Any]:
    """The part of a JSON Schema that describes a value inside; empty if it describes none."""
    here = deref(schema, schema)
    for part in path:
        inner: Any = here.get("items") if isinstance(part, int) else here.get("properties", {}).get(part)
        if inner is None and not isinstance(part, int):
            inner = here.get("additionalProperties")
        if not isinstance(inner, dict):
            return {}
        here = deref(schema, inner)
    return without_null(here)


def _value_at(table: Mapping[str, Any], path: DocPath) -> Any:
    value: Any = table
    for part in path:
        value = value[part]
    return value
