"""Expressions: landmarks that the same stages find in a result and in its truth.

What a finder gets wrong of a face it gets wrong of both, so that this is 0 for a perfect swap, which a finder held
against true landmarks is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import torch
from torch import Tensor

from vfxswap.color import SPACES, PixelLayout
from vfxswap.crops import PlateCutter, View, small_picture
from vfxswap.errors import PipelineError, UsageError
from vfxswap.frame import Detection, Frame, Picture
from vfxswap.geometry import Landmarks
from vfxswap.host import Host
from vfxswap.models import ModelStore
from vfxswap.pipeline.chain import read_stages
from vfxswap.pipeline.reading import Notes, Origin
from vfxswap.score.faces import distance_percent
from vfxswap.stage import Aligner, Detector, Setting

_CPU = torch.device("cpu")
_VIEW: Final = View(SPACES["srgb"].resolved(None), 0, _CPU)
_LAYOUT: Final = PixelLayout("gbrpf32le", "rgb", 32, is_float=True)


class Eyes:
    """A detector and an aligner that look at pictures in the face space; a context manager.

    Args:
        names: Of the two stages, as `vfxswap plugins` lists them; they look as they do where nothing is set.
        host: The plugins.
        size: `(width, height)` of the pictures.
        frames: Numbers of the first and the last.

    Raises:
        PipelineError: There is no such stage.
        UsageError: They are not a detector that looks at pixels and an aligner.
        ModelMissing: A model is not in the store.
    """

    def __init__(self, names: Sequence[str], host: Host, *, size: tuple[int, int], frames: tuple[int, int]) -> None:
        notes = Notes(Origin(Path("--faces-by")))
        slots = read_stages({"stages": [{"use": name} for name in names]}, host, notes)
        if notes.problems:
            raise PipelineError(notes.problems)
        store = ModelStore.from_environment(host.model_cards())
        setting = Setting(_CPU, store, size[0], size[1], frames[0], frames[1])
        stages = [slot.cls(slot.options, setting) for slot in slots if slot.cls is not None]
        detector, aligner = stages if len(stages) == 2 else (None, None)
        if not isinstance(detector, Detector) or not isinstance(aligner, Aligner) or detector.image_size() is None:
            raise UsageError(
                f"faces cannot be found by {', '.join(names)}: name a detector that looks at the picture and an aligner"
            )
        self._detector: Detector[Any] = detector
        self._aligner: Aligner[Any] = aligner
        self._open = ExitStack()

    def __enter__(self) -> Eyes:
        with ExitStack() as opened:
            for stage in (self._detector, self._aligner):
                stage.open()
                opened.callback(stage.close)
            self._open = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def difference_percent(self, result: Tensor, truth: Tensor, matte: Tensor, number: int) -> float | str:
        """How far the result's landmarks lie from the truth's, in percent of the distance of its eyes' centres.

        Both are looked at from where the truth's face is, so that a detector's unrest is no expression.

        Args:
            result: `(3, H, W)` R'G'B' 0..1.
            truth: `(3, H, W)`.
            matte: `(H, W)` which face it is, where there are several.
            number: Of the frame.

        Returns:
            The mean over all points; or why there is none.
        """
        pictures = [_picture(each) for each in (truth, result)]
        where = self._found(pictures[0], matte, number)
        if where is None:
            return "no face is found in the truth"
        true, ours = (self._landmarks(where, picture, number) for picture in pictures)
        if true is None or ours is None:
            return f"no face can be aligned in the {'truth' if true is None else 'result'}"
        return distance_percent(ours.points[:, :2], true.points[:, :2], eyes=true.five())

    def _found(self, picture: Picture, matte: Tensor, number: int) -> Detection | None:
        """The face that most of the matte is of."""
        size = self._detector.image_size()
        if size is None:
            raise AssertionError("a detector looks at pixels, or it does not")
        (found,) = self._detector.detect(small_picture(picture, _VIEW, size)[None], [number])
        faces = [face.scaled(picture.width / size[0], picture.height / size[1]) for face in found]
        shares = [_inside(face, matte) for face in faces]
        best = max(range(len(faces)), key=shares.__getitem__, default=None)
        return faces[best] if best is not None and shares[best] > 0 else None

    def _landmarks(self, where: Detection, picture: Picture, number: int) -> Landmarks | None:
        (found,) = self._aligner.align([where], PlateCutter([Frame(number, picture)], _VIEW))
        return found


def _picture(values: Tensor) -> Picture:
    return Picture([plane.numpy() for plane in values.contiguous()], _LAYOUT, _VIEW.tags)


def _inside(face: Detection, matte: Tensor) -> float:
    """Part of a face's box that the matte covers, times part of the matte that is in the box."""
    x0, y0, x1, y1 = (max(0, round(value)) for value in face.box)
    held = matte[y0:y1, x0:x1]
    return float(held.sum()) ** 2 / max(held.numel() * float(matte.sum()), 1e-9)
