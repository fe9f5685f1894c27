"""A performer: all vertices, maps and shapes of one person, ready to be posed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from vfxswap.geometry import Pose
from vfxswap.lab import hair, skin
from vfxswap.lab.expression import Expression, Shapes
from vfxswap.lab.looks import Looks
from vfxswap.lab.maths import rotation
from vfxswap.lab.occlusion import openness
from vfxswap.lab.parts import Label, Part, worn
from vfxswap.lab.sculpt import eyeballs, sculpted
from vfxswap.lab.template import Template, face_mask, grid_normals, template

NECK_PIVOT = (0.0, -8.0, -1.5)
"""The point about which the head turns."""


_AHEAD = Pose(0.0, 0.0, 0.0)
_NEUTRAL = Expression()


_DETAILS = (
    (5.0, (130, 144, 256)),
    (9.0, (160, 176, 512)),
    (16.0, (200, 220, 768)),
    (40.0, (280, 308, 1024)),
    (math.inf, (400, 440, 2048)),
)
"""Rows, columns and map size for pictures of up to so many pixels a centimetre."""


@dataclass(frozen=True, slots=True)
class Detail:
    """How fine a performer is made."""

    rows: int
    cols: int
    map_size: int

    @classmethod
    def for_scale(cls, px_per_cm: float) -> Detail:
        """Enough for a picture of that scale: a few pixels a vertex and a texel a pixel."""
        for scale, detail in _DETAILS:
            if px_per_cm < scale:
                return cls(*detail)
        return cls(*_DETAILS[-1][1])


@dataclass(frozen=True, slots=True)
class Stance:
    """Where a head is and what its face does, at one instant."""

    pose: Pose = field(default=_AHEAD)
    shift_cm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Where the body stands."""
    lean_cm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Where the head moves against the body."""
    expression: Expression = field(default=_NEUTRAL)


@dataclass(frozen=True, slots=True, eq=False)
class Performer:
    """One person's geometry, in the frame of the neutral head."""

    looks: Looks
    face: Looks
    """Whose face it wears; its own, unless made by `wearing`."""
    grid: Template
    head: Tensor
    """`(H, 3)` neutral head; the first H vertices of all."""
    parts: tuple[Part, ...]
    """The rest, in the order of the vertices; the hair's parts come last."""
    opaque: int
    """How many of `parts` are opaque; those after are hair."""
    shapes: Shapes
    eyes: tuple[Tensor, float]
    """Centres `(2, 3)` and radius of the eyeballs."""
    skin_map: Tensor
    """`(1, 4, S, S)`, see `vfxswap.lab.skin`."""
    hair_maps: tuple[Tensor, ...]
    """`(1, 2, S, S)` of each hair part, see `vfxswap.lab.hair`."""
    openness: Tensor
    """`(V,)` how much of the sky a vertex sees, 0..1."""

    @property
    def count(self) -> int:
        """Number of vertices."""
        return len(self.openness)

    def posed(self, stance: Stance) -> Tensor:
        """World positions `(V, 3)` of all vertices."""
        local = torch.cat([self.shapes.applied(self.head, stance.expression), *(part.positions for part in self.parts)])
        follow = torch.cat([torch.ones(len(self.head)), *(part.follow for part in self.parts)])[:, None]
        return local + follow * (self.to_world(local, stance) - local) + (1 - follow) * torch.tensor(stance.shift_cm)

    def to_world(self, points: Tensor, stance: Stance) -> Tensor:
        """Points `(..., 3)` that move with the head, from its own frame to the world."""
        pivot = torch.tensor(NECK_PIVOT)
        shift = torch.tensor(stance.shift_cm) + torch.tensor(stance.lean_cm)
        return (points - pivot) @ rotation(*stance.pose).T + pivot + shift

    def normals(self, positions: Tensor) -> Tensor:
        """Unit normals `(V, 3)` of posed vertices."""
        shapes = [(self.grid.rows, self.grid.cols), *((part.rows, part.cols) for part in self.parts)]
        pieces = torch.split(positions, [rows * cols for rows, cols in shapes])
        return torch.cat([grid_normals(piece, *shape) for piece, shape in zip(pieces, shapes, strict=True)])

    def wearing(self, other: Looks) -> Performer:
        """This performer with the other's face inside the face mask and nothing changed outside it."""
        worn_looks = self.looks.with_face_of(other)
        source = make_performer(worn_looks, Detail(self.grid.rows, self.grid.cols, self.skin_map.shape[-1]))
        mask = face_mask(self.grid.address)[:, None]
        place = (torch.arange(self.skin_map.shape[-1]) + 0.5) / self.skin_map.shape[-1]
        v, u = torch.meshgrid(place, place, indexing="ij")
        texels = face_mask(self.grid.at(u, v))
        inside = torch.cat([mask[:, 0], torch.zeros(self.count - len(mask))])
        mixed_openness = self.openness + inside * (_fitted(source.openness, self.count) - self.openness)
        return replace(
            self,
            face=worn_looks,
            head=self.head + mask * (source.head - self.head),
            eyes=source.eyes,
            skin_map=self.skin_map + texels * (source.skin_map - self.skin_map),
            openness=mixed_openness,
        )


def _fitted(values: Tensor, count: int) -> Tensor:
    return functional.pad(values, (0, max(count - len(values), 0)))[:count]


@cache
def make_performer(looks: Looks, detail: Detail) -> Performer:
    """Builds a performer on the CPU; the same looks and detail always give the same bits."""
    grid = template(detail.rows, detail.cols)
    head = sculpted(looks, grid)
    opaque = worn(looks)
    hairy, maps = _hair_parts(looks, grid, head, detail.map_size) if hair.has_hair(looks) else ([], [])
    parts = (*opaque, *hairy)
    return Performer(
        looks=looks,
        face=looks,
        grid=grid,
        head=head,
        parts=parts,
        opaque=len(opaque),
        shapes=Shapes.of(grid),
        eyes=eyeballs(looks),
        skin_map=skin.painted(looks, grid, detail.map_size),
        hair_maps=tuple(maps),
        openness=openness([_head_part(grid, head), *parts]),
    )


def _head_part(grid: Template, head: Tensor) -> Part:
    ones = torch.ones(len(head))
    return Part(
        "head", grid.rows, grid.cols, head, grid.uv, ones, torch.zeros(len(head), 3), ones, Label.SKIN, skin=True
    )


def _hair_parts(looks: Looks, grid: Template, head: Tensor, size: int) -> tuple[list[Part], list[Tensor]]:
    surface = hair.shell(looks, grid, head, grid_normals(head, grid.rows, grid.cols))
    parts = [_hair_part("shell", looks, (grid.rows, grid.cols), surface, grid.uv)]
    maps = [hair.shell_map(looks, grid, size)]
    if looks.hair.style == "long":
        positions, uv = hair.fall(looks)
        fall = _hair_part("fall", looks, (hair.FALL_ROWS, hair.FALL_COLS), positions, uv)
        follow = 0.6 + 0.4 * ((positions[:, 1] + 14.0) / 14.0).clamp(0, 1)
        parts.append(replace(fall, follow=follow))
        maps.append(hair.fall_map(looks, size))
    return parts, maps


def _hair_part(name: str, looks: Looks, shape: tuple[int, int], positions: Tensor, uv: Tensor) -> Part:
    count = len(positions)
    colour = torch.tensor(looks.hair.rgb).expand(count, 3)
    return Part(name, *shape, positions, uv, torch.ones(count), colour, torch.full((count,), 0.35), Label.HAIR)
