"""The course of a training, and who takes part in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vfxswap.training.lanes import Lanes, lanes
from vfxswap.training.schedule import Growth, Schedule
from vfxswap.training.tables import Augment, Train


def settings(**train: Any) -> Train:
    """`[train]` with what every file must say."""
    return Train(production="x", purpose="x", out=Path("x"), **train)


def test_sizes_grow_and_fade_in() -> None:
    schedule = Schedule(settings(size=64, start_size=16, grow_share=0.8), Augment())
    found = [schedule.growth(progress) for progress in (0, 0.19, 0.2, 0.3, 0.39, 0.41, 0.7, 0.8, 1)]
    assert found[:3] == [Growth(16, 1), Growth(16, 1), Growth(32, 0)]
    assert found[3].size_px == 32
    assert 0.4 < found[3].fade < 0.6
    assert found[5] == Growth(32, 1)
    assert found[6].size_px == 64
    assert found[7:] == [Growth(64, 1), Growth(64, 1)]


def test_rates_rise_stay_and_fall() -> None:
    schedule = Schedule(settings(warmup=10, decay_from=0.5), Augment(warp_until=0.8))
    assert schedule.rate(0, 0) < 0.1
    assert schedule.rate(10, 0.1) == 1 == schedule.rate(1000, 0.5)
    assert 0.01 < schedule.rate(6000, 1) < 0.03
    assert schedule.bends(0.7)
    assert not schedule.bends(0.8)


def test_the_budget_is_what_is_used_up_first() -> None:
    schedule = Schedule(settings(iterations=100, minutes=1.0), Augment())
    assert schedule.progress(10, 30) == 0.5
    assert schedule.progress(80, 30) == 0.8
    assert schedule.progress(500, 0) == 1


def test_averages_are_quick_at_first() -> None:
    schedule = Schedule(settings(ema=0.99), Augment())
    assert schedule.averaging(0) == 0.1
    assert schedule.averaging(10_000) == 0.99
    assert Schedule(settings(ema=0), Augment()).averaging(10_000) == 0


def test_means_of_slopes_lie_in_memory_as_their_weights_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fused optimisers go through both side by side, whatever the order of their axes is."""
    weights: list[nn.Parameter] = [nn.Parameter(torch.rand(6, 5, 3, 3).to(memory_format=torch.channels_last))]
    weights += [nn.Parameter(torch.rand(7)), nn.Parameter(torch.rand(2), requires_grad=False)]
    slopes = [torch.rand(6, 5, 3, 3).to(memory_format=torch.channels_last), torch.rand(7)]
    for weight, slope in zip(weights, slopes, strict=False):
        weight.grad = slope.clone(memory_format=torch.preserve_format)
    monkeypatch.setattr("torch.distributed.all_reduce", lambda flat: flat.mul_(2))  # the other's are the same
    Lanes(0, 2).average(weights)
    for weight, slope in zip(weights, slopes, strict=False):
        assert weight.grad is not None
        assert torch.equal(weight.grad, slope)
        assert weight.grad.stride() == weight.stride()
    assert weights[2].grad is None


def test_one_process_is_alone() -> None:
    with lanes("cpu") as alone:
        assert (alone.own, alone.count, alone.leads) == (0, 1, True)
    assert Lanes().led(0.5) == 0.5
    assert Lanes().agreed(wanted=True)
