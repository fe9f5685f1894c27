"""How many faces a second are trained and put in, and in how much memory, by size and device."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.material import Material
from benchmarks.measure import Cost, Table, in_turn, ratio, wall
from vfxswap.nets.comb import Comb
from vfxswap.nets.spec import CombSpec
from vfxswap.training.settings import default_widths

SIZES = (128, 256, 512)
_BATCH = 8
_STILLS = 5
"""The default of [train] stills."""
_LEAST_GAIN = {"cuda": 2.5, "cpu": 1.0}
"""How many times quicker a face of a batch of 8 must be than one by one."""
_NOISE = 0.95
"""A ratio of two timings on a shared CPU is not known better than that."""


def learnt(found: Material, rounds: int) -> Table:  # noqa: ARG001 - faces are drawn
    """Trains and runs combs of the shipped widths, in turn."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows, goals = [], []
    for size in SIZES:
        costs = _case(size, device, rounds)
        gain = ratio(costs["single"], costs["batch"])
        rows.append(
            [
                str(size),
                f"{_BATCH / wall(costs['train']):.1f}",
                f"{_BATCH / wall(costs['batch']):.1f}",
                f"{_BATCH / wall(costs['single']):.1f}",
                f"{gain:.2f}",
                _memory(size, device),
            ]
        )
        least = _LEAST_GAIN[device.type]
        goals.append(
            (f"{size} px: a face of a batch {gain:.2f} times as quick, at least {least}", gain > least * _NOISE)
        )
    return Table(
        "Training and swapping",
        f"A comb of the shipped widths for two people, float32 on {device.type}, {torch.get_num_threads()} threads:"
        f" batches of {_BATCH} trained (forward, backward, Adam; without reading and varying faces) and put in, and the"
        " same faces one by one; medians of ratios of neighbours in time.",
        ("px", "trained a second", "put in a second", "one by one", "gain of the batch", "MiB of a step"),
        rows,
        goals,
    )


def _case(size: int, device: torch.device, rounds: int) -> dict[str, list[Cost]]:
    torch.manual_seed(1)
    comb = Comb(CombSpec(size, ("a", "b"), widths=default_widths(size), stills=_STILLS, still_px=size))
    comb.dress(torch.rand_like(comb.stills), torch.rand_like(comb.points) - 0.5)
    comb = comb.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    faces = torch.rand(_BATCH, 3, size, size).to(device).contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(comb.parameters(), lr=1e-5, fused=True)
    cases: dict[str, Callable[[], object]] = {
        "train": partial(_train, comb, faces, optimizer),
        "batch": partial(_swap, comb, [faces]),
        "single": partial(_swap, comb, list(torch.split(faces, 1))),
    }
    return in_turn(cases, rounds=rounds)


def _train(comb: Comb, faces: Tensor, optimizer: torch.optim.Optimizer) -> None:
    half = len(faces) // 2
    made = comb.decode_each(comb.encode(faces), [0] * half + [1] * (len(faces) - half))
    loss = (made.image - faces).abs().mean() + made.matte.mean()
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    optimizer.step()
    _wait(faces)


def _swap(comb: Comb, batches: list[Tensor]) -> None:
    with torch.inference_mode():
        for faces in batches:
            comb(faces, "b")
            _wait(faces)


def _wait(faces: Tensor) -> None:
    if faces.is_cuda:
        torch.cuda.synchronize()


def _memory(size: int, device: torch.device) -> str:
    """What a training step takes at most; on a CPU torch does not say."""
    if device.type != "cuda":
        return "-"
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    _case(size, device, 1)
    return f"{torch.cuda.max_memory_allocated() / 2**20:.0f}"
