"""Who plays in a set of the lab, and what: takes of performers, ready to be drawn by any worker."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from vfxswap.errors import UsageError
from vfxswap.lab.chance import WIDE, Range
from vfxswap.lab.closeup import bare
from vfxswap.lab.looks import Looks, random_looks
from vfxswap.lab.performer import Detail, make_performer
from vfxswap.lab.scene import Scene
from vfxswap.lab.takes import RandomTake, Take

_FACE_CM = 24.5
"""About how much a whole-face crop shows across."""


def detail_for(size_px: int) -> Detail:
    """How finely a performer is built for crops of a size: a texel for each of the finer pixels that are drawn."""
    return Detail.for_scale(1.6 * size_px / _FACE_CM)


def built(looks: Looks, face: Looks | None, size_px: int) -> Scene:
    """A performer, with another's face if one is given, ready for close-ups of a size."""
    performer = make_performer(looks, detail_for(size_px))
    scene = bare(performer if face is None else performer.wearing(face))
    make_performer.cache_clear()  # hundreds of performers pass here; each would stay
    return scene


@dataclass(frozen=True, slots=True)
class Cast:
    """One performer's part of a set."""

    name: str
    """Of its folder."""
    takes: tuple[tuple[Take, int], ...]
    """What it plays, and how many pictures of each; all takes are of one performer."""
    face: Looks | None = None
    """Whose face the truth shows; None writes no truth."""

    @property
    def looks(self) -> Looks:
        """Who it is."""
        return self.takes[0][0].looks

    @property
    def count(self) -> int:
        """Pictures in all."""
        return sum(count for _, count in self.takes)

    def pictures(self) -> list[tuple[Take, int]]:
        """The take and the number in it, from 1, of every picture."""
        return [(take, number) for take, count in self.takes for number in range(1, count + 1)]


def random_casts(
    performers: int, pictures: int, *, seed: int = 0, first: int = 0, limits: Range = WIDE, truths: bool = False
) -> list[Cast]:
    """Performers drawn at random, each in circumstances drawn at random.

    Args:
        performers: How many.
        pictures: Of each.
        seed: Of the circumstances.
        first: Seed of the first performer; the others follow.
        limits: How far the circumstances go.
        truths: Whether each picture is drawn with the next performer's face too.

    Raises:
        UsageError: A number is not positive.
    """
    if performers < 1 or pictures < 1 or seed < 0 or first < 0:
        raise UsageError(
            f"a set needs 1 or more performers and pictures, and seeds of 0 or more; got {performers} performers,"
            f" {pictures} pictures, seed {seed}, first {first}"
        )
    looks = [random_looks(first + number) for number in range(performers + 1)]
    return [
        Cast(f"performer_{first + k:04d}", ((RandomTake(own, seed, limits), pictures),), other if truths else None)
        for k, (own, other) in enumerate(pairwise(looks))
    ]
