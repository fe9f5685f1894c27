"""Where shots start: the host's own search beside PySceneDetect's detectors, on the lab's shots and on filmed clips.

PySceneDetect is no dependency, not even of the benchmarks' extra: from 0.7 on it demands `opencv-python`, whose files
lie where those of `opencv-python-headless` do. It runs with these as well:

    pip install --no-deps 'scenedetect>=0.7' && pip install platformdirs tqdm
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.material import CACHE, SHARED, Material, ffmpeg
from benchmarks.measure import Table
from vfxswap.cutsearch import find_cuts
from vfxswap.host import Host
from vfxswap.lab.colour import srgb_encoded
from vfxswap.lab.play import build
from vfxswap.lab.shot import PRESETS
from vfxswap.pipeline import read_plate_of

Pictures = NDArray[np.uint8]
"""`(frames, rows, columns, 3)` R'G'B'."""
SIZE = (192, 108)
PIECE = 24
"""Frames of each of the shots that are put together."""
NEAR = 2
"""A dissolve counts as found if a new shot starts within so many frames of its middle."""
FILMED: Mapping[str, Sequence[int]] = {
    "derived/drv_cuts_dissolve.mp4": (24, 49, 55),
    "googlework_short_320x180.mp4": (
        *(17, 36, 54, 73, 93, 111, 130, 149, 167, 186, 204, 222, 291, 432, 540, 609, 710, 769, 819, 949),
    ),
    "tos_battle_800x332.webm": (
        *(52, 122, 158, 221, 309, 715, 788, 872, 901, 987, 1127, 1157, 1203, 1234, 1246, 1284, 1345, 1378, 1430),
        *(1472, 1525, 1571, 1618, 1650, 1689),
    ),
}
"""Hard cuts of filmed clips, counted from 0, found by eye on sheets of all their frames; the other clips have none."""
FILMED_DISSOLVES: Mapping[str, Sequence[tuple[int, int]]] = {"derived/drv_cuts_dissolve.mp4": ((90, 101),)}


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip whose cuts are known; frames are counted from 0."""

    path: Path
    kind: str
    cuts: Sequence[int] = ()
    """First frames of new shots."""
    dissolves: Sequence[tuple[int, int]] = ()
    """First and last frame in which both shots are seen."""


@dataclass(slots=True)
class Score:
    """What a detector made of some clips."""

    right: int = 0
    missed: int = 0
    false: int = 0
    dissolves: int = 0

    def count(self, clip: Clip, found: Sequence[int]) -> None:
        """Adds a clip. A cut must be found at its very frame; what lies in a dissolve is no hard cut, nor false."""
        hard = {frame for frame in found if not any(a - 1 <= frame <= b + 1 for a, b in clip.dissolves)}
        self.right += len(hard & set(clip.cuts))
        self.missed += len(set(clip.cuts) - hard)
        self.false += len(hard - set(clip.cuts))
        for first, last in clip.dissolves:
            self.dissolves += any(abs(frame - (first + last + 1) / 2) <= NEAR for frame in found)

    @property
    def precision(self) -> float:
        """Share of what was found that is right; NaN where there is nothing."""
        return self.right / (self.right + self.false) if self.right + self.false else float("nan")

    @property
    def recall(self) -> float:
        """Share of the cuts that was found."""
        return self.right / (self.right + self.missed) if self.right + self.missed else float("nan")

    @property
    def f1(self) -> float:
        """Their harmonic mean."""
        return 2 * self.right / max(2 * self.right + self.missed + self.false, 1)


@dataclass(slots=True)
class Scores:
    """By kind of clip."""

    kinds: dict[str, Score] = field(default_factory=dict)

    def count(self, clip: Clip, found: Sequence[int]) -> None:
        """Adds a clip."""
        for kind in (clip.kind, "all"):
            self.kinds.setdefault(kind, Score()).count(clip, found)


def searched(found: Material | None, rounds: int) -> Table:  # noqa: ARG001 - the same at every round
    """Precision and recall of all detectors."""
    host = Host()
    clips = [*_lab_clips(), *_filmed_clips()]
    scores: dict[str, Scores] = {}
    for clip in clips:
        print(f"  {clip.path.name}", file=sys.stderr)
        for name, frames in {"vfxswap": _ours(clip.path, host), **_theirs(clip.path)}.items():
            scores.setdefault(name, Scores()).count(clip, frames)
    return _table(clips, scores)


def _table(clips: Sequence[Clip], scores: Mapping[str, Scores]) -> Table:
    kinds = [*dict.fromkeys(clip.kind for clip in clips)]
    rows = [[name, *(_words(of.kinds[kind]) for kind in kinds), *_sum(of.kinds["all"])] for name, of in scores.items()]
    counts = ", ".join(
        f"{kind}: {len(some)} clips with {sum(len(clip.cuts) for clip in some)} hard cuts and"
        f" {sum(len(clip.dissolves) for clip in some)} dissolves"
        for kind in kinds
        if (some := [clip for clip in clips if clip.kind == kind])
    )
    ours = scores["vfxswap"].kinds["all"]
    others = [of.kinds["all"].f1 for name, of in scores.items() if name != "vfxswap"]
    goals = [
        (
            f"the host's own F1, {ours.f1:.2f}, is above that of each other: {max(others, default=0):.2f} is the best",
            ours.f1 > max(others, default=0),
        )
    ]
    says = (
        f"Right / missed / false hard cuts ({counts}). A cut counts at its very frame. Dissolves are counted apart: as"
        f" found where a new shot starts within {NEAR} frames of the middle. PySceneDetect {_version()} as it comes,"
        " and with `min_scene_len=1`, as by default it takes nothing for a cut that is within 15 frames of another."
        " Lab clips of *one set* are cuts between takes of one performer before one backdrop by one camera, which show"
        " little but a face that jumps."
    )
    return Table("Where shots start", says, ("detector", *kinds, "precision", "recall", "F1", "dissolves"), rows, goals)


def _words(score: Score) -> str:
    return f"{score.right} / {score.missed} / {score.false}"


def _sum(score: Score) -> list[str]:
    return [f"{score.precision:.2f}", f"{score.recall:.2f}", f"{score.f1:.2f}", str(score.dissolves)]


def _ours(path: Path, host: Host) -> list[int]:
    opened = read_plate_of(path, host, ["shot.color_space=bt709"])
    return [one.frame - opened.info.first for one in find_cuts(opened)]


def _version() -> str:
    try:
        return importlib.metadata.version("scenedetect")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _theirs(path: Path) -> dict[str, list[int]]:
    """What PySceneDetect's detectors find; none without it. Kept, as clips and detectors stay what they are."""
    try:
        package = importlib.import_module("scenedetect")
    except ImportError:
        return {}
    kept = CACHE / f"cuts_scenedetect_{_version()}.json"
    known: dict[str, dict[str, list[int]]] = json.loads(kept.read_text()) if kept.is_file() else {}
    if path.name not in known:
        known[path.name] = _detected(path, package)
        kept.write_text(json.dumps(known))
    return known[path.name]


def _detected(path: Path, package: Any) -> dict[str, list[int]]:
    """Each detector is given every frame, as its `SceneManager` gives them."""
    names = ("AdaptiveDetector", "ContentDetector", "HashDetector", "HistogramDetector")
    detectors = {name: getattr(package, name)() for name in names}
    detectors |= {f"{name}, min_scene_len=1": getattr(package, name)(min_scene_len=1) for name in names}
    found: dict[str, list[int]] = {name: [] for name in detectors}
    time: Any = None
    for number, picture in enumerate(_decoded(path)):
        time = package.FrameTimecode(number, 25.0)
        for name, detector in detectors.items():
            found[name] += [one.frame_num for one in detector.process_frame(time, picture)]
    for name, detector in detectors.items():
        found[name] += [one.frame_num for one in detector.post_process(time)]
    return found


def _decoded(path: Path) -> Iterator[Pictures]:
    """B'G'R', shrunk as PySceneDetect does."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            picture = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
            factor = max(picture.shape[:2]) / 256
            if factor > 1:
                size = (round(picture.shape[1] / factor), round(picture.shape[0] / factor))
                picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), np.uint8)
            yield picture


def _filmed_clips() -> Iterator[Clip]:
    """All clips of the shared footage, where it is."""
    folder = SHARED / "clips"
    for path in sorted([*folder.glob("*.*"), *folder.glob("derived/*.*")]):
        name = path.relative_to(folder).as_posix()
        yield Clip(path, "filmed", FILMED.get(name, ()), FILMED_DISSOLVES.get(name, ()))


def _lab_clips() -> Iterator[Clip]:
    """The presets, and what is made of them."""
    shots = _rendered()
    for name, pictures in shots.items():
        cuts = [cut.frame - PRESETS[name].frames[0] for cut in PRESETS[name].cuts]
        yield Clip(_written(name, pictures), "lab", cuts)
    for name, make in _MADE.items():
        pictures, cuts, dissolves = make(shots)
        kind = "lab, one set" if name == "one_set" else "lab"
        yield Clip(_written(name, pictures), kind, cuts, dissolves)


def _rendered() -> dict[str, Pictures]:
    path, there = CACHE / "cuts_lab.npz", {}
    if path.is_file():
        with np.load(path) as kept:
            there = {name: kept[name] for name in kept.files if name in PRESETS}
    if len(there) < len(PRESETS):
        there |= {name: _render(name) for name in PRESETS if name not in there}
        np.savez(path, **there)
    return there


def _render(name: str) -> Pictures:
    spec = PRESETS[name]
    spec = spec.model_copy(update={"lens": spec.lens.model_copy(update={"samples": min(spec.lens.samples, 3)})})
    stage = build(spec, width=SIZE[0], height=SIZE[1])
    plates = (stage.frame(number).plate for number in range(spec.frames[0], spec.frames[1] + 1))
    return np.stack([(srgb_encoded(p) * 255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy() for p in plates])


def _written(name: str, pictures: Pictures) -> Path:
    """Lossless, tagged."""
    path, raw = CACHE / f"cuts_{name}.mkv", CACHE / "cuts.rgb"
    if not path.is_file():
        raw.write_bytes(pictures.tobytes())
        size = f"{pictures.shape[2]}x{pictures.shape[1]}"
        source = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", "25", "-i", raw)
        tags = ("-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709")
        ffmpeg(*source, "-vf", "scale=out_color_matrix=bt709", "-pix_fmt", "yuv444p", *tags, "-c:v", "ffv1", path)
        raw.unlink()
    return path


Made = tuple[Pictures, list[int], list[tuple[int, int]]]


def _joined(pieces: Sequence[Pictures]) -> Made:
    ends = np.cumsum([len(piece) for piece in pieces])
    return np.concatenate(pieces), [int(end) for end in ends[:-1]], []


def _one_set(shots: Mapping[str, Pictures]) -> Made:
    """Takes of one performer by one camera, each cut to the next."""
    names = ("talk", "demo", "blink", "shake", "occluder", "defocus", "profile")
    return _joined([shots[name][12 : 12 + PIECE] for name in names])


def _reverse(shots: Mapping[str, Pictures]) -> Made:
    """Shot and answer, ever shorter: 16 frames to 4."""
    two, one = shots["two"], shots["cut"][PIECE:]
    lengths = (16, 12, 10, 8, 6, 5, 4, 16)
    return _joined([(two if i % 2 else one)[4 * i : 4 * i + length] for i, length in enumerate(lengths)])


def _flashes(shots: Mapping[str, Pictures]) -> Made:
    """Flashes of one frame and of two, in whole and in half the picture."""
    lit = shots["talk"][:60].astype(np.float32)
    for frame, columns in ((10, 192), (25, 96), (26, 96), (40, 192), (41, 120), (50, 192)):
        lit[frame, :, :columns] = lit[frame, :, :columns] * 0.3 + 170
    return lit.clip(0, 255).round().astype(np.uint8), [], []


def _exposure(shots: Mapping[str, Pictures]) -> Made:
    """A step of a stop, and a slow one back."""
    gains = np.interp(np.arange(60), [0, 19, 20, 35, 55, 60], [0.5, 0.5, 1.0, 1.0, 0.5, 0.5])
    return (shots["two"][:60] * gains[:, None, None, None]).clip(0, 255).round().astype(np.uint8), [], []


def _whip(shots: Mapping[str, Pictures]) -> Made:
    """From one end of a wide set to the other within ten frames, with the blur of an open shutter."""
    pictures = shots["two"][:48]
    wide = np.concatenate([pictures, pictures[:, :, ::-1], shots["cut"][24:72], pictures], axis=2)
    reach = wide.shape[2] - SIZE[0] - 1
    at = np.interp(np.arange(49), [0, 19, 29, 48], [0, 0, reach, reach])
    moved = []
    for i, picture in enumerate(wide):
        instants = np.linspace(at[i], at[i] + (at[i + 1] - at[i]) * 0.5, 8).round().astype(int)
        moved.append(np.mean([picture[:, x : x + SIZE[0]] for x in instants], axis=0))
    return np.stack(moved).round().astype(np.uint8), [], []


def _passer(shots: Mapping[str, Pictures]) -> Made:
    """Somebody dark walks past close to the lens and covers two thirds of the picture."""
    covered = shots["two"][:48].copy()
    for i in range(48):
        x = 16 * (i - 16)
        covered[i, :, max(x, 0) : max(x + 128, 0)] //= 12
    return covered, [], []


def _mixes(shots: Mapping[str, Pictures]) -> Made:
    """Four dissolves between shots of several kinds: of 6, 12, 16 and 24 frames."""
    pieces = [shots[name][:60].astype(np.float32) for name in ("talk", "two", "lights", "cut", "two")]
    pieces[3] = shots["cut"][PIECE : PIECE + 24].repeat(2, axis=0).astype(np.float32)
    made: list[NDArray[np.float32]] = [pieces[0][:-PIECE]]
    dissolves: list[tuple[int, int]] = []
    for (old, new), length in zip(pairwise(pieces), (6, 12, 16, 24), strict=True):
        shares = ((np.arange(length) + 1) / (length + 1)).astype(np.float32)[:, None, None, None]
        start = sum(map(len, made))
        leaving = old[len(old) - PIECE :][:length]
        made += [leaving * (1 - shares) + new[:length] * shares, new[length:-PIECE]]
        dissolves.append((start, start + length - 1))
    return np.concatenate([*made, pieces[-1][-PIECE:]]).round().astype(np.uint8), [], dissolves


_MADE: dict[str, Callable[[Mapping[str, Pictures]], Made]] = {
    "one_set": _one_set,
    "reverse": _reverse,
    "flashes": _flashes,
    "exposure": _exposure,
    "whip": _whip,
    "passer": _passer,
    "mixes": _mixes,
}
