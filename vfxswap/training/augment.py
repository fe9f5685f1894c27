"""Variation: faces moved, bent, relit and degraded, on the device, drawn anew at each step from its number.

Input and target share what the decoder shall follow (where the face is, its light and tone). The input alone is bent
and degraded: what must be undone is learnt as what the person looks like. The bending is the swappers' classic: a
coarse grid of random shifts, smoothly interpolated, so that features move and nothing tears.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor
from torch.nn import functional

from vfxswap.training.faces import Draw
from vfxswap.training.tables import Augment

_GRID = 5
"""Points of the bending grid along a side."""
_LUMA = (0.2126, 0.7152, 0.0722)
"""BT.709."""


class Batch(NamedTuple):
    """Faces as the network is given them; N of them, S pixels square."""

    inputs: Tensor
    """`(N, 3, S, S)` float32 R'G'B' 0..1."""
    targets: Tensor
    """`(N, 3, S, S)`."""
    mattes: Tensor
    """`(N, 1, S, S)` 0..1 of the targets."""
    features: Tensor
    """`(N, 1, S, S)` 0..1 eyes and mouth of the targets."""
    who: tuple[int, ...]
    """Number of the decoder for each."""
    paired: int
    """How many at the end are of pairs."""
    points: Tensor
    """`(N, 70, 2)` of the targets, as `vfxswap.training.marks.marks`; no number where a face is mirrored."""
    others: tuple[int, ...]
    """Number of somebody else for each."""
    crossed: Tensor
    """`(N, 70, 2)` where the landmarks would be on that other's face, as far as that is known."""

    def first(self, count: int) -> Batch:
        """The first few of them, pairs counting as others."""
        return Batch(
            inputs=self.inputs[:count],
            targets=self.targets[:count],
            mattes=self.mattes[:count],
            features=self.features[:count],
            who=self.who[:count],
            paired=0,
            points=self.points[:count],
            others=self.others[:count],
            crossed=self.crossed[:count],
        )


def dice_for(seed: int, step: int, lane: int) -> torch.Generator:
    """The draws of a step; on the CPU, so that they are the same for every device."""
    mixed = (seed * 0x9E3779B1 + step * 0x85EBCA77 + lane * 0xC2B2AE3D) % (2**63)
    return torch.Generator().manual_seed(mixed)


def varied(draw: Draw, options: Augment, dice: torch.Generator, *, bend: bool, device: torch.device) -> Batch:
    """Makes a batch of a draw.

    Args:
        draw: The faces.
        options: How far they vary.
        dice: The step's draws.
        bend: Whether inputs are bent.
        device: Where the batch shall be.
    """
    inputs, targets = draw.inputs.to(device).float() / 255, draw.targets.to(device).float() / 255
    count, size = len(inputs), inputs.shape[-1]
    place = _placed(count, options, dice).to(device)
    even = functional.affine_grid(place, [count, 1, size, size], align_corners=False)
    bent = even + _bends(count, size, options.warp if bend else 0.0, dice).to(device)
    targets = functional.grid_sample(targets, even, padding_mode="border", align_corners=False)
    looked = functional.grid_sample(inputs[:, :4], bent, padding_mode="border", align_corners=False)
    seen = _elsewhere(looked[:, :3], looked[:, 3:], options, dice)
    tone = _tones(targets, len(inputs) - draw.paired, options, dice)
    seen = _degraded(tone(seen), options, dice)
    return Batch(
        seen,
        tone(targets[:, :3]),
        targets[:, 3:4],
        targets[:, 4:5],
        draw.who,
        draw.paired,
        _moved(draw.points.to(device), place),
        draw.others,
        _moved(draw.crossed.to(device), place),
    )


def _even(dice: torch.Generator, *shape: int) -> Tensor:
    """Draws in -1..1."""
    return torch.rand(shape, generator=dice) * 2 - 1


def _placed(count: int, options: Augment, dice: torch.Generator) -> Tensor:
    """`(N, 2, 3)` from the place in the result to that in the picture, both -1..1."""
    angle = _even(dice, count) * math.radians(options.rotation_degrees)
    scale = 1 + _even(dice, count) * options.scale
    mirrored = torch.where(torch.rand(count, generator=dice) < options.flip, -1.0, 1.0)
    shift = _even(dice, count, 2) * 2 * options.shift
    cos, sin = angle.cos() * scale, angle.sin() * scale
    rows = torch.stack([torch.stack([cos * mirrored, -sin], -1), torch.stack([sin * mirrored, cos], -1)], 1)
    return torch.cat([rows, shift[:, :, None]], 2)


def _moved(points: Tensor, place: Tensor) -> Tensor:
    """Points of the pictures, where they are in the result."""
    moved = torch.linalg.solve(place[:, :, :2], (points - place[:, None, :, 2]).mT).mT
    mirrored = torch.linalg.det(place[:, :, :2]) < 0
    return torch.where(mirrored[:, None, None], torch.nan, moved)


def _bends(count: int, size: int, warp: float, dice: torch.Generator) -> Tensor:
    """`(N, S, S, 2)` shifts of the sampling places, -1..1 being the side; nothing at the border."""
    inner = _GRID - 2
    coarse = torch.randn(count, 2, inner, inner, generator=dice).clamp(-2, 2) * (warp * 2 / (_GRID - 1))
    coarse = functional.pad(coarse, (1, 1, 1, 1))
    fine = functional.interpolate(coarse, (size, size), mode="bicubic", align_corners=True)
    return fine.permute(0, 2, 3, 1)


def _elsewhere(seen: Tensor, mattes: Tensor, options: Augment, dice: torch.Generator) -> Tensor:
    """Some faces in somebody else's surroundings, so that hair, collars and walls say nothing of what a face does."""
    count, size = len(seen), seen.shape[-1]
    order, wants = torch.randperm(count, generator=dice), torch.rand(count, generator=dice) < options.surroundings
    near, soft = 2 * (size // 64) + 1, 2 * (size // 48) + 1
    wide = functional.max_pool2d(mattes, near, 1, near // 2)
    edge = functional.avg_pool2d(wide, soft, 1, soft // 2, count_include_pad=False)
    keep = torch.where(wants.to(seen.device)[:, None, None, None], edge, 1.0)
    return torch.lerp(seen[order.to(seen.device)], seen, keep)


class _Tones(NamedTuple):
    """One map of colours for each face, used on input and target alike."""

    factor: Tensor
    """`(N, 3, 1, 1)`, with `offset` the borrowed tone."""
    offset: Tensor
    gamma: Tensor
    """`(N, 1, 1, 1)`."""
    mix: Tensor
    """`(N, 3, 3)` gain, balance and saturation."""

    def __call__(self, images: Tensor) -> Tensor:
        """`(N, 3, S, S)` to the same, 0..1."""
        toned = (images * self.factor + self.offset).clamp(1e-4, 1) ** self.gamma
        return torch.einsum("nij,njhw->nihw", self.mix, toned).clamp(0, 1)


def _tones(targets: Tensor, singles: int, options: Augment, dice: torch.Generator) -> _Tones:
    """Light drawn at random, and for some faces the tone of another's skin.

    A borrowed tone moves mean and spread of each channel inside the matte to the other's (Reinhard et al., Color
    Transfer between Images, 2001, in R'G'B'). Pairs keep their tones: their truth has the plate's skin already.
    """
    count, device = len(targets), targets.device
    gain = 1 + 0.5 * options.light * _even(dice, count, 1)
    balance = 1 + 0.25 * options.light * _even(dice, count, 3)
    gamma = torch.exp(0.5 * options.light * _even(dice, count, 1))
    saturation = 1 + options.light * _even(dice, count, 1)
    order, wants = torch.randperm(count, generator=dice), torch.rand(count, generator=dice) < options.borrow_tone
    wants = wants & (torch.arange(count) < singles)
    mean, spread = _statistics(targets)
    factor = torch.where(wants[:, None].to(device), (spread[order] / spread).clamp(0.5, 2.0), 1.0)
    offset = torch.where(wants[:, None].to(device), mean[order] - mean * factor, 0.0)
    grey = torch.tensor(_LUMA).expand(3, 3)
    mixed = saturation[:, :, None] * torch.eye(3) + (1 - saturation[:, :, None]) * grey
    mix = mixed * (gain * balance)[:, :, None]
    wide = (..., None, None)
    return _Tones(factor[wide], offset[wide], gamma.to(device)[wide], mix.to(device))


def _statistics(targets: Tensor) -> tuple[Tensor, Tensor]:
    """`(N, 3)` mean and spread of the colours inside the mattes."""
    matte = targets[:, 3:4] + 1e-3
    total = matte.sum((2, 3))
    mean = (targets[:, :3] * matte).sum((2, 3)) / total
    spread = (((targets[:, :3] - mean[..., None, None]) ** 2 * matte).sum((2, 3)) / total).sqrt()
    return mean, spread.clamp_min(0.02)


def _degraded(images: Tensor, options: Augment, dice: torch.Generator) -> Tensor:
    """Some inputs blurred, noisy or coarse, as a small, grainy or badly coded face is."""
    count, size = len(images), images.shape[-1]
    wants = (torch.rand(3, count, generator=dice) < options.degrade).to(images.device)[..., None, None, None]
    sigma = 0.002 * size + (torch.rand(count, 1, generator=dice) * 0.012 * size).expand(-1, 2)
    noise = torch.randn(images.shape, generator=dice) * torch.rand(count, 1, 1, 1, generator=dice) * 0.04
    finer = 1 + int(torch.randint(1, 3, (1,), generator=dice))
    if not options.degrade:
        return images
    width = 2 * math.ceil(0.014 * size * 2) + 1
    blurred = gaussian_blur2d(images, (width, width), sigma.to(images.device))
    small = functional.interpolate(images, scale_factor=1 / finer, mode="bilinear", antialias=True)
    coarse = functional.interpolate(small, (size, size), mode="bilinear", align_corners=False)
    images = torch.where(wants[0], blurred, images)
    images = torch.where(wants[1], coarse, images)
    return torch.where(wants[2], images + noise.to(images.device), images).clamp(0, 1)
