"""Measuring: cases in turn, several rounds, medians; wall and processor time; and the machine it was done on."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import torch

LIBRARIES = ("torch", "kornia", "av", "opencv-python-headless", "onnxruntime", "numpy")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took."""

    wall_seconds: float
    cpu_seconds: float
    """User and system time of this process, all its threads, and the programs it waited for."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a benchmark has to say."""

    title: str
    says: str
    """What was measured, and how."""
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    goals: Sequence[tuple[str, bool]] = field(default_factory=tuple)
    """Each in words with the figure, and whether it is met."""

    def markdown(self) -> str:
        """As a section of a page."""
        lines = [f"## {self.title}", "", self.says, ""]
        lines += [f"| {' | '.join(self.columns)} |", f"|{'---|' * len(self.columns)}"]
        lines += [f"| {' | '.join(row)} |" for row in self.rows]
        if self.goals:
            lines += ["", *(f"- **{'met' if met else 'missed'}**: {words}" for words, met in self.goals)]
        return "\n".join([*lines, ""])


def cost(work: Callable[[], object]) -> Cost:
    """Runs something once."""
    wall, cpu = time.perf_counter(), _cpu_seconds()
    work()
    return Cost(time.perf_counter() - wall, _cpu_seconds() - cpu)


def in_turn(cases: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, list[Cost]]:
    """Runs all cases once for warming up, then `rounds` times, in turn: what else the machine does hits all alike."""
    for work in cases.values():
        work()
    found: dict[str, list[Cost]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, work in cases.items():
            found[name].append(cost(work))
    return found


def wall(costs: Sequence[Cost]) -> float:
    """Median wall time in seconds."""
    return statistics.median(cost.wall_seconds for cost in costs)


def cpu(costs: Sequence[Cost]) -> float:
    """Median processor time in seconds."""
    return statistics.median(cost.cpu_seconds for cost in costs)


def ratio(costs: Sequence[Cost], base: Sequence[Cost]) -> float:
    """Median over the rounds of one case's wall time in another's of the same round."""
    return statistics.median(a.wall_seconds / b.wall_seconds for a, b in zip(costs, base, strict=True))


def cpu_ratio(costs: Sequence[Cost], base: Sequence[Cost]) -> float:
    """The same of processor time, which a busy machine changes less."""
    return statistics.median(a.cpu_seconds / b.cpu_seconds for a, b in zip(costs, base, strict=True))


def machine() -> list[str]:
    """The machine and the versions, a line each."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    ffmpeg = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout.split()[2]
    load = os.getloadavg()[0]
    return [
        f"{_processor()}, {cores} cores, {memory_gb:.0f} GiB of memory, {gpu}; load average {load:.1f} at the start",
        f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}, ffmpeg {ffmpeg}, "
        + ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
    ]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _cpu_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
