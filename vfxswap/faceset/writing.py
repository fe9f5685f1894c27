"""Writing a faceset, so that it can be broken off and gone on with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

import numpy as np
from torch import Tensor

from vfxswap.alignment import CropSpec
from vfxswap.errors import MediaError, ShapeError, UsageError
from vfxswap.faceset.pictures import as_stored, coded, file_sha256, write_png, write_words
from vfxswap.faceset.reading import Faceset
from vfxswap.faceset.records import (
    INDEX,
    JOURNAL,
    FaceRecord,
    FacesetInfo,
    Row,
    checked_face,
    face_text,
    head_of,
    head_text,
    index_text,
    read_index,
    rounded,
)
from vfxswap.files import make_folder, whole
from vfxswap.geometry import Affine, Landmarks, inverted, pose_of
from vfxswap.ops.measure import measured

_VALUE_DIGITS, _ANGLE_DIGITS = 4, 2


class FacesetWriter:
    """Writes a faceset, face by face; the index appears when `finish` is called, and not before.

    A faceset that was begun with the same crop and the same info is gone on with: `records` holds the faces that are
    there already. For one thread.

    Args:
        folder: Made if it is not there.
        crop: How the faces are aligned.
        info: What is said of the whole.
        overwrite: Whether a faceset that is there, finished or not, is removed first.

    Raises:
        UsageError: There is another faceset in the folder, or one that was begun otherwise.
        MediaError: The folder cannot be written.
    """

    def __init__(self, folder: Path, crop: CropSpec, info: FacesetInfo, *, overwrite: bool = False) -> None:
        self.folder, self.crop, self.info = folder, crop, info
        self.records: list[FaceRecord] = []
        self._text = head_text(head_of(crop, info))
        if overwrite:
            remove_faceset(folder)
        if (folder / INDEX).exists():
            raise UsageError(f"{folder} holds a faceset already; write elsewhere, or replace it with --overwrite")
        make_folder(folder / "faces")
        self._go_on() if (folder / JOURNAL).is_file() else self._begin()
        self._names = {Path(record.file).stem for record in self.records}

    def discard(self) -> None:
        """Removes what was begun, and the folders that are empty then."""
        remove_faceset(self.folder)
        for folder in (self.folder / "faces", self.folder / "mattes", self.folder):
            with suppress(OSError):  # somebody's files are in it
                folder.rmdir()

    def _begin(self) -> None:
        with whole(self.folder / JOURNAL) as temporary:
            temporary.write_text(self._text + "\n", encoding="utf-8")

    def _go_on(self) -> None:
        """Takes over the faces of the journal whose pictures are as they were; a torn last line is dropped."""
        path = self.folder / JOURNAL
        head, *lines = path.read_text(encoding="utf-8").split("\n")
        if head != self._text:
            raise UsageError(
                f"{self.folder} holds a faceset that was begun from other things or by another version; write"
                " elsewhere, or replace it with --overwrite"
            )
        for line in lines[:-1]:
            record = checked_face(f"{path}", json.loads(line), self.folder)
            if file_sha256(self.folder / record.file) == record.sha256:
                self.records.append(record)
        with whole(path) as temporary:
            temporary.write_text("\n".join([head, *map(face_text, self.records), ""]), encoding="utf-8")

    def add(  # noqa: PLR0913 - each is a fact of its own
        self,
        image: Tensor,
        landmarks: Landmarks,
        *,
        source: str,
        frame: int,
        track: int | None = None,
        plate_to_crop: Affine | None = None,
        matte: Tensor | None = None,
        inside: float | None = None,
        similarity: float | None = None,
    ) -> FaceRecord:
        """Writes one face.

        Args:
            image: `(3, S, S)` float32 R'G'B' in the face space; what is beyond 0..1 is clipped.
            landmarks: In crop pixels.
            source: Name of the shot or still.
            frame: Frame of the source.
            track: Which of its faces, where known.
            plate_to_crop: How it was cut, where known.
            matte: `(1, S, S)` float32 0..1, what of it is face, where known.
            inside: Which part of the crop lies inside the source's picture, where known.
            similarity: How like the others it is, where known.

        Raises:
            ShapeError: The image or the matte has another size than the crop.
            MediaError: A file cannot be written.
        """
        size = self.crop.size_px
        _check_shape("a face's image", image, (3, size, size))
        if matte is not None:
            _check_shape("a face's matte", matte, (1, size, size))
        words = coded(image, self.info.bits)
        kept = Landmarks(np.asarray(rounded(landmarks.points), dtype=np.float64), landmarks.scheme)
        name = self._free_name(source, frame)
        record = FaceRecord(
            file=f"faces/{name}.png",
            sha256=write_words(self.folder / f"faces/{name}.png", words),
            source=source,
            frame=frame,
            track=track,
            scheme=kept.scheme,
            points=kept.points,
            plate_to_crop=None if plate_to_crop is None else _rows(plate_to_crop),
            inside=None if inside is None else round(inside, _VALUE_DIGITS),
            similarity=similarity,
            matte=None if matte is None else f"mattes/{name}.png",
            **_pose(kept, plate_to_crop),
            **_measures(as_stored(words), kept),
        )
        if matte is not None:
            make_folder(self.folder / "mattes")
            write_png(self.folder / f"mattes/{name}.png", matte, bits=8)
        self._note(record)
        return record

    def _free_name(self, source: str, frame: int) -> str:
        """A file name that says where the face is from."""
        stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in Path(source).stem).strip("_") or "face"
        base = f"{stem}_{frame:06d}"
        name, number = base, 2
        while name in self._names:
            name, number = f"{base}_{number}", number + 1
        self._names.add(name)
        return name

    def _note(self, record: FaceRecord) -> None:
        self.records.append(record)
        try:
            with (self.folder / JOURNAL).open("a", encoding="utf-8") as journal:
                journal.write(face_text(record) + "\n")
        except OSError as error:
            raise MediaError(f"cannot write {self.folder / JOURNAL}: {error}", path=self.folder) from error

    def take(self, record: FaceRecord) -> None:
        """Adds a face whose files are in the folder already.

        Raises:
            MediaError: They are not, or the picture is another.
        """
        if file_sha256(self.folder / record.file) != record.sha256:
            raise MediaError(
                f"{self.folder / record.file} is not the picture that its record tells of", path=self.folder
            )
        self._names.add(Path(record.file).stem)
        self._note(record)

    def finish(
        self, records: Sequence[FaceRecord] | None = None, *, left_out: Mapping[str, str] | None = None
    ) -> Faceset:
        """Writes the index.

        Args:
            records: The faces in the order that they shall have, with what was found out of them later; those that
                were added, by default.
            left_out: What gave no face, and why; as the info says, by default.

        Raises:
            MediaError: It cannot be written.
        """
        final = tuple(self.records if records is None else records)
        info = self.info if left_out is None else self.info.model_copy(update={"left_out": dict(left_out)})
        written = write_index(self.folder, self.crop, info, final)
        (self.folder / JOURNAL).unlink(missing_ok=True)
        return written


def write_index(folder: Path, crop: CropSpec, info: FacesetInfo, records: Sequence[FaceRecord]) -> Faceset:
    """Writes the index of faces whose files are in the folder; it is the old one or the new one, never half of one.

    Raises:
        MediaError: It cannot be written.
    """
    with whole(folder / INDEX) as temporary:
        temporary.write_text(index_text(head_of(crop, info), records), encoding="utf-8")
    return Faceset(folder, crop, info, tuple(records))


def holds_faceset(folder: Path) -> bool:
    """Whether there is a finished faceset in a folder."""
    return (folder / INDEX).is_file()


def remove_faceset(folder: Path) -> None:
    """Removes an index and the files that it lists, and nothing else.

    Raises:
        UsageError: There is an index that cannot be read.
    """
    records: list[FaceRecord] = []
    if (folder / INDEX).is_file():
        records += read_index(folder)[1]
    journal = folder / JOURNAL
    if journal.is_file():
        lines = journal.read_text(encoding="utf-8").split("\n")[1:-1]
        records += [checked_face(str(journal), json.loads(line), folder) for line in lines]
    (folder / INDEX).unlink(missing_ok=True)
    for record in records:
        for name in (record.file, record.matte):
            if name is not None:
                (folder / name).unlink(missing_ok=True)
    journal.unlink(missing_ok=True)


def _rows(matrix: Affine) -> tuple[Row, Row]:
    first, second = (tuple(float(value) for value in row) for row in matrix)
    return cast("tuple[Row, Row]", (first, second))


def _check_shape(what: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape or not tensor.is_floating_point():
        raise ShapeError(what, expected=f"{shape} float32", actual=f"{tuple(tensor.shape)} {tensor.dtype}")


def _measures(image: Tensor, landmarks: Landmarks) -> dict[str, float]:
    return {name: round(value, _VALUE_DIGITS) for name, value in measured(image, landmarks)._asdict().items()}


def _pose(landmarks: Landmarks, plate_to_crop: Affine | None) -> dict[str, float]:
    """In the plate, where it is known: in its own crop no head leans."""
    plate = landmarks if plate_to_crop is None else landmarks.mapped(inverted(plate_to_crop))
    return {name: round(value, _ANGLE_DIGITS) for name, value in pose_of(plate)._asdict().items()}
