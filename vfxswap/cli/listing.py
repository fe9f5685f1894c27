"""`vfxswap plugins`: what there is, from where, and what is broken; imports no stage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vfxswap.cli.output import columns, say
from vfxswap.hookspecs import StageOffer
from vfxswap.host import Entry, Host


def list_plugins(host: Host, *, as_json: bool) -> None:
    """Prints the listing."""
    found = described(host)
    if as_json:
        say(json.dumps(found, indent=2, ensure_ascii=False))
        return
    rows = [("NAME", "KIND", "VERSION", "DISTRIBUTION", "LICENCE", "WHAT")]
    for what in ("stages", "readers", "writers"):
        rows += [tuple(item[key] for key in _COLUMNS) for item in found[what]]
    say("\n".join(columns(rows)))
    for record in host.plugins:
        if record.error is not None:
            say(f"\nBROKEN {record.owner}, {record.location}: {record.error}")
    for clash in host.clashes:
        say(f"\nREFUSED {clash}")


_COLUMNS = ("name", "kind", "version", "distribution", "licence", "summary")


def described(host: Host) -> dict[str, Any]:
    """The listing as data: `plugins`, `stages`, `readers`, `writers`, `clashes`."""
    return {
        "plugins": [
            {
                "name": record.name,
                "distribution": record.distribution,
                "version": record.version,
                "location": record.location,
                "error": record.error,
            }
            for record in host.plugins
        ],
        "stages": _offers(host.stages, ""),
        "readers": _offers(host.readers, "reader"),
        "writers": _offers(host.writers, "writer"),
        "clashes": [str(clash) for clash in host.clashes],
    }


def _offers(entries: Mapping[str, Entry[Any]], kind: str) -> list[dict[str, Any]]:
    found = []
    for name, entry in sorted(entries.items()):
        offer = entry.offer
        found.append(
            {
                "name": name,
                "kind": offer.kind if isinstance(offer, StageOffer) else kind,
                "version": entry.plugin.version,
                "distribution": entry.plugin.distribution,
                "plugin": entry.plugin.name,
                "licence": offer.licence,
                "summary": offer.summary,
                **({} if isinstance(offer, StageOffer) else {"suffixes": list(offer.suffixes)}),
            }
        )
    return found
