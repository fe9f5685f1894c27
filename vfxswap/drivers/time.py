"""Drivers of stages that see a frame among its neighbours."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from vfxswap.color import ColorTags, PixelLayout
from vfxswap.crops import cut_crop, small_picture
from vfxswap.drivers.base import Around, Driver, Shot, Step, checked, given
from vfxswap.frame import Batch, Face, FaceWindow, Frame, Picture
from vfxswap.geometry import iou
from vfxswap.ops import cut
from vfxswap.stage import Deflicker, Span, Window

HOW_CUT = "vfxswap.cut"
"""Under which a frame says how a new shot starts with it: a word of `vfxswap.ops.cut`, or `HOLE`."""
HOLE = "hole"
"""Frames are missing before it."""
_THUMBNAIL = "vfxswap.thumbnail"
_NO_PICTURE = Picture([np.zeros((1, 1), np.uint8)], PixelLayout("gray", "gray", 8), ColorTags())
"""In the place of a plate that nobody looks at any more."""
_LINK_IOU = 0.2
"""Least overlap of a face's boxes in successive frames for it to count as the same face."""


class Thumbnails(Step):
    """Keeps a small picture of each frame, for finding cuts; on the CPU, where many small sums cost least."""

    def __init__(self, shot: Shot) -> None:
        self._view = shot.view

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Step`."""
        return tuple(replace(frame, props={**frame.props, _THUMBNAIL: self._seen(frame)}) for frame in around.batch)

    def _seen(self, frame: Frame) -> Tensor:
        return small_picture(frame.plate, self._view, cut.THUMBNAIL_SIZE).cpu()


class Cuts(Step):
    """Marks the frames with which a new shot starts, from the thumbnails around them."""

    span = Span(cut.WINDOW_BEHIND, cut.WINDOW_AHEAD)

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Step`."""
        return tuple(self._marked(neighbours(around, frame, self.span)) for frame in around.batch)

    def remembered(self, batch: Batch) -> Batch:
        """See `Step`."""
        return Batch(tuple(replace(frame, plate=_NO_PICTURE) for frame in batch))

    def _marked(self, window: Window) -> Frame:
        frame, thumbnails = window.frame, [cast("Tensor", frame.props[_THUMBNAIL]) for frame in window.frames]
        kind = HOLE if frame.cut_before else cut.kind_before(thumbnails, window.center)
        return frame if kind is None else replace(frame, cut_before=True, props={**frame.props, HOW_CUT: kind})


class GivenCuts(Step):
    """Marks the frames that the pipeline file lists."""

    def __init__(self, cuts: Container[int]) -> None:
        self._cuts = cuts

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Step`."""
        return tuple(
            replace(frame, cut_before=frame.cut_before or frame.number in self._cuts) for frame in around.batch
        )


class ProcessDriver(Driver):
    """A plain stage: one frame at a time, with its window.

    Where it gives landmarks, faces whose landmarks it has moved get the crops that follow from them.
    """

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Driver`."""
        return tuple(self._worked(neighbours(around, frame, self.span)) for frame in around.batch)

    def _worked(self, window: Window) -> Frame:
        frame = self.stage.process(window)
        if "landmarks" not in self.stage.gives:
            return frame
        seen = {id(face.landmarks) for face in window.frame.faces}
        faces = [face if id(face.landmarks) in seen else self._cut_again(frame, face) for face in frame.faces]
        return frame.with_faces(faces)

    def _cut_again(self, frame: Frame, face: Face) -> Face:
        if face.crop_spec is None or face.landmarks is None:
            return face  # made up by the stage, crop and all
        matrix = face.crop_spec.plate_to_crop(face.landmarks)
        face = replace(face, plate_to_crop=matrix)
        if face.crop is None:
            return face  # nobody will look at its pixels
        return replace(face, crop=cut_crop(frame.plate, self.shot.view, matrix, face.crop_size))


def neighbours(around: Around, frame: Frame, span: Span) -> Window:
    """The window of a frame: cut off at the shot's ends and at cuts."""
    frames = around.frames
    center = next(i for i, other in enumerate(frames) if other.number == frame.number)
    start = center
    while start > max(center - span.behind, 0) and not frames[start].cut_before:
        start -= 1
    end = center
    while end < min(center + span.ahead, len(frames) - 1) and not frames[end + 1].cut_before:
        end += 1
    return Window(frames[start : end + 1], center - start)


class DeflickerDriver(Driver):
    """Gives the stage one face over its neighbouring frames."""

    stage: Deflicker[Any]

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Driver`."""
        return tuple(self._steadied(neighbours(around, frame, self.span)) for frame in around.batch)

    def _steadied(self, window: Window) -> Frame:
        faces = [
            replace(face, swapped=self._steady(linked(window, face))) if face.swapped is not None else face
            for face in window.frame.faces
        ]
        return window.frame.with_faces(faces)

    def _steady(self, line: tuple[list[tuple[int, Face]], int]) -> Tensor:
        places, center = line
        layers = FaceWindow(
            swapped=torch.stack([given(face.swapped) for _, face in places]),
            plate=torch.stack([given(face.crop) for _, face in places]),
            mattes=torch.stack([given(face.matte) for _, face in places]),
            frames=tuple(number for number, _ in places),
            center=center,
        )
        return checked(self.stage.steady(layers), "the steadied face", tuple(layers.swapped.shape[1:]))


def linked(window: Window, face: Face) -> tuple[list[tuple[int, Face]], int]:
    """Follows a face from the central frame outwards, until it is lost.

    The same face is the one of the same identity (and of the same track, where the detector knows tracks) whose box
    overlaps most from frame to frame.

    Returns:
        `(frame number, face)` oldest first, and the index of the central one.
    """
    frame = window.frame
    before = _followed(reversed(window.frames[: window.center]), face)
    after = _followed(window.frames[window.center + 1 :], face)
    return [*reversed(before), (frame.number, face), *after], len(before)


def _followed(frames: Iterable[Frame], face: Face) -> list[tuple[int, Face]]:
    found: list[tuple[int, Face]] = []
    for frame in frames:
        same = [f for f in frame.faces if f.swapped is not None and f.identity == face.identity and _may_be(f, face)]
        best = max(same, key=lambda other: iou(other.detection.box, face.detection.box), default=None)
        if best is None or iou(best.detection.box, face.detection.box) < _LINK_IOU or best.crop_size != face.crop_size:
            break
        face = best
        found.append((frame.number, face))
    return found


def _may_be(a: Face, b: Face) -> bool:
    return a.detection.track == b.detection.track or None in (a.detection.track, b.detection.track)
