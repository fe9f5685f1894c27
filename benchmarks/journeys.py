"""Whole journeys of a clip, against ffmpeg's bare transcode of it in the same rounds."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.material import CACHE, FRAMES, QUALITY, Material, Stage, ffmpeg
from benchmarks.measure import Cost, Table, cpu, cpu_ratio, in_turn, ratio, wall

LEAST_SPEED = 0.95
"""Of ffmpeg's, for an empty pipeline."""
MOST_PLUMBING = 1.5
"""Times ffmpeg's bare transcode, for everything but a swapper."""
FULL: tuple[Stage, ...] = (
    {"use": "yunet"},
    {"use": "facemesh"},
    {"use": "portrait", "identity": "hero"},
    {"use": "hull"},
    {"use": "mkl"},
    {"use": "flow-deflicker"},
    {"use": "pyramid"},
)
"""The stages of a real job."""


def plumbing(*, passes: int, average: int, size: int = 640) -> list[Stage]:
    """Everything around a swapper."""
    crop = {"crop_size": 256, "template": "arcface_128"}
    return [
        {"use": "yunet", "size": size},
        {"use": "facemesh", "passes": passes, "average": average, **crop},
        {"use": "echo", "identity": "hero"},
        {"use": "alpha"},
    ]


def passing(found: Material, rounds: int) -> Table:
    """Decode, no stage, encode."""
    rows, goals = [], []
    for preset in ("veryfast", "medium"):
        costs = in_turn(_passing(found, preset), rounds=rounds)
        rows += [[f"{name}, {preset}", *_figures(costs[name], costs["ffmpeg"])] for name in costs]
        speed = 1 / ratio(costs["vfxswap"], costs["ffmpeg"])
        work = 1 / cpu_ratio(costs["vfxswap"], costs["ffmpeg"])
        words = f"{preset}: {speed:.2f} of ffmpeg's speed ({work:.2f} by processor time), at least {LEAST_SPEED}"
        goals.append((words, speed >= LEAST_SPEED))
    return Table(
        "Pass-through",
        f"{FRAMES} frames decoded, through an empty pipeline, encoded as H.264; ffmpeg with the same preset, rate"
        " factor and threads. vfxswap runs in this process, so Python's start is not in its time; ffmpeg's own is.",
        _COLUMNS,
        rows,
        goals,
    )


def _passing(found: Material, preset: str) -> dict[str, Callable[[], object]]:
    pipeline = found.pipeline(f"pass_{preset}", (), preset=preset)
    return {"ffmpeg": lambda: _transcode(found, preset), "vfxswap": lambda: found.run(pipeline)}


def plumbed(found: Material, rounds: int) -> Table:
    """All but the swapper."""
    cases = {
        "one look at a face": plumbing(passes=1, average=1),
        "two passes": plumbing(passes=2, average=1),
        "facemesh as it is by default": plumbing(passes=2, average=4),
    }
    pipelines = {
        name: found.pipeline(f"plumbing{i}", stages, preset="veryfast")
        for i, (name, stages) in enumerate(cases.items())
    }
    runs = {name: (lambda path=path: found.run(path)) for name, path in pipelines.items()}
    costs = in_turn({"ffmpeg": lambda: _transcode(found, "veryfast"), **runs}, rounds=rounds)
    times = ratio(costs["one look at a face"], costs["ffmpeg"])
    work = cpu_ratio(costs["one look at a face"], costs["ffmpeg"])
    words = f"{times:.2f} times ffmpeg's bare transcode ({work:.2f} by processor time), at most {MOST_PLUMBING}"
    return Table(
        "Plumbing",
        f"{FRAMES} frames: decode, detect (yunet, 640 px), landmarks (facemesh), cut 256 px (the template of one-shot"
        " swappers), a swapper that gives back its crop with a full matte, mix, encode (veryfast). One face a frame,"
        " whose crop covers some 640 px of the plate.",
        _COLUMNS,
        [[name, *_figures(costs[name], costs["ffmpeg"])] for name in costs],
        [(words, times <= MOST_PLUMBING)],
    )


def full(found: Material, rounds: int) -> Table:
    """A real job, stage by stage."""
    pipeline = found.pipeline("full", FULL, preset="veryfast")
    found.run(pipeline, frames="1-16")
    reports = [found.run(pipeline) for _ in range(max(1, rounds // 2))]
    report = min(reports, key=lambda report: report.wall_seconds)
    count = len(report.frames)
    total = sum(report.stage_seconds.values())
    rows = [
        [name, f"{1000 * seconds / count:.1f}", f"{100 * seconds / total:.0f} %"]
        for name, seconds in report.stage_seconds.items()
    ]
    rows.append(["**frames a second**", f"{count / report.wall_seconds:.1f}", ""])
    return Table(
        "A full pipeline, stage by stage",
        "One face a frame, crops of 512 px: "
        + ", ".join(str(stage["use"]) for stage in FULL)
        + ". Milliseconds a frame,"
        " summed over the threads, which share the cores with one another, with the decoder and with the encoder; the"
        " last row is what comes out.",
        ("stage", "ms a frame", "share"),
        rows,
    )


_COLUMNS = ("case", "wall s", "processor s", "frames a second", "wall, times ffmpeg", "processor, times ffmpeg")


def _transcode(found: Material, preset: str) -> None:
    ffmpeg("-i", found.clip, "-c:v", "libx264", "-preset", preset, "-crf", QUALITY, CACHE / "ffmpeg.mp4")


def _figures(costs: list[Cost], base: list[Cost]) -> list[str]:
    seconds = wall(costs)
    ratios = (ratio(costs, base), cpu_ratio(costs, base))
    return [f"{seconds:.2f}", f"{cpu(costs):.2f}", f"{FRAMES / seconds:.1f}", *(f"{value:.2f}" for value in ratios)]
