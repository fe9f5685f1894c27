"""Spreads values that are known here and there, and more or less surely, over a picture: a screened Poisson equation.

Multigrid (A. Brandt, "Multi-level adaptive solutions to boundary-value problems", Mathematics of Computation 31, 1977)
in its cascading form, coarse to fine, with a fixed number of damped Jacobi sweeps at each level: each step works pixel
by pixel, so that the bits depend on no number of threads.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody uses
from torch import Tensor

_LEAST_SIDE: Final = 4
_SWEEPS: Final = 6
_DAMPED: Final = 0.8
_TINY: Final = 1e-4


def screened(value: Tensor, weight: Tensor, *, reach_px: float) -> Tensor:
    """The field D that minimises the integral of `weight (D - value)^2 + reach_px^2 |gradient of D|^2`.

    Its Euler equation is `weight D - reach_px^2 Laplacian(D) = weight value`, with no flow over the picture's edge. A
    value of weight 1 is averaged over about `reach_px`; where nothing is known, D goes on from around.

    Args:
        value: `(C, n, n)`, n a power of 2 times at most 8.
        weight: `(1, n, n)`, not negative.
        reach_px: Where the weight is 1.

    Returns:
        `(C, n, n)`.
    """
    # a weight of next to nothing everywhere keeps the equation from having no solution
    levels = [(value * weight, weight + _TINY)]
    while levels[-1][0].shape[-1] % 2 == 0 and levels[-1][0].shape[-1] // 2 >= _LEAST_SIDE:
        known, sure = (F.avg_pool2d(part.unsqueeze(0), 2)[0] for part in levels[-1])
        levels.append((known, sure))
    known, sure = levels[-1]
    found = known.mean(dim=(1, 2), keepdim=True) / sure.mean(dim=(1, 2), keepdim=True) + torch.zeros_like(known)
    for depth in reversed(range(len(levels))):
        known, sure = levels[depth]
        if found.shape[-1] != known.shape[-1]:
            found = F.interpolate(found.unsqueeze(0), scale_factor=2, mode="bilinear", align_corners=False)[0]
        bond = reach_px**2 / 4**depth
        for _ in range(_SWEEPS):
            around = F.pad(found.unsqueeze(0), (1, 1, 1, 1), mode="replicate")[0]
            total = around[:, 2:, 1:-1] + around[:, :-2, 1:-1] + around[:, 1:-1, 2:] + around[:, 1:-1, :-2]
            found = found + _DAMPED * ((bond * total + known) / (4 * bond + sure) - found)
    return found
