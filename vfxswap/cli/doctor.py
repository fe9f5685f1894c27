"""`vfxswap doctor`: what this machine has, for a bug report or a new farm node."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import vfxswap
from vfxswap.cli.output import columns, say
from vfxswap.cli.weights import size_text
from vfxswap.errors import ColorError, ExitCode, PluginError, UsageError
from vfxswap.host import Host, MediaEntry
from vfxswap.models import ModelStore

VARIABLES = (
    "VFXSWAP_PLUGIN_PATH",
    "VFXSWAP_LOAD_PLUGINS",
    "VFXSWAP_MODEL_PATH",
    "VFXSWAP_CACHE_DIR",
    "CUDA_VISIBLE_DEVICES",
    "OCIO",
)
"""Environment that changes what is found."""


def examine(host: Host, *, as_json: bool) -> ExitCode:
    """Prints what there is; a broken plugin, class or library is `ExitCode.MISSING`."""
    facts, broken = findings(host)
    if as_json:
        say(json.dumps({**facts, "broken": broken}, indent=2, ensure_ascii=False))
    else:
        rows = [(key, line) for key, value in facts.items() for line in _lines(value)]
        rows += [("BROKEN", text) for text in broken]
        say("\n".join(columns(rows)))
    return ExitCode.MISSING if broken else ExitCode.OK


def findings(host: Host) -> tuple[dict[str, Any], list[str]]:
    """What there is, and what is broken, in words."""
    broken = [f"plugin {record.owner}: {record.error}" for record in host.plugins if record.error is not None]
    broken += [str(clash) for clash in host.clashes]
    torch_facts, torch_broken = _torch()
    readers, readers_broken = _media(host.readers, host, writes=False)
    writers, writers_broken = _media(host.writers, host, writes=True)
    stages, stages_broken = _stages(host)
    models, models_broken = _models(host)
    color, color_broken = _color()
    facts = {
        "vfxswap": vfxswap.__version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": f"{platform.platform()}, {_cores()} cores",
        **torch_facts,
        **color,
        "plugins": [record.owner for record in host.plugins if record.error is None],
        "stages": stages,
        "readers": readers,
        "writers": writers,
        **models,
        "environment": {name: os.environ.get(name, "") for name in VARIABLES if name in os.environ},
    }
    broken += [*torch_broken, *color_broken, *stages_broken, *readers_broken, *writers_broken, *models_broken]
    return facts, broken


def _lines(value: object) -> list[str]:
    """A fact as lines of text."""
    if isinstance(value, Mapping):
        return [f"{key}: {', '.join(item) if isinstance(item, list) else item}" for key, item in value.items()] or [
            "none"
        ]
    if isinstance(value, list):
        return [str(item) for item in value] or ["none"]
    return [str(value)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _torch() -> tuple[dict[str, Any], list[str]]:
    try:
        import torch  # noqa: PLC0415 - a machine where it does not load is what this command is for
    except (ImportError, OSError) as error:
        return {"torch": "cannot be imported"}, [f"torch: {error}"]
    devices = ["cpu"]
    if torch.cuda.is_available():
        devices += [_gpu(index, torch.cuda.get_device_properties(index)) for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    return {"torch": f"{torch.__version__}, built for {built}", "devices": devices}, []


def _gpu(index: int, properties: Any) -> str:
    return f"cuda:{index}: {properties.name}, {properties.total_memory / 2**30:.0f} GiB"


def _color() -> tuple[dict[str, Any], list[str]]:
    """The configuration of pipelines that state none."""
    try:
        from vfxswap.ocio import LIBRARY, open_config  # noqa: PLC0415 - as above
    except (ImportError, OSError) as error:
        return {"OpenColorIO": "cannot be imported"}, [f"OpenColorIO: {error}"]
    try:
        config, origin = open_config()
    except ColorError as error:
        return {"OpenColorIO": LIBRARY}, [str(error)]
    by = {"$OCIO": "by $OCIO", "pinned": "the pinned one, as $OCIO is not set", "pipeline": ""}[origin]
    spaces = f"{len(config.names())} colour spaces, sha256 {config.sha256[:16]}"
    return {"OpenColorIO": f"{LIBRARY}; {config.source}: {spaces} ({by})"}, []


def _stages(host: Host) -> tuple[list[str], list[str]]:
    working, broken = [], []
    for name in sorted(host.stages):
        try:
            host.stage_class(name)
        except PluginError as error:
            broken.append(str(error))
        else:
            working.append(name)
    return [", ".join(working) or "none"], broken


def _media(entries: Mapping[str, MediaEntry], host: Host, *, writes: bool) -> tuple[dict[str, list[str]], list[str]]:
    """Formats by reader or writer, with the choices that a writer's options have (its codecs)."""
    found, broken = {}, []
    for name, entry in sorted(entries.items()):
        example = Path(f"name{entry.offer.suffixes[0]}")
        try:
            choices = _choices(host.writer_for(example).Options.model_json_schema()) if writes else []
            if not writes:
                host.reader_for(example)
        except PluginError as error:
            broken.append(str(error))
        else:
            found[name] = [*entry.offer.suffixes, *choices]
    return found, broken


def _choices(schema: dict[str, Any]) -> list[str]:
    from vfxswap.pipeline.words import choices, deref, without_null  # noqa: PLC0415

    named = {key: choices(without_null(deref(schema, part))) for key, part in schema.get("properties", {}).items()}
    return [f"{key} = {'|'.join(map(str, names))}" for key, names in named.items() if names]


def _models(host: Host) -> tuple[dict[str, Any], list[str]]:
    try:
        store = ModelStore.from_environment(host.model_cards())
    except UsageError as error:
        return {}, [str(error)]
    folders = [f"{folder}{'' if folder.is_dir() else ' (not there)'}" for folder in store.folders]
    states = {
        state.card.name: f"missing, {size_text(state.card.size)}: vfxswap models pull {state.card.name}"
        if state.path is None
        else str(state.path)
        for state in store.status()
    }
    return {"model folders": folders, "models": states}, []
