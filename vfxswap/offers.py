"""Asks one plugin what it offers, and holds its answers to the contract.

Each plugin has a pluggy manager of its own, so that whatever it does wrong is its own fault and stops no other.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, TypeVar, get_args

import pluggy

from vfxswap.discovery import Source
from vfxswap.errors import PluginError
from vfxswap.hookspecs import API_VERSION, PROJECT, Hooks, MediaOffer, StageKind, StageOffer

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LOAD = re.compile(r"(\.*[A-Za-z_]\w*(\.\w+)*)?:[A-Za-z_]\w*")
_SUFFIX = re.compile(r"\.[a-z0-9]+")

OfferT = TypeVar("OfferT", StageOffer, MediaOffer)
ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """A plugin that was found, working or not."""

    name: str
    """Name of the entry point, or of the file or package in a plugin folder."""
    distribution: str
    """The installed package, or the plugin folder."""
    version: str
    """Version of the package; empty in a plugin folder."""
    location: str
    """File of its module, or what the entry point says where that cannot be imported."""
    stages: tuple[StageOffer, ...] = ()
    readers: tuple[MediaOffer, ...] = ()
    writers: tuple[MediaOffer, ...] = ()
    models: tuple[Path, ...] = ()
    """Its model cards."""
    error: str | None = None
    """Why it is broken, with the traceback where there is one; None if it works."""

    @property
    def owner(self) -> str:
        """`plugin (distribution version)`, as failures name it."""
        return f"{self.name} ({' '.join(part for part in (self.distribution, self.version) if part)})"


class Answer(NamedTuple):
    """A plugin's record, and what the host needs to use it."""

    record: PluginRecord
    module: str
    """Name of its module, to which relative `load` paths belong; empty if broken."""
    manager: pluggy.PluginManager | None
    """Calls its hooks; None if broken."""


def ask(source: Source) -> Answer:
    """Imports a plugin's own module and collects its offers; never raises for what the plugin does."""
    location = source.location
    try:
        plugin = source.load()
        module = plugin if isinstance(plugin, ModuleType) else inspect.getmodule(type(plugin))
        location = getattr(module, "__file__", None) or location
        manager = _manager(plugin)
        _check_api(manager)
        stages = _offers(manager.hook.vfxswap_stages, StageOffer, _check_stage)
        readers = _offers(manager.hook.vfxswap_readers, MediaOffer, _check_media)
        writers = _offers(manager.hook.vfxswap_writers, MediaOffer, _check_media)
        models = _cards(manager)
    except (PluginError, pluggy.PluginValidationError) as error:
        return Answer(_broken(source, location, str(error)), "", None)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's fault, of any kind, must not end the listing
        return Answer(_broken(source, location, traceback_text(error)), "", None)
    record = PluginRecord(source.name, source.distribution, source.version, location, stages, readers, writers, models)
    return Answer(record, module.__name__ if module else "", manager)


def traceback_text(error: BaseException) -> str:
    """The traceback of a plugin's failure, without the frames of the import machinery, of pluggy and of the host."""
    found = traceback.TracebackException.from_exception(error)
    found.stack = traceback.StackSummary.from_list([frame for frame in found.stack if not _is_machinery(frame)])
    return "".join(found.format()).rstrip()


def _is_machinery(frame: traceback.FrameSummary) -> bool:
    file = Path(frame.filename)
    own = Path(__file__).parent
    return (
        frame.filename.startswith("<frozen importlib")
        or file in {own / "discovery.py", own / "offers.py", own / "host.py"}
        or file.parent in {Path(pluggy.__file__).parent, *(Path(package) for package in importlib.__path__)}
    )


def _broken(source: Source, location: str, error: str) -> PluginRecord:
    return PluginRecord(source.name, source.distribution, source.version, location, error=error)


def _manager(plugin: object) -> pluggy.PluginManager:
    """A pluggy manager that holds this plugin alone, its hooks checked by name and signature."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    for name in dir(plugin):
        marked = manager.parse_hookimpl_opts(plugin, name) is not None
        if marked or (name.startswith(f"{PROJECT}_") and inspect.isroutine(getattr(plugin, name))):
            _check_hook(name, marked=marked)
    manager.register(plugin)
    manager.check_pending()
    return manager


def _check_hook(name: str, *, marked: bool) -> None:
    known = [hook for hook in vars(Hooks) if hook.startswith(f"{PROJECT}_")]
    if name not in known:
        nearest = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"the hooks are {', '.join(known)}"
        raise PluginError(f"there is no hook {name!r}; {hint}")
    if not marked:
        raise PluginError(f"{name!r} is not marked; put @hookimpl, from vfxswap.hookspecs, above it")


def _check_api(manager: pluggy.PluginManager) -> None:
    answers = manager.hook.vfxswap_api()
    ours = ".".join(map(str, API_VERSION))
    if not answers:
        raise PluginError(f"it has no hook vfxswap_api, which says for which plugin API it was written (now {ours})")
    wanted = answers[0]
    if not (isinstance(wanted, tuple) and len(wanted) == 2 and all(isinstance(part, int) for part in wanted)):
        raise PluginError(f"vfxswap_api must return two whole numbers such as {API_VERSION}, got {wanted!r}")
    if wanted[0] != API_VERSION[0] or wanted[1] > API_VERSION[1]:
        raise PluginError(
            f"it is written for plugin API {wanted[0]}.{wanted[1]}, this vfxswap has {ours}; install a plugin and a"
            " vfxswap of one major version, where vfxswap's minor version is not the lower"
        )


def _offers(hook: pluggy.HookCaller, kind: type[OfferT], check: Callable[[OfferT], None]) -> tuple[OfferT, ...]:
    offers = _returned(hook, kind)
    names = [offer.name for offer in offers]
    for offer in offers:
        if not _is_word(_NAME, offer.name):
            raise PluginError(f"{hook.name}: name {offer.name!r} must be lower case letters, digits and single dashes")
        if names.count(offer.name) > 1:
            raise PluginError(f"{hook.name}: name {offer.name!r} is offered twice")
        if not _is_word(_LOAD, offer.load):
            raise PluginError(f"{hook.name}: load {offer.load!r} of {offer.name!r} must be 'package.module:ClassName'")
        check(offer)
    return offers


def _returned(hook: pluggy.HookCaller, kind: type[ItemT]) -> tuple[ItemT, ...]:
    answers = hook()
    if not answers:
        return ()
    items = answers[0]
    if not isinstance(items, Sequence) or not all(isinstance(item, kind) for item in items):
        raise PluginError(f"{hook.name} must return a list of {kind.__name__}, got {items!r}")
    return tuple(items)


def _check_stage(offer: StageOffer) -> None:
    kinds = get_args(StageKind)
    if offer.kind not in kinds:
        raise PluginError(f"stage {offer.name!r} is of kind {offer.kind!r}; allowed: {', '.join(kinds)}")


def _check_media(offer: MediaOffer) -> None:
    if not (_is_tuple(offer.suffixes) and all(_is_word(_SUFFIX, part) for part in offer.suffixes)):
        raise PluginError(
            f"suffixes of {offer.name!r} must be a tuple such as ('.mov', '.mp4'), got {offer.suffixes!r}"
        )


def _is_word(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_tuple(value: object) -> bool:
    return isinstance(value, tuple) and bool(value)


def _cards(manager: pluggy.PluginManager) -> tuple[Path, ...]:
    cards = _returned(manager.hook.vfxswap_models, Path)
    for card in cards:
        if not card.is_file():
            raise PluginError(f"vfxswap_models names {card}, but there is no such file")
    return cards
