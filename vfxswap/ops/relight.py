"""Carrying the light of one picture onto another of the same geometry."""

from __future__ import annotations

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor
from torch.nn import functional

_GRID = 64
_BLACK = 0.02
"""Added to luma, so that noise in the blacks is no light."""
_LIMIT = 1.2
"""The gain stays within exp(+-1.2): 0.3 to 3.3."""


def luma(image: Tensor) -> Tensor:
    """`(..., 1, H, W)` BT.709 luma of `(..., 3, H, W)` R'G'B' (ITU-R BT.709-6, 3.2)."""
    red, green, blue = image.unbind(dim=-3)
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue).unsqueeze(-3)


def shading(image: Tensor, weight: Tensor, *, sigma_px: float) -> Tensor:
    """Relative low-frequency light of a picture, as a logarithm, on a coarse grid.

    The logarithm of each channel, weighted and blurred, less its mean, so that skin tone and exposure drop out.
    Multiplying R'G'B' under a power law multiplies light, so ratios of display values are as good as of light.

    Args:
        image: `(1, C, S, S)` float32: R'G'B', or luma alone.
        weight: `(1, 1, S, S)` float32 0..1, where it counts.
        sigma_px: Blur, in pixels of the picture.

    Returns:
        `(1, C, G, G)`, G = min(64, S).
    """
    size = min(_GRID, image.shape[-1])
    cell = functional.adaptive_avg_pool2d(weight, size)
    bright = functional.adaptive_avg_pool2d(image.clamp_min(0) * weight, size)
    light = (bright / cell.clamp_min(1e-6) + _BLACK).log()
    low = _blurred(light * cell, sigma_px * size / image.shape[-1]) / _blurred(
        cell, sigma_px * size / image.shape[-1]
    ).clamp_min(1e-6)
    return low - (low * cell).sum(dim=(2, 3), keepdim=True) / cell.sum().clamp_min(1e-6)


def _blurred(image: Tensor, sigma: float) -> Tensor:
    radius = min(max(1, round(3 * sigma)), image.shape[-1] - 1)
    return gaussian_blur2d(image, (2 * radius + 1, 2 * radius + 1), (sigma, sigma), border_type="constant")


def relit(
    image: Tensor, plate: Tensor, weight: Tensor, *, sigma_px: float, amount: float, color: float = 0.0
) -> Tensor:
    """A picture with the plate's low-frequency light in place of its own.

    Args:
        image: `(3, S, S)` float32 R'G'B', geometrically the plate's face.
        plate: `(3, S, S)` float32.
        weight: `(1, S, S)` float32 0..1, where both show a face.
        sigma_px: Light that changes over less than this stays the picture's own.
        amount: 0 leaves the picture, 1 carries all of the light.
        color: 0 carries how bright the light is, 1 its colour too: a warm lamp on one cheek, sky on the other.

    Returns:
        `(3, S, S)` float32.
    """
    if amount == 0:
        return image
    measured = [torch.cat([picture, luma(picture)])[None] for picture in (plate, image)]
    wanted, own = (shading(channels, weight[None], sigma_px=sigma_px) for channels in measured)
    gain = torch.tanh((wanted - own) / _LIMIT) * _LIMIT * amount
    gain = torch.lerp(gain[:, 3:], gain[:, :3], color)
    return image * functional.interpolate(gain, size=image.shape[-2:], mode="bilinear", align_corners=False)[0].exp()
