"""What a picture's surface is like: sharpness, grain, and seams along a matte's border."""

from __future__ import annotations

import math
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody uses
from torch import Tensor

from vfxswap.ops.relight import luma
from vfxswap.score.region import blurred, gradient, mean, toned

QUANTISATION: Final = 1 / (255 * math.sqrt(12))
"""Deviation of what rounding to 8 bits adds (a uniform distribution's); keeps ratios of nothing to nothing at 1."""
_BAND: Final = (1 / 8, 1 / 4)
"""Cycles a pixel. Above are grain and sampling, below are shapes that a face must have."""
_DETAIL_SIGMA_PX: Final = 4.0
_NORMAL_MAD: Final = 0.6744897501960817
_STRETCH: Final = 3.0
"""Length of the border over which a seam goes on, in widths of its band."""
_IMMERKAER: Final = ((1.0, -2.0, 1.0), (-2.0, 4.0, -2.0), (1.0, -2.0, 1.0))


def sharpness(picture: Tensor, weight: Tensor) -> float:
    """Deviation of luma between 1/8 and 1/4 cycles a pixel inside the matte, in codes 0..1.

    The power spectrum of luma without its low frequencies, windowed by the matte, summed over the band (Parseval) and
    divided by the window's own energy. Rounding's share is added, so that flat pictures have a ratio.

    Args:
        picture: `(3, h, w)` R'G'B' 0..1.
        weight: `(h, w)` the matte.
    """
    bright = luma(picture).double()
    share = weight.double()
    low, _ = toned(bright, share, sigma_px=_DETAIL_SIGMA_PX)
    window = share * share  # softer than the matte: its own edge must not look like detail
    spectrum = torch.fft.fft2((bright[0] - low[0]) * window)
    rows, columns = (torch.fft.fftfreq(side, device=picture.device).abs() for side in weight.shape)
    radius = torch.hypot(rows[:, None], columns[None, :])
    chosen = (radius >= _BAND[0]) & (radius < _BAND[1])
    power = spectrum.abs().square()[chosen].sum() / window.square().sum() / weight.numel()
    return math.sqrt(float(power) + QUANTISATION**2 * float(chosen.double().mean()))


def grain(picture: Tensor, weight: Tensor) -> float:
    """Deviation of the grain of luma inside the matte, in codes 0..1.

    J. Immerkaer, "Fast noise variance estimation", Computer Vision and Image Understanding 64(2), 1996: a difference of
    two Laplacians, which edges hardly pass. Its deviation by the median of its size (D. L. Donoho, I. M. Johnstone,
    "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81(3), 1994), so that features weigh nothing. Rounding's
    share is added, so that clean pictures have a ratio.

    Args:
        picture: `(3, h, w)` R'G'B' 0..1.
        weight: `(h, w)` the matte; pixels of more than 0.9 count.
    """
    kernel = torch.tensor(_IMMERKAER, dtype=torch.float64, device=picture.device)[None, None]
    passed = F.conv2d(luma(picture).double()[None], kernel, padding=1)[0, 0]
    counted = passed.abs()[weight > 0.9]
    deviation = float(counted.median()) / _NORMAL_MAD / 6 if counted.numel() else 0.0
    return math.hypot(deviation, QUANTISATION)


def seam_step(result: Tensor, other: Tensor, across: Tensor, *, sigma_px: float) -> float:
    """Height of the step that runs along the matte's border in one picture and not in the other, in codes 0..1.

    A paste shows where its error changes quickly *across* the border, and goes on doing so *along* it: the slope of
    both pictures' difference along the border's normal, averaged over a stretch of the border (normalised convolution,
    so that detail and grain cancel), root mean square over the border's band and the channels. It is scaled so that a
    sharp step of height h in the band's middle has h. Edges that both have, and errors that do not change at the
    border, are no seam.

    Args:
        result: `(3, h, w)` R'G'B' 0..1.
        other: `(3, h, w)` without a seam: the truth, or the plate. Against the plate, what begins at the border is
            counted though it be right; it compares results of one shot.
        across: `(2, h, w)`, of `vfxswap.score.region.Region`.
        sigma_px: Standard deviation of the border's band, of the same.
    """
    error = blurred(result - other, sigma_px)
    length = across.norm(dim=0)
    slopes = torch.stack([(gradient(channel) * across).sum(dim=0) for channel in error]) / length.clamp_min(1e-12)
    along, share = toned(slopes, length, sigma_px=_STRETCH * sigma_px)
    # A blurred step's slope is a normal curve, h / (sigma sqrt(2 pi)) at its top, and so is the band: the average of
    # the one over the other, through a window k times as wide, is lower by sqrt(1 + k^2 / (1 + k^2)).
    lower = math.sqrt(1 + _STRETCH**2 / (1 + _STRETCH**2))
    return math.sqrt(mean(along**2, share)) * lower * sigma_px * math.sqrt(2 * math.pi)
