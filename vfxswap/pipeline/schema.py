"""The JSON Schema of a pipeline file, with the options of every stage and writer of this machine.

Editors complete and check pipeline files by it (Even Better TOML, taplo). It says what may stand where; what a pipeline
names, and whether the stages' order can work, only `vfxswap check` knows.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from vfxswap.errors import PluginError
from vfxswap.pipeline.tables import Delivery, IdentityEntry, Shot
from vfxswap.pipeline.words import without_null

if TYPE_CHECKING:
    from vfxswap.host import Host

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(host: Host) -> dict[str, Any]:
    """The schema of the pipeline files that the plugins of `host` can run.

    A stage or writer whose class cannot be imported stands in it with any keys, and the reason in its description.
    """
    defs: dict[str, Any] = {}
    stages = [_stage(name, host, defs) for name in sorted(host.stages)]
    writers = [_writer(name, host, defs) for name in sorted(host.writers)]
    return {
        "$schema": DIALECT,
        "title": "vfxswap pipeline file",
        "type": "object",
        "additionalProperties": False,
        "required": ["shot", "delivery"],
        "properties": {
            "shot": {
                **_table(Shot, "shot", defs),
                "description": "The plate, what is known of it, and for whom it is.",
            },
            "identities": {
                "type": "object",
                "description": "Who is put in, each by a name of its own: [identities.NAME].",
                "additionalProperties": _table(IdentityEntry, "identity", defs),
            },
            "stages": {
                "type": "array",
                "description": "The steps, in order; each is a [[stages]].",
                "items": {"oneOf": stages} if stages else False,
            },
            "delivery": {"description": "Where the result goes, and how.", "oneOf": writers} if writers else False,
        },
        "$defs": defs,
    }


def _stage(name: str, host: Host, defs: dict[str, Any]) -> dict[str, Any]:
    offer = host.stages[name].offer
    summary = f"{offer.kind}: {offer.summary}" if offer.summary else offer.kind
    use = {"const": name, "type": "string", "description": summary}
    try:
        table = _table(host.stage_class(name).Options, f"stage.{name}", defs)
    except PluginError as error:
        table = _unknown(error)
    return {
        **table,
        "title": name,
        "properties": {"use": use, **table["properties"]},
        "required": _needed(table, "use"),
    }


def _writer(name: str, host: Host, defs: dict[str, Any]) -> dict[str, Any]:
    suffixes = host.writers[name].offer.suffixes
    own = _table(Delivery, "delivery", defs)["properties"]
    path = {**own["path"], "pattern": rf"({'|'.join(_any_case(suffix) for suffix in suffixes)})$"}
    try:
        table = _table(host.writer_for(Path(f"name{suffixes[0]}")).Options, f"writer.{name}", defs)
    except PluginError as error:
        table = _unknown(error)
    properties = {**own, "path": path, **table["properties"]}
    return {**table, "title": name, "properties": properties, "required": _needed(table, "path")}


def _any_case(suffix: str) -> str:
    """A suffix as a pattern; JSON Schema has no flag for it."""
    return "".join(f"[{c}{c.upper()}]" if c.isalpha() else rf"\{c}" if c == "." else c for c in suffix)


def _unknown(error: PluginError) -> dict[str, Any]:
    first = str(error).partition("\n")[0]
    return {"type": "object", "properties": {}, "description": f"Its keys are not known here: {first}"}


def _needed(table: dict[str, Any], first: str) -> list[str]:
    return [first, *table.get("required", ())]


def _table(model: type[BaseModel], prefix: str, defs: dict[str, Any]) -> dict[str, Any]:
    """A record's schema; what it refers to goes to `defs` under names of its own."""
    found = model.model_json_schema(ref_template=f"#/$defs/{prefix}.{{model}}")
    defs |= {f"{prefix}.{name}": _in_toml(part) for name, part in found.pop("$defs", {}).items()}
    found.pop("description", None)  # the docstring, which is for programmers
    return {"properties": {}, **_in_toml(found)}


def _in_toml(table: dict[str, Any]) -> dict[str, Any]:
    """Without nulls, which TOML does not have, and without titles that only repeat the key."""
    if "properties" not in table:
        return table
    properties = {
        key: {word: value for word, value in without_null(part).items() if word != "title"}
        for key, part in table["properties"].items()
    }
    return {**table, "properties": properties}
