"""The occlusion net: what of a crop shows the face, and what lies in front of it.

A small U-Net (O. Ronneberger, P. Fischer and T. Brox, "U-Net: Convolutional networks for biomedical image
segmentation", MICCAI 2015). It works at half of the picture's resolution and below, where shapes are told apart, and
draws its edges at the full one, where they lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor, nn

from vfxswap.errors import ShapeError, UsageError
from vfxswap.nets.blocks import Down, Residual, conv3, rectified

ARCHITECTURE = "occlusion-1"
"""Changes when weights of old no longer fit."""
_SHALLOWEST, _DEEPEST = 2, 6


@dataclass(frozen=True, slots=True)
class OcclusionSpec:
    """Size of an occlusion net."""

    size_px: int = 128
    """Side of the pictures, a multiple of two to the power of the number of levels."""
    widths: tuple[int, ...] = (24, 40, 72, 112)
    """Channels at half the resolution, at a quarter, and so on."""
    edge: int = 8
    """Channels at the full resolution."""

    def __post_init__(self) -> None:
        if not _SHALLOWEST <= len(self.widths) <= _DEEPEST or min(*self.widths, self.edge) < 1:
            raise UsageError(
                f"an occlusion net has {_SHALLOWEST} to {_DEEPEST} levels of 1 or more channels, got {self.widths}"
            )
        if self.size_px < 32 or self.size_px % self.step:
            raise UsageError(f"its pictures are a multiple of {self.step} and at least 32 wide, got {self.size_px}")

    @property
    def step(self) -> int:
        """What the side of a picture must be a multiple of."""
        return 1 << len(self.widths)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OcclusionSpec:
        """The reverse of `to_dict`.

        Raises:
            UsageError: A key is missing or unknown.
        """
        names = {field.name for field in fields(cls)}
        if set(data) != names:
            raise UsageError(f"an occlusion net is described by {', '.join(sorted(names))}; got {', '.join(data)}")
        return cls(int(data["size_px"]), tuple(int(width) for width in data["widths"]), int(data["edge"]))


class OcclusionNet(nn.Module):
    """Tells how much of each pixel is visible face."""

    def __init__(self, spec: OcclusionSpec) -> None:
        super().__init__()
        self.spec = spec
        first, *_ = widths = spec.widths
        self.stem = conv3(12, first)
        self.rising = nn.ModuleList(Residual(width) for width in widths)
        self.downs = nn.ModuleList(Down(above, below) for above, below in pairwise(widths))
        self.joins = nn.ModuleList(conv3(above + below, above) for above, below in pairwise(widths))
        self.falling = nn.ModuleList(Residual(width) for width in widths[:-1])
        self.fine = conv3(first, 4 * spec.edge)
        self.edge = conv3(spec.edge + 3, spec.edge)
        self.last = conv3(spec.edge, 1, gain=0.1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the visible face.

        Args:
            images: `(N, 3, S, S)` R'G'B' 0..1 of the size in the spec.

        Returns:
            `(N, 1, S, S)`; their sigmoid is the matte.

        Raises:
            ShapeError: The images have another size.
        """
        size = self.spec.size_px
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, size, size):
            raise ShapeError(
                "pictures for the occlusion net", expected=f"(N, 3, {size}, {size})", actual=str(tuple(images.shape))
            )
        centred = images * 2 - 1
        features = self.rising[0](self.stem(F.pixel_unshuffle(centred, 2)))
        seen = [features]
        for down, residual in zip(self.downs, list(self.rising)[1:], strict=True):
            features = residual(down(features))
            seen.append(features)
        for level in range(len(self.joins) - 1, -1, -1):
            wider = F.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)
            features = self.falling[level](rectified(self.joins[level](torch.cat([seen[level], wider], 1))))
        fine = rectified(F.pixel_shuffle(self.fine(features), 2))
        edge = rectified(self.edge(torch.cat([fine, centred], 1)))
        return cast("Tensor", self.last(edge))
