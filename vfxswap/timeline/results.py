"""Results written back: a second media reference of the clip, beside the plate's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import opentimelineio as otio

from vfxswap.errors import UsageError
from vfxswap.files import FramePattern, whole
from vfxswap.timeline.lock import locked
from vfxswap.timeline.reading import RESULT_KEY, names, opened, video_clips
from vfxswap.timeline.urls import is_relative, url_of


@dataclass(frozen=True, slots=True)
class Footage:
    """A plate or a delivery: a movie, or the pattern of a sequence."""

    path: Path
    first: int
    """Number of its first frame."""
    last: int
    rate: Fraction
    """Frames a second."""
    start: int = 0
    """Its first frame in the media's time, such as its timecode, in frames."""


@dataclass(frozen=True, slots=True)
class Result:
    """What was delivered for a clip."""

    footage: Footage
    """Its `start` does not count: the clip's own time does."""
    shown: int
    """Number of the frame that the clip shows first."""
    about: Mapping[str, str] = field(default_factory=dict)
    """What to keep beside it, such as the pipeline and its key."""


def add_result(out: Path, clip: str, result: Result, *, source: Path) -> None:
    """Writes a timeline whose clip has the result as its active media reference, the plate's left as it is.

    The cut is that of `source`, as it is now; results that `out` has already, of this shot or of others, are carried
    over by the names of their clips. Several processes may do this at once.

    Args:
        out: The timeline to write; appears whole.
        clip: Name of the clip, as `read_clips` gives it.
        result: What was delivered.
        source: The timeline that was read.

    Raises:
        UsageError: A timeline cannot be read, or the clip is no longer in it.
        MediaError: It cannot be written.
    """
    with locked(out):
        root = opened(source)
        clips = _by_name(root)
        if source.parent.resolve() != out.parent.resolve():
            _move_urls(clips, source.parent, out.parent)
        if out.exists():
            _carry_over(opened(out), clips)
        if clip not in clips:
            raise UsageError(f"{source} has no clip {clip!r} any more; what was delivered for it is in no timeline")
        _attach(clips[clip], _reference(result, clips[clip].trimmed_range(), out.parent))
        _write(root, out)


def add_new(out: Path, clip: str, result: Result, *, plate: Footage, cut: tuple[int, int]) -> None:
    """The same for a shot that comes from no timeline: its clip is added at the end of the one that is written.

    Args:
        out: The timeline; made if it is not there.
        clip: Name of the clip; one that is there already gets the result.
        result: What was delivered.
        plate: What it was made of.
        cut: First and last frame that the clip shows.

    Raises:
        UsageError: The timeline that is there cannot be read.
        MediaError: It cannot be written.
    """
    with locked(out):
        root = opened(out) if out.exists() else otio.schema.Timeline(out.stem)
        clips = _by_name(root)
        made = clips.get(clip)
        if made is None:
            made = _new_clip(clip, plate, cut, out.parent)
            _video_track(root, out).append(made)
        _attach(made, _reference(result, made.trimmed_range(), out.parent))
        _write(root, out)


def results_in(path: Path) -> tuple[str, ...]:
    """Names of the clips of a timeline that have a result.

    Raises:
        UsageError: It cannot be read.
    """
    return tuple(name for name, clip in _by_name(opened(path)).items() if RESULT_KEY in clip.media_references())


def timeline_problem(out: Path, source: Path | None) -> str | None:
    """Why results cannot be written to a timeline, before any is made; None if they can."""
    if out.suffix.lower() != ".otio":
        return f"{out.name} is no .otio file, which is the one form that is written"
    if source is not None and out.resolve() == source.resolve():
        return "is the timeline that is read; give another name, so that the cut stays as the editor left it"
    if not out.exists():
        return None
    try:
        there = opened(out)
        if source is not None and there.name != opened(source).name and results_in(out):
            return (
                f"{out} is there already and holds results of another timeline, {there.name!r}; write to another file,"
                " or remove it"
            )
    except UsageError as error:
        return str(error)
    return None


def _by_name(root: Any) -> dict[str, Any]:
    clips = video_clips(root)
    return dict(zip(names([clip.name for clip in clips]), clips, strict=True))


def _carry_over(before: Any, clips: Mapping[str, Any]) -> None:
    """Takes the results of an earlier writing along."""
    for name, clip in _by_name(before).items():
        if name in clips and (reference := clip.media_references().get(RESULT_KEY)) is not None:
            _attach(clips[name], reference.clone())


def _attach(clip: Any, reference: Any) -> None:
    # A clip without a range of its own shows all of its active media, which now would be the result with its handles.
    clip.source_range = clip.trimmed_range()
    clip.set_media_references({**clip.media_references(), RESULT_KEY: reference}, RESULT_KEY)


def _reference(result: Result, shown: Any, folder: Path) -> Any:
    """A media reference in the clip's own time, so that its cut stays what it was."""
    footage, rate = result.footage, shown.start_time.rate
    scale = Fraction(1) if round(rate) == round(footage.rate) else Fraction(rate) / footage.rate
    time = otio.opentime.RationalTime
    start = shown.start_time.value + float((footage.first - result.shown) * scale)
    duration = float((footage.last - footage.first + 1) * scale)
    available = otio.opentime.TimeRange(time(start, rate), time(duration, rate))
    return _media(footage, available, folder, {RESULT_KEY: dict(result.about)})


def _media(footage: Footage, available: Any, folder: Path, metadata: dict[str, Any]) -> Any:
    pattern = FramePattern(footage.path)
    if not pattern.is_numbered:
        url = url_of(footage.path, folder)
        return otio.schema.ExternalReference(url, available_range=available, metadata=metadata)
    prefix, _, suffix = pattern.parts
    return otio.schema.ImageSequenceReference(
        target_url_base=url_of(footage.path.parent, folder) + "/",
        name_prefix=prefix,
        name_suffix=suffix,
        start_frame=footage.first,
        frame_step=1,
        rate=float(footage.rate),
        frame_zero_padding=pattern.digits,
        available_range=available,
        metadata=metadata,
    )


def _new_clip(name: str, plate: Footage, cut: tuple[int, int], folder: Path) -> Any:
    rate, time = float(plate.rate), otio.opentime.RationalTime
    span = otio.opentime.TimeRange
    available = span(time(plate.start, rate), time(plate.last - plate.first + 1, rate))
    start = plate.start + cut[0] - plate.first
    shown = span(time(start, rate), time(cut[1] - cut[0] + 1, rate))
    return otio.schema.Clip(name, media_reference=_media(plate, available, folder, {}), source_range=shown)


def _video_track(root: Any, path: Path) -> Any:
    if not isinstance(root, otio.schema.Timeline):
        raise UsageError(f"{path} holds no single timeline; write to another file")
    tracks = root.video_tracks()
    if not tracks:
        tracks = [otio.schema.Track("V1", kind=otio.schema.TrackKind.Video)]
        root.tracks.append(tracks[0])
    return tracks[0]


def _move_urls(clips: Mapping[str, Any], old: Path, new: Path) -> None:
    """Makes relative URLs mean the same files from another folder."""
    way = os.path.relpath(old.resolve(), new.resolve()).replace(os.sep, "/")
    for clip in clips.values():
        for reference in clip.media_references().values():
            for key in ("target_url", "target_url_base"):
                url = getattr(reference, key, None)
                if url is not None and is_relative(url):
                    setattr(reference, key, f"{way}/{url}")


def _write(root: Any, out: Path) -> None:
    text = otio.core.serialize_json_to_string(root, indent=4)
    with whole(out) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
