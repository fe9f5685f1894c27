"""Reading a faceset."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from vfxswap.alignment import CropSpec
from vfxswap.errors import MediaError
from vfxswap.faceset.pictures import as_tensor, decoded, file_sha256
from vfxswap.faceset.records import INDEX, FaceRecord, FacesetInfo, read_index
from vfxswap.geometry import Landmarks, scale_of


@dataclass(frozen=True, slots=True, eq=False)
class Faceset:
    """A faceset that was read; pictures are read when asked for."""

    folder: Path
    crop: CropSpec
    info: FacesetInfo
    records: tuple[FaceRecord, ...]

    @classmethod
    def load(cls, folder: Path) -> Faceset:
        """Reads a faceset's index.

        Args:
            folder: The faceset's, or its index itself.

        Raises:
            UsageError: It is none, is not finished, is of a later version, or something in its index is wrong.
        """
        folder = folder.parent if folder.name == INDEX else folder
        head, records = read_index(folder)
        return cls(folder, head.crop, head.info, records)

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return f"Faceset({self.folder}, {self.info.identity!r}, {len(self)} faces of {self.crop})"

    @property
    def hash(self) -> str:
        """A sha256 in hex over the crop and the records, and so over the pictures, whatever their order.

        How the faces compare is no part of it: it can be found again, and changes nothing that is learnt.
        """
        lines = sorted(record.model_dump_json(exclude={"similarity"}) for record in self.records)
        crop = f"{self.crop.template} {self.crop.size_px} {self.crop.zoom:.6g}"
        return hashlib.sha256("\n".join([crop, *lines]).encode()).hexdigest()

    def image(self, index: int) -> Tensor:
        """`(3, S, S)` float32 R'G'B' 0..1.

        Raises:
            MediaError: The file is missing, no picture, or not of the faceset's size.
        """
        path = self.folder / self.records[index].file
        values = decoded(path)
        if values.ndim != 3 or values.shape[2] != 3 or values.shape[:2] != (self.crop.size_px, self.crop.size_px):
            raise MediaError(
                f"{path} is {_shape_words(values)}; the faces of this faceset are colour, {_side(self.crop)}", path=path
            )
        return as_tensor(values[:, :, ::-1])

    def matte(self, index: int) -> Tensor | None:
        """`(1, S, S)` float32 0..1 of what of a crop is face, where there is one.

        Raises:
            MediaError: The file is missing, no picture, or not of the faceset's size.
        """
        name = self.records[index].matte
        if name is None:
            return None
        path = self.folder / name
        values = decoded(path)
        if values.ndim != 2 or values.shape != (self.crop.size_px, self.crop.size_px):
            raise MediaError(
                f"{path} is {_shape_words(values)}; the mattes of this faceset are grey, {_side(self.crop)}", path=path
            )
        return as_tensor(values[:, :, None])

    def landmarks(self, index: int) -> Landmarks:
        """Points of a face, in crop pixels."""
        return self.records[index].landmarks

    def source_px(self, index: int) -> float | None:
        """Side of a crop in pixels of what it was cut from; below the crop's own size it was enlarged."""
        matrix = self.records[index].similarity_matrix
        return None if matrix is None else self.crop.size_px / scale_of(matrix)

    def problems(self) -> Iterator[tuple[int, str]]:
        """Reads every file; gives the faces that cannot be used, with the reason."""
        for index, record in enumerate(self.records):
            try:
                self.image(index)
                self.matte(index)
            except MediaError as error:
                yield index, str(error)
            else:
                path = self.folder / record.file
                if file_sha256(path) != record.sha256:
                    yield index, f"{path} was changed since it was indexed"


def _side(crop: CropSpec) -> str:
    return f"{crop.size_px}x{crop.size_px}"


def _shape_words(values: NDArray[Any]) -> str:
    kind = {2: "grey", 3: "colour"}.get(values.ndim, "neither grey nor colour")
    return f"{kind if values.ndim == 2 or values.shape[2] == 3 else 'with alpha'}, {values.shape[1]}x{values.shape[0]}"
