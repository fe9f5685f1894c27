"""What an optimiser remembers of a network's weights, as tensors with names."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, without that beginning."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def remembered(prefix: str, net: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state by the names of the weights, each `PREFIX.KEY.WEIGHT`."""
    return {
        f"{prefix}.{key}.{name}": value if isinstance(value, Tensor) else torch.tensor(float(value))
        for name, weight in net.named_parameters()
        for key, value in optimizer.state.get(weight, {}).items()
    }


def recalled(prefix: str, net: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Gives the optimiser back what `remembered` gave."""
    known = under(tensors, f"{prefix}.")
    for name, weight in net.named_parameters():
        state = {key.removesuffix(f".{name}"): value for key, value in known.items() if key.endswith(f".{name}")}
        # `x.weight` ends other weights' names too; a key of Adam's has no dot.
        state = {key: value for key, value in state.items() if "." not in key}
        if state:
            optimizer.state[weight] = {key: _laid_out(value, weight, key) for key, value in state.items()}


def _laid_out(value: Tensor, weight: nn.Parameter, key: str) -> Tensor:
    """A copy with the weight's own order in memory, which fused optimisers take for granted."""
    if key == "step":
        return value.clone()
    copy = torch.empty_like(weight, memory_format=torch.preserve_format, requires_grad=False)
    copy.copy_(value)
    return copy
