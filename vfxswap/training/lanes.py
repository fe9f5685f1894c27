"""Several devices that train one network together, as `torchrun` starts them: one process each.

Each draws faces of its own; gradients are averaged before every step, so all weights stay alike.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed
from torch.nn import Parameter

_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Lanes:
    """Which of the processes this one is."""

    own: int = 0
    count: int = 1
    device: torch.device = _CPU

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes files and tells."""
        return self.own == 0

    def average(self, weights: Iterable[Parameter]) -> None:
        """Gives all processes the mean of their gradients; a weight without one counts as 0."""
        if self.count == 1:
            return
        kept = [weight for weight in weights if weight.requires_grad]
        slopes = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in kept]
        flat = torch.cat([slope.reshape(-1) for slope in slopes])
        distributed.all_reduce(flat)
        flat /= self.count
        for weight, slope in zip(kept, torch.split(flat, [slope.numel() for slope in slopes]), strict=True):
            # In the weight's own order in memory, which fused optimisers take for granted.
            weight.grad = torch.empty_like(weight, requires_grad=False).copy_(slope.view_as(weight))

    def agreed(self, wanted: bool) -> bool:
        """Whether any of the processes wants it; the same answer for all."""
        if self.count == 1:
            return wanted
        flag = torch.tensor([float(wanted)], device=self.device)
        distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
        return bool(flag.item())

    def led(self, value: float) -> float:
        """The leader's number, for all."""
        if self.count == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.broadcast(told, 0)
        return float(told.item())


@contextmanager
def lanes(device: str) -> Iterator[Lanes]:
    """Joins the processes that torchrun started; one alone where it did not.

    Args:
        device: `cpu`, `cuda`, `cuda:1` ...; with torchrun and CUDA each process takes the device of its local number.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Lanes(device=torch.device(device))
        return
    own, local = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
    place = torch.device(f"cuda:{local}" if device.startswith("cuda") else device)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    distributed.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield Lanes(own, count, place)
    finally:
        distributed.destroy_process_group()
