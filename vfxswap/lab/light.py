"""Light on the set: lamps, sky, and the rigs that shots name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from vfxswap.lab.looks import Rgb
from vfxswap.lab.maths import unit

RigName = Literal["studio", "window", "rim", "overcast", "street", "club"]


@dataclass(frozen=True, slots=True)
class Lamp:
    """A distant light."""

    direction: tuple[float, float, float]
    """Towards the lamp, any length."""
    rgb: Rgb
    """What a white sheet that faces it gives back."""

    @property
    def towards(self) -> Tensor:
        """`(3,)` unit."""
        return unit(torch.tensor(self.direction))


@dataclass(frozen=True, slots=True)
class Lighting:
    """All light at one instant; the first lamp is the key and alone casts shadows."""

    lamps: tuple[Lamp, ...]
    sky: Rgb
    ground: Rgb
    gain: float = 1.0
    """Factor on everything (flicker, dimming)."""

    def turned(self, degrees: float) -> Lighting:
        """The same with the key moved round the performer."""
        key = self.lamps[0]
        angle = torch.deg2rad(torch.tensor(degrees))
        x, y, z = key.direction
        cos, sin = float(angle.cos()), float(angle.sin())
        moved = replace(key, direction=(cos * x + sin * z, y, -sin * x + cos * z))
        return replace(self, lamps=(moved, *self.lamps[1:]))


RIGS: dict[RigName, Lighting] = {
    "studio": Lighting(
        (
            Lamp((-0.55, 0.55, 0.75), (0.92, 0.86, 0.78)),
            Lamp((0.85, 0.15, 0.60), (0.20, 0.23, 0.27)),
            Lamp((0.70, 0.50, -0.75), (0.50, 0.55, 0.64)),
        ),
        sky=(0.13, 0.14, 0.16),
        ground=(0.07, 0.065, 0.06),
    ),
    "window": Lighting(
        (
            Lamp((-0.95, 0.30, 0.30), (0.95, 1.00, 1.08)),
            Lamp((0.80, 0.20, 0.50), (0.10, 0.09, 0.08)),
            Lamp((-0.60, 0.60, -0.60), (0.20, 0.22, 0.26)),
        ),
        sky=(0.10, 0.11, 0.13),
        ground=(0.08, 0.07, 0.06),
    ),
    "rim": Lighting(
        (
            Lamp((0.75, 0.45, -0.45), (1.50, 1.30, 1.05)),
            Lamp((-0.50, 0.25, 0.80), (0.28, 0.33, 0.42)),
            Lamp((-0.80, 0.40, -0.55), (0.60, 0.75, 1.00)),
        ),
        sky=(0.09, 0.10, 0.13),
        ground=(0.04, 0.04, 0.045),
    ),
    "overcast": Lighting(
        (
            Lamp((-0.15, 0.65, 0.75), (0.42, 0.42, 0.42)),
            Lamp((0.60, 0.25, 0.70), (0.20, 0.20, 0.20)),
            Lamp((-0.60, 0.25, 0.70), (0.20, 0.20, 0.20)),
        ),
        sky=(0.34, 0.34, 0.34),
        ground=(0.18, 0.18, 0.18),
    ),
    "street": Lighting(
        (
            Lamp((0.55, 0.60, 0.60), (1.00, 0.66, 0.34)),
            Lamp((-0.80, 0.05, 0.60), (0.16, 0.26, 0.46)),
            Lamp((-0.60, 0.35, -0.75), (0.50, 0.42, 0.30)),
        ),
        sky=(0.05, 0.06, 0.09),
        ground=(0.05, 0.045, 0.04),
    ),
    "club": Lighting(
        (
            Lamp((-0.80, 0.30, 0.55), (0.95, 0.16, 0.50)),
            Lamp((0.85, 0.25, 0.50), (0.10, 0.30, 0.90)),
            Lamp((0.10, 0.70, -0.70), (0.40, 0.30, 0.70)),
        ),
        sky=(0.06, 0.04, 0.08),
        ground=(0.03, 0.03, 0.05),
    ),
}
"""Light rigs by name; `overcast` is the neutral one that stills are taken in."""
