"""Takes slow coming and going of light out of a swapped face: pumping, which the plate does not do.

Colour matches and networks find a face's light anew in each frame, and err a little, now this way, now that, over half
a second. The ratio of the swapped face's light to the plate's own tells it: what the plate does is in both. It is
followed without optical flow, as a plane over the crop (a gain for each channel, and its slopes), so that motion and
blur do not disturb it, and a window may be wide. The plane is put where a line through the window's planes says it
should be: a centred local regression (W. Cleveland, "Robust locally weighted regression and smoothing scatterplots",
JASA 74, 1979), which has no lag and lets a steady change pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.ops.neighbours import cells, check_window

Floats = NDArray[np.float64]

_CELLS: Final = 8
_FLOOR: Final = 0.05  # added to both sides of a ratio of light
_LEAST_COVER: Final = 0.2  # of a cell by the matte, for it to count
_ODD: Final = 0.08  # of a cell's ratio against its plane, in logarithms, at which it counts for little
_SLOPE_RIDGE: Final = 0.05  # keeps a plane level, and a line constant, that little is known of
_LEAST_CELLS: Final = 6
_APART: Final = 2.0  # tolerances
_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class PumpingSettings:
    """How much of what is taken out."""

    strength: float = 1.0
    """0..1."""
    tolerance: float = 0.1
    """Change of light, as a part of it, up to which it counts as pumping; above 0."""
    spread_frames: float = 4.0
    """Standard deviation of the normal weights over time."""


def unpumped(
    swapped: Tensor, plate: Tensor, mattes: Tensor, *, center: int, times: tuple[int, ...], settings: PumpingSettings
) -> Tensor:
    """The central face in steady light.

    Args:
        swapped: `(T, 3, S, S)` float32.
        plate: `(T, 3, S, S)` float32.
        mattes: `(T, 1, S, S)` float32 0..1: light is compared where a frame's own is above 0.
        center: Index of the frame to be steadied.
        times: T frame numbers.
        settings: How much of what is taken out.

    Returns:
        `(3, S, S)`; exactly `swapped[center]` where there is no neighbour.

    Raises:
        ShapeError: The tensors do not belong together.
    """
    check_window(swapped, plate, mattes, times)
    planes = [_plane(*layers) for layers in zip(swapped, plate, mattes, strict=True)]
    now = planes[center]
    known = [(time - times[center], plane) for time, plane in zip(times, planes, strict=True) if plane is not None]
    if now is None or len(known) < 2:
        return swapped[center]
    ages = np.array([age for age, _ in known], dtype=np.float64)
    steady = _regressed(ages, np.stack([plane for _, plane in known]), settings)
    change = settings.strength * (steady - now)
    side = swapped.shape[-1]
    x, y = _axes(side)
    field = np.stack([np.exp(a * x + b * y + c) for a, b, c in change])
    return swapped[center] * torch.from_numpy(field).to(swapped)


def _plane(face: Tensor, plate: Tensor, matte: Tensor) -> Floats | None:
    """`(3, 3)` of each channel: the slopes along x and y and the middle of the logarithm of face over plate.

    None where too little is shown.
    """
    cover = cells(matte, _CELLS)
    light = [cells(picture.clamp_min(0) * matte, _CELLS) / cover.clamp_min(1e-6) for picture in (face, plate)]
    ratio = ((light[0] + _FLOOR) / (light[1] + _FLOOR)).log().cpu().double().numpy().reshape(3, -1)
    shown = (cover * (cover >= _LEAST_COVER)).cpu().double().numpy().ravel()
    if np.count_nonzero(shown) < _LEAST_CELLS:
        return None
    x, y = _axes(_CELLS)
    basis = np.stack([(x + 0 * y).ravel(), (0 * x + y).ravel(), np.ones(_CELLS**2)], axis=1)
    ridge = _SLOPE_RIDGE * shown.sum() * np.diag([1.0, 1.0, 0.0])
    weights = shown
    for _ in range(_ROUNDS):
        normal = basis.T @ (basis * weights[:, None]) + ridge
        found = np.linalg.solve(normal, (basis * weights[:, None]).T @ ratio.T).T
        odd = ((ratio - found @ basis.T) ** 2).mean(axis=0)
        weights = shown * np.exp(-0.5 * odd / _ODD**2) + 1e-9 * shown
    return np.asarray(found)


def _regressed(ages: Floats, planes: Floats, settings: PumpingSettings) -> Floats:
    """`(3, 3)`: where the robust line through `(T, 3, 3)` planes is at age 0.

    Frames whose light is another than the central one's, by more than pumping may be, have no say at all.
    """
    apart = ((planes - planes[ages == 0]) ** 2)[:, :, 2].mean(axis=1)
    in_time = np.exp(-0.5 * (ages / settings.spread_frames) ** 2 - 0.5 * apart / (_APART * settings.tolerance) ** 2)
    basis = np.stack([np.ones(len(ages)), ages], axis=1)
    ridge = _SLOPE_RIDGE * settings.spread_frames**2 * np.diag([0.0, 1.0])
    flat, weights = planes.reshape(len(ages), -1), in_time
    for _ in range(_ROUNDS):
        weighted = basis * weights[:, None]
        found = np.linalg.solve(basis.T @ weighted + ridge, weighted.T @ flat)
        odd = ((flat - basis @ found) ** 2).reshape(planes.shape)[:, :, 2].mean(axis=1)
        weights = in_time * np.exp(-0.5 * odd / settings.tolerance**2) + 1e-9 * in_time
    return np.asarray(found[0].reshape(planes.shape[1:]))


def _axes(count: int) -> tuple[Floats, Floats]:
    """`(count,)` and `(count, 1)` places of pixel centres, from -1 to 1."""
    place: Floats = (np.arange(count, dtype=np.float64) + 0.5) * (2 / count) - 1
    return place, place[:, None]
