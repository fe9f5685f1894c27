"""Assembly: from a checked pipeline to a line of open stages, ready for the first batch.

Stages are opened in order, since later ones may need what earlier ones see: an identity's stills are looked at by the
pipeline's own detector and aligner, and a stage that decides something once a shot surveys frames as they come from the
stages before it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from vfxswap.alignment import CropSpec
from vfxswap.analysis import Book, FoundFrame, Settled, Stand, settled
from vfxswap.casting import Role
from vfxswap.chunks import Batches, spans_to_compute
from vfxswap.conveyor import Awaited, Leash
from vfxswap.crops import View
from vfxswap.drivers import Driver, Shot, Step, driver_for
from vfxswap.drivers.finding import AlignerDriver, DetectorDriver
from vfxswap.drivers.layers import KeepUnmatched, MakeLayers
from vfxswap.drivers.recall import (
    EditedFaces,
    GatherFaces,
    Known,
    Looking,
    RecallFaces,
    Tracks,
    found_in,
    tracks_in,
)
from vfxswap.drivers.time import Cuts, GivenCuts, Thumbnails
from vfxswap.drivers.tracking import TrackerDriver
from vfxswap.errors import FrameFailed, PluginError, Refused, Retryable, TruncatedPlate, VfxswapError
from vfxswap.frame import Frame
from vfxswap.host import Host
from vfxswap.identity import Identity
from vfxswap.line import Meter, Station, carry, is_out_of_memory, out_of_memory, reach
from vfxswap.media import Reader
from vfxswap.pipeline import FaceRule, Pipeline, PlannedStage
from vfxswap.portraits import Eyes, look_at
from vfxswap.stage import Aligner, Blend, ColorMatch, Detector, Setting, Span, Stage, Swapper, SwapperOptions, Tracker
from vfxswap.workers import worker_pool

T = TypeVar("T")

_HOST = "the host"


@dataclass(slots=True)
class Workshop:
    """Where a line is put together and run."""

    plan: Pipeline
    host: Host
    device: torch.device
    pool: Executor
    ahead: int
    """Batches in work at once, for each segment of the line."""
    meter: Meter = field(default_factory=Meter)
    remarks: list[str] = field(default_factory=list)
    """What the report shall say of the run, besides its frames."""
    book: Book | None = None
    """What is known of the faces before, and takes what is found."""
    only_looks: bool = False
    """Whether the faces are only found, and neither cast nor cut."""
    surveyed: Callable[[int], None] | None = None
    """Is told the number of each frame that a stage looks at before the run."""

    @property
    def view(self) -> View:
        """How the plate's pictures are looked at."""
        return View(self.plan.tags, self.plan.plate.rotation, self.device, self.plan.face)


@contextmanager
def assembled(workshop: Workshop) -> Iterator[list[Station]]:
    """Opens the stages of a pipeline, and closes them again.

    Raises:
        MediaError: A still of an identity cannot be used.
        FrameFailed: A stage failed while it was opened or surveyed.
        OutOfMemory: The device's memory is too small.
    """
    with ExitStack() as stack:
        yield _Assembly(workshop, stack).stations()


def declared_reach(plan: Pipeline, host: Host) -> Span:
    """How far the windows of all stages together look, as their options say; no stage is opened."""
    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        shop = Workshop(plan=plan, host=host, device=torch.device("cpu"), pool=pool, ahead=1)
        return _Assembly(shop, stack).declared_reach()


class _Assembly:
    def __init__(self, workshop: Workshop, stack: ExitStack) -> None:
        self._shop, self._stack, self._plan = workshop, stack, workshop.plan
        self._open: list[Stage[Any]] = []
        self._identities: dict[str, Identity] = dict(self._plan.identities)
        self._cuts_seen: set[int] = set()
        self._found: Mapping[int, FoundFrame] | None = None
        self._is_aligned = False
        self._shot = Shot(
            view=workshop.view,
            first=self._plan.plate.first,
            last=self._plan.plate.last,
            fail_on_missing=self._plan.shot.on_missing == "fail",
        )

    def stations(self) -> list[Station]:
        stations = self._time_steps()
        names = Counter(planned.name for planned in self._plan.stages)
        for planned in self._plan.stages:
            label = planned.name if names[planned.name] == 1 else f"{planned.name} (stage {planned.index})"
            with _answering_for(label, planned.owner):
                station = Station(label, planned.owner, self._step(planned))
                stations, station = self._recalled(station, stations)
            if "swapped" in self._plan.layers.names and issubclass(planned.cls, ColorMatch | Blend):
                stations.append(Station("layers", _HOST, KeepUnmatched()))
            stations.append(station)
        if self._plan.layers.made:
            stations.append(Station("layers", _HOST, MakeLayers(self._plan.layers, self._shot.view)))
        return stations

    def _recalled(self, station: Station, before: list[Station]) -> tuple[list[Station], Station]:
        """A stage and those before it, as far as the faces that it would find are not known already."""
        step, book = station.step, self._shop.book
        if isinstance(step, TrackerDriver):
            step.tracks = self._whole(station, before, step)
            return [other for other in before if not _only_finds(other.step)], station
        if isinstance(step, DetectorDriver) and book is not None:
            station = replace(station, step=RecallFaces(step, book))
        if isinstance(step, AlignerDriver) and not self._is_aligned:
            self._is_aligned = True
            before, edits = self._edited(before)
            step.known = Known(book, self._found, edits)
            if self._shop.only_looks:
                station = replace(station, step=Looking(step.stage.align, self._shot.view, step.known))
        self._survey(station, before)
        return before, station

    def _whole(self, station: Station, before: Sequence[Station], step: TrackerDriver | GatherFaces) -> Tracks:
        """The faces of the whole plate: from the analysis, or as this step sees them now."""
        book = self._shop.book
        self._found = None if book is None else book.whole
        if self._found is None:
            self._survey(station, before)
            self._found = found_in(step.tracks, frozenset(self._cuts_seen))
            if book is not None:
                book.add(self._found.values())
        return tracks_in(self._found)

    def _edited(self, before: list[Station]) -> tuple[list[Station], Settled | None]:
        """The line with artists' edits in it, which are held against all faces of the plate."""
        plan = self._plan
        if not plan.edits:
            return before, None
        if self._found is None:
            gather = GatherFaces(self._shot)
            self._whole(Station("faces", _HOST, gather), before, gather)
        stand = Stand(plan.plate.frame_of_reference, self._shot.first, self._shot.last, tuple(plan.identities))
        edits = settled(self._found or {}, plan.edits, stand, str(plan.edits_path))
        line = [other for other in before if not _only_finds(other.step)]
        return [*line, Station("edits", _HOST, EditedFaces(edits))], edits

    def declared_reach(self) -> Span:
        own = reach(self._time_steps())
        windows = [self._made(planned).window for planned in self._plan.stages]
        return Span(own.behind + sum(w.behind for w in windows), own.ahead + sum(w.ahead for w in windows))

    def _time_steps(self) -> list[Station]:
        """The host's own steps: where shots begin, if any stage looks at neighbours."""
        book = self._shop.book
        if book is not None and (whole := book.whole) is not None:
            return [Station("cuts", _HOST, GivenCuts(frozenset(n for n, frame in whole.items() if frame.cut_before)))]
        cuts = self._plan.shot.given_cuts
        if cuts is not None:
            return [Station("cuts", _HOST, GivenCuts(frozenset(cuts)))]
        if book is None and not any(self._minds_cuts(planned) for planned in self._plan.stages):
            return []
        return [Station("thumbnails", _HOST, Thumbnails(self._shot)), Station("cuts", _HOST, Cuts())]

    def _minds_cuts(self, planned: PlannedStage) -> bool:
        return issubclass(planned.cls, Tracker) or self._made(planned).window != (0, 0)

    def _made(self, planned: PlannedStage) -> Stage[Any]:
        width, height = self._plan.plate.width, self._plan.plate.height
        setting = Setting(
            device=self._shop.device,
            models=self._plan.store,
            width=width,
            height=height,
            first=self._shot.first,
            last=self._shot.last,
            identities=self._identities,
            display=self._plan.plate.display,
        )
        return planned.cls(planned.options, setting)

    def _step(self, planned: PlannedStage) -> Step:
        self._prepare_identity(planned)
        stage = self._made(planned)
        self._stack.callback(stage.close)
        self._in_pool(stage.open)
        if isinstance(stage, Aligner):
            self._shot = replace(self._shot, roles=self._roles(stage), crops=self._crops())
        if isinstance(stage, Tracker):
            self._shot = replace(self._shot, is_tracked=True, recognise=stage.likeness)
        self._open.append(stage)
        return driver_for(stage, self._shot, self._identities)

    def _crops(self) -> dict[str, CropSpec]:
        """The crop that each identity's swapper asks for."""
        swappers = [self._made(planned) for planned in self._plan.stages if issubclass(planned.cls, Swapper)]
        return {s.options.identity: s.crop for s in swappers if isinstance(s, Swapper) and s.crop is not None}

    def _eyes(self, aligner: Aligner[Any]) -> Eyes:
        detector = next((stage for stage in self._open if isinstance(stage, Detector)), None)
        return Eyes(self._shop.host, detector, aligner, self._shop.device, self._plan.colors, self._plan.face)

    def _roles(self, aligner: Aligner[Any]) -> tuple[Role, ...]:
        """Who takes which face, of the identities that are put in."""
        used = {p.options.identity for p in self._plan.stages if isinstance(p.options, SwapperOptions)}
        roles = []
        for name, rule in self._plan.casting.items():
            if name not in used:
                continue
            roles.append(Role(name, rule) if rule.still is None else self._like(name, rule, rule.still, aligner))
        return tuple(roles)

    def _like(self, name: str, rule: FaceRule, still: Path, aligner: Aligner[Any]) -> Role:
        """A role whose face is known by a still."""
        recognise = self._shot.recognise

        def seen() -> Role:
            portrait = look_at(still, "srgb", self._eyes(aligner))
            five = portrait.landmarks.five()
            vector = None if recognise is None else recognise(portrait.image.clamp(0, 1), five)
            return Role(name, rule, portrait.landmarks, vector)

        return self._in_pool(seen)

    def _prepare_identity(self, planned: PlannedStage) -> None:
        """Looks at the identity's stills, if its swapper wants that and nobody has yet."""
        if not (issubclass(planned.cls, Swapper) and isinstance(planned.options, SwapperOptions)):
            return
        name = planned.options.identity
        identity = self._identities[name]
        if identity.portraits or not planned.cls.wants_stills():
            return
        aligner = next((stage for stage in self._open if isinstance(stage, Aligner)), None)
        if aligner is None:
            raise PluginError(f"stage {planned.name!r} needs an aligner before it, to look at the stills of {name!r}")
        eyes = self._eyes(aligner)
        portraits = self._in_pool(lambda: tuple(look_at(path, identity.color_space, eyes) for path in identity.stills))
        self._identities[name] = replace(identity, portraits=portraits)

    def _in_pool(self, work: Callable[[], T]) -> T:
        """Runs work as the line's tasks are run: on a thread of the pool, without gradients."""
        return self._shop.pool.submit(_without_gradients, work).result()

    def _survey(self, station: Station, before: Sequence[Station]) -> None:
        """Shows a step the frames that it wants to see, as they come from the steps before it."""
        step = station.step
        numbers = sorted(set(step.survey_frames()) - set(self._plan.plate.holes))
        if not numbers:
            return
        line = [*before, *(Station(station.label, station.owner, glance) for glance in step.glances())]
        with worker_pool(1) as own, Leash() as leash:
            # Of a pool of its own, as it waits for the line's. Frames are let go as the step has seen them.
            frames = Awaited(leash.held(self._surveyed(station.label, line, numbers)))
            start = time.perf_counter()
            own.submit(_without_gradients, lambda: step.survey(frames)).result()
            self._shop.meter.add(station.label, time.perf_counter() - start - frames.seconds)

    def _surveyed(self, label: str, line: Sequence[Station], numbers: Sequence[int]) -> Iterator[Frame]:
        count = 0
        try:
            for frame in rendered(self._shop, line, numbers):
                if frame.cut_before:
                    self._cuts_seen.add(frame.number)
                if self._shop.surveyed is not None:
                    self._shop.surveyed(frame.number)
                yield frame
                count += 1
        except TruncatedPlate as broken:
            if count == 0:
                raise
            # All chunks of this plate see the same break, and so decide alike.
            kept = "" if self._shop.book is None else "; what was found after that is not kept"
            self._shop.remarks.append(
                f"{broken}; what stage {label!r} decides once a shot, it decided by {count} of {len(numbers)}"
                f" frames{kept}"
            )


def rendered(workshop: Workshop, stations: Sequence[Station], numbers: Sequence[int]) -> Iterator[Frame]:
    """Some frames of the plate, as they come from some steps; for surveys.

    Raises:
        TruncatedPlate: The plate breaks off before one of them.
    """
    plan = workshop.plan
    wanted = frozenset(numbers)
    with plan.reader.opened(plan.plate_path, plan.shot.layer) as reader:
        for first, last in spans_to_compute(numbers, plan.plate.first, plan.plate.last, reach(stations)):
            batches = Batches(_read(reader, first, last, workshop.book))
            line = carry(
                batches, stations, wanted=wanted, pool=workshop.pool, ahead=workshop.ahead, meter=workshop.meter
            )
            for batch in line:
                yield from (frame for frame in batch if frame.number in wanted)
            if batches.broken is not None:
                raise batches.broken


def _read(reader: Reader, first: int, last: int, book: Book | None) -> Iterator[Frame]:
    """Frames of the plate; one that cannot be read is read once more.

    A share that stumbles for a moment would else have one chunk decide by less than the others, and its key would not
    tell. What is found of a plate that breaks off all the same is not kept.

    Raises:
        TruncatedPlate: The plate breaks off before `last`.
    """
    following, stumbled = first, None
    while True:
        try:
            for frame in reader.frames(following, last):
                yield frame
                following = frame.number + 1
        except TruncatedPlate:
            if following in {stumbled, last + 1}:
                if book is not None:
                    book.close()
                raise
            stumbled = following
        else:
            return


def _only_finds(step: Step) -> bool:
    """Whether all that a step gives are faces: who comes after it has seen those of all frames already."""
    return isinstance(step, RecallFaces) or (isinstance(step, Driver) and step.stage.gives == {"faces"})


def _without_gradients(work: Callable[[], T]) -> T:
    with torch.inference_mode():
        return work()


@contextmanager
def _answering_for(label: str, owner: str) -> Iterator[None]:
    """Errors of a stage that is made, opened or surveyed are laid at its door.

    Raises:
        FrameFailed: It failed.
        OutOfMemory: The device's memory is too small for it.
    """
    try:
        yield
    except (Refused, Retryable):
        raise
    except Exception as error:  # the host's boundary to plugins
        if is_out_of_memory(error):
            raise out_of_memory(label, "before the first frame") from error
        if isinstance(error, VfxswapError):
            raise
        raise FrameFailed(stage=label, owner=owner, frames=(), cause=error) from error
