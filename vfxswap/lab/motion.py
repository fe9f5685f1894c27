"""Performances: pose, speech, blinks and gaze as functions of time, from a seed."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache, cached_property

import torch
from pydantic import BaseModel, ConfigDict, Field

from vfxswap.geometry import Pose
from vfxswap.lab.expression import Expression
from vfxswap.lab.performer import Stance

_KEYS = 240
"""Keys of each random track; a performance repeats after them (some 20 to 100 seconds)."""


class Acting(BaseModel):
    """How a performer plays a shot."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=1, ge=0, lt=2**20, description="Seed of the performance.")
    yaw_degrees: float = Field(default=14.0, ge=0, le=60, description="How far the head turns to either side.")
    pitch_degrees: float = Field(default=6.0, ge=0, le=40, description="How far it nods.")
    roll_degrees: float = Field(default=4.0, ge=0, le=40, description="How far it leans.")
    turn: tuple[float, float] = Field(
        default=(0.0, 0.0), description="Yaw at the first and last frame, degrees, added."
    )
    sway_cm: float = Field(default=1.2, ge=0, le=10, description="How far the head moves from its place.")
    tempo: float = Field(default=1.0, gt=0, le=4, description="Speed of all movements of the head, 1 is calm.")
    talk: float = Field(default=0.0, ge=0, le=1.5, description="Strength of speech, 0 is silent.")
    smile: float = Field(default=0.2, ge=0, le=1, description="How much it smiles.")
    brows: float = Field(default=0.4, ge=0, le=1, description="How lively the brows are.")
    blinks_per_minute: float = Field(default=20.0, ge=0, le=90, description="Rate of blinks; the first comes soon.")
    gaze_degrees: float = Field(default=8.0, ge=0, le=25, description="How far the eyes wander.")


@dataclass(frozen=True)
class Performance:
    """An acting as a function of time."""

    acting: Acting
    length_seconds: float
    """Of the shot, for `Acting.turn`."""
    place_cm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Where the performer stands."""
    walk_cm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """How far it goes from there over the shot."""

    def at(self, seconds: float) -> Stance:
        """The stance at a time since the shot's first frame."""
        acting, slow = self.acting, seconds * self.acting.tempo
        turn = acting.turn[0] + (acting.turn[1] - acting.turn[0]) * _eased(seconds / max(self.length_seconds, 1e-6))
        pose = Pose(
            turn + acting.yaw_degrees * self._drift(0, slow),
            acting.pitch_degrees * self._drift(1, slow),
            acting.roll_degrees * self._drift(2, slow),
        )
        lean = (
            acting.sway_cm * self._drift(3, slow),
            0.4 * acting.sway_cm * self._drift(4, slow),
            1.2 * acting.sway_cm * self._drift(5, slow),
        )
        return Stance(pose, self._stand(seconds), lean, self._expression(seconds))

    def _stand(self, seconds: float) -> tuple[float, float, float]:
        part = min(1.0, max(0.0, seconds / max(self.length_seconds, 1e-6)))
        x, y, z = (place + part * walk for place, walk in zip(self.place_cm, self.walk_cm, strict=True))
        return x, y, z

    def _expression(self, seconds: float) -> Expression:
        acting = self.acting
        jaw, pucker, lip, stretch = (acting.talk * value for value in self._speech(seconds))
        mood = 0.5 + 0.5 * self._drift(6, seconds)
        blink = self._blink(seconds)
        gaze = self._gaze(seconds)
        return Expression(
            jaw=0.62 * jaw,
            smile=acting.smile * mood + 0.25 * stretch,
            pucker=0.8 * pucker,
            lip_raise=0.5 * lip,
            brow=acting.brows * self._drift(7, 1.6 * seconds),
            squint=0.7 * acting.smile * mood,
            blink_left=blink,
            blink_right=blink,
            gaze_x=acting.gaze_degrees * gaze[0],
            gaze_y=0.5 * acting.gaze_degrees * gaze[1],
        )

    def _drift(self, track: int, seconds: float) -> float:
        """Slow wandering, -1..1: three sines whose rates have no common period."""
        phases = self._tables[0][3 * track : 3 * track + 3]
        rates = (0.23 + 0.031 * track, 0.41 - 0.017 * track, 0.71 + 0.023 * track)
        waves = (math.sin(2 * math.pi * (rate * seconds + phase)) for rate, phase in zip(rates, phases, strict=True))
        return sum(share * wave for share, wave in zip((0.55, 0.30, 0.15), waves, strict=True))

    def _speech(self, seconds: float) -> tuple[float, float, float, float]:
        """Jaw, pucker, lip and stretch, 0..1: about five syllables a second, in phrases."""
        place = seconds * 9.6
        low = math.floor(place)
        part = _eased(place - low)
        before, after = (self._viseme(low + step) for step in (0, 1))
        jaw, pucker, lip, stretch = (a + (b - a) * part for a, b in zip(before, after, strict=True))
        phrase = min(1.0, max(0.0, 1.6 + 2.5 * math.sin(2 * math.pi * (0.29 * seconds + 0.15))))
        return jaw * phrase, pucker * phrase, lip * phrase, stretch * phrase

    def _viseme(self, number: int) -> tuple[float, float, float, float]:
        a, b, c, d = self._tables[1][number % _KEYS]
        if number % 2 == 0:  # a consonant: nearly shut
            return 0.12 * a, 0.35 * b * b, 0.4 * c, 0.3 * d
        return 0.35 + 0.65 * a, b**4, 0.7 * c, d * (1 - b)

    def _blink(self, seconds: float) -> float:
        """How far the lids are shut, 0..1: 0.1 s down, 0.2 s up."""
        if self.acting.blinks_per_minute == 0:
            return 0.0
        mean = 60.0 / self.acting.blinks_per_minute
        times = self._blink_times
        cycle = seconds % (times[-1] * mean + mean)
        index = bisect_right(times, cycle / mean) - 1
        since = cycle - times[max(index, 0)] * mean if index >= 0 else -1.0
        if since < 0 or since > 0.34:
            return 0.0
        return _eased(since / 0.10) if since < 0.10 else 1 - _eased((since - 0.13) / 0.20)

    @cached_property
    def _blink_times(self) -> tuple[float, ...]:
        """Times of the blinks in mean intervals; the first after 0.15 to 0.45."""
        times = [0.15 + 0.3 * self._tables[1][50][0]]
        for key in self._tables[1][:40]:
            times.append(times[-1] + 0.5 + key[0])
        return tuple(times)

    def _gaze(self, seconds: float) -> tuple[float, float]:
        """Fixations of about 0.8 s with quick jumps between them, -1..1."""
        place = seconds / 0.8
        low = math.floor(place)
        start = 0.25 * self._tables[1][low % _KEYS][2]
        part = _eased((place - low - start) / 0.07)
        (ax, ay), (bx, by) = (
            (2 * key[0] - 1, 2 * key[1] - 1) for key in (self._fixation(low), self._fixation(low + 1))
        )
        return ax + (bx - ax) * part, ay + (by - ay) * part

    def _fixation(self, number: int) -> tuple[float, ...]:
        return self._tables[1][(7 * number + 3) % _KEYS]

    @cached_property
    def _tables(self) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
        return _random_tables(self.acting.seed)


@cache
def _random_tables(seed: int) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
    """Phases of the slow waves, and keys of four numbers 0..1."""
    generator = torch.Generator().manual_seed(seed)
    phases = torch.rand(36, generator=generator, device="cpu").tolist()
    keys = torch.rand(_KEYS, 4, generator=generator, device="cpu").tolist()
    return tuple(phases), tuple(tuple(key) for key in keys)


def _eased(part: float) -> float:
    """0..1 with a soft start and end, clamped."""
    part = min(1.0, max(0.0, part))
    return part * part * (3 - 2 * part)
