"""The comb: one encoder for everybody, a decoder for each person.

What the encoder makes of a face is one short code of what the face does: expression, pose, gaze, light. Whose face it
is must come from the decoder, so a code of one person's performance decodes as anyone's. (Naruniec, Helminger, Schroers
and Weber: High-Resolution Neural Face Swapping for Visual Effects, EGSR 2020. The levels that are added as it grows,
and how they are faded in: Karras, Aila, Laine and Lehtinen: Progressive Growing of GANs, ICLR 2018.)

A decoder is a trunk and a guise: a style, which is a vector that says who, and stills, some pictures of the person with
landmarks. The trunk says where the landmarks are in the new picture; that moves the stills; and it says how much of
each still is seen, relights what that gives, and adds what no still shows. So skin, lashes and brows are sharp from the
first step on, and what is left to be learnt is smooth. (Form and texture apart: Shu et al., Deforming Autoencoders,
ECCV 2018; moved by points: Siarohin et al., First Order Motion Model, NeurIPS 2019.) Stills are learnt on like weights.
People may share one trunk, which a base does that has seen
hundreds; for a production each gets a trunk of its own, all of them copies of the base's at first. As they have that
ancestor in common, what lies between two of them is a decoder too, and so one face can become another by degrees.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vfxswap.errors import ShapeError, UsageError
from vfxswap.nets.blocks import Down, FilmResidual, Residual, Up, conv3, normed, rectified
from vfxswap.nets.heads import Collage, Moved, Mover, Painter, reshaped
from vfxswap.nets.spec import CombSpec, ways

ARCHITECTURE = "comb-2"
"""Changes when weights of old no longer fit."""
_SHARED = "everybody"
"""The trunk of those who share one."""
_NAMED = 12
"""Of a model's people at most so many are named in a message."""


class Decoded(NamedTuple):
    """What a decoder makes of N codes."""

    image: Tensor
    """`(N, 3, S, S)` R'G'B', about 0..1 (nothing is clipped)."""
    matte: Tensor
    """`(N, 1, S, S)` 0..1, the face as this person would show it."""
    points: Tensor
    """`(N, J, 2)` the face's landmarks, x and y, the side being -1..1; J is 0 without stills."""


class Encoder(nn.Module):
    """Pictures to codes."""

    def __init__(self, spec: CombSpec) -> None:
        super().__init__()
        widths = spec.widths
        self.stems = nn.ModuleDict({str(k): conv3(12, widths[k]) for k in ways(spec)})
        self.blocks = nn.ModuleList(Residual(width) for width in widths)
        self.downs = nn.ModuleList(Down(fine, coarse) for coarse, fine in pairwise(widths))
        self.line = nn.Linear(widths[0] * spec.side_px**2, spec.code)

    def forward(self, images: Tensor, fade: float) -> Tensor:
        """`(N, 3, S, S)` 0..1 to `(N, code)`, normed."""
        return normed(self.line(normed(self.levels(images, fade)[-1]).flatten(1)))

    def levels(self, images: Tensor, fade: float) -> list[Tensor]:
        """Features of every level, the finest first: `(N, C, S/2, S/2)`, then each of half the side."""
        top, found = len(self.blocks) - 1, list[Tensor]()
        features = self._seen(images, top)
        for level in range(top, -1, -1):
            features = self.blocks[level](features)
            found.append(features)
            if level:
                features = self.downs[level - 1](features)
            if level == top and fade < 1:
                features = torch.lerp(self._seen(functional.avg_pool2d(images, 2), top - 1), features, fade)
        return found

    def _seen(self, images: Tensor, level: int) -> Tensor:
        stem = self.stems[str(level)]
        return rectified(stem(_for(stem, functional.pixel_unshuffle(2 * images - 1, 2))))


class Guise(NamedTuple):
    """What tells a trunk whom to show."""

    style: Tensor
    """`(N, style)`, or one for all."""
    stills: Tensor
    """`(N, 3 K, T, T)` R'G'B', still by still, or one set for all."""
    points: Tensor
    """`(N, K, J, 2)` the stills' landmarks, x and y, the side being -1..1, or one set for all."""

    def of(self, count: int) -> Guise:
        """The same, for so many codes."""
        return Guise(*(part.expand(count, *part.shape[1:]) for part in self))

    def towards(self, other: Guise, amount: Tensor) -> Guise:
        """Somebody between two: stills of both, bent until their landmarks meet, are faded into one another."""
        points = torch.lerp(self.points, other.points, amount)
        one, two = (reshaped(own.stills, own.points, points) if points.numel() else own.stills for own in (self, other))
        return Guise(torch.lerp(self.style, other.style, amount), torch.lerp(one, two, amount), points)


class Trunk(nn.Module):
    """Codes and guises to pictures."""

    def __init__(self, spec: CombSpec) -> None:
        super().__init__()
        widths, told = spec.widths, spec.code
        self.side = spec.side_px
        self.told = nn.Linear(spec.code + spec.style, told)
        self.line = nn.Linear(spec.code, widths[0] * self.side**2)
        self.blocks = nn.ModuleList(FilmResidual(width, told) for width in widths)
        self.ups = nn.ModuleList(Up(coarse, fine) for coarse, fine in pairwise(widths))
        self.heads = nn.ModuleDict(
            {str(k): Collage(widths[k], spec.stills) if spec.stills else Painter(widths[k]) for k in ways(spec)}
        )
        self.mover = Mover(spec.code + spec.style, spec.points) if spec.stills else None

    def forward(self, code: Tensor, guise: Guise, fade: float, detail: int = 1) -> Decoded:
        """`(N, code)` and guises to pictures, so many times as fine as those that are learnt."""
        given = torch.cat([code, guise.style], 1)
        told = rectified(self.told(given))
        moved = None if self.mover is None else self.mover(given, guise.points)
        features = self.line(code).unflatten(1, (-1, self.side, self.side))
        coarse, top = None, len(self.blocks) - 1
        for level, block in enumerate(self.blocks):
            features = block(features, told)
            if level == top - 1 and fade < 1:
                shown = self._shown(features, level, guise.stills, moved, detail)
                coarse = functional.interpolate(shown, scale_factor=2.0, mode="nearest")
            if level < top:
                features = self.ups[level](features)
        shown = self._shown(features, top, guise.stills, moved, detail)
        if coarse is not None:
            shown = torch.lerp(coarse, shown, fade)
        points = code.new_zeros(len(code), 0, 2) if moved is None else moved.points
        return Decoded(shown[:, :3], torch.sigmoid(shown[:, 3:]), points)

    def place(self, code: Tensor, guise: Guise) -> Tensor:
        """`(N, J, 2)`: where the landmarks would be, without a picture.

        Raises:
            ShapeError: It has no stills, and so no landmarks.
        """
        if self.mover is None:
            raise ShapeError("a trunk that is to place landmarks", expected="stills", actual="none")
        moved: Moved = self.mover(torch.cat([code, guise.style], 1), guise.points)
        return moved.points

    def _shown(self, features: Tensor, level: int, stills: Tensor, moved: Moved | None, detail: int) -> Tensor:
        head = self.heads[str(level)]
        features = _for(head, rectified(normed(features)))
        shown: Tensor = head(features) if moved is None else head(features, stills, moved, detail)
        return shown


def _for(module: nn.Module, values: Tensor) -> Tensor:
    """Values of the kind that a module's weights are of, if it has some."""
    return values.to(next((weight.dtype for weight in module.parameters()), values.dtype))


class Decoder(nn.Module):
    """A trunk and a guise: one person, or somebody between two."""

    def __init__(self, trunk: nn.Module, guise: Guise, fade: float, detail: int) -> None:
        super().__init__()
        self.trunk, self.fade, self.detail = trunk, fade, detail
        for name, part in guise._asdict().items():
            self.register_buffer(name, part)

    def forward(self, code: Tensor) -> Decoded:
        """Codes `(N, code)` as this one's face."""
        guise = Guise(*(self.get_buffer(name) for name in Guise._fields)).of(code.shape[0])
        return self.trunk(code, guise, self.fade, self.detail)  # type: ignore[no-any-return]


class Comb(nn.Module):
    """A multi-way autoencoder.

    Args:
        spec: What it is built from; weights are drawn from torch's generator.
    """

    def __init__(self, spec: CombSpec) -> None:
        super().__init__()
        self._spec, self._fade = spec, spec.fade
        self.encoder = Encoder(spec)
        names = (_SHARED,) if spec.shared else spec.identities
        # Names of people may hold dots, which names of modules may not; so trunks have numbers.
        self.trunks = nn.ModuleList(Trunk(spec) for _ in names)
        self.styles = nn.Parameter(torch.randn(len(spec.identities), spec.style))
        people = 0 if spec.shared and spec.stills else len(spec.identities)
        stills = torch.zeros(people, 3 * spec.stills, spec.still_px, spec.still_px)
        self.register_buffer("points", torch.zeros(people, spec.stills, spec.points, 2), persistent=not spec.shared)
        if spec.shared:
            self.register_buffer("stills", stills, persistent=False)
        else:
            self.stills = nn.Parameter(stills)

    def dress(self, stills: Tensor, points: Tensor) -> None:
        """Takes the stills of all people: `(P, 3 K, T, T)` R'G'B' 0..1, still by still, and `(P, K, J, 2)` landmarks.

        People with trunks of their own learn on from there. Of those who share a trunk stills are given and not learnt,
        and none is kept in a file: a base shows nobody.
        """
        self.stills.data = stills.to(self.styles.device)
        self.points = points.to(self.styles.device)

    @property
    def spec(self) -> CombSpec:
        """What it is built from, as far as it is faded in now."""
        return replace(self._spec, fade=self._fade)

    def encode(self, images: Tensor) -> Tensor:
        """What faces do: `(N, 3, S, S)` R'G'B' 0..1 to codes `(N, code)`.

        Args:
            images: Of the side that is learnt, or of the side that is shown, and then averaged down.

        Raises:
            ShapeError: The pictures are of another size.
        """
        size, detail = self._spec.size_px, self._spec.detail
        sides = (size, size * detail)
        if images.ndim != 4 or tuple(images.shape[1:]) not in [(3, side, side) for side in sides]:
            raise ShapeError("pictures for a comb", expected=f"(N, 3, {size}, {size})", actual=str(tuple(images.shape)))
        if images.shape[-1] != size:
            images = functional.avg_pool2d(images, detail)
        code: Tensor = self.encoder(images, self._fade)
        return code

    def decode(self, code: Tensor, identity: str, *, fine: bool = False) -> Decoded:
        """Codes `(N, code)` as one person's face.

        Args:
            code: What the face does.
            identity: Whose it is to be.
            fine: Whether it is shown as fine as the stills are (`CombSpec.detail`), and not as it is learnt.

        Raises:
            UsageError: There is no decoder of that name.
        """
        index, detail = self.number(identity), self._spec.detail if fine else 1
        guise = self.guise(index).of(code.shape[0])
        return self._trunk(index)(code, guise, self._fade, detail)  # type: ignore[no-any-return]

    def place_each(self, code: Tensor, who: Sequence[int]) -> Tensor:
        """`(N, J, 2)`: where the landmarks of codes `(N, code)` are, each as the person of that number.

        Raises:
            ShapeError: It has no stills, and so no landmarks.
        """
        if self._spec.shared:
            return self.trunks[0].place(code, self._guises(who, code))  # type: ignore[operator, no-any-return]
        rows = [self._trunk(k).place(code[n : n + 1], self.guise(k)) for n, k in enumerate(who)]  # type: ignore[operator]
        return torch.cat(rows)

    def decode_each(self, code: Tensor, who: Sequence[int]) -> Decoded:
        """Codes `(N, code)`, each as the face of the person of that number (in `spec.identities`)."""
        if self._spec.shared:
            return self.trunks[0](code, self._guises(who, code), self._fade)  # type: ignore[no-any-return]
        order = sorted(range(len(who)), key=lambda place: who[place])
        back = sorted(range(len(who)), key=lambda place: order[place])
        groups = {index: [place for place in order if who[place] == index] for index in sorted(set(who))}
        parts = [self.decode(code[places], self._spec.identities[index]) for index, places in groups.items()]
        return Decoded(*(torch.cat(list(planes))[back] for planes in zip(*parts, strict=True)))

    def _guises(self, who: Sequence[int], code: Tensor) -> Guise:
        """Of people who share a trunk, by their numbers."""
        self._demand_stills()
        index = torch.tensor(who, device=code.device)
        return Guise(self.styles[index], self.stills[index], self.points[index])

    def forward(self, images: Tensor, identity: str) -> Decoded:
        """Pictures `(N, 3, S, S)` of anybody as one person's face."""
        return self.decode(self.encode(images), identity)

    def morphed(self, code: Tensor, identity_a: str, identity_b: str, amount: float | Tensor) -> Decoded:
        """Codes as a face between two people's: all weights of the decoders are mixed, as is the style.

        Sound only for decoders with an ancestor in common (Frankle et al., Linear Mode Connectivity, ICML 2020). Mixes
        anew at each call, and not for several threads at once; `between` is for both.

        Args:
            code: `(N, code)`.
            identity_a: Amount 0.
            identity_b: Amount 1.
            amount: Anything between, one for all of the batch.

        Raises:
            UsageError: There is no decoder of such a name.
        """
        first, second = self.number(identity_a), self.number(identity_b)
        amount = torch.as_tensor(amount, dtype=code.dtype, device=code.device)
        guise = self.guise(first).towards(self.guise(second), amount).of(code.shape[0])
        trunk, other = self._trunk(first), dict(self._trunk(second).named_parameters())
        mixed = {name: torch.lerp(value, other[name], amount) for name, value in trunk.named_parameters()}
        return torch.func.functional_call(trunk, mixed, (code, guise, self._fade))  # type: ignore[no-any-return]

    def between(self, identity_a: str, identity_b: str, amount: float) -> Decoder:
        """A decoder of its own for a face between two people's, as `morphed` gives it, shown as fine as stills are.

        Raises:
            UsageError: There is no decoder of such a name.
        """
        first, second = self.number(identity_a), self.number(identity_b)
        trunk, other = copy.deepcopy(self._trunk(first)), dict(self._trunk(second).named_parameters())
        with torch.no_grad():
            for name, value in trunk.named_parameters():
                value.lerp_(other[name], amount)
        guise = self.guise(first).towards(self.guise(second), torch.as_tensor(amount, device=self.styles.device))
        return Decoder(trunk, Guise(*(part.detach() for part in guise)), self._fade, self._spec.detail)

    def guise(self, index: int) -> Guise:
        """What tells the trunk to show the person of a number, one row each.

        Raises:
            UsageError: It is a base that was given no stills.
        """
        self._demand_stills()
        own = slice(index, index + 1)
        return Guise(self.styles[own], self.stills[own], self.points[own])

    def number(self, identity: str) -> int:
        """Number of a person among `spec.identities`.

        Raises:
            UsageError: There is none of that name.
        """
        if identity not in self._spec.identities:
            names = ", ".join(self._spec.identities[:_NAMED])
            more = len(self._spec.identities) - _NAMED
            also = f" and {more} more" if more > 0 else ""
            raise UsageError(f"the model has no identity {identity!r}; it has {names}{also}")
        return self._spec.identities.index(identity)

    def _demand_stills(self) -> None:
        if len(self.stills) < len(self._spec.identities):
            raise UsageError("a base shows nobody before it is given stills; train on it, with vfxswap train")

    def _trunk(self, index: int) -> nn.Module:
        return self.trunks[0 if self._spec.shared else index]

    def grown(self, *, width: int | None = None) -> Comb:
        """The same with pictures of twice the side, of which it makes as yet what it made of the smaller ones.

        Args:
            width: Channels of the level that is added; None is half of the finest one's, 16 or more.
        """
        widths = (*self._spec.widths, width or max(16, self._spec.widths[-1] // 2))
        spec = replace(self._spec, size_px=2 * self._spec.size_px, widths=widths, fade=0.0)
        return _carried(self, Comb(spec))

    def faded(self, fade: float) -> None:
        """Fades the finest level in, 0..1, for good at 1."""
        self._fade = min(max(fade, 0.0), 1.0) if self._spec.fade < 1 else 1.0

    def settled(self) -> Comb:
        """Without the way in and out that a level that is faded in for good leaves behind; itself if there is none."""
        if self._fade < 1 or self._spec.fade == 1:
            return self
        return _carried(self, Comb(self.spec))

    def recast(self, identities: Sequence[str], styles: Tensor, stills: Tensor, points: Tensor) -> Comb:
        """The same encoder for other people, each with a trunk of their own, which is a copy of this one's.

        Args:
            identities: Their names.
            styles: `(len(identities), style)` to start from.
            stills: To start from, as `dress` takes them, of any side.
            points: Theirs.

        Raises:
            UsageError: The people here have trunks of their own; there is none to copy.
        """
        if not self._spec.shared:
            raise UsageError("only a base, whose people share one trunk, can be given other people")
        who, side = tuple(identities), stills.shape[-1]
        comb = Comb(replace(self._spec, identities=who, shared=False, still_px=side, fade=self._fade))
        comb.encoder.load_state_dict(self.encoder.state_dict())
        for trunk in comb.trunks:
            trunk.load_state_dict(copy.deepcopy(self.trunks[0].state_dict()))
        with torch.no_grad():
            comb.styles.copy_(styles)
        comb.dress(stills, points)
        return comb.to(self.styles.device)


def _carried(old: Comb, new: Comb) -> Comb:
    """The new one with all weights of the old that have a place in it."""
    state, mine = new.state_dict(), old.state_dict()
    new.load_state_dict({name: mine.get(name, value) for name, value in state.items()})
    new.dress(old.stills.detach().clone(), old.points)
    return new.to(old.styles.device)
