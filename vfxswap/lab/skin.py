"""The skin's maps: colour and shine, painted by address so that pores, brows and lips sit where they belong."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vfxswap.lab.colour import skin_rgb
from vfxswap.lab.looks import Looks, Rgb
from vfxswap.lab.maths import bell, fractal_noise, hill, smoothstep, speckles
from vfxswap.lab.sculpt import fold_line
from vfxswap.lab.template import EYE, MOUTH_HALF, MOUTH_Y, Template, lip_edges, lip_seam, upper_lid

ALBEDO = slice(0, 3)
GLOSS = 3
CHANNELS = 4


@dataclass(frozen=True, slots=True, eq=False)
class _Canvas:
    """Where each texel lies on the face."""

    looks: Looks
    size: int
    side: Tensor
    y: Tensor
    z: Tensor
    front: Tensor

    def hill(self, centre: tuple[float, float], size: tuple[float, float]) -> Tensor:
        return hill(self.side, self.y, centre, size) * self.front

    def noise(self, stream: int, cells: tuple[int, int], octaves: int = 3) -> Tensor:
        seed = self.looks.seed * 31 + stream
        return fractal_noise((self.size, self.size), seed=seed, cells=cells, octaves=octaves)


def painted(looks: Looks, grid: Template, size: int) -> Tensor:
    """`(1, 4, size, size)` float32 over u (across) and v (down): albedo R, G, B and gloss 0..1."""
    canvas = _canvas(looks, grid, size)
    albedo = _complexion(canvas)
    albedo = albedo * _hollows(canvas)[..., None]
    albedo, lips = _lips(canvas, albedo)
    albedo = _nostrils(canvas, albedo)
    albedo, brows = _brows(canvas, albedo)
    albedo, beard = _beard(canvas, albedo)
    shine = 0.30 + 0.30 * canvas.hill((0.0, -3.5), (1.3, 1.2)) + 0.22 * canvas.hill((0.0, 4.0), (4.0, 2.0))
    shine = shine * looks.skin.oil * (1 + 0.5 * canvas.noise(11, (200, 200), 2))
    gloss = (shine + 0.45 * lips) * (1 - brows) * (1 - 0.8 * beard)
    return torch.cat([albedo, gloss[..., None]], -1).permute(2, 0, 1)[None].contiguous()


def _canvas(looks: Looks, grid: Template, size: int) -> _Canvas:
    place = (torch.arange(size) + 0.5) / size
    v, u = torch.meshgrid(place, place, indexing="ij")
    x, y, z = grid.at(u, v).unbind(-1)
    return _Canvas(looks, size, x.abs(), y, z, smoothstep(z, 0.0, 3.0))


def _mixed(albedo: Tensor, colour: Rgb, share: Tensor) -> Tensor:
    return albedo + (torch.tensor(colour) - albedo) * share[..., None]


def _complexion(canvas: _Canvas) -> Tensor:
    """Skin tone with blush, mottling, pores, spots and freckles."""
    skin, hill_at = canvas.looks.skin, canvas.hill
    tone = torch.tensor(skin_rgb(skin.ita_degrees))
    blush = 0.9 * hill_at((4.2, -3.0), (1.7, 1.5)) + 0.8 * hill_at((0.0, -4.2), (1.2, 0.9))
    blush = blush + 0.4 * hill_at((0.0, -10.2), (1.5, 1.0)) + 0.5 * hill_at((3.2, 0.3), (1.6, 1.0))
    albedo = tone * (1 + skin.redness * blush[..., None] * torch.tensor([0.03, -0.10, -0.09]))
    albedo = albedo * (1 + 0.10 * canvas.noise(1, (12, 12))[..., None] * torch.tensor([0.6, 1.0, 1.1]))
    albedo = albedo * (1 + 0.14 * canvas.noise(2, (220, 220), 2))[..., None]
    albedo = albedo * (1 - _blemishes(canvas)[..., None] * torch.tensor([0.10, 0.26, 0.24]))
    return albedo * (1 - _freckles(canvas)[..., None] * torch.tensor([0.36, 0.48, 0.56]))


def _blemishes(canvas: _Canvas) -> Tensor:
    """Round spots of several sizes, a few of them large."""
    seed = canvas.looks.seed
    spots = speckles(canvas.size, seed=seed + 2, density=0.0008, radius=1.8)
    spots = spots + 0.8 * speckles(canvas.size, seed=seed + 3, density=0.00012, radius=4.0)
    return spots.clamp(0, 1) * canvas.looks.skin.blemishes * canvas.front


def _freckles(canvas: _Canvas) -> Tensor:
    seed = canvas.looks.seed
    dots = speckles(canvas.size, seed=seed, density=0.004, radius=1.7)
    dots = dots + speckles(canvas.size, seed=seed + 1, density=0.001, radius=2.6)
    zone = canvas.hill((3.2, -2.4), (2.6, 2.0)) + canvas.hill((0.0, -2.4), (1.6, 1.6))
    zone = zone + 0.35 * canvas.hill((0.0, 4.5), (5.0, 2.0))
    return (1.2 * dots).clamp(0, 1) * canvas.looks.skin.freckles * zone.clamp(0, 1)


def _hollows(canvas: _Canvas) -> Tensor:
    """Darkening that is finer than the mesh can shade: lid creases, folds, corners."""
    looks, y, side = canvas.looks, canvas.y, canvas.side
    x = side - EYE[0]
    dark = 0.18 * canvas.hill((1.75, 0.0), (0.55, 0.7)) + 0.16 * canvas.hill((3.1, -1.0), (1.5, 0.4))
    dark = dark + 0.22 * canvas.hill((2.03, -4.15), (0.22, 0.55))
    dark = dark + 0.25 * canvas.hill((2.75, MOUTH_Y - 0.02), (0.30, 0.30)) + 0.10 * canvas.hill((0.0, -4.9), (1.4, 0.2))
    dark = dark + 0.12 * looks.relief.fold * fold_line(side, y, 0.2) * canvas.front
    lid = upper_lid(x, opening=looks.eyes.opening, blink=0.0)
    near = smoothstep(x.abs(), 1.7, 1.2) * canvas.front
    dark = dark + 0.34 * looks.eyes.crease * bell(y, lid + 0.36, 0.085) * near
    dark = dark + looks.relief.age * _lines(canvas)
    return (1 - dark).clamp(0.15, 1.0)


def _lines(canvas: _Canvas) -> Tensor:
    """Forehead lines, crow's feet and the line under the eye."""
    side, y = canvas.side, canvas.y
    waver = 0.25 * canvas.noise(12, (6, 30), 2)
    lines = torch.zeros_like(y)
    for height in (4.1, 5.0, 5.9):
        lines = lines + 0.16 * bell(y, height - 0.035 * side**2 + waver, 0.07) * smoothstep(side, 4.2, 2.5)
    for slope in (-0.5, 0.0, 0.5):
        lines = lines + 0.16 * bell(y, 0.1 + slope * (side - 4.4) + waver, 0.05) * bell(side, 5.3, 0.5)
    lines = lines + 0.20 * bell(y, -1.0 - 0.12 * (side - 3).abs() + 0.3 * waver, 0.09) * bell(side, 2.9, 1.2)
    return lines * canvas.front


def _lips(canvas: _Canvas, albedo: Tensor) -> tuple[Tensor, Tensor]:
    mouth, side, y = canvas.looks.mouth, canvas.side, canvas.y
    upper, lower = lip_edges(side)
    inside = smoothstep(torch.minimum(upper - y, y - lower), -0.09, 0.10)
    inside = inside * smoothstep(side, MOUTH_HALF + 0.1, MOUTH_HALF - 0.15) * canvas.front
    tone = torch.tensor(skin_rgb(canvas.looks.skin.ita_degrees))
    red = tone * (1 - mouth.redness * torch.tensor([0.10, 0.52, 0.40]))
    grain = 1 + 0.14 * canvas.noise(6, (60, 300), 1)
    albedo = albedo + (red * grain[..., None] - albedo) * (0.9 * inside)[..., None]
    seam = bell(y - lip_seam(side), 0.0, 0.10) * smoothstep(side, MOUTH_HALF + 0.15, MOUTH_HALF - 0.3) * canvas.front
    return albedo * (1 - 0.62 * seam)[..., None], inside


def _nostrils(canvas: _Canvas, albedo: Tensor) -> Tensor:
    hole = smoothstep(hill(canvas.side, canvas.y, (0.74, -4.66), (0.44, 0.20)), 0.42, 0.80) * canvas.front
    return _mixed(albedo, (0.03, 0.012, 0.01), 0.92 * hole)


def _brows(canvas: _Canvas, albedo: Tensor) -> tuple[Tensor, Tensor]:
    brows, side, y = canvas.looks.brows, canvas.side, canvas.y
    line = 2.02 + (0.30 + brows.arch_cm) * bell(side, 3.7, 1.5) - 0.45 * smoothstep(side, 3.8, 5.4)
    thick = 0.34 * brows.thickness * smoothstep(side, 5.6, 3.0).clamp_min(0.15)
    cover = smoothstep(((y - line) / thick).abs(), 1.3, 0.5)
    cover = cover * smoothstep(side, 0.95, 1.7) * smoothstep(side, 5.5, 4.9) * canvas.front
    hairs = 1.0 + 0.7 * canvas.noise(7, (420, 70), 2)
    cover = (cover * brows.density * hairs).clamp(0, 0.95)
    red, green, blue = canvas.looks.hair.rgb
    return _mixed(albedo, (0.8 * red, 0.8 * green, 0.8 * blue), cover), cover


def _beard(canvas: _Canvas, albedo: Tensor) -> tuple[Tensor, Tensor]:
    """Stubble and full beard, with sideburns; both thin out on the cheeks and under the lower lip."""
    skin, side, y = canvas.looks.skin, canvas.side, canvas.y
    edge = -4.75 + 0.55 * (side - 2.4).clamp_min(0) - 1.0 * (side - 4.2).clamp(0, 1.6)
    zone = smoothstep(y - edge + 0.9 * canvas.noise(13, (40, 60), 3), 0.9, -1.2)
    sideburn = bell(canvas.z, 2.0, 1.0) * smoothstep(side, 6.0, 6.8) * smoothstep(y, 0.5, -1.0)
    zone = torch.maximum(zone * smoothstep(canvas.z, -1.4, 1.0), sideburn)
    zone = zone * (1 - 0.5 * canvas.hill((0.0, -5.4), (0.3, 0.5))) * (1 - 0.6 * canvas.hill((0.9, -8.3), (0.5, 0.5)))
    upper, lower = lip_edges(side)
    zone = zone * (1 - smoothstep(torch.minimum(upper - y, y - lower), -0.12, 0.05) * smoothstep(side, 2.7, 2.3))
    shadow = skin.stubble * zone * (0.6 + 0.9 * canvas.noise(5, (500, 700), 1))
    tone = torch.tensor(skin_rgb(skin.ita_degrees)) * torch.tensor([0.42, 0.50, 0.58])
    albedo = albedo + (tone - albedo) * shadow.clamp(0, 0.8)[..., None]
    strands, locks = canvas.noise(14, (150, 560), 2), canvas.noise(15, (30, 90), 2)
    full = (skin.beard * smoothstep(zone, 0.05, 0.75) * (1.35 + 0.9 * strands)).clamp(0, 0.97)
    grey = 1 + 1.2 * canvas.looks.hair.grey * smoothstep(canvas.noise(16, (90, 480), 1), 0.0, 0.2)
    colour = (
        torch.tensor(canvas.looks.hair.rgb) * ((0.85 + 0.9 * strands + 0.7 * locks).clamp(0.3, 2.0) * grey)[..., None]
    )
    return albedo + (colour - albedo) * full[..., None], torch.maximum(full, 0.4 * shadow.clamp(0, 1))
