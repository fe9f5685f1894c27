"""Reads a pipeline file and settles all that a run needs, or says everything that is wrong; decodes no frame."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tomli

from vfxswap.analysis import Edits
from vfxswap.brief import Brief
from vfxswap.errors import PipelineError, PluginError, Problem, UsageError
from vfxswap.files import is_pattern
from vfxswap.identity import Identity
from vfxswap.media import PlateInfo
from vfxswap.pipeline import overrides as words
from vfxswap.pipeline.chain import Slot, check_order, planned, read_stages
from vfxswap.pipeline.colour import DEFAULT_FACE, check_stills
from vfxswap.pipeline.cut import clips_of, settle_clip
from vfxswap.pipeline.delivery import check_delivery, check_layers, check_timeline, order_of, paths_in, read_delivery
from vfxswap.pipeline.device import choose_device, named_device
from vfxswap.pipeline.finding import open_edits
from vfxswap.pipeline.findings import check_licences, check_stages, with_files
from vfxswap.pipeline.key import with_keys
from vfxswap.pipeline.people import check_parts, open_identities, read_identities
from vfxswap.pipeline.plan import Pipeline, PlannedStage
from vfxswap.pipeline.plate import OpenedPlate, open_plate, read_shot
from vfxswap.pipeline.reading import Notes, Origin, nearest
from vfxswap.pipeline.tables import IdentityEntry, Shot

if TYPE_CHECKING:
    from vfxswap.host import Host
    from vfxswap.models import ModelStore
    from vfxswap.timeline import Clip

TABLES = ("shot", "identities", "stages", "delivery")
"""The tables of a pipeline file."""


def load(  # noqa: PLR0913 - what a command line may say
    path: Path,
    host: Host,
    *,
    store: ModelStore,
    overrides: Sequence[str] = (),
    plate: Path | None = None,
    out: Path | None = None,
    frames: str | None = None,
    clip: str | None = None,
    device: str | None = None,
    is_elsewhere: bool = False,
    today: date | None = None,
    edits: Literal["read", "may lack", "unread"] = "read",
) -> Pipeline:
    """Reads a pipeline file and checks it against plate, plugins, models, consent records and disk.

    Nothing is decoded: of the plate, only the header is read.

    Args:
        path: The pipeline file. Paths in it, and in `overrides`, are relative to its folder.
        host: The plugins.
        store: The models.
        overrides: `KEY=VALUE` texts, as `--set` has them.
        plate: Stands in for [shot] plate; relative to the current folder.
        out: Stands in for [delivery] path; relative to the current folder.
        frames: Stands in for [shot] frames; is written as it is, without handles.
        clip: Stands in for [shot] clip.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`; None is `auto`.
        is_elsewhere: Whether frames are computed on other machines, or none are: the device need not be here, `auto` is
            one that is not known, and the pipeline cannot be run.
        today: For the consent records; None is today.
        edits: What becomes of artists' edits: they are read and held against plate and identities; the same, but the
            file that [shot] names may be not there yet; or they are left alone, for who mends them.

    Raises:
        PipelineError: Something is wrong; holds everything that is.
    """
    raw, document = _parsed(path)
    given = [words.parse(text) for text in overrides]
    wanted = [item for item in given if isinstance(item, words.Override)]
    wanted += words.from_flags(plate=plate, out=out, frames=frames, clip=clip)
    own_frames = words.own_frames(document, wanted)
    document, origins, problems = words.apply(document, wanted)
    notes = Notes(Origin(path, origins), [*(item for item in given if isinstance(item, Problem)), *problems])
    draft = _Draft(path, document, host, store, notes)
    draft.read(today or date.today(), device, own_frames, is_elsewhere=is_elsewhere)
    if edits != "unread":
        draft.read_edits(may_lack=edits == "may lack")
    if notes.problems:
        raise PipelineError(notes.problems)
    return draft.settled(raw, tuple(item.words for item in wanted))


def read_clips_of(path: Path, overrides: Sequence[str] = ()) -> tuple[Clip, ...]:
    """The clips of a pipeline file's timeline, in its order; none if it names no timeline.

    Args:
        path: The pipeline file.
        overrides: `KEY=VALUE` texts, as `--set` has them.

    Raises:
        PipelineError: The file or its timeline cannot be read.
    """
    document = _parsed(path)[1]
    given = [words.parse(text) for text in overrides]
    document, origins, _ = words.apply(document, [item for item in given if isinstance(item, words.Override)])
    notes = Notes(Origin(path, origins))
    clips = clips_of(document, notes)
    if notes.problems:
        raise PipelineError(notes.problems)
    return clips


def read_plate_of(path: Path, host: Host, overrides: Sequence[str] = (), frames: str | None = None) -> OpenedPlate:
    """The plate of a pipeline file, by its [shot] alone, or a plate that no file describes.

    Args:
        path: The pipeline file (.toml), or a plate.
        host: The plugins.
        overrides: `KEY=VALUE` texts, as `--set` has them.
        frames: Stands in for [shot] frames.

    Raises:
        PipelineError: Something is wrong with it, or its colour is not known; holds everything that is.
    """
    is_file = path.suffix.lower() == ".toml"
    document = _parsed(path)[1] if is_file else {"shot": {"plate": str(path.absolute()), "on_hole": "skip"}}
    given = [words.parse(text) for text in overrides]
    wanted = [item for item in given if isinstance(item, words.Override)] + words.from_flags(
        plate=None, out=None, frames=frames
    )
    document, origins, problems = words.apply(document, wanted)
    notes = Notes(Origin(path, origins), [*(item for item in given if isinstance(item, Problem)), *problems])
    settled = settle_clip(document, notes)
    shot = read_shot(settled.document, notes)
    plate = None if shot is None or settled.is_lost else open_plate(shot, host, notes, cut=settled.cut)
    if notes.problems or plate is None:
        raise PipelineError(notes.problems)
    return plate


def _parsed(path: Path) -> tuple[bytes, dict[str, Any]]:
    try:
        raw = path.read_bytes()
        return raw, tomli.loads(raw.decode("utf-8"))
    except OSError as error:
        problem = Problem(f"cannot read the pipeline file: {error.strerror or error}", file=str(path))
    except UnicodeDecodeError as error:
        problem = Problem(f"is not UTF-8 text (byte {error.start})", file=str(path))
    except tomli.TOMLDecodeError as error:
        problem = _not_toml(path, raw.decode("utf-8"), str(error))
    raise PipelineError([problem])


def _not_toml(path: Path, text: str, message: str) -> Problem:
    """Says the line itself too, as the column alone helps few."""
    match = re.search(r"line (\d+), column (\d+)", message)
    if match is None:
        return Problem(f"is not valid TOML: {message}", file=str(path))
    line = (text.splitlines() or [""])[int(match[1]) - 1].strip()
    return Problem(f"is not valid TOML: {message}", file=f"{path}:{match[1]}:{match[2]}", value=line or None)


class _Draft:
    """A pipeline while it is read."""

    def __init__(self, path: Path, document: Mapping[str, Any], host: Host, store: ModelStore, notes: Notes) -> None:
        self.path, self.document, self.host, self.store, self.notes = path, document, host, store, notes
        self.shot: Shot | None = None
        self.plate: OpenedPlate | None = None
        self.device = ""
        self.stages: tuple[PlannedStage, ...] = ()
        self.edits: Edits | None = None

    def read(self, today: date, device: str | None, own_frames: str | None, *, is_elsewhere: bool) -> None:
        """Reads and checks everything; what is wrong goes to the notes."""
        self._check_names()
        settled = settle_clip(dict(self.document), self.notes)
        self.document = settled.document
        self.shot = read_shot(self.document, self.notes)
        if self.shot is not None and not settled.is_lost:
            self.plate = open_plate(self.shot, self.host, self.notes, cut=settled.cut, own_frames=own_frames)
            self.shot = self.plate.shot if self.plate is not None else self.shot
        self.entries = read_identities(self.document, self.notes)
        self.identities = open_identities(self.entries, self.shot, today, self.notes)
        if self.plate is not None:
            check_stills(self.identities.values(), self.plate.colors.names, self.notes)
        self._read_stages()
        self.goal = read_delivery(self.document, self.host, self.notes)
        if self.goal is not None:
            inputs = _inputs(self.path, self.shot, self.entries, self.identities, self.slots)
            check_delivery(self.goal, self.plate, inputs, self.notes)
            check_timeline(self.goal, self.plate, self.shot.timeline if self.shot else None, self.notes)
            check_layers(self.goal, self.plate, self.slots, self.notes)
        self._choose_device(device, is_elsewhere=is_elsewhere)
        if self.shot is not None:
            brief = self._brief(self.shot, today)
            check_stages(self.slots, brief, self.notes)
            self.stages = with_files(self.stages, brief, self.notes)
            if self.shot.paid_work:
                check_licences(self.stages, self.store, self.notes)

    def read_edits(self, *, may_lack: bool) -> None:
        """Reads and checks artists' edits, where there are any."""
        self.edits = open_edits(self.shot, self.plate, tuple(self.entries), self.notes, may_lack=may_lack)

    def _check_names(self) -> None:
        for name in self.document:
            if name not in TABLES:
                known = "[shot], [identities.NAME], [[stages]], [delivery]"
                problem = Problem("unknown table or key", key=name, allowed=known, nearest=nearest(name, TABLES))
                self.notes.add(problem, name)

    def _read_stages(self) -> None:
        self.slots = read_stages(self.document, self.host, self.notes)
        check_order(self.slots, self.host, self.notes)
        check_parts(self.slots, self.document, self.identities, self.notes)
        self.stages = planned(self.slots, self.host, self.store, self.notes)

    def _choose_device(self, name: str | None, *, is_elsewhere: bool) -> None:
        try:
            self.device = named_device(name) if is_elsewhere else choose_device(name)
        except (UsageError, PluginError) as error:
            self.notes.add(Problem(str(error), file=f"--device {name}", exit_code=error.exit_code))

    def _brief(self, shot: Shot, today: date) -> Brief:
        return Brief(
            identities=self.identities,
            models=self.store,
            production=shot.production,
            purpose=shot.purpose,
            today=today,
            face_space=DEFAULT_FACE if self.plate and self.plate.colors.face is None else shot.face_space,
            device=self.device,
        )

    def settled(self, raw: bytes, overrides: tuple[str, ...]) -> Pipeline:
        """The pipeline; to be called when nothing is wrong."""
        shot, plate, goal = self.shot, self.plate, self.goal
        if shot is None or plate is None or plate.tags is None or goal is None:
            raise AssertionError("a part that could not be read is among the problems")
        if goal.writer is None or goal.options is None:
            raise AssertionError("a writer that could not be had is among the problems")
        casting = {name: entry.face for name, entry in self.entries.items()}
        plan = Pipeline(
            path=self.path,
            name=self.path.stem,
            text=raw.decode("utf-8"),
            sha256=hashlib.sha256(raw).hexdigest(),
            overrides=overrides,
            shot=shot,
            plate_path=shot.plate,
            plate=plate.info,
            colors=plate.colors.names,
            face=plate.colors.face,
            tags=plate.tags,
            frames=plate.frames,
            edit=plate.wanted.edit,
            remarks=(*plate.wanted.remarks, *_remarks_on_rate(plate.info, goal.path)),
            reader=plate.reader,
            writer=goal.writer,
            delivery_path=goal.path,
            writer_options=goal.options,
            layers=order_of(goal, self.slots),
            delivery_timeline=goal.timeline,
            identities=self.identities,
            casting=casting,
            stages=self.stages,
            device=self.device,
            store=self.store,
            key="",
            edits=self.edits,
        )
        return with_keys(plan)


def _remarks_on_rate(plate: PlateInfo, delivery: Path) -> Iterator[str]:
    if plate.rate_from == "nobody" and plate.count > 1 and not is_pattern(delivery):
        yield f"nobody says the plate's rate; taken for {plate.rate} frames a second: state [shot] rate"


def _inputs(
    path: Path,
    shot: Shot | None,
    entries: Mapping[str, IdentityEntry],
    identities: Mapping[str, Identity],
    slots: Sequence[Slot],
) -> Iterator[tuple[str, Path]]:
    """What the run reads, in words and as a path."""
    if shot is not None:
        yield "the plate", shot.plate
    yield "the pipeline file", path
    for name, identity in identities.items():
        for file in (identity.folder / "identity.toml", *identity.stills, *identity.weights):
            yield f"a file of identity {name!r}", file
    for name, entry in entries.items():
        for file in paths_in(entry.face):
            yield f"a file of identity {name!r}", file
    for slot in slots:
        for file in paths_in(slot.options):
            yield f"a file that {slot.label} reads", file
