"""What an optimiser remembers lies where it will be used."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vfxswap.training.memory import recalled, remembered


@pytest.mark.parametrize(("fused", "place"), [(True, "meta"), (False, "cpu")])
def test_a_fused_optimiser_counts_its_steps_beside_the_weights(fused: bool, place: str) -> None:
    """The device `meta` stands for any that is not the CPU, on which checkpoints are read."""
    learnt = nn.Linear(2, 1)
    optimizer = torch.optim.Adam(learnt.parameters())
    learnt(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    kept = remembered("adam", learnt, optimizer)
    away = nn.Linear(2, 1, device="meta")
    other = torch.optim.Adam(away.parameters())
    other.defaults["fused"] = fused
    recalled("adam", away, other, kept)
    state = other.state[away.weight]
    assert state["step"].device.type == place
    assert {state[key].device.type for key in ("exp_avg", "exp_avg_sq")} == {"meta"}
