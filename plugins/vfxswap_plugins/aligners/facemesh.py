"""MediaPipe Face Mesh: 468 points in three dimensions.

Y. Kartynnik, A. Ablavatski, I. Grishchenko, M. Grundmann, "Real-time facial surface geometry from monocular video on
mobile GPUs", CVPR workshop 2019.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.frame import Detection
from vfxswap.geometry import (
    SCHEME_SIZES,
    Affine,
    Landmarks,
    Points,
    composed,
    inverted,
    mapped,
    scale_of,
    umeyama,
)
from vfxswap.stage import Aligner, AlignerOptions, Cutter, Setting
from vfxswap_plugins._onnx import open_session
from vfxswap_plugins.aligners.iris import Lids
from vfxswap_plugins.aligners.looks import looks, piece_px, to_piece

INPUT_PX = 192
"""Side of the square that the network looks at."""

_FIVE_IN_ROI = np.array([(0.3755, 0.377), (0.6245, 0.377), (0.5, 0.525), (0.394, 0.639), (0.606, 0.639)])
"""Where a detector's five points lie in a square of 1.5 times the mesh; medians over seven clips, made symmetric."""
_ROI_OF_FIVE = 1.5
_LEAST_BOX = 0.6
"""A box whose square is smaller than this part of the one from five points does not hold the face, but its features."""


class FaceMeshOptions(AlignerOptions):
    """Settings of `FaceMesh`.

    Measured on five clips, as root mean square of the points' second differences in percent of the eyes' distance: one
    look 0.35 to 0.88, two passes 0.15 to 0.74, two passes with four looks averaged 0.11 to 0.65 (eight: 0.06 to 0.61).
    A look costs some 3 ms on a CPU.
    """

    roi_scale: float = Field(default=1.5, ge=1, le=3, description="Side of the square looked at, in sizes of the face.")
    passes: int = Field(default=2, ge=1, le=5, description="Looks in a row, each with the square of the one before.")
    average: Literal[1, 4, 8] = Field(
        default=4, description="Looks of the last pass, slightly shifted and turned, whose points are averaged."
    )
    max_spread_percent: float = Field(
        default=6.0,
        gt=0,
        le=100,
        description="Looks that differ by more, in % of the face's size, show no face. Faces: mostly below 3.",
    )
    eyes: bool = Field(
        default=False,
        description="Lids are found by the model `iris`, which looks at each eye alone; this one takes shut eyes for "
        "half open. Costs `average` looks more at each eye, of some 2 ms.",
    )
    on: Literal["device", "cpu"] = Field(
        default="device", description="Computes on the run's device, or always on the CPU."
    )


class FaceMesh(Aligner[FaceMeshOptions]):
    """Finds 468 points with depth; needs the model `facemesh`, and `iris` for `eyes`.

    The network wants a square, upright around the face. The first is made from the detector's box and points, every
    other from the points just found, so that the detector's jitter is halved with each pass. What is left is the
    network's own noise, which depends on where the pixels fall: looks that are slightly apart average it out, without
    looking at other frames.
    """

    Options = FaceMeshOptions

    def __init__(self, options: FaceMeshOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        self._session: Any = None
        self._lids: Lids | None = None

    @classmethod
    def models(cls, options: FaceMeshOptions) -> Sequence[str]:
        """See `Stage`."""
        return ("facemesh", "iris") if options.eyes else ("facemesh",)

    def open(self) -> None:
        """See `Stage`."""
        device = torch.device("cpu") if self.options.on == "cpu" else self.setting.device
        self._session = open_session(self.setting.models.path("facemesh"), device)
        if self.options.eyes:
            self._lids = Lids(open_session(self.setting.models.path("iris"), device), self.options.average)

    def close(self) -> None:
        """See `Stage`."""
        self._session = self._lids = None

    def align(self, detections: Sequence[Detection], cut: Cutter) -> list[Landmarks | None]:
        """Measures each face, also one whose detection has dense points already; see `Aligner`."""
        squares = [first_square(detection, self.options.roi_scale) for detection in detections]
        for _ in range(self.options.passes - 1):
            crops = cut(range(len(squares)), squares, INPUT_PX)
            meshes = [mapped(inverted(s), self._mesh(crop)) for s, crop in zip(squares, crops, strict=True)]
            squares = [square_around(mesh, self.options.roi_scale) for mesh in meshes]
        return [self._found(i, s, cut) for i, s in enumerate(squares)]

    def _found(self, index: int, square: Affine, cut: Cutter) -> Landmarks | None:
        """The points of one face, in the plate."""
        looked = [mapped(inverted(square), points) for points in self._looks(index, square, cut)]
        face = self._agreed(np.stack(looked))
        return face if face is None or self._lids is None else self._lids.refined(face, index, cut)

    def _looks(self, index: int, square: Affine, cut: Cutter) -> list[Points]:
        """The points, in a face's square, that slightly different squares cut from one piece give."""
        if self.options.average == 1:
            return [self._mesh(cut([index], [square], INPUT_PX)[0])]
        piece = cut([index], [composed(to_piece(INPUT_PX), square)], piece_px(INPUT_PX))[0]
        seen = looks(piece, self.options.average, INPUT_PX)
        return [mapped(inverted(from_square), self._mesh(crop)) for from_square, crop in seen]

    def _mesh(self, crop: Tensor) -> Points:
        """`(468, 3)` in pixels of one `(3, 192, 192)` crop; the network takes one at a time."""
        picture = torch.nan_to_num(crop).clamp(0, 1).permute(1, 2, 0)[None].contiguous().cpu().numpy()
        (values,) = self._session.run(None, {self._session.get_inputs()[0].name: picture})
        if values.size != SCHEME_SIZES["mesh468"] * 3:
            raise ShapeError("output of model facemesh", expected="1404 numbers", actual=str(values.shape))
        return np.asarray(values, np.float64).reshape(-1, 3)

    def _agreed(self, looks: NDArray[np.float64]) -> Landmarks | None:
        """The mean of `(count, 468, 3)` looks, unless they disagree as they do where there is no face."""
        mean = looks.mean(axis=0)
        size = float(np.ptp(mean[:, :2], axis=0).max())
        spread = math.sqrt(float(((looks - mean)[..., :2] ** 2).sum(axis=-1).mean()))
        if not np.isfinite(mean).all() or spread > self.options.max_spread_percent / 100 * size:
            return None
        return Landmarks(mean, "mesh468")


def square(centre: Points, side: float, radians: float) -> Affine:
    """The similarity from the plate to the network's square.

    Args:
        centre: `(2,)` of the square, in plate pixels.
        side: Of the square, in plate pixels.
        radians: How far the face leans clockwise; the square leans alike, so that it sees the face upright.
    """
    scale = INPUT_PX / side
    along, across = math.cos(radians) * scale, math.sin(radians) * scale
    linear = np.array([(along, across), (-across, along)])
    return np.column_stack([linear, INPUT_PX / 2 - linear @ centre])


def lean(five: Points) -> float:
    """How far a face leans clockwise, in radians: by all of its `(5, 2)` points, since eyes meet in profile."""
    to_upright = umeyama(five, _FIVE_IN_ROI)
    return -math.atan2(float(to_upright[1, 0]), float(to_upright[0, 0]))


def first_square(detection: Detection, roi_scale: float) -> Affine:
    """The square of the first pass: around dense points, else the box, else five points without a box of the face."""
    if detection.landmarks is not None and detection.landmarks.scheme == "mesh468":
        return square_around(detection.landmarks.points, roi_scale)
    box = np.array(detection.box)
    side = roi_scale * float((box[2:] - box[:2]).max())
    if detection.five is None:
        return square((box[:2] + box[2:]) / 2, side, 0.0)
    by_five = umeyama(detection.five, ((_FIVE_IN_ROI - 0.5) * _ROI_OF_FIVE / roi_scale + 0.5) * INPUT_PX)
    if side * scale_of(by_five) < _LEAST_BOX * INPUT_PX:
        return by_five
    return square((box[:2] + box[2:]) / 2, side, lean(detection.five))


def square_around(mesh: Points, roi_scale: float) -> Affine:
    """The square around `(468, 2 or 3)` points, `roi_scale` times as large as their longer side."""
    radians = lean(Landmarks(mesh, "mesh468").five())
    upright = np.array([(math.cos(radians), math.sin(radians)), (-math.sin(radians), math.cos(radians))])
    turned = mesh[:, :2] @ upright.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    return square(upright.T @ ((low + high) / 2), roi_scale * float((high - low).max()), radians)
