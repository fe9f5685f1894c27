"""What lens and film do to the picture: defocus and grain."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vfxswap.lab.colour import srgb_decoded, srgb_encoded


def jitter(index: int) -> tuple[float, float]:
    """Sub-pixel shift of a sample, -0.5..0.5 in x and y: the R2 sequence (M. Roberts, 2018)."""
    return (index * 0.7548776662 + 0.5) % 1 - 0.5, (index * 0.5698402910 + 0.5) % 1 - 0.5


def disc(radius_px: float) -> Tensor:
    """A circle of confusion, `(K, K)` of sum 1, with a soft edge one pixel wide."""
    reach = int(radius_px) + 1
    steps = torch.arange(-reach, reach + 1, dtype=torch.float32)
    distance = (steps[:, None] ** 2 + steps[None] ** 2).sqrt()
    kernel = (radius_px + 0.5 - distance).clamp(0, 1)
    return kernel / kernel.sum()


def defocused(image: Tensor, radius_px: float) -> Tensor:
    """An image `(C, H, W)` out of focus; below half a pixel it is returned as it is."""
    if radius_px < 0.5:
        return image
    kernel = disc(radius_px)
    reach = kernel.shape[0] // 2
    padded = functional.pad(image[:, None], (reach, reach, reach, reach), mode="replicate")
    return functional.conv2d(padded, kernel[None, None])[:, 0]


def grain_field(height: int, width: int, *, seed: int, frame: int) -> Tensor:
    """`(3, H, W)` noise of unit strength on the CPU, mostly common to the channels, a little softer than a pixel.

    It depends on the seed and the frame's number alone, never on what was rendered before.
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + frame * 7_919) % 2**63)
    common = torch.randn(1, height, width, generator=generator, device="cpu")
    own = torch.randn(3, height, width, generator=generator, device="cpu")
    noise = functional.pad((0.8 * common + 0.6 * own)[:, None], (1, 1, 1, 1), mode="replicate")
    taps = torch.tensor([0.12, 0.76, 0.12], device="cpu")
    noise = functional.conv2d(noise, taps[None, None, :, None])
    return functional.conv2d(noise, taps[None, None, None])[:, 0] / 0.61


def with_grain(image: Tensor, noise: Tensor, strength: float) -> Tensor:
    """A scene-linear image `(3, H, W)` with grain of a strength in sRGB code values, strongest in the middle tones.

    Light above 1.0 keeps its value; there film is saturated.
    """
    if strength == 0:
        return image
    code = srgb_encoded(image)
    grainy = srgb_decoded(code + strength * noise * (0.35 + 2.4 * code * (1 - code)))
    return image + (grainy - srgb_decoded(code))
