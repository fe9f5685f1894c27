"""Taking over a faceset of DeepFaceLab: aligned JPEGs or a faceset.pak, as a faceset of ours."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.alignment import CropSpec, FaceType, crop_of_type
from vfxswap.errors import MediaError, PipelineError, Problem, UsageError
from vfxswap.faceset import Faceset, FacesetInfo, FacesetWriter
from vfxswap.facesets.aligned import AlignedFace, kind_of, packed, read_aligned
from vfxswap.facesets.similarity import compared
from vfxswap.geometry import Affine, composed
from vfxswap.identity import Identity, consent_problems, load_identity
from vfxswap.ops import warp

Progress = Callable[[int, int], None]
_TYPES: tuple[FaceType, ...] = get_args(FaceType)
"""From the least of a head to the most."""
_NUMBER = re.compile(r"(\d+)$")
_FACE_NUMBER = re.compile(r"_(\d+)$")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be taken over, and whose faces they are."""

    sources: tuple[Path, ...]
    """JPEGs, folders of them, or packed facesets."""
    identity: Path | None = None
    """Folder of the identity that they show."""
    plate: str | None = None
    """Or: the shot whose plate they show."""
    production: str | None = None
    purpose: str | None = None
    size_px: int | None = None
    """Side of the crops; by default that of most pictures."""
    today: date | None = None


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What came of it."""

    faceset: Faceset
    refused: int
    """Faces that could not be taken; the faceset lists them with the reasons."""


def take_over(wanted: Wanted, out: Path, *, overwrite: bool = False, progress: Progress | None = None) -> TakenOver:
    """Writes DeepFaceLab's faces as a faceset.

    Faces of the most frequent type and size are taken as they are. Those of another size, and those that show more of
    the head, are cut again from their own landmarks; those that show less are refused.

    Args:
        wanted: What, and whose.
        out: The faceset's folder.
        overwrite: Whether a faceset that is there is replaced.
        progress: Is told `(faces done, faces in all)`.

    Raises:
        UsageError: The sources make no sense, or there is another faceset in the folder.
        PipelineError: The identity cannot be used, or its consent does not cover this.
        MediaError: No face could be taken, or a file cannot be read or written.
    """
    info = _info(wanted)
    refused: dict[str, str] = {}
    crop, total = _common_crop(wanted, refused)
    writer = FacesetWriter(out, crop, info, overwrite=overwrite)
    done = {(record.source, record.frame, record.track) for record in writer.records}
    for count, (where, raw) in enumerate(_files(wanted.sources), 1):
        if progress is not None:
            progress(count, total)
        try:
            face = _usable(read_aligned(_bytes(raw), where), crop)
        except MediaError as error:
            refused.setdefault(where, str(error))
        else:  # a disk that is full is no fault of the face's
            _take(face, where, writer, done)
    if not writer.records:
        writer.discard()
        reasons = "; ".join(list(refused.values())[:3])
        raise MediaError(f"none of {total} pictures could be taken: {reasons}")
    records = sorted(writer.records, key=lambda record: (record.source, record.frame, record.file))
    finished = writer.finish(compared(writer.folder, crop, info, records), left_out=refused)
    return TakenOver(finished, len(refused))


def _info(wanted: Wanted) -> FacesetInfo:
    names = ", ".join(path.name for path in wanted.sources)
    made_from = {"taken over from": "DeepFaceLab", "sources": names, "production": wanted.production or ""}
    made_from = {key: value for key, value in made_from.items() if value}
    if (wanted.identity is None) == (wanted.plate is None):
        raise UsageError(
            "say whose faces they are: --identity DIR (its folder, with the consent record) or --plate NAME"
        )
    if wanted.identity is None:
        return FacesetInfo(identity=wanted.plate or "", subject="plate", made_from=made_from)
    identity = _allowed(wanted, wanted.identity)
    return FacesetInfo(identity=identity.title, licence=identity.licence, consent=identity.consent, made_from=made_from)


def _allowed(wanted: Wanted, folder: Path) -> Identity:
    """The identity, if its record covers this use."""
    identity, problems = load_identity(folder.name, folder, bare=True)
    if identity is None:
        raise PipelineError(problems)
    if wanted.production is None:
        allowed = ", ".join(identity.consent.productions)
        message = "is missing: consent is given for productions, so what gathers a person's face must say its own"
        raise PipelineError([Problem(message, file="--production", allowed=allowed)])
    today = wanted.today or date.today()
    where = f"identity {folder.name}"
    objections = consent_problems(
        identity, production=wanted.production, purpose=wanted.purpose, today=today, where=where
    )
    if objections:
        raise PipelineError(objections)
    return identity


def _files(sources: Sequence[Path]) -> Iterator[tuple[str, bytes | Path]]:
    """`(name, file or its bytes)` of every face."""
    for source in sources:
        if not source.exists():
            raise UsageError(f"there is no {source}")
        if source.is_dir() and (source / "faceset.pak").is_file():
            yield from packed(source / "faceset.pak")
        elif source.is_dir():
            pictures = sorted(path for path in source.iterdir() if path.suffix.lower() in {".jpg", ".jpeg"})
            if not pictures:
                raise UsageError(f"{source} holds no aligned JPEGs and no faceset.pak")
            yield from ((f"{source.name}/{path.name}", path) for path in pictures)
        elif source.suffix.lower() == ".pak":
            yield from packed(source)
        else:
            yield source.name, source


def _bytes(raw: bytes | Path) -> bytes:
    if isinstance(raw, bytes):
        return raw
    try:
        return raw.read_bytes()
    except OSError as error:
        raise MediaError(f"cannot read {raw}: {error.strerror or error}", path=raw) from error


def _common_crop(wanted: Wanted, refused: dict[str, str]) -> tuple[CropSpec, int]:
    """The crop of most faces, and how many pictures there are; notes those that cannot be read."""
    kinds: Counter[tuple[FaceType, int]] = Counter()
    total = 0
    for where, raw in _files(wanted.sources):
        total += 1
        try:
            kinds[kind_of(_bytes(raw), where)] += 1
        except MediaError as error:
            refused[where] = str(error)
    if not kinds:
        reasons = "; ".join(list(refused.values())[:3])
        raise MediaError(f"none of {total} pictures could be taken: {reasons}")
    (face_type, size), _ = max(kinds.items(), key=lambda item: (item[1], item[0][1], item[0][0]))
    return crop_of_type(face_type, wanted.size_px or size), total


def _take(face: AlignedFace, where: str, writer: FacesetWriter, done: set[tuple[str, int, int | None]]) -> None:
    source, frame, track = _origin(face, where)
    if (source, frame, track) in done:
        return
    image, matte = _tensor(face.image[..., ::-1]), None if face.matte is None else _tensor(face.matte[..., None])
    again = _recut(face, writer.crop)
    landmarks, matrix = face.landmarks, face.plate_to_crop
    if again is not None:
        size = writer.crop.size_px
        image = warp.cut(image, origin=(0, 0), plate_to_crop=again, size_px=size, mode="bicubic").clamp(0, 1)
        if matte is not None:
            matte = warp.cut(matte, origin=(0, 0), plate_to_crop=again, size_px=size)
        landmarks = landmarks.mapped(again)
        matrix = None if matrix is None else composed(again, matrix)
    writer.add(image, landmarks, source=source, frame=frame, track=track, plate_to_crop=matrix, matte=matte)


def _recut(face: AlignedFace, crop: CropSpec) -> Affine | None:
    """How a face is cut again; None where it is as it shall be."""
    same = f"dfl68_{face.face_type}" == crop.template and face.image.shape[0] == crop.size_px
    return None if same else crop.plate_to_crop(face.landmarks)


def _usable(face: AlignedFace, crop: CropSpec) -> AlignedFace:
    """The same face, if such crops can be had of it.

    Raises:
        MediaError: It shows less than it must, or its landmarks say nothing of where to cut it again.
    """
    if _recut(face, crop) is not None:
        _check_shows_enough(face, crop)
    return face


def _check_shows_enough(face: AlignedFace, crop: CropSpec) -> None:
    wanted = next(name for name in _TYPES if crop.template == f"dfl68_{name}")
    if _TYPES.index(face.face_type) < _TYPES.index(wanted):
        raise MediaError(
            f"{face.name} shows a {face.face_type} face, and most show a {wanted} one, which is more than it has;"
            " import such faces by themselves"
        )


def _origin(face: AlignedFace, where: str) -> tuple[str, int, int | None]:
    """`(source, frame, track)`: `00012.png` and `00012_1.jpg` are frame 12, face 1, of the folder that they are in."""
    own = Path(where.rsplit("/", 1)[-1]).stem
    folder = where.rsplit("/", 1)[0] if "/" in where else where.partition("[")[0]
    stem = Path(face.source.replace("\\", "/")).stem or _FACE_NUMBER.sub("", own)
    number = _NUMBER.search(stem)
    track = _FACE_NUMBER.search(own)
    name = stem if number is None else folder
    return name, int(number[1]) if number and len(number[1]) < 10 else 1, int(track[1]) if track else None


def _tensor(values: NDArray[np.uint8] | NDArray[np.float32]) -> Tensor:
    planes = np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32)
    return torch.from_numpy(planes / np.float32(255) if values.dtype == np.uint8 else planes)
