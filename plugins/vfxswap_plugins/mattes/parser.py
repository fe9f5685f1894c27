"""Mattes from face parsing: a network says of each pixel which part of a head it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from vfxswap.alignment import TemplateName
from vfxswap_plugins._onnx import Network
from vfxswap_plugins._onnx_file import Port
from vfxswap_plugins.mattes.by_network import NetworkMatte, NetworkMatteOptions, inner_edge

# fmt: off
Part = Literal[
    "skin", "brows", "eyes", "glasses", "ears", "earrings", "nose", "mouth", "lips", "neck", "necklace", "cloth",
    "hair", "hat",
]
# fmt: on
"""Parts of a head; `mouth` is what lies between the lips."""
CLASSES: Mapping[Part, tuple[int, ...]] = {
    "skin": (1,),
    "brows": (2, 3),
    "eyes": (4, 5),
    "glasses": (6,),
    "ears": (7, 8),
    "earrings": (9,),
    "nose": (10,),
    "mouth": (11,),
    "lips": (12, 13),
    "neck": (14,),
    "necklace": (15,),
    "cloth": (16,),
    "hair": (17,),
    "hat": (18,),
}
"""Places in the 19 classes of CelebAMask-HQ, in the order that BiSeNet face parsers have; 0 is the background."""
_COUNT = 19
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, red first."""


class ParserOptions(NetworkMatteOptions):
    """Settings of `parser`."""

    keep: tuple[Part, ...] = Field(
        ("skin", "brows", "eyes", "glasses", "nose", "mouth", "lips"),
        min_length=1,
        description="Parts that are in the matte; mouth is what lies between the lips.",
    )
    template: TemplateName = Field(
        "ffhq_512",
        description="The crop that it is shown: face parsers are trained on ffhq_512 and the like. It is cut from the"
        " plate for it, whatever crop the pipeline has.",
    )
    postprocess: Literal["facefusion", "none"] = Field(
        "facefusion",
        description="facefusion: blurred by 5 pixels of the network's picture, and of that the upper half. none: each"
        " pixel is in the matte or not.",
    )


class Parser(NetworkMatte[ParserOptions]):
    """Keeps the parts of a head that are named; each pixel is of the class that the network finds likeliest."""

    Options = ParserOptions
    accepted = "one input float [N, 3, S, S]; first output float [N, 19, S, S]: a BiSeNet face parser"
    usual_size_px = 512

    @classmethod
    def fits(cls, taken: Port, given: Sequence[Port]) -> bool:
        """R'G'B' with ImageNet's mean and deviation, planes first; a score for each class."""
        return taken.fits(None, 3, None, None) and given[0].fits(None, _COUNT, None, None)

    def masks(self, network: Network, pictures: Tensor) -> Tensor:
        """See `NetworkMatte`."""
        size = int(pictures.shape[-1])
        mean, std = (pictures.new_tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _STD))
        (scores,) = network(
            {network.file.inputs[0].name: (pictures - mean) / std},
            {network.file.outputs[0].name: (_COUNT, size, size)},
        )
        masks = kept(scores, self.options.keep)
        return inner_edge(masks) if self.options.postprocess == "facefusion" else masks


def kept(scores: Tensor, parts: Sequence[Part]) -> Tensor:
    """`(N, 1, S, S)`: 1 where the likeliest class of `(N, 19, S, S)` is of some parts; no other may be as likely."""
    wanted = {place for part in parts for place in CLASSES[part]}
    # planes against planes: thirty times as fast as torch's argmax over them on a CPU
    inside, outside = (
        reduce(torch.maximum, [scores[:, place : place + 1] for place in range(_COUNT) if (place in wanted) is kind])
        for kind in (True, False)
    )
    return (inside > outside).float()
