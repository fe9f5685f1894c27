"""What a performer has besides face and hair: ears, neck, shirt, glasses; and things that pass in front."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import IntEnum

import torch
from torch import Tensor

from vfxswap.lab.colour import skin_rgb
from vfxswap.lab.looks import Looks, Rgb
from vfxswap.lab.maths import bell, hill, smoothstep, unit
from vfxswap.lab.sculpt import eyeballs
from vfxswap.lab.template import grid_triangles


class Label(IntEnum):
    """What a pixel shows."""

    BACKGROUND = 0
    SKIN = 1
    HAIR = 2
    EYE = 3
    MOUTH = 4
    CLOTH = 5
    GLASSES = 6
    OBJECT = 7


LENS_TINT: Rgb = (0.90, 0.92, 0.91)
"""What two coated surfaces and the glass between them let through."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A grid of vertices."""

    name: str
    rows: int
    cols: int
    positions: Tensor
    """`(V, 3)` cm, in the neutral head's frame."""
    uv: Tensor
    """`(V, 2)` 0..1 into the part's map, where it has one."""
    follow: Tensor
    """`(V,)` how far it moves with the head; 0 stays with the body."""
    colour: Tensor
    """`(V, 3)` albedo, where no map says it."""
    gloss: Tensor
    """`(V,)` 0..1."""
    label: Label
    skin: bool = False
    """Whether light scatters under its surface."""
    clear: bool = False
    """Whether it is glass: it lets light through and shows no colour but in what it mirrors."""

    @property
    def triangles(self) -> Tensor:
        """`(T, 3)` int64."""
        return grid_triangles(self.rows, self.cols)


def part(name: str, positions: Tensor, *, colour: Rgb, label: Label, follow: float = 1.0, gloss: float = 0.1) -> Part:
    """A part of one colour from a grid of positions `(rows, cols, 3)`."""
    rows, cols = positions.shape[:2]
    count = rows * cols
    v, u = torch.meshgrid(torch.linspace(0, 1, rows), torch.linspace(0, 1, cols), indexing="ij")
    return Part(
        name,
        rows,
        cols,
        positions.reshape(-1, 3),
        torch.stack([u, v], -1).reshape(-1, 2),
        torch.full((count,), follow),
        torch.tensor(colour).expand(count, 3),
        torch.full((count,), gloss),
        label,
        skin=label is Label.SKIN,
    )


def worn(looks: Looks) -> list[Part]:
    """Ears, neck, shirt and, if worn, glasses."""
    skin = skin_rgb(looks.skin.ita_degrees)
    parts = [_ear(looks, skin, side) for side in (-1, 1)] + [_neck(skin), _shirt(looks)]
    return parts + (_glasses(looks) if looks.glasses else [])


def _ear(looks: Looks, skin: Rgb, side: int) -> Part:
    """Pinna with helix, antihelix and concha; the outermost rings close behind it."""
    ring, turn = torch.meshgrid(torch.linspace(0, 1, 30), torch.linspace(0, side * 2 * math.pi, 41), indexing="ij")
    radius = (ring / 0.8).clamp_max(1.0) - 0.45 * smoothstep(ring, 0.84, 1.0)
    back, up = torch.cos(turn), torch.sin(turn)
    tall = torch.where(up > 0, 3.0, 3.1)
    wide = 1.62 + 0.26 * up - 0.10 * bell(up, -1.0, 0.5)
    along, above = -back * wide * radius, up * tall * radius
    out = _ear_relief(back * radius, up * radius, radius, up + 0.35 * back) - 1.4 * smoothstep(ring, 0.82, 1.0)
    out = (out + 0.44 * (back * wide * radius) + 0.94) * (0.4 if looks.hair.style == "long" else 1.0)  # under the hair
    lean = 0.22
    size = looks.skull.ears
    z = size * (along * math.cos(lean) - above * math.sin(lean)) - 0.9
    y = size * (above * math.cos(lean) + along * math.sin(lean)) - 1.6
    x = side * (7.05 * looks.skull.width + size * out)
    red = (skin[0] * 1.02, skin[1] * (1 - 0.12 * looks.skin.redness), skin[2] * (1 - 0.12 * looks.skin.redness))
    name = "ear_left" if side < 0 else "ear_right"
    return part(name, torch.stack([x, y, z], -1), colour=red, label=Label.SKIN, gloss=0.22)


def _ear_relief(back: Tensor, up: Tensor, radius: Tensor, rear: Tensor) -> Tensor:
    """How far the pinna stands out, cm: places run -1..1 backwards and upwards, `rear` is large on the upper rim."""
    helix = 0.40 * bell(radius, 0.92, 0.11) * smoothstep(rear, -0.75, -0.05)
    scapha = -0.14 * bell(radius, 0.74, 0.09) * smoothstep(rear, -0.2, 0.4)
    antihelix = 0.30 * bell(radius, 0.55, 0.13) * smoothstep(back, -0.15, 0.25)
    concha = -0.62 * hill(back, up, (-0.12, -0.12), (0.36, 0.40))
    crus = 0.18 * bell(up, 0.14, 0.09) * smoothstep(back, 0.1, -0.5) * smoothstep(radius, 1.0, 0.8)
    tragus = 0.42 * hill(back, up, (-0.70, -0.20), (0.20, 0.20))
    antitragus = 0.24 * hill(back, up, (0.05, -0.58), (0.22, 0.14))
    lobe = 0.20 * hill(back, up, (-0.05, -0.85), (0.40, 0.22))
    return helix + scapha + antihelix + concha + crus + tragus + antitragus + lobe


def _rings(keys: tuple[tuple[float, float, float, float], ...], rows: int, cols: int) -> Tensor:
    """Elliptic rings through keys of y, half width, half depth and centre z; `(rows, cols, 3)`."""
    table = torch.tensor(keys)
    place = torch.linspace(0, len(keys) - 1, rows)
    low = place.long().clamp(max=len(keys) - 2)
    share = place - low
    share = (0.5 * share + 0.5 * share * share * (3 - 2 * share))[:, None]
    y, width, depth, centre = (table[low] * (1 - share) + table[low + 1] * share).unbind(1)
    turn = torch.linspace(-math.pi, math.pi, cols)
    x, z = width[:, None] * turn.sin(), centre[:, None] + depth[:, None] * turn.cos()
    return torch.stack([x, y[:, None].expand(rows, cols), z], -1)


def _neck(skin: Rgb) -> Part:
    keys = (
        (-4.0, 5.3, 5.2, -0.8),
        (-8.0, 5.5, 5.5, -1.4),
        (-12.0, 5.5, 5.6, -2.0),
        (-16.0, 6.0, 5.8, -2.6),
        (-19.0, 8.5, 6.6, -3.0),
        (-24.0, 11.0, 7.0, -3.0),
    )
    grid = _rings(keys, 48, 81)
    x, y, z = grid.unbind(-1)
    tendon = bell(x.abs(), 1.2 + 0.36 * (-y - 8.0).clamp_min(0) * 0.35, 0.7) * smoothstep(z, 1.0, 3.0)
    larynx = bell(x, 0.0, 0.9) * bell(y, -14.0, 1.4)
    grid = torch.stack([x, y, z + (0.28 * tendon * smoothstep(y, -10.0, -15.0) + 0.35 * larynx) * (z > 0)], -1)
    neck = part("neck", grid, colour=skin, label=Label.SKIN, gloss=0.18)
    follow = smoothstep(neck.positions[:, 1], -17.0, -6.0)
    return replace(neck, follow=follow)


def _shirt(looks: Looks) -> Part:
    keys = (
        (-16.4, 6.5, 6.2, -2.6),
        (-17.4, 7.3, 7.0, -2.8),
        (-18.2, 10.5, 7.9, -3.0),
        (-20.0, 16.5, 9.2, -3.2),
        (-24.5, 21.0, 10.5, -3.0),
        (-50.0, 20.5, 12.0, -3.0),
    )
    grid = _rings(keys, 48, 97)
    wrinkle = 0.25 * torch.sin(grid[..., 0] * 0.7 + grid[..., 1] * 0.5) * smoothstep(grid[..., 1], -19.0, -24.0)
    grid = torch.stack([grid[..., 0], grid[..., 1], grid[..., 2] + wrinkle], -1)
    return part("shirt", grid, colour=looks.shirt, label=Label.CLOTH, follow=0.0, gloss=0.04)


def tube(path: Tensor, radius: Tensor | float, *, sides: int = 10) -> Tensor:
    """A tube `(K, sides + 1, 3)` along points `(K, 3)`; the radius may differ along it."""
    ahead = torch.cat([path[1:2] - path[:1], path[2:] - path[:-2], path[-1:] - path[-2:-1]])
    along = unit(ahead)
    helper = torch.tensor([0.0, 0.0, 1.0]) if float(along[:, 2].abs().max()) < 0.9 else torch.tensor([0.0, 1.0, 0.0])
    first = unit(torch.linalg.cross(helper.expand_as(along), along))
    second = torch.linalg.cross(along, first)
    turn = torch.linspace(0, 2 * math.pi, sides + 1)[None, :, None]
    width = radius[:, None, None] if isinstance(radius, Tensor) else radius
    ring: Tensor = first[:, None] * turn.cos() - second[:, None] * turn.sin()
    return path[:, None] + ring * width


def _glasses(looks: Looks) -> list[Part]:
    """Round-cornered frames that sit on the nose, with arms back to the ears."""
    eyes, _ = eyeballs(looks)
    half = float(eyes[1, 0])
    turn = torch.linspace(0, 2 * math.pi, 49)
    cos, sin = torch.cos(turn), torch.sin(turn)
    x = 2.55 * cos.sign() * cos.abs() ** 0.7
    y = 1.95 * sin.sign() * sin.abs() ** 0.7 - 0.25
    depth = 9.15 - 0.030 * (x + half) ** 2
    frames = [torch.stack([side * (half + 0.1 + x), y, depth], 1) for side in (-1.0, 1.0)]
    step = torch.linspace(-1, 1, 13)
    bridge = torch.stack([step * (half - 2.4), 0.35 - 0.25 * step**2, 9.25 - 0.2 * step**2], 1)
    arms = []
    for side in (-1.0, 1.0):
        back = torch.linspace(0, 1, 25)
        reach = side * (half + 2.6 + back.clamp_max(0.25) * (7.5 * looks.skull.width - half - 2.6) * 4)
        arms.append(torch.stack([reach, 0.3 + 0.9 * back**2, 8.1 - 9.2 * back], 1))
    shapes = zip(("rim_left", "rim_right", "bridge", "arm_left", "arm_right"), [*frames, bridge, *arms], strict=True)
    solid = [
        part(name, tube(path, 0.17), colour=(0.02, 0.018, 0.016), label=Label.GLASSES, gloss=0.7)
        for name, path in shapes
    ]
    return solid + [_lens(name, rim) for name, rim in zip(("lens_left", "lens_right"), frames, strict=True)]


def _lens(name: str, rim: Tensor) -> Part:
    """A clear shell inside a rim `(K, 3)`, bulging forwards as spectacles do."""
    middle = rim[:-1].mean(0)
    share = torch.linspace(1.0, 0.02, 12)[:, None, None]
    grid = middle + (rim - middle) * share
    grid = grid + torch.tensor([0.0, 0.0, 0.28]) * (1 - share**2)
    return replace(part(name, grid, colour=LENS_TINT, label=Label.GLASSES, gloss=1.0), clear=True)


def microphone() -> list[Part]:
    """A hand microphone about the origin, its head up; it hides what it passes in front of."""
    place = torch.linspace(0, 1, 40)
    head = torch.stack([0 * place, 2.6 * torch.cos(math.pi * place), 0 * place], 1)
    ball = (2.6 * torch.sin(math.pi * place)).clamp_min(0.02)
    handle = torch.stack([0 * place, -2.0 - 17.0 * place, 0 * place], 1)
    taper = 1.75 - 0.6 * place
    return [
        part("microphone_head", tube(head, ball, sides=28), colour=(0.10, 0.10, 0.11), label=Label.OBJECT, gloss=0.5),
        part("microphone", tube(handle, taper, sides=28), colour=(0.03, 0.03, 0.032), label=Label.OBJECT, gloss=0.6),
    ]
