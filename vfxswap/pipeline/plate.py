"""`[shot]`: the plate is there, can be read, says its colour, and has the frames asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vfxswap.clock import FrameRange
from vfxswap.color import ColorTags
from vfxswap.errors import ColorError, ExitCode, MediaError, PluginError, Problem
from vfxswap.media import PlateInfo, Reader
from vfxswap.pipeline.reading import Notes
from vfxswap.pipeline.tables import Shot

if TYPE_CHECKING:
    from vfxswap.host import Host


@dataclass(frozen=True, slots=True)
class OpenedPlate:
    """A plate whose header was read."""

    reader: type[Reader]
    info: PlateInfo
    tags: ColorTags | None
    """Complete; None if they cannot be known."""
    frames: FrameRange
    """Frames to write."""


def read_shot(document: Mapping[str, Any], notes: Notes) -> Shot | None:
    """Reads the table."""
    table = document.get("shot")
    if isinstance(table, Mapping):
        return notes.read(Shot, table, at=("shot",), label="shot", salvage=True)
    message = (
        "is missing; a pipeline file starts with [shot] and plate = ..." if table is None else "must be a table, [shot]"
    )
    notes.add(Problem(message, stage="shot", value=table), "shot")
    return None


def open_plate(shot: Shot, host: Host, notes: Notes) -> OpenedPlate | None:
    """Reads the plate's header, and nothing more of it."""
    try:
        reader = host.reader_for(shot.plate)
        with reader(shot.plate) as opened:
            info = opened.info
    except (MediaError, PluginError) as error:
        exit_code = error.exit_code if isinstance(error, PluginError) else ExitCode.USAGE
        value = None if shot.plate.name in str(error) else str(shot.plate)
        notes.add(Problem(str(error), stage="shot", key="plate", value=value, exit_code=exit_code), "shot", "plate")
        return None
    if info.interlaced:
        message = (
            "the plate is interlaced; its fields must be made frames first (for instance with FFmpeg's bwdif filter)"
        )
        notes.add(Problem(message, stage="shot", key="plate", value=str(shot.plate)), "shot", "plate")
    return OpenedPlate(reader, info, _tags(shot, info, notes), _frames(shot, info, notes))


def _tags(shot: Shot, info: PlateInfo, notes: Notes) -> ColorTags | None:
    try:
        return info.tags.resolved(shot.color_space, path=shot.plate)
    except ColorError as error:
        if not notes.blames("shot", "color_space"):
            notes.add(Problem(str(error), stage="shot", key="color_space"), "shot", "color_space")
        return None


def _frames(shot: Shot, info: PlateInfo, notes: Notes) -> FrameRange:
    whole = f"{info.first}-{info.last}"
    if shot.cuts != "auto" and (outside := [cut for cut in shot.cuts if not info.first < cut <= info.last]):
        allowed = f"{info.first + 1}..{info.last}; a cut is the first frame of the new shot"
        message = "there are cuts outside the plate"
        notes.add(Problem(message, stage="shot", key="cuts", value=outside, allowed=allowed), "shot", "cuts")
    if shot.frames is None:
        return _without_holes(FrameRange.of(range(info.first, info.last + 1)), shot, info, notes)
    frames = FrameRange.parse(shot.frames)
    if frames[0] < info.first or frames[-1] > info.last:
        message = f"the plate has no frames {_outside(frames, info)}"
        notes.add(
            Problem(message, stage="shot", key="frames", value=shot.frames, allowed=f"frames of {whole}"),
            "shot",
            "frames",
        )
    return _without_holes(frames, shot, info, notes)


def _without_holes(frames: FrameRange, shot: Shot, info: PlateInfo, notes: Notes) -> FrameRange:
    """The frames that are there; those that are missing are said, unless they may be skipped."""
    missing = FrameRange.of(set(frames) & set(info.holes))
    if missing and (shot.on_hole == "fail" or len(missing) == len(frames)):
        message = (
            f"the sequence has no files for {len(missing)} of its frames: {missing}; bring them, leave them out of"
            ' frames, or set on_hole = "skip"'
        )
        notes.add(Problem(message, stage="shot", key="plate", value=str(shot.plate)), "shot", "plate")
    return FrameRange.of(number for number in frames if number not in missing)


def _outside(frames: FrameRange, info: PlateInfo) -> FrameRange:
    return FrameRange.of(number for number in frames if not info.first <= number <= info.last)
