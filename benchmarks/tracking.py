"""Who is who where two performers cross: faces on the wrong track, and how near bridged faces are to the truth."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.material import Material
from benchmarks.measure import Table
from vfxswap.frame import Detection, Sighting
from vfxswap.lab.colour import srgb_encoded
from vfxswap.lab.landmarks import FaceTruth
from vfxswap.lab.play import build
from vfxswap.lab.shot import PRESETS, Lens
from vfxswap.testing import options_of, setting
from vfxswap_plugins.trackers.faces import FaceTracker

Box = tuple[float, float, float, float]
SIZE = (320, 180)
SEEN = 0.4
"""Part of the landmarks that must be seen for a detector to see a face."""
SEEDS_A_ROUND = 4


@dataclass(frozen=True, slots=True)
class Case:
    """How badly a detector sees."""

    says: str
    step: int = 1
    """Every how manieth frame of the shot: who goes faster is harder to follow."""
    wrong: float = 0.05
    """Deviation of boxes and points, in sizes of the face."""
    lost: float = 0.2
    """Part of the faces that are not found."""
    with_pictures: bool = True


CASES = (
    Case("as a detector sees them", wrong=0.02, lost=0.02),
    Case("boxes err by 5 %, every fifth face lost"),
    Case("the same, twice as fast", step=2),
    Case("the same, three times as fast", step=3),
    Case("boxes err by 8 %, two of five lost", wrong=0.08, lost=0.4),
    Case("boxes err by 5 %, every fifth lost, no pictures", with_pictures=False),
)


@dataclass(slots=True)
class Score:
    """What a tracker made of some runs."""

    faces: int = 0
    exchanged: int = 0
    """Faces on a track that is mostly another's."""
    split: int = 0
    """Tracks beyond one a person."""
    misses: list[float] = field(default_factory=list)
    """Of bridged faces, in sizes of the face."""
    made_up: int = 0
    """Bridged faces where the performer is hidden."""
    seconds: float = 0.0
    frames: int = 0


def followed(found: Material | None, rounds: int) -> Table:  # noqa: ARG001 - the lab's own footage
    """Exchanged faces, split tracks and the error of bridged faces."""
    pictures, truth = _shot()
    scores = {case: Score() for case in CASES}
    for case, score in scores.items():
        for seed in range(SEEDS_A_ROUND * rounds):
            _count(score, case, pictures[:: case.step], truth[:: case.step], seed)
    rows = [[case.says, *_words(score)] for case, score in scores.items()]
    plain = scores[CASES[0]]
    return Table(
        title="Tracks where two cross",
        says=f"The lab's preset `cross`, {SIZE[0]} x {SIZE[1]}: one performer walks past before the other, who is"
        f" hidden for half a second. Faces are the true ones, made worse by {SEEDS_A_ROUND * rounds} seeds. Errors of"
        " bridged faces count from the truth, and so hold the error of the faces on both sides of the gap.",
        columns=(
            "seen",
            "exchanged",
            "tracks too many",
            "bridged",
            "error, % of the face",
            "hidden, made up",
            "ms a frame",
        ),
        rows=rows,
        goals=[("nobody is exchanged, seen as a detector sees", plain.exchanged == 0 and plain.split == 0)],
    )


def _words(score: Score) -> Iterator[str]:
    error = f"{100 * np.median(score.misses):.1f}" if score.misses else "-"
    yield f"{score.exchanged} of {score.faces}"
    yield str(score.split)
    yield str(len(score.misses))
    yield error
    yield str(score.made_up)
    yield f"{1000 * score.seconds / max(score.frames, 1):.1f}"


def _shot() -> tuple[list[Tensor], list[Sequence[FaceTruth]]]:
    spec = PRESETS["cross"].model_copy(update={"lens": Lens(samples=1, grain=0.006)})
    stage = build(spec, width=SIZE[0], height=SIZE[1])
    frames = [stage.frame(number) for number in range(spec.frames[0], spec.frames[1] + 1)]
    return [srgb_encoded(frame.plate).clamp(0, 1) for frame in frames], [frame.faces for frame in frames]


def _count(
    score: Score, case: Case, pictures: Sequence[Tensor], truth: Sequence[Sequence[FaceTruth]], seed: int
) -> None:
    sightings, owners = _seen(case, pictures, truth, np.random.default_rng(seed))
    stage = FaceTracker(options_of(FaceTracker, {}), replace(setting(), width=SIZE[0], height=SIZE[1]))
    stage.open()
    threads = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    start = time.process_time()
    frames = stage.follow(iter(sightings))
    score.seconds += time.process_time() - start
    cv2.setNumThreads(threads[0])
    torch.set_num_threads(threads[1])
    score.frames += len(sightings)
    tracks: dict[int, Counter[int]] = {}
    bridged: list[tuple[int, Detection]] = []
    for number, faces in frames.items():
        for face in faces:
            if face.notes:
                bridged.append((number, face.detection))
            else:
                own = owners[number, face.detection.box]
                tracks.setdefault(face.detection.track or 0, Counter())[own] += 1
    score.faces += sum(sum(count.values()) for count in tracks.values())
    score.exchanged += sum(sum(count.values()) - max(count.values()) for count in tracks.values())
    score.split += len(tracks) - 2
    for number, detection in bridged:
        who = tracks[detection.track or 0].most_common(1)[0][0]
        own_truth = truth[number - 1][who]
        score.misses.append(_miss(own_truth, detection))
        score.made_up += bool(own_truth.visible.mean() < SEEN / 2)


def _miss(truth: FaceTruth, face: Detection) -> float:
    """Mean distance of the five points, in sizes of the face."""
    size = float(np.sqrt((truth.box[2] - truth.box[0]) * (truth.box[3] - truth.box[1])))
    points = truth.mesh.five() if face.five is None else face.five
    return float(np.linalg.norm(truth.mesh.five() - points, axis=1).mean()) / size


def _seen(
    case: Case, pictures: Sequence[Tensor], truth: Sequence[Sequence[FaceTruth]], dice: np.random.Generator
) -> tuple[list[Sighting], dict[tuple[int, Box], int]]:
    """What a tracker is given, and whose each box is."""
    sightings, owners = [], {}
    for number, (picture, faces) in enumerate(zip(pictures, truth, strict=True), 1):
        there = []
        for face in faces:
            if face.visible.mean() > SEEN and dice.random() >= case.lost:
                there.append(_worse(face, case.wrong, dice))
                owners[number, there[-1].box] = face.track
        there.sort(key=lambda face: -face.score)
        sightings.append(Sighting(number, False, tuple(there), picture if case.with_pictures else None))
    return sightings, owners


def _worse(face: FaceTruth, wrong: float, dice: np.random.Generator) -> Detection:
    x0, y0, x1, y1 = face.box
    off: NDArray[np.float64] = dice.normal(size=6) * wrong * np.sqrt((x1 - x0) * (y1 - y0))
    box = (x0 + off[0], y0 + off[1], x1 + off[2], y1 + off[3])
    return Detection(box, float(np.clip(dice.normal(0.85, 0.1), 0.3, 1)), face.mesh.five() + off[4:])
