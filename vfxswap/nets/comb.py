"""The comb: one encoder for everybody, a decoder for each person.

What the encoder makes of a face is one short code of what the face does: expression, pose, gaze, light. Whose face it
is must come from the decoder, so a code of one person's performance decodes as anyone's. (Naruniec, Helminger, Schroers
and Weber: High-Resolution Neural Face Swapping for Visual Effects, EGSR 2020. The levels that are added as it grows,
and how they are faded in: Karras, Aila, Laine and Lehtinen: Progressive Growing of GANs, ICLR 2018.)

A decoder is a trunk and a style: a vector that says who. People may share one trunk, which a base does that has seen
hundreds; for a production each gets a trunk of its own, all of them copies of the base's at first. As they have that
ancestor in common, what lies between two of them is a decoder too, and so one face can become another by degrees.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vfxswap.errors import ShapeError, UsageError
from vfxswap.nets.blocks import Down, FilmResidual, Residual, Up, conv3, normed, rectified

ARCHITECTURE = "comb-1"
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


@dataclass(frozen=True)
class CombSpec:
    """Everything that a comb is built from."""

    size_px: int
    """Side of the pictures."""
    identities: tuple[str, ...]
    """Who has a decoder."""
    widths: tuple[int, ...] = (160, 160, 128, 64, 32)
    """Channels of the levels, the coarsest first; each has twice the side of the one before, the last half the
    picture's."""
    code: int = 256
    """Numbers in a code."""
    style: int = 64
    """Numbers in a style."""
    shared: bool = False
    """Whether all share one trunk."""
    fade: float = 1.0
    """How far the finest level is faded in, 0..1; below 1 the one before it still has its own way in and out."""

    def __post_init__(self) -> None:
        if problem := self._problem():
            raise UsageError(problem)

    def _problem(self) -> str:
        parts, side = 2 ** len(self.widths), self.size_px / 2 ** len(self.widths)
        if not self.widths or min(*self.widths, self.code, self.style) < 1:
            return f"a comb needs levels, and widths, code and style of 1 or more; got {self}"
        if side != int(side) or not 1 <= side <= 16:
            return (
                f"{len(self.widths)} levels halve {self.size_px} pixels to {side:g}; the coarsest level must be 1 to 16"
                f" whole pixels wide: choose a size that {parts} divides, or other widths"
            )
        if len(set(self.identities)) != len(self.identities) or not all(self.identities):
            return f"identities must have names, each its own; got {', '.join(self.identities)}"
        if not 0 <= self.fade <= 1 or (self.fade < 1 and len(self.widths) < 2):
            return f"fade must be 0..1, and 1 for a single level; got {self.fade:g}"
        return ""

    @property
    def side_px(self) -> int:
        """Side of the coarsest level."""
        return int(self.size_px >> len(self.widths))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CombSpec:
        """Reads what `to_dict` gave.

        Raises:
            UsageError: A key is unknown, missing, or holds something else than it must.
        """
        known = {field.name for field in fields(cls)}
        if set(data) != known:
            odd = ", ".join(sorted(set(data) ^ known))
            raise UsageError(f"a comb's description has the keys {', '.join(sorted(known))}; wrong or missing: {odd}")
        integers = [data["size_px"], data["code"], data["style"], *_items(data["widths"])]
        if (
            any(type(value) is not int for value in integers)
            or not all(isinstance(name, str) for name in _items(data["identities"]))
            or type(data["shared"]) is not bool
            or type(data["fade"]) not in {int, float}
        ):
            raise UsageError(f"a comb's description holds values of the wrong kind: {dict(data)!r}")
        lists = {name: tuple(_items(data[name])) for name in ("widths", "identities")}
        return cls(**{**data, **lists, "fade": float(data["fade"])})


def _items(value: object) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise UsageError(f"a comb's description has a list there, not {value!r}")
    return value


class Encoder(nn.Module):
    """Pictures to codes."""

    def __init__(self, spec: CombSpec) -> None:
        super().__init__()
        widths = spec.widths
        self.stems = nn.ModuleDict({str(k): conv3(12, widths[k]) for k in _ways(spec)})
        self.blocks = nn.ModuleList(Residual(width) for width in widths)
        self.downs = nn.ModuleList(Down(fine, coarse) for coarse, fine in pairwise(widths))
        self.line = nn.Linear(widths[0] * spec.side_px**2, spec.code)

    def forward(self, images: Tensor, fade: float) -> Tensor:
        """`(N, 3, S, S)` 0..1 to `(N, code)`, normed."""
        top = len(self.blocks) - 1
        features = self._seen(images, top)
        for level in range(top, -1, -1):
            features = self.blocks[level](features)
            if level:
                features = self.downs[level - 1](features)
            if level == top and fade < 1:
                features = torch.lerp(self._seen(functional.avg_pool2d(images, 2), top - 1), features, fade)
        return normed(self.line(normed(features).flatten(1)))

    def _seen(self, images: Tensor, level: int) -> Tensor:
        stem = self.stems[str(level)]
        return rectified(stem(_for(stem, functional.pixel_unshuffle(2 * images - 1, 2))))


class Trunk(nn.Module):
    """Codes and styles to pictures."""

    def __init__(self, spec: CombSpec) -> None:
        super().__init__()
        widths, told = spec.widths, spec.code
        self.side = spec.side_px
        self.told = nn.Linear(spec.code + spec.style, told)
        self.line = nn.Linear(spec.code, widths[0] * self.side**2)
        self.blocks = nn.ModuleList(FilmResidual(width, told) for width in widths)
        self.ups = nn.ModuleList(Up(coarse, fine) for coarse, fine in pairwise(widths))
        self.heads = nn.ModuleDict({str(k): Up(widths[k], 4, gain=0.3) for k in _ways(spec)})

    def forward(self, code: Tensor, style: Tensor, fade: float) -> Decoded:
        """`(N, code)` and `(N, style)` to pictures."""
        told = rectified(self.told(torch.cat([code, style], 1)))
        features = self.line(code).unflatten(1, (-1, self.side, self.side))
        coarse, top = None, len(self.blocks) - 1
        for level, block in enumerate(self.blocks):
            features = block(features, told)
            if level == top - 1 and fade < 1:
                coarse = functional.interpolate(self._shown(features, level), scale_factor=2.0, mode="nearest")
            if level < top:
                features = self.ups[level](features)
        shown = self._shown(features, top)
        if coarse is not None:
            shown = torch.lerp(coarse, shown, fade)
        return Decoded(shown[:, :3] + 0.5, torch.sigmoid(shown[:, 3:]))

    def _shown(self, features: Tensor, level: int) -> Tensor:
        head = self.heads[str(level)]
        shown: Tensor = head(_for(head, rectified(normed(features))))
        return shown


def _for(module: nn.Module, values: Tensor) -> Tensor:
    """Values of the kind that a module's weights are of, if it has some."""
    return values.to(next((weight.dtype for weight in module.parameters()), values.dtype))


def lower(net: nn.Module, kind: torch.dtype) -> None:
    """Makes a comb or a decoder compute in fewer bits, but for the last step, whose rounding would be seen as bands."""
    net.to(kind)
    for module in net.modules():
        if isinstance(module, Trunk):
            module.heads.float()


class Decoder(nn.Module):
    """A trunk and a style: one person, or somebody between two."""

    def __init__(self, trunk: nn.Module, style: Tensor, fade: float) -> None:
        super().__init__()
        self.trunk, self.fade = trunk, fade
        self.register_buffer("style", style)

    def forward(self, code: Tensor) -> Decoded:
        """Codes `(N, code)` as this one's face."""
        style: Tensor = self.get_buffer("style")
        return self.trunk(code, style.expand(code.shape[0], -1), self.fade)  # type: ignore[no-any-return]


def _ways(spec: CombSpec) -> range:
    """The levels that have a way in and out: the finest, and while it is faded in the one before."""
    top = len(spec.widths) - 1
    return range(top - (spec.fade < 1), top + 1)


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

    @property
    def spec(self) -> CombSpec:
        """What it is built from, as far as it is faded in now."""
        return replace(self._spec, fade=self._fade)

    def encode(self, images: Tensor) -> Tensor:
        """What faces do: `(N, 3, S, S)` R'G'B' 0..1 to codes `(N, code)`.

        Raises:
            ShapeError: The pictures are of another size.
        """
        size = self._spec.size_px
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, size, size):
            raise ShapeError("pictures for a comb", expected=f"(N, 3, {size}, {size})", actual=str(tuple(images.shape)))
        code: Tensor = self.encoder(images, self._fade)
        return code

    def decode(self, code: Tensor, identity: str) -> Decoded:
        """Codes `(N, code)` as one person's face.

        Raises:
            UsageError: There is no decoder of that name.
        """
        index = self.number(identity)
        return self._trunk(index)(code, self.styles[index].expand(code.shape[0], -1), self._fade)  # type: ignore[no-any-return]

    def decode_each(self, code: Tensor, who: Sequence[int]) -> Decoded:
        """Codes `(N, code)`, each as the face of the person of that number (in `spec.identities`)."""
        if self._spec.shared:
            index = torch.tensor(who, device=code.device)
            return self.trunks[0](code, self.styles[index], self._fade)  # type: ignore[no-any-return]
        order = sorted(range(len(who)), key=lambda place: who[place])
        back = sorted(range(len(who)), key=lambda place: order[place])
        groups = {index: [place for place in order if who[place] == index] for index in sorted(set(who))}
        parts = [self.decode(code[places], self._spec.identities[index]) for index, places in groups.items()]
        return Decoded(*(torch.cat(list(planes))[back] for planes in zip(*parts, strict=True)))

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
        style = torch.lerp(self.styles[first], self.styles[second], amount).expand(code.shape[0], -1)
        trunk, other = self._trunk(first), dict(self._trunk(second).named_parameters())
        mixed = {name: torch.lerp(value, other[name], amount) for name, value in trunk.named_parameters()}
        return torch.func.functional_call(trunk, mixed, (code, style, self._fade))  # type: ignore[no-any-return]

    def between(self, identity_a: str, identity_b: str, amount: float) -> Decoder:
        """A decoder of its own for a face between two people's, as `morphed` gives it.

        Raises:
            UsageError: There is no decoder of such a name.
        """
        first, second = self.number(identity_a), self.number(identity_b)
        trunk, other = copy.deepcopy(self._trunk(first)), dict(self._trunk(second).named_parameters())
        with torch.no_grad():
            for name, value in trunk.named_parameters():
                value.lerp_(other[name], amount)
        style = torch.lerp(self.styles[first], self.styles[second], amount).detach()
        return Decoder(trunk, style, self._fade)

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

    def recast(self, identities: Sequence[str], styles: Tensor) -> Comb:
        """The same encoder for other people, each with a trunk of their own, which is a copy of this one's.

        Args:
            identities: Their names.
            styles: `(len(identities), style)` to start from.

        Raises:
            UsageError: The people here have trunks of their own; there is none to copy.
        """
        if not self._spec.shared:
            raise UsageError("only a base, whose people share one trunk, can be given other people")
        comb = Comb(replace(self._spec, identities=tuple(identities), shared=False, fade=self._fade))
        comb.encoder.load_state_dict(self.encoder.state_dict())
        for trunk in comb.trunks:
            trunk.load_state_dict(copy.deepcopy(self.trunks[0].state_dict()))
        with torch.no_grad():
            comb.styles.copy_(styles)
        return comb.to(self.styles.device)


def _carried(old: Comb, new: Comb) -> Comb:
    """The new one with all weights of the old that have a place in it."""
    state, mine = new.state_dict(), old.state_dict()
    new.load_state_dict({name: mine.get(name, value) for name, value in state.items()})
    return new.to(old.styles.device)
