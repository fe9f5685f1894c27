"""`autoencoder`: puts in a face with weights that were trained for it, of one or of several people."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from vfxswap.alignment import CropSpec
from vfxswap.brief import Brief
from vfxswap.errors import ConsentError, ExitCode, Problem, VfxswapError
from vfxswap.frame import FaceBatch
from vfxswap.identity import Consent, Identity
from vfxswap.modelfile import ModelFile
from vfxswap.nets.comb import Comb, Decoder
from vfxswap.nets.precision import lower
from vfxswap.stage import Setting, Swapped, Swapper
from vfxswap.trained import TrainedCard, load_trained, read_card
from vfxswap.weights import NO_MORPH, agree, choose_weights, morphs, readable, same_person, verified_sha256
from vfxswap_plugins._crops import demand_size, in_unit, sharpened
from vfxswap_plugins.swappers.masked import MaskedSwapperOptions, edged

Precision = Literal["fp32", "bf16", "fp16"]
NetT = TypeVar("NetT", bound=nn.Module)

_DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_TOGETHER = 4
"""Faces computed at once on a GPU, always so many: kernels are chosen by it, and sums depend on the kernel."""
_LEVELS = (0.05, 0.95)
"""A mask below is 0, above is 1: a sigmoid reaches neither, and what is no face must be left alone."""
_SPACES = {"srgb": "sRGB - Texture"}
"""What cards call the face space in the words of movies."""


class AutoencoderOptions(MaskedSwapperOptions):
    """Settings of `autoencoder`."""

    weights: str | None = Field(
        None, description="Which trained file (.safetensors) of the identity's folder, where it holds several."
    )
    who: str | None = Field(
        None, description="Who of those in the trained file is put in; by default the one with the identity's name."
    )
    morph_to: str | None = Field(None, description="Somebody else in the trained file, towards whom the face is moved.")
    morph: float = Field(0.0, ge=0, le=1, description="How far: 0 is wholly `who`, 1 wholly `morph_to`.")
    mask: Literal["source", "target", "product", "none"] = Field(
        "source",
        description="The matte, of the masks that the model gives of the new face (source) and of the face that is"
        " there (target; say whose in `plate`): one of them, their product, or none: the whole crop.",
    )
    plate: str | None = Field(
        None, description='Who of those in the trained file is in the plate; for mask = "target" or "product".'
    )
    precision: Precision = Field(
        "fp32", description="What the model computes with: bf16 is faster and a little coarser, fp16 is for CUDA alone."
    )

    @model_validator(mode="after")
    def _whole(self) -> AutoencoderOptions:
        if self.morph > 0 and self.morph_to is None:
            raise ValueError('morph needs morph_to = "somebody in the trained file"')
        if self.mask in {"target", "product"} and self.plate is None:
            raise ValueError(f'mask = "{self.mask}" needs plate = "who of the trained file is in the plate"')
        if self.mask in {"source", "none"} and self.plate is not None:
            raise ValueError('plate goes with mask = "target" or "product" only')
        return self


class Autoencoder(Swapper[AutoencoderOptions]):
    """Swaps with an encoder for everybody and a decoder for each person, as `vfxswap train` makes them."""

    Options = AutoencoderOptions
    light_beyond = "plate"

    def __init__(self, options: AutoencoderOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        self._model: Comb | None = None
        self._between: Decoder | None = None
        self._who = ""

    @classmethod
    def model_files(cls, options: AutoencoderOptions, brief: Brief) -> Sequence[ModelFile]:
        """See `Stage`: the trained file, whose header is checked."""
        identity = brief.identities[options.identity]
        path = choose_weights(identity, options.weights)
        card = readable(path)
        shown = [card.identities[name] for name in _shown(options, identity, card) if name in card.identities]
        consents = "; ".join(f"{one.consent.performer}, by {one.consent.grantor}" for one in shown if one.consent)
        entry = identity.entries.get(path.name)  # what the card leaves open, whose face it is may say
        commercial = entry.commercial if card.commercial is None and entry is not None else card.commercial
        licence = card.licence or (entry.licence if entry is not None else "")
        return [ModelFile(path, verified_sha256(identity, path), licence, commercial, consents)]

    @classmethod
    def problems(cls, options: AutoencoderOptions, brief: Brief) -> Sequence[Problem]:
        """See `Stage`: whether it holds who is asked for, with consent, for this face space and this device."""
        identity = brief.identities.get(options.identity)
        if identity is None:
            return []
        try:
            path = choose_weights(identity, options.weights)
            card = read_card(path)
        except VfxswapError:
            return []  # `model_files` has said what is wrong with it
        return [
            *_strangers(options, identity, card),
            *_refusals(options, identity, card, path, brief),
            *_obstacles(options, card, path, brief),
        ]

    @property
    def crop(self) -> CropSpec:
        """The crops that the weights were trained on."""
        return read_card(self._path).crop

    @property
    def _path(self) -> Path:
        return choose_weights(self.setting.identities[self.options.identity], self.options.weights)

    def open(self) -> None:
        """See `Stage`."""
        options, identity = self.options, self.setting.identities[self.options.identity]
        model, card = load_trained(self._path, str(self.setting.device))
        self._who = _decoder(options, identity, card)
        if options.morph_to is not None:
            self._between = _prepared(model.between(self._who, options.morph_to, options.morph), options.precision)
        self._model = _prepared(model, options.precision)

    def close(self) -> None:
        """See `Stage`."""
        self._model = self._between = None

    @torch.inference_mode()
    def swap(self, faces: FaceBatch, identity: Identity) -> Swapped:  # noqa: ARG002 - its weights are this identity's
        """Gives the model's face and matte; what is beyond 0..1 of the plate it does not see."""
        if self._model is None:
            raise RuntimeError("a stage is opened before it is used")
        demand_size(faces, self._model.spec.size_px * self._model.spec.detail, "autoencoder")
        pictures = sharpened(in_unit(faces.crops), self.options.presharpen)
        together = 1 if faces.crops.device.type == "cpu" else _TOGETHER
        parts = [self._computed(self._model, part, together) for part in torch.split(pictures, together)]
        crops, masks = (torch.cat(planes) for planes in zip(*parts, strict=True))
        return Swapped(crops, self._matte(masks))

    def _computed(self, model: Comb, pictures: Tensor, together: int) -> tuple[Tensor, Tensor]:
        """A few faces, filled up to as many as are always computed at once, and their masks."""
        options, count = self.options, len(pictures)
        if count < together:
            pictures = torch.cat([pictures, pictures.new_zeros((together - count, *pictures.shape[1:]))])
        code = model.encode(pictures.to(memory_format=torch.channels_last))
        face, mask, _ = model.decode(code, self._who, fine=True) if self._between is None else self._between(code)
        if options.plate is not None:
            there = model.decode(code, options.plate, fine=True).matte
            mask = there if options.mask == "target" else mask * there
        return face[:count].float().clamp(0, 1).contiguous(), mask[:count].float().contiguous()

    def _matte(self, masks: Tensor) -> Tensor:
        options, (low, high) = self.options, _LEVELS
        clean = torch.ones_like(masks) if options.mask == "none" else ((masks - low) / (high - low)).clamp(0, 1)
        return edged(clean, options)


def _prepared(net: NetT, precision: Precision) -> NetT:
    lower(net, _DTYPES[precision])
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]  # stubs lack it


def _decoder(options: AutoencoderOptions, identity: Identity, card: TrainedCard) -> str:
    """Who of the trained file is put in: as asked for, else who has the pipeline's or identity.toml's name for it."""
    if options.who is not None:
        return options.who
    return next((name for name in (identity.name, identity.title) if name in card.identities), identity.name)


def _shown(options: AutoencoderOptions, identity: Identity, card: TrainedCard) -> list[str]:
    """Whose faces are seen in the result, the identity's first."""
    who = _decoder(options, identity, card)
    return [who] if options.morph_to in {None, who} else [who, str(options.morph_to)]


def _strangers(options: AutoencoderOptions, identity: Identity, card: TrainedCard) -> list[Problem]:
    """Names that nobody has in the trained file."""
    names = sorted(card.identities)
    message = "there is nobody of that name in the trained file"
    if not names:
        message = "the trained file is a base, in which nobody can be asked for; train on it, with vfxswap train"
    asked = {"who": _decoder(options, identity, card), "morph_to": options.morph_to, "plate": options.plate}
    return [
        Problem(
            message,
            key=key,
            value=name,
            allowed=", ".join(names) or None,
            nearest=next(iter(difflib.get_close_matches(name, names, n=1)), None),
        )
        for key, name in asked.items()
        if name is not None and name not in names
    ]


def _refusals(
    options: AutoencoderOptions, identity: Identity, card: TrainedCard, path: Path, brief: Brief
) -> list[Problem]:
    """Why a face must not be shown: it is another's than the identity's, or without consent for this production."""
    who, *others = _shown(options, identity, card)
    found = []
    if who in card.identities:
        try:
            agree(identity, card.identities[who], path=path, decoder=who)
        except ConsentError as error:
            found.append(Problem(str(error), key="who", value=who, exit_code=error.exit_code))
    for name in others:
        objections = _objections(card.identities[name].consent, brief) if name in card.identities else []
        found += [Problem(text, key="morph_to", value=name, exit_code=ExitCode.REFUSED) for text in objections]
    return found


def _objections(trained: Consent | None, brief: Brief) -> list[str]:
    """Why somebody who is no identity of the stage may not be seen; an identity.toml of the pipeline rules, if any."""
    if trained is None:
        return ["the trained file has no consent record of this face; it may be replaced, but not be put in"]
    if brief.production is None:
        return []  # the pipeline file is told so
    record = next((one.consent for one in brief.identities.values() if same_person(one.consent, trained)), trained)
    return record.objections(production=brief.production, purpose=brief.purpose, today=brief.today)


def _obstacles(options: AutoencoderOptions, card: TrainedCard, path: Path, brief: Brief) -> list[Problem]:
    """What keeps the model from computing rightly in this run."""
    found = []
    space = _SPACES.get(card.color_space, card.color_space)
    if space != brief.face_space:
        message = (
            f"{path} was trained on faces in {space!r}, but the stages of this pipeline see {brief.face_space!r}; train"
            " on facesets of the latter"
        )
        found.append(Problem(message))
    if options.morph_to is not None and not morphs(card):
        found.append(Problem(f"{path} {NO_MORPH}", key="morph_to", value=options.morph_to))
    if options.precision == "fp16" and brief.device and not brief.device.startswith("cuda"):
        message = f"needs a CUDA device, but this run is on {brief.device}"
        found.append(Problem(message, key="precision", value="fp16", allowed='"fp32", "bf16"'))
    return found
