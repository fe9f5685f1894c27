"""Cards of swappers that need one picture of the face only: what each network wants, as data.

Such networks differ in template, size, range and in how the face to put in is told to them: as a picture, or as an
embedding by a recognition network, through a map of the swapper's own. All of that stands in TOML; a studio describes
its own network with a card file of its own, and writes no code.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import tomli
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from vfxswap.alignment import CropSpec, FiveTemplate
from vfxswap.errors import UsageError
from vfxswap.modelfile import in_words
from vfxswap.models import bare_name

Triple = tuple[float, float, float]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _not_zero(values: Triple) -> Triple:
    if not all(value > 0 for value in values):
        raise ValueError("std must be above 0")
    return values


class NetworkCard(_Table):
    """What is known of a network's file."""

    title: str = Field(min_length=1, description="What it is, in a line.")
    file: Annotated[str, AfterValidator(bare_name)] = Field(description="Its name in the model folders.")
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="Of the file. Without it the file must be named in the pipeline."
    )
    licence: str = Field(min_length=1, description="Of the weights: an SPDX expression, or words.")
    commercial: bool = Field(description="Whether paid work may use it, as far as is known.")
    origin: str = Field(min_length=1, description="Who trained it, and on what.")
    notes: str = Field("", description="What a user should know.")


class PictureCard(_Table):
    """How a network wants a face: `(value - mean) / std` of R'G'B' 0..1, planes first."""

    template: FiveTemplate = Field(description="Where the five points lie.")
    size_px: int = Field(gt=0, description="Side of the picture.")
    mean: Triple = Field((0.0, 0.0, 0.0), description="Of each channel, red first.")
    std: Annotated[Triple, AfterValidator(_not_zero)] = Field((1.0, 1.0, 1.0), description="Likewise.")
    order: Literal["rgb", "bgr"] = Field("rgb", description="Order of the channels.")

    @property
    def crop(self) -> CropSpec:
        """The crop that the picture is."""
        return CropSpec(self.template, self.size_px)


class EmbeddingSource(_Table):
    """The face to put in is told as numbers that a recognition network finds in its pictures."""

    kind: Literal["embedding"]
    recogniser: str = Field(description="Name of its card.")
    unit_before: bool = Field(description="Whether the embedding is made a unit vector before it is mapped.")
    projection: Literal["none", "emap", "converter"] = Field(
        "none", description="emap: times the last weight of the swapper; converter: through a network."
    )
    converter: str | None = Field(None, description="Name of the converter's card.")
    unit_after: bool = Field(False, description="Whether it is made a unit vector after it is mapped.")

    @model_validator(mode="after")
    def _complete(self) -> EmbeddingSource:
        if (self.projection == "converter") != (self.converter is not None):
            raise ValueError('converter must name a card if projection = "converter", and only then')
        return self


class CropSource(_Table):
    """The face to put in is shown as a picture."""

    kind: Literal["crop"]
    picture: PictureCard


class SwapperCard(NetworkCard):
    """A network that swaps."""

    picture: PictureCard = Field(description="What it wants of the plate.")
    target_input: str = Field("target", description="Name of the input that takes the plate.")
    source_input: str = Field("source", description="Name of the input that takes the face to put in.")
    denormalise: bool = Field(False, description="Whether its result is to be multiplied by std and mean be added.")
    source: EmbeddingSource | CropSource = Field(discriminator="kind", description="How it is told whom to put in.")


class RecogniserCard(NetworkCard):
    """A network that tells faces apart: one picture in, one embedding out."""

    picture: PictureCard


class ConverterCard(NetworkCard):
    """A network that maps embeddings of a recogniser to those that a swapper was trained with."""


class Cards(_Table):
    """What a card file holds."""

    swappers: dict[str, SwapperCard] = Field(default_factory=dict)
    recognisers: dict[str, RecogniserCard] = Field(default_factory=dict)
    converters: dict[str, ConverterCard] = Field(default_factory=dict)

    def swapper(self, name: str) -> SwapperCard:
        """The card of a swapper.

        Raises:
            UsageError: There is none of that name.
        """
        return _named(self.swappers, "swapper", name)

    def recogniser(self, name: str) -> RecogniserCard:
        """The card of a recogniser; see `swapper`."""
        return _named(self.recognisers, "recogniser", name)

    def converter(self, name: str) -> ConverterCard:
        """The card of a converter; see `swapper`."""
        return _named(self.converters, "converter", name)


CardT = TypeVar("CardT", bound=NetworkCard)


def _named(cards: Mapping[str, CardT], kind: str, name: str) -> CardT:
    if name in cards:
        return cards[name]
    near = difflib.get_close_matches(name, cards, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"there is no card of a {kind} {name!r}; known: {', '.join(sorted(cards)) or 'none'}{hint}")


def read_cards(files: Sequence[Path]) -> Cards:
    """The cards of several files, by kind and name.

    Raises:
        UsageError: A file cannot be read, is not TOML, holds what is no card, or describes a name differently from one
            before it; names the file and the key.
    """
    reads = [(file, _read(file)) for file in files]
    return Cards(
        swappers=_merged([(file, cards.swappers) for file, cards in reads]),
        recognisers=_merged([(file, cards.recognisers) for file, cards in reads]),
        converters=_merged([(file, cards.converters) for file, cards in reads]),
    )


def _merged(tables: Sequence[tuple[Path, Mapping[str, CardT]]]) -> dict[str, CardT]:
    found: dict[str, CardT] = {}
    for file, cards in tables:
        for name, card in cards.items():
            if found.setdefault(name, card) != card:
                raise UsageError(f"{file}: {name!r} is described differently elsewhere; give yours a name of its own")
    return found


def _read(file: Path) -> Cards:
    try:
        return Cards.model_validate_json(json.dumps(tomli.loads(file.read_text(encoding="utf-8")), default=str))
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise UsageError(f"cannot read the cards in {file}: {error}") from error
    except ValidationError as error:
        raise UsageError(f"{file}: {in_words(error)}") from error
