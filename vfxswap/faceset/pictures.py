"""The picture files of a faceset: PNG of 8 or 16 bits."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.errors import MediaError
from vfxswap.files import whole


def decoded(path: Path) -> NDArray[Any]:
    """`(H, W)` or `(H, W, 3)` uint8 or uint16 in OpenCV's order."""
    try:
        packed = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    except OSError as error:
        raise MediaError(f"cannot read {path}: {error.strerror or error}", path=path) from error
    values = cv2.imdecode(packed, cv2.IMREAD_UNCHANGED) if packed.size else None
    if values is None or values.dtype not in {np.dtype(np.uint8), np.dtype(np.uint16)}:
        raise MediaError(f"{path} is no picture of 8 or 16 bits that can be read ({packed.size} bytes)", path=path)
    return cast("NDArray[Any]", values)


def as_tensor(values: NDArray[Any]) -> Tensor:
    """`(C, H, W)` float32 0..1 of `(H, W, C)` integers."""
    top = float(np.iinfo(values.dtype).max)
    planes = np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32)
    return torch.from_numpy(planes / np.float32(top))


def coded(values: Tensor, bits: int) -> NDArray[Any]:
    """`(H, W, C)` words of a picture `(C, H, W)` 0..1, in OpenCV's order; what is beyond is clipped."""
    top = 2**bits - 1
    words = (values.detach().cpu().clamp(0, 1) * top).round().permute(1, 2, 0).numpy()
    return np.ascontiguousarray(words[..., ::-1].astype(np.uint8 if bits == 8 else np.uint16))


def as_stored(words: NDArray[Any]) -> Tensor:
    """The picture as it will be read again, so that what is measured of it is what anybody can measure."""
    return as_tensor(words[:, :, ::-1])


def write_png(path: Path, image: Tensor, *, bits: int) -> str:
    """Writes a picture `(C, H, W)` 0..1; returns its file's sha256."""
    return write_words(path, coded(image, bits))


def write_words(path: Path, words: NDArray[Any]) -> str:
    """Writes a picture's words; returns its file's sha256."""
    done, packed = cv2.imencode(".png", words)
    if not done:
        raise MediaError(f"{path}: this picture of {words.shape} cannot be stored as PNG", path=path)
    raw = packed.tobytes()
    with whole(path) as temporary:
        temporary.write_bytes(raw)
    return hashlib.sha256(raw).hexdigest()


def file_sha256(path: Path) -> str | None:
    """In hex; None if there is no such file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
