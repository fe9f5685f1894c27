"""`[identities]`: who is put in, in whose place, and whether the consent records allow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from vfxswap.errors import Problem
from vfxswap.identity import Identity, consent_problems, load_identity
from vfxswap.pipeline.chain import Slot
from vfxswap.pipeline.reading import Notes, nearest
from vfxswap.pipeline.tables import IdentityEntry, Shot
from vfxswap.stage import Swapper, SwapperOptions


def read_identities(document: Mapping[str, Any], notes: Notes) -> dict[str, IdentityEntry]:
    """Reads the tables; those that are wrong are left out."""
    tables = document.get("identities", {})
    if not isinstance(tables, Mapping):
        notes.add(Problem("must be tables, [identities.NAME]", stage="identities", value=tables), "identities")
        return {}
    entries = {}
    for name, table in tables.items():
        label = f"identities.{name}"
        if not isinstance(table, Mapping):
            notes.add(Problem(f"must be a table, [{label}]", stage=label, value=table), "identities", name)
        elif (
            entry := notes.read(IdentityEntry, table, at=("identities", name), label=label, salvage=True)
        ) is not None:
            entries[name] = entry
    blamed = {problem.stage for problem in notes.problems}
    _same_face({name: entry for name, entry in entries.items() if f"identities.{name}" not in blamed}, notes)
    return entries


def _same_face(entries: Mapping[str, IdentityEntry], notes: Notes) -> None:
    taken: dict[str, str] = {}
    for name, entry in entries.items():
        rule = entry.face.model_dump_json()
        first = taken.setdefault(rule, name)
        if first != name:
            notes.add(
                Problem(
                    f"takes the same face of the plate as identity {first!r} ({entry.face}); say which face becomes"
                    ' whom, such as face = {by = "left", rank = 2}',
                    stage=f"identities.{name}",
                    key="face",
                ),
                *("identities", name, "face"),
            )


def open_identities(
    entries: Mapping[str, IdentityEntry], shot: Shot | None, today: date, notes: Notes
) -> dict[str, Identity]:
    """Reads the identities' folders and holds their consent against the shot."""
    found = {}
    for name, entry in entries.items():
        identity, problems = load_identity(name, entry.path)
        for problem in problems:
            notes.add(problem, "identities", name, "path")
        if identity is not None:
            found[name] = identity
            _consent(identity, shot, today, notes)
    if entries and shot is not None and shot.production is None:
        message = "is missing: consent is given for productions, so a pipeline that puts a face in must say its own"
        notes.add(Problem(message, stage="shot", key="production", allowed="text"), "shot", "production")
    return found


def _consent(identity: Identity, shot: Shot | None, today: date, notes: Notes) -> None:
    if shot is None or shot.production is None:
        return
    where = f"identities.{identity.name}"
    purpose, production = shot.purpose, shot.production
    for problem in consent_problems(identity, production=production, purpose=purpose, today=today, where=where):
        notes.add(problem, "identities", identity.name)


def check_parts(
    slots: Sequence[Slot], document: Mapping[str, Any], identities: Mapping[str, Identity], notes: Notes
) -> None:
    """Whether the swappers and the identities name one another.

    Args:
        slots: The stages.
        document: The pipeline file, for all names under [identities], usable or not.
        identities: Those that can be used.
        notes: Takes what is wrong.
    """
    tables = document.get("identities", {})
    names = list(tables) if isinstance(tables, Mapping) else []
    used: set[str] = set()
    for slot in slots:
        if isinstance(slot.options, SwapperOptions):
            used.add(slot.options.identity)
            _check_part(slot, slot.options.identity, names, identities, notes)
    if any(slot.options is None for slot in slots) or not used.issubset(names):
        return  # a stage that could not be read, or a name that is misspelt, may be the one that means it
    for name in names:
        if name not in used:
            message = f'is not used by any stage; remove it, or write identity = "{name}" in a swapper'
            notes.add(Problem(message, stage=f"identities.{name}"), "identities", name)


def _check_part(slot: Slot, name: str, names: Sequence[str], identities: Mapping[str, Identity], notes: Notes) -> None:
    at = ("stages", slot.index, "identity")
    if name not in names:
        allowed = ", ".join(names) or f"none, as the file has no [identities.{name}]"
        message = "there is no such identity in the pipeline file"
        like = nearest(name, names)
        notes.add(Problem(message, stage=slot.label, key="identity", value=name, allowed=allowed, nearest=like), *at)
    elif name in identities and not identities[name].stills and _wants_stills(slot):
        message = f"this stage needs stills of identity {name!r}; put still*.jpg (.png, .tif, .exr) into its folder"
        notes.add(Problem(message, stage=slot.label, key="identity", value=str(identities[name].folder)), *at)


def _wants_stills(slot: Slot) -> bool:
    return slot.cls is not None and issubclass(slot.cls, Swapper) and slot.cls.wants_stills()
