"""Nets that compute in fewer bits than they were taught in."""

from __future__ import annotations

import torch
from torch import nn

from vfxswap.nets.comb import Trunk


def lower(net: nn.Module, kind: torch.dtype) -> None:
    """Makes a comb or a decoder compute in fewer bits, but for the last step, whose rounding would be seen as bands."""
    exact = {name: value for name, value in net.state_dict(keep_vars=True).items() if name in {"stills", "points"}}
    exact = {name: value.data for name, value in exact.items()}
    net.to(kind)
    for module in net.modules():
        if isinstance(module, Trunk):
            for part in (module.heads, module.mover):
                if part is not None:
                    part.float()
    for name, value in exact.items():
        getattr(net, name).data = value
