"""Training data from the lab: many performers who are nobody, each face with its exact landmarks and mattes.

Faces are drawn straight into crops (`vfxswap.lab.closeup`), for a trainer that asks for batches, or onto disk as one
faceset a performer, each with the lab's consent record. Picture `number` of a take is the same whoever draws it and
when, so workers share a set by blocks, and a set that was broken off is gone on with.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np
import tomli
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.alignment import CropSpec, crop_of_type
from vfxswap.errors import UsageError
from vfxswap.faceset import Faceset, FacesetInfo, FacesetWriter
from vfxswap.files import make_folder
from vfxswap.geometry import Affine, Landmarks
from vfxswap.identity import IdentityFile
from vfxswap.lab.chance import WIDE, Range
from vfxswap.lab.closeup import LabFace, shot
from vfxswap.lab.looks import Looks
from vfxswap.lab.scene import Scene
from vfxswap.lab.stills import write_record
from vfxswap.lab.takes import RandomTake, Take
from vfxswap.training.labcasts import Cast, built

FACES, TRUTH = "faces", "truth"
"""Facesets in a performer's folder: its own face, and the same pictures with another's."""
_BLOCK = 40
"""Pictures that a worker draws at a time; a block of another performer costs a second more."""
Tell = Callable[[int, int], None]
"""Is told how many pictures are drawn, of how many."""


@dataclass(frozen=True, slots=True, eq=False)
class LabBatch:
    """N faces of random performers, S pixels square."""

    images: Tensor
    """`(N, 3, S, S)` float32 R'G'B' (sRGB) 0..1."""
    truths: Tensor | None
    """`(N, 3, S, S)` the same performances with the faces of `others`, where asked for."""
    faces: Tensor
    """`(N, 1, S, S)` 0..1 what is visible of the face."""
    swaps: Tensor
    """`(N, 1, S, S)` 0..1 where image and truth may differ."""
    heads: Tensor
    """`(N, 1, S, S)` 0..1 head, neck and hair."""
    labels: Tensor
    """`(N, S, S)` uint8 of `vfxswap.lab.parts.Label`."""
    landmarks: tuple[Landmarks, ...]
    """`mesh468`, crop pixels."""
    performers: tuple[int, ...]
    """Number of each face's performer."""
    others: tuple[int, ...]
    """Number of the performer whose face the truth shows; its own where there is no truth."""


class LabFaces:
    """Draws faces as a trainer asks for them; a batch depends on seed and index alone.

    Args:
        performers: Who is drawn from.
        size_px: Side of the crops.
        batch: Faces of a batch.
        seed: Of all that is drawn.
        limits: How far poses go, how often something is in front.
        truths: Whether each face is drawn with another performer's face too.
        kept: How many built performers are kept in memory, at about 30 MB each.

    Raises:
        UsageError: There are no performers, or one only where truths are wanted.
    """

    def __init__(
        self,
        performers: Sequence[Looks],
        *,
        size_px: int,
        batch: int = 8,
        seed: int = 0,
        limits: Range = WIDE,
        truths: bool = False,
        kept: int = 16,
    ) -> None:
        if len(performers) < 1 + truths:
            raise UsageError(f"{1 + truths} or more performers are needed, got {len(performers)}")
        self.performers, self.crop, self.size = tuple(performers), crop_of_type("whole", size_px), batch
        self.seed, self.limits, self.truths = seed, limits, truths
        self._kept, self._scenes = kept, OrderedDict[tuple[int, int], Scene]()

    def batch(self, index: int) -> LabBatch:
        """Draws batch `index`, on the CPU."""
        numbers = [index * self.size + place for place in range(self.size)]
        draws = np.random.Generator(np.random.PCG64([self.seed, index])).integers(0, 2**31, (self.size, 2)).tolist()
        count = len(self.performers)
        who = [int(draw[0] % count) for draw in draws]
        others = [
            (own + 1 + int(draw[1] % (count - 1))) % count if self.truths else own
            for own, draw in zip(who, draws, strict=True)
        ]
        with torch.inference_mode():
            drawn = [self._drawn(*each) for each in zip(numbers, who, others, strict=True)]
        own = [pictures[0] for pictures in drawn]
        return LabBatch(
            images=torch.stack([face.image for face in own]),
            truths=torch.stack([pictures[-1].image for pictures in drawn]) if self.truths else None,
            faces=torch.stack([face.face for face in own]),
            swaps=torch.stack([torch.maximum(pictures[0].swap, pictures[-1].swap) for pictures in drawn]),
            heads=torch.stack([face.head for face in own]),
            labels=torch.stack([face.labels for face in own]),
            landmarks=tuple(face.landmarks for face in own),
            performers=tuple(who),
            others=tuple(others),
        )

    def _drawn(self, number: int, who: int, other: int) -> tuple[LabFace, ...]:
        closeup = RandomTake(self.performers[who], self.seed, self.limits).closeup(number)
        truths = [] if who == other else [self._scene(who, other)]
        return shot(self._scene(who, who), closeup, self.crop, truths)

    def _scene(self, who: int, face: int) -> Scene:
        if (who, face) not in self._scenes:
            own, shown = self.performers[who], self.performers[face]
            self._scenes[who, face] = built(own, None if who == face else shown, self.crop.size_px)
            while len(self._scenes) > max(self._kept, 2):
                self._scenes.popitem(last=False)
        self._scenes.move_to_end((who, face))
        return self._scenes[who, face]


@dataclass(frozen=True, slots=True)
class _Job:
    """Some pictures of one performer, for a worker."""

    pictures: tuple[tuple[Take, int], ...]
    face: Looks | None
    crop: CropSpec


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """A face as it comes back from a worker."""

    image: NDArray[np.float32]
    matte: NDArray[np.float32]
    points: NDArray[np.float64]
    plate_to_crop: Affine


_Result = list[tuple[_Drawn, ...]]


def _draw(job: _Job) -> _Result:
    """Draws a job's pictures, each with its truth if there is one."""
    with torch.inference_mode():
        looks, size = job.pictures[0][0].looks, job.crop.size_px
        scene = built(looks, None, size)
        truths = [] if job.face is None else [built(looks, job.face, size)]
        return [
            tuple(map(_packed, shot(scene, take.closeup(number), job.crop, truths))) for take, number in job.pictures
        ]


def _packed(face: LabFace) -> _Drawn:
    return _Drawn(face.image.numpy(), face.face.numpy(), face.landmarks.points, face.plate_to_crop)


def render_labset(
    folder: Path, casts: Sequence[Cast], *, size_px: int, workers: int = 1, tell: Tell | None = None
) -> tuple[Path, ...]:
    """Draws a set and writes a folder for each performer: `identity.toml`, `faces/` and, where asked for, `truth/`.

    What is there already, by the same call broken off, is kept and gone on with; the pictures are the same with any
    number of workers.

    Args:
        folder: Made if it is not there.
        casts: Who plays what; their names must differ.
        size_px: Side of the crops.
        workers: Processes that draw; 1 draws in this one.
        tell: Is told how far it is.

    Returns:
        The performers' folders.

    Raises:
        UsageError: The size makes no sense, or a folder holds a set that was drawn otherwise.
        MediaError: A file cannot be written.
    """
    if not 32 <= size_px <= 1024:
        raise UsageError(f"crops of the lab are 32 to 1024 pixels wide, got {size_px}")
    crop = crop_of_type("whole", size_px)
    make_folder(folder)
    opened = [_Folder.open(folder / cast.name, cast, crop) for cast in casts]
    total, done = sum(cast.count for cast in casts), sum(item.done for item in opened)
    jobs = [(item, job) for item in opened for job in item.jobs()]
    with _processes(workers) as pool:
        results = map(_draw, (job for _, job in jobs)) if pool is None else _ahead(pool, [job for _, job in jobs])
        for (item, _), result in zip(jobs, results, strict=True):
            item.write(result)
            done += len(result)
            if tell is not None:
                tell(done, total)
    return tuple(item.path for item in opened)


def _ahead(pool: Executor, jobs: Iterable[_Job]) -> Iterator[_Result]:
    return pool.map(_draw, jobs)


@contextmanager
def _processes(workers: int) -> Iterator[Executor | None]:
    """A pool of processes with one thread each; none for a single worker.

    This process has one thread too meanwhile: it writes small pictures, and threads that wait for more would take the
    cores from those who draw.
    """
    if workers <= 1:
        yield None
        return
    own = torch.get_num_threads()
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_begin_worker)
    try:
        torch.set_num_threads(1)
        yield pool
    finally:
        torch.set_num_threads(own)
        pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker() -> None:
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when the one that started it is gone, killed or not; nobody would ask it for more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@dataclass(slots=True)
class _Folder:
    """A performer's folder while it is written."""

    path: Path
    cast: Cast
    crop: CropSpec
    writers: dict[int, FacesetWriter]
    """Of the facesets that are not finished: 0 the own face, 1 the truth."""
    done: int

    @classmethod
    def open(cls, path: Path, cast: Cast, crop: CropSpec) -> _Folder:
        """Begins a folder, or goes on with it."""
        make_folder(path)
        record = write_record(cast.looks, path)
        info = _info(IdentityFile.model_validate(tomli.loads(record.read_text(encoding="utf-8"))), cast)
        names = [FACES] if cast.face is None else [FACES, TRUTH]
        missing = [k for k, name in enumerate(names) if not _finished(path / name, crop, info, cast.count)]
        writers = {k: FacesetWriter(path / names[k], crop, info) for k in missing}
        # A picture is drawn once for all writers: what one has more than another is drawn over.
        done = min((len(writer.records) for writer in writers.values()), default=cast.count)
        return cls(path, cast, crop, writers, done)

    def jobs(self) -> Iterator[_Job]:
        """What is still to be drawn."""
        rest = self.cast.pictures()[self.done :]
        for start in range(0, len(rest), _BLOCK):
            yield _Job(tuple(rest[start : start + _BLOCK]), self.cast.face, self.crop)

    def write(self, result: _Result) -> None:
        """Writes a job's pictures, and the index after the last."""
        pictures = self.cast.pictures()
        for faces in result:
            take, number = pictures[self.done]
            for place, writer in self.writers.items():
                face = faces[place]
                if len(writer.records) == self.done:
                    writer.add(
                        torch.from_numpy(face.image),
                        Landmarks(face.points, "mesh468"),
                        source=take.source,
                        frame=number,
                        track=0,
                        plate_to_crop=face.plate_to_crop,
                        matte=torch.from_numpy(face.matte),
                    )
            self.done += 1
        if self.done == self.cast.count:
            for writer in self.writers.values():
                writer.finish()


def _info(record: IdentityFile, cast: Cast) -> FacesetInfo:
    takes = ", ".join(f"{count} of {take.source}" for take, count in cast.takes)
    face = {} if cast.face is None else {"truth": f"wears the face of {cast.face.title}"}
    return FacesetInfo(
        identity=record.name,
        licence=record.licence,
        consent=record.consent,
        made_from={"lab": takes, **face},
        key=hashlib.sha256(repr((cast.takes, cast.face)).encode()).hexdigest(),
    )


def _finished(folder: Path, crop: CropSpec, info: FacesetInfo, count: int) -> bool:
    """Whether a faceset is there and is the one that is wanted.

    Raises:
        UsageError: It is another.
    """
    if not (folder / "faceset.json").is_file():
        return False
    found = Faceset.load(folder)
    if found.info.key != info.key or found.crop != crop or len(found) != count:
        raise UsageError(
            f"{folder} holds a faceset that was drawn otherwise ({len(found)} faces of {found.crop.size_px} pixels);"
            " choose another folder, or remove this one"
        )
    return True
