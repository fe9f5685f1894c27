"""What is behind the performers: a softly lit room out of focus."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from vfxswap.lab.maths import fractal_noise, smoothstep

_MARGIN = 1.16
"""The backdrop is larger than the picture, so that the camera may move."""
_BAKED_LINES = 420
"""It is out of focus: more lines than these would hold nothing more."""


@cache
def backdrop(height: int, width: int, seed: int) -> Tensor:
    """`(3, H', W')` scene-linear on the CPU, H' and W' a margin larger than the picture."""
    lines = min(height, _BAKED_LINES)
    with torch.device("cpu"):
        small = _baked(round(lines * _MARGIN), round(lines * width / height * _MARGIN), seed)
    size = (round(height * _MARGIN), round(width * _MARGIN))
    if lines == height:
        return small
    return functional.interpolate(small[None], size, mode="bicubic", align_corners=False)[0].clamp_min(0)


def _baked(height: int, width: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = fractal_noise((height, width), seed=seed, cells=(5, 9), octaves=5)
    aspect = width / height
    down, across = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, aspect, width), indexing="ij")
    image = torch.tensor([0.050, 0.058, 0.066])[:, None, None] * (1 + 0.9 * noise) * (0.55 + 0.6 * down)
    for _ in range(22):
        x, y, radius = torch.rand(3, generator=generator).tolist()
        colour = torch.rand(3, generator=generator) * 0.20 + torch.tensor([0.10, 0.065, 0.035])
        distance = ((across - x * aspect) ** 2 + (down - y) ** 2).sqrt()
        disc = smoothstep(distance, 0.02 + 0.05 * radius, 0.012 + 0.035 * radius)
        image = image + 0.5 * colour[:, None, None] * disc
    shelf = smoothstep(((down * 4.3) % 1 - 0.5).abs(), 0.012, 0.004)
    return image * (1 - 0.45 * shelf)


def seen(room: Tensor, height: int, width: int, offset: tuple[float, float]) -> Tensor:
    """The part `(H * W, 3)` of a backdrop that a picture shows when it is shifted by `offset` pixels."""
    left = min(max((room.shape[2] - width) / 2 - 0.8 * offset[0], 0.0), room.shape[2] - width - 1.01)
    top = min(max((room.shape[1] - height) / 2 - 0.8 * offset[1], 0.0), room.shape[1] - height - 1.01)
    x, y = int(left), int(top)
    a, b = left - x, top - y
    rows = (1 - b) * room[:, y : y + height, x : x + width + 1] + b * room[:, y + 1 : y + height + 1, x : x + width + 1]
    return ((1 - a) * rows[:, :, :-1] + a * rows[:, :, 1:]).permute(1, 2, 0).reshape(-1, 3).contiguous()
