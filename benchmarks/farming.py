"""What dividing a shot costs, what two workers bring, and how long it takes to find that all is done."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tomli
import torch

from benchmarks.material import CACHE, HERE, Material
from benchmarks.measure import Table, cpu, cpu_ratio, in_turn, ratio, wall
from vfxswap.chunks import BATCH_FRAMES, spans_to_compute
from vfxswap.host import Host
from vfxswap.models import ModelStore
from vfxswap.ops import cut
from vfxswap.stage import Setting, Span, Stage, Swapper, Tracker
from vfxswap.testing import synthetic_plate
from vfxswap.trackfile import write_tracks

SIZES = (1, 4, 7, 16, 24, 48, 100)
"""Frames of a chunk."""
_FRAMES = 1000
"""Of the shot that is divided, and of the one that is found finished."""
MOST_SECONDS = 5.0
"""To find that a shot of so many frames is finished."""

_STAGES = """\
[[stages]]
use = "tracks"
path = "tracks.json"
[[stages]]
use = "points5"
crop_size = {crop}
[[stages]]
use = "portrait"
identity = "hero"
[[stages]]
use = "hull"
[[stages]]
use = "mkl"
[[stages]]
use = "flow-deflicker"
[[stages]]
use = "pyramid"
"""


def chunked(found: Material, rounds: int) -> Table:  # noqa: ARG001 - there is nothing to time
    """Counts the frames that chunks compute, by the functions that runs use."""
    files = sorted((HERE.parent / "pipelines").glob("*.toml"))
    rows, worst = [], 0.0
    for file in files:
        swapped, seen = _reaches(file, found.host)
        figures = [(_computed(size, swapped), _computed(size, seen)) for size in SIZES]
        worst = max(worst, figures[SIZES.index(24)][0])
        windows = f"{swapped.behind}+{swapped.ahead}, {seen.behind}+{seen.ahead}"
        rows.append([file.name, windows, *(f"{some:.2f} / {all_:.2f}" for some, all_ in figures)])
    return Table(
        "Chunks",
        f"Frames that are computed for each one delivered, where a shot of {_FRAMES} frames is divided into chunks of"
        " equal size, from its first frame on. Before the stroke: frames that go through the swapper, for windows"
        f" after it and as batches of {BATCH_FRAMES} are always whole; behind it: frames that are decoded, and looked"
        " at for cuts. Counted by the functions by which runs divide; a tracker sees all of the plate once for each"
        " chunk, besides, unless there is an analysis.",
        ("pipeline", "frames before+after: swapper, all", *(f"chunks of {size}" for size in SIZES)),
        rows,
        [(f"chunks of 24 swap at most {worst:.2f} frames for each one delivered, at most 2", worst <= 2)],
    )


def _reaches(file: Path, host: Host) -> tuple[Span, Span]:
    """How far windows after the swapper look, and how far all do; by the options alone, as no plate is there."""
    windows, after, sees_cuts, is_after = list[Span](), list[Span](), False, False
    for table in tomli.loads(file.read_text(encoding="utf-8")).get("stages", ()):
        cls: type[Stage[Any]] = host.stage_class(table["use"])
        options = cls.Options.model_construct(**{key: value for key, value in table.items() if key != "use"})
        window = cls(options, _setting()).window
        windows.append(window)
        after += [window] if is_after else []
        is_after = is_after or issubclass(cls, Swapper)
        sees_cuts = sees_cuts or window != (0, 0) or issubclass(cls, Tracker)
    own = Span(cut.WINDOW_BEHIND, cut.WINDOW_AHEAD) if sees_cuts else Span()
    return _sum(after), _sum([own, *windows])


def _setting() -> Setting:
    store = ModelStore([], {})
    return Setting(device=torch.device("cpu"), models=store, width=1920, height=1080, first=1001, last=1000 + _FRAMES)


def _sum(spans: Sequence[Span]) -> Span:
    return Span(sum(span.behind for span in spans), sum(span.ahead for span in spans))


def _computed(size: int, reach: Span) -> float:
    first, last = 1001, 1000 + _FRAMES
    count = 0
    for start in range(first, last + 1, size):
        chunk = range(start, min(start + size, last + 1))
        count += sum(high - low + 1 for low, high in spans_to_compute(chunk, first, last, reach))
    return count / _FRAMES


def divided(found: Material, rounds: int) -> Table:
    """Times two workers against one thread, and against one process with two."""
    show = _show(found, "divided", count=192, size=(320, 180), crop=192)
    cases: dict[str, Callable[[], object]] = {
        "one process, one thread": partial(_run, show, ["--devices", "cpu"], cores=1),
        "one process, two threads": partial(_run, show, []),
        "`--devices cpu,cpu`": partial(_run, show, ["--devices", "cpu,cpu"]),
    }
    costs = in_turn(cases, rounds=rounds)
    base = costs["one process, one thread"]
    rows = [
        [name, f"{wall(taken):.1f}", f"{cpu(taken):.1f}", f"{1 / ratio(taken, base):.2f}"]
        for name, taken in costs.items()
    ]
    gain = 1 / ratio(costs["`--devices cpu,cpu`"], base)
    return Table(
        "Two workers",
        "192 drawn frames of 320x180, crops of 192 pixels, a full line of stages; processes of their own, Python's"
        " start and the last step in the time. The first case may use one core; all may use two else.",
        ("case", "wall s", "processor s", "times as fast"),
        rows,
        [(f"two workers are {gain:.2f} times as fast as one, at least 1.6", gain >= 1.6)],
    )


def again(found: Material, rounds: int) -> Table:
    """Times a run that finds that there is nothing to do, and one that reads all that is there."""
    show = _show(found, "again", count=_FRAMES, size=(96, 72), crop=48)
    _run(show, [], overwrite=False)
    cases: dict[str, Callable[[], object]] = {
        "run again": partial(_run, show, [], overwrite=False),
        "--verify": partial(_run, show, ["--verify"], overwrite=False),
        "vfxswap version": partial(_command, ["version"]),
    }
    costs = in_turn(cases, rounds=rounds)
    rows = [[name, f"{wall(taken):.2f}", f"{cpu(taken):.2f}"] for name, taken in costs.items()]
    seconds, work = wall(costs["run again"]), cpu(costs["run again"])
    words = f"{seconds:.1f} s ({work:.1f} s of processor time), at most {MOST_SECONDS:g} s"
    share = cpu_ratio(costs["--verify"], costs["run again"])
    return Table(
        "A finished shot",
        f"{_FRAMES} frames that are all there, delivered as PNG by a full line of stages: a process that finds that"
        " nothing is to be done, by what was noted of each frame; and one that reads all files (small ones here:"
        f" reading takes {share:.1f} times the processor time; large files take what their disk takes).",
        ("command", "wall s", "processor s"),
        rows,
        [(words, seconds <= MOST_SECONDS)],
    )


def _show(found: Material, name: str, *, count: int, size: tuple[int, int], crop: int) -> Path:
    """A folder with a drawn plate and a pipeline file; made once."""
    folder = CACHE / name
    if (folder / "job.toml").is_file():
        return folder / "job.toml"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "plate").mkdir(parents=True)
    faces = {}
    for number in range(1001, 1001 + count):
        drawn = synthetic_plate(number, width=size[0], height=size[1])
        picture = np.round(drawn.image.numpy().transpose(1, 2, 0)[..., ::-1].clip(0, 1) * 255).astype(np.uint8)
        cv2.imwrite(str(folder / "plate" / f"plate.{number}.png"), picture)
        found_face = drawn.detection
        faces[number] = [type(found_face)(found_face.box, 1.0, found_face.five, 1, drawn.landmarks)]
    write_tracks(folder / "tracks.json", faces, width=size[0], height=size[1])
    shot = 'plate = "plate/plate.%04d.png"\nproduction = "lab"\npurpose = "test"\ncolor_space = "bt709"'
    head = f"[shot]\n{shot}\n[identities.hero]\npath = '{found.identity}'\n"
    (folder / "job.toml").write_text(
        f'{head}{_STAGES.format(crop=crop)}[delivery]\npath = "out/out.%04d.png"\n', encoding="utf-8"
    )
    return folder / "job.toml"


def _run(pipeline: Path, words: Sequence[str], *, overwrite: bool = True, cores: int | None = None) -> None:
    options = [*words, *(["--overwrite"] if overwrite else []), "--progress", "none"]
    device = [] if "--devices" in words else ["--device", "cpu"]
    _command(["run", str(pipeline), *device, *options], cores=cores)


def _command(words: Sequence[str], *, cores: int | None = None) -> None:
    limit = ["taskset", "-c", f"0-{cores - 1}"] if cores is not None else []
    subprocess.run([*limit, sys.executable, "-m", "vfxswap.cli", *words], check=True, stdout=subprocess.DEVNULL)
