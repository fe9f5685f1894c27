"""What a faceset's index says, and its text: checked when it is read, whoever wrote it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, SkipValidation, ValidationError

from vfxswap.alignment import CropSpec, TemplateName
from vfxswap.errors import ShapeError, UsageError
from vfxswap.geometry import Affine, Landmarks, Points, Scheme
from vfxswap.identity import Consent

FORMAT = "vfxswap-faceset"
"""What the index says of itself."""
VERSION = 1
"""Of the format; a reader refuses a later one."""
INDEX = "faceset.json"
"""Name of the index."""
JOURNAL = "faces.part.jsonl"
"""Name of the index of a faceset that is not finished."""
_POINT_DIGITS = 2
_FACES = '"faces": [\n'

_Number = Annotated[float, Field(allow_inf_nan=False)]


def _as_array(value: object) -> object:
    """Points as an array; lists of thousands of faces would fill the memory."""
    if isinstance(value, np.ndarray):
        return value
    try:
        points = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError("must be a list of points [x, y] or [x, y, z]") from error
    if points.ndim != 2 or points.shape[1] not in {2, 3} or not np.isfinite(points).all():
        raise ValueError("must be a list of finite points [x, y] or [x, y, z]")
    return points


def rounded(points: Points) -> Any:
    """Points as the index has them: lists, to a hundredth of a pixel."""
    return (np.round(points, _POINT_DIGITS) + 0.0).tolist()


_PointArray = Annotated[SkipValidation[NDArray[np.float64]], BeforeValidator(_as_array), PlainSerializer(rounded)]
Row = tuple[_Number, _Number, _Number]


class FaceRecord(BaseModel):
    """One face of a faceset."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)

    file: str
    """The crop, relative to the folder."""
    sha256: str
    """Of the crop's file, in hex."""
    source: str
    """Name of the shot or still that it was cut from, without a folder."""
    frame: int
    """The source's number of the frame; 1 for a still."""
    track: int | None = None
    """Which of the source's faces it is, where it was known."""
    scheme: Scheme
    points: _PointArray
    """`(K, 2)` or `(K, 3)` crop pixels."""
    plate_to_crop: tuple[Row, Row] | None = None
    """The similarity by which it was cut; None where it is not known."""
    yaw: _Number
    """Degrees, as those below, of `vfxswap.geometry.Pose`."""
    pitch: _Number
    roll: _Number
    sharpness: _Number
    """This and the next four as `vfxswap.ops.measure.Measures` has them."""
    brightness: _Number
    key_right_stops: _Number
    key_top_stops: _Number
    warmth_stops: _Number
    inside: _Number | None = None
    """Which part of the crop lies inside the source's picture, 0..1; beyond it the edge was repeated."""
    similarity: _Number | None = None
    """How like the faceset's other faces it is, at most 1; None where nobody has compared them."""
    matte: str | None = None
    """Relative to the folder."""

    @property
    def landmarks(self) -> Landmarks:
        """In crop pixels."""
        return Landmarks(self.points, self.scheme)

    @property
    def similarity_matrix(self) -> Affine | None:
        """`plate_to_crop` as a matrix."""
        return None if self.plate_to_crop is None else np.array(self.plate_to_crop, dtype=np.float64)


class FacesetInfo(BaseModel):
    """What is said of a whole faceset."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    identity: str
    """Whose face it is: the `name` of identity.toml; of a plate's faces, the shot's name."""
    subject: Literal["identity", "plate"] = "identity"
    """Whether it shows who is put in, or whom they replace."""
    licence: str = ""
    """Terms on which the pictures may be used."""
    consent: Consent | None = None
    """The record of identity.toml as it stood; None for a plate's faces."""
    color_space: str = "srgb"
    """What the crops' values mean, a name of `vfxswap.color.SPACES`."""
    bits: Literal[8, 16] = 8
    """Of each sample of the crops."""
    made_from: Mapping[str, str] = Field(default_factory=dict)
    """What it was made from and how, in words for people."""
    left_out: Mapping[str, str] = Field(default_factory=dict)
    """Sources, frames or files that gave no face, with the reason in words."""
    key: str = ""
    """Content key of what it was made from; two that are equal make the same faceset."""


class Head(FacesetInfo):
    """The index without its faces."""

    format: Literal["vfxswap-faceset"] = "vfxswap-faceset"
    version: Literal[1] = 1
    template: TemplateName
    size_px: int = Field(ge=16, le=4096)
    zoom: float = Field(gt=0)

    @property
    def crop(self) -> CropSpec:
        """How the faces are aligned."""
        return CropSpec(self.template, self.size_px, self.zoom)

    @property
    def info(self) -> FacesetInfo:
        """What is said of the whole."""
        return FacesetInfo.model_validate({name: getattr(self, name) for name in FacesetInfo.model_fields})


def head_of(crop: CropSpec, info: FacesetInfo) -> Head:
    """The head of a faceset's index."""
    own = {name: getattr(info, name) for name in FacesetInfo.model_fields}
    return Head(template=crop.template, size_px=crop.size_px, zoom=crop.zoom, **own)


def head_text(head: Head) -> str:
    """The head as one line of JSON."""
    fields = head.model_dump(mode="json", by_alias=True)
    first = {name: fields.pop(name) for name in ("format", "version")}
    return json.dumps({**first, **fields}, ensure_ascii=False)


def read_index(folder: Path) -> tuple[Head, tuple[FaceRecord, ...]]:
    """Reads a faceset's index.

    Raises:
        UsageError: There is none, it is of a later version, or something in it is wrong.
    """
    path = folder / INDEX
    if not path.is_file():
        why = "holds a faceset that is not finished; run the command that makes it again, to go on with it"
        raise UsageError(f"{folder} {why if (folder / JOURNAL).is_file() else f'is no faceset: it has no {INDEX}'}")
    try:
        text = path.read_text(encoding="utf-8")
        data, faces = _parts(text) or (json.loads(text), None)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the faceset {path}: {error}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UsageError(f"{path} is no index of a faceset: it does not say format {FORMAT!r}")
    if data.get("version") != VERSION:
        raise UsageError(f"{path} is a faceset of version {data.get('version')!r}; this reads version {VERSION}")
    listed = data.pop("faces", None)
    if not isinstance(listed, list):
        raise UsageError(f"{path}: faces is missing, or no list")
    head = _checked_head(path, data)
    found = enumerate(listed if faces is None else map(json.loads, faces))
    try:
        return head, tuple(checked_face(f"{path}: face {index}", face, folder) for index, face in found)
    except json.JSONDecodeError as error:
        raise UsageError(f"cannot read the faceset {path}: {error}") from error


def _parts(text: str) -> tuple[Any, list[str]] | None:
    """The head of an index as `index_text` writes it, and its faces' lines; None if it was written otherwise.

    A face at a time takes a third of the memory of all at once, and less time: their points are millions of numbers.
    """
    head, mark, rest = text.partition(_FACES)
    lines = rest.split("\n")
    if not mark or lines[-2:] != ["]}", ""]:
        return None
    return json.loads(f"{head}{_FACES}]}}"), [line.removesuffix(",") for line in lines[:-2] if line]


def index_text(head: Head, records: Sequence[FaceRecord]) -> str:
    """An index as it is written, one face a line."""
    faces = ",\n".join(face_text(record) for record in records)
    return f"{head_text(head)[:-1]}, {_FACES}{faces}\n]}}\n"


def _checked_head(path: Path, data: object) -> Head:
    try:
        return Head.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise UsageError(f"{path}: {_said(error)}") from error


def checked_face(where: str, data: object, folder: Path) -> FaceRecord:
    """A face of an index.

    Raises:
        UsageError: Something in it is wrong; begins with `where`.
    """
    try:
        record = FaceRecord.model_validate(_tupled(data))
        record.landmarks  # noqa: B018 - counts the points
    except ValidationError as error:
        raise UsageError(f"{where}: {_said(error)}") from error
    except ShapeError as error:
        raise UsageError(f"{where}: {error}") from error
    for name in (record.file, record.matte or record.file):
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise UsageError(f"{where}: file {name!r} lies outside the faceset's folder {folder}")
    return record


def _tupled(data: object) -> object:
    """A face as JSON has it, with the matrix in tuples, as strict validation of Python values demands."""
    if isinstance(data, dict) and isinstance(data.get("plate_to_crop"), list):
        rows = data["plate_to_crop"]
        return {**data, "plate_to_crop": tuple(tuple(row) if isinstance(row, list) else row for row in rows)}
    return data


def _said(error: ValidationError) -> str:
    found = error.errors()[:3]
    return "; ".join(
        f"{'.'.join(map(str, item['loc']))}: {item['msg']} ({str(item['input'])[:40]!r})" for item in found
    )


def face_text(record: FaceRecord) -> str:
    """A face as one line of JSON."""
    return record.model_dump_json(exclude_none=True)
