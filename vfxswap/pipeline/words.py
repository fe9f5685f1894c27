"""JSON Schema in plain words: bounds, choices and kinds of a value, for messages and for the reference page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

_KINDS = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "a table",
}
_PLURALS = {
    "boolean": "true or false",
    "integer": "whole numbers",
    "number": "numbers",
    "string": "texts",
    "array": "lists",
    "object": "tables",
}
_FORMATS = {"path": "a path", "date": "a date", "date-time": "a time"}


def deref(root: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Follows `$ref` into `$defs`; what stands beside the reference stays (a description)."""
    while "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        schema = {**root["$defs"][name], **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """An optional value's schema without its null, which TOML does not have."""
    branches = [branch for branch in schema.get("anyOf", ()) if branch.get("type") != "null"]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if "anyOf" in schema and rest.get("default", ...) is None:
        del rest["default"]
    return {**rest, "anyOf": branches} if len(branches) > 1 else {**(branches[0] if branches else {}), **rest}


def choices(schema: dict[str, Any]) -> list[Any]:
    """The values that may stand there, of an enumeration or of the branches of a union."""
    named = [schema["const"]] if "const" in schema else schema.get("enum", [])
    return [*named, *(choice for branch in schema.get("anyOf", ()) for choice in choices(branch))]


def listed(words: Sequence[str]) -> str:
    """`a, b or c`."""
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def bounds(schema: dict[str, Any]) -> str:
    """`0..1`, `above 0, at most 3`, `1 or more`, a length; empty if there are none."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{low:g}..{high:g}"
    parts = [f"{low:g} or more"] if low is not None else []
    if "exclusiveMinimum" in schema:
        parts.append(f"above {schema['exclusiveMinimum']:g}")
    if "exclusiveMaximum" in schema:
        parts.append(f"below {schema['exclusiveMaximum']:g}")
    parts += [f"at most {high:g}"] if high is not None else []
    return ", ".join([*parts, *_lengths(schema)])


def _lengths(schema: dict[str, Any]) -> list[str]:
    words = []
    for unit, least, most in (("characters", "minLength", "maxLength"), ("items", "minItems", "maxItems")):
        low, high = schema.get(least), schema.get(most)
        if low == 1 and high is None:
            words.append("not empty")
        elif low is not None and low == high:
            words.append(f"{low} {unit}")
        else:
            words += [f"at least {low} {unit}"] if low is not None else []
            words += [f"at most {high} {unit}"] if high is not None else []
    if "pattern" in schema:
        words.append(f"like {schema['pattern']}")
    return words


def describe(root: dict[str, Any], schema: dict[str, Any], *, bare: bool = False) -> str:
    """What a value is: `a number, 0..1`, `"frame" or "shot"`, `"auto" or a list of whole numbers`.

    Args:
        root: The schema that holds the definitions.
        schema: The value's schema.
        bare: Leaves out bounds.
    """
    schema = without_null(deref(root, schema))
    if "anyOf" in schema and "enum" not in schema:
        return listed([describe(root, branch, bare=bare) for branch in schema["anyOf"]])
    if not bare and (names := choices(schema)):
        return listed([json.dumps(name) for name in names])
    kind = _kind(root, schema)
    limits = "" if bare else bounds(schema)
    return f"{kind}, {limits}" if limits else kind


def _kind(root: dict[str, Any], schema: dict[str, Any]) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    kind = schema.get("type")
    if kind == "array" and isinstance(schema.get("items"), dict):
        items = without_null(deref(root, schema["items"]))
        named = choices(items)
        inner = (
            listed([json.dumps(name) for name in named]) if named else _PLURALS.get(str(items.get("type")), "values")
        )
        limits = bounds(items)
        return f"a list of {inner}, {limits} each" if limits else f"a list of {inner}"
    return _KINDS.get(str(kind), "a value")


def kind_of(value: object) -> str:
    """What a TOML value is, in the same words."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int):
        return "a whole number"
    if isinstance(value, float):
        return "a decimal number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "a list"
    return "a table" if isinstance(value, dict) else f"a {type(value).__name__}"
