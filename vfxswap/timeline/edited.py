"""Where the shots of an edited movie change, by the timeline that it was made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import opentimelineio as otio

from vfxswap.errors import UsageError
from vfxswap.timeline.reading import frames_in, holders_of, opened, rate_of, video_clips


@dataclass(frozen=True, slots=True)
class Edited:
    """A movie as it was edited; times are counted in frames of `rate` from its beginning."""

    rate: Fraction
    """Frames a second."""
    start: Fraction | None
    """What the timeline's own clock shows at its beginning (often an hour); None if it does not say."""
    length: Fraction
    cuts: tuple[Fraction, ...]
    """Where another shot begins or one ends, ascending. Of a dissolve, its middle: up to there the old shot is the
    stronger one, and from there the new."""


def read_edit(path: Path) -> Edited:
    """Reads where the clips of all video tracks begin and end.

    Tracks that lie over others count too: a cut where the picture goes on only makes windows shorter.

    Args:
        path: The timeline, `.otio`.

    Raises:
        UsageError: It cannot be read, is no single timeline, or shows nothing; says what to do.
    """
    root = opened(path)  # held, as a clip knows its track for only as long as the timeline is there
    top = _top(root, path)
    clips = [clip for clip in video_clips(top) if clip.enabled]
    if not clips:
        raise UsageError(f"{path.name} shows no clip; export the edit as an OTIO timeline")
    rate = rate_of(clips[0].trimmed_range().duration)
    length = frames_in(top.trimmed_range().duration, rate)
    start = None
    if isinstance(root, otio.schema.Timeline) and root.global_start_time is not None:
        start = frames_in(root.global_start_time, rate)
    edges = {edge for clip in clips for edge in _edges(clip, top, rate)}
    return Edited(rate, start, length, tuple(sorted(edge for edge in edges if 0 < edge < length)))


def _top(root: Any, path: Path) -> Any:
    """What all tracks are in."""
    if isinstance(root, otio.schema.Timeline):
        return root.tracks
    if isinstance(root, otio.core.Composition):
        return root
    raise UsageError(f"{path.name} holds {type(root).__name__}, no single timeline; export the edit alone")


def _edges(clip: Any, top: Any, rate: Fraction) -> Iterator[Fraction]:
    """Where a clip begins and ends in the time of the whole, as far as what it is nested in shows it."""
    track = clip.parent()
    beside = track.neighbors_of(clip) if isinstance(track, otio.schema.Track) else (None, None)
    holders = [_span(item, top, rate) for item in holders_of(clip) if item != top and item.parent() is not None]
    for edge, other in zip(_span(clip, top, rate), beside, strict=True):
        if isinstance(other, otio.schema.Transition):
            edge += (frames_in(other.out_offset, rate) - frames_in(other.in_offset, rate)) / 2  # noqa: PLW2901
        for low, high in holders:
            edge = min(max(edge, low), high)  # noqa: PLW2901
        yield edge


def _span(item: Any, top: Any, rate: Fraction) -> tuple[Fraction, Fraction]:
    shown = item.trimmed_range()
    first, last = (item.transformed_time(time, top) for time in (shown.start_time, shown.end_time_exclusive()))
    return frames_in(first, rate), frames_in(last, rate)
