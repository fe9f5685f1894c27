"""`[shot] timeline` and `clip`: which clip of a cut is worked on; its name stands for `{clip}` in the file's texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vfxswap.errors import Problem, UsageError
from vfxswap.pipeline.reading import Notes

if TYPE_CHECKING:
    from vfxswap.timeline import Clip

PLACE = "{clip}"
"""What a clip's name stands for."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The clip that a pipeline works on."""

    timeline: Path
    clip: Clip
    is_stated: bool
    """Whether the pipeline file names the plate, and not the clip itself."""

    @property
    def whose(self) -> str:
        """Where the plate comes from, and what to do if it is not there."""
        name = f"{self.clip.name!r} in {self.timeline.name}"
        return f"it is the media of clip {name}: relink the cut, or name the plate with [shot] plate"


@dataclass(frozen=True, slots=True)
class Settled:
    """A pipeline file whose clip was looked up."""

    document: dict[str, Any]
    """With the clip's plate and name in their places."""
    cut: Cut | None
    """None if no timeline is named, or the clip was not found."""
    is_lost: bool = False
    """Whether the plate is not known, as the clip is not; a problem says so already."""


def settle_clip(document: dict[str, Any], notes: Notes) -> Settled:
    """Finds the clip and puts what it says into the document; what is wrong goes to the notes."""
    shot = document.get("shot")
    if not isinstance(shot, Mapping):
        return Settled(document, None)
    timeline, name, media = (shot.get(key) for key in ("timeline", "clip", "media"))
    if not isinstance(timeline, str) or not all(text is None or isinstance(text, str) for text in (name, media)):
        return Settled(_named(document, name if isinstance(name, str) else None, notes), None)
    path = notes.origin.file.parent / timeline
    clip = _found(path, name, media, notes)
    if clip is None:
        named = _named(document, name, None)
        is_lost = "plate" not in shot
        # The timeline stands in for the plate while the rest of the table is checked.
        return Settled(_with_plate(named, timeline) if is_lost else named, None, is_lost)
    named, is_stated = _named(document, clip.label, notes), "plate" in shot
    if is_stated:
        return Settled(named, Cut(path, clip, is_stated=True))
    if clip.path is None:
        why = clip.no_media or "its media is not known"
        _wrong(notes, "clip", f"nothing can be made of the clip: {why}; name its plate with [shot] plate", clip.name)
        return Settled(_with_plate(named, timeline), None, is_lost=True)
    # Absolute, as what is relative in the file counts from its folder and not from here.
    return Settled(_with_plate(named, str(clip.path.absolute())), Cut(path, clip, is_stated=False))


def clips_of(document: Mapping[str, Any], notes: Notes) -> tuple[Clip, ...]:
    """The clips of the timeline that a pipeline file names; none, with a note, if there is no reading it."""
    shot = document.get("shot")
    timeline = shot.get("timeline") if isinstance(shot, Mapping) else None
    if not isinstance(timeline, str):
        _wrong(notes, "timeline", 'is missing: it says which clips there are, as timeline = "cut.otio"', timeline)
        return ()
    media = shot.get("media") if isinstance(shot, Mapping) else None
    return _clips(notes.origin.file.parent / timeline, media if isinstance(media, str) else None, notes)


def _clips(path: Path, media: str | None, notes: Notes) -> tuple[Clip, ...]:
    from vfxswap.timeline import read_clips  # noqa: PLC0415 - takes a moment that few pipelines need

    try:
        return read_clips(path, media)
    except UsageError as error:
        _wrong(notes, "timeline", str(error), None)
        return ()


def _found(path: Path, name: str | None, media: str | None, notes: Notes) -> Clip | None:
    from vfxswap.timeline import find_clip  # noqa: PLC0415 - likewise

    before = len(notes.problems)
    clips = _clips(path, media, notes)
    if len(notes.problems) > before:
        return None
    try:
        clip = find_clip(clips, name)
    except UsageError as error:
        _wrong(notes, "clip", str(error), name)
        return None
    if clip.skipped is not None:
        _wrong(notes, "clip", f"nothing can be made of the clip: it is {clip.skipped}", clip.name)
        return None
    return clip


def _wrong(notes: Notes, key: str, message: str, value: object) -> None:
    notes.add(Problem(message, stage="shot", key=key, value=value), "shot", key)


def _with_plate(document: dict[str, Any], plate: str) -> dict[str, Any]:
    return {**document, "shot": {**document["shot"], "plate": plate}}


def _named(document: dict[str, Any], name: str | None, notes: Notes | None) -> dict[str, Any]:
    """The document with a clip's name for `{clip}`; without a name it must not be there."""
    if name is not None:
        named = _replaced(document, name)
        return named if isinstance(named, dict) else document
    if notes is not None and _replaced(document, "") != document:
        message = "is missing: {clip} stands for a clip's name; say clip, or on the command line --clip NAME"
        _wrong(notes, "clip", message, None)
    return document


def _replaced(value: object, name: str) -> object:
    if isinstance(value, str):
        return value.replace(PLACE, name)
    if isinstance(value, Mapping):
        return {key: item if key in {"clip", "timeline"} else _replaced(item, name) for key, item in value.items()}
    return [_replaced(item, name) for item in value] if isinstance(value, list) else value
