"""A pipeline that only looks: its plate, its detector and its aligner, and who takes which face; no swap, no delivery.

What a pipeline needs beyond that (weights, a delivery) may not be there yet when faces are gathered for training, so it
is not asked for; consent is, as for a run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast, get_args

import tomli
from pydantic import ValidationError

from vfxswap.alignment import CropSpec, FaceType, crop_of_type
from vfxswap.drivers.base import given
from vfxswap.errors import ModelMissing, PipelineError, PluginError, Problem, UsageError
from vfxswap.frame import FaceBatch, Frame
from vfxswap.host import Host
from vfxswap.identity import Identity, consent_problems, load_identity
from vfxswap.layers import LayerOrder
from vfxswap.media import DeliveryOptions, Writer
from vfxswap.models import ModelStore
from vfxswap.pipeline import FaceRule, IdentityEntry, Pipeline, PlannedStage, Shot, choose_device
from vfxswap.pipeline import overrides as words
from vfxswap.pipeline.chain import Slot, read_stages
from vfxswap.pipeline.cut import settle_clip
from vfxswap.pipeline.finding import open_edits
from vfxswap.pipeline.key import with_keys
from vfxswap.pipeline.people import read_identities
from vfxswap.pipeline.plate import open_plate, read_shot
from vfxswap.pipeline.reading import Notes, Origin, nearest
from vfxswap.stage import Aligner, Swapped, Swapper, SwapperOptions

if TYPE_CHECKING:
    from torch import Tensor

_LATER = frozenset({"swapped", "matte", "result"})
"""What only stages hand on that come after those that look."""
_ITS_OWN = ("timeline", "media", "frames", "handles", "rate", "cuts", "color_space")
"""What [shot] says of its plate and of no other."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose faces, and how they shall be cut."""

    pipeline: Path
    identity: str
    """A name under [identities]."""
    crop: CropSpec
    overrides: Sequence[str] = ()
    """`KEY=VALUE` texts, as `--set` has them."""
    device: str | None = None
    today: date | None = None


def plan_of(
    asked: Asked, host: Host, *, plate: Path | None = None, frames: str | None = None, face: FaceRule | None = None
) -> Pipeline:
    """The part of a pipeline that finds the face which an identity takes.

    Args:
        asked: Whose.
        host: The plugins.
        plate: Footage to look at in place of the pipeline's plate; then nothing that [shot] says of its own plate
            (frames, cuts, colour space) is taken, and the largest face unless `face` says another.
        frames: Frames to look at; by default those of the file, or all of another plate.
        face: Which face to take.

    Returns:
        A plan whose stages are those that look, and one that takes the crops. It delivers nothing.

    Raises:
        PipelineError: Something is wrong, or consent does not cover it; holds everything that is.
    """
    return _Draft(asked, host, plate, frames).settled(face)


def crop_asked(face_type: str, size_px: int) -> CropSpec:
    """The crop of a face type.

    Raises:
        UsageError: There is no such type, or no such size.
    """
    if face_type not in get_args(FaceType):
        raise UsageError(f"there is no face type {face_type!r}; allowed: {', '.join(get_args(FaceType))}")
    if not 32 <= size_px <= 2048:
        raise UsageError(f"crops of {size_px} px cannot be made; allowed: 32 to 2048")
    return crop_of_type(cast("FaceType", face_type), size_px)


def face_rule(text: str) -> FaceRule:
    """Reads `by=left,rank=2`, in the words of `face` in a pipeline file.

    Raises:
        UsageError: It says something else.
    """
    table: dict[str, Any] = {}
    for part in text.split(","):
        key, equals, value = (word.strip() for word in part.partition("="))
        if not equals or key in table:
            raise UsageError(f"--face {text}: write KEY=VALUE, such as by=left,rank=2")
        table[key] = int(value) if value.isdecimal() else value
    if isinstance(table.get("still"), str):
        table["still"] = str(Path(table["still"]).absolute())
    try:
        return FaceRule.model_validate_json(json.dumps(table))
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise UsageError(f"--face {text}: {said}") from error


class _Draft:
    """The plan while it is read."""

    def __init__(self, asked: Asked, host: Host, plate: Path | None, frames: str | None) -> None:
        self._asked, self._host, self._other = asked, host, plate is not None
        self._raw = _read(asked.pipeline)
        document = _document(asked.pipeline, self._raw)
        if plate is not None and isinstance(document.get("shot"), dict):
            document["shot"] = {key: value for key, value in document["shot"].items() if key not in _ITS_OWN}
        given = [words.parse(text) for text in asked.overrides]
        wanted = [item for item in given if isinstance(item, words.Override)]
        wanted += words.from_flags(plate=plate, out=None, frames=frames)
        self._document, origins, wrong = words.apply(document, wanted)
        self._words = tuple(item.words for item in wanted)
        self._notes = Notes(
            Origin(asked.pipeline, origins), [*(item for item in given if isinstance(item, Problem)), *wrong]
        )

    def settled(self, face: FaceRule | None) -> Pipeline:
        notes, asked = self._notes, self._asked
        found = settle_clip(self._document, notes)
        self._document = found.document
        shot = read_shot(self._document, notes)
        plate = open_plate(shot, self._host, notes, cut=found.cut) if shot and not found.is_lost else None
        entries = read_identities(self._document, notes)
        identities = self._identities(entries, shot)
        store = ModelStore.from_environment(self._host.model_cards())
        stages = self._stages(store)
        device = self._device()
        # Edits are words about the pipeline's own plate.
        edits = None if self._other else open_edits(shot, plate, tuple(entries), notes, may_lack=False)
        if notes.problems or shot is None or plate is None or plate.tags is None:
            raise PipelineError(notes.problems)
        casting = {name: entry.face for name, entry in entries.items() if name in identities}
        if self._other or face is not None:
            identities = {asked.identity: identities[asked.identity]}
            casting = {asked.identity: FaceRule() if face is None else face}
        plan = Pipeline(
            path=asked.pipeline,
            name=asked.pipeline.stem,
            text=self._raw.decode("utf-8"),
            sha256=hashlib.sha256(self._raw).hexdigest(),
            overrides=self._words,
            shot=shot,
            plate_path=shot.plate,
            plate=plate.info,
            colors=plate.colors.names,
            face=None,  # face sets are of one space, whatever the shot's stages see
            tags=plate.tags,
            frames=plate.frames,
            edit=plate.wanted.edit,
            reader=plate.reader,
            writer=_Nowhere,
            delivery_path=Path("nowhere"),
            writer_options=DeliveryOptions(),
            layers=LayerOrder(),
            identities=identities,
            casting=casting,
            stages=(*stages, *_takers(identities, asked.crop, len(stages))),
            device=device,
            store=store,
            key="",
            edits=edits,
        )
        return with_keys(plan)

    def _identities(self, entries: Mapping[str, IdentityEntry], shot: Shot | None) -> dict[str, Identity]:
        """Those of the file, in its order; consent is asked for the one whose faces are taken."""
        notes, name = self._notes, self._asked.identity
        tables = self._document.get("identities", {})
        if name not in tables:
            known = ", ".join(tables) or "none"
            problem = Problem("there is no such identity in the pipeline file", file="--identity", value=name)
            notes.add(replace(problem, allowed=known, nearest=nearest(name, tables)))
        found = {}
        for other, entry in entries.items():
            identity, problems = load_identity(other, entry.path, bare=True)
            for problem in problems if other == name else ():
                notes.add(problem, "identities", name, "path")
            if identity is not None:
                found[other] = identity
        if name in found and shot is not None:
            self._ask_consent(found[name], shot)
        return found

    def _ask_consent(self, identity: Identity, shot: Shot) -> None:
        if shot.production is None:
            message = "is missing: consent is given for productions, so what gathers a person's face must say its own"
            problem = Problem(message, stage="shot", key="production", allowed="text")
            self._notes.add(problem, "shot", "production")
            return
        for problem in consent_problems(
            identity,
            production=shot.production,
            purpose=shot.purpose,
            today=self._asked.today or date.today(),
            where=f"identities.{identity.name}",
        ):
            self._notes.add(problem, "identities", identity.name)

    def _stages(self, store: ModelStore) -> tuple[PlannedStage, ...]:
        """Those that look: up to the first that does something with what was seen."""
        tables = self._document.get("stages", [])
        silent = Notes(self._notes.origin)
        count = _looking(read_stages(self._document, self._host, silent))
        part = {"stages": tables[:count] if isinstance(tables, list) else tables}
        slots = read_stages(part, self._host, self._notes)
        if not any(slot.cls is not None and issubclass(slot.cls, Aligner) for slot in slots):
            message = (
                "the pipeline has no aligner, so there is nothing to lay faces straight by; put one after a detector"
            )
            self._notes.add(Problem(message, stage="stages"), "stages")
        return tuple(self._planned(slot, store) for slot in slots if slot.cls is not None and slot.options is not None)

    def _planned(self, slot: Slot, store: ModelStore) -> PlannedStage:
        name, cls, options = slot.name or "", given(slot.cls), given(slot.options)
        models = tuple(cls.models(options))
        for model in models:
            try:
                store.path(model)
            except ModelMissing as error:
                problem = Problem(str(error), stage=slot.label, exit_code=error.exit_code)
                self._notes.add(problem, "stages", slot.index)
        return PlannedStage(slot.index, name, cls, options, self._host.owner(name), models)

    def _device(self) -> str:
        try:
            return choose_device(self._asked.device)
        except (UsageError, PluginError) as error:
            name = f"--device {self._asked.device}"
            self._notes.add(Problem(str(error), file=name, exit_code=error.exit_code))
            return ""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        problem = Problem(f"cannot read the pipeline file: {error.strerror or error}", file=str(path))
        raise PipelineError([problem]) from error


def _document(path: Path, raw: bytes) -> dict[str, Any]:
    try:
        return deepcopy(tomli.loads(raw.decode("utf-8")))
    except (UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise PipelineError([Problem(f"is not valid TOML: {error}", file=str(path))]) from error


def _looking(slots: Sequence[Slot]) -> int:
    """How many stages, from the first, only look."""
    aligned = False
    for place, slot in enumerate(slots):
        if slot.cls is None:
            if aligned:
                return place  # it may be one that is not installed here, and is not needed
            continue
        if (slot.cls.needs | slot.cls.gives) & _LATER:
            return place
        aligned = aligned or issubclass(slot.cls, Aligner)
    return len(slots)


class _Taken(SwapperOptions):
    """Which faces are taken, and how they are cut."""

    crop: CropSpec


class _Taker(Swapper[_Taken]):
    """Stands where a swapper would, so that faces are cast and cut as for one, and changes nothing."""

    Options = _Taken

    @property
    def crop(self) -> CropSpec:
        """The crop that is asked for."""
        return self.options.crop

    def swap(self, faces: FaceBatch, identity: Identity) -> Swapped:  # noqa: ARG002
        """Gives back what it was given."""
        return Swapped(faces.crops, _nothing(faces.crops))


def _nothing(crops: Tensor) -> Tensor:
    return crops.new_zeros((crops.shape[0], 1, *crops.shape[2:]))


def _takers(identities: Mapping[str, Identity], crop: CropSpec, first: int) -> list[PlannedStage]:
    return [
        PlannedStage(first + place, "extract", _Taker, _Taken(identity=name, crop=crop), "vfxswap")
        for place, name in enumerate(identities)
    ]


class _Nowhere(Writer):
    """The writer of what is never delivered."""

    name = "nowhere"
    Options = DeliveryOptions

    @classmethod
    def can_write(cls, path: Path) -> bool:  # noqa: ARG003
        """No path is its business."""
        return False

    @classmethod
    def problems(cls, *_: object) -> Sequence[str]:
        """It has none."""
        return ()

    def __init__(self, *_: object, **__: object) -> None:
        self._never()

    def _never(self, *_: object) -> NoReturn:
        raise AssertionError("what only looks delivers nothing")

    def write(self, frame: Frame) -> None:
        """Never called."""
        self._never(frame)

    def finish(self) -> tuple[Path, ...]:
        """Never called."""
        self._never()

    def keep_partial(self) -> tuple[Path, ...]:
        """Never called."""
        self._never()

    def abandon(self) -> None:
        """Never called."""
