"""Light at the vertices: diffuse light that scatters in skin, and shine.

Light is computed once a frame at the mesh's vertices, which lie closer than the penumbra of any of the lamps, and
interpolated by the pixels; colour comes from maps a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vfxswap.lab.light import Lamp, Lighting
from vfxswap.lab.maths import unit

_WRAP = ((0.30, 0.18, 0.12), (0.05, 0.05, 0.05))
"""How far light wraps round a surface, by channel: skin, other."""
_SCATTER_CELLS = (2.2, 1.2, 0.8)
"""Gaussian radius of the scatter in skin, in cells of a head of 260 rows (about 1.2 mm), R, G, B."""


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """Vertices that are lit together."""

    positions: Tensor
    """`(V, 3)` world."""
    normals: Tensor
    """`(V, 3)`."""
    tangents: Tensor
    """`(V, 3)` along the hair."""
    skin: Tensor
    """`(V,)` bool."""
    hair: Tensor
    """`(V,)` bool."""
    openness: Tensor
    """`(V,)` 0..1."""


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """What arrives at the vertices."""

    diffuse: Tensor
    """`(V, 3)`; times albedo is what leaves."""
    shine: Tensor
    """`(V, 3)`; times gloss."""
    key: Tensor
    """`(V,)` share of the key that is not in shadow."""


def lit(surface: Surface, lighting: Lighting, *, key: Tensor, eye: Tensor) -> Light:
    """Light at the vertices of a surface.

    Diffuse light is Lambert's with a wrap for skin; shine is two Blinn-Phong lobes under Schlick's Fresnel term for
    surfaces, and the Kajiya-Kay strand lobe for hair (J. Kajiya and T. Kay, "Rendering fur with three dimensional
    textures", 1989).

    Args:
        surface: What is lit.
        lighting: By what.
        key: `(V,)` share of the key that arrives, 0..1.
        eye: `(3,)` the camera's position.
    """
    wrap = torch.where(surface.skin[:, None], torch.tensor(_WRAP[0]), torch.tensor(_WRAP[1]))
    view = unit(eye - surface.positions)
    up = 0.5 + 0.5 * surface.normals[:, 1:2]
    sky, ground = torch.tensor(lighting.sky), torch.tensor(lighting.ground)
    diffuse = (ground + (sky - ground) * up) * surface.openness[:, None] * 1.15
    shine = torch.zeros_like(diffuse)
    for index, lamp in enumerate(lighting.lamps):
        seen = key if index == 0 else 0.25 + 0.75 * surface.openness
        falling = (surface.normals @ lamp.towards)[:, None]
        soft = ((falling + wrap) / (1 + wrap)).clamp_min(0)
        through = 1 - (1 - seen[:, None]) * (1 - 0.30 * wrap)
        diffuse = diffuse + torch.tensor(lamp.rgb) * soft * through
        shine = shine + torch.tensor(lamp.rgb) * (_shine(surface, lamp, view, falling[:, 0]) * seen)[:, None]
    return Light(diffuse * lighting.gain, shine * lighting.gain, key)


def _shine(surface: Surface, lamp: Lamp, view: Tensor, falling: Tensor) -> Tensor:
    half = unit(lamp.towards + view)
    facing = (surface.normals * half).sum(1).clamp_min(0)
    fresnel = 0.04 + 0.5 * (1 - (view * half).sum(1).clamp(0, 1)) ** 5
    plain = (2.4 * facing**18 + 3.6 * facing**60) * fresnel * smooth_side(falling)
    across = (1 - (surface.tangents * half).sum(1) ** 2).clamp_min(0).sqrt()
    strand = (0.05 * across**24 + 0.11 * across**110) * (0.35 + 0.65 * falling.clamp_min(0)) * (falling > -0.3)
    return torch.where(surface.hair, strand, plain)


def mirrored(normals: Tensor, rays: Tensor, lighting: Lighting) -> Tensor:
    """Light `(P, 3)` that clear glass sends back along rays: the room by Schlick's Fresnel term, and the lamps' glare.

    Args:
        normals: `(P, 3)` unit, of either side.
        rays: `(P, 3)` unit, from the camera.
        lighting: What is mirrored; lamps are seen as soft boxes of some 8 degrees.
    """
    along = (normals * rays).sum(1, keepdim=True)
    back = rays - 2 * along * normals
    share = 0.04 + 0.96 * (1 - along.abs()) ** 5
    up = 0.5 + 0.5 * back[:, 1:2]
    sky, ground = torch.tensor(lighting.sky), torch.tensor(lighting.ground)
    room = 1.6 * (ground + (sky - ground) * up)
    for lamp in lighting.lamps:
        glare = ((back @ lamp.towards).clamp(0, 1) ** 110)[:, None]
        room = room + torch.tensor(lamp.rgb) * 6.0 * glare
    return share * room * lighting.gain


def smooth_side(falling: Tensor) -> Tensor:
    """1 on the lit side, fading to 0 at the terminator; avoids a hard edge of the shine."""
    return (falling * 6).clamp(0, 1)


def scattered(diffuse: Tensor, rows: int, cols: int) -> Tensor:
    """Diffuse light `(rows * cols, 3)` on a head's grid, spread as skin spreads it: red farthest.

    Texture-space diffusion with one Gaussian a channel (after E. d'Eon and D. Luebke, "Advanced techniques for
    realistic real-time skin rendering", 2007).
    """
    image = diffuse.reshape(rows, cols, 3).permute(2, 0, 1)[None]
    reach = max(1, round(3 * _SCATTER_CELLS[0] * rows / 260))
    steps = torch.arange(-reach, reach + 1, dtype=torch.float32)
    taps = torch.stack([torch.exp(-0.5 * (steps / (radius * rows / 260)) ** 2) for radius in _SCATTER_CELLS])
    taps = taps / taps.sum(1, keepdim=True)
    image = functional.pad(image, (0, 0, reach, reach), mode="replicate")
    image = functional.conv2d(image, taps[:, None, :, None], groups=3)
    image = functional.pad(image, (reach, reach, 0, 0), mode="circular")
    image = functional.conv2d(image, taps[:, None, None, :], groups=3)
    return image[0].permute(1, 2, 0).reshape(-1, 3)
