"""Faces to train on: read once, kept small, drawn by a rule that has no memory.

A face is five planes of bytes: R'G'B', what of it is face, and where its eyes and mouth are. Which faces a step sees
follows from the seed and the step's number alone, so that a resumed run goes on exactly where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vfxswap.errors import MediaError, UsageError
from vfxswap.faceset import Faceset
from vfxswap.facesets.coverage import openness
from vfxswap.training.drawing import YAW_BINS, mixed_in, shuffled, turns, yaw_bins
from vfxswap.training.marks import MARKS, Guest, Seen, guest, marks, marks_as, seen, shape_at_rest
from vfxswap.training.planes import PLANES, read_face
from vfxswap.training.settings import FEWEST_FACES, Settings, Sources

_FEWEST_HELD_OUT, _MOST_HELD_OUT = 4, 64
_TELLS = 50
"""After so many faces it is told how far the looking through is."""
_SHUT = 0.5
"""Part of a person's usual gap of the lids, below which eyes are shut."""
_BLINKS = 1 << 20
"""First of the streams that draw these, beyond those of all faces."""
Warn = Callable[[str], None]


class Spot(NamedTuple):
    """Where a face is found."""

    faceset: int
    place: int


@dataclass(slots=True)
class Shelf:
    """Faces of one kind: of an identity, or of its pairs.

    Args:
        size_px: Side at which they are given.
        facesets: Where they come from.
        spots: Which of them, in order.
        keep: Whether they stay in memory once read.
    """

    size_px: int
    facesets: tuple[Faceset, ...]
    spots: tuple[Spot, ...]
    keep: bool = True
    _kept: dict[Spot, Tensor] = field(default_factory=dict)
    _seen: dict[Spot, Seen] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.spots)

    def planes(self, places: Sequence[int], pool: ThreadPoolExecutor) -> Tensor:
        """Faces by their place on the shelf, `(N, 5, S, S)` uint8; those not in memory are read on the pool.

        Raises:
            MediaError: A picture cannot be read any more.
        """
        return torch.stack(list(pool.map(self.face, places)))

    def seen(self, places: Sequence[int], pool: ThreadPoolExecutor) -> list[Seen]:
        """What is known of faces by their place on the shelf.

        Raises:
            MediaError: A picture cannot be read any more.
        """
        return list(pool.map(self._known, places))

    def _known(self, place: int) -> Seen:
        spot = self.spots[place]
        if spot not in self._seen:
            self._seen[spot] = seen(self.facesets[spot.faceset], spot.place)
        return self._seen[spot]

    def yaws(self) -> list[float]:
        """Degrees, by place."""
        return [self.facesets[spot.faceset].records[spot.place].yaw for spot in self.spots]

    def blinks(self) -> list[int]:
        """The places at which eyes are more than half shut, held against the median; none where points do not tell."""
        records = [self.facesets[spot.faceset].records[spot.place] for spot in self.spots]
        gaps = np.array([openness(record.landmarks, "eyes") for record in records], float)  # None becomes no number
        if not np.isfinite(gaps).any():
            return []
        return [int(place) for place in np.flatnonzero(gaps < _SHUT * np.nanmedian(gaps))]

    def face(self, place: int) -> Tensor:
        """One face `(5, S, S)` uint8 by its place.

        Raises:
            MediaError: A picture cannot be read any more.
        """
        spot = self.spots[place]
        if spot in self._kept:
            return self._kept[spot]
        face = read_face(self.facesets[spot.faceset], spot.place, self.size_px)
        if self.keep:
            self._kept[spot] = face
        return face


@dataclass(frozen=True, slots=True)
class Draw:
    """Faces of a batch, on the CPU."""

    inputs: Tensor
    """`(N, 5, S, S)` uint8, what the encoder sees."""
    targets: Tensor
    """`(N, 5, S, S)` uint8, what the decoder shall make of it; the same faces but for pairs."""
    who: tuple[int, ...]
    """Number of the decoder for each."""
    paired: int
    """How many at the end are of pairs."""
    points: Tensor
    """`(N, 70, 2)` of the targets, as `vfxswap.training.marks.marks`."""
    others: tuple[int, ...]
    """Number of somebody else for each, where there is somebody."""
    crossed: Tensor
    """`(N, 70, 2)` where the landmarks of the inputs would be on that other's face, as far as that is known."""

    def sized(self, size_px: int) -> Draw:
        """The same, averaged down."""
        if self.inputs.shape[-1] == size_px:
            return self
        return replace(self, inputs=sized(self.inputs, size_px), targets=sized(self.targets, size_px))


@dataclass(frozen=True, slots=True)
class Person:
    """One identity's faces."""

    name: str
    faces: Shelf
    held_out: Shelf
    plates: Shelf
    """Somebody else's faces, of pairs; may be empty."""
    truths: Shelf
    """The same with this identity's."""
    left_out: Mapping[str, str]
    """Files that could not be read, and why."""


class Roll:
    """Everybody's faces, drawn by step.

    Args:
        settings: Whose, and how.
        size_px: Side; changes when a network grows.
        warn: Is told what is odd with them.
        read: Is told which part of them has been looked through, 0..1.
        workers: Threads that read.

    Raises:
        UsageError: Too few of an identity's faces can be read.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        size_px: int,
        warn: Warn,
        read: Callable[[float], None] = lambda _: None,
        workers: int = 2,
    ) -> None:
        self._read, self._seen = read, 0
        self._settings, self._pool = settings, ThreadPoolExecutor(workers, thread_name_prefix="faces")
        share = _memory_share(settings, size_px)
        if share < 1:
            warn(
                f"the faces take {settings.train.cache_gb / max(share, 1e-9):.1f} GB at {size_px} px, more than"
                f" cache_gb = {settings.train.cache_gb:g}: they are read anew each time"
            )
        self.people = tuple(
            self._person(name, sources, size_px, share >= 1, warn) for name, sources in settings.sources.items()
        )
        self._yaw_bins = [yaw_bins(person.faces.yaws()) for person in self.people]
        self._blinks = [self._rare_blinks(person.faces) for person in self.people]
        self._with_pairs = [place for place, person in enumerate(self.people) if len(person.plates)]
        crossing = settings.loss.crossing > 0 and settings.train.stills > 0 and len(self.people) > 1
        self._shapes = [
            shape_at_rest(person.faces.facesets, person.faces.spots) if crossing else None for person in self.people
        ]
        self._guests: dict[tuple[int, int], Guest | None] = {}

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _person(self, name: str, sources: Sources, size_px: int, keep: bool, warn: Warn) -> Person:
        sets, left_out = sources.faces, dict[str, str]()
        learnt, held = [], []
        for number, faceset in enumerate(sets):
            train, kept = _split(faceset, list(self._sound(faceset, left_out)), self._settings.train.held_out)
            learnt += [Spot(number, index) for index in train]
            held += [Spot(number, index) for index in kept]
        plates, truths = _matched(sources.pairs, lambda faceset: set(self._sound(faceset, left_out)))
        if left_out:
            first = next(iter(left_out.items()))
            warn(f"{name}: {len(left_out)} faces cannot be read and are left out, such as {first[0]}: {first[1]}")
        if len(learnt) < FEWEST_FACES // 2:
            raise UsageError(f"identity {name!r} has {len(learnt)} faces that can be read; {FEWEST_FACES} is the least")
        return Person(
            name=name,
            faces=Shelf(size_px, sets, tuple(learnt), keep),
            held_out=Shelf(size_px, sets, tuple(held), keep),
            plates=Shelf(size_px, tuple(one for one, _ in sources.pairs), plates, keep),
            truths=Shelf(size_px, tuple(other for _, other in sources.pairs), truths, keep),
            left_out=left_out,
        )

    def _sound(self, faceset: Faceset, left_out: dict[str, str]) -> Iterator[int]:
        """The faces whose files can be read."""

        def problem(index: int) -> str:
            try:
                faceset.image(index)
                faceset.matte(index)
            except MediaError as error:
                return str(error)
            return ""

        total = sum(map(len, _all_sets(self._settings)))
        for index, said in enumerate(self._pool.map(problem, range(len(faceset)))):
            self._seen += 1
            if self._seen % _TELLS == 0 or self._seen == total:
                self._read(self._seen / total)
            if said:
                left_out[str(faceset.folder / faceset.records[index].file)] = said
            else:
                yield index

    def draw(self, step: int, *, batch: int, lane: int = 0, lanes: int = 1) -> Draw:
        """The faces of a step.

        Args:
            step: From 0.
            batch: How many, over all identities; half of them of pairs where there are pairs.
            lane: Which of several devices that each draw their own.
            lanes: How many of these there are.

        Raises:
            MediaError: A picture cannot be read any more.
        """
        pairs = batch // 2 if self._with_pairs and self._settings.loss.pairs else 0
        inputs, targets, who, others = [], [], [], []
        points: list[Tensor] = []
        crossed: list[Tensor] = []
        turn = step * lanes + lane
        for number, places in self._places(turn, batch - pairs):
            shelf = self.people[number].faces
            planes, known = shelf.planes(places, self._pool), shelf.seen(places, self._pool)
            inputs.append(planes)
            targets.append(planes)
            rivals = [self._other(number, turn + slot) for slot in range(len(places))]
            points += map(marks, known)
            crossed += [marks_as(face, self._guest(number, other)) for face, other in zip(known, rivals, strict=True)]
            who += [number] * len(places)
            others += rivals
        for number, places in self._pair_places(turn, pairs):
            inputs.append(self.people[number].plates.planes(places, self._pool))
            targets.append(self.people[number].truths.planes(places, self._pool))
            points += map(marks, self.people[number].truths.seen(places, self._pool))
            crossed += [torch.full((MARKS, 2), torch.nan)] * len(places)
            who += [number] * len(places)
            others += [number] * len(places)
        return Draw(
            inputs=torch.cat(inputs),
            targets=torch.cat(targets),
            who=tuple(who),
            paired=pairs,
            points=torch.stack(points),
            others=tuple(others),
            crossed=torch.stack(crossed),
        )

    def _other(self, number: int, turn: int) -> int:
        """Somebody else, each in turn; the same where there is nobody else."""
        count = len(self.people)
        return (number + 1 + turn % (count - 1)) % count if count > 1 else number

    def _guest(self, number: int, other: int) -> Guest | None:
        key = number, other
        if key not in self._guests:
            self._guests[key] = guest(self._shapes[number], self._shapes[other])
        return self._guests[key]

    def _places(self, turn: int, count: int) -> Iterator[tuple[int, list[int]]]:
        """Who and which, for so many faces: people take turns evenly."""
        for number, slots in turns(turn * count, count, len(self.people)):
            person = self.people[number]
            yield number, [self._place(number, slot, len(person.faces)) for slot in slots]

    def _rare_blinks(self, faces: Shelf) -> list[int]:
        """Faces with shut eyes that are drawn more often than others; none where they are no rarer than asked for."""
        found = faces.blinks()
        return found if len(found) < self._settings.train.blinks * len(faces) else []

    def _place(self, number: int, slot: int, count: int) -> int:
        seed = self._settings.train.seed
        if blinks := self._blinks[number]:
            is_blink, slot = mixed_in(slot, self._settings.train.blinks)
            if is_blink:
                return blinks[shuffled(seed, _BLINKS + number, slot, len(blinks))]
        if not self._settings.train.uniform_yaw:
            return shuffled(seed, number, slot, count)
        bins = self._yaw_bins[number]
        chosen = bins[slot % len(bins)]
        return chosen[shuffled(seed, number * YAW_BINS + slot % len(bins), slot // len(bins), len(chosen))]

    def _pair_places(self, turn: int, count: int) -> Iterator[tuple[int, list[int]]]:
        people = self._with_pairs
        for which, slots in turns(turn * count, count, len(people)) if count else ():
            number = people[which]
            total = len(self.people[number].plates)
            yield number, [shuffled(self._settings.train.seed + 1, number, slot, total) for slot in slots]


def _memory_share(settings: Settings, size_px: int) -> float:
    """How much of the memory that all faces need they may have; 1 and above is enough."""
    needed = sum(map(len, _all_sets(settings))) * PLANES * size_px**2 / 2**30
    return settings.train.cache_gb / max(needed, 1e-9)


def _all_sets(settings: Settings) -> Iterator[Faceset]:
    for source in settings.sources.values():
        yield from (*source.faces, *(item for pair in source.pairs for item in pair))


def _split(faceset: Faceset, sound: Sequence[int], share: float) -> tuple[list[int], list[int]]:
    """Faces to learn, and those held out: the last by source and frame, as neighbours would give the answer away."""
    order = sorted(sound, key=lambda index: (faceset.records[index].source, faceset.records[index].frame))
    count = min(max(round(share * len(order)), _FEWEST_HELD_OUT), _MOST_HELD_OUT, len(order) // 4) if share else 0
    return order[: len(order) - count], order[len(order) - count :]


def _matched(
    pairs: Sequence[tuple[Faceset, Faceset]], sound: Callable[[Faceset], set[int]]
) -> tuple[tuple[Spot, ...], tuple[Spot, ...]]:
    """Spots of the same pictures, by source and frame, in both facesets of each pair, where both can be read."""
    ones, others = [], []
    for number, (one, other) in enumerate(pairs):
        sound_ones, sound_others = sound(one), sound(other)
        there = {(record.source, record.frame, record.track): index for index, record in enumerate(other.records)}
        for index, record in enumerate(one.records):
            found = there.get((record.source, record.frame, record.track))
            if index in sound_ones and found is not None and found in sound_others:
                ones.append(Spot(number, index))
                others.append(Spot(number, found))
    return tuple(ones), tuple(others)


def some(shelf: Shelf, size_px: int, most: int | None = None) -> Tensor:
    """Faces `(N, 5, S, S)` uint8 of a shelf, spread evenly over it if not all are wanted."""
    count = len(shelf) if most is None else min(most, len(shelf))
    places = [round(k * (len(shelf) - 1) / max(count - 1, 1)) for k in range(count)]
    faces = [shelf.face(place) for place in places]
    return sized(torch.stack(faces), size_px) if faces else torch.zeros(0, PLANES, size_px, size_px, dtype=torch.uint8)


def sized(planes: Tensor, size_px: int) -> Tensor:
    """Planes `(N, 5, S, S)` uint8 averaged down to a side that S is a multiple of."""
    if planes.shape[-1] == size_px or not len(planes):
        return planes if len(planes) else planes.new_zeros(0, PLANES, size_px, size_px)
    return functional.avg_pool2d(planes.float(), planes.shape[-1] // size_px).round().to(torch.uint8)
