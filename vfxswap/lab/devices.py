"""Moving what was built to where it is rendered."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

ValueT = TypeVar("ValueT")


def moved(value: ValueT, device: torch.device) -> ValueT:
    """The same record with all its tensors on a device, through dataclasses and tuples; the rest stays as it is."""
    return _moved(value, device)  # type: ignore[no-any-return]  # of the type it was given


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if type(value) is tuple:
        return tuple(_moved(item, device) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {item.name: _moved(getattr(value, item.name), device) for item in fields(value) if item.init}
        return replace(value, **changed)
    return value
