"""What each part of training is worth: the lab's A/B pair, trained as it comes and with one part left out or put in.

    vfxswap lab faces --pair --out PAIR
    python -m benchmarks.ablations PAIR [--steps 250] [--only NAME ...]

All have the same steps, seed and faces. Prints a section of Markdown; takes some minutes for each row.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.measure import Table
from vfxswap.faceset import Faceset
from vfxswap.score.fidelity import decibels
from vfxswap.trained import load_trained
from vfxswap.training.loop import train
from vfxswap.training.planes import read_face
from vfxswap.training.result import Outcome
from vfxswap.training.settings import load

SIZE_PX = 128
SETTINGS: Mapping[str, object] = {
    "train.production": "lab",
    "train.purpose": "test",
    "train.size": SIZE_PX,
    "train.learning_rate": 0.001,
    "train.encoder_rate": 0.6,
    "train.warmup": 20,
    "train.decay_from": 0.45,
    "train.ema": 0.98,
    "augment.warp": 0.03,
    "augment.warp_until": 0.5,
    "augment.degrade": 0.2,
    "augment.borrow_tone": 0.25,
    "augment.rotation_degrees": 4.0,
}
"""Of the row that the others are held against."""


@dataclass(frozen=True, slots=True)
class Case:
    """A training that differs in one thing."""

    says: str
    changes: Mapping[str, object]


CASES: Mapping[str, Case] = {
    "whole": Case("as it comes", {}),
    "warp": Case("input not bent", {"augment.warp": 0.0}),
    "surroundings": Case("surroundings not exchanged", {"augment.surroundings": 0.0}),
    "crossing": Case("nobody placed as somebody else", {"loss.crossing": 0.0}),
    "blinks": Case("shut eyes drawn as seldom as they are seen", {"train.blinks": 0.0}),
    "ema": Case("weights not averaged", {"train.ema": 0.0}),
    "priority": Case("eyes and mouth count as skin does", {"loss.eyes_mouth": 0.0}),
    "adversarial": Case("with the discriminator", {"adversarial.power": 0.05, "adversarial.start": 0.4}),
    "base": Case("from noise", {"train.init": "none"}),
    "stills": Case("from noise, without stills", {"train.init": "none", "train.stills": 0}),
}


@dataclass(frozen=True, slots=True)
class Row:
    """What a training came to."""

    own_db: float
    """PSNR of B's held-out faces, inside the matte."""
    swap_db: float
    """PSNR of the unseen performance with B's face against the truth, inside both mattes."""
    of_plate: float
    """The squared error of that in the plate's own."""
    seconds: float


def measured(pair: Path, case: Case, steps: int, folder: Path) -> Row:
    """Trains one case and holds it against the truth.

    Args:
        pair: Folder of `vfxswap lab faces --pair`.
        case: What differs.
        steps: Of training.
        folder: Empty; for what the training writes.

    Raises:
        VfxswapError: The pair is none, or training went wrong.
    """
    file = folder / "train.toml"
    file.write_text(_training_file(pair, case, steps), encoding="utf-8")
    outcome = train(load(file), tell=lambda _: None)
    plate, truth, weight = _unseen(pair)
    swapped = _swapped(outcome, plate)
    error = _error(swapped, truth, weight)
    own = outcome.card.scores["b"]["psnr_matte_db"]
    return Row(own, decibels(error), error / _error(plate, truth, weight), outcome.card.seconds)


def _training_file(pair: Path, case: Case, steps: int) -> str:
    tables: dict[str, dict[str, object]] = {}
    budget = {"train.out": "run", "train.iterations": steps, "train.preview_every": steps, "train.save_every": steps}
    for key, value in {**SETTINGS, **budget, **case.changes}.items():
        table, _, name = key.partition(".")
        tables.setdefault(table, {})[name] = value
    lines = []
    for table, values in tables.items():
        lines += [f"[{table}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
    for who in "ab":
        folder = (pair / who).resolve()
        lines += [f"[identities.{who}]", f"path = {json.dumps(str(folder))}", f'faces = ["{folder}/faces"]']
    return "\n".join([*lines, ""])


def _unseen(pair: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Plate and truth `(N, 3, S, S)` of the unseen performance, and where both show the face, `(N, 1, S, S)`."""
    planes = []
    for name in ("faces", "truth"):
        faces = Faceset.load(pair / "unseen" / name)
        planes.append(torch.stack([read_face(faces, place, SIZE_PX) for place in range(len(faces))]).float() / 255)
    plate, truth = planes
    return plate[:, :3], truth[:, :3], torch.minimum(plate[:, 3:4], truth[:, 3:4])


@torch.inference_mode()
def _swapped(outcome: Outcome, plate: Tensor) -> Tensor:
    comb = load_trained(outcome.path).model
    return torch.cat([comb(part, "b").image.clamp(0, 1) for part in torch.split(plate, 8)])


def _error(pictures: Tensor, truth: Tensor, weight: Tensor) -> float:
    """Mean squared difference over all pictures, under a weight."""
    return float(((pictures - truth).square() * weight).sum() / (3 * weight.sum()))


def table(rows: Mapping[str, Row], steps: int) -> Table:
    """The rows as a section of a page."""
    whole = rows.get("whole")
    return Table(
        "Parts of training",
        f"The lab's A/B pair at {SIZE_PX} px, {steps} steps each, the same faces and draws; scored inside the matte in"
        " the crop: B's held-out faces, and an unseen performance of A as B against the truth.",
        ("", "own faces", "swap", "squared error of the plate's", "seconds"),
        [
            [
                CASES[name].says,
                f"{row.own_db:.2f} dB",
                f"{row.swap_db:.2f} dB{_against(row, whole)}",
                f"{row.of_plate:.2f}",
                f"{row.seconds:.0f}",
            ]
            for name, row in rows.items()
        ],
    )


def _against(row: Row, whole: Row | None) -> str:
    return "" if whole is None or row is whole else f" ({row.swap_db - whole.swap_db:+.2f})"


def main(words: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablations", description="What parts of training give.")
    parser.add_argument("pair", type=Path, help="folder of `vfxswap lab faces --pair`")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--only", nargs="+", choices=list(CASES), metavar="NAME", help=", ".join(CASES))
    arguments = parser.parse_args(words)
    rows: dict[str, Row] = {}
    for name in arguments.only or CASES:
        with tempfile.TemporaryDirectory() as folder:
            rows[name] = measured(arguments.pair, CASES[name], arguments.steps, Path(folder))
        print(name, rows[name], file=sys.stderr, flush=True)
    print(table(rows, arguments.steps).markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main())
