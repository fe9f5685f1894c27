"""The reference page of pipeline files, made from the very records that check them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from vfxswap.pipeline.order import ASSET_WORDS
from vfxswap.pipeline.tables import Delivery, FaceRule, IdentityEntry, Shot
from vfxswap.pipeline.words import deref, describe, without_null
from vfxswap.stage import Stage

if TYPE_CHECKING:
    from vfxswap.host import Host

_KIND_TITLES = {
    "detector": "Detectors",
    "tracker": "Trackers",
    "aligner": "Aligners",
    "swapper": "Swappers",
    "matte": "Mattes",
    "color": "Colour matches",
    "deflicker": "De-flicker",
    "finish": "Finish",
    "blend": "Blends",
    "stage": "Other stages",
}

_HEAD = """\
# Pipeline files

<!-- Made by `vfxswap docs` from the options of the stages; do not edit. -->

A pipeline file is TOML. It names a plate, who is put in, the stages in their order, and the delivery. Paths in it are
relative to the file itself. `vfxswap check FILE` says everything that is wrong with one without decoding a frame, and
`vfxswap schema` prints a JSON Schema for editors. Unknown keys, wrong types and values out of bounds are refused.

Any value can be given on the command line in the file's place, as `--set KEY=VALUE`: `--set shot.on_missing=fail`,
`--set identities.hero.face.by=left`, `--set delivery.path=b.mov`. A stage is named by what it uses, or by its number
counted from 0 where two are of one name: `--set stages.3.strength=0.5`. Messages count stages from 0 too. A path in
`--set` is relative to the pipeline file, as one in the file is; `--plate` and `--out` to the current folder.
"""

_STAGES = """\
## [[stages]]

Each `[[stages]]` has `use`, the name of a stage as `vfxswap plugins` lists it, and that stage's own keys. The order
matters: a stage needs what those before it give, and this is checked before the first frame. A pipeline without stages
passes the plate through.
"""


def reference(host: Host) -> str:
    """The page, in Markdown, for the stages and writers of `host`.

    Raises:
        PluginError: A stage or writer cannot be imported.
    """
    parts = [
        _HEAD,
        *_table("[shot]", "The plate, what is known of it, and for whom it is.", Shot),
        *_table(
            "[identities.NAME]",
            "Who is put in. Each identity has a name of its own, which swappers use.",
            IdentityEntry,
        ),
        *_table(
            "face", "Which face of the plate becomes the identity. No two identities take the same.", FaceRule, level=3
        ),
        _STAGES,
        *_kinds(host),
        *_table("[delivery]", "Where the result goes. Every other key is an option of the writer.", Delivery),
        *_writers(host),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _kinds(host: Host) -> Iterator[str]:
    for kind, title in _KIND_TITLES.items():
        names = sorted(name for name, entry in host.stages.items() if entry.offer.kind == kind)
        if names:
            yield f"### {title}\n"
            yield from (line for name in names for line in _stage(name, host))


def _stage(name: str, host: Host) -> list[str]:
    cls = host.stage_class(name)
    offer = host.stages[name].offer
    summary = f"{offer.summary[:1].upper()}{offer.summary[1:]}. " if offer.summary else ""
    return _table(f"`{name}`", f"{summary}{_flow(cls)}", cls.Options, level=4)


def _flow(cls: type[Stage[Any]]) -> str:
    needs = ", ".join(words for asset, words in ASSET_WORDS.items() if asset in cls.needs) or "nothing"
    gives = ", ".join(words for asset, words in ASSET_WORDS.items() if asset in cls.gives) or "nothing"
    return f"Needs {needs}; gives {gives}."


def _writers(host: Host) -> Iterator[str]:
    for name in sorted(host.writers):
        suffixes = host.writers[name].offer.suffixes
        writer = host.writer_for(Path(f"name{suffixes[0]}"))
        yield from _table(f"`{name}`", f"For {', '.join(suffixes)}.", writer.Options, level=3)


def _table(title: str, text: str, model: type[BaseModel], *, level: int = 2) -> list[str]:
    """A heading, a sentence, and a row for each key."""
    root = model.model_json_schema()
    rows = [_row(root, key, part, key in root.get("required", ())) for key, part in root.get("properties", {}).items()]
    lines = [f"{'#' * level} {title}\n", f"{text}\n"]
    if rows:
        lines += ["| key | what may stand there | default | meaning |", "|---|---|---|---|", *rows, ""]
    return lines


def _row(root: dict[str, Any], key: str, part: dict[str, Any], required: bool) -> str:
    part = without_null(deref(root, part))
    default = "**required**" if required else _default(part)
    cells = (f"`{key}`", describe(root, part), default, part.get("description", ""))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(part: dict[str, Any]) -> str:
    if "default" not in part:
        return ""
    if part.get("type") == "object":
        return "see below"
    return f"`{json.dumps(part['default'], ensure_ascii=False)}`"
