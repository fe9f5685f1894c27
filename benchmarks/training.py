"""How many faces a second are trained and put in, and in how much memory, by size and device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from benchmarks.material import Material
from benchmarks.measure import Cost, Table, cpu, cpu_ratio, in_turn, ratio, wall
from vfxswap.nets.comb import Comb
from vfxswap.nets.spec import CombSpec
from vfxswap.training.marks import MARKS
from vfxswap.training.settings import default_widths

SIZES = (128, 256, 512)
_BATCH = 8
_STILLS = 5
"""The default of [train] stills."""
_LEAST_GAIN = 2.5
"""How many times quicker a face of a batch of 8 must be than one by one on a GPU."""
_TAKEN = {
    "cuda": "The stage computes faces four at once there.",
    "cpu": "The stage computes faces one by one there, alone or in batches, so that none is slower in a batch.",
}
_WHAT = {"cuda": "the most that was held", "cpu": "that of weights, slopes, Adam's two means and what goes back needs"}


def learnt(found: Material, rounds: int) -> Table:  # noqa: ARG001 - faces are drawn
    """Trains and runs combs of the shipped widths, in turn."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Others' work takes wall time from a CPU, and little of what a core gives to this.
    seconds, gained = (wall, ratio) if device.type == "cuda" else (cpu, cpu_ratio)
    rows = []
    goals: list[tuple[str, bool]] = []
    for size in SIZES:
        with _one_thread(device):
            costs = _case(size, device, rounds)
        gain = gained(costs["single"], costs["batch"])
        rates = [f"{_BATCH / seconds(costs[name]):.1f}" for name in ("train", "batch", "single")]
        rows.append([str(size), *rates, f"{gain:.2f}", f"{_memory_mib(size, device):.0f}"])
        if device.type == "cuda":
            words = f"{size} px: a face of a batch {gain:.2f} times as quick, at least {_LEAST_GAIN}"
            goals.append((words, gain > _LEAST_GAIN))
    return Table(
        "Training and swapping",
        f"A comb of the default widths for two people, float32 on {_where(device)}: batches of {_BATCH} trained"
        " (forward, backward, Adam; without reading and varying faces) and put in, and the same faces one by one;"
        f" medians of ratios of neighbours in time. Memory is {_WHAT[device.type]}."
        f" {_TAKEN[device.type]}",
        ("px", "trained a second", "put in a second", "one by one", "gain of the batch", "MiB of a step"),
        rows,
        goals,
    )


def _case(size: int, device: torch.device, rounds: int) -> dict[str, list[Cost]]:
    comb = _comb(size).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    faces = torch.rand(_BATCH, 3, size, size).to(device).contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(comb.parameters(), lr=1e-5, fused=True)
    cases: dict[str, Callable[[], object]] = {
        "train": partial(_train, comb, faces, optimizer),
        "batch": partial(_swap, comb, [faces]),
        "single": partial(_swap, comb, list(torch.split(faces, 1))),
    }
    return in_turn(cases, rounds=rounds)


def _comb(size: int) -> Comb:
    torch.manual_seed(1)
    comb = Comb(CombSpec(size, ("a", "b"), widths=default_widths(size), stills=_STILLS, still_px=size, points=MARKS))
    comb.dress(torch.rand_like(comb.stills), torch.rand_like(comb.points) - 0.5)
    return comb


def _train(comb: Comb, faces: Tensor, optimizer: torch.optim.Optimizer) -> None:
    half = len(faces) // 2
    own, others = [0] * half + [1] * (len(faces) - half), [1] * half + [0] * (len(faces) - half)
    code = comb.encode(faces)
    made, placed = comb.decode_each(code, own), comb.place_each(code, others)
    loss = (made.image - faces).abs().mean() + made.matte.mean() + made.points.abs().mean() + placed.abs().mean()
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


def _where(device: torch.device) -> str:
    return "a GPU" if device.type == "cuda" else "one core of a CPU, by processor time"


@contextmanager
def _one_thread(device: torch.device) -> Iterator[None]:
    """Threads that wait for one another take processor time too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if device.type == "cpu" else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _memory_mib(size: int, device: torch.device) -> float:
    """What a training step takes; on a CPU, where torch does not say it, what it must keep."""
    if device.type != "cuda":
        return _kept_bytes(size) / 2**20
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    _case(size, device, 1)
    return torch.cuda.max_memory_allocated() / 2**20


def _kept_bytes(size: int) -> int:
    comb = _comb(size)
    weights = {weight.untyped_storage().data_ptr(): weight.nbytes for weight in comb.parameters()}
    kept: dict[int, tuple[int, Tensor]] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)  # held, so that no other gets its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        comb.decode_each(comb.encode(torch.rand(1, 3, size, size)), [0])
    return 4 * sum(weights.values()) + _BATCH * sum(size for size, _ in kept.values())
