"""Model files that somebody gives by hand: in an identity's folder, or by a path in a pipeline file.

They have no card in the model store. What is known of one may stand beside it, in a *sidecar* `NAME.dfm.toml`; its
sha256 is computed, and goes into the report with the rest. What nobody says is reported as not said.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import tomli
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vfxswap.errors import ModelMissing, UsageError
from vfxswap.files import file_sha256


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file that has no card in the store, as the report has it."""

    path: Path
    sha256: str
    """Of the file, in lower-case hex."""
    licence: str = ""
    """Of the weights; empty if nobody says."""
    commercial: bool | None = None
    """Whether paid work may use it, as far as is known; None if nobody says."""
    consent: str = ""
    """By which agreement the faces in it were trained; empty if nobody says."""


class Sidecar(BaseModel):
    """What may be said of a model file in the TOML file beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    sha256: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}$", description="Of the model file, in lower-case hex."
    )
    licence: str = Field(default="", description="Of the weights: an SPDX expression, or words.")
    commercial: bool | None = Field(default=None, description="Whether paid work may use them.")
    consent: str = Field(
        default="", description="By which agreement the faces in it were trained, and where that is kept."
    )
    source: str = Field(default="", description="Who trained it, and on what.")


SidecarT = TypeVar("SidecarT", bound=Sidecar)


def sidecar_path(file: Path) -> Path:
    """Where the sidecar of a model file lies: beside it, `.toml` after its whole name."""
    return file.with_name(f"{file.name}.toml")


def read_sidecar(kind: type[SidecarT], file: Path) -> SidecarT:
    """Reads what stands beside a model file; nothing is known of one without a sidecar.

    Args:
        kind: What may stand in it.
        file: The model file.

    Raises:
        UsageError: The sidecar is not TOML, or has keys or values that it must not have; names the key.
    """
    path = sidecar_path(file)
    if not path.is_file():
        return kind.model_validate({})
    try:
        table = tomli.loads(path.read_text(encoding="utf-8"))
        return kind.model_validate_json(json.dumps(table, default=str))
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    except ValidationError as error:
        allowed = ", ".join(kind.model_fields)
        raise UsageError(f"{path}: {in_words(error)}; keys that may stand there: {allowed}") from error


def in_words(error: ValidationError) -> str:
    """What is wrong with a table, each with its key."""
    return "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors())


def described_file(path: Path, facts: Sidecar, *, pinned: str | None = None) -> ModelFile:
    """A model file with its sha256, computed.

    Args:
        path: The file.
        facts: What is said of it; a sha256 among it must be the file's.
        pinned: The sha256 that a card asks for, if it does.

    Raises:
        ModelMissing: It cannot be read, or is not the file that was meant.
    """
    try:
        found = file_sha256(path)
    except OSError as error:
        raise ModelMissing(f"{path} cannot be read: {error}") from error
    for where, wanted in ((f"the sidecar {sidecar_path(path)}", facts.sha256), ("its card or identity.toml", pinned)):
        if wanted is not None and wanted != found:
            raise ModelMissing(
                f"{path} is not the file that {where} describes: its sha256 is {found}, expected {wanted}; get the"
                " right file, or mend the description if the file is right"
            )
    return ModelFile(path, found, facts.licence, facts.commercial, facts.consent)
