"""The training file of the occlusion net: `[train] what = "occlusion"` and what else may stand there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import tomli
from pydantic import Field

from vfxswap.errors import ExitCode, PipelineError, Problem, UsageError
from vfxswap.faceset import Faceset
from vfxswap.pipeline.reading import Notes, Origin
from vfxswap.pipeline.tables import Table
from vfxswap.stage import InputPath, PipelinePath
from vfxswap.training.occlusion import Plan

WHAT = "occlusion"


class Occlusion(Table):
    """`[train]` of an occlusion net."""

    what: Literal["occlusion"] = Field(description="That it is an occlusion net that is trained.")
    production: str = Field(min_length=1, description="For which production; must be in each faceset's consent.")
    purpose: str = Field(min_length=1, description="What it is for; must be in each consent.")
    out: PipelinePath = Field(
        description="Folder for checkpoints and `occlusion.safetensors`, relative to this file; made if needed."
    )
    facesets: tuple[str, ...] = Field(
        min_length=1,
        description="Folders of facesets whose faces have mattes, relative to this file; `*` stands for any name.",
    )
    held_out: tuple[str, ...] = Field((), description="Facesets that are scored in the end and not trained on.")
    init: InputPath | None = Field(
        None,
        description="A trained file of an occlusion net to go on from, relative to this file; else it begins with"
        " noise. For a few mattes of a show's own; with a smaller learning_rate.",
    )
    size: int = Field(128, ge=32, le=512, multiple_of=16, description="Side of the net's pictures in pixels.")
    iterations: int = Field(1500, ge=1, le=10_000_000, description="Steps; the learning rate falls over them.")
    batch: int = Field(16, ge=1, le=1024, description="Faces in a step.")
    learning_rate: float = Field(2e-3, gt=0, le=0.1, description="Of AdamW, at its highest.")
    occluded: float = Field(0.6, ge=0, le=1, description="Share of faces that something is pasted over.")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="What the net computes in meanwhile.")
    seed: int = Field(1, ge=0, lt=2**31, description="Of every draw.")
    save_every: int = Field(200, ge=1, description="Steps between checkpoints.")
    licence: str = Field("", description="Terms of the file that is made.")
    commercial: bool | None = Field(default=None, description="Whether paid work may use it.")

    @property
    def plan(self) -> Plan:
        """What every step depends on."""
        return Plan(self.iterations, self.batch, self.learning_rate, self.occluded, self.seed)


@dataclass(frozen=True, slots=True)
class OcclusionSettings:
    """A training file, checked."""

    train: Occlusion
    trained: tuple[Faceset, ...]
    held_out: tuple[Faceset, ...]


def is_occlusion(path: Path) -> bool:
    """Whether a file says that it trains an occlusion net, whatever else is wrong with it."""
    try:
        table = tomli.loads(path.read_text(encoding="utf-8")).get("train")
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError):
        return False
    return isinstance(table, dict) and table.get("what") == WHAT


def load(path: Path, *, today: date | None = None) -> OcclusionSettings:
    """Reads a training file and checks all that it names; decodes no picture.

    Args:
        path: The file. Paths in it are relative to its folder.
        today: For the consent records; None is today.

    Raises:
        PipelineError: Something is wrong; holds everything that is.
    """
    notes = Notes(Origin(path))
    train = _table(path, notes)
    trained: list[Faceset] = []
    held: list[Faceset] = []
    if train is not None:
        trained = _opened(path, train.facesets, "facesets", notes)
        held = _opened(path, train.held_out, "held_out", notes)
        for faceset in (*trained, *held):
            _check(faceset, train, today or date.today(), notes)
    if train is None or notes.problems:
        raise PipelineError(notes.problems)
    return OcclusionSettings(train, tuple(trained), tuple(held))


def _table(path: Path, notes: Notes) -> Occlusion | None:
    try:
        document = tomli.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        notes.add(Problem(f"cannot read the training file: {error.strerror or error}"))
        return None
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        notes.add(Problem(f"is not valid TOML: {error}"))
        return None
    for name in document:
        if name != "train":
            notes.add(Problem("unknown table or key; an occlusion net has [train] alone", key=name), name)
    table = document.get("train")
    if not isinstance(table, dict):
        notes.add(Problem("is missing, or no table; a training file has [train]", stage="train"), "train")
        return None
    return notes.read(Occlusion, table, at=("train",), label="train")


def _opened(path: Path, names: Sequence[str], key: str, notes: Notes) -> list[Faceset]:
    found = []
    for name in names:
        # An absolute name replaces the folder; a pattern is looked for below its own root.
        whole = (path.parent / name).absolute()
        root = Path(whole.anchor)
        folders = sorted(root.glob(str(whole.relative_to(root)))) if "*" in name else [whole]
        if not folders:
            notes.add(Problem("no folder is named so", stage="train", key=key, value=name), "train", key)
        for folder in folders:
            try:
                found.append(Faceset.load(folder))
            except UsageError as error:
                notes.add(Problem(str(error), stage="train", key=key), "train", key)
    return found


def _check(faceset: Faceset, train: Occlusion, today: date, notes: Notes) -> None:
    """A net learns from faces as a swapper does: who are put in must have agreed. And their crops must be alike."""
    if faceset.crop.template != "dfl68_whole" or faceset.crop.zoom != 1:
        message = (
            f"{faceset.folder} holds crops of template {faceset.crop.template}, zoom {faceset.crop.zoom:g}; the"
            " occlusion net sees whole faces, dfl68_whole, zoom 1: extract them with --face-type whole"
        )
        notes.add(Problem(message, stage="train", key="facesets"), "train", "facesets")
    consent = faceset.info.consent
    if consent is None:
        if faceset.info.subject == "identity":
            message = f"{faceset.folder} shows somebody who is put in, and has no consent record; extract it anew"
            notes.add(Problem(message, stage="train", exit_code=ExitCode.REFUSED), "train", "facesets")
        return
    use = {"production": train.production, "purpose": train.purpose}
    for objection in consent.objections(**use, today=today):
        problem = Problem(f"{objection}; the faceset is {faceset.folder}", stage="train", exit_code=ExitCode.REFUSED)
        notes.add(problem, "train", "facesets")
