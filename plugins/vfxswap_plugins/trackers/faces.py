"""Follows faces through a shot by how they move and what they look like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from pydantic import Field
from torch import Tensor

from vfxswap.brief import Brief
from vfxswap.frame import Sighting, Tracked
from vfxswap.geometry import Points
from vfxswap.modelfile import ModelFile, Sidecar, described_file, read_sidecar
from vfxswap.ops.rejoin import Vector
from vfxswap.stage import InputPath, Setting, StageOptions, Tracker
from vfxswap_plugins._crops import On, chosen_device
from vfxswap_plugins.trackers.following import Following, Rules
from vfxswap_plugins.trackers.recogniser import Recogniser, checked_recogniser


class FaceTrackerOptions(StageOptions):
    """Settings of `face-tracker`."""

    sure_score: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="Confidence (0..1) from which a face may begin a track, or take one up again; less sure ones only"
        " go on with a track that was there a moment before, and are left out otherwise. Let the detector give some.",
    )
    max_gap_frames: int = Field(
        default=24,
        ge=0,
        le=96,
        description="Most frames without the face after which it is still the same track; the gap is bridged.",
    )
    min_confidence: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="Least confidence (0..1) of a face that bridges a gap; 1 bridges none. It falls with the distance"
        " from where the face was seen, where the ways from both ends disagree, and where it looks hidden.",
    )
    min_track_frames: int = Field(
        default=3, ge=1, le=1000, description="Tracks that were seen in fewer frames are left out."
    )
    picture_size: int = Field(
        default=640, ge=64, le=2048, description="Longest side of the picture in which it follows faces, in pixels."
    )
    recogniser: InputPath | None = Field(
        default=None,
        description="An ONNX face recogniser (faces aligned as ArcFace's, 112 pixels): with it a person is the same"
        " track after a cut, or after a longer absence. Without it a track ends there.",
    )
    recogniser_values: tuple[float, float] = Field(
        default=(0.0, 255.0), description="What black and white are to the recogniser, as (-1, 1)."
    )
    same_person: float = Field(
        default=0.5, ge=-1, le=1, description="Least likeness (-1..1) by the recogniser at which tracks are one person."
    )
    on: On = Field("device", description="Computes the recogniser on the run's device, or always on the CPU.")


class FaceTracker(Tracker[FaceTrackerOptions]):
    """Links detections to tracks by motion and looks, and bridges gaps by optical flow from both ends.

    Tracks that the detector gives (match-moved ones) are kept as they are. A face that is hidden is not made up: where
    flow from both ends disagrees, or something else is seen in its place, the gap stays.
    """

    Options = FaceTrackerOptions

    def __init__(self, options: FaceTrackerOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        self._recogniser: Recogniser | None = None

    @classmethod
    def model_files(cls, options: FaceTrackerOptions, brief: Brief) -> Sequence[ModelFile]:  # noqa: ARG003
        """See `Stage`: the recogniser, whose signature is checked."""
        if options.recogniser is None:
            return ()
        checked_recogniser(options.recogniser)
        return [described_file(options.recogniser, read_sidecar(Sidecar, options.recogniser))]

    def image_size(self) -> tuple[int, int]:
        """The plate's size with its longest side made `picture_size`, or its own if that is smaller."""
        scale = min(1.0, self.options.picture_size / max(self.setting.width, self.setting.height))
        return max(1, round(self.setting.width * scale)), max(1, round(self.setting.height * scale))

    def open(self) -> None:
        """See `Stage`."""
        options = self.options
        if options.recogniser is not None:
            device = chosen_device(options.on, self.setting.device)
            self._recogniser = Recogniser(options.recogniser, options.recogniser_values, device)

    def close(self) -> None:
        """See `Stage`."""
        self._recogniser = None

    def follow(self, sightings: Iterator[Sighting]) -> Mapping[int, Sequence[Tracked]]:
        """See `Tracker`."""
        options, (width, height) = self.options, self.image_size()
        rules = Rules(
            sure_score=options.sure_score,
            max_gap_frames=options.max_gap_frames,
            min_confidence=options.min_confidence,
            min_track_frames=options.min_track_frames,
            same_person=options.same_person,
        )
        scale = np.array([width / self.setting.width, height / self.setting.height])
        following = Following(rules, scale, self._recogniser)
        for sighting in sightings:
            following.see(sighting)
        return following.found()

    def likeness(self, picture: Tensor, five: Points) -> Vector | None:
        """See `Tracker`."""
        return None if self._recogniser is None else self._recogniser(picture, five)
