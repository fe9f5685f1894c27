"""Performers and things together: one list of vertices and triangles that the renderer draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from vfxswap.lab.maths import unit
from vfxswap.lab.parts import Label, Part
from vfxswap.lab.performer import Performer, Stance
from vfxswap.lab.shade import Surface
from vfxswap.lab.template import face_mask, grid_normals

COLOUR, GLOSS, UV, ADDRESS, FACE = slice(0, 3), 3, slice(4, 6), slice(6, 8), 8
"""Columns of `Scene.fixed`."""
MAP_CM = 27.0
"""About how much skin a head's map holds across the face."""
_SMALLEST_MAP = 64


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What does not change over a shot."""

    performers: tuple[Performer, ...]
    things: tuple[Part, ...]
    """Objects that follow no performer; moved as one."""
    fixed: Tensor
    """`(V, 9)` albedo, gloss, map u and v, address x and y, face mask."""
    solid: Tensor
    """`(T, 3)` triangles that hide what is behind."""
    solid_label: Tensor
    """`(T,)` uint8."""
    solid_head: Tensor
    """`(T,)` int64 number of the performer whose head it is, else -1."""
    clear: Tensor
    """`(G, 3)` triangles of glass."""
    hair: Tensor
    """`(T', 3)` triangles of hair."""
    hair_map: Tensor
    """`(T',)` int64 number of the map, counted over all performers."""
    hair_sheet: Tensor
    """`(T',)` bool whether it is seen from both sides."""
    casters: Tensor
    """`(T'', 3)` triangles that cast shadows."""
    skin: Tensor
    """`(V,)` bool."""
    is_hair: Tensor
    """`(V,)` bool."""
    openness: Tensor
    """`(V,)`."""
    skin_maps: tuple[tuple[Tensor, ...], ...]
    """Of each performer the levels of its skin map, each half as large as the one before."""
    hair_maps: tuple[tuple[Tensor, ...], ...]
    """Of each hair part the levels of its map, counted as `hair_map` does."""

    def positions(self, stances: Sequence[Stance], things_at: tuple[float, float, float]) -> Tensor:
        """World positions `(V, 3)` at one instant."""
        posed = [performer.posed(stance) for performer, stance in zip(self.performers, stances, strict=True)]
        return torch.cat([*posed, *(item.positions + torch.tensor(things_at) for item in self.things)])

    def surface(self, positions: Tensor) -> Surface:
        """The vertices with their normals, ready to be lit."""
        counts = [performer.count for performer in self.performers] + [len(item.positions) for item in self.things]
        pieces = torch.split(positions, counts)
        normals = [performer.normals(piece) for performer, piece in zip(self.performers, pieces, strict=False)]
        for item, piece in zip(self.things, pieces[len(self.performers) :], strict=True):
            normals.append(grid_normals(piece, item.rows, item.cols))
        every = torch.cat(normals)
        down = torch.tensor([0.0, -1.0, 0.0]).expand_as(every)
        tangents = unit(down - every * (down * every).sum(1, keepdim=True))
        return Surface(positions, every, tangents, self.skin, self.is_hair, self.openness)

    @property
    def heads(self) -> list[tuple[int, int, int]]:
        """First vertex, rows and columns of each performer's head."""
        found, start = [], 0
        for performer in self.performers:
            found.append((start, performer.grid.rows, performer.grid.cols))
            start += performer.count
        return found


@dataclass(slots=True)
class _Lists:
    fixed: list[Tensor]
    solid: list[Tensor]
    solid_label: list[Tensor]
    solid_head: list[Tensor]
    clear: list[Tensor]
    hair: list[Tensor]
    hair_map: list[Tensor]
    hair_sheet: list[Tensor]
    skin: list[Tensor]
    vertices: int = 0
    maps: int = 0


def make_scene(performers: Sequence[Performer], things: Sequence[Part], *, swapped: Sequence[bool]) -> Scene:
    """Puts performers and things together.

    Args:
        performers: Who is seen.
        things: What else is seen.
        swapped: For each performer, whether its face belongs in the face matte.
    """
    lists = _Lists([], [], [], [], [], [], [], [], [])
    for number, performer in enumerate(performers):
        _add_head(lists, performer, number, swapped[number])
        for item in performer.parts[: performer.opaque]:
            _add_solid(lists, item)
        for item in performer.parts[performer.opaque :]:
            _add_hair(lists, item, performer)
    for item in things:
        _add_solid(lists, item)
    openness = [performer.openness for performer in performers] + [torch.ones(len(item.positions)) for item in things]
    clear, hair = (torch.cat([torch.zeros(0, 3, dtype=torch.int64), *kind]) for kind in (lists.clear, lists.hair))
    skin = torch.cat(lists.skin)
    is_hair = torch.zeros(lists.vertices, dtype=torch.bool)
    is_hair[hair.reshape(-1)] = True
    solid = torch.cat(lists.solid)
    return Scene(
        tuple(performers),
        tuple(things),
        torch.cat(lists.fixed),
        solid,
        torch.cat(lists.solid_label),
        torch.cat(lists.solid_head),
        clear,
        hair,
        torch.cat(lists.hair_map) if lists.hair_map else torch.zeros(0, dtype=torch.int64),
        torch.cat(lists.hair_sheet) if lists.hair_sheet else torch.zeros(0, dtype=torch.bool),
        torch.cat([solid, hair]),
        skin,
        is_hair,
        torch.cat(openness),
        tuple(_levels(performer.skin_map) for performer in performers),
        tuple(_levels(item) for performer in performers for item in performer.hair_maps),
    )


def _levels(image: Tensor) -> tuple[Tensor, ...]:
    levels = [image]
    while levels[-1].shape[-1] >= 2 * _SMALLEST_MAP:
        levels.append(avg_pool2d(levels[-1], 2))
    return tuple(levels)


def _add_head(lists: _Lists, performer: Performer, number: int, swapped: bool) -> None:
    grid = performer.grid
    count = len(grid.uv)
    mask = face_mask(grid.address) if swapped else torch.zeros(count)
    fixed = torch.cat([torch.zeros(count, 4), grid.uv, grid.address[:, :2], mask[:, None]], 1)
    _add_triangles(lists, grid.triangles, Label.SKIN, number)
    _add_vertices(lists, fixed, torch.ones(count, dtype=torch.bool))


def _add_solid(lists: _Lists, item: Part) -> None:
    """Adds a part that is no hair; glass is drawn after what it lets through."""
    if item.clear:
        lists.clear.append(item.triangles + lists.vertices)
    else:
        _add_triangles(lists, item.triangles, item.label, -1)
    _add_part(lists, item)


def _add_hair(lists: _Lists, item: Part, performer: Performer) -> None:
    """Adds a hair part, without the triangles that its map leaves bare."""
    triangles = item.triangles
    cover = performer.hair_maps[[part.name for part in performer.parts[performer.opaque :]].index(item.name)][0, 0]
    size = cover.shape[-1]
    texel = (item.uv * size).long().clamp(0, size - 1)
    bare = max_pool2d(cover[None, None], 9, 1, 4)[0, 0][texel[:, 1], texel[:, 0]] < 0.02
    triangles = triangles[~bare[triangles].all(1)]
    lists.hair.append(triangles + lists.vertices)
    lists.hair_map.append(torch.full((len(triangles),), lists.maps))
    lists.hair_sheet.append(torch.full((len(triangles),), item.name == "fall"))
    lists.maps += 1
    _add_part(lists, item)


def _add_part(lists: _Lists, item: Part) -> None:
    count = len(item.positions)
    fixed = torch.cat([item.colour, item.gloss[:, None], item.uv, torch.zeros(count, 3)], 1)
    _add_vertices(lists, fixed, torch.full((count,), item.skin))


def _add_triangles(lists: _Lists, triangles: Tensor, label: Label, head: int) -> None:
    lists.solid.append(triangles + lists.vertices)
    lists.solid_label.append(torch.full((len(triangles),), int(label), dtype=torch.uint8))
    lists.solid_head.append(torch.full((len(triangles),), head))


def _add_vertices(lists: _Lists, fixed: Tensor, skin: Tensor) -> None:
    lists.fixed.append(fixed)
    lists.skin.append(skin)
    lists.vertices += len(fixed)
