"""Where a training starts from: noise, a base that many performers taught, or another trained file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from vfxswap.errors import UsageError
from vfxswap.nets.comb import Comb, Guise
from vfxswap.nets.spec import CombSpec
from vfxswap.trained import load_trained
from vfxswap.training.chance import drawn_from
from vfxswap.training.stills import Stills

Told = Callable[[float], None]
"""Is told which part of the work is done, 0..1."""
_HEATS: Final = ((2, 27), (4, 9), (8, 3), (16, 1))
"""How many faces a style has been tried on after each heat, and how many styles go on from there."""
_AT_ONCE: Final = 16
"""Faces that are computed together."""


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """A network to train on."""

    comb: Comb
    primed: bool
    """Whether it knows faces already."""
    base: str = ""
    """sha256 of the file that it comes from."""


def started(
    spec: CombSpec,
    init: Path | None,
    faces: Sequence[Tensor],
    stills: Stills,
    *,
    seed: int,
    tell: Told = lambda _: None,
) -> Start:
    """Makes the network that training begins with.

    From a base, each person gets a copy of its trunk, and the style of that performer of the base whose decoder makes
    the likest picture of the person's faces, or the performers' mean if that does better.

    Args:
        spec: What is wanted.
        init: A trained file; None is noise.
        faces: Some faces of each person, `(N, 5, S, S)` uint8 of the spec's size.
        stills: Of all people, as `Comb.dress` takes them.
        seed: Of what is drawn.
        tell: Is told how far the choice of styles is.

    Raises:
        UsageError: The file does not fit; says what differs.
    """
    with drawn_from(seed):
        if init is not None:
            return _from_file(spec, init, faces, stills, tell)
        comb = Comb(spec)
        comb.dress(*stills)
        return Start(comb, primed=False)


def _from_file(spec: CombSpec, init: Path, faces: Sequence[Tensor], stills: Stills, tell: Told) -> Start:
    loaded = load_trained(init).model
    have = loaded.spec
    if problem := have.unlike(spec):
        raise UsageError(f"{init.name} {problem}")
    sha256 = hashlib.sha256(init.read_bytes()).hexdigest()
    loaded.requires_grad_(requires_grad=True)
    if have.identities == spec.identities and have.shared == spec.shared:
        if have.shared:
            loaded.dress(*stills)
        return Start(loaded, primed=True, base=sha256)
    styles = torch.stack(
        [
            likest_style(loaded, planes, Stills(*own), partial(_within, tell, number, len(faces)))
            for number, (planes, *own) in enumerate(zip(faces, *stills, strict=True))
        ]
    )
    if not spec.shared:
        return Start(loaded.recast(spec.identities, styles, *stills), primed=True, base=sha256)
    comb = Comb(replace(spec))
    state = {name: value for name, value in loaded.state_dict().items() if name != "styles"}
    comb.load_state_dict({**state, "styles": styles})
    comb.dress(*stills)
    return Start(comb, primed=True, base=sha256)


def _within(tell: Told, number: int, count: int, part: float) -> None:
    """Tells a part of one person's work as a part of everybody's."""
    tell((number + part) / count)


@torch.no_grad()
def likest_style(base: Comb, faces: Tensor, stills: Stills, tell: Told) -> Tensor:
    """`(style,)` of a base's performers, or their mean, that makes the likest picture of some faces.

    All are tried on two faces, the better third of them on two more, and so on (successive halving: Jamieson and
    Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS 2016).

    Args:
        base: A comb whose people share one trunk.
        faces: `(N, 5, S, S)` uint8, one or more, in the order in which they were taken.
        stills: Of the person whose faces they are.
        tell: Is told after each few pictures.
    """
    base.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    planes = faces[_spread(len(faces))[: _HEATS[-1][0]]].float() / 255
    image, matte = planes[:, :3], planes[:, 3:4]
    code = base.encode(image)
    pictures = functional.adaptive_avg_pool2d(stills.pictures, min(stills.pictures.shape[-1], base.spec.size_px))
    stills = Stills(pictures, stills.points)
    styles = torch.cat([base.styles.mean(0, keepdim=True), base.styles])
    left, errors, seen, done = torch.arange(len(styles)), torch.zeros(len(styles)), 0, 0
    for wanted, remain in _HEATS:
        fresh = torch.arange(seen, max(seen, min(wanted, len(planes))))
        seen += len(fresh)
        pairs = torch.cartesian_prod(left, fresh) if len(fresh) else torch.zeros(0, 2, dtype=torch.long)
        for who, which in (part.unbind(1) for part in torch.split(pairs, _AT_ONCE)):
            guise = Guise(styles[who], *(part[None] for part in stills)).of(len(who))
            made = base.trunks[0](code[which], guise, base.spec.fade)
            errors.index_add_(0, who, _unlike(made.image, image[which], matte[which]))
            done += len(who)
            tell(done / _tries(len(styles)))
        left = left[errors[left].argsort(stable=True)[:remain]]
    tell(1.0)
    return styles[int(left[0])].clone()


def _unlike(made: Tensor, image: Tensor, matte: Tensor) -> Tensor:
    """`(N,)` squared errors inside the mattes; those of tone alone are forgiven: they are more the light's."""
    error = (made - image) * matte
    tone = error.sum((2, 3), keepdim=True) / matte.sum((2, 3), keepdim=True).clamp_min(1e-3)
    return ((error - tone * matte) ** 2).mean((1, 2, 3))


def _tries(styles: int) -> int:
    """How many pictures are made for so many styles, if there are faces enough."""
    before = [(0, styles), *_HEATS]
    return sum((faces - seen) * min(styles, left) for (seen, left), (faces, _) in pairwise(before))


def _spread(count: int) -> list[int]:
    """Places in an order whose every beginning is spread over them (van der Corput's sequence)."""
    return sorted(range(count), key=lambda place: int(f"{place:032b}"[::-1], 2))
