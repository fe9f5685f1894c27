"""The device that tensors live on, by the name that a command line gives it."""

from __future__ import annotations

import re

from vfxswap.errors import PluginError, UsageError

_NAME = re.compile(r"cpu|mps|cuda(:\d+)?")


def choose_device(name: str | None) -> str:
    """The device to use.

    Args:
        name: `cpu`, `cuda` (the first), `cuda:1`, `mps`; `auto` or None is CUDA where there is one,
            else the CPU.

    Returns:
        `"cpu"`, `"cuda:N"` or `"mps"`.

    Raises:
        UsageError: There is no device of such a name anywhere.
        PluginError: This machine has no such device.
    """
    import torch  # noqa: PLC0415 - reading names needs no torch

    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    name = named_device(name)
    if not name:
        return "cuda:0" if cuda else "cpu"
    if name == "mps" and not torch.backends.mps.is_available():
        raise PluginError("this machine has no device 'mps'; use cpu")
    if not name.startswith("cuda"):
        return name
    index = int(name.partition(":")[2] or 0)
    if index >= cuda:
        has = f"has {cuda} (cuda:0..{cuda - 1})" if cuda else "has no CUDA device that torch can use"
        raise PluginError(f"there is no device {name!r}: this machine {has}; vfxswap doctor says more")
    return f"cuda:{index}"


def named_device(name: str | None) -> str:
    """A device of any machine, by its name alone.

    Args:
        name: As for `choose_device`.

    Returns:
        The name; empty for `auto` or None, whose meaning is for the machine to say.

    Raises:
        UsageError: There is no device of such a name anywhere.
    """
    if name is None or name == "auto":
        return ""
    if _NAME.fullmatch(name) is None:
        raise UsageError(f"there is no device {name!r}; allowed: auto, cpu, cuda, cuda:N, mps")
    return name
