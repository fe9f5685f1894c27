"""What every driver is, and what it is given."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.alignment import CropSpec
from vfxswap.casting import Role
from vfxswap.crops import View
from vfxswap.errors import ShapeError
from vfxswap.frame import Batch, Frame
from vfxswap.geometry import Points
from vfxswap.stage import Span, Stage


@dataclass(frozen=True, slots=True)
class Shot:
    """What every driver of a run needs to know."""

    view: View
    first: int
    """First frame of the plate."""
    last: int
    """Last frame of the plate."""
    roles: tuple[Role, ...] = ()
    fail_on_missing: bool = False
    """Whether a frame in which an identity finds no face is an error."""
    crops: Mapping[str, CropSpec] = field(default_factory=dict)
    """The crop that each identity's swapper asks for, where it differs from the aligner's."""
    is_tracked: bool = False
    """Whether a tracker has followed the faces, so that tracks are cast and not faces."""
    recognise: Callable[[Tensor, Points], NDArray[np.float32] | None] | None = None
    """The tracker's `likeness`."""


@dataclass(frozen=True, slots=True)
class Around:
    """A batch and the frames before and after it that a window may reach, within the plate."""

    before: tuple[Frame, ...]
    batch: Batch
    after: tuple[Frame, ...]
    wanted: Container[int]
    """Frames that will be written; the others only serve windows."""

    @property
    def frames(self) -> tuple[Frame, ...]:
        """All of them, oldest first."""
        return (*self.before, *self.batch.frames, *self.after)


class Step(ABC):
    """One step of the line: something that changes a batch of frames, seeing their neighbours."""

    span: Span = Span()
    """Neighbouring frames that it must be given."""

    def survey_frames(self) -> Sequence[int]:
        """Frames of the plate to look at before the run."""
        return ()

    def glances(self) -> Sequence[Step]:
        """What the surveyed frames go through last, besides the steps before this one."""
        return ()

    def survey(self, frames: Iterator[Frame]) -> None:  # noqa: B027 - most steps survey nothing
        """Looks at them, as they come; a plate that breaks off ends them."""

    def remembered(self, batch: Batch) -> Batch:
        """What it needs of frames that lie behind, as many of them are held for a long window."""
        return batch

    @abstractmethod
    def frames(self, around: Around) -> tuple[Frame, ...]:
        """The changed frames of `around.batch`."""

    def work(self, around: Around) -> Batch:
        """Works on the batch."""
        return Batch(self.frames(around))


class Driver(Step):
    """A step that puts one stage to work."""

    def __init__(self, stage: Stage[Any], shot: Shot) -> None:
        self.stage, self.shot = stage, shot
        self.span = stage.window
        self._turns = threading.Lock() if stage.threads == "one" else nullcontext()

    def survey_frames(self) -> Sequence[int]:
        """See `Step`."""
        return self.stage.survey_frames(self.shot.first, self.shot.last)

    def survey(self, frames: Iterator[Frame]) -> None:
        """See `Step`."""
        self.stage.survey(list(frames))

    def work(self, around: Around) -> Batch:
        """Works on the batch, alone if the stage wants that."""
        with self._turns:
            return super().work(around)


def given(value: Any) -> Any:
    """A value that the order of stages, checked before the run, has made sure of."""
    if value is None:
        raise ShapeError("a face", expected="filled in by an earlier stage", actual="None")
    return value


def checked(tensor: Tensor, what: str, shape: tuple[int, ...]) -> Tensor:
    """A stage's tensor, if it has the promised shape, float32 and no NaN.

    Raises:
        ShapeError: It has not.
    """
    if tuple(tensor.shape) != shape or tensor.dtype is not torch.float32:
        actual = f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
        raise ShapeError(what, expected=f"{shape} float32", actual=actual)
    # one pass without memory of its own: a sum is finite only if all of its terms are
    if not math.isfinite(tensor.sum().item()) and not bool(torch.isfinite(tensor).all()):
        raise ShapeError(what, expected="finite", actual="NaN or infinity in it")
    return tensor
