"""The detector's own points: for match-moved data, and where no mesh is wanted."""

from __future__ import annotations

from collections.abc import Sequence

from vfxswap.errors import UsageError
from vfxswap.frame import Detection
from vfxswap.geometry import Landmarks
from vfxswap.stage import Aligner, AlignerOptions, Cutter


class Points5(Aligner[AlignerOptions]):
    """Takes the dense points that the detector gives, as from a tracks file, else its five points; looks at no pixels.

    Five points that a network found are coarse: they jitter by some percent of the distance of the eyes.
    """

    Options = AlignerOptions

    def align(self, detections: Sequence[Detection], cut: Cutter) -> list[Landmarks | None]:  # noqa: ARG002
        """The points of each face as they are; see `Aligner`.

        Raises:
            UsageError: The detector gave neither dense nor five points.
        """
        return [_points(detection) for detection in detections]


def _points(detection: Detection) -> Landmarks:
    if detection.landmarks is not None:
        return detection.landmarks
    if detection.five is None:
        box = ", ".join(f"{value:.1f}" for value in detection.box)
        raise UsageError(
            f"the detector gives no points for the face at ({box}); use an aligner that finds them in the picture, or"
            " a tracks file that has them"
        )
    return Landmarks(detection.five, "five")
