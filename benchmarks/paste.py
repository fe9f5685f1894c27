"""One face back into a 1080p picture: its box alone, the whole frame, and OpenCV's way."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.material import Material
from benchmarks.measure import Table, in_turn
from vfxswap.crops import View, cut_crop, paste
from vfxswap.frame import Picture
from vfxswap.geometry import Affine, Box
from vfxswap.media import Reader
from vfxswap.ops import blend, warp, ycbcr
from vfxswap.workers import worker_pool

FACE_PX = 420
MOST_OF_FRAME = 0.08
"""Of the time that the same takes over the whole frame."""
MOST_MS = 4.8
"""What the fastest of the well-known tools takes on a quiet core like the one the goal was set on."""

Way = Callable[[], None]


def pasted(found: Material, rounds: int) -> Table:
    """Times the three ways, on a thread like those of a run."""
    with worker_pool(1) as pool:
        costs = pool.submit(_measured, found, 8 * rounds).result()
    base = costs["the same over the whole frame"]
    rows = [[name, f"{1000 * seconds:.2f}", f"{100 * seconds / base:.1f} %"] for name, seconds in costs.items()]
    ours = costs["vfxswap, the matte's box"]
    return Table(
        "Paste",
        f"A face of {FACE_PX} px, matte and all, into the planes of a 1920x1080 4:2:0 picture in 8 bits, by a plain"
        " mix; one thread, median of its processor time, the picture's copy included. OpenCV's way rounds to 8 bits and"
        " knows BT.601 alone: it is there for its speed.",
        ("way", "ms", "of the whole frame"),
        rows,
        [
            (
                f"{100 * ours / base:.1f} % of the whole frame, at most {100 * MOST_OF_FRAME:.0f} %",
                ours <= MOST_OF_FRAME * base,
            ),
            (f"{1000 * ours:.1f} ms here, at most {MOST_MS} ms on a quiet machine", 1000 * ours <= MOST_MS),
        ],
    )


def _measured(found: Material, rounds: int) -> dict[str, float]:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with torch.inference_mode(), _reader(found) as reader:
            picture = next(iter(reader.frames(1, 1))).plate
            view = View(reader.info.tags, 0, torch.device("cpu"))
            costs = in_turn(_ways(picture, view), rounds=rounds)
    finally:
        cv2.setNumThreads(threads)
    return {name: statistics.median(one.cpu_seconds for one in taken) for name, taken in costs.items()}


def _reader(found: Material) -> Reader:
    return found.host.reader_for(found.clip)(found.clip)


def _ways(picture: Picture, view: View) -> dict[str, Way]:
    scale = 512 / FACE_PX
    matrix = np.array([(scale, 0.0, -750.3 * scale), (0.0, scale, -330.7 * scale)])
    crop = cut_crop(picture, view, matrix, 512)
    patch = (crop, torch.ones_like(crop[:1]))

    def box() -> None:
        paste(picture.copy(), view, matrix, patch, blend.alpha, pointwise=True)

    return {
        "vfxswap, the matte's box": box,
        "the same over the whole frame": lambda: _whole(picture.copy(), view, matrix, patch),
        "OpenCV, 8 bits, the box": lambda: _opencv(picture.copy(), matrix, crop),
    }


def _whole(picture: Picture, view: View, matrix: Affine, patch: tuple[Tensor, Tensor]) -> None:
    everywhere = Box(0, 0, picture.width, picture.height)
    layer, mask = warp.uncut_face(*patch, matrix, everywhere)
    plate = ycbcr.to_rgb(picture.planes, picture.layout, view.tags, everywhere, device=view.device)
    joined = blend.alpha(layer[None], plate[None], mask[None])[0]
    ycbcr.add_rgb_delta(
        picture.planes, picture.layout, view.tags, everywhere, delta=joined - plate, touched=mask[0] > 0
    )


def _opencv(picture: Picture, matrix: Affine, crop: Tensor) -> None:
    """The box in 8 bits; even in place and size, as 4:2:0 wants."""
    swapped = (crop.permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    x, y, side = 748, 328, FACE_PX + 6
    half = np.s_[y // 2 : (y + side) // 2, x // 2 : (x + side) // 2]
    luma, chroma = picture.planes[0][y : y + side, x : x + side], [plane[half] for plane in picture.planes[1:]]
    there = cv2.cvtColor(_stacked(luma, chroma, side), cv2.COLOR_YUV2RGB_I420)
    to_box = matrix.copy()
    to_box[:, 2] += matrix[:, :2] @ (x, y)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(swapped, to_box, (side, side), flags=how)
    matte = cv2.warpAffine(np.ones((512, 512), np.float32), to_box, (side, side), flags=how)[..., None]
    mixed = (there + matte * (patch.astype(np.float32) - there)).astype(np.uint8)
    back = cv2.cvtColor(mixed, cv2.COLOR_RGB2YUV_I420)
    luma[:] = back[:side]
    for plane, rows in zip(chroma, back[side:].reshape(2, side // 2, side // 2), strict=True):
        plane[:] = rows


def _stacked(luma: NDArray[np.uint8], chroma: list[NDArray[np.uint8]], side: int) -> NDArray[np.uint8]:
    return np.concatenate([luma, np.concatenate([plane.ravel() for plane in chroma]).reshape(side // 2, side)])
