"""Where plugins are found: installed distributions and folders; nothing is imported until asked.

pluggy's own loader is not used: it silently skips a second plugin of one name, and one import error ends its listing.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

from vfxswap.errors import PluginError
from vfxswap.hookspecs import PROJECT

PATH_VARIABLE = "VFXSWAP_PLUGIN_PATH"
"""Folders of plugins, parted as in PATH; an entry that starts with @ is left out."""
ONLY_VARIABLE = "VFXSWAP_LOAD_PLUGINS"
"""Names of the only plugins to load, parted by commas; unset loads all."""

_serial = itertools.count()
"""Makes module names of folder plugins unique, so that several hosts of one process each load their own."""


@dataclass(frozen=True, slots=True)
class Source:
    """A plugin that was found and not yet imported."""

    name: str
    """Name of the entry point, or of the file or package in a plugin folder."""
    distribution: str
    """The installed package, or the plugin folder."""
    version: str
    """Version of the installed package; empty in a plugin folder."""
    location: str
    """What the entry point says, or the file."""
    load: Callable[[], object]
    """Imports it; raises whatever the plugin raises."""


def find_sources(plugin_path: Sequence[Path], environ: Mapping[str, str]) -> list[Source]:
    """Finds all plugins: installed ones by distribution and name, then each folder's by file name.

    Args:
        plugin_path: Folders that come before those of VFXSWAP_PLUGIN_PATH.
        environ: The environment, for VFXSWAP_PLUGIN_PATH and VFXSWAP_LOAD_PLUGINS.

    Returns:
        The plugins. A folder that is not there, and a name in VFXSWAP_LOAD_PLUGINS that no plugin has, are among them
        as sources whose `load` raises, so that a listing shows them.
    """
    found = [*_installed(), *_in_folders(_folders(plugin_path, environ))]
    only = environ.get(ONLY_VARIABLE)
    if only is None:
        return found
    wanted = list(dict.fromkeys(name for part in only.split(",") if (name := part.strip())))
    kept = [source for source in found if source.name in wanted]
    missing = [name for name in wanted if all(source.name != name for source in kept)]
    return [
        *kept,
        *(_absent(name, ONLY_VARIABLE, f"{ONLY_VARIABLE} names it, but it is not there") for name in missing),
    ]


def _installed() -> Iterator[Source]:
    found = importlib.metadata.entry_points(group=PROJECT)
    for entry in sorted(found, key=lambda entry: (entry.dist.name if entry.dist else "", entry.name)):
        name, version = (entry.dist.name, entry.dist.version) if entry.dist else ("", "")
        yield Source(entry.name, name, version, entry.value, entry.load)


def _folders(plugin_path: Sequence[Path], environ: Mapping[str, str]) -> list[Path]:
    entries = [part.strip() for part in environ.get(PATH_VARIABLE, "").split(os.pathsep)]
    folders = [*plugin_path, *(Path(entry) for entry in entries if entry and not entry.startswith("@"))]
    return list(dict.fromkeys(folder.expanduser().absolute() for folder in folders))


def _in_folders(folders: Iterable[Path]) -> Iterator[Source]:
    for folder in folders:
        if not folder.is_dir():
            yield _absent(folder.name, str(folder), f"the plugin path names {folder}, but there is no such folder")
            continue
        for path in sorted(folder.iterdir()):
            if _is_plugin(path):
                yield Source(path.stem, str(folder), "", str(path), partial(_import_path, path))


def _is_plugin(path: Path) -> bool:
    if path.name.startswith(("_", ".")):
        return False
    return path.suffix == ".py" if path.is_file() else (path / "__init__.py").is_file()


def _absent(name: str, origin: str, why: str) -> Source:
    def load() -> object:
        raise PluginError(why, plugin=name, distribution=origin)

    return Source(name, origin, "", origin, load)


def _import_path(path: Path) -> ModuleType:
    package = path.is_dir()
    word = re.sub(r"\W", "_", path.stem)
    name = f"vfxswap_folder_plugin_{next(_serial)}_{word}"
    spec = importlib.util.spec_from_file_location(
        name, path / "__init__.py" if package else path, submodule_search_locations=[str(path)] if package else None
    )
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} is no Python file that can be imported", plugin=path.stem)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        _forget(name)
        raise
    return module


def _forget(name: str) -> None:
    """Takes a module that failed half-way, and its submodules, out of `sys.modules`."""
    for loaded in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
        del sys.modules[loaded]
