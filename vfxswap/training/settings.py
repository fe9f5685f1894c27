"""A training file, read and checked against disk, facesets and consent records: all that is wrong, at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import tomli

from vfxswap.alignment import CropSpec, crop_of_type
from vfxswap.errors import ExitCode, PipelineError, Problem, UsageError
from vfxswap.faceset import Faceset
from vfxswap.identity import Identity, consent_problems, load_identity
from vfxswap.nets.comb import ARCHITECTURE
from vfxswap.nets.spec import CombSpec
from vfxswap.pipeline import overrides as words
from vfxswap.pipeline.reading import Notes, Origin, nearest
from vfxswap.pipeline.tables import Table
from vfxswap.trained import demand_architecture, read_card
from vfxswap.training.marks import MARKS
from vfxswap.training.tables import PRESETS, TABLES, Adversarial, Augment, Limits, Losses, Person, Train

BASE_FILE = Path(__file__).with_name("base.safetensors")
"""The base that comes along."""
FEWEST_FACES = 32
"""Of an identity, below which nothing is learnt but these pictures."""
_COARSEST_PX = 4
TableT = TypeVar("TableT", bound=Table)


@dataclass(frozen=True, slots=True)
class Sources:
    """The facesets of one identity."""

    faces: tuple[Faceset, ...]
    pairs: tuple[tuple[Faceset, Faceset], ...] = ()
    """Somebody else's faces, and the same with this one's."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A training file, checked."""

    path: Path
    sha256: str
    """Of its text."""
    train: Train
    loss: Losses
    augment: Augment
    adversarial: Adversarial
    stop: Limits
    people: Mapping[str, Person]
    sources: Mapping[str, Sources]
    identities: Mapping[str, Identity]
    """Who has a consent record, by name."""
    crop: CropSpec
    """Of the facesets."""
    color_space: str
    init: Path | None
    """The trained file to start from."""

    @property
    def spec(self) -> CombSpec:
        """The network at its full size."""
        given = self.train
        widths = given.widths or default_widths(given.size)
        return CombSpec(
            given.size,
            tuple(self.people),
            widths=widths,
            code=given.code,
            style=given.style,
            shared=given.shared,
            stills=given.stills,
            still_px=self.still_px,
            points=MARKS,
        )

    @property
    def still_px(self) -> int:
        """Side of the stills."""
        given = self.train
        if given.still_size is not None:
            return given.still_size
        least = min(item.crop.size_px for source in self.sources.values() for item in source.faces)
        return given.size if given.shared or least < 2 * given.size else 2 * given.size

    @property
    def start_spec(self) -> CombSpec:
        """The network that training begins with."""
        full = self.spec
        start = self.train.start_size or full.size_px
        levels = len(full.widths) - (full.size_px // start).bit_length() + 1
        return replace(full, size_px=start, widths=full.widths[:levels])

    def options(self) -> dict[str, Any]:
        """All settings, for the card and for comparing."""
        tables = {"train": self.train, "loss": self.loss, "augment": self.augment, "adversarial": self.adversarial}
        found = {name: table.model_dump(mode="json") for name, table in tables.items()}
        del found["train"]["out"]  # a folder's name is nobody's business who is given the file
        return found


def default_widths(size_px: int) -> tuple[int, ...]:
    """Channels for a size: those of the base, and as many levels as halve the side down to 4 pixels, or nearly."""
    known = (160, 160, 128, 64, 32, 32, 16, 16)
    levels = max(1, (size_px // _COARSEST_PX).bit_length() - 1)
    return known[:levels]


def load(
    path: Path,
    *,
    overrides: Sequence[str] = (),
    minutes: float | None = None,
    today: date | None = None,
) -> Settings:
    """Reads a training file and checks all that it names; decodes no picture.

    Args:
        path: The training file. Paths in it are relative to its folder.
        overrides: `KEY=VALUE` texts, as `--set` has them.
        minutes: Stands in for [train] minutes.
        today: For the consent records; None is today.

    Raises:
        PipelineError: Something is wrong; holds everything that is.
    """
    raw, document = _parsed(path)
    given = [words.parse(text) for text in overrides]
    wanted = [item for item in given if isinstance(item, words.Override)]
    if minutes is not None:
        wanted.append(words.Override(("train", "minutes"), minutes, f"--max-minutes {minutes:g}"))
    document, origins, problems = words.apply(document, wanted)
    notes = Notes(Origin(path, origins), [*(item for item in given if isinstance(item, Problem)), *problems])
    draft = _Draft(path, document, notes)
    draft.read(today or date.today())
    if notes.problems:
        raise PipelineError(notes.problems)
    settings = draft.settled(hashlib.sha256(raw).hexdigest())
    if settings.init and (problem := _misfit(settings.init, settings.start_spec)):
        notes.add(Problem(problem, stage="train", key="init", value=settings.train.init), "train", "init")
        raise PipelineError(notes.problems)
    return settings


def _misfit(init: Path, wanted: CombSpec) -> str:
    """Why a training cannot start from a file; empty if it can. Reads its card alone."""
    try:
        card = read_card(init)
        demand_architecture(init, card, ARCHITECTURE)
        problem = CombSpec.from_dict(card.spec).unlike(wanted)
    except UsageError as error:
        return str(error)
    return problem and f"{init.name} {problem}"


def _parsed(path: Path) -> tuple[bytes, dict[str, Any]]:
    try:
        raw = path.read_bytes()
        return raw, tomli.loads(raw.decode("utf-8"))
    except OSError as error:
        problem = Problem(f"cannot read the training file: {error.strerror or error}", file=str(path))
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        problem = Problem(f"is not valid TOML: {error}", file=str(path))
    raise PipelineError([problem])


class _Draft:
    """A training file while it is read."""

    def __init__(self, path: Path, document: dict[str, Any], notes: Notes) -> None:
        self.path, self.document, self.notes = path, document, notes
        self.people: dict[str, Person] = {}
        self.sources: dict[str, Sources] = {}
        self.identities: dict[str, Identity] = {}
        self.init: Path | None = None

    def read(self, today: date) -> None:
        """Reads and checks everything; what is wrong goes to the notes."""
        known = ("train", "identities", *TABLES)
        for name in self.document:
            if name not in known:
                allowed = ", ".join(f"[{item}]" for item in known).replace("[identities]", "[identities.NAME]")
                self.notes.add(
                    Problem("unknown table or key", key=name, allowed=allowed, nearest=nearest(name, known)), name
                )
        self.train = self._table("train", Train)
        self.loss, self.augment = self._table("loss", Losses), self._table("augment", Augment)
        self.adversarial, self.stop = self._table("adversarial", Adversarial), self._table("stop", Limits)
        self._read_people()
        self._check_consent(today)
        self._check_crops()
        if self.train is not None:
            self._check_net(self.train)
            self._check_init(self.train)
            self._check_deliveries(self.train)

    def _table(self, name: str, model: type[TableT]) -> TableT | None:
        table = self.document.get(name, {})
        if not isinstance(table, Mapping) or (name == "train" and "train" not in self.document):
            what = f"must be a table, [{name}]" if name in self.document else "is missing; a training file has [train]"
            self.notes.add(Problem(what, stage=name, value=self.document.get(name)), name)
            return None
        return self.notes.read(model, {**self._preset(name), **table}, at=(name,), label=name)

    def _preset(self, table: str) -> Mapping[str, object]:
        train = self.document.get("train")
        name = train.get("preset", "quick") if isinstance(train, Mapping) else "quick"
        return PRESETS[name].get(table, {}) if name in PRESETS else {}

    def _read_people(self) -> None:
        tables = self.document.get("identities")
        if not isinstance(tables, Mapping) or len(tables) < 2:
            message = "a face is replaced by another's: name two or more, [identities.NAME], each with its faces"
            self.notes.add(Problem(message, stage="identities"), "identities")
        for name, table in tables.items() if isinstance(tables, Mapping) else ():
            label = f"identities.{name}"
            if not isinstance(table, Mapping):
                self.notes.add(Problem(f"must be a table, [{label}]", stage=label, value=table), "identities", name)
            elif person := self.notes.read(Person, table, at=("identities", name), label=label):
                self.people[name] = person
                self._open(name, person)

    def _open(self, name: str, person: Person) -> None:
        """Reads the indices of a person's facesets, and the consent record."""
        faces = [self._faceset(name, "faces", path) for path in person.faces]
        pairs = [(self._faceset(name, "pairs", p.faces), self._faceset(name, "pairs", p.truth)) for p in person.pairs]
        found = tuple(item for item in faces if item is not None)
        whole = tuple((one, other) for one, other in pairs if one is not None and other is not None)
        self.sources[name] = Sources(found, whole)
        count = sum(map(len, found))
        if len(found) == len(faces) and count < FEWEST_FACES:
            message = (
                f"has {count} faces; {FEWEST_FACES} is the least and some hundred are good, for a face that was not"
                " seen from a side, in a light or with an expression is invented there: extract more"
            )
            self.notes.add(Problem(message, stage=f"identities.{name}", key="faces"), "identities", name, "faces")
        if person.path is not None:
            identity, problems = load_identity(name, person.path, bare=True)
            for problem in problems:
                self.notes.add(problem, "identities", name, "path")
            if identity is not None:
                self.identities[name] = identity
                self._check_whose(identity, found)

    def _check_whose(self, identity: Identity, facesets: Sequence[Faceset]) -> None:
        """A faceset says whose faces it holds; consent is for these, and not for others."""
        for item in facesets:
            if item.info.subject == "identity" and item.info.identity != identity.title:
                message = (
                    f"{item.folder} holds faces of {item.info.identity!r}, and {identity.folder / 'identity.toml'} is"
                    f" the record of {identity.title!r}"
                )
                problem = Problem(message, stage=f"identities.{identity.name}", key="faces", exit_code=ExitCode.REFUSED)
                self.notes.add(problem, "identities", identity.name, "faces")

    def _faceset(self, name: str, key: str, path: Path) -> Faceset | None:
        try:
            return Faceset.load(path)
        except UsageError as error:
            self.notes.add(Problem(str(error), stage=f"identities.{name}", key=key), "identities", name, key)
            return None

    def _check_consent(self, today: date) -> None:
        """Training is a use: of whoever is not a plate's face the record must cover it."""
        for name, person in self.people.items():
            where = f"identities.{name}"
            put_in = any(item.info.subject == "identity" for item in self.sources[name].faces)
            if person.path is None and put_in:
                message = (
                    "is missing: these faces are of somebody who is put in, so the folder with the consent record must"
                    " be named (faces of a plate need none: vfxswap extract says of a faceset what it is)"
                )
                self.notes.add(
                    Problem(message, stage=where, key="path", exit_code=ExitCode.REFUSED), "identities", name
                )
            identity = self.identities.get(name)
            if identity is not None and self.train is not None:
                use = {"production": self.train.production, "purpose": self.train.purpose}
                for problem in consent_problems(identity, **use, today=today, where=where):
                    self.notes.add(problem, "identities", name)

    def _all_sets(self) -> Iterator[tuple[str, Faceset]]:
        for name, sources in self.sources.items():
            for item in (*sources.faces, *(one for pair in sources.pairs for one in pair)):
                yield name, item

    def _check_crops(self) -> None:
        """All facesets must show faces alike; of other sizes they are resampled."""
        if self.train is None:
            return
        wanted = crop_of_type(self.train.face_type, self.train.size)
        spaces = {item.info.color_space for _, item in self._all_sets()}
        if len(spaces) > 1:
            self.notes.add(
                Problem(f"the facesets are in several colour spaces, {', '.join(sorted(spaces))}; extract them alike"),
                "identities",
            )
        for name, item in self._all_sets():
            where = f"identities.{name}"
            if (item.crop.template, item.crop.zoom) != (wanted.template, wanted.zoom):
                message = (
                    f"{item.folder} holds crops of template {item.crop.template}, zoom {item.crop.zoom:g}; face_type"
                    f" {self.train.face_type!r} is {wanted.template}, zoom 1: extract them anew, or change face_type"
                )
                self.notes.add(Problem(message, stage=where, key="faces"), "identities", name, "faces")
            elif self.train.stills and any(record.scheme == "five" for record in item.records):
                message = (
                    f"{item.folder} has faces with five landmarks alone, by which no still can be bent: extract them"
                    " with an aligner such as facemesh, or say [train] stills = 0"
                )
                self.notes.add(Problem(message, stage=where, key="faces"), "identities", name, "faces")
            elif item.crop.size_px < 0.75 * self.train.size:
                message = (
                    f"{item.folder} holds crops of {item.crop.size_px} pixels, too coarse for size = {self.train.size}:"
                    " extract them larger, or train smaller"
                )
                self.notes.add(Problem(message, stage=where, key="faces"), "identities", name, "faces")

    def _check_net(self, train: Train) -> None:
        start = train.start_size or train.size
        halvings = (train.size // start).bit_length() - 1
        if start * 2**halvings != train.size or halvings >= len(train.widths or default_widths(train.size)):
            message = f"must be size = {train.size} halved once or more, or left out"
            self.notes.add(Problem(message, stage="train", key="start_size", value=start), "train", "start_size")
        if train.still_size is not None and train.still_size % train.size:
            message = f"must be a multiple of size = {train.size}, or left out"
            problem = Problem(message, stage="train", key="still_size", value=train.still_size)
            self.notes.add(problem, "train", "still_size")
        try:
            CombSpec(train.size, ("one",), widths=train.widths or default_widths(train.size))
        except UsageError as error:
            self.notes.add(Problem(str(error), stage="train", key="size", value=train.size), "train", "size")

    def _check_init(self, train: Train) -> None:
        if train.init == "none":
            return
        self.init = BASE_FILE if train.init == "base" else self.path.parent / train.init
        if not self.init.is_file():
            what = "no base comes along with this installation" if train.init == "base" else "there is no such file"
            self.notes.add(
                Problem(f'{what}; name a trained file, or say "none"', stage="train", key="init", value=train.init),
                *("train", "init"),
            )

    def _check_deliveries(self, train: Train) -> None:
        for name in train.deliver_to:
            if name not in self.identities:
                allowed = ", ".join(self.identities) or "none, as no identity has a folder"
                problem = Problem(
                    "is no identity with a folder",
                    stage="train",
                    key="deliver_to",
                    value=name,
                    allowed=allowed,
                    nearest=nearest(name, self.identities),
                )
                self.notes.add(problem, "train", "deliver_to")

    def settled(self, sha256: str) -> Settings:
        """The settings; to be called when nothing is wrong."""
        tables = self.train, self.loss, self.augment, self.adversarial, self.stop
        train, loss, augment, adversarial, stop = tables
        if train is None or loss is None or augment is None or adversarial is None or stop is None:
            raise AssertionError("a table that could not be read is among the problems")
        return Settings(
            path=self.path,
            sha256=sha256,
            train=train,
            loss=loss,
            augment=augment,
            adversarial=adversarial,
            stop=stop,
            people=self.people,
            sources=self.sources,
            identities=self.identities,
            crop=crop_of_type(train.face_type, train.size),
            color_space=next(item.info.color_space for _, item in self._all_sets()),
            init=self.init,
        )
