"""What a comb is built from, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from vfxswap.errors import UsageError

_WHOLE = ("size_px", "code", "style", "stills", "still_px", "points")
"""The keys of whole numbers."""


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
    stills: int = 0
    """Stills of each person; 0 is none: a decoder paints all by itself."""
    still_px: int = 128
    """Side of the stills; where it is twice the pictures' or more, faces can be shown so much finer than they are
    learnt."""
    points: int = 68
    """Landmarks of each still."""
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
        if self.stills < 0 or self.still_px < 1 or self.points < 3:
            return (
                f"stills have a side and three points or more; got {self.stills} of {self.still_px} px, {self.points}"
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

    @property
    def detail(self) -> int:
        """How many times finer than the pictures it learns a face can be shown, by the fineness of its stills."""
        return _detail(self.size_px, self.stills, self.still_px)

    def unlike(self, wanted: CombSpec) -> str:
        """What keeps a network like this from being trained on as one that is wanted; empty if nothing does."""
        for word in ("size_px", "widths", "code", "style", "stills", "points"):
            have, want = getattr(self, word), getattr(wanted, word)
            if have != want:
                return (
                    f"has {word} {_said(have)}, and the training begins with {_said(want)}: change the training file"
                    ' ([train] size, start_size, widths, code, style, stills) or say init = "none"'
                )
        if self.shared:
            return ""
        if self.identities == wanted.identities and not wanted.shared:
            if self.stills and self.still_px != wanted.still_px:
                return f"has stills of {self.still_px} px, which it goes on with: say still_size = {self.still_px}"
            return ""
        return (
            f"was trained for {', '.join(self.identities)}, each with a decoder of their own, and cannot become"
            f" {', '.join(wanted.identities)}; start from a base, or from noise"
        )

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
        integers = [
            *(data[name] for name in ("size_px", "code", "style", "stills", "still_px", "points")),
            *_items(data["widths"]),
        ]
        if (
            any(type(value) is not int for value in integers)
            or not all(isinstance(name, str) for name in _items(data["identities"]))
            or type(data["shared"]) is not bool
            or type(data["fade"]) not in {int, float}
        ):
            raise UsageError(f"a comb's description holds values of the wrong kind: {dict(data)!r}")
        lists = {name: tuple(_items(data[name])) for name in ("widths", "identities")}
        return cls(**{**data, **lists, "fade": float(data["fade"])})


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def shown_px(spec: Mapping[str, Any]) -> int:
    """Side of the crops in which a trained net shows faces, by its spec as JSON has it; of any architecture."""
    size = int(spec["size_px"])
    return size * _detail(size, int(spec.get("stills", 0)), int(spec.get("still_px", size)))


def _detail(size_px: int, stills: int, still_px: int) -> int:
    return max(1, still_px // size_px) if stills else 1


def _items(value: object) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise UsageError(f"a comb's description has a list there, not {value!r}")
    return value


def ways(spec: CombSpec) -> range:
    """The levels that have a way in and out: the finest, and while it is faded in the one before."""
    top = len(spec.widths) - 1
    return range(top - (spec.fade < 1), top + 1)
