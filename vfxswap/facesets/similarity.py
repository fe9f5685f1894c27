"""How like the faces of a faceset are, so that what does not belong stands out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vfxswap.alignment import CropSpec
from vfxswap.faceset import FaceRecord, Faceset, FacesetInfo
from vfxswap.ops.measure import descriptor

_FEWEST = 3


def descriptors(faceset: Faceset) -> NDArray[np.float32]:
    """`(N, 63)` of `vfxswap.ops.measure.descriptor`, one a face.

    Raises:
        MediaError: A picture cannot be read.
    """
    if not len(faceset):
        return np.zeros((0, 63), np.float32)
    return np.stack([descriptor(faceset.image(i), faceset.landmarks(i)) for i in range(len(faceset))])


def compared(folder: Path, crop: CropSpec, info: FacesetInfo, records: Sequence[FaceRecord]) -> list[FaceRecord]:
    """The records with their similarity: to the faceset's median descriptor, at most 1; unchanged if there are few."""
    if len(records) < _FEWEST:
        return list(records)
    found = descriptors(Faceset(folder, crop, info, tuple(records)))
    median = np.median(found, axis=0)
    likeness = found @ (median / max(float(np.linalg.norm(median)), 1e-9))
    return [
        record.model_copy(update={"similarity": round(float(value), 4)})
        for record, value in zip(records, likeness, strict=True)
    ]
