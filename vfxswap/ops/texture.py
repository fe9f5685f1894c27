"""Stills as textures: sampled at any place and scale without aliasing."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vfxswap.geometry import Box

LEVELS_PER_OCTAVE = 2
_SHARPER = 0.75
"""Levels by which sampling is biased to the finer: linear sampling and the mix of two levels blur by about as much.

Against a bicubic resize with anti-aliasing this keeps 0.7 to 1.0 of the Laplacian's energy at 43 dB or better, for any
scale; without it 0.4 to 1.0.
"""
_MOST_AT_ONCE = 8.0
"""Times that one resize reduces at the most: CUDA's kernel keeps all weights of a pixel in shared memory, which holds
those of some 47 times, and a CPU takes long over so many."""


class Texture(NamedTuple):
    """One still, cut to a box and kept at several sizes, each 0.7 times the one before."""

    levels: tuple[Tensor, ...]
    """`(1, 3, h, w)` float32, largest first."""
    box: Box
    """What they show, in pixels of the still."""
    finest: float
    """Pixels of the largest level for one of the still."""


def texture(image: Tensor, box: Box, *, finest: float) -> Texture:
    """Prepares a still.

    Args:
        image: `(3, H, W)` float32.
        box: The part that is wanted; clipped to the picture.
        finest: Scale of the largest level. Above 1 it is enlarged (bicubic), so that sampling it linearly is smooth.
    """
    box = box.clipped(int(image.shape[2]), int(image.shape[1]))
    part = image[None, :, box.y0 : box.y1, box.x0 : box.x1]
    shortest = min(box.width, box.height) * finest
    count = max(1, 1 + math.floor(LEVELS_PER_OCTAVE * math.log2(max(shortest / 16, 1.0))))
    sizes = _Sizes(part)
    return Texture(tuple(sizes.at(finest * _step(k)) for k in range(count)), box, finest)


def _step(level: int) -> float:
    return float(2.0 ** (-level / LEVELS_PER_OCTAVE))


class _Sizes:
    """A picture at any scale, by resizes of which none reduces by more than `_MOST_AT_ONCE`.

    What is smaller comes from the picture at a half, a quarter ..., by four to eight times: frequencies so low, which
    are all that the second resize lets through, the first has left as they were.
    """

    def __init__(self, picture: Tensor) -> None:
        self._known = {1.0: picture.contiguous()}

    def at(self, scale: float) -> Tensor:
        """`(1, 3, h, w)`, made once."""
        if scale not in self._known:
            halvings = max(0, math.ceil(-math.log2(_MOST_AT_ONCE * scale)))
            size = tuple(max(1, round(side * scale)) for side in self._known[1.0].shape[2:])
            self._known[scale] = functional.interpolate(
                self.at(2.0**-halvings), size=size, mode="bicubic", align_corners=False, antialias=True
            )
        return self._known[scale]


def sampled(source: Texture, at: Tensor, *, step_px: float) -> Tensor:
    """Samples a still, blurred to the step between samples.

    Two neighbouring levels are sampled linearly and mixed, so the result is a continuous function of the step.

    Args:
        source: The still.
        at: `(2, P)` float32 x, y in pixels of the whole still; past its box the border repeats.
        step_px: Distance of neighbouring samples in pixels of the still.

    Returns:
        `(3, P)` float32.
    """
    level = LEVELS_PER_OCTAVE * math.log2(max(step_px * source.finest, 1e-9)) - _SHARPER
    level = min(max(level, 0.0), len(source.levels) - 1.0)
    fine = math.floor(level)
    mix = level - fine
    result = _linear(source, fine, at)
    return result if mix == 0 else torch.lerp(result, _linear(source, fine + 1, at), mix)


def _linear(source: Texture, level: int, at: Tensor) -> Tensor:
    box = source.box
    scale = torch.tensor([[2.0 / box.width], [2.0 / box.height]], dtype=at.dtype, device=at.device)
    shift = torch.tensor(
        [[box.x0 * 2.0 / box.width + 1], [box.y0 * 2.0 / box.height + 1]], dtype=at.dtype, device=at.device
    )
    grid = (at * scale - shift).T[None, None]
    picture = source.levels[level]
    return functional.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=False)[0, :, 0]
