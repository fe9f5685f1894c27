"""Takes the trembling out of landmarks, before anything is done by them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vfxswap.frame import Face, Frame
from vfxswap.geometry import REGIONS, Landmarks, Points, Region
from vfxswap.ops.steadypoints import PointSettings, distance, steadied_points
from vfxswap.stage import Span, Stage, StageOptions, Window

_REACH = 1.0
"""How far a face may move from one frame to the next and be the same, in its sizes (`vfxswap.ops.steadypoints`)."""
_FRAMES_OF_REACH = 2
"""Frames after which a face that was not seen in between is no longer looked for farther away."""
_LEAST_CONFIDENCE = 0.05
_REACH_OF: dict[Region, float] = {
    **dict.fromkeys(("lips_outer", "lips_inner"), 0.7),
    **dict.fromkeys(("left_eye", "right_eye"), 0.1),
}
"""How far the skin around lips and lids goes with them, in sizes of the face: the mouth takes cheeks and jaw along."""


class SteadyLandmarksOptions(StageOptions):
    """Settings of `steady-landmarks`."""

    radius_frames: int = Field(
        5, ge=0, le=16, description="Frames looked at on each side; 0 changes nothing. The window is centred: no lag."
    )
    strength: float = Field(1.0, ge=0, le=1, description="How much of the trembling is taken out.")
    tolerance_percent: float = Field(
        0.5,
        gt=0,
        le=5,
        description="Deviation from a smooth path up to which it is trembling, in % of the face's size: the root mean"
        " square distance of its points from their middle. A larger one is motion, and kept.",
    )


class SteadyLandmarks(Stage[SteadyLandmarksOptions]):
    """Puts landmarks on their smooth paths, and crops with them; stands between the aligner and all that use crops.

    Each frame is judged by its own centred window, cut off at cuts and at the shot's ends, so there is no lag. Fast
    motion, speech and blinks stay as they were seen. A face is followed by where it lies; frames without it are gaps,
    and one that is seen but once is left alone. Frames of low confidence count for little.

    Measured with `facemesh` on lab shots, against the true landmarks (benchmarks/STEADINESS.md): trembling (root mean
    square second difference of the error) -89 % on a head at rest, -86 % on one that moves slowly, -62 % on the resting
    parts of one that speaks. Points faster than 4 % of the eyes' distance a frame keep their error, to a fifth of a
    percent. What an aligner takes for motion of cheeks and jaw, and is none, it cannot know.

    Not for plates that repeat frames, as webcams and pulldown do: there landmarks would go on over a picture that
    stands still.
    """

    Options = SteadyLandmarksOptions
    needs = frozenset({"landmarks", "crops"})
    gives = frozenset({"landmarks", "crops"})

    @property
    def window(self) -> Span:
        """The radius, on both sides."""
        return Span(self.options.radius_frames, self.options.radius_frames)

    def process(self, window: Window) -> Frame:
        """Steadies all faces of the central frame."""
        return window.frame.with_faces([self._steadied(window, face) for face in window.frame.faces])

    def _steadied(self, window: Window, face: Face) -> Face:
        if face.landmarks is None or self.options.strength == 0:
            return face
        seen, center = followed(window, face)
        if len(seen) == 1:
            return face
        points = steadied_points(
            np.stack([_points(other) for _, other in seen]),
            np.array([number for number, _ in seen], dtype=np.float64),
            np.array([max(other.detection.score, _LEAST_CONFIDENCE) for _, other in seen]),
            center=center,
            reach=_reach(face.landmarks),
            settings=PointSettings(
                radius_frames=self.options.radius_frames,
                strength=self.options.strength,
                tolerance=self.options.tolerance_percent / 100,
            ),
        )
        return replace(face, landmarks=Landmarks(points, face.landmarks.scheme))


def followed(window: Window, face: Face) -> tuple[list[tuple[int, Face]], int]:
    """One face over a window: `(frame number, face)` oldest first, and the index of the central one.

    It is the nearest face from frame to frame, if to that one too none is nearer; never one of another track.
    """
    before = _on(reversed(window.frames[: window.center]), window.frame, face)
    after = _on(window.frames[window.center + 1 :], window.frame, face)
    return [*reversed(before), (window.frame.number, face), *after], len(before)


def _on(frames: Iterable[Frame], last: Frame, face: Face) -> list[tuple[int, Face]]:
    found: list[tuple[int, Face]] = []
    for frame in frames:
        gap = min(abs(frame.number - last.number), _FRAMES_OF_REACH)
        same = _nearest(face, frame.faces, _REACH * gap)
        if same is not None and _nearest(same, last.faces, _REACH * gap) is face:
            found.append((frame.number, same))
            last, face = frame, same
    return found


def _reach(landmarks: Landmarks) -> NDArray[np.float64] | None:
    """Of each point, for `steadied_points`; None where it is not known which points move by themselves."""
    if "lips_outer" not in REGIONS.get(landmarks.scheme, {}):
        return None
    reach = np.zeros(len(landmarks.points))
    for region, far in _REACH_OF.items():
        reach[list(REGIONS[landmarks.scheme][region])] = far
    return reach


def _nearest(face: Face, others: Sequence[Face], reach: float) -> Face | None:
    alike = [other for other in others if _may_be(face, other)]
    nearest = min(alike, key=lambda other: distance(_points(face), _points(other)), default=None)
    if nearest is None or distance(_points(face), _points(nearest)) > reach:
        return None
    return nearest


def _may_be(a: Face, b: Face) -> bool:
    if a.landmarks is None or b.landmarks is None or a.landmarks.points.shape != b.landmarks.points.shape:
        return False
    return a.detection.track == b.detection.track or None in {a.detection.track, b.detection.track}


def _points(face: Face) -> Points:
    if face.landmarks is None:
        raise TypeError("a face without landmarks has no points")
    return face.landmarks.points
