"""Takes: close-ups by number, drawn at random or played as a shot is.

A take is data, so that any worker can be told to draw any part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from vfxswap.lab.backdrop import backdrop
from vfxswap.lab.chance import WIDE, Range, drawn
from vfxswap.lab.closeup import Closeup, Finish
from vfxswap.lab.looks import Looks
from vfxswap.lab.play import Stage, build
from vfxswap.lab.shot import ShotSpec

_ROOM_PX = 192
_SMALLEST = (64, 36)
"""A shot's movements are asked of a stage that is built as small as can be; nothing is rendered on it."""


@dataclass(frozen=True)
class RandomTake:
    """Close-ups that have nothing to do with one another."""

    looks: Looks
    seed: int = 0
    limits: Range = WIDE

    @property
    def source(self) -> str:
        """Name for the records."""
        return f"lab-random-{self.seed}"

    def closeup(self, number: int) -> Closeup:
        """What close-up `number` shows; frames count from 1."""
        return drawn(self.looks, self.seed, number, self.limits)


@dataclass(frozen=True)
class PlayedTake:
    """One performer's face through a shot, as a tracker that is never wrong would follow it."""

    spec: ShotSpec
    role: int = 0
    step: int = 1
    """Every how manieth frame of the shot."""

    @property
    def looks(self) -> Looks:
        """Who plays."""
        return self.spec.roles[self.role].looks

    @property
    def source(self) -> str:
        """Name for the records."""
        return self.spec.name

    @property
    def count(self) -> int:
        """How many close-ups there are."""
        first, last = self.spec.frames
        return (last - first) // self.step + 1

    def closeup(self, number: int) -> Closeup:
        """Close-up `number`, from 1, of the take; with the shot's light, lens and grain."""
        frame = self.spec.frames[0] + (number - 1) * self.step
        lens, stage = self.spec.lens, self._stage
        middle = stage.instant(frame)
        shutter = [lens.shutter * ((slot + 0.5) / lens.samples - 0.5) for slot in range(lens.samples)]
        return Closeup(
            stance=middle.stances[self.role],
            lighting=middle.lighting,
            room=backdrop(_ROOM_PX, _ROOM_PX, self.spec.seed),
            camera=self.spec.camera_at(frame),
            finish=Finish(grain=lens.grain, seed=self.spec.seed * 100_003 + frame),
            path=tuple(stage.instant(frame + part).stances[self.role] for part in shutter),
            shadows=self.spec.lights.shadows,
        )

    @cached_property
    def _stage(self) -> Stage:
        return build(self.spec, width=_SMALLEST[0], height=_SMALLEST[1])


Take = RandomTake | PlayedTake
