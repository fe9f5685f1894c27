"""YuNet, a small and fast face detector with five points.

W. Wu, H. Peng, S. Yu, "YuNet: a tiny millisecond-level face detector", Machine Intelligence Research 20, 2023.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.frame import Detection
from vfxswap.stage import Detector, Setting, StageOptions
from vfxswap_plugins._onnx import open_session

STRIDES = (8, 16, 32)
"""Pixels between the cells of the network's three grids; the picture's sides are multiples of the last."""

Candidates = NDArray[np.float64]
"""`(K, 15)`: score; x0, y0, x1, y1; five points x, y."""


class YuNetOptions(StageOptions):
    """Settings of `YuNet`."""

    size: int = Field(default=640, ge=64, le=4096, description="Longest side of the picture it looks at, in pixels.")
    score: float = Field(default=0.7, gt=0, lt=1, description="Least confidence of a face, 0..1.")
    nms_iou: float = Field(default=0.3, gt=0, lt=1, description="Two faces that overlap more than this (0..1) are one.")
    max_faces: int = Field(default=32, ge=1, le=1000, description="Most faces of a frame; the surest are kept.")
    min_size_percent: float = Field(
        default=0.0, ge=0, le=100, description="Least height of a face, in % of the frame's."
    )
    rotations: tuple[Literal[0, 90, 180, 270], ...] = Field(
        default=(0,),
        min_length=1,
        description="Turns, in degrees, in which it looks too: heads may lie or hang.",
    )
    on: Literal["device", "cpu"] = Field(
        default="device", description="Computes on the run's device, or always on the CPU."
    )


class YuNet(Detector[YuNetOptions]):
    """Finds faces of some ten pixels and more, up to heads in profile.

    Needs the model `yunet`. Its points are good for finding a face, too coarse to place one: align on a mesh.
    """

    Options = YuNetOptions

    def __init__(self, options: YuNetOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        self._session: Any = None

    @classmethod
    def models(cls, options: YuNetOptions) -> Sequence[str]:  # noqa: ARG003 - the same for all options
        """See `Stage`."""
        return ("yunet",)

    def image_size(self) -> tuple[int, int]:
        """The plate's size with its longest side made `size`; the same for all frames, since points move with it."""
        scale = self.options.size / max(self.setting.width, self.setting.height)
        return max(1, round(self.setting.width * scale)), max(1, round(self.setting.height * scale))

    def open(self) -> None:
        """See `Stage`."""
        device = torch.device("cpu") if self.options.on == "cpu" else self.setting.device
        self._session = open_session(self.setting.models.path("yunet"), device)

    def close(self) -> None:
        """See `Stage`."""
        self._session = None

    def detect(self, images: Tensor | None, frames: Sequence[int]) -> list[list[Detection]]:
        """Finds the faces of each picture for itself, the surest first; see `Detector`."""
        if images is None or images.ndim != 4 or len(images) != len(frames):
            shape = None if images is None else tuple(images.shape)
            raise ShapeError("pictures for yunet", expected=f"({len(frames)}, 3, H, W)", actual=str(shape))
        return [self._found(image) for image in images]

    def _found(self, image: Tensor) -> list[Detection]:
        height, width = image.shape[1:]
        looks = []
        for degrees in sorted(set(self.options.rotations)):
            turned = image if degrees == 0 else torch.rot90(image, k=-(degrees // 90), dims=(1, 2))
            looks.append(turned_back(self._look(turned), degrees, width, height))
        faces = suppressed(np.concatenate(looks), self.options.nms_iou)
        tall = faces[:, 4] - faces[:, 2] >= self.options.min_size_percent / 100 * height
        return [_detection(face) for face in faces[tall][: self.options.max_faces]]

    def _look(self, image: Tensor) -> Candidates:
        """The candidates of one upright `(3, H, W)` picture."""
        height, width = image.shape[1:]
        side = STRIDES[-1]
        bgr = image.new_zeros((1, 3, height + -height % side, width + -width % side))
        for channel, plane in zip(bgr[0, :, :height, :width], image.flip(0), strict=True):
            torch.mul(plane, 255.0, out=channel)
        bgr.nan_to_num_().clamp_(0, 255)
        names = [output.name for output in self._session.get_outputs()]
        outputs = self._session.run(names, {self._session.get_inputs()[0].name: bgr.cpu().numpy()})
        return decoded(dict(zip(names, outputs, strict=True)), bgr.shape[3], self.options.score)


def decoded(outputs: Mapping[str, NDArray[np.float32]], width: int, score: float) -> Candidates:
    """Turns the network's grids into faces.

    A cell at column i, row j of stride s says: its confidence, the geometric mean of class and objectness; the centre
    of a box, `(i + dx, j + dy) * s`, and its sides, `exp(dw) * s, exp(dh) * s`; points `(i + px, j + py) * s`. The
    network's pixels are those of the picture scaled about its corner, so no half pixel is added: the mirror images of
    faces agree with that within what the points are worth (-0.5 +- 0.4 pixels of the network's picture).

    Args:
        outputs: For each stride S `cls_S` and `obj_S` `(1, HW, 1)` 0..1, `bbox_S` `(1, HW, 4)`, `kps_S` `(1, HW, 10)`.
        width: Columns of the network's picture.
        score: Least confidence.

    Returns:
        `(K, 15)`, in pixels of the network's picture, in the order of the grids.
    """
    found = []
    for stride in STRIDES:
        grids = {name: np.asarray(outputs[f"{name}_{stride}"][0], np.float64) for name in ("cls", "obj", "bbox", "kps")}
        confidence = np.sqrt(grids["cls"][:, 0].clip(0, 1) * grids["obj"][:, 0].clip(0, 1))
        sure = np.flatnonzero(confidence >= score)
        cell = np.stack([sure % (width // stride), sure // (width // stride)], axis=1)
        box, points = grids["bbox"][sure], grids["kps"][sure].reshape(-1, 5, 2)
        centre, half = box[:, :2] + cell, np.exp(box[:, 2:]) / 2
        geometry = np.concatenate([centre - half, centre + half, (points + cell[:, None]).reshape(-1, 10)], axis=1)
        found.append(np.column_stack([confidence[sure], geometry * stride]))
    return np.concatenate(found)


def turned_back(faces: Candidates, degrees: int, width: int, height: int) -> Candidates:
    """Faces of a picture that was turned clockwise, in the picture as it was.

    The points keep their names: the first is the eye that is left in the picture when the face is upright.

    Args:
        faces: `(K, 15)` in pixels of the turned picture.
        degrees: By which it was turned: 0, 90, 180 or 270.
        width: Columns of the picture as it was.
        height: Rows of it.
    """
    x, y = faces[:, 1::2], faces[:, 2::2]
    x, y = {0: (x, y), 90: (y, height - x), 180: (width - x, height - y), 270: (width - y, x)}[degrees]
    xs, ys = np.sort(x[:, :2], axis=1), np.sort(y[:, :2], axis=1)
    result = faces.copy()
    result[:, 1:5:2], result[:, 2:5:2] = xs, ys
    result[:, 5::2], result[:, 6::2] = x[:, 2:], y[:, 2:]
    return result


def suppressed(faces: Candidates, iou: float) -> Candidates:
    """Of faces that overlap by more than `iou`, the surest; sorted by confidence, equals by place (top, then left)."""
    faces = faces[np.lexsort((faces[:, 1], faces[:, 2], -faces[:, 0]))]
    boxes = np.column_stack([faces[:, 1:3], faces[:, 3:5] - faces[:, 1:3]])
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), faces[:, 0].tolist(), 0.0, iou)
    return faces[np.sort(np.asarray(kept, dtype=np.intp).reshape(-1))]


def _detection(face: NDArray[np.float64]) -> Detection:
    score, x0, y0, x1, y1 = (float(value) for value in face[:5])
    return Detection((x0, y0, x1, y1), score, face[5:].reshape(5, 2).copy())
