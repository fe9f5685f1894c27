"""Swappers that need one picture of the face and no training: inswapper and its family, by cards."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from vfxswap.alignment import CropSpec
from vfxswap.brief import Brief
from vfxswap.errors import UsageError
from vfxswap.frame import FaceBatch
from vfxswap.geometry import pose_of
from vfxswap.identity import Identity, Portrait
from vfxswap.modelfile import ModelFile
from vfxswap.models import ModelStore
from vfxswap.ops import warp
from vfxswap.stage import InputPath, Setting, Swapped, Swapper, SwapperOptions
from vfxswap_plugins._crops import On, border_fade, chosen_device, demand_size, in_unit
from vfxswap_plugins._onnx import Network
from vfxswap_plugins._onnx_file import last_matrix
from vfxswap_plugins.swappers.one_shot_files import Files, Named, all_cards, find_files
from vfxswap_plugins.swappers.swap_cards import CropSource, EmbeddingSource, PictureCard


class OneShotOptions(SwapperOptions):
    """Settings of `one-shot`."""

    model: str = Field(description="Name of the swapper's card, such as inswapper_128; docs/models.md lists them.")
    cards: InputPath | None = Field(None, description="A card file of your own, in addition to those that are known.")
    weights: InputPath | None = Field(
        None, description="The swapper's file; needed where its card pins no sha256, or where it is in no model folder."
    )
    recogniser_weights: InputPath | None = Field(None, description="Likewise the recognition network's.")
    converter_weights: InputPath | None = Field(None, description="Likewise the converter's of embeddings.")
    embedding: Literal["insightface", "facefusion"] = Field(
        "insightface",
        description="For cards with an emap: whether the mapped embedding is made a unit vector, as InsightFace does,"
        " or left as it is, as FaceFusion does.",
    )
    pixel_boost: int = Field(
        1,
        ge=1,
        le=8,
        description="Crops this many times as large, which the network sees in as many squared parts, each of every"
        " n-th pixel: sharper, and speckled where the parts disagree.",
    )
    inset_percent: float = Field(
        2.0, ge=0, le=40, description="The matte is 0 up to here from the crop's border, in percent of its side."
    )
    feather_percent: float = Field(
        6.0, ge=0, le=50, description="Width over which the matte then rises to 1, in percent of the crop's side."
    )
    on: On = Field("device", description="Computes on the run's device, or always on the CPU.")


class OneShot(Swapper[OneShotOptions]):
    """Puts in a face that the network knows from the identity's stills alone.

    Of several stills, all count alike: the embedding is the mean of their unit embeddings, with the mean of their
    lengths. A network that is shown a picture gets the still that looks most into the camera. The matte is the crop's
    square with a soft edge, since these networks give none: let `hull`, `xseg` or `parser` say where the face is.
    """

    Options = OneShotOptions
    light_beyond = "plate"

    def __init__(self, options: OneShotOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        self._network: Network | None = None
        self._source: Tensor | None = None

    @classmethod
    def wants_stills(cls) -> bool:
        """True: the host looks for the face in each still."""
        return True

    @classmethod
    def model_files(cls, options: OneShotOptions, brief: Brief) -> Sequence[ModelFile]:
        """See `Stage`: the networks, whose signatures are held against their cards."""
        files = _files(options, brief.models)
        source = files.card.source
        if options.embedding != "insightface" and not (
            isinstance(source, EmbeddingSource) and source.projection == "emap"
        ):
            raise UsageError(
                f"embedding = {options.embedding!r} means something for cards with an emap only, and"
                f" {options.model!r} has none; leave it out"
            )
        return files.model_files()

    @cached_property
    def _files(self) -> Files:
        return _files(self.options, self.setting.models)

    @property
    def crop(self) -> CropSpec:
        """The network's template and size, or a multiple of it."""
        picture = self._files.card.picture
        return CropSpec(picture.template, picture.size_px * self.options.pixel_boost)

    def open(self) -> None:
        """Loads the networks, and looks at the identity's stills once."""
        device = chosen_device(self.options.on, self.setting.device)
        self._network = Network(self._files.swapper.path, device)
        with torch.inference_mode():
            self._source = self._source_of(self.setting.identities[self.options.identity], device)

    def close(self) -> None:
        """See `Stage`."""
        self._network = self._source = None

    @torch.inference_mode()
    def swap(self, faces: FaceBatch, identity: Identity) -> Swapped:  # noqa: ARG002 - its source is this identity's
        """Gives the network's faces, and the square's matte; what is beyond 0..1 of the plate it does not see."""
        if self._network is None or self._source is None:
            raise RuntimeError("a stage is opened before it is used")
        card, times = self._files.card, self.options.pixel_boost
        picture, size = card.picture, card.picture.size_px * times
        demand_size(faces, size, "one-shot")
        parts = phases(faces.crops, times)
        source = self._source.expand(len(parts), *self._source.shape[1:])
        (result,) = self._network(
            {card.target_input: normalised(parts, picture), card.source_input: source},
            {self._files.swapper.outputs[0].name: (3, picture.size_px, picture.size_px)},
        )
        result = _ordered(result, picture)
        if card.denormalise:
            result = result * _column(picture.std, result) + _column(picture.mean, result)
        crops = unphased(result.clamp(0, 1), times)
        inset, feather = (
            percent / 100 * size for percent in (self.options.inset_percent, self.options.feather_percent)
        )
        matte = border_fade(size, inset_px=inset, feather_px=feather, device=crops.device)
        return Swapped(crops, matte.expand(len(crops), 1, size, size).contiguous())

    def _source_of(self, identity: Identity, device: torch.device) -> Tensor:
        if not identity.portraits:
            raise UsageError(
                f"identity {identity.name!r} has no still in which a face was found; put still*.jpg, .png, .tif or .exr"
                f" with one face each into {identity.folder}"
            )
        source = self._files.card.source
        if isinstance(source, CropSource):
            return _picture_of(_most_frontal(identity.portraits), source.picture)
        return self._embedding(source, identity.portraits, device)

    def _embedding(self, source: EmbeddingSource, portraits: Sequence[Portrait], device: torch.device) -> Tensor:
        files = self._files
        if files.recogniser is None or files.recogniser_card is None:
            raise AssertionError("an embedding has a recogniser")
        picture = files.recogniser_card.picture
        recogniser = Network(files.recogniser.path, device)
        raw = torch.cat([_through(recogniser, _picture_of(portrait, picture)) for portrait in portraits])
        vector = (
            mean_direction(raw)
            if source.unit_before
            else mean_direction(raw) * torch.linalg.vector_norm(raw, dim=1).mean()
        )
        if source.projection == "emap":
            vector = vector @ torch.from_numpy(last_matrix(files.swapper.path))
        elif files.converter is not None:
            vector = _through(Network(files.converter.path, device), vector)
        unit_after = source.unit_after and not (source.projection == "emap" and self.options.embedding == "facefusion")
        return _unit(vector) if unit_after else vector


def _files(options: OneShotOptions, store: ModelStore) -> Files:
    named = Named(options.weights, options.recogniser_weights, options.converter_weights)
    return find_files(options.model, all_cards(store, options.cards), store, named)


def _through(network: Network, given: Tensor) -> Tensor:
    """`(N, D)` on the CPU: the first output of a network with one input."""
    (vector,) = network({network.file.inputs[0].name: given}, {network.file.outputs[0].name: None})
    return vector.cpu()


def _picture_of(portrait: Portrait, picture: PictureCard) -> Tensor:
    """`(1, 3, S, S)`: a still's face as a network wants it."""
    matrix = picture.crop.plate_to_crop(portrait.landmarks)
    crop = warp.cut(portrait.image, origin=(0, 0), plate_to_crop=matrix, size_px=picture.size_px)
    return normalised(crop[None], picture)


def _most_frontal(portraits: Sequence[Portrait]) -> Portrait:
    def away(portrait: Portrait) -> float:
        pose = pose_of(portrait.landmarks)
        return abs(pose.yaw) + abs(pose.pitch)

    return min(portraits, key=away)


def mean_direction(vectors: Tensor) -> Tensor:
    """`(1, D)` of length 1: the mean of `(N, D)` vectors, each made a unit vector first."""
    mean: Tensor = _unit(_unit(vectors).mean(dim=0, keepdim=True))
    return mean


def _unit(vectors: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return vectors / lengths.clamp_min(1e-12)


def normalised(crops: Tensor, picture: PictureCard) -> Tensor:
    """`(N, 3, S, S)` R'G'B' as a network wants it."""
    return _ordered((in_unit(crops) - _column(picture.mean, crops)) / _column(picture.std, crops), picture)


def _ordered(crops: Tensor, picture: PictureCard) -> Tensor:
    return crops.flip(1) if picture.order == "bgr" else crops


def _column(values: tuple[float, float, float], like: Tensor) -> Tensor:
    return like.new_tensor(values).view(1, 3, 1, 1)


def phases(crops: Tensor, times: int) -> Tensor:
    """`(N, C, nS, nS)` to `(N n n, C, S, S)`: every n-th pixel, by the n x n places where one may begin."""
    count, channels, size, _ = crops.shape
    parts = crops.reshape(count, channels, size // times, times, size // times, times)
    return parts.permute(0, 3, 5, 1, 2, 4).reshape(-1, channels, size // times, size // times)


def unphased(parts: Tensor, times: int) -> Tensor:
    """The way back from `phases`."""
    total, channels, size, _ = parts.shape
    crops = parts.reshape(total // times**2, times, times, channels, size, size)
    return crops.permute(0, 3, 4, 1, 5, 2).reshape(-1, channels, size * times, size * times)
