"""Film grain and sensor noise: measured where a picture shows little else, and made anew where it is missing.

What is known of grain is how strong it is at each brightness and how it is spread over frequencies. Both are taken of
small blocks: of the blocks of about one brightness those count that hold least, since texture and edges only add
(minimum statistics; as in C. Liu, R. Szeliski, S. B. Kang, C. L. Zitnick, W. T. Freeman, "Automatic estimation and
removal of noise from a single image", IEEE PAMI 30(2), 2008, whose noise level function this is). New grain is Gaussian
noise through a filter of the spectrum that is missing, scaled by what is missing at each pixel's brightness (A. Norkin,
N. Birkbeck, "Film grain synthesis for AV1 video codec", DCC 2018, model it likewise). None of the plate's own texture
is copied.

A skin's own texture is in the quietest of blocks too, but it moves with the face, and grain is new in every frame. So
what is added is no more than what changes between a plate and its neighbours, each block compared with the one that is
most like it there.

Luma and two colour differences are looked at each for itself: film and compressed pictures have coarser and weaker
grain of colour than of light.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.ops.relight import luma

Floats = NDArray[np.float64]

_SIDES: Final = (16, 8)
"""Of the blocks, in pixels: of large faces, and of small ones."""
_LARGE_PX: Final = 96.0
_BAND: Final = 0.15
"""Cycles a pixel from which on a block's power is taken for grain; below it is light and shape."""
_KNOTS: Final = 5
_SHARE: Final = 0.35
"""Part of the blocks, the nearest in brightness, of which a level is taken."""
_FEWEST: Final = 12
_QUANTILE: Final = 0.2
_BIAS: Final = {16: 0.85, 8: 0.70}
"""That quantile of blocks of nothing but white noise, over their mean."""
_MOST: Final = 600
"""Blocks that are looked for in a neighbouring plate."""
_REACH_PX: Final = 10
_MIDDLE_PX: Final = (1.5, 6.0)
"""Blurs between which lies what blocks are found again by."""
_SILENT: Final = (0.6 / 255, 1.2 / 255)
"""Deviations of the plate's grain between which it begins to count: below are rounding to 8 bits and parts of pixels
by which things move."""


@dataclass(frozen=True, slots=True, eq=False)
class Grain:
    """The grain of a picture."""

    levels: Floats
    """`(K,)` ascending luma."""
    power: Floats
    """`(3, K, n, n)`: power at each frequency of an n x n Fourier transform, of luma, B'-Y' and R'-Y', at each level;
    the mean over the frequencies is the variance."""


def measured(picture: Tensor, weight: Tensor, *, levels: Floats, side_px: int) -> Grain | None:
    """The grain of a picture.

    Args:
        picture: `(3, H, W)` float32 R'G'B'.
        weight: `(H, W)` 0 or 1: what is looked at; a block counts if all of it is.
        levels: `(K,)` ascending luma at which it is wanted.
        side_px: Of the blocks.

    Returns:
        None if there are fewer than twelve blocks.
    """
    if min(picture.shape[1:]) < side_px:
        return None
    blocks = _blocks(_opponent(picture), side_px)
    whole = _blocks(weight[None], side_px)[:, 0].amin(dim=(1, 2)) > 0
    blocks = blocks[whole]
    finite = blocks.isfinite().flatten(1).all(dim=1)
    blocks = blocks[finite]
    if len(blocks) < _FEWEST:
        return None
    bright = blocks[:, 0].mean(dim=(1, 2)).cpu().numpy()
    power = _power(blocks)
    band = _radius(side_px) >= _BAND
    energy = power[..., band].mean(axis=2)
    found = np.stack([_at_level(power, energy, bright, level) for level in levels], axis=1)
    return Grain(levels, _flattened(found / _BIAS[side_px], side_px))


def changing(plate: Tensor, others: Sequence[Tensor], *, levels: Floats, side_px: int) -> Grain | None:
    """The grain of a plate by what changes between it and its neighbours.

    Args:
        plate: `(3, H, W)` float32 R'G'B'.
        others: The same part of neighbouring plates.
        levels: `(K,)` ascending luma at which it is wanted.
        side_px: Of the blocks, each of which is compared with the most like in a neighbour, some pixels around.

    Returns:
        None if there are no neighbours, or fewer than twelve blocks.
    """
    if not others or min(plate.shape[1:]) < side_px:
        return None
    here = _opponent(plate)
    step = side_px // 2
    rows, columns = ((side - side_px) // step + 1 for side in here.shape[1:])
    places = [(y * step, x * step) for y in range(rows) for x in range(columns)]
    places = places[:: max(1, -(-len(places) // _MOST))]
    power, bright = [], []
    for other in others:
        for difference, level in _differences(here, _opponent(other), places, side_px):
            power.append(difference)
            bright.append(level)
    if len(power) < _FEWEST:
        return None
    spectra = _power(torch.stack(power)) / 2  # of two independent grains
    band = _radius(side_px) >= _BAND
    energy = spectra[..., band].mean(axis=2)
    found = np.stack([_at_level(spectra, energy, np.array(bright), level) for level in levels], axis=1)
    return Grain(levels, _flattened(found / _BIAS[side_px], side_px))


def _differences(
    here: Tensor, there: Tensor, places: Sequence[tuple[int, int]], side_px: int
) -> Iterator[tuple[Tensor, float]]:
    """Blocks less the most like of another picture, and their luma."""
    # by middle frequencies: what is compared must not be what is measured, or the least noise would be chosen
    ours, theirs = (_middle(planes[0].float().cpu().numpy()) for planes in (here, there))
    height, width = ours.shape
    for y, x in places:
        top, left = max(y - _REACH_PX, 0), max(x - _REACH_PX, 0)
        around = theirs[top : min(y + side_px + _REACH_PX, height), left : min(x + side_px + _REACH_PX, width)]
        block = ours[y : y + side_px, x : x + side_px]
        if not (np.isfinite(block).all() and np.isfinite(around).all()):
            continue
        miss = cv2.matchTemplate(around, block, cv2.TM_SQDIFF)
        dy, dx = np.unravel_index(int(np.argmin(miss)), miss.shape)
        same = there[:, top + int(dy) : top + int(dy) + side_px, left + int(dx) : left + int(dx) + side_px]
        ours_here = here[:, y : y + side_px, x : x + side_px]
        yield ours_here - same, float(ours_here[0].mean())


def _middle(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    fine, coarse = (cv2.GaussianBlur(plane, (0, 0), sigma) for sigma in _MIDDLE_PX)
    return np.ascontiguousarray(fine - coarse)


def missing(wanted: Grain, there: Grain | None, most: Grain | None) -> Grain:
    """What one picture's grain has and another's has not; nothing where a picture has hardly any.

    Args:
        wanted: Of the plate.
        there: Of the picture that lacks grain; None counts as none.
        most: Of what changes in the plate, which no more is added than; None bounds nothing.
    """
    rest = wanted.power if there is None else wanted.power - there.power
    rest = np.maximum(rest, 0.0)
    bound = wanted.power if most is None else most.power
    variance, top = (power.mean(axis=(2, 3), keepdims=True) for power in (rest, bound))
    low, high = _SILENT
    share = np.clip((np.sqrt(top) - low) / (high - low), 0, 1)
    return Grain(wanted.levels, rest * np.minimum(top / np.maximum(variance, 1e-20), 1.0) * share)


def regrained(
    result: Tensor, plate: Tensor, matte: Tensor, *, others: Sequence[Tensor] = (), amount: float, seed: int
) -> Tensor:
    """A picture with the plate's grain where a face was put in.

    What the face has already is measured too, and only the rest is added: a face with grain of its own gets less, a
    clean plate gives none. Where the matte is soft the plate's own grain shows through, and less is added.

    Args:
        result: `(1, 3, H, W)` float32 R'G'B', the plate with the face.
        plate: `(1, 3, H, W)` float32.
        matte: `(1, 1, H, W)` float32 0..1.
        others: `(3, H, W)` the same part of neighbouring plates, by which grain is told from texture.
        amount: 1 adds all that is missing.
        seed: Of the noise.

    Returns:
        `(1, 3, H, W)`; exactly `result` where the matte is 0, and everywhere if nothing is missing.

    Raises:
        ShapeError: The sizes do not agree.
    """
    if result.shape != plate.shape or matte.shape != (1, 1, *plate.shape[2:]) or plate.shape[:2] != (1, 3):
        raise ShapeError(
            "result, plate and matte of grain",
            expected="(1, 3, H, W) twice and (1, 1, H, W)",
            actual=f"{tuple(result.shape)}, {tuple(plate.shape)}, {tuple(matte.shape)}",
        )
    inside = matte[0, 0]
    side_px = _SIDES[0] if math.sqrt(float(inside.cpu().double().sum())) >= _LARGE_PX else _SIDES[1]
    levels = _levels(luma(result[0])[0], inside)
    wanted = None if levels is None else measured(plate[0], torch.ones_like(inside), levels=levels, side_px=side_px)
    if wanted is None:
        return result
    there = measured(result[0], (inside > 0.95).float(), levels=wanted.levels, side_px=side_px)
    most = changing(plate[0], others, levels=wanted.levels, side_px=side_px)
    lack = missing(wanted, there, most)
    if not lack.power.any():
        return result
    noise = _noise(lack, luma(result[0])[0], seed=seed)
    # of independent grain `1 - matte` is left of the plate's: the squares must add up
    cover = (1 - (1 - inside.clamp(0, 1)).square()).sqrt()
    return result + amount * _to_rgb(noise * cover)[None]


def _levels(bright: Tensor, weight: Tensor) -> Floats | None:
    """Brightnesses of the face, from dark to light."""
    chosen = bright[weight > 0.5].cpu().double().numpy()
    chosen = chosen[np.isfinite(chosen)]
    if len(chosen) < _SIDES[1] ** 2:
        return None
    levels = np.quantile(chosen, np.linspace(0.05, 0.95, _KNOTS))
    return np.maximum.accumulate(levels + np.arange(_KNOTS) * 1e-6)


def _opponent(picture: Tensor) -> Tensor:
    """`(3, H, W)`: luma, B'-Y', R'-Y'."""
    bright = luma(picture)[0]
    return torch.stack([bright, picture[2] - bright, picture[0] - bright])


def _to_rgb(planes: Tensor) -> Tensor:
    bright, blue, red = planes
    return torch.stack([bright + red, bright - (0.2126 * red + 0.0722 * blue) / 0.7152, bright + blue])


def _blocks(planes: Tensor, side_px: int) -> Tensor:
    """`(B, C, side, side)` blocks, each half over the next."""
    step = side_px // 2
    parts = planes.unfold(1, side_px, step).unfold(2, side_px, step)
    return parts.permute(1, 2, 0, 3, 4).reshape(-1, planes.shape[0], side_px, side_px)


def _power(blocks: Tensor) -> Floats:
    """`(B, C, n, n)` power spectra of blocks without their mean and slope, under a Hann window."""
    side = blocks.shape[-1]
    place = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    values = blocks.cpu().double()  # there: not every device has so many bits
    values = values - values.mean(dim=(2, 3), keepdim=True)
    spread = float((place**2).sum()) * side
    for axis in (place[None, :], place[:, None]):
        values = values - axis * ((values * axis).sum(dim=(2, 3), keepdim=True) / spread)
    taper = 0.5 - 0.5 * torch.cos(2 * math.pi * (torch.arange(side) + 0.5) / side).double()
    window = taper[:, None] * taper[None, :]
    spectrum = torch.fft.fft2(values * window).abs().square() / float(window.square().sum())
    return np.asarray(spectrum.numpy())


def _radius(side: int) -> NDArray[np.float64]:
    """`(n, n)` cycles a pixel."""
    along = np.abs(np.fft.fftfreq(side))
    return np.asarray(np.hypot(along[:, None], along[None, :]))


def _at_level(power: Floats, energy: Floats, bright: Floats, level: float) -> Floats:
    """`(3, n, n)` the mean spectrum of the quietest of the blocks near a brightness, at the power of their quantile."""
    count = max(_FEWEST, round(_SHARE * len(bright)))
    near = np.argsort(np.abs(bright - level), kind="stable")[:count]
    quiet = max(4, round(_QUANTILE * len(near)))
    spectra = []
    for plane in range(3):
        order = near[np.argsort(energy[near, plane], kind="stable")]
        some = order[: 2 * quiet]  # as many below the quantile as above
        shape = power[some, plane].mean(axis=0) / max(float(energy[some, plane].mean()), 1e-20)
        spectra.append(shape * energy[order[quiet - 1], plane])
    return np.stack(spectra)


def _flattened(power: Floats, side: int) -> Floats:
    """Spectra by the frequency's size alone; the lowest, where light and shapes are, hold what the next ones do.

    Single frequencies are known too badly for two spectra to be compared one by one.
    """
    radius = _radius(side)
    rings = np.rint(radius * side).astype(np.int64)
    result = np.empty_like(power)
    for ring in range(int(rings.max()) + 1):
        chosen = rings == ring
        result[..., chosen] = power[..., chosen].mean(axis=-1, keepdims=True)
    low, next_ = radius < _BAND, (radius >= _BAND) & (radius < 2 * _BAND)
    result[..., low] = np.minimum(result[..., low], result[..., next_].mean(axis=-1, keepdims=True))
    return result


def _noise(lack: Grain, bright: Tensor, *, seed: int) -> Tensor:
    """`(3, H, W)` noise of the missing power, in luma and colour differences."""
    height, width = bright.shape
    side = lack.power.shape[-1]
    generator = torch.Generator().manual_seed(seed)
    white = torch.randn(3, height + side, width + side, generator=generator, dtype=torch.float32, device="cpu")
    planes = []
    for plane, power in zip(white, lack.power, strict=True):
        total = power.mean(axis=0)
        kernel = np.fft.fftshift(np.fft.ifft2(np.sqrt(total)).real)
        kernel = kernel / max(float(np.sqrt((kernel**2).sum())), 1e-12)
        taps = torch.from_numpy(kernel).float()[None, None]
        shaped = F.conv2d(plane[None, None], taps)[0, 0, :height, :width]
        planes.append(shaped.to(bright.device) * _looked_up(bright, lack.levels, np.sqrt(power.mean(axis=(1, 2)))))
    return torch.stack(planes)


def _looked_up(bright: Tensor, levels: Floats, values: Floats) -> Tensor:
    """Values at a picture's brightness, between levels linearly, past them constant."""
    found = np.interp(bright.cpu().double().numpy(), levels, values)
    return torch.from_numpy(found).to(bright.device, torch.float32)
