"""The last step of a decoder: from features to a picture, painted, or made of stills.

A still is a picture of the person in the crop that the network is trained on, with landmarks. Where the landmarks are
in the new picture says how the still is bent: by the affine map that fits best, and what that leaves by each pixel's
nearness to the landmarks (D. Shepard, A two-dimensional interpolation function, ACM 1968). Of several stills each pixel
takes most of those that had to be bent least there.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vfxswap.geometry import REGIONS
from vfxswap.nets.blocks import Up, conv3

_REACH = 0.1
"""What a shift of 1 beyond the landmarks' means, of half a side."""
_NEAR = 0.05
"""Distance from a landmark, in half sides, within which it rules alone."""
_BENT = 0.05
"""So much bending, in half sides, makes a still count less by a factor of e, at first."""
_LIDS = slice(REGIONS["ibug68"]["left_eye"][0], REGIONS["ibug68"]["right_eye"][-1] + 1)
"""Among the landmarks, where there are so many."""
_LID = 0.06
"""In half sides: the sigma of what is about an eye's outline."""
_SMALL = 4.0
"""So many times as much bending counts about eyes, which are small: an eye that shuts is to be one that is shut, and
not an open one that is squeezed."""
_CHOOSY = 8.0
"""How much more decidedly one still is chosen for what is finer than was learnt."""
_LEAST = 1e-4
IRISES = slice(68, 70)
"""Among the landmarks, where there are so many: the one that is left in the picture, the right one."""
_IRIS = 0.042
"""In half sides: the sigma of what is spared about an iris, which is about an eye's height."""
_SPARED = 0.5
"""Part of what is painted that is left away from irises where faces are shown."""


class Moved(NamedTuple):
    """Where the landmarks go."""

    points: Tensor
    """`(N, J, 2)` in the new picture, x and y, the side being -1..1."""
    stills: Tensor
    """`(N, K, J, 2)` in the stills."""


class Mover(nn.Module):
    """Codes, styles and the landmarks of the first still to landmarks."""

    def __init__(self, condition: int, points: int) -> None:
        super().__init__()
        self.inner = nn.Linear(condition + 2 * points, condition)
        self.line = nn.Linear(condition, 2 * points)
        nn.init.normal_(self.line.weight, std=0.01 / math.sqrt(condition))
        nn.init.zeros_(self.line.bias)

    def forward(self, given: Tensor, stills: Tensor) -> Moved:
        """`(N, code + style)`, and landmarks of stills `(N, K, J, 2)`; it counts from the first still's."""
        given, first = given.float(), stills[:, 0]
        with torch.autocast(given.device.type, enabled=False):  # places of 8 bits would be seen
            known = torch.cat([given, first.flatten(1)], 1)
            shift: Tensor = self.line(given + functional.silu(self.inner(known)))
        return Moved(first + shift.reshape(first.shape), stills)


class Painter(nn.Module):
    """Features to a picture, and to a matte's logit, of twice their side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.paint = Up(channels, 4, gain=0.3)

    def forward(self, features: Tensor) -> Tensor:
        """`(N, C, H, W)` to `(N, 4, 2H, 2W)`; an empty canvas is grey."""
        painted: Tensor = self.paint(features)
        return torch.cat([painted[:, :3] + 0.5, painted[:, 3:]], 1)


class Collage(nn.Module):
    """The same with stills: bent, mixed, relit, and painted over."""

    def __init__(self, channels: int, stills: int) -> None:
        super().__init__()
        self.paint = Up(channels, 7, gain=0.1)
        self.place = conv3(channels, 3 * stills, gain=0.1)
        self.pick = nn.Parameter(torch.tensor(-math.log(_BENT)))

    def forward(self, features: Tensor, stills: Tensor, moved: Moved, detail: int = 1) -> Tensor:
        """`(N, C, H, W)`, `(N, 3 K, T, T)` and where to, to `(N, 4, 2H, 2W)`, or to so many times as fine a picture.

        All but the stills is smooth, so what was learnt on small pictures of them holds for large ones.
        """
        painted, placed = self.paint(features).float(), self.place(features).float()
        side, count = painted.shape[-1] * detail, moved.stills.shape[1]
        places, bent = bending(moved, placed.shape[-1])
        places = places + _REACH * placed[:, : 2 * count].reshape(places.shape)
        choice = _enlarged(placed[:, 2 * count :] - bent * self.pick.exp(), 2 * detail)
        grid = _enlarged(places.flatten(0, 1), 2 * detail).permute(0, 2, 3, 1)
        painted = _enlarged(painted, detail)
        if not self.training:
            painted = _sparing_irises(painted, moved.points)
        still = _pooled(stills, side)
        still = still.reshape(-1, 3, *still.shape[2:])
        seen = functional.grid_sample(still, grid, padding_mode="border", align_corners=False)
        mixed = _mixed(seen.reshape(-1, count, 3, side, side), choice, detail)
        color = mixed * (1 + painted[:, 4:]) + painted[:, :3]
        return torch.cat([color, painted[:, 3:4]], 1)


def _sparing_irises(painted: Tensor, points: Tensor) -> Tensor:
    """The seven planes of a painter with less of its colours on the irises, `(N, 7, S, S)`.

    What it paints there follows how light the irises are that it sees, and these are another's; a still's are right.
    """
    if points.shape[1] < IRISES.stop:
        return painted
    apart = _even(painted.shape[-1], points).flatten(0, 1)[None, :, None] - points[:, None, IRISES]
    near = torch.exp(-apart.square().sum(-1) / (2 * _IRIS**2)).amax(-1)
    kept = 1 - _SPARED * near.reshape(-1, 1, *painted.shape[2:])
    return torch.cat([painted[:, :3] * kept, painted[:, 3:4], painted[:, 4:] * kept], 1)


def reshaped(stills: Tensor, points: Tensor, wanted: Tensor) -> Tensor:
    """Stills bent so that their landmarks lie elsewhere.

    Args:
        stills: `(N, 3 K, T, T)`.
        points: `(N, K, J, 2)` where the landmarks are.
        wanted: `(N, K, J, 2)` where they shall be.
    """
    places, _ = bending(Moved(wanted.flatten(0, 1), points.flatten(0, 1)[:, None]), stills.shape[-1])
    pictures = stills.reshape(-1, 3, *stills.shape[2:])
    bent = functional.grid_sample(
        pictures, places[:, 0].permute(0, 2, 3, 1), padding_mode="border", align_corners=False
    )
    return bent.reshape(stills.shape)


def bending(moved: Moved, side: int) -> tuple[Tensor, Tensor]:
    """Where in each still the pixels of a picture are.

    Args:
        moved: The landmarks.
        side: Of the picture, in pixels.

    Returns:
        `(N, K, 2, side, side)` x and y, the still's side being -1..1; and `(N, K, side, side)` how far the landmarks
        near by were moved otherwise than by the affine map, in half sides, and about eyes in what is as much for them.
    """
    with torch.autocast(moved.points.device.type, enabled=False):  # places of 8 bits would be seen
        return _bending(Moved(moved.points.float(), moved.stills.float()), side)


def _bending(moved: Moved, side: int) -> tuple[Tensor, Tensor]:
    linear, centre = _fitted(moved)
    own = moved.points.mean(1, keepdim=True)
    straight = (moved.points - own)[:, None] @ linear + centre
    left = moved.stills - straight
    even = _even(side, moved.points).flatten(0, 1)
    apart = (even[None, :, None] - moved.points[:, None]).square().sum(-1)
    weight = (apart + _NEAR**2) ** -2
    weight = weight / weight.sum(-1, keepdim=True)
    shift = weight[:, None] @ left
    places = (even - own)[:, None] @ linear + centre + shift
    # Lids that meet move against one another, which leaves the middle of the eye where it is, and yet another picture.
    bent = (weight[:, None] @ (left.square().sum(-1, keepdim=True) + _LEAST**2).sqrt())[..., 0]
    if moved.points.shape[1] >= _LIDS.stop:
        near = torch.exp(-apart[..., _LIDS].amin(-1) / (2 * _LID**2))
        bent = bent * (1 + (_SMALL - 1) * near)[:, None]
    return places.transpose(2, 3).reshape(*bent.shape[:2], 2, side, side), bent.reshape(*bent.shape[:2], side, side)


def _fitted(moved: Moved) -> tuple[Tensor, Tensor]:
    """The affine map of row vectors about the centre of the landmarks, from picture to stills, by least squares.

    `(N, K, 2, 2)`, and `(N, K, 1, 2)` where the centre goes. Written out, as not every program that computes graphs has
    solvers.
    """
    source = moved.points - moved.points.mean(1, keepdim=True)
    centre = moved.stills.mean(2, keepdim=True)
    xx, xy, yy = (source[..., i] * source[..., j] for i, j in ((0, 0), (0, 1), (1, 1)))
    xx, xy, yy = (value.sum(1)[:, None, None, None] + _LEAST**2 * (k != 1) for k, value in enumerate((xx, xy, yy)))
    across = source.transpose(1, 2)[:, None] @ (moved.stills - centre)
    rows = torch.cat([yy * across[:, :, :1] - xy * across[:, :, 1:], xx * across[:, :, 1:] - xy * across[:, :, :1]], 2)
    return rows / (xx * yy - xy * xy), centre


def _mixed(seen: Tensor, choice: Tensor, detail: int) -> Tensor:
    """Stills `(N, K, 3, S, S)` by shares `(N, K, S, S)`, which are not yet of sum 1, to `(N, 3, S, S)`.

    What is finer than the pictures that were learnt is not averaged over stills, which would leave nothing of it: it is
    all but one still's.
    """
    share = torch.softmax(choice, 1)[:, :, None]
    if detail == 1:
        return (seen * share).sum(1)
    flat = seen.flatten(0, 1)
    coarse = _enlarged(functional.avg_pool2d(flat, detail), detail).reshape(seen.shape)
    chosen = torch.softmax(_CHOOSY * choice, 1)[:, :, None]
    return (coarse * share + (seen - coarse) * chosen).sum(1)


def _enlarged(planes: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return planes
    return functional.interpolate(planes, scale_factor=float(factor), mode="bilinear", align_corners=False)


def _pooled(pictures: Tensor, side: int) -> Tensor:
    """Averaged down towards a side, by whole steps."""
    step = pictures.shape[-1] // side
    return functional.avg_pool2d(pictures, step) if step > 1 else pictures


def _even(side: int, like: Tensor) -> Tensor:
    """`(S, S, 2)`: the places of a picture's own pixels, x and y, the side being -1..1."""
    line = (2 * torch.arange(side, dtype=like.dtype, device=like.device) + 1) / side - 1
    return torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
