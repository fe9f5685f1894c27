"""The lab: what its pictures cost, and whether detectors that were trained on people see its performers as it says.

    python -m benchmarks.lab                     both tables, and how far each region's points are off
    python -m benchmarks.lab --size 480x270 --step 12

The figures of recognition depend on no machine's speed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.material import SHARED, Material
from benchmarks.measure import Table, cpu, cpu_ratio, in_turn
from vfxswap.frame import Detection
from vfxswap.geometry import REGIONS, Affine, Region
from vfxswap.host import Host
from vfxswap.lab.colour import srgb_encoded
from vfxswap.lab.landmarks import FaceTruth
from vfxswap.lab.play import build
from vfxswap.lab.shot import PRESETS, Lens
from vfxswap.models import ModelStore
from vfxswap.ops import warp
from vfxswap.testing.material import options_of, setting

SIZE, STEP = (640, 360), 6
SAMPLES = 5
MOST_YAW_DEGREES, LEAST_RECALL = 60.0, 0.98
MOST_ERROR_PERCENT = 3.0
_PROTOTYPE = SHARED / "prototypes" / "cghead.py"
_EYES: tuple[Region, Region] = ("left_eye", "right_eye")
_FEATURES: tuple[Region, ...] = (*_EYES, "lips_outer", "nose")
_CORNERS = (33, 263)
"""The outer corners of the eyes, whose distance is what face alignment is commonly measured in (300-W)."""


def priced(found: Material | None, rounds: int) -> Table:  # noqa: ARG001 - it makes its own pictures
    """What a picture costs, beside the prototype that the lab was written after."""
    cases: dict[str, Callable[[], object]] = {"the lab": _lab_pictures()}
    if _PROTOTYPE.is_file():
        cases["prototype"] = _prototype_pictures()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        costs = in_turn(cases, rounds=rounds)
    finally:
        torch.set_num_threads(threads)
    rows = [[name, f"{cpu(taken) / 2:.2f}"] for name, taken in costs.items()]
    goals = []
    if "prototype" in costs:
        times = cpu_ratio(costs["the lab"], costs["prototype"])
        goals.append((f"a picture costs no more than the prototype's: {times:.2f} of it", times <= 1.0))
    says = (
        f"Two pictures of {SIZE[0]}x{SIZE[1]}, {SAMPLES} samples, one thread, with shadows and grain: of the lab plate"
        " and truth with their mattes, landmarks, depth and motion; of the prototype two pictures with a face matte."
    )
    return Table("The lab's pictures", says, ("renderer", "seconds of processor time a picture"), rows, goals)


def _lab_pictures() -> Callable[[], object]:
    spec = PRESETS["talk"].model_copy(update={"lens": Lens(samples=SAMPLES, grain=0.01)})
    stage = build(spec, width=SIZE[0], height=SIZE[1])
    return lambda: stage.frame(1030)


def _prototype_pictures() -> Callable[[], object]:
    made = _module(_PROTOTYPE)
    scene = made.Scene(made.Head(made.PERFORMER_A, made.Template()), H=SIZE[1], W=SIZE[0])
    motion = made.demo_motion(bar=False)

    def render() -> None:
        with torch.inference_mode():
            for time in (20.0, 40.0):
                scene.render(motion, time, spp=SAMPLES, grain=0.01)

    return render


def _module(path: Path) -> ModuleType:
    plan = importlib.util.spec_from_file_location(path.stem, path)
    if plan is None or plan.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(plan)
    sys.modules[path.stem] = module
    plan.loader.exec_module(module)
    return module


@dataclass(slots=True)
class _Seen:
    """What the detectors made of one shot's faces."""

    scores: list[float] = field(default_factory=list)
    """Of the faces within `MOST_YAW_DEGREES`; 0 where none was found."""
    extra: int = 0
    """Detections that are no face of the shot."""
    errors: list[NDArray[np.float64]] = field(default_factory=list)
    """`(468,)` distances in percent of that of the eyes' centres; NaN where a point is hidden."""
    in_corners: list[float] = field(default_factory=list)
    """The eyes' distance over that of their outer corners."""

    def percent(self, points: Sequence[int]) -> float:
        """Mean error of some points."""
        return float(np.nanmean(np.stack(self.errors)[:, list(points)])) if self.errors else float("nan")

    @property
    def recall(self) -> float:
        """Share of the faces that were found."""
        return float(np.mean([score > 0 for score in self.scores])) if self.scores else float("nan")


def recognised(found: Material | None, rounds: int) -> Table:  # noqa: ARG001 - the same at every round
    """Whether YuNet finds the performers, and FaceMesh the points that the lab says are theirs."""
    return _recognised(looked_at(SIZE, STEP))


def _recognised(seen: dict[str, _Seen]) -> Table:
    everything = _Seen()
    for shot in seen.values():
        everything.scores += shot.scores
        everything.errors += shot.errors
    rows = [_row(name, shot) for name, shot in {**seen, "all": everything}.items()]
    worst = max(shot.percent(_points()) for shot in seen.values())
    goals = [
        (f"YuNet finds {LEAST_RECALL:.0%} of the faces: {everything.recall:.1%}", everything.recall >= LEAST_RECALL),
        (
            f"FaceMesh is within {MOST_ERROR_PERCENT:g} % of the eyes' distance of the lab's points of eyes, lips and"
            f" nose on every shot: {worst:.1f} % on the worst",
            worst <= MOST_ERROR_PERCENT,
        ),
    ]
    says = (
        f"Plate and truth of every preset. YuNet: faces turned by {MOST_YAW_DEGREES:g} degrees or less, found with a"
        " score above 0.7. FaceMesh: the mean distance of points that are seen, in percent of the distance between the"
        " eyes' centres as it would be seen from the front, on faces turned by as much."
    )
    columns = ("shot", "faces", "found", "least score", "extra", "eyes, lips, nose", "all points")
    return Table("Detectors on the lab's performers", says, columns, rows, goals)


def _row(name: str, shot: _Seen) -> list[str]:
    found = [score for score in shot.scores if score > 0]
    return [
        name,
        str(len(shot.scores)),
        f"{shot.recall:.1%}",
        f"{min(found, default=float('nan')):.2f}",
        str(shot.extra),
        f"{shot.percent(_points()):.1f} %",
        f"{shot.percent(range(468)):.1f} %",
    ]


def _points() -> list[int]:
    return sorted({index for name in _FEATURES for index in REGIONS["mesh468"][name]})


def regions(seen: dict[str, _Seen]) -> Table:
    """How far each region's points are off, over all shots."""
    rows = [
        [name, *(f"{shot.percent(REGIONS['mesh468'][name]):.1f}" for shot in seen.values())]
        for name in REGIONS["mesh468"]
    ]
    return Table("By region", "Percent of the distance between the eyes' centres.", ("region", *seen), rows)


def looked_at(size: tuple[int, int], step: int, names: Sequence[str] = tuple(PRESETS)) -> dict[str, _Seen]:
    """Plays shots and looks at every `step`th frame of them."""
    os.environ.setdefault("VFXSWAP_MODEL_PATH", str(SHARED / "models"))
    looks = _Looks.made(size)
    seen = {}
    for name in names:
        seen[name] = _Seen()
        stage = build(PRESETS[name], width=size[0], height=size[1])
        first, last = stage.spec.frames
        for number in range(first, last + 1, step):
            frame = stage.frame(number)
            looks.look(frame.plate, frame.faces, seen[name])
            looks.look(frame.truth, frame.truth_faces, seen[name])
        print("  ", *_row(name, seen[name]), file=sys.stderr)
    return seen


@dataclass(frozen=True, slots=True, eq=False)
class _Looks:
    """The two stages, opened."""

    detector: Any
    aligner: Any

    @classmethod
    def made(cls, size: tuple[int, int]) -> _Looks:
        host = Host()
        told = setting(width=size[0], height=size[1], models=ModelStore.from_environment(host.model_cards()))
        stages = []
        for name in ("yunet", "facemesh"):
            kind = host.stage_class(name)
            stages.append(kind(options_of(kind, {}), told))
            stages[-1].open()
        return cls(*stages)

    def look(self, picture: Tensor, faces: Sequence[FaceTruth], seen: _Seen) -> None:
        code = (srgb_encoded(picture) * 255).round() / 255
        width, height = self.detector.image_size()
        small = torch.nn.functional.interpolate(code[None], (height, width), mode="bilinear", antialias=True)
        (found,) = self.detector.detect(small, [0])
        scale = picture.shape[2] / width, picture.shape[1] / height
        left = [detection.scaled(*scale) for detection in found]
        for face in faces:
            mine = [detection for detection in left if _holds(detection, face)]
            left = [detection for detection in left if not _holds(detection, face)]
            if abs(face.pose.yaw) <= MOST_YAW_DEGREES:
                seen.scores.append(max((detection.score for detection in mine), default=0.0))
                self._measure(code, face, seen)
        seen.extra += len(left)

    def _measure(self, code: Tensor, face: FaceTruth, seen: _Seen) -> None:
        known = Detection(face.box, 1.0, face.mesh.five(), face.track, face.mesh)

        def cut(index: Sequence[int], plate_to_crop: Sequence[Affine], size_px: int) -> Tensor:
            crops = [warp.cut(code, origin=(0, 0), plate_to_crop=place, size_px=size_px) for place in plate_to_crop]
            return torch.stack(crops[: len(index)])

        (mesh,) = self.aligner.align([known], cut)
        if mesh is None:
            return
        true = face.mesh.points
        eyes = [true[list(REGIONS["mesh468"][name])].mean(axis=0) for name in _EYES]
        apart = float(np.linalg.norm(eyes[1] - eyes[0]))
        error = 100 * np.linalg.norm(mesh.points[:, :2] - true[:, :2], axis=1) / apart
        seen.errors.append(np.where(face.visible, error, np.nan))
        seen.in_corners.append(apart / float(np.linalg.norm(true[_CORNERS[1]] - true[_CORNERS[0]])))


def _holds(detection: Detection, face: FaceTruth) -> bool:
    """Whether a box lies on a face: they share half of what they cover."""
    a, b = np.array(detection.box), np.array(face.box)
    sides = (np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])).clip(0)
    shared = float(sides.prod())
    return shared > 0.5 * min(float((a[2:] - a[:2]).prod()), float((b[2:] - b[:2]).prod()))


def main() -> int:
    """Runs what the command line asks for and prints it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lab", description="What the lab costs and is worth.")
    parser.add_argument("--size", default=f"{SIZE[0]}x{SIZE[1]}", help="of the pictures that are looked at")
    parser.add_argument("--step", type=int, default=STEP, help="every how manieth frame")
    parser.add_argument("--shots", default=",".join(PRESETS), help="which presets")
    parser.add_argument("--rounds", type=int, default=3, help="how often pictures are timed; 0 leaves that out")
    asked = parser.parse_args()
    width, height = (int(word) for word in asked.size.split("x"))
    for table in _tables(asked.rounds, (width, height), asked.step, asked.shots.split(",")):
        print(table.markdown())
    return 0


def _tables(rounds: int, size: tuple[int, int], step: int, shots: Sequence[str]) -> Iterator[Table]:
    if rounds:
        yield priced(None, rounds)
    seen = looked_at(size, step, shots)
    yield _recognised(seen)
    yield regions(seen)
    corners = np.mean([share for shot in seen.values() for share in shot.in_corners])
    print(f"Of the distance between the eyes' outer corners these are {corners:.2f} times as much.")


if __name__ == "__main__":
    sys.exit(main())
