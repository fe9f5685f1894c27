"""A clip of a timeline as data: what it is cut from, which frames the cut shows, and where these are in a plate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vfxswap.clock import Timecode
from vfxswap.errors import UsageError

_SHOWN = 40
"""Names of clips that a message shows."""


@dataclass(frozen=True, slots=True)
class Retime:
    """A change of speed, which stays in the timeline: frames are delivered as they were shot."""

    scale: float
    """Frames of the plate for one of the cut; 0 holds one frame."""

    def __str__(self) -> str:
        return "held on its first frame" if self.scale == 0 else f"at {self.scale:g} of its speed"


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip, and what it shows; times are counted in frames of `rate` and may lie between two."""

    name: str
    """As it is told from the others: with `#2` for the second of one name."""
    own_name: str
    """As the timeline has it."""
    index: int
    """Among the clips of all video tracks, counted from 0."""
    track: str
    """Name of its track, or number."""
    rate: Fraction = Fraction(24)
    """Frames a second of its times."""
    start: Fraction = Fraction(0)
    """First frame that it shows, in the media's time."""
    count: Fraction = Fraction(0)
    """Frames that it shows."""
    head: Fraction = Fraction(0)
    """Frames before those that a transition shows too."""
    tail: Fraction = Fraction(0)
    """The same behind."""
    path: Path | None = None
    """Its media: a file, or a pattern."""
    media_start: Fraction | None = None
    """The media's first frame that may be used, in its own time; None if the timeline does not say."""
    media_count: Fraction | None = None
    """How many may be used."""
    first_number: int | None = None
    """The number of that first frame, where the media is a sequence."""
    media_rate: Fraction | None = None
    """Frames a second of a sequence."""
    retime: Retime | None = None
    unplaced: str | None = None
    """Why it is not known which frames it shows; `[shot] frames` says it then."""
    no_media: str | None = None
    """Why its media cannot be had; `[shot] plate` says it then."""
    skipped: str | None = None
    """Why there is nothing to work on: a generator, or disabled."""

    @property
    def label(self) -> str:
        """Its name as it may stand in a file's: anything but letters, digits, `.`, `-` and `_` becomes `_`."""
        letters = (letter if letter.isalnum() or letter in ".-_" else "_" for letter in self.name)
        return "".join(letters).lstrip(".") or "clip"


def find_clip(clips: Sequence[Clip], name: str | None) -> Clip:
    """The clip of a name; without one, the only clip.

    Raises:
        UsageError: There is none, or several; names those that there are.
    """
    there = [clip for clip in clips if clip.skipped is None]
    if name is None:
        if len(there) == 1:
            return there[0]
        raise UsageError(
            f"the timeline has {len(there)} clips: {_listed(there)}; name one with clip, or on the command line with"
            " --clip NAME or --all-clips"
        )
    found = [clip for clip in clips if clip.name == name] or [clip for clip in clips if clip.own_name == name]
    if len(found) > 1:
        raise UsageError(f"the timeline has {len(found)} clips {name!r}; say which: {_listed(found)}")
    if not found:
        raise UsageError(f"the timeline has no clip {name!r}; there are {_listed(there)}")
    return found[0]


def _listed(clips: Sequence[Clip]) -> str:
    shown = ", ".join(clip.name for clip in clips[:_SHOWN])
    return (f"{shown} and {len(clips) - _SHOWN} more" if len(clips) > _SHOWN else shown) or "none"


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a clip's frames are in a plate, by the plate's numbers."""

    shown: int
    """The frame at the clip's `start`."""
    first: int
    """First frame of the cut, with what a transition shows before."""
    last: int
    """Last frame of the cut, with what a transition shows behind."""
    usable: tuple[int, int] | None
    """First and last frame that the timeline allows; None where it does not say, or speaks of other media."""
    how: str
    """How they were counted, in words."""


def placed(clip: Clip, *, first: int, last: int, rate: Fraction, timecode: str | None, is_stated: bool) -> Placed:
    """Finds a clip's frames in a plate.

    Args:
        clip: The clip.
        first: Number of the plate's first frame.
        last: Of its last.
        rate: Of the plate, frames a second.
        timecode: Of its first frame, if it says so.
        is_stated: Whether the pipeline file names the plate, and not the clip itself.

    Raises:
        UsageError: The clip begins between two frames of the plate; or the plate's timecode cannot be read.
    """
    scale = _scale(clip.rate, rate)
    ways = list(_ways(clip, first=first, scale=scale, rate=rate, timecode=timecode, is_stated=is_stated))
    shown, how = next((way for way in ways if first <= way[0] <= last), ways[0])
    if shown.denominator != 1:
        raise UsageError(
            f"the clip begins between two frames of the plate ({float(shown):.3f}, counted {how}): its times are of"
            f" {clip.rate} frames a second, the plate's of {rate}; state frames"
        )
    speed = scale if clip.retime is None else scale * max(Fraction(1), Fraction(clip.retime.scale))
    count = 1 if clip.retime is not None and clip.retime.scale == 0 else math.ceil(clip.count * speed)
    usable = None
    if not is_stated and clip.media_start is not None and clip.media_count is not None:
        low = math.ceil(shown + (clip.media_start - clip.start) * scale)
        usable = low, low + math.floor(clip.media_count * scale) - 1
    return Placed(
        int(shown),
        int(shown) - math.ceil(clip.head * speed),
        int(shown) + count - 1 + math.ceil(clip.tail * speed),
        usable,
        how,
    )


def _ways(
    clip: Clip, *, first: int, scale: Fraction, rate: Fraction, timecode: str | None, is_stated: bool
) -> Iterator[tuple[Fraction, str]]:
    """The ways to count, the best first: a plate that is not the clip's own media may be numbered in another way."""
    if is_stated and timecode is not None:
        yield first + clip.start * scale - Timecode.parse(timecode, rate).frames, "by timecode"
    if clip.media_start is not None:
        into = (clip.start - clip.media_start) * scale
        if clip.first_number is not None:
            yield clip.first_number + into, "by frame number"
        yield first + into, "from the media's first frame"
        return
    if not is_stated and timecode is not None:
        yield first + clip.start * scale - Timecode.parse(timecode, rate).frames, "by timecode"
    yield first + clip.start * scale, "from the media's first frame"


def _scale(clip: Fraction, plate: Fraction) -> Fraction:
    """Plate frames for one of the clip's; 23.976 and 24 count alike, as in timecode."""
    return Fraction(1) if round(clip) == round(plate) else plate / clip
