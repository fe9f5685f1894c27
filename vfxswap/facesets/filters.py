"""Sifting a faceset: which faces are kept, and why each of the others is not."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vfxswap.errors import MediaError, UsageError
from vfxswap.faceset import FaceRecord, Faceset, FacesetWriter
from vfxswap.facesets.similarity import descriptors
from vfxswap.files import whole
from vfxswap.geometry import REGIONS, Landmarks, Region

_NEAR, _NEAR_PART = 0.012, 0.006
"""Two faces have one expression if their landmarks are so near in the mean, in sides of the crop: all of them, and
those of each part that speaks; 3 and 1.5 pixels of 256. A blink moves few of a mesh's points, and those not far."""
_PARTS: tuple[Region, ...] = ("left_eye", "right_eye", "lips_outer", "lips_inner")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a face must keep to; None asks for nothing."""

    min_sharpness: float | None = None
    """As the index has it."""
    min_size_px: float | None = None
    """Side of the crop in pixels of its source, as `Faceset.source_px`."""
    max_yaw: float | None = None
    """Degrees to either side."""
    max_pitch: float | None = None
    """Degrees up or down."""
    min_brightness: float | None = None
    max_brightness: float | None = None
    min_similarity: float | None = None
    min_inside: float | None = None
    """Part of the crop that lies inside the source's picture."""
    near_duplicates: float | None = None
    """Descriptors as like as this (0.98), with landmarks in the same places, are one face: the sharpest is kept."""

    def __post_init__(self) -> None:
        if self.near_duplicates is not None and not 0 < self.near_duplicates <= 1:
            raise UsageError(f"--near-duplicates {self.near_duplicates}: must be above 0 and at most 1, such as 0.98")

    @property
    def empty(self) -> bool:
        """Whether nothing is asked for."""
        return all(getattr(self, field.name) is None for field in fields(self))


@dataclass(frozen=True, slots=True)
class Dropped:
    """A face that is not kept."""

    index: int
    """Its place in the faceset."""
    kind: str
    """`sharpness`, `size`, `yaw`, `pitch`, `brightness`, `similarity`, `inside`, `unreadable` or `near-duplicate`."""
    reason: str
    """In words, with what was found."""


@dataclass(frozen=True, slots=True)
class Sifted:
    """What was found."""

    kept: tuple[int, ...]
    """Places in the faceset."""
    dropped: tuple[Dropped, ...]
    """In the order of the faceset."""

    @property
    def counts(self) -> dict[str, int]:
        """How many were dropped for what."""
        return dict(Counter(item.kind for item in self.dropped).most_common())


def sift(faceset: Faceset, limits: Limits) -> Sifted:
    """Decides which faces are kept; changes nothing.

    Pictures are read only where near-duplicates are looked for; those that cannot be read are dropped.

    Args:
        faceset: What is sifted.
        limits: What a face must keep to.
    """
    dropped = {}
    for index, record in enumerate(faceset.records):
        found = next(_objections(faceset, index, record, limits), None)
        if found is not None:
            dropped[index] = Dropped(index, *found)
    left = [index for index in range(len(faceset)) if index not in dropped]
    if limits.near_duplicates is not None:
        for item in _near_duplicates(faceset, left, limits.near_duplicates):
            dropped[item.index] = item
    kept = tuple(index for index in left if index not in dropped)
    return Sifted(kept, tuple(dropped[index] for index in sorted(dropped)))


def _objections(faceset: Faceset, index: int, record: FaceRecord, limits: Limits) -> Iterator[tuple[str, str]]:
    """`(kind, reason)` of each limit that a face does not keep to."""
    size = faceset.source_px(index)
    least = (
        ("sharpness", record.sharpness, limits.min_sharpness),
        ("size", size, limits.min_size_px),
        ("brightness", record.brightness, limits.min_brightness),
        ("similarity", record.similarity, limits.min_similarity),
        ("inside", record.inside, limits.min_inside),
    )
    for kind, value, bound in least:
        if bound is not None and value is not None and value < bound:
            yield kind, f"{kind} {value:.3g} is below {bound:g}"
    most = (
        ("yaw", abs(record.yaw), limits.max_yaw),
        ("pitch", abs(record.pitch), limits.max_pitch),
        ("brightness", record.brightness, limits.max_brightness),
    )
    for kind, value, bound in most:
        if bound is not None and value > bound:
            yield kind, f"{kind} {value:.3g} is beyond {bound:g}"


def _near_duplicates(faceset: Faceset, left: Sequence[int], threshold: float) -> Iterator[Dropped]:
    """All but the sharpest of faces that are nearly one; the sharpest come first, so what is kept is no accident."""
    readable = []
    for index in left:
        try:
            faceset.image(index)
        except MediaError as error:
            yield Dropped(index, "unreadable", str(error))
        else:
            readable.append(index)
    part = Faceset(faceset.folder, faceset.crop, faceset.info, tuple(faceset.records[i] for i in readable))
    looks = descriptors(part)
    kept: list[int] = []
    for place in sorted(range(len(part)), key=lambda i: (-part.records[i].sharpness, part.records[i].file)):
        twin = _twin(place, kept, looks, part, threshold)
        if twin is None:
            kept.append(place)
            continue
        like = float(looks[place] @ looks[twin])
        yield Dropped(
            readable[place],
            "near-duplicate",
            f"is nearly {part.records[twin].file}, which is sharper (like {like:.3f})",
        )


def _twin(
    place: int, kept: Sequence[int], looks: NDArray[np.float32], faceset: Faceset, threshold: float
) -> int | None:
    """The most alike of the kept faces, if it is a near-duplicate."""
    if not kept:
        return None
    likeness = looks[list(kept)] @ looks[place]
    for best in np.argsort(-likeness, kind="stable"):
        if likeness[best] < threshold:
            return None
        if _one_expression(faceset.landmarks(place), faceset.landmarks(kept[int(best)]), faceset.crop.size_px):
            return kept[int(best)]
    return None


def _one_expression(one: Landmarks, other: Landmarks, size_px: int) -> bool:
    if one.scheme != other.scheme:
        return False
    moved = np.linalg.norm(one.points[:, :2] - other.points[:, :2], axis=1) / size_px
    parts = [REGIONS[one.scheme][name] for name in _PARTS if name in REGIONS[one.scheme]]
    return bool(moved.mean() <= _NEAR) and all(moved[list(part)].mean() <= _NEAR_PART for part in parts)


def write_kept(faceset: Faceset, sifted: Sifted, out: Path, *, overwrite: bool = False) -> Faceset:
    """Writes the kept faces as a faceset of their own; the files are copied, and the first faceset stays as it is.

    Raises:
        UsageError: Nothing is kept, `out` is the faceset itself, or there is another faceset in it.
        MediaError: A file cannot be read or written.
    """
    if not sifted.kept:
        raise UsageError(f"no face of {faceset.folder} would be kept ({_counted(sifted)}); set the limits wider")
    if out.resolve() == faceset.folder.resolve():
        raise UsageError(f"{out} is the faceset itself; write what is kept to another folder")
    reasons = {faceset.records[item.index].file: item.reason for item in sifted.dropped}
    made_from = {**faceset.info.made_from, "sifted from": f"{len(faceset)} faces", "dropped": _counted(sifted)}
    info = faceset.info.model_copy(update={"made_from": made_from, "key": "", "left_out": {}})
    writer = FacesetWriter(out, faceset.crop, info, overwrite=overwrite)
    there = {record.file for record in writer.records}
    kept = [faceset.records[index] for index in sifted.kept]
    for record in (record for record in kept if record.file not in there):
        for name in filter(None, (record.file, record.matte)):
            _copy(faceset.folder / name, out / name)
        writer.take(record)
    return writer.finish(kept, left_out={**faceset.info.left_out, **reasons})


def _copy(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole(target) as temporary:
            shutil.copyfile(source, temporary)
    except FileNotFoundError as error:
        raise MediaError(f"cannot copy {source}: {error.strerror}", path=source) from error


def _counted(sifted: Sifted) -> str:
    return ", ".join(f"{count} by {kind}" for kind, count in sifted.counts.items()) or "none"
