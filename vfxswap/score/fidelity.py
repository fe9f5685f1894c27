"""How near a picture is to the truth, pixel by pixel: error, structure, gradients, colour."""

from __future__ import annotations

import math
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody uses
from kornia.metrics import ssim
from torch import Tensor

from vfxswap.ops.relight import luma
from vfxswap.score.color_difference import ciede2000, lab
from vfxswap.score.region import mean, toned

CEILING_DB: Final = 120.0
"""PSNR of equal pictures, which would be infinite; float32 resolves no more."""
_SSIM_WINDOW: Final = 11
_GRADIENT_FLOOR: Final = 170 / 255**2
_SCALES: Final = (0.096, 0.596, 0.289, 0.019)
_MASKING: Final = 0.5
_PREWITT: Final = ((1.0, 0.0, -1.0),) * 3
TONE: Final = 0.08
"""Standard deviation of the blur that leaves a face's tone, in parts of its size."""


def squared_error(result: Tensor, truth: Tensor, weight: Tensor) -> float:
    """Mean squared difference of R'G'B' `(3, h, w)` under a weight `(h, w)`; 0 is perfect."""
    return mean((result - truth) ** 2, weight)


def decibels(error: float) -> float:
    """The peak signal-to-noise ratio of a mean squared error, for a peak of 1.

    `-10 log10(error)`, at most `CEILING_DB`. 30 is seen at once, 40 hardly. (Definition as in ITU-T J.340, with the
    peak of the face space.)
    """
    return -10 * math.log10(max(error, 10 ** (-CEILING_DB / 10)))


def structure_map(result: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity at each pixel and channel, -1..1; 1 is perfect.

    Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP 13(4), 2004, with its Gaussian window of 11 pixels, as kornia has it.

    Args:
        result: `(3, h, w)` R'G'B' 0..1, at least 6 pixels a side.
        truth: `(3, h, w)`.

    Returns:
        `(3, h, w)` float64.
    """
    # In float64: the variances of nearly flat skin are differences of nearly equal numbers. No epsilon, so that equal
    # pictures have exactly 1; the formula's own constants keep the denominator from 0.
    return torch.as_tensor(ssim(result.double()[None], truth.double()[None], _SSIM_WINDOW, eps=0.0)[0])


def gradient_deviation(result: Tensor, truth: Tensor, weight: Tensor) -> float:
    """Multi-scale gradient magnitude similarity deviation (MS-GMSD): how uneven the error of edges is; 0 is perfect.

    A perceptual distance without learnt weights. W. Xue, L. Zhang, X. Mou, A. C. Bovik, "Gradient magnitude similarity
    deviation: a highly efficient perceptual image quality index", IEEE TIP 23(2), 2014; on four scales, with masking,
    B. Zhang, P. V. Sander, A. Bermak, "Gradient magnitude similarity deviation on multiple scales for color image
    quality assessment", ICASSP 2017. Of BT.709 luma here, and under a weight.

    Args:
        result: `(3, h, w)` R'G'B' 0..1.
        truth: `(3, h, w)`.
        weight: `(h, w)`.

    Returns:
        0 to about 0.4. A scale on which nothing of the weight is left does not count.
    """
    pair, share = torch.stack([luma(result), luma(truth)]).double(), weight[None, None].double()
    total = 0.0
    for scale, part in enumerate(_SCALES):
        if scale:
            pair, share = F.avg_pool2d(pair, 2, ceil_mode=True), F.avg_pool2d(share, 2, ceil_mode=True)
        similarity = _gradient_similarity(*_magnitudes(pair))
        centre = mean(similarity, share[0, 0])
        total += part * mean((similarity - centre) ** 2, share[0, 0])
    return math.sqrt(total)


def _magnitudes(pictures: Tensor) -> Tensor:
    """`(N, 1, h, w)` gradient magnitudes by Prewitt's operator over 3, as published."""
    across = torch.tensor(_PREWITT, dtype=pictures.dtype, device=pictures.device) / 3
    kernels = torch.stack([across, across.T])[:, None]
    return F.conv2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), kernels).square().sum(dim=1, keepdim=True).sqrt()


def _gradient_similarity(first: Tensor, second: Tensor) -> Tensor:
    product, squares = first * second, first**2 + second**2
    return ((2 - _MASKING) * product + _GRADIENT_FLOOR) / (squares - _MASKING * product + _GRADIENT_FLOOR)


def color_map(result: Tensor, truth: Tensor) -> Tensor:
    """`(h, w)` CIEDE2000 of each pixel of two pictures `(3, h, w)`; 0 is perfect, 1 just visible."""
    return ciede2000(lab(result), lab(truth))


def tone_error(result: Tensor, truth: Tensor, weight: Tensor, *, size_px: float) -> float:
    """Mean CIEDE2000 of the pictures' tones: light and colour of the face, without its detail; 0 is perfect.

    Args:
        result: `(3, h, w)` R'G'B'.
        truth: `(3, h, w)`.
        weight: `(h, w)`.
        size_px: The face's size; the blur is `TONE` of it.
    """
    (ours, share), (theirs, _) = (toned(picture, weight, sigma_px=TONE * size_px) for picture in (result, truth))
    return mean(ciede2000(lab(ours), lab(theirs)), share)
