"""A trained file: the weights of a net in safetensors, and a card that says whose, from what, and on which terms.

The card is JSON in the file's own metadata, so that neither gets lost without the other, and is read without touching a
tensor. No pickle is read or written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open

from vfxswap import __version__
from vfxswap.alignment import CropSpec, TemplateName
from vfxswap.errors import UsageError
from vfxswap.files import whole
from vfxswap.identity import Consent
from vfxswap.nets.spec import shown_px

if TYPE_CHECKING:
    import torch
    from torch import nn

    from vfxswap.nets.comb import Comb

METADATA = "vfxswap"
"""The key of the card in the file's metadata."""
VERSION = 1
"""Of the card's format."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FacesetUse(_Record):
    """A faceset that was trained on."""

    name: str
    """Of its folder."""
    sha256: str
    """`Faceset.hash`."""
    faces: int = Field(ge=0)
    """Trained on."""
    held_out: int = Field(ge=0)
    """Kept for the scores."""
    left_out: int = Field(default=0, ge=0)
    """Could not be read."""


class TrainedIdentity(_Record):
    """Whose face a decoder makes."""

    title: str
    """The `name` of identity.toml."""
    consent: Consent | None = None
    """The record that it was trained under; None for those of a plate, who are replaced."""
    licence: str = ""
    facesets: tuple[FacesetUse, ...] = ()


class CurvePoint(_Record):
    """A place of the training curve."""

    iteration: int
    loss: float


class TrainedCard(_Record):
    """Everything that is said of a trained file."""

    format: Literal["vfxswap-trained"] = "vfxswap-trained"
    version: Literal[1] = 1
    architecture: str
    """`ARCHITECTURE` of `vfxswap.nets.comb` or of another net."""
    spec: Mapping[str, Any]
    """`CombSpec.to_dict`."""
    template: TemplateName
    """How its crops are aligned; their side is the spec's."""
    zoom: float = Field(default=1.0, gt=0)
    color_space: str = "srgb"
    """What its pictures' values mean."""
    identities: Mapping[str, TrainedIdentity]
    """By the names of its decoders; empty for a base, whose performers are nobody."""
    production: str = ""
    purpose: str = ""
    options: Mapping[str, Any] = Field(default_factory=dict)
    """The settings of the training file, all of them."""
    base: str = ""
    """sha256 of the trained file that it started from; empty if it started from noise."""
    iterations: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0)
    """Of training, all its parts together."""
    curve: tuple[CurvePoint, ...] = ()
    scores: Mapping[str, Mapping[str, float]] = Field(default_factory=dict)
    """By identity, on the faces that were held out: `psnr_matte_db`, `psnr_db`, `ssim`, `faces`."""
    licence: str = ""
    commercial: bool | None = None
    """Whether paid work may use it; None where it was not said."""
    made_by: str = f"vfxswap {__version__}"

    @property
    def crop(self) -> CropSpec:
        """The crops that it must be given."""
        return CropSpec(self.template, shown_px(self.spec), self.zoom)


class Trained(NamedTuple):
    """A trained file in memory."""

    model: Comb
    """In evaluation mode, without gradients."""
    card: TrainedCard


def save_trained(path: Path, model: Comb, card: TrainedCard, *, half: bool = False) -> None:
    """Writes a trained file; it appears when it is whole.

    Args:
        path: Ends in `.safetensors`.
        model: Its spec must be the card's.
        card: What is said of it.
        half: Stores weights in 16 bits.

    Raises:
        UsageError: Card and model differ, or a weight is not finite.
        MediaError: The file cannot be written.
    """
    from vfxswap.nets.comb import ARCHITECTURE  # noqa: PLC0415

    if card.architecture != ARCHITECTURE:
        raise UsageError(f"the card of {path.name} says {card.architecture!r}, and the model is {ARCHITECTURE!r}")
    save_net(path, model, card, spec=model.spec.to_dict(), half=half)


def save_net(path: Path, model: nn.Module, card: TrainedCard, *, spec: Mapping[str, Any], half: bool = False) -> None:
    """Writes a trained file of any architecture; `spec` is the model's, the rest as `save_trained`."""
    import torch  # noqa: PLC0415 - cards are read without it
    from safetensors.torch import save  # noqa: PLC0415

    # Compared as the file will have them: JSON knows no tuples.
    if json.dumps(card.spec, sort_keys=True) != json.dumps(spec, sort_keys=True):
        raise UsageError(f"the card of {path.name} describes another model: {dict(card.spec)}, not {dict(spec)}")
    kind = torch.float16 if half else torch.float32
    tensors = {name: value.detach().to("cpu", kind).contiguous() for name, value in model.state_dict().items()}
    if spoilt := [name for name, value in tensors.items() if not bool(value.isfinite().all())]:
        raise UsageError(f"the model is spoilt and was not written: {spoilt[0]} holds values that are no numbers")
    data = save(tensors, {METADATA: card.model_dump_json(by_alias=True)})
    with whole(path) as temporary:
        temporary.write_bytes(data)


def read_card(path: Path) -> TrainedCard:
    """Reads the card of a trained file, and no tensor.

    Raises:
        UsageError: There is no such file, it is no trained file, or its card is wrong.
    """
    if not path.is_file():
        raise UsageError(f"there is no trained file {path}")
    try:
        with safe_open(str(path), framework="np") as file:
            text = (file.metadata() or {}).get(METADATA)
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{path} is no safetensors file: {_foreign(path) or error}") from error
    if text is None:
        raise UsageError(f"{path} is a safetensors file without a card of vfxswap; only those of `vfxswap train` do")
    _refuse_later(path, text)
    try:
        return TrainedCard.model_validate_json(text)
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(map(str, found["loc"]))
        raise UsageError(f"the card of {path} is wrong: {where}: {found['msg']} ({_shown(found['input'])})") from error


def _foreign(path: Path) -> str:
    """What a file is that is known to be something else, and may do harm; empty if it is not known."""
    with suppress(OSError), path.open("rb") as file:
        head = file.read(2)
        if head[:1] == b"\x80" or head == b"PK":
            return "it is PyTorch's own (.pth) or a pickle, which may hold code and is never loaded here"
    return ""


def _refuse_later(path: Path, text: str) -> None:
    """What a later version says cannot be judged by this one's rules."""
    try:
        card = json.loads(text)
    except ValueError:
        return
    if isinstance(card, dict) and type(card.get("version")) is int and card["version"] > VERSION:
        made_by = card.get("made_by", "another program")
        raise UsageError(
            f"{path} is of version {card['version']} of the format (made by {_shown(made_by)}); this reads {VERSION}:"
            " take a later release"
        )


def _shown(value: object) -> str:
    return json.dumps(value, default=str)[:60]


def load_trained(path: Path, device: str = "cpu") -> Trained:
    """Reads a trained file.

    Args:
        path: The file.
        device: Where its weights shall be.

    Raises:
        UsageError: It is no trained file, of another architecture, or its weights are not those that its card says.
    """
    from vfxswap.nets.comb import ARCHITECTURE, Comb  # noqa: PLC0415
    from vfxswap.nets.spec import CombSpec  # noqa: PLC0415

    card = read_card(path)
    demand_architecture(path, card, ARCHITECTURE)
    model = Comb(CombSpec.from_dict(card.spec))
    load_net(path, model, device)
    return Trained(model, card)


def demand_architecture(path: Path, card: TrainedCard, architecture: str) -> None:
    """Refuses a trained file of another architecture than the one that is wanted.

    Raises:
        UsageError: It is.
    """
    if card.architecture != architecture:
        raise UsageError(
            f"{path} holds a model of architecture {card.architecture!r} (made by {card.made_by}); this reads"
            f" {architecture!r}: train it again, or take the release that made it"
        )


def load_net(path: Path, model: nn.Module, device: str | torch.device = "cpu") -> None:
    """Puts the weights of a trained file into a model of its spec, which becomes ready to be asked.

    Raises:
        UsageError: The weights are not those of the model.
    """
    from safetensors.torch import load_file  # noqa: PLC0415 - cards are read without torch

    state, wanted = load_file(path), model.state_dict()
    wrong = sorted(set(state) ^ set(wanted)) or [n for n in wanted if state[n].shape != wanted[n].shape]
    wrong = wrong or [name for name, value in state.items() if not bool(value.isfinite().all())]
    if wrong:
        raise UsageError(f"the weights of {path} are not those of its card: see {', '.join(wrong[:3])}")
    model.load_state_dict({name: value.float() for name, value in state.items()})
    model.to(device).eval().requires_grad_(requires_grad=False)
