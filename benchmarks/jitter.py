"""How much landmarks tremble: as an aligner finds them, steadied, and by trailing means; against true ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.steady_cases import CLIPS, POINT_CLIP_FRAMES, POINTS, REMEDIES_OF_POINTS, Clip
from vfxswap.crops import PlateCutter, View, small_picture
from vfxswap.frame import Detection, Face, Frame
from vfxswap.geometry import Landmarks
from vfxswap.host import Host
from vfxswap.lab.deliver import deliver
from vfxswap.models import ModelStore
from vfxswap.pipeline.colour import ColorNames
from vfxswap.stage import Aligner, Detector, Setting, Stage, Window
from vfxswap.testing import options_of, setting, synthetic_frame
from vfxswap.trackfile import read_tracks

Floats = NDArray[np.float64]

HERE = Path(__file__).resolve().parent
SIZE = (480, 270)
CALM = 0.35
"""Second difference of the true path, in percent of the eyes' distance, below which for `CALM_FRAMES` around a point is
calm."""
CALM_FRAMES = 4
FAST = 4.0
"""Percent of the eyes' distance a frame, above which a point is fast."""
_EYES = (33, 263)
"""The eyes' outer corners in mesh468."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """One face over a shot; T frames, 468 points."""

    frame: Floats
    raw: Floats
    """`(T, 468, 3)` pixels, as found."""
    true: Floats | None
    """The same, as rendered."""
    score: Floats

    @property
    def percent(self) -> float:
        """Of the eyes' distance, in a pixel."""
        shown = self.raw if self.true is None else self.true
        return 100 / float(np.linalg.norm(shown[:, _EYES[0], :2] - shown[:, _EYES[1], :2], axis=-1).mean())


def jitter_tables(work: Path) -> tuple[list[list[str]], list[list[str]]]:
    """Rows of the lab's shots, and of the clips that this machine has; each with a head."""
    host = Host(plugin_path=[HERE / "quality_plugins"])
    lab = [["shot", "landmarks", "jitter of calm points", "error of calm points", "error of fast points", "lag"]]
    for name in POINTS:
        lab += _lab_rows(name, _found_in_lab(name, work, host), host)
    clips = [["clip", "landmarks", "second difference", "lag"]]
    for name, clip in CLIPS.items():
        if clip.path.is_file():
            clips += _clip_rows(name, _found_in_clip(name, clip, work, host), host)
    return lab, clips


def _lab_rows(name: str, found: Found, host: Host) -> list[list[str]]:
    if found.true is None:
        raise ValueError(f"shot {name!r} has no true landmarks")
    calm, fast = _calm_and_fast(found.true * found.percent)
    rows = []
    for remedy, stages in REMEDIES_OF_POINTS.items():
        points = _passed(found, stages, host)
        error = (points - found.true)[..., :2] * found.percent
        trembling = np.linalg.norm(_second(error), axis=-1)
        distance = np.linalg.norm(error - error.mean(axis=0), axis=-1)[1:-1]
        shown = [_rms(trembling[calm]), _rms(distance[calm]), _rms(distance[fast]), _lag(points, found.raw)]
        rows.append([name, remedy, *(_figure(value) for value in shown)])
    return rows


def _clip_rows(name: str, found: Found, host: Host) -> list[list[str]]:
    rows = []
    for remedy, stages in REMEDIES_OF_POINTS.items():
        points = _passed(found, stages, host)
        moved = np.linalg.norm(_second(points[..., :2]) * found.percent, axis=-1)
        rows.append([name, remedy, _figure(_rms(moved)), _figure(_lag(points, found.raw))])
    return rows


def _calm_and_fast(true: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """`(T - 2, K)` each, of paths in percent of the eyes' distance."""
    bend = np.linalg.norm(_second(true), axis=-1)
    padded = np.pad(bend, ((CALM_FRAMES, CALM_FRAMES), (0, 0)), mode="edge")
    around = np.max([padded[at : at + len(bend)] for at in range(2 * CALM_FRAMES + 1)], axis=0)
    speed = np.linalg.norm(np.gradient(true[..., :2], axis=0), axis=-1)[1:-1]
    return around < CALM, speed > FAST


def _second(path: Floats) -> Floats:
    return np.asarray((path[2:] - 2 * path[1:-1] + path[:-2])[..., :2])


def _lag(points: Floats, raw: Floats) -> float:
    """Frames: what of the velocity, turned round, is in the change that was made."""
    speed = np.gradient(raw[..., :2], axis=0)
    return -float(((points - raw)[..., :2] * speed).sum() / (speed**2).sum())


def _rms(values: Floats) -> float:
    return float(np.sqrt((values**2).mean())) if values.size else float("nan")


def _figure(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


def _passed(found: Found, stages: Sequence[dict[str, object]], host: Host) -> Floats:
    """The landmarks after stages, each through windows as the host makes them."""
    plate = synthetic_frame(1, width=16, height=16)
    faces = [
        Face(Detection((0, 0, 1, 1), float(score)), landmarks=Landmarks(points, "mesh468"))
        for points, score in zip(found.raw, found.score, strict=True)
    ]
    frames = [
        replace(plate, number=int(number)).with_faces([face]) for number, face in zip(found.frame, faces, strict=True)
    ]
    for settings in stages:
        values = {key: value for key, value in settings.items() if key != "use"}
        kind = host.stage_class(str(settings["use"]))
        frames = _through(kind(options_of(kind, values), setting()), frames)
    marks = [frame.faces[0].landmarks for frame in frames]
    return np.stack([each.points for each in marks if each is not None])


def _through(stage: Stage[Any], frames: Sequence[Frame]) -> list[Frame]:
    behind, ahead = stage.window
    made = []
    for place in range(len(frames)):
        first = max(place - behind, 0)
        made.append(stage.process(Window(tuple(frames[first : place + ahead + 1]), place - first)))
    return made


def _found_in_lab(name: str, work: Path, host: Host) -> Found:
    cached = work / f"points_{name}.npz"
    if not cached.is_file():
        shot, folder = POINTS[name], work / f"points_{name}"
        if not (folder / "shot.json").is_file():
            frames = range(shot.first, shot.first + shot.frames)
            deliver(shot.spec, folder, width=SIZE[0], height=SIZE[1], frames=frames)
        true = read_tracks(folder / "tracks.json")
        frame, raw, score = _looked_at(folder / "plate.mkv", host, None, 1, shot.frames)
        marks = [true.faces(number)[0].landmarks for number in frame]
        np.savez(cached, frame=frame, raw=raw, score=score, true=[each.points for each in marks if each is not None])
    with np.load(cached, allow_pickle=False) as data:
        return Found(data["frame"].astype(float), data["raw"], data["true"], data["score"].astype(float))


def _found_in_clip(name: str, clip: Clip, work: Path, host: Host) -> Found:
    cached = work / f"points_{name}.npz"
    if not cached.is_file():
        last = clip.first + POINT_CLIP_FRAMES - 1
        frame, raw, score = _looked_at(clip.path, host, clip.color_space, clip.first, last)
        np.savez(cached, frame=frame, raw=raw, score=score)
    with np.load(cached, allow_pickle=False) as data:
        return Found(data["frame"].astype(float), data["raw"], None, data["score"].astype(float))


def _looked_at(
    plate: Path, host: Host, color_space: str | None, first: int, last: int
) -> tuple[list[int], list[Floats], list[float]]:
    """Frame numbers, landmarks and scores of the surest face of each frame that has one."""
    numbers, found, scores = [], [], []
    with host.reader_for(plate)(plate) as reader, torch.inference_mode():
        info = reader.info
        tags = ColorNames().of_plate(info.tags, color_space, file_id=None, path=plate)
        store = ModelStore.from_environment(host.model_cards())
        shot = Setting(torch.device("cpu"), store, info.width, info.height, info.first, info.last)
        view = View(tags, info.rotation, torch.device("cpu"))
        kinds = [host.stage_class(name) for name in ("yunet", "facemesh")]
        detector, aligner = (kind(options_of(kind, {}), shot) for kind in kinds)
        if not isinstance(detector, Detector) or not isinstance(aligner, Aligner):
            raise TypeError("yunet and facemesh are no detector and aligner")
        detector.open()
        aligner.open()
        size = detector.image_size() or (info.width, info.height)
        for frame in reader.frames(first, last):
            seen = detector.detect(small_picture(frame.plate, view, size)[None], [frame.number])[0]
            best = max(seen, key=lambda face: face.score, default=None)
            if best is None:
                continue
            face = best.scaled(info.width / size[0], info.height / size[1])
            marks = aligner.align([face], PlateCutter([frame], view))[0]
            if marks is not None:
                numbers.append(frame.number)
                found.append(marks.points)
                scores.append(face.score)
    return numbers, found, scores
