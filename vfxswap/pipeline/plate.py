"""`[shot]`: the plate is there, can be read, says its colour, and has the frames asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vfxswap.clock import FrameRange, parse_rate
from vfxswap.color import ColorTags
from vfxswap.errors import ExitCode, MediaError, PluginError, Problem
from vfxswap.media import PlateInfo, Reader
from vfxswap.pipeline.colour import FILE_ID, ShotColors, settle_colors
from vfxswap.pipeline.cut import Cut
from vfxswap.pipeline.cutlist import with_given_cuts
from vfxswap.pipeline.frames import Wanted, wanted_frames
from vfxswap.pipeline.reading import Notes
from vfxswap.pipeline.tables import Shot

if TYPE_CHECKING:
    from vfxswap.host import Host


@dataclass(frozen=True, slots=True)
class OpenedPlate:
    """A plate whose header was read."""

    reader: type[Reader]
    info: PlateInfo
    colors: ShotColors
    wanted: Wanted
    """What is to be done of it."""
    shot: Shot
    """The table, with what its file of cuts says."""

    @property
    def tags(self) -> ColorTags | None:
        """Complete; None if they cannot be known."""
        return self.colors.tags

    @property
    def frames(self) -> FrameRange:
        """Frames to write."""
        return self.wanted.frames


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


def open_plate(
    shot: Shot, host: Host, notes: Notes, *, cut: Cut | None = None, own_frames: str | None = None
) -> OpenedPlate | None:
    """Reads the plate's header, and nothing more of it.

    Args:
        shot: The table.
        host: The plugins.
        notes: Takes what is wrong.
        cut: The timeline's clip, if there is one.
        own_frames: What the file itself says of `frames`, whatever the command line says.
    """
    try:
        reader = host.reader_for(shot.plate)
        with reader.opened(shot.plate, shot.layer) as opened:
            info = opened.info
    except (MediaError, PluginError) as error:
        exit_code = error.exit_code if isinstance(error, PluginError) else ExitCode.USAGE
        value = None if shot.plate.name in str(error) else str(shot.plate)
        whose = "" if cut is None or cut.is_stated else f"; {cut.whose}"
        problem = Problem(f"{error}{whose}", stage="shot", key="plate", value=value, exit_code=exit_code)
        notes.add(problem, "shot", "plate")
        return None
    if info.interlaced:
        message = (
            "the plate is interlaced; its fields must be made frames first (for instance with FFmpeg's bwdif filter)"
        )
        notes.add(Problem(message, stage="shot", key="plate", value=str(shot.plate)), "shot", "plate")
    info = _with_rate(shot, info, cut, notes)
    shot = with_given_cuts(shot, info, notes)
    wanted = wanted_frames(shot, info, notes, cut=cut, own=own_frames)
    _check_files(info, wanted.frames, notes)
    colors = settle_colors(shot, info.tags, info.metadata.get(FILE_ID), notes)
    return OpenedPlate(reader, info, colors, wanted, shot)


def _check_files(info: PlateInfo, frames: FrameRange, notes: Notes) -> None:
    """Whether the files of the frames can all be read as the first is."""
    unfit = [number for number in frames if number in info.unfit]
    if unfit:
        others = FrameRange.of(unfit[1:])
        more = f"; likewise {len(others)} more of the frames asked for: {others}" if others else ""
        notes.add(Problem(f"{info.unfit[unfit[0]]}{more}", stage="shot", key="plate"), "shot", "plate")


def _with_rate(shot: Shot, info: PlateInfo, cut: Cut | None, notes: Notes) -> PlateInfo:
    """The plate with the rate that is stated for it, where it says none itself."""
    stated = None if shot.rate is None else parse_rate(shot.rate)
    if info.rate_from == "file":
        if stated not in {None, info.rate}:
            message = (
                f"the plate itself says {info.rate} frames a second; leave rate out, or have its headers corrected"
            )
            notes.add(Problem(message, stage="shot", key="rate", value=shot.rate), "shot", "rate")
        return info
    if stated is None and cut is not None and not cut.is_stated:
        stated = cut.clip.media_rate
    return info if stated is None else replace(info, rate=stated, rate_from="pipeline")
