"""What decides which faces are found in a plate, and by what it is known again; and artists' edits of that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import vfxswap
from vfxswap.analysis import Edits, Finding, Head, PlateStamp, Stand, check_edits, read_edits
from vfxswap.errors import Problem, UsageError
from vfxswap.files import FramePattern, stamp_of
from vfxswap.pipeline.colour import color_facts
from vfxswap.pipeline.key import encode, versions
from vfxswap.pipeline.plan import Pipeline, PlannedStage, beside
from vfxswap.pipeline.reading import Notes
from vfxswap.stage import Aligner, AlignerOptions, Detector, Tracker

if TYPE_CHECKING:
    from vfxswap.pipeline.plate import OpenedPlate
    from vfxswap.pipeline.tables import Shot

_SEEN = {"color_space", "ycbcr_matrix", "face_space", "layer", "cuts"}
"""Keys of [shot] that change what stages see."""
_FINDERS = (Detector, Tracker, Aligner)


def finding_stages(stages: Sequence[PlannedStage]) -> tuple[PlannedStage, ...]:
    """The stages whose findings can be kept: detectors, trackers and the first aligner, if they are the first of all.

    None where another stage stands among them: what it hands on besides faces could not be kept.
    """
    last = next((place for place, stage in enumerate(stages) if issubclass(stage.cls, Aligner)), None)
    if last is None or not all(issubclass(stage.cls, _FINDERS) for stage in stages[:last]):
        return ()
    return tuple(stages[: last + 1])


def head_of(plan: Pipeline) -> Head:
    """What an analysis that this pipeline makes says of itself.

    Raises:
        UsageError: It has no stages whose findings can be kept.
    """
    stages = finding_stages(plan.stages)
    if not stages:
        raise UsageError(
            f"{plan.path}: there is nothing to analyse: an analysis keeps what a detector, a tracker and an aligner"
            " find, which must be the first stages, in this order, without others between"
        )
    finding = Finding(key=_finding_key(plan, stages), stages=tuple(stage.name for stage in stages))
    return Head(made_by=f"vfxswap {vfxswap.__version__}", plate=plate_stamp(plan), finding=finding)


def _finding_key(plan: Pipeline, stages: Sequence[PlannedStage]) -> str:
    """A sha256 in hex over all that what is found depends on, but for the plate."""
    facts: dict[str, Any] = {
        "versions": versions(),
        "device": plan.device.partition(":")[0],
        "shot": plan.shot.model_dump(include=_SEEN),
        "tags": [int(tag) for tag in (plan.tags.primaries, plan.tags.transfer, plan.tags.matrix, plan.tags.range)],
        "color": color_facts(plan.colors, plan.tags, plan.face, ()),
        "stages": [
            [
                stage.name,
                stage.owner,
                stage.options.model_dump(exclude=_of_crops(stage)),
                [plan.store.card(name).sha256 for name in stage.models],
                [file.sha256 for file in stage.files],
            ]
            for stage in stages
        ],
    }
    text = json.dumps(facts, sort_keys=True, default=partial(encode, plan.path.parent))
    return hashlib.sha256(text.encode()).hexdigest()


def _of_crops(stage: PlannedStage) -> set[str]:
    """Options on which the host alone acts: how crops are cut by landmarks changes no landmarks."""
    return set(AlignerOptions.model_fields) if isinstance(stage.options, AlignerOptions) else set()


def plate_stamp(plan: Pipeline) -> PlateStamp:
    """By what the plate is known again: it is too large to be read for this."""
    plate = plan.plate
    files = [
        [path.name, *stamp_of(path)] for path in FramePattern(plate.path).paths(range(plate.first, plate.last + 1))
    ]
    return PlateStamp(
        name=plan.plate_path.name,
        width=plate.width,
        height=plate.height,
        first=plate.first,
        last=plate.last,
        files=hashlib.sha256(json.dumps(files).encode()).hexdigest(),
    )


def open_edits(
    shot: Shot | None, plate: OpenedPlate | None, identities: Sequence[str], notes: Notes, *, may_lack: bool
) -> Edits | None:
    """Reads the edits of a shot and holds them against plate and identities; what is wrong goes to the notes.

    Args:
        shot: The table.
        plate: With its header read.
        identities: The pipeline's.
        notes: Takes what is wrong.
        may_lack: Whether a file that the pipeline file names may be not there yet.
    """
    if shot is None:
        return None
    path = shot.edits or beside(notes.origin.file, shot, "edits.json")
    if not path.exists():
        if shot.edits is not None and not may_lack:
            message = "there is no such edits file; `vfxswap tracks edit` makes one, or leave edits out"
            notes.add(Problem(message, stage="shot", key="edits", value=str(path)), "shot", "edits")
        return None
    try:
        edits = read_edits(path)
        if plate is not None:
            info = plate.info
            stand = Stand(info.frame_of_reference, info.first, info.last, identities)
            check_edits(edits, stand, str(path))
    except UsageError as error:
        notes.add(Problem(str(error), stage="shot", key="edits"), "shot", "edits")
        return None
    return edits
