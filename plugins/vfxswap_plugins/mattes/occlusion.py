"""A matte by the occlusion net, which sees what is in front of a face: hands, microphones, hair, glasses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor

from vfxswap.alignment import CropSpec
from vfxswap.brief import Brief
from vfxswap.files import file_sha256
from vfxswap.frame import FaceBatch
from vfxswap.modelfile import ModelFile
from vfxswap.nets.occlusion import ARCHITECTURE, OcclusionNet, OcclusionSpec
from vfxswap.ops.matte import holes_filled
from vfxswap.stage import InputPath, Matte, MatteOptions, Setting
from vfxswap.trained import TrainedCard, demand_architecture, load_net, read_card
from vfxswap_plugins._crops import blurred, eroded, in_unit, mattes_back, seen_in

OWN_WEIGHTS = Path(__file__).with_name("occlusion.safetensors")
"""The net that comes with the package, trained on the lab's performers alone."""


class OcclusionOptions(MatteOptions):
    """Settings of `occlusion`; every percentage is of the side of the net's own crop, the whole face."""

    weights: InputPath | None = Field(
        None, description="A trained file of the occlusion net; by default the one that comes with the package."
    )
    threshold: float = Field(
        0.4,
        gt=0,
        lt=1,
        description="How sure the net must be that a pixel shows the face: lower keeps more of the face, higher takes"
        " more out.",
    )
    softness: float = Field(
        0.5,
        ge=0.02,
        le=1,
        description="How far the net's doubt becomes half-cover: 1 keeps it all, 0.02 is a hard cut.",
    )
    fill_holes: bool = Field(
        False,
        description="Takes a hole that no way leads out of for face: a burnt-out spot, and dark glasses alike, so not"
        " for who wears them.",
    )
    erode_percent: float = Field(0.0, ge=0, le=10, description="Moves the edges inwards.")
    feather_percent: float = Field(0.0, ge=0, le=10, description="Width of a soft edge inside what is kept.")


class Occlusion(Matte[OcclusionOptions]):
    """Tells visible face from what hides it; 0 where the net's crop does not reach."""

    Options = OcclusionOptions

    def __init__(self, options: OcclusionOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        self._net: OcclusionNet | None = None

    @classmethod
    def model_files(cls, options: OcclusionOptions, brief: Brief) -> Sequence[ModelFile]:  # noqa: ARG003
        """See `Stage`: the trained file."""
        path, card = _read(options)
        return [ModelFile(path, file_sha256(path), card.licence, card.commercial)]

    def open(self) -> None:
        """See `Stage`."""
        path, card = _read(self.options)
        net = OcclusionNet(OcclusionSpec.from_dict(card.spec))
        load_net(path, net, self.setting.device)
        self._net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it

    def close(self) -> None:
        """See `Stage`."""
        self._net = None

    @torch.inference_mode()
    def matte(self, faces: FaceBatch) -> Tensor:
        """Gives `(N, 1, S, S)`, each face for itself; it is computed alone, so that no other changes its bits."""
        if self._net is None:
            raise RuntimeError("a stage is opened before it is used")
        dense = all(marks.scheme != "five" for marks in faces.landmarks)
        # Five points place nearly the same square, less steadily.
        spec = CropSpec("dfl68_whole" if dense else "dfl_whole", self._net.spec.size_px)
        pictures, between = seen_in(faces, spec)
        shown = torch.cat([torch.sigmoid(self._net(_laid(one))) for one in torch.split(in_unit(pictures), 1)])
        return mattes_back(self._edged(shown.contiguous()), between, int(faces.crops.shape[-1])).clamp(0, 1)

    def _edged(self, shown: Tensor) -> Tensor:
        """The net's certainty as a matte: exactly 0 and 1 beyond the doubtful, with the edge that is asked for."""
        options, unit = self.options, shown.shape[-1] / 100
        mattes: Tensor = ((shown - options.threshold) / options.softness + 0.5).clamp(0, 1)
        mattes = holes_filled(mattes) if options.fill_holes else mattes
        mattes = eroded(mattes, options.erode_percent * unit)
        if options.feather_percent == 0:
            return mattes
        # The upper half of a blurred matte: its edge lies inside of what was sharp.
        return (blurred(mattes, options.feather_percent * unit / 2).clamp(0.5, 1) - 0.5) * 2


def _laid(picture: Tensor) -> Tensor:
    return picture.contiguous(memory_format=torch.channels_last)


def _read(options: OcclusionOptions) -> tuple[Path, TrainedCard]:
    """The trained file and its card.

    Raises:
        UsageError: It is no trained file, or of another architecture.
    """
    path = OWN_WEIGHTS if options.weights is None else options.weights
    card = read_card(path)
    demand_architecture(path, card, ARCHITECTURE)
    return path, card
