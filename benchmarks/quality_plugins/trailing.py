"""What live tools do against flicker, as baselines: means of frames that have passed, which come late and smear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from vfxswap.frame import FaceWindow, Frame
from vfxswap.geometry import Landmarks
from vfxswap.hookspecs import StageOffer, hookimpl
from vfxswap.options import StageOptions
from vfxswap.stage import Deflicker, Span, Stage, Window


@hookimpl
def vfxswap_api() -> tuple[int, int]:
    """The contract that this is written for."""
    return (1, 0)


@hookimpl
def vfxswap_stages() -> list[StageOffer]:
    """Pictures and landmarks, each by both means."""
    licence = "Apache-2.0"
    return [
        StageOffer("trailing-mean", "deflicker", ":TrailingMean", "mean of the last faces", licence),
        StageOffer("ema", "deflicker", ":Ema", "exponential moving average of faces", licence),
        StageOffer("trailing-landmarks", "stage", ":TrailingLandmarks", "mean of the last landmarks", licence),
        StageOffer("ema-landmarks", "stage", ":EmaLandmarks", "exponential moving average of landmarks", licence),
    ]


class MeanOptions(StageOptions):
    """Settings of a trailing mean."""

    frames: int = Field(5, ge=1, le=32, description="How many of the last frames are averaged, with the present one.")

    def weights(self, ages: Tensor) -> Tensor:
        """Equal for all that are young enough."""
        return (ages < self.frames).float()

    @property
    def reach(self) -> int:
        """Frames behind that count."""
        return self.frames - 1


class EmaOptions(StageOptions):
    """Settings of an exponential moving average."""

    share: float = Field(0.35, gt=0.05, le=1, description="Of the present frame in the result.")

    def weights(self, ages: Tensor) -> Tensor:
        """Falling by the same part each frame."""
        return (1 - self.share) ** ages

    @property
    def reach(self) -> int:
        """Frames behind until what is left counts for less than a hundredth."""
        return 0 if self.share == 1 else int(np.ceil(np.log(0.01) / np.log(1 - self.share)))


class _Trailing(Deflicker[MeanOptions | EmaOptions]):
    @property
    def window(self) -> Span:
        """Frames that have passed alone."""
        return Span(self.options.reach, 0)

    def steady(self, window: FaceWindow) -> Tensor:
        """The weighted mean of the crops as they are."""
        ages = window.frames[window.center] - torch.tensor(window.frames[: window.center + 1])
        weights = self.options.weights(ages)
        shown = window.swapped[: window.center + 1]
        mean: Tensor = (shown * (weights / weights.sum()).reshape(-1, 1, 1, 1).to(shown)).sum(dim=0)
        return mean


class TrailingMean(_Trailing):
    """The mean of the last faces."""

    Options = MeanOptions


class Ema(_Trailing):
    """Each face mixed with the mean of those before it."""

    Options = EmaOptions


class _TrailingLandmarks(Stage[MeanOptions | EmaOptions]):
    needs = frozenset({"landmarks", "crops"})
    gives = frozenset({"landmarks", "crops"})

    @property
    def window(self) -> Span:
        """Frames that have passed alone."""
        return Span(self.options.reach, 0)

    def process(self, window: Window) -> Frame:
        """Averages the landmarks of shots with one face."""
        seen = [frame for frame in window.frames[: window.center + 1] if frame.faces]
        frame = window.frame
        if not frame.faces or frame.faces[0].landmarks is None:
            return frame
        marks = [face.landmarks for other in seen for face in other.faces[:1] if face.landmarks is not None]
        ages = frame.number - torch.tensor([other.number for other in seen])
        weights = self.options.weights(ages).double().numpy()
        points = np.tensordot(weights / weights.sum(), np.stack([each.points for each in marks]), axes=1)
        first = replace(frame.faces[0], landmarks=Landmarks(points, frame.faces[0].landmarks.scheme))
        return frame.with_faces([first, *frame.faces[1:]])


class TrailingLandmarks(_TrailingLandmarks):
    """The mean of the last landmarks, as DeepFaceLive's aligner takes it."""

    Options = MeanOptions


class EmaLandmarks(_TrailingLandmarks):
    """Landmarks mixed with the mean of those before."""

    Options = EmaOptions
