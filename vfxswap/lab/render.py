"""The renderer: one instant of a scene through the camera."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vfxswap.lab import scene as columns
from vfxswap.lab.apertures import Pixels, paint_eyes, paint_mouth
from vfxswap.lab.backdrop import seen
from vfxswap.lab.camera import View
from vfxswap.lab.light import Lighting
from vfxswap.lab.maths import unit
from vfxswap.lab.occlusion import depth_map, reached
from vfxswap.lab.parts import Label
from vfxswap.lab.performer import Performer, Stance
from vfxswap.lab.raster import Hits, rasterise
from vfxswap.lab.scene import MAP_CM, Scene
from vfxswap.lab.shade import Light, lit, mirrored, scattered

FAR_CM = 1.0e6
"""Depth of the background."""
_SHADOW_SIZE = 384
_FRONT = 0.25
"""How far from the middle of the map, in u, the face lies; behind, the same x and y are the back of the head."""


@dataclass(frozen=True, slots=True)
class Instant:
    """Everything that moves, at one time."""

    stances: tuple[Stance, ...]
    things_at: tuple[float, float, float]
    lighting: Lighting


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One sharp picture; H x W pixels."""

    image: Tensor
    """`(H, W, 3)` scene-linear."""
    head: Tensor
    """`(H, W)` 0..1 the performers' heads and hair."""
    face: Tensor
    """`(H, W)` 0..1 what a swap replaces and nothing hides."""
    labels: Tensor
    """`(H, W)` uint8 of `Label`."""
    depth: Tensor
    """`(H, W)` cm along the axis, `FAR_CM` in the background."""
    uv: Tensor
    """`(H, W, 2)` map coordinates on heads, -1 elsewhere."""
    solid: Hits
    """What the opaque surfaces cover."""


def light_scene(
    scene: Scene, instant: Instant, camera: Tensor, *, shadows: bool, shadow_size: int = _SHADOW_SIZE
) -> Light:
    """Light at all vertices of a scene; done once a frame, at the middle of the shutter.

    Args:
        scene: What there is.
        instant: Where it is.
        camera: `(3,)` where the camera stands.
        shadows: Whether the key casts them.
        shadow_size: Side of the depth map that they are found by, in texels; small pictures need no fine one.
    """
    positions = scene.positions(instant.stances, instant.things_at)
    surface = scene.surface(positions)
    key = torch.ones(len(positions))
    if shadows:
        key = _key_light(scene, instant, positions, surface.normals, shadow_size)
    light = lit(surface, instant.lighting, key=key, eye=camera)
    diffuse = light.diffuse.clone()
    for start, rows, cols in scene.heads:
        diffuse[start : start + rows * cols] = scattered(diffuse[start : start + rows * cols], rows, cols)
    return Light(diffuse, light.shine, light.key)


def _key_light(scene: Scene, instant: Instant, positions: Tensor, normals: Tensor, size: int) -> Tensor:
    """Share of the key that reaches each vertex, by one depth map a performer."""
    key = torch.ones(len(positions))
    towards = instant.lighting.lamps[0].towards
    start = 0
    for performer, stance in zip(scene.performers, instant.stances, strict=True):
        centre = torch.tensor(stance.shift_cm) + torch.tensor([0.0, -4.0, 0.0])
        depth, basis = depth_map(positions, scene.casters, towards=towards, centre=centre, size=size)
        own = slice(start, start + performer.count)
        key[own] = reached(depth, basis, positions[own], normals[own], centre=centre, softness_cm=0.45)
        start += performer.count
    return key


def draw(scene: Scene, instant: Instant, view: View, light: Light, room: Tensor) -> Sample:
    """Renders one instant.

    Args:
        scene: What there is.
        instant: Where it is.
        view: Seen from where.
        light: As `light_scene` gave for this frame.
        room: The backdrop.
    """
    size = (view.height, view.width)
    positions = scene.positions(instant.stances, instant.things_at)
    points, depth = view.project(positions)
    solid = rasterise(points, depth, scene.solid, height=size[0], width=size[1])
    canvas = _Canvas.blank(size, seen(room, *size, view.offset))
    _draw_solid(canvas, scene, instant, view, light, positions, solid)
    if len(scene.clear):
        glass = rasterise(points, depth, scene.clear, height=size[0], width=size[1], both_sides=True)
        _draw_clear(canvas, scene, instant, view, positions, glass)
    if len(scene.hair):
        hairy = rasterise(points, depth, scene.hair, height=size[0], width=size[1], both_sides=scene.hair_sheet)
        _draw_hair(canvas, scene, light, hairy, view)
    return canvas.sample(size, solid)


@dataclass(slots=True, eq=False)
class _Canvas:
    """The picture while it is painted, flat."""

    image: Tensor
    head: Tensor
    face: Tensor
    labels: Tensor
    depth: Tensor
    uv: Tensor

    @classmethod
    def blank(cls, size: tuple[int, int], image: Tensor) -> _Canvas:
        count = size[0] * size[1]
        return cls(
            image,
            torch.zeros(count),
            torch.zeros(count),
            torch.full((count,), int(Label.BACKGROUND), dtype=torch.uint8),
            torch.full((count,), FAR_CM),
            torch.full((count, 2), -1.0),
        )

    def sample(self, size: tuple[int, int], solid: Hits) -> Sample:
        return Sample(
            self.image.reshape(*size, 3),
            self.head.reshape(size),
            self.face.reshape(size),
            self.labels.reshape(size),
            self.depth.reshape(size),
            self.uv.reshape(*size, 2),
            solid,
        )


def _draw_solid(
    canvas: _Canvas, scene: Scene, instant: Instant, view: View, light: Light, positions: Tensor, hits: Hits
) -> None:
    values = torch.cat([scene.fixed, light.diffuse, light.shine, light.key[:, None], positions], 1)
    at = hits.interpolate(values, scene.solid)
    fixed, diffuse, shine, key, place = at[:, :9], at[:, 9:12], at[:, 12:15], at[:, 15], at[:, 16:19]
    albedo, gloss = fixed[:, columns.COLOUR].clone(), fixed[:, columns.GLOSS].clone()
    glint, labels = torch.zeros_like(albedo), scene.solid_label[hits.triangles]
    heads = scene.solid_head[hits.triangles]
    rays = view.rays(hits.pixels)
    for number, (performer, stance) in enumerate(zip(scene.performers, instant.stances, strict=True)):
        own = (heads == number).nonzero()[:, 0]
        maps = _looked_up(scene.skin_maps[number], fixed[own, columns.UV], view)
        ahead = (fixed[own, columns.UV][:, :1] - 0.5).abs() < _FRONT
        pixels = Pixels(
            torch.where(ahead, fixed[own, columns.ADDRESS], torch.nan),
            rays[own],
            place[own],
            diffuse[own],
            key[own],
            maps[:, :3].contiguous(),
            maps[:, 3].contiguous(),
            torch.zeros(len(own), 3),
            labels[own],
        )
        _paint_apertures(pixels, performer, stance, instant.lighting, view.position)
        albedo[own], gloss[own], glint[own], labels[own] = pixels.albedo, pixels.gloss, pixels.glint, pixels.labels
        canvas.uv[hits.pixels[own]] = fixed[own, columns.UV]
    canvas.image[hits.pixels] = albedo * diffuse + gloss[:, None] * shine + glint
    worn = (labels != Label.CLOTH) & (labels != Label.OBJECT)
    canvas.head[hits.pixels] = worn.float()
    canvas.face[hits.pixels] = fixed[:, columns.FACE]
    canvas.labels[hits.pixels] = labels
    canvas.depth[hits.pixels] = hits.depth


def _paint_apertures(pixels: Pixels, performer: Performer, stance: Stance, lighting: Lighting, camera: Tensor) -> None:
    paint_eyes(pixels, performer, stance, lighting, camera)
    paint_mouth(pixels, performer, stance)


def _draw_clear(canvas: _Canvas, scene: Scene, instant: Instant, view: View, positions: Tensor, hits: Hits) -> None:
    """Tints what is behind glass, and adds what the glass mirrors; the nearest of two sheets counts."""
    hits = hits.take(hits.depth < canvas.depth[hits.pixels])
    surface = scene.surface(positions)
    at = hits.interpolate(torch.cat([surface.normals, scene.fixed[:, columns.COLOUR]], 1), scene.clear)
    canvas.image[hits.pixels] *= at[:, 3:]
    canvas.image[hits.pixels] += mirrored(unit(at[:, :3]), view.rays(hits.pixels), instant.lighting)


def _draw_hair(canvas: _Canvas, scene: Scene, light: Light, hits: Hits, view: View) -> None:
    """Blends the nearest strand over what is behind it."""
    in_front = hits.depth < canvas.depth[hits.pixels] + 0.04
    hits = hits.take(in_front)
    values = torch.cat([scene.fixed[:, :6], light.diffuse, light.shine], 1)
    at = hits.interpolate(values, scene.hair)
    strand = _hair_maps(scene, scene.hair_map[hits.triangles], at[:, columns.UV], view)
    cover, tone = strand[:, :1], strand[:, 1:]
    colour = at[:, columns.COLOUR] * tone * at[:, 6:9] + at[:, 9:12] * tone * at[:, 3:4]
    canvas.image[hits.pixels] += cover * (colour - canvas.image[hits.pixels])
    share = cover[:, 0]
    canvas.face[hits.pixels] *= 1 - share
    canvas.head[hits.pixels] += share * (1 - canvas.head[hits.pixels])
    most = share > 0.5
    canvas.labels[hits.pixels[most]] = int(Label.HAIR)
    canvas.depth[hits.pixels[most]] = hits.depth[most]
    canvas.uv[hits.pixels[most]] = -1.0


def _hair_maps(scene: Scene, number: Tensor, uv: Tensor, view: View) -> Tensor:
    found = torch.zeros(len(uv), 2)
    for index, item in enumerate(scene.hair_maps):
        own = (number == index).nonzero()[:, 0]
        found[own] = _looked_up(item, uv[own], view)
    return found


def _looked_up(levels: Sequence[Tensor], uv: Tensor, view: View) -> Tensor:
    """Map values `(P, C)` at uv `(P, 2)`, from the level whose texels are about as large as a pixel."""
    texels_per_px = levels[0].shape[-1] / MAP_CM / view.camera.px_per_cm(view.height)
    level = max(0, round(math.log2(max(texels_per_px, 1e-6) / 1.05)))
    image = levels[min(level, len(levels) - 1)]
    grid = (uv * 2 - 1)[None, None]
    return functional.grid_sample(image, grid, mode="bilinear", align_corners=False, padding_mode="border")[0, :, 0].T
