"""What colour matches and blends cost, and what they do."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from benchmarks.material import Material
from benchmarks.measure import Cost, Table, in_turn
from vfxswap.alignment import CropSpec
from vfxswap.frame import FaceBatch
from vfxswap.host import Host
from vfxswap.ops import match
from vfxswap.testing.material import face_batch, options_of, setting
from vfxswap.workers import worker_pool

COLORS = ("mkl", "lct", "reinhard", "hist", "idt", "sot")
BLENDS = ("alpha", "pyramid", "poisson")
SIDE_PX = 512

Work = Callable[[], Tensor]


def colored(found: Material, rounds: int) -> Table:
    """Each colour match, on one face."""
    faces, costs, results = _worked(found, rounds, COLORS, _matched)
    rows = [["(none)", "", f"{255 * _distance(faces, _swapped(faces)):.1f}"]]
    rows += [[name, _ms(costs[name]), f"{255 * _distance(faces, results[name]):.1f}"] for name in COLORS]
    return Table(
        "Colour matches",
        f"One drawn face of {SIDE_PX}x{SIDE_PX}, another person's under light of another colour; fit and use, one"
        " thread. The distance is the sliced Wasserstein distance, in codes of 255, between the face's colours and the"
        " plate's under the matte: how far colours are from one another, which is not how good a face looks.",
        ("stage", "ms", "distance"),
        rows,
    )


def blended(found: Material, rounds: int) -> Table:
    """Each blend, on one face that is too bright and too red."""
    faces, costs, results = _worked(found, rounds, BLENDS, _joined)
    rows = [[name, _ms(costs[name]), f"{_seam(faces, results[name]):.2f}"] for name in BLENDS]
    return Table(
        "Blends",
        f"The same face, its colours not matched, into {SIDE_PX}x{SIDE_PX} pixels of plate; one thread. The seam is the"
        " slope of the change across the outer half of the matte's edge, in codes of 255 a pixel, fine detail left out:"
        " what the eye sees as an outline.",
        ("stage", "ms", "seam"),
        rows,
    )


def _worked(
    found: Material, rounds: int, names: tuple[str, ...], work: Callable[[Any, FaceBatch], Tensor]
) -> tuple[FaceBatch, Mapping[str, list[Cost]], Mapping[str, Tensor]]:
    faces = face_batch(1, crop=CropSpec(size_px=SIDE_PX))
    stages = {name: _made(found.host, name) for name in names}

    def measured() -> tuple[Mapping[str, list[Cost]], Mapping[str, Tensor]]:
        with torch.inference_mode():
            runs: dict[str, Work] = {name: partial(work, stage, faces) for name, stage in stages.items()}
            return in_turn(runs, rounds=2 * rounds), {name: run() for name, run in runs.items()}

    with worker_pool(1) as pool:
        return faces, *pool.submit(measured).result()


def _made(host: Host, name: str) -> Any:
    cls = host.stage_class(name)
    return cls(options_of(cls, {}), setting())


def _swapped(faces: FaceBatch) -> Tensor:
    if faces.swapped is None:
        raise TypeError("a batch of swapped faces is needed")
    return faces.swapped * torch.tensor([1.12, 0.96, 0.82])[:, None, None] + 0.03


def _matte(faces: FaceBatch) -> Tensor:
    if faces.mattes is None:
        raise TypeError("a batch of faces with mattes is needed")
    return faces.mattes


def _matched(stage: Any, faces: FaceBatch) -> Tensor:
    swapped = _swapped(faces)
    result: Tensor = stage.fit(swapped, faces.crops, _matte(faces))(swapped)
    return result


def _joined(stage: Any, faces: FaceBatch) -> Tensor:
    result: Tensor = stage.blend(_swapped(faces), faces.crops, _matte(faces))
    return result


def _distance(faces: FaceBatch, result: Tensor) -> float:
    people = match.populations(result, faces.crops, _matte(faces), side_px=128)
    return 0.0 if people is None else match.wasserstein(*people)


def _seam(faces: FaceBatch, result: Tensor) -> float:
    change = F.avg_pool2d(result - faces.crops, 9, stride=1, padding=4, count_include_pad=False).mean(dim=1)[0]
    slope = (change[1:, 1:] - change[:-1, 1:]).square() + (change[1:, 1:] - change[1:, :-1]).square()
    matte = _matte(faces)[0, 0, 1:, 1:]
    return float(255 * slope.sqrt()[(matte > 0) & (matte < 0.5)].mean())


def _ms(costs: list[Cost]) -> str:
    return f"{1000 * statistics.median(cost.cpu_seconds for cost in costs):.1f}"
