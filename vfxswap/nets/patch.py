"""A discriminator of patches: says of every small piece of a picture how real it looks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from vfxswap.nets.blocks import conv3, rectified


class PatchDiscriminator(nn.Module):
    """Judges pieces of a picture, each seen beside the matte that it belongs to.

    As in pix2pix (Isola et al., CVPR 2017), with weights normed by their spectrum (Miyato et al., ICLR 2018) in place
    of batch norm, so that a verdict does not depend on other pictures.

    Args:
        people: How many persons; each has a judge's line of its own, which knows how this face looks.
        levels: Halvings of the side; decide how large a piece is.
        width: Channels of the first level.
    """

    def __init__(self, people: int, *, levels: int = 3, width: int = 32) -> None:
        super().__init__()
        widths = [min(width * 2**k, 8 * width) for k in range(levels)]
        inside = [4, *widths[:-1]]
        self.downs = nn.ModuleList(
            spectral_norm(conv3(before, after, stride=2)) for before, after in zip(inside, widths, strict=True)
        )
        self.people = nn.Embedding(people, widths[-1])
        self.line = nn.Conv2d(widths[-1], 1, 1)

    def forward(self, images: Tensor, mattes: Tensor, who: Tensor) -> Tensor:
        """Pictures `(N, 3, S, S)`, mattes `(N, 1, S, S)`, numbers of persons `(N,)` to verdicts `(N, 1, s, s)`.

        Above 0 is taken for real. The persons' part is a projection (Miyato and Koyama, cGANs, ICLR 2018).
        """
        features = torch.cat([2 * images - 1, mattes], 1)
        for down in self.downs:
            features = rectified(down(features))
        own = (features * self.people(who)[:, :, None, None]).sum(1, keepdim=True)
        verdict: Tensor = self.line(features) + own / features.shape[1] ** 0.5
        return verdict
