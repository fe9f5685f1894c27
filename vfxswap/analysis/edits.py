"""Artists' edits of what was found, kept apart from it so that they survive re-analysis; see docs/analysis.md.

JSON, an ordered list: what comes later has the last word, and the last one can be taken back. Coordinates are those of
tracks files: pixels from the corner of the display window, y down, the centre of the first pixel at `(0.5, 0.5)`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from vfxswap.clock import FrameRange
from vfxswap.errors import UsageError
from vfxswap.files import make_folder, whole
from vfxswap.geometry import SCHEME_SIZES, Scheme

FORMAT = "vfxswap-edits"
"""What the file says of itself."""
VERSION = 1
"""Of the format; a reader refuses a later one."""

_Number = Annotated[float, Field(allow_inf_nan=False)]
_Point = Annotated[tuple[_Number, ...], Field(min_length=2, max_length=3)]
_Flat = tuple[_Number, _Number]
_FrameName = Annotated[str, Field(pattern=r"^-?(0|[1-9]\d*)$")]


def _not_empty(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    if box[2] <= box[0] or box[3] <= box[1]:
        raise ValueError("a box is [x0, y0, x1, y1] with x1 > x0 and y1 > y0")
    return box


def _frames(text: str) -> str:
    try:
        FrameRange.parse(text)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return text


BoxValue = Annotated[tuple[_Number, _Number, _Number, _Number], AfterValidator(_not_empty)]
FiveValue = tuple[_Flat, _Flat, _Flat, _Flat, _Flat]
Then = Literal["linear", "smooth", "found"]
"""What follows a key: a straight or a smooth way to the next one, or what was found."""


_WAYS: Mapping[Then, str] = {"linear": "a straight way", "smooth": "a smooth way", "found": "as found"}


class _Edit(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    track: int
    """Whose face."""


class _Keyed(_Edit):
    then: Then = "linear"

    keys: Mapping[_FrameName, Any]

    @property
    def frames(self) -> tuple[int, ...]:
        """The key frames."""
        return tuple(int(name) for name in self.keys)

    def __str__(self) -> str:
        what = {"box": "box", "five": "five points", "points": "dense points"}[self.do]  # type: ignore[attr-defined]
        return f"track {self.track}: {what} set at {FrameRange.of(self.frames)}, then {_WAYS[self.then]}"


class BoxKeys(_Keyed):
    """Boxes at key frames."""

    do: Literal["box"] = "box"
    keys: Annotated[Mapping[_FrameName, BoxValue], Field(min_length=1)]


class FiveKeys(_Keyed):
    """Five points at key frames: eyes (image left, right), nose tip, mouth corners (image left, right)."""

    do: Literal["five"] = "five"
    keys: Annotated[Mapping[_FrameName, FiveValue], Field(min_length=1)]


class PointKeys(_Keyed):
    """Dense points at key frames; a face that has them is not aligned again."""

    do: Literal["points"] = "points"
    scheme: Scheme
    keys: Annotated[Mapping[_FrameName, tuple[_Point, ...]], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits(self) -> PointKeys:
        count = SCHEME_SIZES[self.scheme]
        axes = {len(point) for points in self.keys.values() for point in points}
        if any(len(points) != count for points in self.keys.values()) or len(axes) != 1:
            raise ValueError(f"must be {count} points for {self.scheme}, all with or all without a depth")
        return self


class NewTrack(_Edit):
    """A face that no stage found; it is there where its keys say so."""

    do: Literal["new"] = "new"

    def __str__(self) -> str:
        return f"track {self.track}: new"


class Delete(_Edit):
    """Faces that are none."""

    do: Literal["delete"] = "delete"
    frames: Annotated[str, AfterValidator(_frames)] | None = None
    """In which frames; None is in all."""

    def __str__(self) -> str:
        return f"track {self.track}: deleted {f'at {self.frames}' if self.frames else 'everywhere'}"


class Join(_Edit):
    """Two tracks that are one person: the other's faces are this one's from here on."""

    do: Literal["join"] = "join"
    other: int

    @model_validator(mode="after")
    def _two(self) -> Join:
        if self.track == self.other:
            raise ValueError("a track cannot be joined to itself")
        return self

    def __str__(self) -> str:
        return f"track {self.track}: track {self.other} is the same person"


class GiveIdentity(_Edit):
    """Who is put in; None leaves the face as it is."""

    do: Literal["identity"] = "identity"
    identity: str | None

    def __str__(self) -> str:
        return f"track {self.track}: {'left as it is' if self.identity is None else f'becomes {self.identity}'}"


Edit = BoxKeys | FiveKeys | PointKeys | NewTrack | Delete | Join | GiveIdentity
Keys = BoxKeys | FiveKeys | PointKeys


class Edits(BaseModel):
    """An edits file."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    format: Literal["vfxswap-edits"] = "vfxswap-edits"
    version: Literal[1] = 1
    width: int = Field(gt=0)
    """Columns of the display window that they were made in."""
    height: int = Field(gt=0)
    """Rows of it."""
    edits: tuple[Annotated[Edit, Field(discriminator="do")], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.edits)

    def facts(self) -> Any:
        """What results depend on, for the content key."""
        return [edit.model_dump(mode="json") for edit in self.edits]

    def with_edits(self, edits: Iterable[Edit]) -> Edits:
        """More of them, at the end."""
        return self.model_copy(update={"edits": (*self.edits, *edits)})

    def without_last(self, count: int = 1) -> Edits:
        """Fewer of them."""
        return self.model_copy(update={"edits": self.edits[: max(len(self.edits) - count, 0)]})


def read_edits(path: Path) -> Edits:
    """Reads an edits file.

    Raises:
        UsageError: It cannot be read, or something in it is wrong; names the file, the edit and the key.
    """
    try:
        text = path.read_text(encoding="utf-8")
        facts = json.loads(text, object_pairs_hook=_without_repeats)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the edits file {path}: {error}") from error
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}, line {error.lineno}: not valid JSON: {error.msg}") from error
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    if isinstance(facts, dict) and facts.get("format") == FORMAT and facts.get("version") != VERSION:
        raise UsageError(f"{path} is an edits file of version {facts.get('version')}; this reads version {VERSION}")
    try:
        return Edits.model_validate_json(text)
    except ValidationError as error:
        raise UsageError(f"{path}: {'; '.join(_said(item, facts) for item in error.errors()[:5])}") from error


def write_edits(path: Path, edits: Edits) -> None:
    """Writes an edits file, one edit a line; it appears under its name when it is whole.

    Raises:
        MediaError: It cannot be written.
    """
    facts = edits.model_dump(mode="json", exclude={"edits"})
    lines = ",\n".join(f" {json.dumps(edit, separators=(', ', ': '))}" for edit in map(_ordered, edits.edits))
    text = f'{json.dumps(facts)[:-1]}, "edits": [\n{lines}\n]}}\n' if lines else f"{json.dumps(facts)}\n"
    make_folder(path.parent)
    with whole(path, synced=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _ordered(edit: Edit) -> dict[str, Any]:
    """What is done first, as people read it."""
    facts = edit.model_dump(mode="json")
    return {name: facts[name] for name in sorted(facts, key=lambda name: (name != "do", name != "track", name))}


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")
    return found


def _said(error: Any, facts: object) -> str:
    place = [part for part in error["loc"] if not _is_branch(part, error["loc"])]
    words = ".".join(str(part) for part in place)
    if place[:1] == ["edits"] and len(place) > 1 and isinstance(place[1], int):
        words = f"edit {place[1] + 1}"
        if rest := ".".join(str(part) for part in place[2:]):
            words += f", {rest}"
    found = "" if error["type"] == "missing" else f" (found {str(error['input'])[:60]!r})"
    say: dict[str, Callable[[], str]] = {
        "extra_forbidden": lambda: "there is no such key; see docs/analysis.md",
        "value_error": lambda: str(error["ctx"]["error"]),
    }
    told = say.get(error["type"], lambda: str(error["msg"]))()
    return f"{words or 'the file'}: {told}{found}" if isinstance(facts, dict) else f"must be an object{found}"


_DOS = frozenset({"box", "five", "points", "new", "delete", "join", "identity"})


def _is_branch(part: object, location: tuple[object, ...]) -> bool:
    """Whether a part of pydantic's location names what is done, and no key: the third, after `edits` and a place."""
    return len(location) > 2 and location[0] == "edits" and location[2] is part and part in _DOS
