"""Trains the occlusion net: from the lab's labels, and from mattes that artists drew.

Every step is a function of the seed and its number: which faces, how they are turned, what is pasted over them, in what
light. A run that was killed goes on as if it had not been.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor

from vfxswap.errors import MediaError, UsageError
from vfxswap.faceset import Faceset
from vfxswap.nets.occlusion import OcclusionNet
from vfxswap.ops.matte import hull_distance
from vfxswap.training.occluders import covered

_WARM_STEPS = 100


class Faces(NamedTuple):
    """Pictures in memory, N of them, S pixels square."""

    images: Tensor
    """`(N, 3, S, S)` uint8 R'G'B'."""
    mattes: Tensor
    """`(N, 1, S, S)` uint8 what is visible of the face."""
    eyes: Tensor
    """`(N, 2, 2)` float32 the eyes' centres, pixels."""
    places: tuple[tuple[int, int], ...]
    """Number of a faceset, and place in it, of each."""


def read_faces(facesets: Sequence[Faceset], size_px: int, *, warn: Callable[[str], None] = lambda _: None) -> Faces:
    """Reads the faces that have a matte.

    Args:
        facesets: Of crops `dfl68_whole`, of any size.
        size_px: What they are brought to.
        warn: Is told of each picture that cannot be read; it is left out.

    Raises:
        UsageError: No face has a matte.
    """
    images, mattes, eyes, places = [], [], [], []
    for number, faceset in enumerate(facesets):
        for index in range(len(faceset)):
            try:
                if (matte := faceset.matte(index)) is None:
                    continue
                image = faceset.image(index)
            except MediaError as error:
                warn(f"{error}; it is left out")
                continue
            five = torch.tensor(faceset.landmarks(index).five()[:2], dtype=torch.float32)
            images.append(_bytes(image, size_px))
            mattes.append(_bytes(matte, size_px))
            eyes.append(five * (size_px / faceset.crop.size_px))
            places.append((number, index))
    if not images:
        raise UsageError(
            "no face of these facesets has a matte: "
            + ", ".join(str(faceset.folder) for faceset in facesets)
            + "; the lab's have, and those that artists' mattes were extracted with"
        )
    return Faces(torch.stack(images), torch.stack(mattes), torch.stack(eyes), tuple(places))


def _bytes(picture: Tensor, size_px: int) -> Tensor:
    if picture.shape[-1] != size_px:
        picture = F.interpolate(
            picture[None], (size_px, size_px), mode="bilinear", antialias=True, align_corners=False
        )[0]
    return (picture.clamp(0, 1) * 255).round().to(torch.uint8)


class Drawn(NamedTuple):
    """A batch as the net sees it."""

    images: Tensor
    mattes: Tensor


def batch_of(faces: Faces, numbers: Tensor, dice: random.Random, *, device: torch.device, occluded: float) -> Drawn:
    """Augments some faces: turned, shifted, scaled and mirrored; covered; lit, softened and made noisy otherwise.

    Args:
        faces: All of them.
        numbers: `(N,)` which.
        dice: What is drawn from.
        device: Where.
        occluded: Share that something is pasted over.
    """
    images, mattes = (part[numbers].to(device).float() / 255 for part in (faces.images, faces.mattes))
    images, mattes, eyes = _moved(images, mattes, faces.eyes[numbers].to(device), dice)
    images, mattes = covered(images, mattes, eyes, dice, share=occluded)
    return Drawn(_photographed(images, dice), mattes)


def _moved(images: Tensor, mattes: Tensor, eyes: Tensor, dice: random.Random) -> tuple[Tensor, Tensor, Tensor]:
    """Each face through a similarity of its own, and half of them mirrored."""
    count, size = len(images), images.shape[-1]
    rows = []
    for _ in range(count):
        angle, scale = math.radians(dice.gauss(0, 9)), math.exp(dice.gauss(0, 0.10))
        mirror = dice.choice((-1.0, 1.0))
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        rows.append([[mirror * cos, -sin, dice.gauss(0, 0.06)], [mirror * sin, cos, dice.gauss(0, 0.06)]])
    back = torch.tensor(rows, device=images.device)  # from the new picture's -1..1 to the old one's
    grid = F.affine_grid(back, [count, 1, size, size], align_corners=False)
    images = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    mattes = F.grid_sample(mattes, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    placed = eyes / (size / 2) - 1 - back[:, None, :, 2]
    placed = torch.linalg.solve(back[:, None, :, :2], placed[..., None])[..., 0]
    return images, mattes, (placed + 1) * (size / 2)


def _photographed(images: Tensor, dice: random.Random) -> Tensor:
    """Exposure, colour, contrast, softness and noise; none of it changes what is face."""
    count, size, device = len(images), images.shape[-1], images.device
    generator = torch.Generator().manual_seed(dice.randrange(2**62))

    def drawn(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=generator).to(device)

    gain = torch.exp(0.25 * drawn(1, 1, 1) + 0.08 * drawn(3, 1, 1))
    gamma = torch.exp(0.2 * drawn(1, 1, 1))
    shaded = F.interpolate(drawn(1, 3, 3), (size, size), mode="bicubic", align_corners=False)
    images = (images.clamp(0, 1) ** gamma * gain * torch.exp(0.2 * shaded)).clamp(0, 1)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * torch.exp(0.25 * drawn(1, 1, 1))
    small = max(24, round(size / math.exp(abs(dice.gauss(0, 0.45)))))
    if small < size:  # one softness a batch: each of its own would be a resampling each
        coarse = F.interpolate(images, (small, small), mode="bilinear", antialias=True, align_corners=False)
        soft = F.interpolate(coarse, (size, size), mode="bilinear", align_corners=False)
        chosen = torch.tensor([dice.random() < 0.5 for _ in range(count)], device=device)[:, None, None, None]
        images = torch.where(chosen, soft, images)
    noise = drawn(3, size, size) * (0.03 * torch.rand(count, 1, 1, 1, generator=generator) ** 2).to(device)
    return (images + noise).clamp(0, 1)


def loss_of(logits: Tensor, mattes: Tensor) -> Tensor:
    """Cross entropy by pixel plus Dice by picture (F. Milletari, N. Navab and S. Ahmadi, "V-Net", 3DV 2016)."""
    entropy = F.binary_cross_entropy_with_logits(logits, mattes)
    shown = torch.sigmoid(logits)
    both, sizes = (shown * mattes).sum((1, 2, 3)), (shown.square() + mattes.square()).sum((1, 2, 3))
    return entropy + (1 - (2 * both + 1) / (sizes + 1)).mean()


class MatteScore(NamedTuple):
    """How good mattes are on faces that were not trained on."""

    iou: float
    """Intersection over union of what is above one half; all pixels of all faces together."""
    error: float
    """Mean absolute difference, 0..1."""
    missed: float
    """Share of what hides the face, inside the face's own outline, that is taken for face."""


@torch.inference_mode()
def score(net: OcclusionNet, images: Tensor, mattes: Tensor, regions: Tensor | None = None) -> MatteScore:
    """Scores a net.

    Args:
        net: In evaluation mode.
        images: `(N, 3, S, S)` 0..1.
        mattes: `(N, 1, S, S)` 0..1, the truth.
        regions: `(N, 1, S, S)` 0..1 where the face would be if nothing hid it, for `missed`.
    """
    shown = torch.cat([torch.sigmoid(net(part)) for part in torch.split(images, 16)])
    found, true = shown > 0.5, mattes > 0.5
    hidden = torch.zeros_like(true) if regions is None else (regions > 0.5) & ~true
    missed = float((hidden & found).sum() / hidden.sum().clamp_min(1))
    return MatteScore(float((found & true).sum() / (found | true).sum()), float((shown - mattes).abs().mean()), missed)


def held_out_score(
    net: OcclusionNet, facesets: Sequence[Faceset], size_px: int, *, warn: Callable[[str], None] = lambda _: None
) -> MatteScore:
    """Scores a net on faces as they are, inside the outline that their landmarks draw for `missed`.

    Args:
        net: The net.
        facesets: As `read_faces` takes them.
        size_px: What faces are brought to.
        warn: Is told of each picture that cannot be read.

    Raises:
        UsageError: No face has a matte.
    """
    faces = read_faces(facesets, size_px, warn=warn)
    regions = [
        hull_distance(
            facesets[number].landmarks(index).points[:, :2] * (size_px / facesets[number].crop.size_px),
            size_px,
            device=torch.device("cpu"),
        )
        > 0
        for number, index in faces.places
    ]
    device = next(net.parameters()).device
    images, mattes = (part.to(device).float() / 255 for part in (faces.images, faces.mattes))
    return score(net, images, mattes, torch.stack(regions)[:, None].to(device).float())


@dataclass(frozen=True, slots=True)
class Plan:
    """How a net is trained."""

    steps: int = 1500
    batch: int = 16
    rate: float = 2e-3
    occluded: float = 0.6
    seed: int = 1


def rate_at(step: int, plan: Plan) -> float:
    """The learning rate: rising over the first steps, then falling along a cosine to nothing."""
    if step < _WARM_STEPS:
        return plan.rate * (step + 1) / _WARM_STEPS
    part = (step - _WARM_STEPS) / max(1, plan.steps - _WARM_STEPS)
    return plan.rate * 0.5 * (1 + math.cos(math.pi * min(1.0, part)))


def numbers_at(step: int, count: int, plan: Plan) -> Tensor:
    """Which faces a step sees: a new order of all of them every time that all were seen."""
    found = []
    for place in range(step * plan.batch, (step + 1) * plan.batch):
        epoch, at = divmod(place, count)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(plan.seed * 1_000_003 + epoch))
        found.append(int(order[at]))
    return torch.tensor(found)
