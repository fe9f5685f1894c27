"""The host: gathers what plugins offer, refuses clashes, and loads what a pipeline names.

All plugins come by one road, first-party ones too. A plugin that is broken is listed with the reason and stops only
what needs it; a name that two plugins claim belongs to neither.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from vfxswap.discovery import find_sources
from vfxswap.errors import PluginError
from vfxswap.hookspecs import MediaOffer, StageOffer
from vfxswap.offers import Answer, OfferT, PluginRecord, ask, traceback_text

if TYPE_CHECKING:
    from vfxswap.media import Reader, Writer
    from vfxswap.stage import Stage

ClassT = TypeVar("ClassT")

_log = logging.getLogger(__name__)


class Entry(NamedTuple, Generic[OfferT]):
    """Something that may be used, and the plugin it is from."""

    offer: OfferT
    plugin: PluginRecord


StageEntry = Entry[StageOffer]
"""A stage that may be used."""
MediaEntry = Entry[MediaOffer]
"""A reader or writer that may be used."""


class Clash(NamedTuple):
    """A name that several plugins claim, so that none of them may use it."""

    what: str
    """`stage`, `reader` or `writer`."""
    name: str
    owners: tuple[PluginRecord, ...]

    def __str__(self) -> str:
        owners = " and ".join(record.owner for record in self.owners)
        return f"{self.what} {self.name!r} is offered by {owners}; remove one of these plugins"


class Host:
    """The plugins of this machine.

    Holds no global state: several hosts may live in one process. Making one imports each plugin's own module, but no
    stage, reader or writer.

    Args:
        plugin_path: Folders of plugins, before those of the environment.
        environ: The environment; VFXSWAP_PLUGIN_PATH and VFXSWAP_LOAD_PLUGINS are read.
    """

    def __init__(self, *, plugin_path: Sequence[Path] = (), environ: Mapping[str, str] = os.environ) -> None:
        self._answers = tuple(ask(source) for source in find_sources(plugin_path, environ))
        self._stages = _Names("stage", self._answers, lambda record: record.stages)
        self._readers = _Names("reader", self._answers, lambda record: record.readers)
        self._writers = _Names("writer", self._answers, lambda record: record.writers)

    @property
    def plugins(self) -> tuple[PluginRecord, ...]:
        """All plugins that were found: installed ones by distribution and name, then those of folders."""
        return tuple(answer.record for answer in self._answers)

    @property
    def stages(self) -> Mapping[str, StageEntry]:
        """The stages that may be used, by name."""
        return self._stages.entries

    @property
    def readers(self) -> Mapping[str, MediaEntry]:
        """The readers that may be used, by name."""
        return self._readers.entries

    @property
    def writers(self) -> Mapping[str, MediaEntry]:
        """The writers that may be used, by name."""
        return self._writers.entries

    @property
    def clashes(self) -> tuple[Clash, ...]:
        """Names that may not be used, because several plugins claim them."""
        return (*self._stages.clashes.values(), *self._readers.clashes.values(), *self._writers.clashes.values())

    def model_cards(self) -> list[Path]:
        """The `models.toml` files of all plugins."""
        return [card for record in self.plugins for card in record.models]

    def owner(self, name: str) -> str:
        """Who answers for a stage: `plugin (distribution version)`.

        Raises:
            PluginError: No plugin, or more than one, offers that stage.
        """
        return self._stages.entry(name, self.plugins).plugin.owner

    def stage_class(self, name: str) -> type[Stage[Any]]:
        """Imports a stage's class.

        Raises:
            PluginError: No plugin offers that name (the nearest name, and broken plugins that may own it, are said),
                several do, its module cannot be imported, or the class is not what its kind demands.
        """
        from vfxswap import stage  # noqa: PLC0415 - listing plugins needs no numpy

        entry = self._stages.entry(name, self.plugins)
        kind = stage.KINDS[entry.offer.kind]
        found = self._load(entry, kind)
        demanded = getattr(stage, f"{kind.__name__}Options", stage.StageOptions)
        options: object = found.Options
        if not (isinstance(options, type) and issubclass(options, demanded)):
            raise _not_kept(entry, f"its Options must derive from vfxswap.stage.{demanded.__name__}")
        return found

    def reader_for(self, path: Path) -> type[Reader]:
        """The reader of a plate, by suffix and then by what the reader's class says of the name.

        Raises:
            PluginError: No reader, or more than one, takes such a file, or the one that might cannot be imported.
        """
        from vfxswap.media import Reader  # noqa: PLC0415

        return self._media_for(path, self._readers, Reader, lambda reader: reader.can_read(path))  # type: ignore[type-abstract]

    def writer_for(self, path: Path) -> type[Writer]:
        """The writer of a delivery, by suffix and then by what the writer's class says of the name.

        Raises:
            PluginError: No writer, or more than one, takes such a file, or the one that might cannot be imported.
        """
        from vfxswap.media import Writer  # noqa: PLC0415

        return self._media_for(path, self._writers, Writer, lambda writer: writer.can_write(path))  # type: ignore[type-abstract]

    def notify(self, hook_name: str, **arguments: object) -> list[str]:
        """Tells every plugin that watches; what a plugin raises is logged and returned as text, and stops nothing.

        Args:
            hook_name: An observing hook, such as `"vfxswap_frame_done"`.
            arguments: The hook's own.

        Returns:
            One text a plugin that failed.
        """
        failures: list[str] = []
        for record, _, manager in self._answers:
            if manager is None:
                continue
            try:
                getattr(manager.hook, hook_name)(**arguments)
            except Exception as error:  # noqa: BLE001 - a tracker that is down must not end a shot
                failures.append(f"{hook_name} of plugin {record.owner} failed: {type(error).__name__}: {error}")
                _log.warning("%s\n%s", failures[-1], traceback_text(error))
        return failures

    def _load(self, entry: Entry[OfferT], base: type[ClassT]) -> type[ClassT]:
        module, _, attribute = entry.offer.load.partition(":")
        home = next(answer.module for answer in self._answers if answer.record is entry.plugin)
        try:
            loaded = importlib.import_module(module, home) if module else importlib.import_module(home)
            found = getattr(loaded, attribute)
        except (Exception, SystemExit) as error:  # whatever a plugin raises is blamed on it
            raise PluginError(
                f"{entry.offer.name!r} of plugin {entry.plugin.owner} cannot be loaded from {entry.offer.load!r}:\n"
                f"{traceback_text(error)}",
                plugin=entry.plugin.name,
                distribution=entry.plugin.distribution,
            ) from error
        if not (isinstance(found, type) and issubclass(found, base)):
            raise _not_kept(entry, f"it must be a class that derives from {base.__module__}.{base.__name__}")
        if inspect.isabstract(found):
            missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
            raise _not_kept(entry, f"it must override {missing}")
        return found

    def _media_for(
        self, path: Path, names: _Names[MediaOffer], base: type[ClassT], takes: Callable[[type[ClassT]], bool]
    ) -> type[ClassT]:
        suffix = path.suffix.lower()
        for clash in names.clashes.values():
            if any(suffix in offer.suffixes for offer in names.offers(clash.name)):
                raise PluginError(f"{path.name} cannot be given to a {names.what}: {clash}")
        asked = [entry for entry in names.entries.values() if suffix in entry.offer.suffixes]
        loaded = [(entry, self._load(entry, base)) for entry in asked]
        willing = [(entry, found) for entry, found in loaded if takes(found)]
        if len(willing) > 1:
            owners = " and ".join(f"{entry.offer.name!r} of {entry.plugin.owner}" for entry, _ in willing)
            raise PluginError(
                f"several {names.what}s take {path.name}: {owners}; name the plugins to load in VFXSWAP_LOAD_PLUGINS"
            )
        if not willing:
            known = sorted({suffix for entry in names.entries.values() for suffix in entry.offer.suffixes})
            asked_names = ", ".join(repr(entry.offer.name) for entry in asked)
            said = f" ({names.what} {asked_names} does not take such a name)" if asked else ""
            raise PluginError(
                f"no {names.what} takes {path.name!r}{said}; suffixes known: {', '.join(known) or 'none'}"
                f"{_broken_hint(self.plugins)}"
            )
        return willing[0][1]


class _Names(Generic[OfferT]):
    """Who owns which name of one sort."""

    def __init__(
        self, what: str, answers: Sequence[Answer], offers: Callable[[PluginRecord], tuple[OfferT, ...]]
    ) -> None:
        self.what = what
        self._claims: dict[str, list[Entry[OfferT]]] = {}
        for record, _, _ in answers:
            for offer in offers(record):
                self._claims.setdefault(offer.name, []).append(Entry(offer, record))
        self.entries: Mapping[str, Entry[OfferT]] = MappingProxyType(
            {name: claims[0] for name, claims in self._claims.items() if len(claims) == 1}
        )
        self.clashes: Mapping[str, Clash] = MappingProxyType(
            {
                name: Clash(what, name, tuple(entry.plugin for entry in claims))
                for name, claims in self._claims.items()
                if len(claims) > 1
            }
        )

    def offers(self, name: str) -> Iterator[OfferT]:
        """All offers of a name."""
        return (entry.offer for entry in self._claims.get(name, ()))

    def entry(self, name: str, plugins: Sequence[PluginRecord]) -> Entry[OfferT]:
        """The one owner of a name; raises PluginError if there is none, or several."""
        if name in self.clashes:
            first = self.clashes[name].owners[0]
            raise PluginError(str(self.clashes[name]), plugin=first.name, distribution=first.distribution)
        if name not in self.entries:
            nearest = difflib.get_close_matches(name, self._claims, 1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else "; vfxswap plugins lists those there are"
            raise PluginError(f"there is no {self.what} {name!r}{hint}{_broken_hint(plugins)}")
        return self.entries[name]


def _broken_hint(plugins: Sequence[PluginRecord]) -> str:
    broken = [record.owner for record in plugins if record.error is not None]
    return f" (it may be one of a broken plugin: {', '.join(broken)}; see vfxswap plugins)" if broken else ""


def _not_kept(entry: Entry[OfferT], why: str) -> PluginError:
    """An error for a class that is not what its plugin's offer promises."""
    return PluginError(
        f"{entry.offer.load!r}, which plugin {entry.plugin.owner} offers as {entry.offer.name!r}, is unusable: {why}",
        plugin=entry.plugin.name,
        distribution=entry.plugin.distribution,
    )
