"""The head that every performer shares: its grid of vertices and the address of every spot of skin.

A vertex keeps its *address*: where it lies on the unsculpted template. Features, colours and landmarks are placed by
address, so that they correspond between performers whatever their faces look like. The front of the head is a height
field over the address's x and y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from vfxswap.lab.maths import bell, smoothstep, unit

EYE = (3.15, 0.0, 6.12)
"""Centre of the image-right eyeball; the other is its mirror."""
EYE_RADIUS = 1.22
MOUTH_Y = -6.87
"""Height of the line between the lips."""
MOUTH_HALF = 2.48
"""Half the width of the mouth."""
FRONT_Z = 1.5
"""Addresses in front of this are the height field."""

# y, half width, front z, back (-z), centre z, exponent of the superellipse
_SECTIONS = (
    (11.90, 0.00, 0.00, 0.00, -1.0, 2.2),
    (11.60, 2.90, 2.20, 3.60, -1.0, 2.2),
    (10.60, 4.95, 4.90, 6.20, -0.8, 2.2),
    (8.60, 6.40, 6.75, 8.40, -0.4, 2.2),
    (6.20, 7.15, 7.65, 9.40, 0.0, 2.2),
    (3.50, 7.50, 8.12, 9.80, 0.0, 2.2),
    (1.00, 7.50, 8.12, 9.60, 0.0, 2.2),
    (-1.50, 7.40, 7.92, 9.00, 0.2, 2.15),
    (-4.00, 7.00, 7.98, 7.60, 0.5, 2.1),
    (-6.50, 6.30, 8.02, 5.40, 1.1, 2.0),
    (-8.50, 5.50, 7.90, 3.00, 1.9, 1.95),
    (-10.30, 4.35, 7.75, 0.60, 2.8, 2.0),
    (-11.50, 3.05, 7.25, -1.20, 3.7, 2.1),
    (-12.20, 1.60, 6.20, -3.00, 4.4, 2.2),
    (-12.40, 0.00, 4.60, -4.60, 4.6, 2.2),
)
_FINE = 4001
_TABLE = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A grid over the head, `rows` from crown to chin and `cols` round from the back over the front."""

    rows: int
    cols: int
    table: Tensor
    """`(2048, 6)` sections at equal steps of v."""
    uv: Tensor
    """`(V, 2)` grid coordinates 0..1; u = 0.5 is the middle of the face, v = 0 the crown."""
    address: Tensor
    """`(V, 3)` the unsculpted positions."""
    triangles: Tensor
    """`(T, 3)` int64, counter-clockwise from outside."""

    @property
    def front(self) -> Tensor:
        """`(V,)` 0 behind, 1 where the head is a height field."""
        return smoothstep(self.address[:, 2], 0.0, 3.0)

    def at(self, u: Tensor, v: Tensor) -> Tensor:
        """Addresses `(..., 3)` of grid coordinates."""
        place = v * (_TABLE - 1)
        low = place.long().clamp(0, _TABLE - 2)
        part = (place - low)[..., None]
        sections = self.table[low] * (1 - part) + self.table[low + 1] * part
        y, width, front, back, centre, power = sections.unbind(-1)
        angle = 2 * math.pi * (u - 0.5)
        angle = angle - 0.55 * torch.sin(angle)  # half of the columns lie on the face
        depth = torch.where(angle.abs() < math.pi / 2, front - centre, back + centre).clamp_min(1e-3)
        across, along = angle.sin().abs() / width.clamp_min(1e-3), angle.cos().abs() / depth
        radius = (across**power + along**power) ** (-1 / power)
        return torch.stack([radius * angle.sin(), y, centre + radius * angle.cos()], -1)

    def across(self, points: Tensor) -> Tensor:
        """U `(K,)` of frontal addresses, `(K, 2)` x and y."""
        row, down = self._row(points[:, 1])
        half = self.cols // 6  # the columns between cheek and cheek
        table = self.address[:, 0].reshape(self.rows, self.cols)[:, half : self.cols - half]
        x = table[row] * (1 - down[:, None]) + table[row + 1] * down[:, None]
        col = torch.searchsorted(x.contiguous(), points[:, :1].contiguous())[:, 0].clamp(1, x.shape[1] - 1) - 1
        left, right = x.gather(1, col[:, None])[:, 0], x.gather(1, col[:, None] + 1)[:, 0]
        part = ((points[:, 0] - left) / (right - left)).clamp(0, 1)
        return (half + col + part) / (self.cols - 1)

    def locate(self, u: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Vertex numbers and bilinear weights, `(K, 4)` each, of the spots at u and height y (cm), `(K,)` each."""
        row, down = self._row(y)
        place = u * (self.cols - 1)
        col = place.long().clamp(0, self.cols - 2)
        part = place - col
        corner = row * self.cols + col
        numbers = torch.stack([corner, corner + 1, corner + self.cols, corner + self.cols + 1], 1)
        return numbers, torch.stack([(1 - down) * (1 - part), (1 - down) * part, down * (1 - part), down * part], 1)

    def _row(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The row above each height and how far below it the height lies, 0..1."""
        heights = self.address[:: self.cols, 1].contiguous()
        row = torch.searchsorted(-heights, -y.contiguous()).clamp(1, self.rows - 1) - 1
        return row, ((heights[row] - y) / (heights[row] - heights[row + 1])).clamp(0, 1)


@cache
def template(rows: int, cols: int) -> Template:
    """The head's grid with that many vertices, on the CPU."""
    table = _section_table()
    v, u = torch.meshgrid(torch.linspace(0, 1, rows), torch.linspace(0, 1, cols), indexing="ij")
    grid = Template(rows, cols, table, torch.stack([u, v], -1).reshape(-1, 2), torch.empty(0), torch.empty(0))
    address = grid.at(grid.uv[:, 0], grid.uv[:, 1])
    return Template(rows, cols, table, grid.uv, address, grid_triangles(rows, cols))


def _section_table() -> Tensor:
    """Sections at equal steps of v, which runs slower where the face needs rows: eyes, nose and above all the lips."""
    keys = torch.tensor(_SECTIONS)
    place = torch.linspace(0, len(keys) - 1, _FINE)
    low = place.long().clamp(max=len(keys) - 2)
    fine = _catmull_rom(keys, low, (place - low)[:, None])
    fine[:, 0] = torch.cummin(fine[:, 0], 0).values - torch.linspace(0, 1e-3, _FINE)
    length = (fine[1:, :3] - fine[:-1, :3]).norm(dim=1)
    y = (fine[1:, 0] + fine[:-1, 0]) / 2
    density = 1 + 1.4 * smoothstep(y, -10.5, -8.5) * smoothstep(y, 3.5, 2.0) + 5 * bell(y, MOUTH_Y, 0.35)
    travelled = torch.cat([torch.zeros(1), (length * density).double().cumsum(0).float()])
    wanted = torch.linspace(0, 1, _TABLE) * travelled[-1]
    after = torch.searchsorted(travelled, wanted).clamp(1, _FINE - 1)
    part = ((wanted - travelled[after - 1]) / (travelled[after] - travelled[after - 1]).clamp_min(1e-9))[:, None]
    return fine[after - 1] * (1 - part) + fine[after] * part


def _catmull_rom(keys: Tensor, low: Tensor, part: Tensor) -> Tensor:
    """Catmull-Rom spline through keys (E. Catmull and R. Rom, "A class of local interpolating splines", 1974)."""
    before, start, end, after = (keys[(low + step).clamp(0, len(keys) - 1)] for step in (-1, 0, 1, 2))
    return 0.5 * (
        2 * start
        + (end - before) * part
        + (2 * before - 5 * start + 4 * end - after) * part**2
        + (3 * start - before - 3 * end + after) * part**3
    )


def grid_triangles(rows: int, cols: int) -> Tensor:
    """Two triangles for each cell of a grid, `(2 (rows - 1) (cols - 1), 3)` int64."""
    corner = torch.arange((rows - 1) * cols).reshape(rows - 1, cols)[:, :-1].reshape(-1)
    upper = torch.stack([corner, corner + cols, corner + 1], 1)
    lower = torch.stack([corner + 1, corner + cols, corner + cols + 1], 1)
    return torch.cat([upper, lower])


def grid_normals(positions: Tensor, rows: int, cols: int) -> Tensor:
    """Unit normals `(V, 3)` of a grid that closes round its columns, by central differences."""
    grid = positions.reshape(rows, cols, 3)
    seam = grid[:, 1:2] - grid[:, -2:-1]
    across = torch.cat([seam, grid[:, 2:] - grid[:, :-2], seam], 1)
    down = torch.cat([grid[1:2] - grid[:1], grid[2:] - grid[:-2], grid[-1:] - grid[-2:-1]], 0)
    return unit(torch.linalg.cross(down, across).reshape(-1, 3))


def upper_lid(x: Tensor, *, opening: float, blink: float) -> Tensor:
    """Height of the upper lid's edge over the eye's own abscissa (cm, outwards positive)."""
    inside = (1 - (x / 1.36) ** 2).clamp_min(0)
    rest = 0.60 * opening * inside**0.72 * (1 - 0.07 * x)
    shut = lower_lid(x, opening=opening) + 0.015
    return rest + (shut - rest) * blink


def lower_lid(x: Tensor, *, opening: float) -> Tensor:
    """Height of the lower lid's edge, as `upper_lid`."""
    return -0.40 * opening * (1 - (x / 1.36) ** 2).clamp_min(0) ** 0.9


def lip_edges(side: Tensor) -> tuple[Tensor, Tensor]:
    """Heights of the red lips' upper and lower border over the distance from the midline (cm)."""
    inside = (1 - (side / MOUTH_HALF) ** 2).clamp_min(0)
    bow = -0.13 * bell(side, 0.0, 0.26) + 0.07 * bell(side, 0.52, 0.33)
    return MOUTH_Y + (0.84 + bow) * inside**0.8, MOUTH_Y - 1.0 * inside**0.75


def lip_seam(side: Tensor) -> Tensor:
    """Height of the line between the closed lips."""
    return MOUTH_Y - 0.05 * bell(side, 0.0, 0.45) + 0.05 * bell(side, 0.9, 0.5)


def face_mask(address: Tensor) -> Tensor:
    """What a swap replaces, 0..1: a soft oval over brows, cheeks and chin, by address `(..., 3)`."""
    x, y, z = address.unbind(-1)
    half_height = torch.where(y > -3.6, 8.2, 7.9)
    inside = (x.abs() / 5.9) ** 2.4 + ((y + 3.6).abs() / half_height) ** 2.4
    return smoothstep(inside, 1.12, 0.72) * smoothstep(z, 1.0, 3.2)
