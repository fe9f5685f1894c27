"""XSeg mattes: networks that were trained to see where a face is, and what hides it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from vfxswap.alignment import TemplateName
from vfxswap_plugins._crops import to_bgr_last
from vfxswap_plugins._onnx import Network
from vfxswap_plugins._onnx_file import Port
from vfxswap_plugins.mattes.by_network import NetworkMatte, NetworkMatteOptions, inner_edge

_LEAST = 0.1


class XsegOptions(NetworkMatteOptions):
    """Settings of `xseg`."""

    template: TemplateName = Field(
        "dfl68_whole",
        description="The crop that it was trained on: dfl68_ and its face type. It is cut from the plate, whatever"
        " crop the pipeline has.",
    )
    postprocess: Literal["dfl", "facefusion", "none"] = Field(
        "dfl",
        description="dfl: what is below 0.1 becomes 0. facefusion: blurred by 5 pixels of the network's picture, and of"
        " that the upper half. none: as the network gives it.",
    )


class Xseg(NetworkMatte[XsegOptions]):
    """Asks an XSeg network, DeepFaceLab's or FaceFusion's, what is face and not hidden."""

    Options = XsegOptions
    accepted = "one input float [N, S, S, 3]; one output float [N, S, S, 1]: an XSeg network"
    usual_size_px = 256

    @classmethod
    def fits(cls, taken: Port, given: Sequence[Port]) -> bool:
        """B'G'R' 0..1 with the channels last; a mask likewise."""
        return taken.fits(None, None, None, 3) and len(given) == 1 and given[0].fits(None, None, None, 1)

    def masks(self, network: Network, pictures: Tensor) -> Tensor:
        """See `NetworkMatte`."""
        size = int(pictures.shape[-1])
        (seen,) = network(
            {network.file.inputs[0].name: to_bgr_last(pictures)}, {network.file.outputs[0].name: (size, size, 1)}
        )
        masks = seen.permute(0, 3, 1, 2).clamp(0, 1).contiguous()
        if self.options.postprocess == "dfl":
            return torch.where(masks < _LEAST, 0.0, masks)
        return inner_edge(masks) if self.options.postprocess == "facefusion" else masks
