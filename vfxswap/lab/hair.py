"""Hair: a shell over the scalp with strands and a ragged hairline, and, worn long, a fall over neck and shoulders."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vfxswap.lab.looks import Looks
from vfxswap.lab.maths import bell, fractal_noise, keyed, smoothstep
from vfxswap.lab.sculpt import lumps
from vfxswap.lab.template import Template

COVER, TONE = 0, 1
"""Channels of a hair map: how much is covered, and the strands' brightness about 1."""


@dataclass(frozen=True, slots=True)
class _Style:
    thickness_cm: float
    edge_cm: float
    """Over how much height the hairline thins out."""
    sides: float
    """Height of the hair's edge before and behind the ear."""
    ear: float
    """The same over the ear."""
    nape: float
    strands: int
    """Strands round the head."""
    waves: int = 5
    """How often a strand changes on its way down; many are curls."""


_STYLES = {
    "bald": _Style(0.0, 1.0, 0.0, 0.0, 0.0, 200),
    "cropped": _Style(0.40, 0.7, -1.0, 1.0, -5.0, 200, 130),
    "short": _Style(0.95, 0.9, -1.4, 1.3, -5.6, 300),
    "parted": _Style(1.30, 0.8, -2.0, 0.8, -6.5, 300),
    "long": _Style(1.35, 0.6, -4.0, -3.0, -8.5, 300),
}


def hair_height(looks: Looks, address: Tensor) -> Tensor:
    """Height over the edge of the hair, cm, of addresses `(..., 3)`; negative is bare skin."""
    style, top = _STYLES[looks.hair.style], 6.9 + looks.hair.hairline_cm
    around = torch.atan2(address[..., 0].abs(), address[..., 2])
    temple = 6.6 + 1.3 * looks.hair.hairline_cm
    front = [(0.0, top), (0.5, temple), (0.95, 3.4), (1.28, style.sides)]
    edge = keyed(around, [*front, (1.46, style.ear), (1.84, style.ear - 0.4), (2.15, style.nape)])
    return address[..., 1] - edge


def has_hair(looks: Looks) -> bool:
    """Whether there is any."""
    return looks.hair.style != "bald"


def shell(looks: Looks, grid: Template, head: Tensor, normals: Tensor) -> Tensor:
    """`(V, 3)` positions of the hair's outer surface over a neutral head `(V, 3)`."""
    style, height = _STYLES[looks.hair.style], hair_height(looks, grid.address)
    thick = style.thickness_cm * smoothstep(height, -0.2, 2.2) * (1 + 0.5 * lumps(looks, grid))
    if looks.hair.style in {"parted", "long"}:
        thick = thick * _parting(grid)
    lift = torch.tensor([0.0, 0.35, 0.0]) * smoothstep(grid.address[:, 1], 5.0, 11.0)[:, None]
    return head + (normals + lift) * thick[:, None] + normals * 0.03


def _parting(grid: Template) -> Tensor:
    x, y, z = grid.address.unbind(1)
    groove = bell(x, 2.2, 0.4) * smoothstep(z, -4.0, 2.0) * smoothstep(y, 6.0, 8.5)
    return (1 - 0.65 * groove) * (1 + 0.18 * smoothstep(x, 2.2, -1.0) * smoothstep(y, 4.0, 9.0))


def shell_map(looks: Looks, grid: Template, size: int) -> Tensor:
    """`(1, 2, size, size)` cover and tone of the shell over the head's own u and v."""
    style = _STYLES[looks.hair.style]
    place = (torch.arange(size) + 0.5) / size
    v, u = torch.meshgrid(place, place, indexing="ij")
    height = hair_height(looks, grid.at(u, v))
    ragged = fractal_noise((size, size), seed=looks.seed * 31 + 8, cells=(10, style.strands), octaves=2)
    cover = smoothstep(height + 1.5 * style.edge_cm * ragged, -0.15, style.edge_cm)
    return torch.stack([cover, _strands(looks, size, (style.waves, style.strands), 9)])[None]


def _strands(looks: Looks, size: int, cells: tuple[int, int], stream: int) -> Tensor:
    waves, count = cells
    fine = fractal_noise((size, size), seed=looks.seed * 31 + stream, cells=(waves, count), octaves=2)
    locks = fractal_noise((size, size), seed=looks.seed * 31 + stream + 40, cells=(3, count // 9), octaves=2)
    grey = fractal_noise((size, size), seed=looks.seed * 31 + stream + 80, cells=(2, count), octaves=1)
    tone = (1 + 0.75 * fine + 0.4 * locks).clamp(0.25, 2.2)
    return tone * (1 + 1.2 * looks.hair.grey * smoothstep(grey, 0.0, 0.25))


FALL_ROWS, FALL_COLS = 56, 96
_FALL = (
    (4.5, 7.6, 8.8),
    (1.0, 8.35, 10.0),
    (-3.0, 8.95, 10.2),
    (-7.0, 9.35, 9.9),
    (-11.0, 9.25, 9.2),
    (-14.0, 8.5, 8.2),
)
"""y, half width and depth behind of the fall of long hair."""


def fall(looks: Looks) -> tuple[Tensor, Tensor]:
    """Positions `(V, 3)` and uv `(V, 2)` of long hair, a curtain round the back and both sides of the neck."""
    v, u = torch.meshgrid(torch.linspace(0, 1, FALL_ROWS), torch.linspace(0, 1, FALL_COLS), indexing="ij")
    keys = torch.tensor(_FALL)
    place = v * (len(keys) - 1)
    low = place.long().clamp(max=len(keys) - 2)
    part = (place - low)[..., None]
    y, width, depth = (keys[low] * (1 - part) + keys[low + 1] * part).unbind(-1)
    spread = math.radians(106) + math.radians(22) * torch.sin(math.pi * 0.5 * v)
    angle = math.pi + (2 * u - 1) * spread
    wave = fractal_noise((FALL_ROWS, FALL_COLS), seed=looks.seed * 31 + 50, cells=(5, 14), octaves=3)
    radius = 1 + 0.09 * wave * (0.2 + v) + 0.015 * torch.sin(7 * v + 40 * u)
    forward = torch.where(angle.cos() > 0, 6.5, depth)
    x = looks.skull.width * width * radius * angle.sin()
    z = forward * radius * angle.cos() - 0.6 + 0.6 * v
    return torch.stack([x, y, z], -1).reshape(-1, 3), torch.stack([u, v], -1).reshape(-1, 2)


def fall_map(looks: Looks, size: int) -> Tensor:
    """`(1, 2, size, size)` cover and tone of the fall; its lower end and front edges are ragged."""
    place = (torch.arange(size) + 0.5) / size
    v, u = torch.meshgrid(place, place, indexing="ij")
    ragged = fractal_noise((size, size), seed=looks.seed * 31 + 51, cells=(3, 200), octaves=2)
    end = smoothstep(v + 0.08 * ragged, 0.99, 0.90)
    edge = smoothstep(torch.minimum(u, 1 - u) + 0.02 * ragged, 0.0, 0.018)
    return torch.stack([end * edge, _strands(looks, size, (5, 220), 52)])[None]
