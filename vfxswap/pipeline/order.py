"""Whether the stages stand in an order that can work, by what each needs and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vfxswap.errors import Problem
from vfxswap.pipeline.plan import stage_label
from vfxswap.stage import KINDS, Asset, Stage

if TYPE_CHECKING:
    from vfxswap.host import StageEntry

ASSET_WORDS: dict[Asset, str] = {
    "faces": "detected faces",
    "landmarks": "landmarks",
    "crops": "crops",
    "swapped": "swapped faces",
    "matte": "a matte",
    "result": "a blended picture",
}
"""What stages hand on, in words."""
_PASTED: frozenset[Asset] = frozenset({"swapped", "matte"})
"""What is only seen in the delivery once it is blended."""


@dataclass(frozen=True, slots=True)
class Link:
    """A stage in the chain: where it stands, and its class or, where that cannot be had, the class of its kind."""

    index: int
    name: str
    cls: type[Stage[Any]]

    @property
    def label(self) -> str:
        """As messages name it."""
        return stage_label(self.index, self.name)


def order_problems(links: Sequence[Link], offered: Mapping[str, StageEntry]) -> list[tuple[int, Problem]]:
    """What is wrong with the order, each with the place of the stage that is blamed.

    Args:
        links: The stages as they stand in the file.
        offered: All stages of this machine, to name some that would help.
    """
    return [*_unmet(links, offered), *_replacing(links), *_late(links), *_unblended(links, offered)]


def _unmet(links: Sequence[Link], offered: Mapping[str, StageEntry]) -> list[tuple[int, Problem]]:
    """Stages that need what no stage before them gives; each lack is told once, at the first that has it."""
    problems: list[tuple[int, Problem]] = []
    there: set[Asset] = set()
    for place, link in enumerate(links):
        lacking = [asset for asset in ASSET_WORDS if asset in link.cls.needs - there]
        problems += [(link.index, _lack(link, asset, links[place + 1 :], offered)) for asset in _roots(lacking)]
        there |= link.cls.gives | set(lacking)
    return problems


def _roots(assets: Sequence[Asset]) -> list[Asset]:
    """Leaves out what comes from the same stage as another one: who lacks landmarks lacks crops."""
    kept: list[Asset] = []
    for asset in assets:
        if not any(set(_givers(asset)) & set(_givers(other)) for other in kept):
            kept.append(asset)
    return kept


def _lack(link: Link, asset: Asset, later: Sequence[Link], offered: Mapping[str, StageEntry]) -> Problem:
    giver = next((other for other in later if asset in other.cls.gives and asset not in other.cls.needs), None)
    if giver is not None:
        message = f"needs {ASSET_WORDS[asset]}, which {giver.label} gives only after it; move {giver.label} before it"
    else:
        advice = _advice(_givers(asset), offered)
        message = f"needs {ASSET_WORDS[asset]}, which no stage before it gives; put {advice} before it"
    return Problem(message, stage=link.label)


def _replacing(links: Sequence[Link]) -> list[tuple[int, Problem]]:
    """Stages that give faces anew when those that were there have been worked on."""
    worked = next((place for place, link in enumerate(links) if "landmarks" in link.cls.gives), len(links))
    late = [link for link in links[worked + 1 :] if "faces" in link.cls.gives]
    message = "gives faces anew, by which {} has worked already; move it before"
    return [(link.index, Problem(message.format(links[worked].label), stage=link.label)) for link in late]


def _late(links: Sequence[Link]) -> list[tuple[int, Problem]]:
    """Stages that move landmarks when crops by the old ones have been worked on."""
    worked = next((place for place, link in enumerate(links) if link.cls.gives & _PASTED), len(links))
    late = [link for link in links[worked + 1 :] if {"landmarks", "crops"} <= link.cls.gives & link.cls.needs]
    message = "moves landmarks by which {} has worked already; move it before"
    return [(link.index, Problem(message.format(links[worked].label), stage=link.label)) for link in late]


def _unblended(links: Sequence[Link], offered: Mapping[str, StageEntry]) -> list[tuple[int, Problem]]:
    """Stages whose work is never seen, because no blend comes after them."""
    last = max((place for place, link in enumerate(links) if "result" in link.cls.gives), default=-1)
    idle = [link for link in links[last + 1 :] if link.cls.gives & _PASTED]
    if last >= 0:
        message = f"stands after {links[last].label}, which has blended the face already; move it before"
        return [(link.index, Problem(message, stage=link.label)) for link in idle]
    message = (
        f"what it makes is never blended into the plate; end the stages with {_advice(_givers('result'), offered)}"
    )
    return [(link.index, Problem(message, stage=link.label)) for link in idle[-1:]]


def _givers(asset: Asset) -> list[str]:
    """Kinds of stages that give an asset without needing it."""
    return [kind for kind, cls in KINDS.items() if asset in cls.gives and asset not in cls.needs]


def _advice(kinds: Sequence[str], offered: Mapping[str, StageEntry]) -> str:
    """`a detector stage (tracks, yunet)`."""
    names = sorted(name for name, entry in offered.items() if entry.offer.kind in kinds)
    article = "an" if kinds and kinds[0].startswith("a") else "a"
    return f"{article} {' or '.join(kinds)} stage" + (f" ({', '.join(names)})" if names else "")
