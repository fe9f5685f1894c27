"""How steady faces are over time: de-flickers against each other and against trailing means; landmarks likewise.

    python -m benchmarks.steadiness                 all of it; writes benchmarks/STEADINESS.md
    python -m benchmarks.steadiness --keep          takes the results that are in the work folder, and scores them anew
    python -m benchmarks.steadiness --shots still,talk --remedies none,flow-deflicker

The figures depend on no machine's speed. Faces are swapped once for each shot and fault, kept, and put in again for
every remedy. Needs the models yunet and facemesh; clips of the shared test footage are left out where there are none.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import torch

import vfxswap
from benchmarks.jitter import jitter_tables
from benchmarks.steady_cases import CLIPS, FAULTS, REMEDIES, SHOTS, Fault, Stage
from benchmarks.steady_pages import page
from benchmarks.steady_scores import Reference, lab_mattes, lab_objects, pictures_of, reference, scores
from vfxswap.host import Host
from vfxswap.lab.deliver import deliver
from vfxswap.models import ModelStore
from vfxswap.score.judge import replaced

HERE = Path(__file__).resolve().parent
SIZE = (480, 270)
STILL_PX = 512
CROP_PX = 256
"""Of the crops: about twice the size of the faces."""
HANDLES = 16
"""Frames swapped beyond those of a clip that are judged, for windows to see."""

Found = dict[str, dict[str, dict[str, dict[str, float]]]]
"""Scores by fault, shot and remedy."""


def rendered(name: str, work: Path) -> Path:
    """The folder of a lab shot; made if it is not there, and complete."""
    folder, shot = work / f"{name}_{SIZE[0]}x{SIZE[1]}", SHOTS[name]
    if not (folder / "shot.json").is_file():
        frames = range(shot.first, shot.first + shot.frames)
        data = shot.spec.occluder != "none"
        deliver(shot.spec, folder, width=SIZE[0], height=SIZE[1], frames=frames, still_px=STILL_PX, data=data)
    return folder


def _toml(table: Stage) -> str:
    # A JSON value of text, number or truth is a TOML value too.
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())


class _Case:
    """One shot, and the pipelines on it."""

    def __init__(self, name: str, work: Path, host: Host) -> None:
        self.name, self.work, self.host = name, work, host
        self.clip = CLIPS.get(name)
        self.folder = rendered("still" if self.clip else name, work)
        self.plate = self.folder / "plate.mkv" if self.clip is None else self.clip.path
        self.count = SHOTS[name].frames if self.clip is None else self.clip.frames

    def result(self, fault: Fault, label: str, remedy: str, *, keep: bool) -> Path:
        """The movie of a fault and what is done against it."""
        faces = self.work / f"{self.name}.{label}.faces"
        if not faces.with_suffix(".mkv").is_file() or (remedy == "none" and not keep):
            keeping: Stage = {"use": "keep", "folder": str(faces)}
            self._run(faces.with_suffix(".mkv"), [*self._swapped(fault), keeping], beyond=HANDLES)
        out = self.work / f"{self.name}.{label}.{remedy.replace(' ', '_').replace(',', '')}.mkv"
        if not (keep and out.is_file()):
            before = [stage for stage in REMEDIES[remedy].stages if "landmarks" in str(stage["use"])]
            after = [stage for stage in REMEDIES[remedy].stages if stage not in before]
            if before:
                swapped = self._swapped(fault, before)
            else:
                swapped = [*_finding(), {"use": "recall", "identity": "hero", "folder": str(faces)}, *self._roto()]
            self._run(out, [*swapped, *after])
        return out

    def _swapped(self, fault: Fault, before: Sequence[Stage] = ()) -> list[Stage]:
        swap: Stage = {"use": fault.swap, "identity": "hero"}
        color: list[Stage] = [{"use": "mkl"}]
        if fault.swap == "true-face":
            swap["truth"], color = str(self.folder / "truth.mkv"), []
        spoilt: list[Stage] = [] if fault.spoilt is None else [{"use": "tremble", **fault.spoilt}]
        return [*_finding(), *before, swap, {"use": "hull"}, *self._roto(), *color, *spoilt]

    def _roto(self) -> list[Stage]:
        if (self.folder / "data").is_dir() and self.clip is None:
            return [{"use": "roto", "path": str(self.folder / "mattes" / "matte.####.png")}]
        return []

    def _run(self, out: Path, stages: Sequence[Stage], *, beyond: int = 0) -> None:
        shot: Stage = {"production": "lab", "purpose": "test", "plate": str(self.plate)}
        if self.clip is not None:
            shot["frames"] = f"{self.clip.first - beyond}-{self.clip.first + self.count - 1 + beyond}"
            shot["color_space"] = self.clip.color_space
        text = ["[shot]\n" + _toml(shot), "[identities.hero]\n" + _toml({"path": str(self.folder / "identity")})]
        blend: Stage = {"use": "pyramid"}
        text += ["[[stages]]\n" + _toml(stage) for stage in (*stages, blend)]
        text.append("[delivery]\n" + _toml({"path": str(out)}))
        file = out.with_suffix(".toml")
        file.write_text("\n".join(text), encoding="utf-8")
        vfxswap.run(file, overwrite=True, device="cpu", host=self.host)

    def reference(self, *, keep: bool) -> Reference:
        """What the results are held against."""
        if self.clip is None:
            plate, truth = (pictures_of(self.folder / f"{each}.mkv", self.host) for each in ("plate", "truth"))
            return reference(plate, truth, lab_mattes(self.folder, self.host, self.count), lab_objects(self.folder))
        first = self.clip.first - 1
        part = slice(first, first + self.count)
        plate = pictures_of(self.plate, self.host, color_space=self.clip.color_space, part=part)
        untouched = self.result(FAULTS["portrait"], "portrait", "none", keep=keep)
        pairs = zip(self.pictures(untouched), plate, strict=True)
        return reference(plate, None, [replaced(*pair) for pair in pairs], None)

    def pictures(self, path: Path) -> Sequence[torch.Tensor]:
        """Of a result."""
        return pictures_of(path, self.host, color_space=None if self.clip is None else self.clip.color_space)


def _finding() -> list[Stage]:
    return [{"use": "yunet"}, {"use": "facemesh", "crop_size": CROP_PX}]


def _of_shot(name: str, *, work: Path, remedies: Sequence[str], faults: Sequence[str], keep: bool) -> Found:
    torch.set_num_threads(1)
    case = _Case(name, work, Host(plugin_path=[HERE / "quality_plugins"]))
    against = case.reference(keep=keep)
    found: Found = {}
    for label in (label for label in faults if name in FAULTS[label].shots):
        for remedy in (remedy for remedy in remedies if REMEDIES[remedy].fits(label, name)):
            result = case.pictures(case.result(FAULTS[label], label, remedy, keep=keep))
            found.setdefault(label, {}).setdefault(name, {})[remedy] = scores(result, against)
            print(f"{name} {label} {remedy}", file=sys.stderr, flush=True)
    return found


def measured(names: Sequence[str], work: Path, one: Callable[[str], Found], *, jobs: int) -> Found:
    """The scores of all shots, each shot by a process of its own."""
    work.mkdir(parents=True, exist_ok=True)
    rendered("still", work)  # whose identity the clips use
    found: Found = {}
    with ProcessPoolExecutor(jobs) as pool:
        for part in pool.map(one, names):
            for fault, shots in part.items():
                found.setdefault(fault, {}).update(shots)
    return found


def main() -> None:
    """Renders, swaps, steadies, scores, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--work", type=Path, default=HERE / ".cache" / "steadiness", help="folder for shots and results"
    )
    parser.add_argument("--shots", help="names parted by commas")
    parser.add_argument("--remedies", help="names parted by commas")
    parser.add_argument("--faults", help="names parted by commas")
    parser.add_argument("--keep", action="store_true", help="score the results that are in the work folder")
    parser.add_argument("--out", type=Path, default=HERE / "STEADINESS.md", help="the page to write")
    parser.add_argument("--jobs", type=int, default=2, help="shots worked on at once")
    asked = parser.parse_args()
    _check_models()
    known: Mapping[str, object] = {**SHOTS, **{name: clip for name, clip in CLIPS.items() if clip.path.is_file()}}
    remedies, faults = _chosen(asked.remedies, REMEDIES), _chosen(asked.faults, FAULTS)
    one = partial(_of_shot, work=asked.work, remedies=remedies, faults=faults, keep=asked.keep)
    found = measured(_chosen(asked.shots, known), asked.work, one, jobs=asked.jobs)
    text = page(found, size=SIZE, crop_px=CROP_PX, jitter=jitter_tables(asked.work))
    asked.out.write_text(text, encoding="utf-8")


def _check_models() -> None:
    store = ModelStore.from_environment(Host().model_cards())
    missing = [name for name in ("yunet", "facemesh") if store.find(name) is None]
    if missing:
        sys.exit(f"no model {', '.join(missing)}; run `vfxswap models pull {' '.join(missing)}`")


def _chosen(text: str | None, known: Mapping[str, object]) -> list[str]:
    names = list(known) if text is None else text.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return names


if __name__ == "__main__":
    main()
