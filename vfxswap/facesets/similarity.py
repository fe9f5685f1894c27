"""How like the faces of a faceset are, so that what does not belong stands out.

Without a model, by the looks of the picture (`vfxswap.ops.measure.descriptor`), which depend on pose and light as well
as on the person; with a face recogniser's ONNX file, by the person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.alignment import CropSpec, TemplateName
from vfxswap.errors import UsageError
from vfxswap.faceset import FaceRecord, Faceset, FacesetInfo, write_index
from vfxswap.geometry import Landmarks
from vfxswap.ops import warp
from vfxswap.ops.measure import descriptor

Vectors = NDArray[np.float32]
"""`(N, D)` float32, each of unit length."""
Describe = Callable[[Tensor, Landmarks], NDArray[np.float32]]
Progress = Callable[[int, int], None]

_FEWEST = 3


class Recogniser:
    """A face recogniser's ONNX file, run by OpenCV: one input `(1, 3, S, S)` R'G'B', one vector out.

    Args:
        path: The file.
        template: How it wants faces aligned.
        size_px: Side S of its input.
        values: What black and white are to it: `(0, 255)`, `(-1, 1)`.

    Raises:
        UsageError: There is no such file, or OpenCV cannot read it.
    """

    def __init__(
        self,
        path: Path,
        *,
        template: TemplateName = "arcface_112_v2",
        size_px: int = 112,
        values: tuple[float, float] = (0.0, 255.0),
    ) -> None:
        self.path, self._crop, self._values = path, CropSpec(template, size_px), values
        try:
            raw = path.read_bytes()
            self.sha256 = hashlib.sha256(raw).hexdigest()
            self._net: Any = cv2.dnn.readNetFromONNX(np.frombuffer(raw, np.uint8))
        except OSError as error:
            raise UsageError(f"cannot read the model {path}: {error.strerror or error}") from error
        except cv2.error as error:
            raise UsageError(f"{path} is no ONNX model that OpenCV can run: {str(error).splitlines()[0]}") from error

    def __call__(self, image: Tensor, landmarks: Landmarks) -> NDArray[np.float32]:
        """The vector of a face, of unit length.

        Args:
            image: `(3, S, S)` R'G'B' 0..1.
            landmarks: In its pixels.

        Raises:
            UsageError: The model does not take such input, or gives no vector.
        """
        matrix = self._crop.plate_to_crop(landmarks)
        crop = warp.cut(image, origin=(0, 0), plate_to_crop=matrix, size_px=self._crop.size_px).clamp(0, 1)
        low, high = self._values
        try:
            self._net.setInput((low + (high - low) * crop.numpy()[None]).astype(np.float32))
            found = np.asarray(self._net.forward(), dtype=np.float32)
        except cv2.error as error:
            size = self._crop.size_px
            raise UsageError(f"{self.path} takes no (1, 3, {size}, {size}): {str(error).splitlines()[0]}") from error
        if found.size < 2 or found.size != max(found.shape) or not np.isfinite(found).all():
            raise UsageError(f"{self.path} is no face recogniser: it gives {found.shape} in place of one finite vector")
        vector = found.reshape(-1)
        return vector / np.float32(max(float(np.linalg.norm(vector)), 1e-9))


def descriptors(faceset: Faceset, describe: Describe = descriptor, progress: Progress | None = None) -> Vectors:
    """`(N, D)` of all faces of a faceset.

    Raises:
        MediaError: A picture cannot be read.
    """
    found = []
    for index in range(len(faceset)):
        found.append(describe(faceset.image(index), faceset.landmarks(index)))
        if progress is not None:
            progress(index + 1, len(faceset))
    return np.stack(found) if found else np.zeros((0, 1), np.float32)


def _median(vectors: Vectors) -> NDArray[np.float32]:
    median = np.median(vectors, axis=0)
    unit: NDArray[np.float32] = (median / max(float(np.linalg.norm(median)), 1e-9)).astype(np.float32)
    return unit


def compared(folder: Path, crop: CropSpec, info: FacesetInfo, records: Sequence[FaceRecord]) -> list[FaceRecord]:
    """The records with their similarity: to the faceset's median descriptor, at most 1; unchanged if there are few."""
    if len(records) < _FEWEST:
        return list(records)
    return _with(records, _likeness(descriptors(Faceset(folder, crop, info, tuple(records)))))


def _likeness(vectors: Vectors) -> NDArray[np.float32]:
    likeness: NDArray[np.float32] = vectors @ _median(vectors)
    return likeness


def _with(records: Sequence[FaceRecord], likeness: NDArray[np.float32]) -> list[FaceRecord]:
    return [
        record.model_copy(update={"similarity": round(float(value), 4)})
        for record, value in zip(records, likeness, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Stranger:
    """A face that may not belong."""

    record: FaceRecord
    like_own: float
    """To the median of its own faceset, at most 1."""
    like_other: float | None
    """To that of the other, if there is one."""


def compare_faces(
    faceset: Faceset,
    *,
    recogniser: Recogniser | None = None,
    other: Faceset | None = None,
    least: float = 0.4,
    progress: Progress | None = None,
) -> tuple[Faceset, list[Stranger]]:
    """Compares the faces of a faceset anew, writes their similarity into its index, and finds those that stand out.

    Args:
        faceset: What is compared.
        recogniser: Tells people apart; without one the pictures' looks are compared.
        other: Another person's faceset: a face that is more like its median than like its own stands out.
        least: A face that is less like its own median stands out too.
        progress: Is told `(faces done, faces in all)`.

    Returns:
        The faceset with its new index, and the faces that stand out, the most suspicious first.

    Raises:
        UsageError: There are too few faces, or the recogniser is none.
        MediaError: A picture cannot be read, or the index not written.
    """
    for each in (faceset, *([other] if other is not None else [])):
        if len(each) < _FEWEST:
            raise UsageError(f"{each.folder} holds {len(each)} faces; to compare takes at least {_FEWEST}")
    describe: Describe = descriptor if recogniser is None else recogniser
    vectors = descriptors(faceset, describe, progress)
    own = _likeness(vectors)
    theirs = None if other is None else vectors @ _median(descriptors(other, describe))
    how = "the looks of the picture" if recogniser is None else f"{recogniser.path.name} ({recogniser.sha256})"
    info = faceset.info.model_copy(update={"made_from": {**faceset.info.made_from, "compared by": how}})
    written = write_index(faceset.folder, faceset.crop, info, _with(faceset.records, own))
    strangers = [
        Stranger(record, float(own[index]), None if theirs is None else float(theirs[index]))
        for index, record in enumerate(written.records)
        if own[index] < least or (theirs is not None and theirs[index] > own[index])
    ]
    return written, sorted(strangers, key=lambda face: (face.like_own - (face.like_other or 0.0), face.record.file))
