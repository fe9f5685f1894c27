"""Where scores are taken: inside the matte, in a ring around it, across its border."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody uses
from kornia.filters import gaussian_blur2d
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.geometry import Box

_LEAST: Final = 1 / 512
"""A matte below this is taken for 0: a PNG's rounding is no face."""
_RING: Final = 0.12
"""Width of the ring, in parts of the face's size."""
_BORDER: Final = 0.03
"""Standard deviation of the border's band, in parts of the face's size."""
_FEWEST_PX: Final = 64.0
"""Least sum of a matte that can be judged."""
_GRID_PER_SIGMA: Final = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """The parts of a picture that are judged; h x w is the box."""

    box: Box
    """In the upright picture."""
    inside: Tensor
    """`(h, w)` 0..1: the matte."""
    ring: Tensor
    """`(h, w)` 0 or 1: outside the matte, and near it."""
    across: Tensor
    """`(2, h, w)`: the matte's gradient (x, y) per pixel: long on the border, and across it."""
    border_px: float
    """Standard deviation of the border's band."""
    size_px: float
    """Square root of the matte's area: the face's size."""

    def cut(self, picture: Tensor) -> Tensor:
        """The box of a picture `(C, H, W)`."""
        x0, y0, x1, y1 = self.box
        return picture[:, y0:y1, x0:x1]


def region_of(matte: Tensor, *others: Tensor) -> Region | None:
    """The region of a matte.

    Args:
        matte: `(H, W)` 0..1 in pixels of the upright picture.
        others: Mattes that the box must cover too, such as the frame's before.

    Returns:
        The region; None where the matte is too small to be judged (less than 64 pixels).

    Raises:
        ShapeError: The mattes are not of one size.
    """
    if matte.ndim != 2 or any(other.shape != matte.shape for other in others):
        raise ShapeError(
            "mattes of a region", expected="(H, W), all alike", actual=str([tuple(m.shape) for m in (matte, *others)])
        )
    if float(matte.sum()) < _FEWEST_PX:
        return None
    size_px = float(matte.double().sum().sqrt())
    ring_px = max(2, round(_RING * size_px))
    box = _box(torch.stack([matte, *others]).amax(dim=0), margin_px=ring_px + 8)
    x0, y0, x1, y1 = box
    inside = matte[y0:y1, x0:x1].clamp(0, 1)
    some = (inside > _LEAST).float()
    near = dilated(some, ring_px)
    border_px = max(1.0, _BORDER * size_px)
    soft = blurred(inside[None], border_px)[0]
    return Region(box, inside, near * (1 - some), gradient(soft), border_px, size_px)


def _box(matte: Tensor, *, margin_px: int) -> Box:
    rows, columns = ((matte > _LEAST).any(dim=dim).nonzero().flatten() for dim in (1, 0))
    tight = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return tight.grown(margin_px).clipped(matte.shape[1], matte.shape[0])


def dilated(mask: Tensor, radius_px: int) -> Tensor:
    """`(h, w)`: the largest value no farther than a radius along both axes."""
    side = 2 * radius_px + 1
    rows = F.max_pool2d(mask[None], (side, 1), stride=1, padding=(radius_px, 0))
    return F.max_pool2d(rows, (1, side), stride=1, padding=(0, radius_px))[0]


def blurred(picture: Tensor, sigma_px: float) -> Tensor:
    """`(C, h, w)` through a Gaussian of that standard deviation; past the edge the picture is mirrored."""
    most = min(picture.shape[-2:]) - 1
    side = 2 * min(max(1, round(3 * sigma_px)), most) + 1
    return gaussian_blur2d(picture[None], (side, side), (sigma_px, sigma_px), border_type="reflect")[0]


def gradient(plane: Tensor) -> Tensor:
    """`(h, w)` to `(2, h, w)`: central differences along x and y, per pixel; past the edge the last pixels repeat."""
    padded = F.pad(plane[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    return torch.stack([padded[1:-1, 2:] - padded[1:-1, :-2], padded[2:, 1:-1] - padded[:-2, 1:-1]]) / 2


def mean(values: Tensor, weight: Tensor) -> float:
    """The weighted mean of `(..., h, w)` over all but the last two axes too, in float64; NaN if nothing has weight.

    Args:
        values: `(..., h, w)`.
        weight: `(h, w)`, not negative.
    """
    share = weight.double()
    count = values.numel() // share.numel()
    total = (values.double() * share).sum() / count
    return float(total / share.sum())


def toned(picture: Tensor, weight: Tensor, *, sigma_px: float) -> tuple[Tensor, Tensor]:
    """The tone of a picture: its low frequencies, of what has weight alone, on a coarser grid.

    Normalised convolution (H. Knutsson, C.-F. Westin, "Normalized and differential convolution", CVPR 1993), so that
    what lies outside the matte does not run in. It is blind to detail, and to faces that are a few pixels apart.

    Args:
        picture: `(C, h, w)`.
        weight: `(h, w)`.
        sigma_px: Standard deviation of the blur.

    Returns:
        `(C, h', w')` the tone, and `(h', w')` the weight; both depend on no picture but these.
    """
    step = max(1, int(sigma_px / _GRID_PER_SIGMA))
    grid = [max(4, round(side / step)) for side in weight.shape]
    share = F.interpolate(weight[None, None], size=grid, mode="area")[0]
    coarse = F.interpolate((picture * weight)[None], size=grid, mode="area")[0]
    sigma = sigma_px * grid[1] / weight.shape[1]
    return blurred(coarse, sigma) / blurred(share, sigma).clamp_min(1e-6), share[0]
