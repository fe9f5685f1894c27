"""Timelines as OpenTimelineIO reads them.

Its words: a clip's `source_range` is what it shows of its media, in the media's own time, whose first frame is at the
start of the media reference's `available_range` (often the timecode of the file). A transition shows more on both
sides of a cut, by its `in_offset` before and its `out_offset` behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import opentimelineio as otio

from vfxswap.clock import exact_rate
from vfxswap.errors import UsageError
from vfxswap.timeline.clips import Clip, Retime
from vfxswap.timeline.urls import path_of

RESULT_KEY = "vfxswap"
"""Of the media reference that results are written to; never taken for a plate."""


def read_clips(path: Path, media: str | None = None) -> tuple[Clip, ...]:
    """The clips of all video tracks, in the order of tracks and time.

    Args:
        path: The timeline, `.otio`.
        media: Key of the media reference to take; None takes the active one.

    Raises:
        UsageError: It cannot be read, or is no timeline; says what to do.
    """
    root = opened(path)  # held, as a clip knows its track for only as long as the timeline is there
    found = [_clip(clip, index, path.parent, media) for index, clip in enumerate(video_clips(root))]
    return tuple(
        replace(clip, name=name) for clip, name in zip(found, names([one.own_name for one in found]), strict=True)
    )


def opened(path: Path) -> Any:
    """The root object of a timeline file.

    Raises:
        UsageError: There is none, or it is of another kind.
    """
    if path.suffix.lower() != ".otio":
        raise UsageError(
            f"{path.name} is no .otio file; convert it with OpenTimelineIO's own tool: otioconvert -i {path.name} -o"
            f" {path.stem}.otio"
        )
    try:
        root = otio.core.deserialize_json_from_file(str(path))
    except (OSError, ValueError, KeyError, TypeError, otio.exceptions.OTIOError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{path} cannot be read as a timeline: {reason}; export it again") from error
    if not hasattr(root, "find_clips"):
        raise UsageError(f"{path} holds no timeline but {type(root).__name__}; export the cut as an OTIO timeline")
    return root


def video_clips(root: Any) -> list[Any]:
    """All clips that are in no audio track, in the order of tracks and time."""
    return [clip for clip in root.find_clips() if not any(_is_sound(above) for above in holders_of(clip))]


def names(own: Sequence[str]) -> list[str]:
    """Names that tell clips apart: `sh010#1` and `sh010#2` for two of one name."""
    named = [name.strip() or f"clip{index + 1}" for index, name in enumerate(own)]
    count, seen = Counter(named), Counter[str]()
    result = []
    for name in named:
        seen[name] += 1
        result.append(name if count[name] == 1 else f"{name}#{seen[name]}")
    return result


def plate_key(clip: Any, media: str | None = None) -> str | None:
    """The key of the media reference that is the plate.

    Args:
        clip: The clip.
        media: The key asked for; None takes the active one, or where that is a result of ours, the first of the others.

    Returns:
        None if there is no such reference.
    """
    keys = list(clip.media_references())
    if media is not None:
        return media if media in keys else None
    if clip.active_media_reference_key != RESULT_KEY:
        return str(clip.active_media_reference_key)
    usual = [key for key in (clip.DEFAULT_MEDIA_KEY, *sorted(keys)) if key in keys and key != RESULT_KEY]
    return usual[0] if usual else None


def _clip(clip: Any, index: int, folder: Path, media: str | None) -> Clip:
    tracks = [above for above in holders_of(clip) if isinstance(above, otio.schema.Track)]
    own = Clip("", clip.name, index, tracks[-1].name if tracks else "")
    if not all(item.enabled for item in (clip, *tracks)):
        return replace(own, skipped="disabled in the timeline")
    key = plate_key(clip, media)
    reference = None if key is None else clip.media_references()[key]
    if isinstance(reference, otio.schema.GeneratorReference):
        return replace(own, skipped=f"made by a generator ({reference.generator_kind or 'of no kind'}), no footage")
    shown = clip.source_range or (None if reference is None else reference.available_range)
    return _with_media(_timed(own, clip, shown), clip, reference, folder, media)


def _timed(own: Clip, clip: Any, shown: Any) -> Clip:
    """With what it shows."""
    if shown is None:
        return replace(own, unplaced="neither the clip nor its media say which frames it shows")
    try:
        rate = rate_of(shown.start_time)
        start, count = frames_in(shown.start_time, rate), frames_in(shown.duration, rate)
    except UsageError as error:
        return replace(own, unplaced=str(error))
    if count <= 0:
        return replace(own, unplaced="it shows no frame")
    head, tail = _beyond(clip, rate)
    return _retimed(replace(own, rate=rate, start=start, count=count, head=head, tail=tail), clip)


def _beyond(clip: Any, rate: Fraction) -> tuple[Fraction, Fraction]:
    """What transitions show before and behind the cut."""
    track = clip.parent()
    if not isinstance(track, otio.schema.Track):
        return Fraction(0), Fraction(0)
    before, behind = track.neighbors_of(clip)
    is_transition = isinstance(before, otio.schema.Transition), isinstance(behind, otio.schema.Transition)
    head = frames_in(before.in_offset, rate) if is_transition[0] else Fraction(0)
    return head, frames_in(behind.out_offset, rate) if is_transition[1] else Fraction(0)


def _retimed(own: Clip, clip: Any) -> Clip:
    """With its change of speed; one that does not say which frames it wants leaves the clip unplaced."""
    effects = [effect for item in (clip, *holders_of(clip)) for effect in item.effects if effect.enabled]
    warps = [effect for effect in effects if isinstance(effect, otio.schema.TimeEffect)]
    kinds = otio.schema.LinearTimeWarp, otio.schema.FreezeFrame
    if not warps:
        return own
    if len(warps) > 1 or not isinstance(warps[0], kinds):
        words = ", ".join(warp.effect_name or type(warp).__name__ for warp in warps)
        return replace(own, unplaced=f"it is retimed ({words}) in a way that does not say which frames it shows")
    scale = 0.0 if isinstance(warps[0], otio.schema.FreezeFrame) else float(warps[0].time_scalar)
    if not 0 <= scale < 100:
        return replace(own, unplaced=f"it plays at {scale:g} of its speed, for which programs count its frames unalike")
    return replace(own, retime=Retime(scale))


def _with_media(own: Clip, clip: Any, reference: Any, folder: Path, media: str | None) -> Clip:
    if reference is None or not isinstance(
        reference, otio.schema.ExternalReference | otio.schema.ImageSequenceReference
    ):
        return replace(own, no_media=_why_none(clip, reference, media))
    try:
        own = _with_range(own, reference.available_range)
        if isinstance(reference, otio.schema.ExternalReference):
            return replace(own, path=path_of(reference.target_url, folder))
        return _with_sequence(own, reference, folder)
    except UsageError as error:
        return replace(own, no_media=str(error))


def _with_range(own: Clip, available: Any) -> Clip:
    if available is None:
        return own
    return replace(
        own,
        media_start=frames_in(available.start_time, own.rate),
        media_count=frames_in(available.duration, own.rate),
    )


def _with_sequence(own: Clip, reference: Any, folder: Path) -> Clip:
    if reference.frame_step != 1:
        raise UsageError(f"its media has every {reference.frame_step}th frame only; name the whole plate")
    base = path_of(reference.target_url_base, folder) if reference.target_url_base else folder
    digits = reference.frame_zero_padding
    name = f"{reference.name_prefix}%{f'0{digits}' if digits else ''}d{reference.name_suffix}"
    return replace(
        own,
        path=base / name,
        first_number=reference.start_frame,
        media_rate=exact_rate(reference.rate) if reference.rate > 0 else None,
    )


def _why_none(clip: Any, reference: Any, media: str | None) -> str:
    keys = ", ".join(sorted(clip.media_references())) or "none"
    if reference is None and media is not None:
        return f"it has no media reference {media!r}; there are {keys}"
    if reference is None or isinstance(reference, otio.schema.MissingReference):
        return "its media is missing in the timeline"
    return f"its media is of a kind that is not known ({type(reference).__name__})"


def holders_of(item: Any) -> Iterator[Any]:
    """What an item is in, from the inside out."""
    while (item := item.parent()) is not None:
        yield item


def _is_sound(above: Any) -> bool:
    return isinstance(above, otio.schema.Track) and above.kind == otio.schema.TrackKind.Audio


def rate_of(time: Any) -> Fraction:
    """Frames a second that a time is counted in, exactly."""
    return exact_rate(float(time.rate))


def frames_in(time: Any, rate: Fraction) -> Fraction:
    """A time in frames of some rate, exactly; rates that are of one timecode count alike."""
    own, value = rate_of(time), Fraction(time.value).limit_denominator(1_000_000)
    return value if round(own) == round(rate) else value * rate / own
