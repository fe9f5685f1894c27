"""Between the crops of a pipeline and what networks were trained on: range, channels, other crops, masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor
from torch.nn import functional

from vfxswap.alignment import CropSpec
from vfxswap.errors import ShapeError
from vfxswap.frame import FaceBatch
from vfxswap.geometry import Affine, Box, composed, inverted
from vfxswap.ops import warp
from vfxswap.ops.matte import border_distance, soft_edge

On = Literal["device", "cpu"]
"""Where a network computes: on the run's device, or always on the CPU."""


def chosen_device(on: On, device: torch.device) -> torch.device:
    """The device that an option `on` means."""
    return torch.device("cpu") if on == "cpu" else device


def in_unit(crops: Tensor) -> Tensor:
    """Crops as networks take them: 0..1, nothing infinite."""
    return crops.nan_to_num(nan=0.0, posinf=1.0, neginf=0.0).clamp(0, 1)


def to_bgr_last(crops: Tensor) -> Tensor:
    """`(N, 3, S, S)` R'G'B' to `(N, S, S, 3)` B'G'R'."""
    return crops.flip(1).permute(0, 2, 3, 1).contiguous()


def from_bgr_last(crops: Tensor) -> Tensor:
    """`(N, S, S, 3)` B'G'R' to `(N, 3, S, S)` R'G'B'."""
    return crops.permute(0, 3, 1, 2).flip(1).contiguous()


def demand_size(faces: FaceBatch, size_px: int, stage: str) -> None:
    """Refuses crops of another size than a stage asked for.

    Raises:
        ShapeError: They are.
    """
    if tuple(faces.crops.shape[1:]) != (3, size_px, size_px):
        shape = str(tuple(faces.crops.shape))
        raise ShapeError(f"crops for {stage}", expected=f"(N, 3, {size_px}, {size_px})", actual=shape)


def seen_in(faces: FaceBatch, spec: CropSpec) -> tuple[Tensor, tuple[Affine, ...]]:
    """Faces in the crop that a network was trained on, and where it lies in the crops of the batch.

    It is cut from the plate, so it may reach beyond the batch's crop, and is as sharp as the plate. A batch without a
    plate to cut from gives what its crops hold; past their edge the last pixels repeat.

    Returns:
        `(N, 3, size, size)` float32, not clipped, and N maps from the batch's crops to these.

    Raises:
        ShapeError: The landmarks are too few for the crop's template.
    """
    placed = [
        spec.plate_to_crop(marks.mapped(inverted(matrix)))
        for marks, matrix in zip(faces.landmarks, faces.plate_to_crop, strict=True)
    ]
    between = tuple(composed(new, inverted(old)) for new, old in zip(placed, faces.plate_to_crop, strict=True))
    if faces.crops.shape[-1] == spec.size_px and all(np.allclose(m, np.eye(2, 3), atol=1e-6) for m in between):
        return faces.crops, between
    if faces.cut is not None:
        return faces.cut(range(len(faces)), placed, spec.size_px), between
    pieces = [
        warp.cut(crop, origin=(0, 0), plate_to_crop=matrix, size_px=spec.size_px)
        for crop, matrix in zip(faces.crops, between, strict=True)
    ]
    return torch.stack(pieces), between


def mattes_back(mattes: Tensor, between: tuple[Affine, ...], size_px: int) -> Tensor:
    """Mattes of a network's crops on the pixels of the batch's crops; 0 where the network's crop does not reach.

    Args:
        mattes: `(N, 1, s, s)` float32 0..1.
        between: N maps from the batch's crops to the network's.
        size_px: Side of the batch's crops.

    Returns:
        `(N, 1, size, size)`.
    """
    whole = Box(0, 0, size_px, size_px)
    return torch.stack(
        [warp.uncut(matte, matrix, whole, padding="zeros") for matte, matrix in zip(mattes, between, strict=True)]
    )


def one_by_one(work: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
    """`work` on `(1, C, H, W)` at a time: sums and powers over a batch may round otherwise than over one."""
    return torch.cat([work(item) for item in batch[:, None]])


def sharpened(crops: Tensor, amount: float) -> Tensor:
    """`(N, 3, S, S)` 0..1 through an unsharp mask, a Gaussian of 1 pixel; 0..1 again."""
    if not amount:
        return crops
    soft = one_by_one(lambda crop: gaussian_blur2d(crop, (7, 7), (1.0, 1.0), border_type="replicate"), crops)
    return (crops + amount * (crops - soft)).clamp(0, 1)


def eroded(mattes: Tensor, radius_px: float) -> Tensor:
    """`(N, 1, S, S)` with their edges moved inwards by whole pixels; beyond the crop nothing is in a matte."""
    radius = round(radius_px)
    if radius < 1:
        return mattes
    holes = functional.pad(1 - mattes, (radius,) * 4, value=1.0)
    return 1 - functional.max_pool2d(holes, 2 * radius + 1, stride=1)


def blurred(mattes: Tensor, sigma_px: float) -> Tensor:
    """`(N, 1, S, S)` through a Gaussian that reaches three sigmas; beyond the crop is 0."""
    if sigma_px <= 0:
        return mattes
    radius = max(1, round(3 * sigma_px))
    size = (2 * radius + 1, 2 * radius + 1)
    sigma = (sigma_px, sigma_px)
    return one_by_one(lambda matte: gaussian_blur2d(matte, size, sigma, border_type="constant"), mattes)


def border_fade(size_px: int, *, inset_px: float, feather_px: float, device: torch.device) -> Tensor:
    """`(S, S)`: 0 up to `inset_px` from the crop's border, then rising to 1 over `feather_px`; 1 if both are 0."""
    if inset_px == feather_px == 0:
        return torch.ones((size_px, size_px), device=device)
    return soft_edge(border_distance(size_px, device=device) - inset_px, feather_px)
