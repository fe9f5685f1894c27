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
    known, fused = under(tensors, f"{prefix}."), bool(optimizer.defaults.get("fused"))
    for name, weight in net.named_parameters():
        state = {key.removesuffix(f".{name}"): value for key, value in known.items() if key.endswith(f".{name}")}
        # `x.weight` ends other weights' names too; a key of Adam's has no dot.
        state = {key: value for key, value in state.items() if "." not in key}
        if state:
            optimizer.state[weight] = {
                key: _counted(value, weight, fused=fused) if key == "step" else _laid_out(value, weight)
                for key, value in state.items()
            }


def _counted(steps: Tensor, weight: nn.Parameter, *, fused: bool) -> Tensor:
    """A copy of the count of steps, which fused optimisers keep beside the weight and others on the CPU."""
    return steps.to(weight.device if fused else "cpu", copy=True)


def _laid_out(value: Tensor, weight: nn.Parameter) -> Tensor:
    """A copy with the weight's own order in memory, which fused optimisers take for granted."""
    copy = torch.empty_like(weight, memory_format=torch.preserve_format, requires_grad=False)
    copy.copy_(value)
    return copy
