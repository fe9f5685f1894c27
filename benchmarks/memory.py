"""Whether memory grows with the shot."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from benchmarks.journeys import plumbing
from benchmarks.material import Material, Stage, repeated
from benchmarks.measure import Table

LENGTHS = (100, 1000)
MOST_GROWTH = 1.10
_SIZE = (640, 360)


def remembered(found: Material, rounds: int) -> Table:  # noqa: ARG001 - peaks need no rounds
    """Runs a short and a long range of one clip, each in a process of its own."""
    clip = repeated(found.clip, LENGTHS[-1], width=_SIZE[0], height=_SIZE[1])
    stages: list[Stage] = plumbing(passes=2, average=1, size=320)
    stages.insert(-1, {"use": "flow-deflicker"})
    pipeline = found.pipeline("memory", stages, plate=clip, preset="veryfast")
    peaks = [_peak_mib(pipeline, count) for count in LENGTHS]
    growth = peaks[-1] / peaks[0]
    return Table(
        "Memory",
        f"Largest resident memory of a process that runs the plumbing and flow-deflicker over {_SIZE[0]}x{_SIZE[1]}"
        " frames, Python, torch and all libraries included.",
        ("frames", "MiB"),
        [[str(count), f"{peak:.0f}"] for count, peak in zip(LENGTHS, peaks, strict=True)],
        [(f"{growth:.2f} times as much for ten times the frames, at most {MOST_GROWTH}", growth <= MOST_GROWTH)],
    )


def _peak_mib(pipeline: Path, count: int) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", str(pipeline), f"1-{count}"]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def _main(pipeline: str, frames: str) -> None:
    import vfxswap  # noqa: PLC0415 - what it brings is measured
    from benchmarks.material import HERE  # noqa: PLC0415
    from vfxswap.host import Host  # noqa: PLC0415

    vfxswap.run(pipeline, frames=frames, overwrite=True, host=Host(plugin_path=[HERE / "speed_plugins"]))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    _main(*sys.argv[1:])
