"""Cutting a faceset out of shots and stills, by the very stages that will look at the plate."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from vfxswap.assembly import Workshop, assembled
from vfxswap.chunks import Batches, spans_to_compute
from vfxswap.clock import FrameRange
from vfxswap.conveyor import ReadAhead, parallel
from vfxswap.drivers.base import Driver, given
from vfxswap.errors import Cancelled, MediaError, PluginError, UsageError
from vfxswap.faceset import Faceset, FacesetInfo, FacesetWriter, holds_faceset
from vfxswap.facesets.mattes import DrawnMattes
from vfxswap.facesets.seeing import Asked, plan_of
from vfxswap.facesets.similarity import compared
from vfxswap.frame import Frame
from vfxswap.geometry import Affine, mapped
from vfxswap.host import Host
from vfxswap.identity import Portrait
from vfxswap.line import Station, carry, reach
from vfxswap.ops import warp
from vfxswap.pipeline import FaceRule, Pipeline
from vfxswap.portraits import Eyes, look_at
from vfxswap.report import Progress
from vfxswap.stage import Aligner, Detector
from vfxswap.trackfile import sidecar
from vfxswap.workers import cores, whole_floats, worker_pool

ProgressCallback = Callable[[Progress], None]

PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".exr", ".dpx")
"""What is looked at in a folder of stills."""
_DECODED_FRAMES = 12


@dataclass(frozen=True, slots=True)
class Footage:
    """Where faces are looked for."""

    plates: tuple[Path, ...] = ()
    """Shots of the identity itself."""
    stills: tuple[Path, ...] = ()
    """Pictures of the identity itself; the largest face of each is taken. With neither, the pipeline's own plate."""
    frames: str | None = None
    """Frames of the one shot; all, by default."""
    every: int = 1
    """Takes one frame of so many."""
    face: FaceRule | None = None
    """Which face of the shots it is, in place of the pipeline's rule."""
    mattes: Path | None = None
    """What of the one shot an artist drew as face; see `DrawnMattes`."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """What came of it."""

    faceset: Faceset
    looked_at: int
    """Frames and stills."""
    already_done: bool = False
    """Whether it was there already, made from the very same things."""


def stills_in(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The pictures among files and in folders, by name.

    Raises:
        UsageError: One is not there, or a folder holds none.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UsageError(f"there is no still or folder {path}")
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES) if path.is_dir() else [path]
        if not inside:
            raise UsageError(f"{path} holds no pictures ({', '.join(PICTURES)})")
        found += inside
    return tuple(found)


def extract(
    asked: Asked,
    out: Path,
    footage: Footage = Footage(),
    *,
    host: Host | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
) -> Extracted:
    """Writes the faces of an identity, or those that it takes in a plate, as a faceset.

    Run again after it was broken off, it goes on; with what is there already and made from the same, nothing is done.

    Args:
        asked: Whose faces, found by which pipeline's stages, and how they are cut.
        out: The faceset's folder.
        footage: Where to look.
        host: The plugins; by default all that this machine has.
        overwrite: Whether another faceset that is there is replaced.
        workers: Threads that look.
        progress: Is told after each frame or still, from this thread.

    Raises:
        PipelineError: The pipeline file or what it names is wrong, or consent does not cover it.
        UsageError: The footage makes no sense, or there is another faceset in the folder.
        MediaError: No face was found anywhere, or something cannot be read or written.
        FrameFailed: A stage failed; what is done is kept, to be gone on with.
        Cancelled: Interrupted from the keyboard; likewise.
    """
    _check(footage)
    host = Host() if host is None else host
    plans = _plans(asked, host, footage)
    work = _Work(asked, plans, footage, host)
    if holds_faceset(out) and not overwrite:
        there = Faceset.load(out)
        if there.info.key != work.info.key:
            raise UsageError(
                f"{out} holds a faceset that was made from other footage or settings; write elsewhere with --out, or"
                " replace it with --overwrite"
            )
        return Extracted(there, work.total, already_done=True)
    writer = FacesetWriter(out, asked.crop, work.info, overwrite=overwrite)
    try:
        work.go(writer, workers, progress)
    except KeyboardInterrupt:
        kept = len(writer.records)
        raise Cancelled(f"cancelled; {kept} faces are kept in {out}: run it again to go on") from None
    finally:
        if not writer.records:
            writer.discard()
    return Extracted(work.finish(writer), work.total)


def _check(footage: Footage) -> None:
    if footage.every < 1:
        raise UsageError(f"--every {footage.every}: must be 1 or more")
    if footage.stills and footage.face is not None and not footage.plates:
        raise UsageError("--face is for shots; of a still the largest face is taken (crop it to show one person)")
    if footage.frames is not None and (len(footage.plates) > 1 or (footage.stills and not footage.plates)):
        raise UsageError("--frames goes with one shot; give one --plate, or leave --frames out")
    if footage.mattes is not None and (len(footage.plates) > 1 or footage.stills):
        raise UsageError("--mattes go with one shot: give one --plate, or the pipeline's own, and no --stills")


def _plans(asked: Asked, host: Host, footage: Footage) -> list[Pipeline]:
    if not footage.plates:
        return [plan_of(asked, host, frames=footage.frames, face=footage.face)]
    return [plan_of(asked, host, plate=p, frames=footage.frames, face=footage.face) for p in footage.plates]


@dataclass(frozen=True, slots=True)
class _Source:
    """A shot to look at."""

    plan: Pipeline
    name: str
    numbers: tuple[int, ...]


class _Work:
    """One extraction."""

    def __init__(self, asked: Asked, plans: Sequence[Pipeline], footage: Footage, host: Host) -> None:
        self._asked, self._host, self._plans, self._footage = asked, host, plans, footage
        names = _names([plan.plate_path for plan in plans])
        self._sources = [
            _Source(plan, name, tuple(plan.frames)[:: footage.every])
            for plan, name in zip(plans, names, strict=True)
            if footage.plates or not footage.stills
        ]
        self._stills = dict(zip(_names(footage.stills), footage.stills, strict=True))
        self._mattes = DrawnMattes(footage.mattes, host)
        self._left_out: dict[str, str] = {}
        self.total = sum(len(source.numbers) for source in self._sources) + len(self._stills)
        self.info = self._info()

    def _info(self) -> FacesetInfo:
        plan, footage = self._plans[0], self._footage
        own = not (footage.plates or footage.stills)
        identity = plan.identities[self._asked.identity]
        made_from = {
            "pipeline": plan.path.name,
            "stages": ", ".join(stage.name for stage in plan.stages[: -len(plan.identities)]),
            "shots": ", ".join(source.name for source in self._sources),
            "frames": "; ".join(str(FrameRange.of(source.numbers)) for source in self._sources),
            "face": str(plan.casting[self._asked.identity]) if self._sources else "",
            "stills": str(len(self._stills) or ""),
            "mattes": str(len(self._mattes) or ""),
            "production": plan.shot.production or "",
            "purpose": plan.shot.purpose or "",
        }
        return FacesetInfo(
            identity=_shot_name(plan.plate_path) if own else identity.title,
            subject="plate" if own else "identity",
            licence="" if own else identity.licence,
            consent=None if own else identity.consent,
            bits=16 if self._is_deep() else 8,
            made_from={key: value for key, value in made_from.items() if value},
            key=self._key(),
        )

    def _is_deep(self) -> bool:
        """Whether a source has more than 8 bits; stills that cannot be read are told of when they are looked at."""
        if any(source.plan.plate.layout.bits > 8 for source in self._sources):
            return True
        for path in self._stills.values():
            try:
                with self._host.reader_for(path)(path) as reader:
                    if reader.info.layout.bits > 8:
                        return True
            except (MediaError, PluginError):
                continue
        return False

    def _key(self) -> str:
        files = [file for path in self._stills.values() for file in (path, sidecar(path)) if file.exists()]
        files += self._mattes.files
        stamps = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        facts = [[(plan.key, str(plan.frames)) for plan in self._plans], self._footage.every, stamps]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def go(self, writer: FacesetWriter, workers: int | None, progress: ProgressCallback | None) -> None:
        """Looks at all that was not looked at before."""
        done = {(record.source, record.frame) for record in writer.records}
        meter = _Progress(self.total, progress)
        for place, plan in enumerate(self._plans):
            with _opened(plan, self._host, workers) as (shop, stations):
                for source in self._sources[place : place + 1]:
                    fresh = [number for number in source.numbers if (source.name, number) not in done]
                    meter.skip(len(source.numbers) - len(fresh))
                    for frame in _seen(shop, stations, fresh, self._left_out, source.name):
                        self._take(frame, source, writer)
                        meter.tell(frame.number)
                if place == len(self._plans) - 1:
                    self._look_at_stills(shop, stations, writer, done, meter)

    def _take(self, frame: Frame, source: _Source, writer: FacesetWriter) -> None:
        for face in frame.faces:
            if face.identity != self._asked.identity or face.crop is None:
                continue
            matrix, plate, size = given(face.plate_to_crop), source.plan.plate, self._asked.crop.size_px
            writer.add(
                face.crop,
                given(face.landmarks).mapped(matrix),
                source=source.name,
                frame=frame.number,
                track=face.detection.track,
                plate_to_crop=matrix,
                matte=self._mattes.cut(frame.number, matrix, size, plate=(plate.width, plate.height)),
                inside=part_inside(matrix, size, plate.width, plate.height),
            )

    def _look_at_stills(
        self,
        shop: Workshop,
        stations: Sequence[Station],
        writer: FacesetWriter,
        done: set[tuple[str, int]],
        meter: _Progress,
    ) -> None:
        eyes = _eyes(shop, stations)
        space = shop.plan.identities[self._asked.identity].color_space
        fresh = [name for name in self._stills if (name, 1) not in done]
        meter.skip(len(self._stills) - len(fresh))

        def look(name: str) -> Portrait | str:
            with torch.inference_mode():
                try:
                    return look_at(self._stills[name], space, eyes)
                except (MediaError, PluginError) as error:
                    return str(error)

        alone = any(isinstance(s.step, Driver) and s.step.stage.threads == "one" for s in stations)
        for name, seen in zip(
            fresh, parallel(shop.pool, look, iter(fresh), ahead=1 if alone else shop.ahead), strict=True
        ):
            if isinstance(seen, str):
                self._left_out[name] = seen
            else:
                self._take_still(name, seen, writer)
            meter.tell(1)

    def _take_still(self, name: str, seen: Portrait, writer: FacesetWriter) -> None:
        matrix = self._asked.crop.plate_to_crop(seen.landmarks)
        crop = warp.cut(seen.image, origin=(0, 0), plate_to_crop=matrix, size_px=self._asked.crop.size_px)
        height, width = seen.image.shape[1:]
        inside = part_inside(matrix, self._asked.crop.size_px, width, height)
        writer.add(crop, seen.landmarks.mapped(matrix), source=name, frame=1, plate_to_crop=matrix, inside=inside)

    def finish(self, writer: FacesetWriter) -> Faceset:
        """Writes the index: in the order of the footage, with what gave no face."""
        for source in self._sources:
            seen = {record.frame for record in writer.records if record.source == source.name}
            if missing := [number for number in source.numbers if number not in seen]:
                words = f"no face in {len(missing)} of {len(source.numbers)} frames: {FrameRange.of(missing)}"
                before = self._left_out.get(source.name)
                self._left_out[source.name] = f"{before}; {words}" if before else words
        if not writer.records:
            reasons = "; ".join(f"{name}: {why}" for name, why in list(self._left_out.items())[:3])
            raise MediaError(
                f"no face was found in any of {self.total} frames and stills ({reasons}); is it the right footage, and"
                " is the face large enough for the pipeline's detector?"
            )
        order = {name: place for place, name in enumerate([*(s.name for s in self._sources), *self._stills])}
        records = sorted(writer.records, key=lambda r: (order[r.source], r.frame, r.file))
        return writer.finish(compared(writer.folder, writer.crop, writer.info, records), left_out=self._left_out)


class _Progress:
    """Tells how far it is."""

    def __init__(self, total: int, callback: ProgressCallback | None) -> None:
        self._total, self._callback = total, callback
        self._done = self._fresh = 0
        self._start = time.perf_counter()

    def skip(self, count: int) -> None:
        self._done += count

    def tell(self, frame: int) -> None:
        self._done, self._fresh = self._done + 1, self._fresh + 1
        seconds = time.perf_counter() - self._start
        fps = self._fresh / seconds if seconds > 0 else 0.0
        if self._callback is not None:
            eta = (self._total - self._done) / fps if fps else 0.0
            self._callback(Progress(self._done, self._total, frame, fps, eta))


def part_inside(plate_to_crop: Affine, size_px: int, width: int, height: int) -> float:
    """Which part of a crop, 0..1, lies inside an upright picture of that size."""
    picture = mapped(plate_to_crop, np.array([(0.0, 0.0), (width, 0), (width, height), (0, height)]))
    crop = np.array([(0, 0), (size_px, 0), (size_px, size_px), (0, size_px)], dtype=np.float32)
    area, _ = cv2.intersectConvexConvex(picture.astype(np.float32), crop)
    return min(1.0, float(area) / size_px**2)


def _shot_name(path: Path) -> str:
    """`sh010` of `sh010.mov` and of `sh010.%04d.exr`."""
    return re.sub(r"[._-]?%0?\d*d$", "", path.stem) or path.stem


def _names(paths: Sequence[Path]) -> list[str]:
    """File names; of those that are there twice, with their folders' names."""
    counts = Counter(path.name for path in paths)
    names = [path.name if counts[path.name] == 1 else f"{path.absolute().parent.name}/{path.name}" for path in paths]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"{twice} is there twice; give each shot and still once, and each a name of its own")
    return names


@contextmanager
def _opened(plan: Pipeline, host: Host, workers: int | None) -> Iterator[tuple[Workshop, list[Station]]]:
    device = torch.device(plan.device)
    count = workers or (cores() if device.type == "cpu" else 2)
    with whole_floats(), worker_pool(count) as pool:
        shop = Workshop(plan=plan, host=host, device=device, pool=pool, ahead=count + 1)
        with assembled(shop) as stations:
            yield shop, stations


def _eyes(shop: Workshop, stations: Sequence[Station]) -> Eyes:
    stages = [station.step.stage for station in stations if isinstance(station.step, Driver)]
    detector = next((stage for stage in stages if isinstance(stage, Detector)), None)
    aligner = next(stage for stage in stages if isinstance(stage, Aligner))
    return Eyes(shop.host, detector, aligner, shop.device, shop.plan.colors, shop.plan.face)


def _seen(
    shop: Workshop, stations: Sequence[Station], numbers: Sequence[int], left_out: dict[str, str], name: str
) -> Iterator[Frame]:
    """Frames of the plate as the stages see them; a plate that breaks off is noted and gives what is there."""
    plan, span, wanted = shop.plan, reach(stations), frozenset(numbers)
    alone = span == (0, 0)  # no stage sees neighbours, so frames that nobody asked for need not be looked at
    with plan.reader.opened(plan.plate_path, plan.shot.layer) as reader:
        for first, last in spans_to_compute(numbers, plan.plate.first, plan.plate.last, span):
            frames = (frame for frame in reader.frames(first, last) if not alone or frame.number in wanted)
            with ReadAhead(frames, depth=_DECODED_FRAMES, name="decode") as decoded, closing(frames):
                batches = Batches(decoded)
                line = carry(batches, stations, wanted=wanted, pool=shop.pool, ahead=shop.ahead, meter=shop.meter)
                for batch in line:
                    yield from (frame for frame in batch if frame.number in wanted)
            if batches.broken is not None:
                left_out[name] = str(batches.broken)
                return
