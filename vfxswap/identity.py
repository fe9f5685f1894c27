"""Who is put in: an identity's folder, its consent record, its stills and weights.

Consent comes first: an identity whose record is missing, not yet or no longer valid, or of another production is
refused before a frame is decoded.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tomli
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from vfxswap.errors import ExitCode, Problem, UsageError
from vfxswap.geometry import Landmarks

if TYPE_CHECKING:
    from torch import Tensor

STILL_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".exr")
WEIGHT_SUFFIXES = (".safetensors", ".onnx", ".dfm")
ANY = "*"


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


Words = Annotated[str, AfterValidator(_not_blank)]


class Consent(BaseModel):
    """A performer's consent, as `[consent]` of `identity.toml` states it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    performer: Words = Field(description="Whose face it is.")
    grantor: Words = Field(description="Who gave consent: the performer, an estate, an agent.")
    productions: tuple[Words, ...] = Field(min_length=1, description='Productions it covers; "*" is all.')
    purposes: tuple[Words, ...] = Field(min_length=1, description='double, de-age, dub, test ...; "*" is all.')
    valid_from: date = Field(alias="from", description="First day it is valid.")
    valid_until: date = Field(alias="until", description="Last day it is valid.")
    scope: Words = Field(description="What was agreed, in words.")

    @model_validator(mode="after")
    def _in_order(self) -> Consent:
        if self.valid_until < self.valid_from:
            raise ValueError(f"until ({self.valid_until}) is before from ({self.valid_from})")
        return self

    @property
    def sha256(self) -> str:
        """Of all that the record says, in hex: weights name by it the record that they were trained under."""
        text = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

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


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class WeightsEntry(BaseModel):
    """`[weights."NAME.safetensors"]` of `identity.toml`: what was known of a file when it was trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: Sha256 = Field(description="Of the file, in lower-case hex; another file of that name is refused.")
    licence: Words = Field(description="Of the weights.")
    commercial: bool | None = Field(None, description="Whether paid work may use them.")
    consent: Sha256 | None = Field(None, description="`Consent.sha256` of the record that they were trained under.")


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
    """Colour space of its stills, where they are not EXR that say their own; any that `[shot] color_space` takes."""
    stills: tuple[Path, ...] = ()
    """Pictures of the face, by name."""
    weights: tuple[Path, ...] = ()
    """Model files, by name."""
    entries: Mapping[str, WeightsEntry] = field(default_factory=dict)
    """What identity.toml says of some of them, by file name."""
    portraits: tuple[Portrait, ...] = ()
    """The stills, once the host has looked at them; only for swappers that want stills."""


class IdentityFile(BaseModel):
    """What `identity.toml` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Words
    licence: str = ""
    color_space: Words = "srgb"
    consent: Consent
    weights: dict[str, WeightsEntry] = Field(default_factory=dict)


def load_identity(name: str, folder: Path, *, bare: bool = False) -> tuple[Identity | None, list[Problem]]:
    """Reads an identity's folder.

    Args:
        name: The pipeline's name for it.
        folder: Holds identity.toml and stills (`still*.jpg|png|tif|exr`) or weights.
        bare: Whether a folder with a consent record alone will do, for what is done before there are weights.

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
    parsed, problems = _read(file)
    if parsed is None:
        return None, problems
    stills = _files(folder, STILL_SUFFIXES, "still")
    weights = _files(folder, WEIGHT_SUFFIXES, "")
    if not (stills or weights or bare):
        return None, [
            Problem(
                f"{folder} holds neither stills (still*.jpg, .png, .tif, .exr) nor weights "
                "(*.safetensors, *.onnx, *.dfm)",
                stage=where,
                key="path",
            )
        ]
    absent = sorted(set(parsed.weights) - {path.name for path in weights})
    if absent and not bare:
        return None, [_absent(file, name, weights) for name in absent]
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
            entries=parsed.weights,
        ),
        [],
    )


def _absent(file: Path, name: str, weights: Sequence[Path]) -> Problem:
    names = [path.name for path in weights]
    return Problem(
        "there is no such file of weights in the folder; put it there, or take this table out",
        file=str(file),
        key=f'weights."{name}"',
        allowed=", ".join(names) or None,
        nearest=next(iter(difflib.get_close_matches(name, names, n=1)), None),
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


def _read(file: Path) -> tuple[IdentityFile | None, list[Problem]]:
    try:
        return IdentityFile.model_validate(tomli.loads(file.read_text(encoding="utf-8"))), []
    except OSError as error:
        return None, [Problem(f"cannot be read: {error.strerror or error}", file=str(file))]
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        return None, [Problem(f"is not valid TOML: {error}", file=str(file))]
    except ValidationError as error:
        return None, [_problem(file, item) for item in error.errors()]


def _files(folder: Path, suffixes: Sequence[str], prefix: str) -> tuple[Path, ...]:
    return tuple(
        sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in suffixes and path.name.lower().startswith(prefix) and path.is_file()
        )
    )


_EXPECTED = {
    "string_type": "must be text, in quotes",
    "tuple_type": 'must be a list, such as ["..."]',
    "too_short": "is empty; list at least one",
    "date_type": "must be a date, such as 2026-01-31 without quotes",
    "date_from_datetime_parsing": "must be a date, such as 2026-01-31 without quotes",
    "date_from_datetime_inexact": "must be a day without a time, such as 2026-01-31",
    "string_pattern_mismatch": "must be a sha256: 64 digits 0-9, a-f",
}
"""What pydantic finds, in plain words."""
_NO_TABLE = {"model_type", "model_attributes_type", "dict_type"}


def _problem(file: Path, error: Any) -> Problem:
    location = [str(part) if "." not in str(part) else json.dumps(part) for part in error["loc"]]
    kind, in_consent = error["type"], bool(location) and location[0] == "consent"
    nearest = None
    if kind == "missing":
        message = "is missing; a consent record must have it" if in_consent else "is missing"
    elif kind == "extra_forbidden":
        message, nearest = "unknown key", _nearest_key(location)
    elif kind == "value_error":
        message = str(error["ctx"]["error"])
    elif kind in _NO_TABLE:
        message = f"must be a table, [{'.'.join(location)}]"
    else:
        message = _EXPECTED.get(kind, error["msg"])
    value = error["input"]
    return Problem(
        message,
        file=str(file),
        key=".".join(location) or None,
        value=None if kind == "missing" or not value or isinstance(value, dict) else _shown(value),
        nearest=nearest,
        exit_code=ExitCode.REFUSED if in_consent else ExitCode.USAGE,
    )


def _shown(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def _nearest_key(location: Sequence[str]) -> str | None:
    tables: dict[str, type[BaseModel]] = {"consent": Consent, "weights": WeightsEntry}
    model = IdentityFile if len(location) == 1 else tables[location[0]]
    names = [field.alias or name for name, field in model.model_fields.items()]
    return next(iter(difflib.get_close_matches(location[-1], names, n=1)), None)


TEMPLATE = """\
# The consent record of one person whose face is put in.
#
# vfxswap does not use this folder until every entry under [consent] is filled in, and refuses it for whatever the
# record does not cover: another production, another purpose, a day before or after. Each delivery's report quotes the
# record, so that it can be shown later what was done, and with whose consent.
#
# This file records an agreement; it does not stand in for one. Keep the signed agreement, and say under `scope` where
# it is. If the consent is withdrawn, set `until` to the day before, and tell those who have copies of this folder.

name = NAME

# Who owns the pictures or weights in this folder, and on what terms they may be used.
licence = ""

# What the numbers of JPEG, PNG and TIFF stills mean; EXR stills are scene-linear.
color_space = "srgb"

# Weights that were trained for this identity may have a table each, at the end of this file; `vfxswap identity check`
# on this folder prints what is missing, and holds what is here against the files:
# [weights."hero.safetensors"]
# sha256 = "..."
# licence = "..."

[consent]
# The person whose face it is, by the name that stands in the agreement.
performer = ""

# Who gave the consent: the performer, or who may act for them (a guardian, an estate, an agent by power of attorney).
grantor = ""

# Each production that it was given for, spelt as [shot] production in the pipeline files, such as
# ["Night Train, season 2"]. "*" means any production at all; write it only if the agreement says so.
productions = []

# What the face may be used for, such as ["double", "de-age", "dub", "test"]. "*" means any purpose at all.
purposes = []

# First and last day on which it may be used, both included. Take away the # and write the dates.
# from = 2026-01-31
# until = 2026-12-31

# What was agreed, in words: which scenes, what may be changed, what is excluded, who must approve, and where the signed
# agreement is kept.
scope = ""
"""
"""An identity.toml to be filled in; it is not valid as it stands."""


def write_template(folder: Path, name: str) -> Path:
    """Writes an identity.toml to be filled in.

    Args:
        folder: The identity's folder; made if it is not there.
        name: What the identity is called.

    Returns:
        The file.

    Raises:
        UsageError: There is such a file already, or it cannot be written.
    """
    file = folder / "identity.toml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            # A JSON string is a TOML string too, but for the one character that JSON leaves as it is.
            quoted = json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")
            stream.write(TEMPLATE.replace("NAME", quoted, 1))
    except FileExistsError as error:
        what = "there is a consent record already" if file.is_file() else "there is a file where the folder should be"
        raise UsageError(f"{what}, and it is left as it is: {file if file.is_file() else folder}") from error
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror or error}") from error
    return file
