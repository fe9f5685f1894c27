"""Checkpoints: all that a training must remember, in one safetensors file that appears when it is whole.

Nothing else needs to be kept: which faces a step sees and every draw follow from the seed and the step's number. The
checkpoint before the last one is kept too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from vfxswap.errors import UsageError
from vfxswap.files import whole
from vfxswap.nets.comb import ARCHITECTURE
from vfxswap.nets.spec import CombSpec

NAME, BEFORE = "checkpoint.safetensors", "checkpoint-before.safetensors"
_METADATA = "vfxswap-checkpoint"
_FREE = {
    "train": {
        *(
            "iterations",
            "minutes",
            "batch",
            "accumulate",
            "save_every",
            "preview_every",
            "cache_gb",
            "deliver_to",
            "compile",
            "preset",
            "init",
        ),
        *("production", "purpose"),
    }
}
"""What may change from one part of a training to the next; everything else makes it another training."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What stands beside the tensors."""

    step: int
    """Steps that are done."""
    seconds: float
    """That they took."""
    spec: dict[str, Any]
    """Of the comb as it was."""
    options: dict[str, Any]
    """The settings."""
    facesets: dict[str, list[str]]
    """Hashes of each identity's facesets."""
    losses: tuple[float, ...] = ()
    """The last ones, against which a spike is seen."""
    spikes: int = 0
    """In a row, at the end."""
    primed: bool = False
    """Whether it started from a base."""
    base: str = ""
    """sha256 of that."""
    architecture: str = ARCHITECTURE


def write_checkpoint(folder: Path, memory: Memory, tensors: Mapping[str, Tensor]) -> Path:
    """Writes a checkpoint; the last one becomes the one before.

    Raises:
        MediaError: It cannot be written; those that are there are as they were.
    """
    path = folder / NAME
    data = save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, _metadata(memory))
    with whole(path) as temporary:
        temporary.write_bytes(data)
        if path.exists():
            path.replace(folder / BEFORE)
    return path


def _metadata(memory: Memory) -> dict[str, str]:
    return {_METADATA: json.dumps(asdict(memory))}


def read_checkpoint(folder: Path) -> tuple[Memory, dict[str, Tensor]] | None:
    """Reads the last checkpoint; the one before if a crash fell between the two; None if there is none.

    Raises:
        UsageError: It cannot be read, or is of another architecture.
    """
    path = next((folder / name for name in (NAME, BEFORE) if (folder / name).is_file()), None)
    if path is None:
        return None
    try:
        with safe_open(str(path), framework="pt") as file:
            text = (file.metadata() or {}).get(_METADATA)
        if text is None:
            raise UsageError(f"{path} is no checkpoint of a training; move it away, or train into another folder")
        data = json.loads(text)
        memory = Memory(**{**data, "losses": tuple(data["losses"])})
        tensors = load_file(path)
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise UsageError(
            f"cannot read the checkpoint {path}: {error}; if {BEFORE} is there, remove {path.name} to go on from that"
        ) from error
    if memory.architecture != ARCHITECTURE:
        raise UsageError(f"{path} is of architecture {memory.architecture!r}; this trains {ARCHITECTURE!r}")
    CombSpec.from_dict(memory.spec)
    return memory, tensors


def differences(memory: Memory, options: Mapping[str, Any], facesets: Mapping[str, list[str]]) -> list[str]:
    """Why a training cannot go on from a checkpoint, in words; empty if it can."""
    found = []
    for table in sorted({*memory.options, *options}):
        old, new = memory.options.get(table, {}), options.get(table, {})
        found += [
            f"[{table}] {key} was {old.get(key)!r} and is {new.get(key)!r}"
            for key in sorted({*old, *new} - _FREE.get(table, set()))
            if old.get(key) != new.get(key)
        ]
    was, now = list(memory.facesets), list(facesets)
    if was != now:
        found.append(f"the identities were {', '.join(was)} and are {', '.join(now)}")
    found += [
        f"the facesets of {name!r} are not those that it was trained on"
        for name in now
        if name in memory.facesets and memory.facesets[name] != facesets[name]
    ]
    return found
