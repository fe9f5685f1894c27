"""Faces from a tracks file: match-moved, tracked elsewhere, or drawn by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from torch import Tensor

from vfxswap.errors import UsageError
from vfxswap.frame import Detection
from vfxswap.stage import Detector, InputPath, Setting, StageOptions
from vfxswap.trackfile import TrackFile, read_tracks


def _readable(path: Path) -> Path:
    """Reads the file once, so that what is wrong in it is said before a run."""
    try:
        read_tracks(path)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return path


class TracksOptions(StageOptions):
    """Settings of `Tracks`."""

    path: Annotated[InputPath, AfterValidator(_readable)] = Field(
        description="The tracks file, .json or .csv, made for a plate of this size."
    )
    offset: int = Field(default=0, description="Frames added to the file's numbers to get the plate's.")
    min_score: float = Field(default=0.0, ge=0, le=1, description="Faces of less confidence (0..1) are left out.")


class Tracks(Detector[TracksOptions]):
    """Gives the faces that a tracks file has for each frame; looks at no pixels.

    A tracks file counts from the corner of the display window, as trackers do: a plate with overscan is no other plate.

    Five and dense points go along: `points5` takes them as they are, `facemesh` measures anew around them.
    """

    Options = TracksOptions

    def __init__(self, options: TracksOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        self._tracks: TrackFile | None = None

    def open(self) -> None:
        """Reads the file.

        Raises:
            UsageError: It cannot be read, or was made for a plate of another size.
        """
        tracks = read_tracks(self.options.path)
        window = self.setting.frame_of_reference
        tracks.check_size(window.width, window.height)
        self._tracks = tracks

    def close(self) -> None:
        """See `Stage`."""
        self._tracks = None

    def detect(self, images: Tensor | None, frames: Sequence[int]) -> list[list[Detection]]:  # noqa: ARG002
        """The file's faces of each frame, in its order; see `Detector`."""
        if self._tracks is None:
            raise UsageError("the stage is used before it was opened")
        window, tracks = self.setting.frame_of_reference, self._tracks
        seen = (tracks.faces(frame - self.options.offset) for frame in frames)
        return [
            [face.moved(window.x0, window.y0) for face in faces if face.score >= self.options.min_score]
            for faces in seen
        ]
