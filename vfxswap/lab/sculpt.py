"""The neutral face: relief over the template, and the warps that make one performer's shape.

The average relief was fitted by least squares to mean proportions of adult faces and then smoothed by hand; nothing
in it is a particular person. Amounts are centimetres along z, places are template addresses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vfxswap.lab.looks import Looks
from vfxswap.lab.maths import bell, fractal_noise, hill, plateau, smoothstep
from vfxswap.lab.template import (
    EYE,
    EYE_RADIUS,
    MOUTH_HALF,
    MOUTH_Y,
    Template,
    lip_seam,
    lower_lid,
    upper_lid,
)

_Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Hill:
    amount: float
    centre: _Place
    size: _Place


_BONES = {
    "brow": (_Hill(0.32, (2.7, 1.9), (2.2, 0.75)), _Hill(0.2, (0.0, 1.6), (1.1, 0.9))),
    "cheekbone": (_Hill(0.22, (4.5, -2.5), (1.9, 1.25)),),
    "hollow": (_Hill(-0.35, (4.7, -6.4), (1.6, 1.9)),),
    "chin": (_Hill(0.42, (0.0, -10.7), (1.6, 1.0)),),
}
"""Relief that a performer has more or less of."""
_COMMON = (
    _Hill(-0.48, (3.45, -0.10), (2.1, 1.25)),  # eye sockets
    _Hill(-0.80, (1.65, 0.1), (0.9, 1.15)),
    _Hill(-0.22, (2.7, -1.7), (1.4, 0.8)),  # under the eyes
    _Hill(0.50, (0.0, -6.8), (2.6, 1.8)),  # muzzle
    _Hill(-0.32, (0.0, -8.75), (1.8, 0.55)),  # over the chin
    _Hill(-0.30, (6.3, 2.1), (1.0, 2.1)),  # temples
    _Hill(-0.24, (2.75, -6.95), (0.45, 0.5)),  # corners of the mouth
    _Hill(-0.14, (0.0, -5.4), (0.32, 0.55)),  # philtrum
)
_NOSE = (
    _Hill(-0.28, (0.0, 0.4), (1.1, 0.65)),
    _Hill(1.25, (0.0, -0.9), (0.95, 1.35)),
    _Hill(1.85, (0.0, -2.5), (1.15, 1.25)),
)
_NOSE_TIP = (_Hill(1.25, (0.0, -3.65), (0.95, 0.85)), _Hill(0.75, (0.0, -3.8), (1.5, 1.1)))
_ALAE = (_Hill(0.98, (1.38, -4.12), (0.52, 0.50)),)


def sculpted(looks: Looks, grid: Template) -> Tensor:
    """`(V, 3)` neutral positions of a performer's head, without hair."""
    x, y, z = grid.address.unbind(1)
    side = x.abs()
    relief = _bones(looks, side, y) + _nose(looks, side, y) + _lips(looks, side, y) + _lines(looks, side, y)
    depth = z + relief * grid.front
    depth = _over_eyeballs(looks, side, y, depth, grid.front)
    return warped(looks, torch.stack([x, y, depth], 1), grid.address)


def warped(looks: Looks, points: Tensor, address: Tensor) -> Tensor:
    """Points moved as the performer's proportions want it; `(..., 3)` positions and their addresses."""
    x, y, z = points.unbind(-1)
    home_x, home_y, home_z = address.unbind(-1)
    side, sign, front = home_x.abs(), home_x.sign(), smoothstep(home_z, 0.0, 3.0)
    x, y = _eye_placement(looks, x, y, sign, plateau(side, home_y, EYE[:2], (3.0, 2.2)) * front)
    x = x * (1 + looks.nose.width * hill(side, home_y, (0.0, -4.0), (2.4, 1.9)) * front)
    y = y - looks.nose.length_cm * hill(side, home_y, (0.0, -4.0), (2.6, 2.0)) * front
    x = x * (1 + looks.mouth.width * hill(side, home_y, (0.0, MOUTH_Y), (3.6, 1.7)) * front)
    y = y + looks.brows.height_cm * hill(side, home_y, (2.9, 2.4), (2.6, 1.0)) * front
    y = torch.where(y < -2, -2 + (y + 2) * (1 + looks.skull.length), y)
    y = torch.where(y > 3, 3 + (y - 3) * looks.skull.height, y)
    jaw = 1 + looks.skull.jaw * smoothstep(home_y, -2.0, -9.0)
    return torch.stack([x * looks.skull.width * jaw, y, z], -1)


def eyeballs(looks: Looks) -> tuple[Tensor, float]:
    """Centres `(2, 3)` (image left, right) and radius of the eyeballs."""
    centre = torch.tensor([[-EYE[0], EYE[1], EYE[2]], list(EYE)])
    address = centre * torch.tensor([1.0, 1.0, 0.0]) + torch.tensor([0.0, 0.0, 8.0])
    return warped(looks, centre, address), EYE_RADIUS * (1 + looks.eyes.size) * min(1.0, looks.skull.width)


def _hills(hills: tuple[_Hill, ...], side: Tensor, y: Tensor) -> Tensor:
    return torch.stack([item.amount * hill(side, y, item.centre, item.size) for item in hills]).sum(0)


def _bones(looks: Looks, side: Tensor, y: Tensor) -> Tensor:
    relief = _hills(_COMMON, side, y)
    for name, hills in _BONES.items():
        relief = relief + float(getattr(looks.relief, name)) * _hills(hills, side, y)
    return relief


def _nose(looks: Looks, side: Tensor, y: Tensor) -> Tensor:
    nose = looks.nose
    under = smoothstep(y - 0.12 * side, -5.05, -4.15)  # the base, cut off below
    relief = nose.height * _hills(_NOSE, side, y) + nose.height * nose.tip * _hills(_NOSE_TIP, side, y) * under
    wing = smoothstep(y, -4.90, -4.35)
    relief = relief + _hills(_ALAE, side, y) * wing
    relief = relief - 0.50 * hill(side, y, (0.72, -4.60), (0.36, 0.20))  # nostrils
    relief = relief - 0.22 * hill(side, y, (2.02, -4.05), (0.26, 0.50))  # crease round the wing
    return relief + nose.hump_cm * hill(side, y, (0.0, -1.5), (0.8, 0.9))


def _lips(looks: Looks, side: Tensor, y: Tensor) -> Tensor:
    within = smoothstep(side, MOUTH_HALF + 0.35, MOUTH_HALF - 0.9)
    upper = 0.34 * bell(y, MOUTH_Y + 0.40, 0.36) * (1 + 0.15 * bell(side, 0.0, 0.35))
    lower = 0.46 * bell(y, MOUTH_Y - 0.50, 0.42) * smoothstep(side, 2.5, 0.6)
    seam = bell(y - lip_seam(side), 0.0, 0.17)
    return within * (looks.mouth.fullness * (upper + lower) - (0.35 + 0.25 * looks.mouth.fullness) * seam)


def fold_line(side: Tensor, y: Tensor, width: float) -> Tensor:
    """The fold from the wing of the nose to beside the mouth, 0..1."""
    along = 2.05 + 0.36 * (-4.3 - y)
    return bell(side, along, width) * smoothstep(y, -7.5, -6.6) * smoothstep(y, -3.9, -4.8)


def _lines(looks: Looks, side: Tensor, y: Tensor) -> Tensor:
    age, fold = looks.relief.age, looks.relief.fold
    relief = -0.14 * fold * fold_line(side, y, 0.22) + 0.10 * fold * fold_line(side - 0.45, y, 0.4)
    brow = 1.0 - 0.035 * side**2
    for height in (4.1, 5.0, 5.9):
        relief = relief - 0.05 * age * bell(y, height * brow, 0.12) * smoothstep(side, 4.2, 2.5)
    relief = relief - 0.12 * age * bell(y, -1.35 - 0.12 * (side - 3).abs(), 0.22) * bell(side, 2.9, 1.3)
    return relief - 0.06 * age * hill(side, y, (0.55, 1.5), (0.12, 0.7))


def _over_eyeballs(looks: Looks, side: Tensor, y: Tensor, depth: Tensor, front: Tensor) -> Tensor:
    """Lids ride on the eyeball: the surface is pushed out to a sphere a lid's thickness larger."""
    x = side - EYE[0]
    radius = EYE_RADIUS + 0.06
    sphere = EYE[2] + (radius**2 - (x * 0.86) ** 2 - (y * 0.95) ** 2).clamp_min(0).sqrt()
    inside = smoothstep(((x / 1.30) ** 2 + (y / 1.0) ** 2).sqrt(), 1.75, 0.80) * front
    soft = 0.16
    depth = depth + inside * (soft * functional.softplus((sphere - depth) / soft))
    lid = upper_lid(x, opening=looks.eyes.opening, blink=0.0)
    near = smoothstep(x.abs(), 1.6, 1.1) * front
    rim = bell(y, lid + 0.10, 0.10) * 0.06 + bell(y, lower_lid(x, opening=looks.eyes.opening) - 0.10, 0.10) * 0.05
    crease = looks.eyes.crease * 0.07 * bell(y, lid + 0.36, 0.09)
    return depth + near * (rim - crease)


def _eye_placement(looks: Looks, x: Tensor, y: Tensor, sign: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
    """Size, tilt and spacing of the eyes, fading with `near` (0..1)."""
    local_x, local_y = x - sign * EYE[0], y
    size, tilt = 1 + looks.eyes.size * near, math.radians(looks.eyes.tilt_degrees) * near
    cos, sin = torch.cos(tilt), torch.sin(tilt)
    turned_x = size * (cos * local_x - sign * sin * local_y)
    turned_y = size * (sign * sin * local_x + cos * local_y)
    moved_x = sign * (EYE[0] + looks.eyes.spacing_cm * near) + turned_x
    return torch.where(sign == 0, x, moved_x), turned_y


def lumps(looks: Looks, grid: Template) -> Tensor:
    """`(V,)` irregularity of the hair's volume, roughly -0.5..0.5."""
    return fractal_noise((grid.rows, grid.cols), seed=looks.seed, cells=(10, 24), octaves=3).reshape(-1)
