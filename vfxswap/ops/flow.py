"""Dense optical flow between crops, warping by it, and how far it can be trusted.

Convention: `flow[:, y, x]` is `(dx, dy)` in pixels, so that `first[y, x]` is seen at `(x + dx, y + dy)` of `second`.
"""

from __future__ import annotations

from typing import Final, Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody uses
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.errors import ShapeError

Codes = NDArray[np.uint8]
FlowQuality = Literal["ultrafast", "fast", "medium"]
"""Presets of DIS flow: at 256 x 256 some 0.6, 1.2 and 6.4 ms."""

_PRESETS: Final[dict[FlowQuality, int]] = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
_LEAST_SIDE: Final = 32
_CONTRAST_FLOOR: Final = 0.02  # local deviation of luma that counts as noise and is not blown up
_CODES_PER_DEVIATION: Final = 42.0  # three deviations fill 8 bits


def dense_flow(first: Tensor, second: Tensor, *, quality: FlowQuality = "fast") -> Tensor:
    """Where each pixel of one picture is in another.

    Args:
        first: `(3, h, w)` float R'G'B', nominally 0..1.
        second: `(3, h, w)`.
        quality: Preset of the search.

    Returns:
        `(2, h, w)` float32 on the device of `first`.

    Raises:
        ShapeError: The pictures are not of one size, or smaller than 32 x 32.
    """
    if first.shape != second.shape or first.ndim != 3 or first.shape[0] != 3 or min(first.shape[1:]) < _LEAST_SIDE:
        raise ShapeError(
            "pictures of optical flow",
            expected=f"two equal (3, h>={_LEAST_SIDE}, w>={_LEAST_SIDE})",
            actual=f"{tuple(first.shape)}, {tuple(second.shape)}",
        )
    return luma_flow(even_luma(first), even_luma(second), quality=quality).to(first.device)


def luma_flow(first: Codes, second: Codes, *, quality: FlowQuality = "fast") -> Tensor:
    """The same for pictures that `even_luma` has prepared, for those who compare one with many.

    T. Kroeger, R. Timofte, D. Dai, L. Van Gool, "Fast optical flow using dense inverse search", ECCV 2016, as OpenCV
    has it. Spatial propagation stays on: with it OpenCV divides the work into a fixed number of stripes, so that the
    bits do not depend on the number of threads.

    Args:
        first: `(h, w)` uint8.
        second: `(h, w)` uint8.
        quality: Preset of the search.

    Returns:
        `(2, h, w)` float32 on the CPU.
    """
    # a search keeps buffers, so that each call has its own: threads may call at once
    search = cv2.DISOpticalFlow.create(_PRESETS[quality])
    search.setUseSpatialPropagation(True)
    found = np.asarray(search.calc(first, second, np.zeros((*first.shape, 2), np.float32)), np.float32)
    return torch.from_numpy(np.ascontiguousarray(found.transpose(2, 0, 1)))


def even_luma(picture: Tensor) -> Codes:
    """BT.709 luma with its local mean and contrast evened out, so that a change of the light is not taken for motion.

    Args:
        picture: `(3, h, w)` float R'G'B', nominally 0..1.

    Returns:
        `(h, w)` uint8; 128 is the local mean, 42 codes are a local standard deviation.
    """
    r, g, b = picture.detach().float().cpu().numpy()
    luma = np.ascontiguousarray(0.2126 * r + 0.7152 * g + 0.0722 * b)
    centred = luma - _blurred(luma)
    deviation = np.sqrt(_blurred(centred * centred)) + _CONTRAST_FLOOR
    even: Codes = np.clip(128 + _CODES_PER_DEVIATION * centred / deviation, 0, 255).astype(np.uint8)
    return even


def warp_by_flow(image: Tensor, flow: Tensor, *, mode: Literal["bilinear", "bicubic"] = "bilinear") -> Tensor:
    """Brings the second picture to the first: `result[y, x] = image[y + dy, x + dx]`.

    Args:
        image: `(C, h, w)` or `(N, C, h, w)` float.
        flow: `(2, h, w)` pixels, or `(N, 2, h, w)` for N pictures.
        mode: Interpolation; past the edge the last pixels repeat.

    Returns:
        The shape of `image`.

    Raises:
        ShapeError: Picture and flow are not of one size.
    """
    if image.shape[-2:] != flow.shape[-2:] or image.ndim != flow.ndim:
        raise ShapeError(
            "flow of a warp", expected=f"one vector a pixel of {tuple(image.shape)}", actual=str(tuple(flow.shape))
        )
    if image.ndim == 3:
        return warp_by_flow(image.unsqueeze(0), flow.unsqueeze(0), mode=mode)[0]
    height, width = image.shape[-2:]
    x = torch.arange(width, dtype=flow.dtype, device=flow.device) + 0.5
    y = (torch.arange(height, dtype=flow.dtype, device=flow.device) + 0.5).unsqueeze(1)
    # a plane for each coordinate: on a CPU made and sampled by in less time than pairs
    grid = torch.stack([(x + flow[:, 0]) * (2 / width) - 1, (y + flow[:, 1]) * (2 / height) - 1], dim=1)
    grid = grid.to(image.dtype).permute(0, 2, 3, 1)
    return F.grid_sample(image, grid, mode=mode, padding_mode="border", align_corners=False)


def flow_confidence(forward: Tensor, backward: Tensor) -> Tensor:
    """How far there-and-back returns to where it began: low where something is hidden in the other picture.

    N. Sundaram, T. Brox, K. Keutzer, "Dense point trajectories by GPU-accelerated large displacement optical flow",
    ECCV 2010, equation 5, `|f + b|^2 < 0.01 (|f|^2 + |b|^2) + 0.5`, taken as the scale of a soft fall-off.

    Args:
        forward: `(2, h, w)` pixels, from the first picture to the second.
        backward: `(2, h, w)`, from the second to the first.

    Returns:
        `(1, h, w)` 0..1 in the first picture's pixels; 0.5 at the published threshold.
    """
    returned = warp_by_flow(backward, forward)
    miss = ((forward + returned) ** 2).sum(dim=0, keepdim=True)
    scale = 0.01 * ((forward**2).sum(dim=0, keepdim=True) + (returned**2).sum(dim=0, keepdim=True)) + 0.5
    confidence: Tensor = 1 / (1 + (miss / scale) ** 2)
    return confidence


def _blurred(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Two box filters, of an eighth of the picture: about a normal kernel, at a tenth of its cost."""
    side = max(plane.shape) // 8 | 1
    return np.asarray(cv2.blur(cv2.blur(plane, (side, side)), (side, side)), np.float32)
