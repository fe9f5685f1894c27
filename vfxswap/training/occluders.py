"""Things pasted over faces while a net learns to see what is in front: made in the batch, new at every step.

The lab draws hands and objects in space, with their shadows, but slowly. These are flat and fast: shapes of capsules (a
hand is seven of them), bars, locks of hair, edges of something large, spectacles, each with a shading, a pattern and a
shadow. Half of the hands have the colour of the very face that they cover, for that is how hands are.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor

Segment = tuple[float, float, float, float, float]
"""Ends x0, y0, x1, y1 and radius of a capsule, in parts of the picture's side."""
_MOST = 12
"""Capsules of one thing."""
_AWAY: Segment = (9.0, 9.0, 9.0, 9.0, 0.01)


def covered(
    images: Tensor, mattes: Tensor, eyes: Tensor, dice: random.Random, *, share: float = 0.6
) -> tuple[Tensor, Tensor]:
    """Pastes things over some faces of a batch.

    Args:
        images: `(N, 3, S, S)` float32 0..1.
        mattes: `(N, 1, S, S)` 0..1 what is visible of the face.
        eyes: `(N, 2, 2)` the eyes' centres, pixels.
        dice: What is drawn from; also seeds the patterns.
        share: Share of faces that something is pasted over.

    Returns:
        Pictures and mattes of the same shapes; what is pasted is out of the matte, its shadow is not.
    """
    count, size = len(images), images.shape[-1]
    chosen = [dice.random() < share for _ in range(count)]
    things = [_thing(dice, (pair / size).tolist()) if yes else [] for yes, pair in zip(chosen, eyes, strict=True)]
    distance, radius = _distance(things, size, images.device)
    soft = torch.tensor([dice.uniform(0.4, 2.0) for _ in range(count)], device=images.device)[:, None, None, None]
    alpha = torch.sigmoid(-distance / soft * 1.5)
    pasted = _material(images, mattes, distance, radius, dice)
    images = images * (1 - _shadow(alpha, dice))
    return images + alpha * (pasted - images), mattes * (1 - alpha)


def _thing(dice: random.Random, eyes: Sequence[Sequence[float]]) -> list[Segment]:
    makers: Sequence[tuple[Callable[[], list[Segment]], float]] = (
        (lambda: _hand(dice), 4),
        (lambda: _bar(dice), 1.2),
        (lambda: _blob(dice), 1.5),
        (lambda: _locks(dice), 1.2),
        (lambda: _edge(dice), 0.8),
        (lambda: _spectacles(dice, eyes), 1.3),
    )
    (maker,) = dice.choices([maker for maker, _ in makers], [weight for _, weight in makers])
    return maker()


def _hand(dice: random.Random) -> list[Segment]:
    """Palm, arm, thumb and four fingers; the fingers fan out, and may be drawn in."""
    x, y, turn = dice.gauss(0.5, 0.2), dice.gauss(0.6, 0.2), dice.uniform(-math.pi, math.pi)
    scale, curl, fan = dice.uniform(0.16, 0.30), dice.uniform(0.35, 1.0), dice.uniform(0.05, 0.28)
    side = dice.choice((-1, 1))

    def at(along: float, across: float) -> tuple[float, float]:
        across *= side
        return x + scale * (along * math.cos(turn) - across * math.sin(turn)), y + scale * (
            along * math.sin(turn) + across * math.cos(turn)
        )

    parts: list[Segment] = [
        (*at(-0.25, -0.12), *at(0.3, -0.1), 0.36 * scale),
        (*at(-0.25, 0.15), *at(0.3, 0.15), 0.34 * scale),
    ]
    parts.append((*at(-0.4, 0.0), *at(-4.0, dice.uniform(-0.6, 0.6)), 0.36 * scale))
    for number, length in enumerate((0.75, 0.9, 0.85, 0.62)):
        across, lean = 0.24 * (number - 1.5), fan * (number - 1.5) + dice.gauss(0, 0.05)
        reach = length * curl * dice.uniform(0.85, 1.0)
        parts.append(
            (*at(0.5, across), *at(0.5 + reach * math.cos(lean), across + reach * math.sin(lean)), 0.115 * scale)
        )
    lean = dice.uniform(0.3, 1.1)
    parts.append((*at(0.0, -0.4), *at(0.7 * math.cos(lean), -0.4 - 0.7 * math.sin(lean)), 0.14 * scale))
    return parts


def _bar(dice: random.Random) -> list[Segment]:
    """A pole, a strap, a cable, or a microphone that ends with its head in the picture."""
    x, y, turn = dice.gauss(0.5, 0.2), dice.gauss(0.55, 0.2), dice.uniform(-math.pi, math.pi)
    dx, dy, radius = math.cos(turn), math.sin(turn), 0.006 * 14 ** dice.random()
    if dice.random() < 0.4:
        return [
            (x, y, x + 2 * dx, y + 2 * dy, radius),
            (x, y, x + 0.02 * dx, y + 0.02 * dy, radius * dice.uniform(1.2, 2.4)),
        ]
    return [(x - 2 * dx, y - 2 * dy, x + 2 * dx, y + 2 * dy, radius)]


def _blob(dice: random.Random) -> list[Segment]:
    """Something lumpy: a cup, a scarf, a shoulder, foliage."""
    x, y, reach = dice.gauss(0.5, 0.22), dice.gauss(0.6, 0.22), dice.uniform(0.04, 0.2)
    return [
        (
            x + dice.gauss(0, reach),
            y + dice.gauss(0, reach),
            x + dice.gauss(0, reach),
            y + dice.gauss(0, reach),
            reach * dice.uniform(0.3, 1.0),
        )
        for _ in range(dice.randint(1, 6))
    ]


def _locks(dice: random.Random) -> list[Segment]:
    """Locks of hair: thin bent lines from above."""
    found: list[Segment] = []
    for _ in range(dice.randint(1, 4)):
        x, y = dice.gauss(0.5, 0.15), dice.uniform(0.0, 0.3)
        radius = dice.uniform(0.003, 0.022)
        for _ in range(3):
            ahead = (x + dice.gauss(0, 0.09), y + dice.uniform(0.06, 0.22))
            found.append((x, y, *ahead, radius))
            (x, y), radius = ahead, 0.8 * radius
    return found


def _edge(dice: random.Random) -> list[Segment]:
    """Something large that reaches in from a side: a shoulder, a door, a mask over mouth and chin."""
    turn, reach = dice.uniform(-math.pi, math.pi), dice.uniform(0.02, 0.3)
    x, y, radius = 0.5 + math.cos(turn) * (2 + reach), 0.52 + math.sin(turn) * (2 + reach), 2.0
    return [(x, y, x + 0.01, y, radius)]


def _spectacles(dice: random.Random, eyes: Sequence[Sequence[float]]) -> list[Segment]:
    """Dark glasses, or frames alone as lines round the eyes."""
    (x0, y0), (x1, y1) = eyes
    apart = max(math.dist(eyes[0], eyes[1]), 0.08)
    dx, dy = (x1 - x0) / apart, (y1 - y0) / apart
    wide, tall, thin = (
        dice.uniform(0.10, 0.22) * apart,
        dice.uniform(0.24, 0.36) * apart,
        dice.uniform(0.012, 0.05) * apart,
    )
    bridge: Segment = (
        x0 + dx * 0.35 * apart,
        y0 + dy * 0.35 * apart,
        x1 - dx * 0.35 * apart,
        y1 - dy * 0.35 * apart,
        thin,
    )
    if dice.random() < 0.5:
        return [bridge, *((x - dx * wide, y - dy * wide, x + dx * wide, y + dy * wide, tall) for x, y in eyes)]
    rims: list[Segment] = []
    for x, y in eyes:
        corners = [
            (x + (a * dx - b * dy) * 1.3 * tall, y + (a * dy + b * dx) * tall)
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]
        rims += [(*start, *end, thin) for start, end in zip(corners, [*corners[1:], corners[0]], strict=True)]
    return [bridge, *rims]


def _distance(things: Sequence[Sequence[Segment]], size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """`(N, 1, S, S)` signed distance to each thing, negative inside, and `(N, 1, 1, 1)` its largest radius; pixels."""
    table = torch.tensor([[*thing, *[_AWAY] * (_MOST - len(thing))] for thing in things], device=device) * size
    place = torch.arange(size, device=device) + 0.5
    best = torch.full((len(things), size, size), 1e6, device=device)
    for number in range(max(map(len, things), default=0)):
        x0, y0, x1, y1, radius = (value[:, None, None] for value in table[:, number].unbind(1))
        px, py, dx, dy = place[None, None, :] - x0, place[None, :, None] - y0, x1 - x0, y1 - y0
        along = ((px * dx + py * dy) / (dx * dx + dy * dy).clamp_min(1e-6)).clamp(0, 1)
        best = torch.minimum(best, ((px - along * dx) ** 2 + (py - along * dy) ** 2).sqrt() - radius)
    return best[:, None], table[:, :, 4].amax(1)[:, None, None, None].clamp(1, size / 3)


def _material(images: Tensor, mattes: Tensor, distance: Tensor, radius: Tensor, dice: random.Random) -> Tensor:
    """`(N, 3, S, S)` colour, pattern and roundness of what is pasted."""
    count, size, device = len(images), images.shape[-1], images.device
    generator = torch.Generator().manual_seed(dice.randrange(2**62))
    skin = (images * mattes).sum((2, 3)) / mattes.sum((2, 3)).clamp_min(1.0)
    kind = torch.rand(count, 1, generator=generator).to(device)
    any_ = torch.rand(count, 3, generator=generator).to(device).square()
    jitter = 1 + 0.12 * torch.randn(count, 3, generator=generator).to(device)
    lightness = (0.7 + 0.6 * torch.rand(count, 1, generator=generator)).to(device)
    tone = torch.where(kind < 0.45, skin, torch.where(kind < 0.65, skin.roll(1, 0), any_))
    base = (tone * jitter * lightness)[..., None, None]
    pattern = torch.zeros(count, 3, size, size)
    for cells, strength in ((3, 0.20), (9, 0.12), (40, 0.08)):
        grey = torch.randn(count, 1, cells, cells, generator=generator)
        tint = 0.4 * torch.randn(count, 3, cells, cells, generator=generator)
        pattern += strength * F.interpolate(grey + tint, (size, size), mode="bicubic", align_corners=False)
    rough = (torch.rand(count, 1, 1, 1, generator=generator) ** 2).to(device)
    inside = (-distance / radius).clamp(0, 1)
    round_ = 1 - (1 - inside).square()
    shading = 0.55 + 0.45 * round_.clamp_min(1e-4).sqrt()
    return (base * shading * (1 + rough * pattern.to(device))).clamp(0, 1)


def _shadow(alpha: Tensor, dice: random.Random) -> Tensor:
    """What the thing takes of the light beside it, `(N, 1, S, S)`."""
    size = alpha.shape[-1]
    reach = size // 16 * 2 + 1
    soft = F.avg_pool2d(F.avg_pool2d(alpha, reach, 1, reach // 2), reach, 1, reach // 2)
    down, across = dice.randint(-size // 12, size // 12), dice.randint(-size // 12, size // 12)
    strength = torch.tensor([dice.uniform(0, 0.7) for _ in range(len(alpha))], device=alpha.device)
    return torch.roll(soft, (down, across), (2, 3)) * strength[:, None, None, None]
