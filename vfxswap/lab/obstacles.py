"""What comes between camera and face: hands, and things that hands hold."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from vfxswap.lab.colour import skin_rgb
from vfxswap.lab.looks import Looks, Rgb
from vfxswap.lab.maths import rotation
from vfxswap.lab.parts import Label, Part, microphone, part, tube

_FINGERS = ((-2.9, 6.2, 0.78), (-1.0, 7.6, 0.86), (0.9, 7.0, 0.84), (2.6, 5.4, 0.70))
"""Of the four fingers: place across the knuckles, length and radius, cm (about an adult hand of 18.5 cm)."""


def obstacle(dice: random.Random, looks: Looks) -> list[Part]:
    """Something in front of the face, in the world's frame: where, how large and how turned is drawn too.

    Args:
        dice: What is drawn from.
        looks: Whose face it is; half of the hands are the performer's own.
    """
    makers: Sequence[Callable[[], list[Part]]] = (
        lambda: _hand(dice, looks),
        lambda: _hand(dice, looks),
        microphone,
        lambda: [_bar(dice)],
        lambda: [_box(dice)],
        lambda: _strands(dice, looks),
    )
    parts = dice.choice(makers)()
    turn = rotation(dice.uniform(-35, 35), dice.uniform(-35, 35), dice.uniform(-180, 180))
    # Between the tip of the nose and a hand's breadth before it; some reach into the cheek, as a resting hand does.
    at = torch.tensor([dice.gauss(0, 5.0), dice.uniform(-12.0, 5.0), dice.uniform(8.5, 17.0)])
    return [replace(item, positions=item.positions @ turn.T + at) for item in parts]


def _hand(dice: random.Random, looks: Looks) -> list[Part]:
    """Palm, four fingers, thumb and forearm; the fingers lie open, spread or curled."""
    own = dice.random() < 0.5
    tone = looks.skin.ita_degrees if own else dice.uniform(-60.0, 60.0)
    red, green, blue = (value * dice.uniform(0.9, 1.1) for value in skin_rgb(tone))
    skin: Rgb = (red, green, blue)
    curl, spread, size = dice.uniform(0.0, 1.5), dice.uniform(0.0, 0.16), dice.uniform(0.85, 1.1)
    side = dice.choice((-1.0, 1.0))
    pieces = [("palm", _palm()), ("arm", _arm())]
    for number, (across, length, radius) in enumerate(_FINGERS):
        bend = curl * dice.uniform(0.7, 1.2)
        lean = spread * (number - 1.5) + dice.uniform(-0.05, 0.05)
        pieces.append((f"finger_{number}", _finger((across, 4.4, 0.0), length, radius, bend=bend, lean=lean)))
    pieces.append(("thumb", _finger((-3.6, -1.5, 0.4), 6.0, 0.95, bend=0.4 * curl, lean=-dice.uniform(0.4, 1.0))))
    mirror = torch.tensor([side, 1.0, 1.0]) * size
    cloth: Rgb = (dice.uniform(0.02, 0.6), dice.uniform(0.02, 0.6), dice.uniform(0.02, 0.6))
    sleeve = dice.random() < 0.4
    made = []
    for name, grid in pieces:
        outside_out = grid.flip(1) if side < 0 else grid
        clothed = sleeve and name == "arm"
        item = part(name, outside_out * mirror, colour=cloth if clothed else skin, label=Label.OBJECT, gloss=0.15)
        made.append(replace(item, skin=not clothed))
    return made


def _palm() -> Tensor:
    """A flat rounded block from the wrist to the knuckles, `(K, sides + 1, 3)`."""
    step = torch.linspace(-1, 1, 24)
    path = torch.stack([0 * step, 5.0 * step, 0 * step], 1)
    width = 4.0 * (1 - step.abs() ** 6).clamp_min(0.0) ** 0.5 * (0.86 + 0.14 * step)
    return tube(path, width.clamp_min(0.02), sides=20) * torch.tensor([1.0, 1.0, 0.36])


def _arm() -> Tensor:
    step = torch.linspace(0, 1, 12)
    path = torch.stack([0 * step, -3.6 - 26.0 * step, 0.2 * step], 1)
    return tube(path, 2.7 + 1.4 * step, sides=18) * torch.tensor([1.0, 1.0, 0.8])


def _finger(root: tuple[float, float, float], length: float, radius: float, *, bend: float, lean: float) -> Tensor:
    """A tube with a round tip that bends towards the palm's side (-z), `bend` radians at each of its joints."""
    step = torch.linspace(0, 1, 26)
    turned = bend * (
        torch.sigmoid((step - 0.12) * 30) + torch.sigmoid((step - 0.48) * 30) + torch.sigmoid((step - 0.74) * 30)
    )
    stride = length / (len(step) - 1)
    forward, down = torch.cumsum(turned.cos() * stride, 0), torch.cumsum(turned.sin() * stride, 0)
    path = torch.stack([math.sin(lean) * forward, math.cos(lean) * forward, -down], 1) + torch.tensor(root)
    tip = ((1 - step) * length / radius).clamp(0, 1)
    round_ = (1 - (1 - tip) ** 2).clamp_min(0.0005).sqrt()
    knuckles = 1 + 0.05 * torch.cos(step * 2 * math.pi * 2.2)
    return tube(path, radius * (1.08 - 0.22 * step) * round_ * knuckles, sides=14)


def _bar(dice: random.Random) -> Part:
    """A rod, a strap or a pole across the picture."""
    step = torch.linspace(-1, 1, 30)
    bow = dice.uniform(-3, 3)
    path = torch.stack([24.0 * step, bow * step**2, 0 * step], 1)
    return part(
        "bar",
        tube(path, dice.uniform(0.2, 2.2), sides=16),
        colour=_paint(dice),
        label=Label.OBJECT,
        gloss=dice.random(),
    )


def _box(dice: random.Random) -> Part:
    """A telephone, a book, a cup: something with edges and two tones."""
    step = torch.linspace(-1, 1, 30)
    length = dice.uniform(3.0, 9.0)
    ends = (1 - step.abs() ** dice.choice((8, 40))).clamp_min(0.0) ** 0.5
    grid = tube(
        torch.stack([0 * step, length * step, 0 * step], 1),
        (length * dice.uniform(0.4, 0.8) * ends).clamp_min(0.02),
        sides=dice.choice((4, 24)),
    )
    item = part(
        "box",
        grid * torch.tensor([1.0, 1.0, dice.uniform(0.12, 0.9)]),
        colour=_paint(dice),
        label=Label.OBJECT,
        gloss=dice.random(),
    )
    other, period = torch.tensor(_paint(dice)), dice.uniform(0.5, 3.0)
    striped = ((item.positions[:, 1:2] / period).floor() % 2) * dice.choice((0.0, 1.0))
    return replace(item, colour=item.colour * (1 - striped) + other * striped)


def _strands(dice: random.Random, looks: Looks) -> list[Part]:
    """Locks of the performer's hair that hang across the face."""
    made = []
    for number in range(dice.randint(2, 6)):
        step = torch.linspace(0, 1, 26)
        phase, wave = dice.uniform(0, 6.3), dice.uniform(0.2, 1.2)
        x = dice.gauss(0, 2.5) + dice.uniform(-4, 4) * step + wave * torch.sin(4 * step + phase)
        path = torch.stack([x, 9.0 - 18.0 * step, 0.6 * torch.cos(3 * step + phase)], 1)
        width = dice.uniform(0.06, 0.45) * (1.05 - step)
        made.append(
            part(f"lock_{number}", tube(path, width, sides=8), colour=looks.hair.rgb, label=Label.HAIR, gloss=0.5)
        )
    return made


def _paint(dice: random.Random) -> Rgb:
    light = 0.02 * 35 ** dice.random()
    return light * dice.uniform(0.3, 1), light * dice.uniform(0.3, 1), light * dice.uniform(0.3, 1)
