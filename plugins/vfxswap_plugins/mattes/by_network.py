"""What mattes by networks have in common: the network is somebody's file, and sees the crop that it was trained on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar, TypeVar

import torch
from pydantic import Field
from torch import Tensor

from vfxswap.alignment import CropSpec, TemplateName
from vfxswap.brief import Brief
from vfxswap.frame import FaceBatch
from vfxswap.modelfile import ModelFile, Sidecar, described_file, read_sidecar
from vfxswap.stage import InputPath, Matte, MatteOptions, Setting
from vfxswap_plugins._crops import On, blurred, chosen_device, in_unit, mattes_back, seen_in
from vfxswap_plugins._onnx import Network
from vfxswap_plugins._onnx_file import OnnxFile, Port, read_onnx

_BLUR_SIGMA_PX = 5.0


class NetworkMatteOptions(MatteOptions):
    """Settings of every matte by a network."""

    weights: InputPath = Field(description="The network, an ONNX file.")
    template: TemplateName = Field(
        description="The crop that it was trained on. It is cut from the plate for it, whatever crop the pipeline has."
    )
    on: On = Field("device", description="Computes on the run's device, or always on the CPU.")


NetworkOptionsT = TypeVar("NetworkOptionsT", bound=NetworkMatteOptions)


class NetworkMatte(Matte[NetworkOptionsT]):
    """A matte by a network: 0 where the crop that the network sees does not reach."""

    accepted: ClassVar[str]
    """The signature, in words."""
    usual_size_px: ClassVar[int]
    """Side of the pictures of networks that do not say theirs."""

    def __init__(self, options: NetworkOptionsT, setting: Setting) -> None:
        super().__init__(options, setting)
        self._network: Network | None = None

    @classmethod
    @abstractmethod
    def fits(cls, taken: Port, given: Sequence[Port]) -> bool:
        """Whether the input and the outputs, at least one, have the signature."""

    @abstractmethod
    def masks(self, network: Network, pictures: Tensor) -> Tensor:
        """`(N, 1, s, s)` 0..1 of `(N, 3, s, s)` R'G'B' 0..1."""

    @classmethod
    def model_files(cls, options: NetworkOptionsT, brief: Brief) -> Sequence[ModelFile]:  # noqa: ARG003
        """See `Stage`: the network, whose signature is checked."""
        cls._side(read_onnx(options.weights))
        return [described_file(options.weights, read_sidecar(Sidecar, options.weights))]

    def open(self) -> None:
        """See `Stage`."""
        self._network = Network(self.options.weights, chosen_device(self.options.on, self.setting.device))

    def close(self) -> None:
        """See `Stage`."""
        self._network = None

    @torch.inference_mode()
    def matte(self, faces: FaceBatch) -> Tensor:
        """Gives `(N, 1, S, S)`, each face for itself.

        Raises:
            ShapeError: The landmarks are too few for the template.
        """
        if self._network is None:
            raise RuntimeError("a stage is opened before it is used")
        pictures, between = seen_in(faces, self._spec)
        masks = self.masks(self._network, in_unit(pictures))
        return mattes_back(masks, between, int(faces.crops.shape[-1])).clamp(0, 1)

    @cached_property
    def _spec(self) -> CropSpec:
        return CropSpec(self.options.template, self._side(read_onnx(self.options.weights)))

    @classmethod
    def _side(cls, file: OnnxFile) -> int:
        """Side of the network's pictures, if it has the signature."""
        if len(file.inputs) != 1 or not file.outputs or not cls.fits(file.inputs[0], file.outputs):
            raise file.unlike(cls.accepted)
        sides = {side for side in (file.inputs[0].shape or ())[1:] if isinstance(side, int) and side != 3}
        if len(sides) > 1:
            raise file.unlike(cls.accepted)
        return next(iter(sides), cls.usual_size_px)


def inner_edge(masks: Tensor) -> Tensor:
    """FaceFusion's soft edge: blurred by 5 pixels, and of that the upper half, so that the edge lies inside."""
    return (blurred(masks, _BLUR_SIGMA_PX).clamp(0.5, 1) - 0.5) * 2
