"""Trained faces of DeepFaceLab's kind, as DFM files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from vfxswap.alignment import CropSpec, FaceType, crop_of_type
from vfxswap.brief import Brief
from vfxswap.errors import UsageError
from vfxswap.frame import FaceBatch
from vfxswap.identity import Identity
from vfxswap.modelfile import ModelFile, sidecar_path
from vfxswap.stage import Setting, Swapped, Swapper
from vfxswap_plugins._crops import (
    On,
    chosen_device,
    demand_size,
    from_bgr_last,
    in_unit,
    one_by_one,
    sharpened,
    to_bgr_last,
)
from vfxswap_plugins._onnx import Network
from vfxswap_plugins.swappers.dfm_file import Dfm, chosen_dfm, read_dfm
from vfxswap_plugins.swappers.masked import MaskedSwapperOptions, edged

_NOISE = 1 / 255
"""A mask below this is a sigmoid that never reaches 0."""

Gamma = Annotated[float, Field(gt=0, le=8)]
Gammas = tuple[Gamma, Gamma, Gamma]


class DfmOptions(MaskedSwapperOptions):
    """Settings of `dfm`."""

    weights: str | None = Field(None, description="Which .dfm of the identity's folder, where it holds several.")
    alignment: Literal["dfl68", "ff5"] = Field(
        "dfl68",
        description="How the face is framed: DeepFaceLab's fit to 33 points, with which such models are trained, or"
        " FaceFusion's to five, which shows 8 % less. They are never mixed.",
    )
    face_type: FaceType | None = Field(
        None,
        description="Which part of a head it was trained on. A sidecar that says so goes first and must not be"
        " contradicted; without either it is whole.",
    )
    morph_value: float | None = Field(
        None, ge=0, le=1, description="Of a morphing model: 1 is wholly the identity, which is also the default."
    )
    mask: Literal["product", "min", "max", "target", "source", "none"] = Field(
        "product",
        description="The matte, of the masks that the model gives of the face that is there (target) and of the new one"
        " (source): product, smaller, larger, one of them, or none: the whole crop.",
    )
    gamma_before: Gammas = Field(
        (1.0, 1.0, 1.0), description="Gamma of red, green and blue of what the model sees; above 1 is brighter."
    )
    gamma_after: Gammas = Field((1.0, 1.0, 1.0), description="The same of what it gives.")
    two_pass: bool = Field(False, description="Gives the model its own result once more.")
    on: On = Field("device", description="Computes on the run's device, or always on the CPU.")


class DfmSwapper(Swapper[DfmOptions]):
    """Puts in a face that was trained with DeepFaceLab, or exported in its form."""

    Options = DfmOptions
    light_beyond = "plate"

    def __init__(self, options: DfmOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        self._network: Network | None = None

    @classmethod
    def model_files(cls, options: DfmOptions, brief: Brief) -> Sequence[ModelFile]:
        """See `Stage`: the DFM, whose signature, face type and morph value are checked."""
        identity = brief.identities[options.identity]
        dfm = read_dfm(chosen_dfm(identity, options.weights))
        _crop(dfm, options)
        if options.morph_value is not None and dfm.morph is None:
            raise UsageError(f"{dfm.path} does not morph (it has no input morph_value); leave morph_value out")
        return [dfm.described(identity)]

    @cached_property
    def _dfm(self) -> Dfm:
        return read_dfm(chosen_dfm(self.setting.identities[self.options.identity], self.options.weights))

    @property
    def crop(self) -> CropSpec:
        """The model's own resolution, in the alignment and of the face type that it was trained with."""
        return _crop(self._dfm, self.options)

    def open(self) -> None:
        """See `Stage`."""
        self._network = Network(self._dfm.path, chosen_device(self.options.on, self.setting.device))

    def close(self) -> None:
        """See `Stage`."""
        self._network = None

    @torch.inference_mode()
    def swap(self, faces: FaceBatch, identity: Identity) -> Swapped:  # noqa: ARG002 - its weights are this identity's
        """Gives the model's face and its masks, joined; what is beyond 0..1 of the plate it does not see."""
        size = self._dfm.resolution
        demand_size(faces, size, "dfm")
        picture = _gamma(in_unit(faces.crops), self.options.gamma_before)
        face, masks = self._computed(sharpened(picture, self.options.presharpen))
        if self.options.two_pass:
            face, masks = self._computed(face)
        return Swapped(_gamma(face, self.options.gamma_after), self._matte(masks))

    def _computed(self, picture: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        if self._network is None:
            raise RuntimeError("a stage is opened before it is used")
        dfm, size = self._dfm, self._dfm.resolution
        target, new, source = dfm.outputs
        value = 1.0 if self.options.morph_value is None else self.options.morph_value
        masks_and_face = self._network(
            {dfm.face: to_bgr_last(picture)},
            {target: (size, size, 1), new: (size, size, 3), source: (size, size, 1)},
            constants={dfm.morph: torch.tensor([value])} if dfm.morph else None,
        )
        there, face, own = (tensor.clamp(0, 1) for tensor in masks_and_face)
        return from_bgr_last(face), (there.permute(0, 3, 1, 2), own.permute(0, 3, 1, 2))

    def _matte(self, masks: tuple[Tensor, Tensor]) -> Tensor:
        options, (target, source) = self.options, masks
        joined = {
            "product": lambda: target * source,
            "min": lambda: torch.minimum(target, source),
            "max": lambda: torch.maximum(target, source),
            "target": lambda: target,
            "source": lambda: source,
            "none": lambda: torch.ones_like(target),
        }[options.mask]()
        clean = torch.where(joined < _NOISE, 0.0, joined)
        return edged(clean, options)


def _crop(dfm: Dfm, options: DfmOptions) -> CropSpec:
    stated, asked = dfm.sidecar.face_type, options.face_type
    if stated is not None and asked not in {None, stated}:
        raise UsageError(
            f"face_type is {asked!r}, but {sidecar_path(dfm.path)} says {stated!r}; leave the option out, or mend the"
            " sidecar if it is wrong"
        )
    face_type: FaceType = stated or asked or "whole"
    if options.alignment == "dfl68":
        return crop_of_type(face_type, dfm.resolution)
    if face_type != "whole":
        raise UsageError(f"alignment 'ff5' is known for face type 'whole' only, and {dfm.path} is of {face_type!r}")
    return CropSpec("dfl_whole", dfm.resolution)


def _gamma(crops: Tensor, gammas: Gammas) -> Tensor:
    if gammas == (1.0, 1.0, 1.0):
        return crops
    exponents = 1 / crops.new_tensor(gammas).view(1, 3, 1, 1)
    return one_by_one(lambda crop: crop.pow(exponents), crops)
