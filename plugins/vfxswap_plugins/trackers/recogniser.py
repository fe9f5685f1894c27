"""A face recogniser's file, for telling people apart."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from vfxswap.alignment import CropSpec
from vfxswap.geometry import Landmarks, Points
from vfxswap.ops import warp
from vfxswap.ops.rejoin import Vector
from vfxswap_plugins._onnx import Network
from vfxswap_plugins._onnx_file import OnnxFile, read_onnx

ACCEPTED: Final = "one input (N, 3, 112, 112), one output of one vector a face"
_CROP: Final = CropSpec("arcface_112_v2", 112)


class Recogniser:
    """Gives faces vectors, those of one person near to one another.

    Args:
        path: An ONNX file that takes faces aligned as ArcFace's.
        values: What black and white are to it.
        device: Where to compute.

    Raises:
        UsageError: It is no such file.
    """

    def __init__(self, path: Path, values: tuple[float, float], device: torch.device) -> None:
        self._file, self._values = checked_recogniser(path), values
        self._network = Network(path, device, at_once=1)

    def __call__(self, picture: Tensor, five: Points) -> Vector:
        """`(D,)` float32 of unit length.

        Args:
            picture: `(3, h, w)` R'G'B' 0..1.
            five: `(5, 2)` the face's points in its pixels.
        """
        matrix = _CROP.plate_to_crop(Landmarks(five, "five"))
        crop = warp.cut(picture, origin=(0, 0), plate_to_crop=matrix, size_px=_CROP.size_px).clamp(0, 1)
        low, high = self._values
        name, out = self._file.inputs[0].name, self._file.outputs[0].name
        (found,) = self._network({name: (low + (high - low) * crop)[None]}, {out: None})
        vector: Vector = found.reshape(-1).cpu().numpy()
        unit: Vector = vector / np.float32(max(float(np.linalg.norm(vector)), 1e-9))
        return unit


def checked_recogniser(path: Path) -> OnnxFile:
    """The file, if its signature is a recogniser's.

    Raises:
        UsageError: It is not; says what it has, and what is accepted.
    """
    file = read_onnx(path)
    if len(file.inputs) != 1 or len(file.outputs) != 1:
        raise file.unlike(ACCEPTED)
    if not file.inputs[0].fits(None, 3, _CROP.size_px, _CROP.size_px):
        raise file.unlike(ACCEPTED)
    return file
