"""`vfxswap models list | pull | verify`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence

from vfxswap.cli.output import columns, say
from vfxswap.errors import ExitCode, UsageError
from vfxswap.host import Host
from vfxswap.models import ModelStatus, ModelStore


def _store(host: Host) -> ModelStore:
    return ModelStore.from_environment(host.model_cards())


def list_models(host: Host, *, as_json: bool) -> None:
    """Prints every model that the plugins know."""
    store = _store(host)
    states = store.status()
    if as_json:
        found = [
            {**state.card.model_dump(), "path": None if state.path is None else str(state.path)} for state in states
        ]
        say(json.dumps({"folders": [str(folder) for folder in store.folders], "models": found}, indent=2))
        return
    rows = [("NAME", "SIZE", "LICENCE", "PAID WORK", "WHERE"), *(_row(state) for state in states)]
    say("\n".join(columns(rows)))
    say(f"\nfolders: {', '.join(str(folder) for folder in store.folders)}")


def _row(state: ModelStatus) -> tuple[str, str, str, str, str]:
    card = state.card
    missing = f"missing; take it from {card.url}" if card.by_hand else "missing"
    where = missing if state.path is None else state.problem or str(state.path)
    return card.name, size_text(card.size), card.licence, "yes" if card.commercial else "no", where


def size_text(size: int) -> str:
    """`322 kB`, `12.3 MB`."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def pull_models(host: Host, names: Sequence[str], *, everything: bool) -> None:
    """Downloads models; those that a person must take from a page come last, and end it.

    Raises:
        UsageError: Neither a name nor everything was asked for.
        ModelMissing: A download failed, there is no such model, or it must be taken by hand.
    """
    store = _store(host)
    wanted = [state.card.name for state in store.status() if state.path is None] if everything else names
    if not wanted and not everything:
        raise UsageError(f"name the models to get, or --all; known: {', '.join(sorted(store.cards)) or 'none'}")
    for card in sorted(map(store.card, wanted), key=lambda card: card.by_hand):
        name = card.name
        if not card.by_hand:
            say(f"{name}: {size_text(card.size)} from {card.url} ({card.licence})")
        say(f"{name}: is at {store.pull(name, progress=_percent(name))}")


def _percent(name: str) -> Callable[[int, int], None]:
    """Counts on one line of a terminal; silent in a log."""
    if not sys.stdout.isatty():
        return lambda _done, _total: None

    def tell(done: int, total: int) -> None:
        sys.stdout.write(f"\r{name}: {100 * done // max(total, 1)} %" + ("\n" if done >= total else ""))
        sys.stdout.flush()

    return tell


def verify_models(host: Host) -> ExitCode:
    """Compares every model with its pinned sha256; a wrong one is `ExitCode.MISSING`, one that is not there is not."""
    states = _store(host).verify()
    rows = [
        (state.card.name, state.problem or ("missing" if state.path is None else f"ok, {state.path}"))
        for state in states
    ]
    say("\n".join(columns(rows)))
    return ExitCode.MISSING if any(state.problem for state in states) else ExitCode.OK
