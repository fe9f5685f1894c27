"""Small facesets of drawn faces, of two people, a few dozen pictures, 32 pixels; and trainings with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from vfxswap.alignment import crop_of_type
from vfxswap.faceset import Faceset, FacesetInfo, FacesetWriter
from vfxswap.files import make_folder
from vfxswap.geometry import Landmarks
from vfxswap.identity import load_identity
from vfxswap.lab.looks import PERFORMERS
from vfxswap.lab.stills import write_record
from vfxswap.training.events import Event, Stepped
from vfxswap.training.loop import train
from vfxswap.training.result import Outcome
from vfxswap.training.settings import load

SIZE = 32
IBUG_X = np.linspace(8, 24, 68)


def face(number: int, tone: float) -> tuple[Tensor, Tensor]:
    """A face that is turned, lit and talking by its number, and its matte: an ellipse with eyes and a mouth."""
    y, x = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    turn, talk, light = 3 * np.sin(number), 1.0 + 1.5 * (number % 3), 0.15 * np.cos(number * 0.7)
    inside = (((x - 16 - turn * 0.3) / 9) ** 2 + ((y - 16) / 12) ** 2 < 1).float()
    skin = tone + light + 0.01 * (x - 16)
    dark = torch.zeros_like(x)
    for across in (-4, 4):
        dark = torch.maximum(dark, (((x - 16 - across - turn) ** 2 + (y - 12) ** 2) < 3).float())
    dark = torch.maximum(dark, ((((x - 16 - turn) / 4) ** 2 + ((y - 22) / talk) ** 2) < 1).float())
    picture = torch.stack([skin, 0.8 * skin, 0.7 * skin]) * inside + 0.2 * (1 - inside)
    return (picture * (1 - 0.8 * dark * inside)).clamp(0, 1), inside[None]


def points(number: int) -> Landmarks:
    """68 points about where the drawn features are."""
    turn = 3 * np.sin(number)
    xy = np.stack([IBUG_X, np.full(68, 16.0)], 1)
    xy[36:42], xy[42:48], xy[48:] = (12 + turn, 12), (20 + turn, 12), (16 + turn, 22)
    spread = np.stack([np.cos(np.arange(68)), np.sin(np.arange(68))], 1)
    return Landmarks(xy + spread, "ibug68")


def write_faces(
    folder: Path,
    identity: str,
    *,
    tone: float,
    count: int = 40,
    subject: str = "identity",
    mattes: bool = True,
    source: str = "sh010",
) -> Faceset:
    """A faceset of drawn faces."""
    crop = crop_of_type("whole", SIZE)
    writer = FacesetWriter(folder, crop, FacesetInfo(identity=identity, subject=subject))  # type: ignore[arg-type]
    for number in range(count):
        image, matte = face(number, tone)
        writer.add(image, points(number), source=source, frame=number + 1, matte=matte if mattes else None)
    return writer.finish()


PEOPLE: Sequence[tuple[str, float]] = (("ada", 0.75), ("ben", 0.45))


def write_project(folder: Path, *, more: str = "", train: str = "", count: int = 40) -> Path:
    """A folder with two identities, their facesets and a tiny training file, which is given."""
    tables = []
    for name, tone in PEOPLE:
        make_folder(folder / "identities" / name)
        write_record(PERFORMERS[name], folder / "identities" / name)
        identity, _ = load_identity(name, folder / "identities" / name, bare=True)
        assert identity is not None
        write_faces(folder / "facesets" / name, identity.title, tone=tone, count=count)
        tables.append(f'[identities.{name}]\npath = "identities/{name}"\nfaces = ["facesets/{name}"]\n')
    file = folder / "train.toml"
    file.write_text(
        '[train]\nproduction = "lab"\npurpose = "test"\nout = "run"\ninit = "none"\nsize = 32\nwidths = [8, 8, 4]\n'
        "code = 12\nstyle = 4\nbatch = 4\niterations = 6\nwarmup = 0\n"
        "save_every = 2\npreview_every = 3\nheld_out = 0.1\n" + train + "\n" + "\n".join(tables) + more
    )
    return file


class Heard(list[Event]):
    """Everything that a training told."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of a kind."""
        return [event for event in self if isinstance(event, kind)]

    @property
    def losses(self) -> list[float]:
        """Of all steps."""
        return [event.parts["loss"] for event in self.of(Stepped)]


@pytest.fixture
def project() -> Callable[..., Path]:
    """`write_project`."""
    return write_project


@pytest.fixture
def faceset() -> Callable[..., Faceset]:
    """`write_faces`."""
    return write_faces


@pytest.fixture
def without_board(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorBoard has a test of its own, and takes seconds to import."""
    monkeypatch.setattr("vfxswap.training.curve._board", lambda *_: None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The training file of a project."""
    return write_project(tmp_path)


@pytest.fixture
def heard() -> Heard:
    """A listener that keeps what a training tells."""
    return Heard()


@pytest.fixture
def trained() -> Callable[..., tuple[Outcome, Any]]:
    """Trains to the end: what came of it, and what was told."""
    return _trained


@pytest.fixture
def curve() -> Callable[[Path], list[dict[str, float]]]:
    """The curve on disk."""
    return _curve


@pytest.fixture
def weights() -> Callable[[Outcome], dict[str, bytes]]:
    """The bits of all weights; the card beside them says how long it took, which is never the same."""
    return _weights


def _trained(file: Path, *sets: str, resume: bool = False, heard: Any = None) -> tuple[Outcome, Any]:
    heard = Heard() if heard is None else heard
    return train(load(file, overrides=sets), resume=resume, tell=heard), heard


def _curve(file: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (file.parent / "run" / "curve.jsonl").read_text().splitlines()]


def _weights(outcome: Outcome) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in load_file(outcome.path).items()}
