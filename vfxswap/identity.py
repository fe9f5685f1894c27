"""Who is put in: an identity's folder, its consent record, its stills and weights.

Consent comes first: an identity whose record is missing, not yet or no longer valid, or of another production is
refused before a frame is decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vfxswap.errors import ExitCode, Problem
from vfxswap.geometry import Landmarks

if TYPE_CHECKING:
    from torch import Tensor

STILL_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".exr")
WEIGHT_SUFFIXES = (".safetensors", ".onnx", ".dfm")
ANY = "*"


class Consent(BaseModel):
    """A performer's consent, as `[consent]` of `identity.toml` states it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    performer: str = Field(min_length=1, description="Whose face it is.")
    grantor: str = Field(min_length=1, description="Who gave consent: the performer, an estate, an agent.")
    productions: tuple[str, ...] = Field(min_length=1, description='Productions it covers; "*" is all.')
    purposes: tuple[str, ...] = Field(min_length=1, description='double, de-age, dub, test ...; "*" is all.')
    valid_from: date = Field(alias="from", description="First day it is valid.")
    valid_until: date = Field(alias="until", description="Last day it is valid.")
    scope: str = Field(min_length=1, description="What was agreed, in words.")

    @model_validator(mode="after")
    def _in_order(self) -> Consent:
        if self.valid_until < self.valid_from:
            raise ValueError(f"until ({self.valid_until}) is before from ({self.valid_from})")
        return self

    def objections(self, *, production: str, purpose: str | None, today: date) -> list[str]:
        """Why this record does not cover that use, in words; empty if it does."""
        found = []
        if today < self.valid_from:
            found.append(f"consent of {self.performer} is valid only from {self.valid_from}; today is {today}")
        if today > self.valid_until:
            found.append(
                f"consent of {self.performer} ended on {self.valid_until}; today is {today}; ask {self.grantor}"
            )
        if ANY not in self.productions and production not in self.productions:
            found.append(
                f"consent of {self.performer} is for {', '.join(self.productions)}, not for production {production!r}"
            )
        if purpose is not None and ANY not in self.purposes and purpose not in self.purposes:
            found.append(f"consent of {self.performer} is for {', '.join(self.purposes)}, not for purpose {purpose!r}")
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A still of an identity, seen by the pipeline's own detector and aligner."""

    path: Path
    image: Tensor
    """`(3, H, W)` float32 R'G'B' in the face space, nominally 0..1."""
    landmarks: Landmarks
    """In pixels of the still."""


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """Somebody who is put in."""

    name: str
    """The pipeline's name for it, as under [identities]."""
    folder: Path
    consent: Consent
    title: str = ""
    """The `name` that identity.toml gives."""
    licence: str = ""
    """Licence of stills and weights, where stated."""
    color_space: str = "srgb"
    """Colour space of its stills, where they are not scene-linear EXR."""
    stills: tuple[Path, ...] = ()
    """Pictures of the face, by name."""
    weights: tuple[Path, ...] = ()
    """Model files, by name."""
    portraits: tuple[Portrait, ...] = ()
    """The stills, once the host has looked at them; only for swappers that want stills."""


class IdentityFile(BaseModel):
    """What `identity.toml` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    licence: str = ""
    color_space: str = "srgb"
    consent: Consent


def load_identity(name: str, folder: Path) -> tuple[Identity | None, list[Problem]]:
    """Reads an identity's folder.

    Args:
        name: The pipeline's name for it.
        folder: Holds identity.toml and stills (`still*.jpg|png|tif|exr`) or weights.

    Returns:
        The identity (None if it cannot be used) and everything that is wrong with it. What is missing of the consent
        record ends a run with exit code 4, anything else with 2.
    """
    file = folder / "identity.toml"
    where = f"identities.{name}"
    if not folder.is_dir():
        return None, [Problem("there is no such identity folder", stage=where, key="path", value=str(folder))]
    if not file.is_file():
        return None, [
            Problem(
                f"{folder} has no identity.toml with a consent record; write one with: vfxswap identity new {folder}",
                stage=where,
                key="path",
                exit_code=ExitCode.REFUSED,
            )
        ]
    try:
        parsed = IdentityFile.model_validate(tomli.loads(file.read_text(encoding="utf-8")))
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        return None, [Problem(f"not valid TOML: {error}", file=str(file))]
    except ValidationError as error:
        return None, [_problem(file, item) for item in error.errors()]
    stills = _files(folder, STILL_SUFFIXES, "still")
    weights = _files(folder, WEIGHT_SUFFIXES, "")
    if not stills and not weights:
        return None, [
            Problem(
                f"{folder} holds neither stills (still*.jpg, .png, .tif, .exr) nor weights "
                "(*.safetensors, *.onnx, *.dfm)",
                stage=where,
                key="path",
            )
        ]
    return (
        Identity(
            name=name,
            folder=folder,
            consent=parsed.consent,
            title=parsed.name,
            licence=parsed.licence,
            color_space=parsed.color_space,
            stills=stills,
            weights=weights,
        ),
        [],
    )


def consent_problems(
    identity: Identity, *, production: str, purpose: str | None, today: date, where: str
) -> list[Problem]:
    """Why a run is refused, one problem a reason; exit code 4 each."""
    return [
        Problem(
            f"{objection}; the record is {identity.folder / 'identity.toml'}", stage=where, exit_code=ExitCode.REFUSED
        )
        for objection in identity.consent.objections(production=production, purpose=purpose, today=today)
    ]


def _files(folder: Path, suffixes: Sequence[str], prefix: str) -> tuple[Path, ...]:
    return tuple(
        sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in suffixes and path.name.lower().startswith(prefix) and path.is_file()
        )
    )


def _problem(file: Path, error: Any) -> Problem:
    location = [str(part) for part in error["loc"]]
    missing = error["type"] == "missing"
    in_consent = bool(location) and location[0] == "consent"
    message = "is missing; a consent record must have it" if missing and in_consent else error["msg"]
    return Problem(
        message,
        file=str(file),
        key=".".join(location),
        value=None if missing else error["input"],
        exit_code=ExitCode.REFUSED if in_consent else ExitCode.USAGE,
    )
