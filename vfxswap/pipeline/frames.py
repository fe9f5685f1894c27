"""Which frames are written: what `[shot] frames` or the timeline's clip says, with handles, as far as there are any."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vfxswap.clock import FrameRange, frames_of, says_timecode
from vfxswap.errors import Problem, UsageError
from vfxswap.media import PlateInfo
from vfxswap.pipeline.cut import Cut
from vfxswap.pipeline.reading import Notes
from vfxswap.pipeline.tables import Shot


@dataclass(frozen=True, slots=True)
class Edit:
    """Where a shot stands in a cut, and how much of it is wanted."""

    cut: FrameRange
    """Frames without handles."""
    whole: FrameRange
    """All that the pipeline file asks for, handles included, whatever `--frames` says."""
    clip: str | None = None
    """Name of the clip."""
    timeline: Path | None = None
    """The cut that it is in."""
    shown: int | None = None
    """The frame that the clip shows first, before what a transition adds."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done of a plate."""

    frames: FrameRange
    """To write now; all are in the plate, and none is a hole."""
    edit: Edit
    remarks: tuple[str, ...] = ()
    """For the report."""


def wanted_frames(shot: Shot, info: PlateInfo, notes: Notes, *, cut: Cut | None, own: str | None) -> Wanted:
    """Settles the frames.

    Args:
        shot: The table.
        info: The plate.
        notes: Takes what is wrong.
        cut: The timeline's clip, if there is one.
        own: What the file itself says of `frames`, where the command line says something else, which is then written as
            it is; the same as `shot.frames` where it does not.
    """
    stands_in = shot.frames != own
    asked = _FrameTexts(shot, info, cut, notes, is_quiet=False).edit(shot.frames, handles=0 if stands_in else None)
    if not stands_in:
        return Wanted(_without_holes(asked.edit.whole, shot, info, notes), asked.edit, asked.remarks)
    whole = _FrameTexts(shot, info, cut, notes, is_quiet=True).edit(own, handles=None)
    return Wanted(_without_holes(asked.edit.whole, shot, info, notes), whole.edit)


@dataclass(frozen=True, slots=True)
class _Found:
    edit: Edit
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _FrameTexts:
    shot: Shot
    info: PlateInfo
    place: Cut | None
    notes: Notes
    is_quiet: bool
    """Whether what is wrong does not matter."""

    def edit(self, text: str | None, *, handles: int | None) -> _Found:
        """What a text asks for, with so many handles, by default the file's."""
        remarks: list[str] = []
        lowest, highest, shown = self.info.first, self.info.last, None
        frames = FrameRange.of(range(lowest, highest + 1))
        if self.place is not None:
            found = self._placed(self.place, remarks, is_asked=text is None)
            if found is not None:
                cut, shown, (lowest, highest) = found
                frames = cut if text is None else frames
        if text is not None:
            frames = self._named(text) or frames
        size = self.shot.handles if handles is None else handles
        if size and text is None and self.place is None:
            message = "there is nothing that handles could go beyond; say frames, or a timeline and its clip"
            self._wrong("handles", message, size)
            size = 0
        whole = self._with_handles(frames, size, (lowest, highest), remarks)
        clip = self.shot.clip if self.place is None else self.place.clip.name
        timeline = None if self.place is None else self.place.timeline
        return _Found(Edit(frames, whole, clip, timeline, shown), tuple(remarks))

    def _named(self, text: str) -> FrameRange | None:
        """The frames of a text."""
        info = self.info
        if says_timecode(text) and not info.timecode_runs:
            message = "the plate's timecode does not count on from frame to frame; write frame numbers"
            self._wrong("frames", message, text)
            return None
        try:
            frames = frames_of(text, first=info.first, start=info.timecode, rate=info.rate)
        except UsageError as error:
            self._wrong("frames", str(error), text)
            return None
        outside = FrameRange.of(number for number in frames if not info.first <= number <= info.last)
        if outside:
            self._wrong("frames", f"the plate has no frames {outside}", text, f"frames of {info.first}-{info.last}")
            return None
        return frames

    def _placed(
        self, place: Cut, remarks: list[str], *, is_asked: bool
    ) -> tuple[FrameRange, int, tuple[int, int]] | None:
        """The clip's frames, the first of its own, and between which numbers handles may be taken."""
        from vfxswap.timeline import placed  # noqa: PLC0415 - takes a moment that few pipelines need

        info, clip = self.info, place.clip
        if clip.unplaced is not None:
            if is_asked:
                self._wrong("clip", f"it is not known which frames are wanted: {clip.unplaced}; say frames", clip.name)
            return None
        try:
            found = placed(
                clip,
                first=info.first,
                last=info.last,
                rate=info.rate,
                timecode=info.timecode if info.timecode_runs else None,
                is_stated=place.is_stated,
            )
        except UsageError as error:
            if is_asked:
                self._wrong("clip", str(error), clip.name)
            return None
        # A clip that runs fast may say its length before or after that: what there is of the longer one is taken.
        last = found.last if clip.retime is None else max(found.shown, min(found.last, info.last))
        if is_asked and not info.first <= found.first <= last <= info.last:
            self._wrong(
                "clip",
                f"the clip shows frames {found.first}-{last}, counted {found.how}, and the plate has"
                f" {info.first}-{info.last}; name the right plate, or say frames",
                clip.name,
            )
            return None
        remarks += _remarks(place, found.how)
        low, high = found.usable or (info.first, info.last)
        return FrameRange.of(range(found.first, last + 1)), found.shown, (max(low, info.first), min(high, info.last))

    def _with_handles(self, frames: FrameRange, size: int, limits: tuple[int, int], remarks: list[str]) -> FrameRange:
        if not size:
            return frames
        low = min(frames[0], max(frames[0] - size, limits[0]))
        high = max(frames[-1], min(frames[-1] + size, limits[1]))
        for there, where in ((frames[0] - low, "before"), (high - frames[-1], "behind")):
            if there < size:
                cut = f"{frames[0]}-{frames[-1]}"
                remarks.append(f"handles: {there} of {size} frames {where} the cut ({cut}), as there are no more")
        return FrameRange.of({*range(low, frames[0]), *frames, *range(frames[-1] + 1, high + 1)})

    def _wrong(self, key: str, message: str, value: object, allowed: str | None = None) -> None:
        if not self.is_quiet:
            self.notes.add(Problem(message, stage="shot", key=key, value=value, allowed=allowed), "shot", key)


def _remarks(place: Cut, how: str) -> list[str]:
    clip = place.clip
    found = [f"the clip's frames were counted {how}"] if place.is_stated else []
    if clip.retime is not None:
        found.append(f"the clip is {clip.retime} in the timeline; its frames are delivered as they were shot")
    if clip.head or clip.tail:
        found.append(
            f"a transition shows {float(clip.head):g} frames before the cut and {float(clip.tail):g} behind it, which"
            " are delivered too"
        )
    return found


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
