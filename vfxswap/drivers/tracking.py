"""The driver of trackers, which see the plate once before the run and give the faces of all its frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from torch import Tensor

from vfxswap.analysis import exact
from vfxswap.crops import View, small_picture
from vfxswap.drivers.base import Around, Driver, Shot, Step
from vfxswap.drivers.recall import Tracks, with_tracked
from vfxswap.errors import ShapeError
from vfxswap.frame import Frame, Sighting
from vfxswap.stage import Tracker

_PICTURE = "vfxswap.sighting"


class TrackerDriver(Driver):
    """Lets the stage see the plate, and gives each frame the faces that it found there.

    Frames that a sequence lacks, and those past a plate's break, are not seen.
    """

    stage: Tracker[Any]

    def __init__(self, stage: Tracker[Any], shot: Shot) -> None:
        super().__init__(stage, shot)
        self.tracks: Tracks = {}
        """What was found; empty before the survey. Whoever has it from an earlier run may put it here instead."""

    def survey_frames(self) -> Sequence[int]:
        """All of the plate."""
        return range(self.shot.first, self.shot.last + 1)

    def glances(self) -> Sequence[Step]:
        """The small picture that the stage asks for."""
        size = self.stage.image_size()
        return () if size is None else (_SmallPictures(self.shot.view, size),)

    def survey(self, frames: Iterator[Frame]) -> None:
        """Follows the faces.

        Raises:
            ShapeError: The stage leaves out a frame, a face has no track, or two faces of a frame have the same one.
        """
        seen: list[int] = []
        tracks = self.stage.follow(_sightings(frames, seen))
        for _ in frames:
            raise ShapeError("a tracker", expected="that it looks at all frames", actual=f"the last was {seen[-1:]}")
        self.tracks = _checked(tracks, seen)

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Driver`."""
        return tuple(with_tracked(frame, self.tracks) for frame in around.batch)


class _SmallPictures(Step):
    """Keeps a small picture of each frame for a tracker."""

    def __init__(self, view: View, size: tuple[int, int]) -> None:
        self._view, self._size = view, size

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Step`."""
        return tuple(
            replace(frame, props={**frame.props, _PICTURE: small_picture(frame.plate, self._view, self._size)})
            for frame in around.batch
        )


def _sightings(frames: Iterable[Frame], seen: list[int]) -> Iterator[Sighting]:
    """The frames as a tracker sees them; their numbers are put down."""
    for frame in frames:
        seen.append(frame.number)
        picture = cast("Tensor | None", frame.props.get(_PICTURE))
        yield Sighting(frame.number, frame.cut_before, tuple(face.detection for face in frame.faces), picture)


def _checked(tracks: Tracks, seen: Sequence[int]) -> Tracks:
    if list(tracks) != list(seen):
        raise ShapeError("frames of a tracker", expected=f"the {len(seen)} that it saw", actual=f"{len(tracks)} others")
    for number, faces in tracks.items():
        named = [face.detection.track for face in faces]
        if None in named or len(set(named)) < len(named):
            raise ShapeError(
                f"tracks of frame {number}", expected="a number for each face, no two alike", actual=str(named)
            )
    return {
        number: tuple(face._replace(detection=exact(face.detection)) for face in faces)
        for number, faces in tracks.items()
    }
