"""Small smooth functions that the performers are built from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional


def smoothstep(x: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Hermite step from 0 at `low` to 1 at `high` (either may be the larger)."""
    t = ((x - low) / (high - low)).clamp(0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def bell(x: Tensor, centre: float | Tensor, width: float | Tensor) -> Tensor:
    """`exp(-((x - centre) / width)^2)`."""
    return torch.exp(-(((x - centre) / width) ** 2))


def hill(x: Tensor, y: Tensor, centre: tuple[float, float], size: tuple[float, float]) -> Tensor:
    """A round hill of height 1 over the plane."""
    return torch.exp(-(((x - centre[0]) / size[0]) ** 2) - ((y - centre[1]) / size[1]) ** 2)


def plateau(x: Tensor, y: Tensor, centre: tuple[float, float], size: tuple[float, float]) -> Tensor:
    """A hill with a flat top."""
    return torch.exp(-((((x - centre[0]) / size[0]) ** 2 + ((y - centre[1]) / size[1]) ** 2) ** 2))


def keyed(x: Tensor, keys: Sequence[tuple[float, float]]) -> Tensor:
    """A smooth curve through `(x, y)` keys in ascending x; level before the first and after the last."""
    value = torch.full_like(x, keys[0][1])
    for (x0, y0), (x1, y1) in pairwise(keys):
        value = value + (y1 - y0) * smoothstep(x, x0, x1)
    return value


def unit(vectors: Tensor) -> Tensor:
    """Vectors `(..., 3)` at length 1."""
    length: Tensor = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors / length.clamp_min(1e-8)


def rotation(yaw: float, pitch: float, roll: float) -> Tensor:
    """`(3, 3)` float32 rotation of a head, with the signs of `vfxswap.geometry.Pose`; degrees.

    Yaw turns the nose to the image's right, pitch turns it down, roll leans the head clockwise as the image shows it.
    """
    (cy, sy), (cp, sp), (cr, sr) = (
        (math.cos(math.radians(angle)), math.sin(math.radians(angle))) for angle in (yaw, pitch, roll)
    )
    about_y = torch.tensor([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    about_x = torch.tensor([[1.0, 0.0, 0.0], [0.0, cp, -sp], [0.0, sp, cp]])
    about_z = torch.tensor([[cr, sr, 0.0], [-sr, cr, 0.0], [0.0, 0.0, 1.0]])
    return about_z @ about_y @ about_x


def fractal_noise(size: tuple[int, int], *, seed: int, cells: tuple[int, int], octaves: int = 4) -> Tensor:
    """Fractal value noise, `(height, width)` float32 on the CPU, zero mean, roughly -0.5..0.5.

    Args:
        size: Height and width of the map.
        seed: Same seed, same bits.
        cells: Cells of the coarsest octave, down and across.
        octaves: Each has half the cell and half the strength of the one before.
    """
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(1, 1, *size)
    for octave in range(octaves):
        shape = (min(size[0], cells[0] << octave), min(size[1], cells[1] << octave))
        grid = torch.rand(1, 1, *shape, generator=generator) - 0.5
        total = total + functional.interpolate(grid, size, mode="bicubic", align_corners=False) * 0.5**octave
    return total[0, 0]


def speckles(size: int, *, seed: int, density: float, radius: float) -> Tensor:
    """Round soft spots scattered over a square map, `(size, size)` float32 0..1 on the CPU.

    Args:
        size: Side of the map; density and radius are given for a side of 768 and scale with it.
        seed: Same seed, same bits.
        density: Spots a texel.
        radius: Gaussian radius of a spot in texels.
    """
    generator = torch.Generator().manual_seed(seed)
    scale = size / 768
    hits = torch.rand(size, size, generator=generator) < density / scale**2
    strength = 0.5 + 0.5 * torch.rand(size, size, generator=generator)
    reach = int(3 * radius * scale) + 1
    taps = torch.exp(-((torch.arange(-reach, reach + 1) / (radius * scale)) ** 2))
    spots = (hits * strength)[None, None]
    spots = functional.conv2d(spots, taps[None, None, :, None], padding=(reach, 0))
    return functional.conv2d(spots, taps[None, None, None], padding=(0, reach))[0, 0].clamp(0.0, 1.0)
