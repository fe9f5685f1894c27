"""What the networks are built of: convolutions that keep each picture to itself.

There is no batch norm anywhere, for a face must come out the same whatever else is in the batch. Features are normed
over their channels, pixel by pixel (Karras et al., Progressive Growing of GANs, ICLR 2018), which lets a network learn
at rates at which plain ones diverge; a condition (an identity, a code) then scales and shifts them (FiLM: Perez et al.,
AAAI 2018).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2
"""Of the leaky rectifiers, as in the progressive networks that this follows."""


def normed(features: Tensor) -> Tensor:
    """`(N, C, H, W)` or `(N, C)` scaled so that the root mean square over C is 1 at each pixel."""
    return features * torch.rsqrt(features.square().mean(1, keepdim=True) + 1e-6)


def rectified(features: Tensor) -> Tensor:
    """A leaky rectifier."""
    return functional.leaky_relu(features, SLOPE)


def conv3(inside: int, outside: int, *, stride: int = 1, gain: float = 1.0) -> nn.Conv2d:
    """A 3x3 convolution that keeps a normed input's variance times `gain` squared (He et al., ICCV 2015)."""
    conv = nn.Conv2d(inside, outside, 3, stride=stride, padding=1)
    if gain:
        nn.init.normal_(conv.weight, std=gain * math.sqrt(2 / ((1 + SLOPE**2) * inside * 9)))
    else:
        nn.init.zeros_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


class Film(nn.Module):
    """Scales and shifts normed features as a condition says; at first it leaves them as they are."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.line = nn.Linear(condition, 2 * channels)
        nn.init.normal_(self.line.weight, std=0.1 / math.sqrt(condition))
        nn.init.zeros_(self.line.bias)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Features `(N, C, H, W)` and conditions `(N, D)` to `(N, C, H, W)`."""
        told: Tensor = self.line(condition)[..., None, None]
        scale, shift = told.chunk(2, dim=1)
        return normed(features) * (1 + scale) + shift


class Residual(nn.Module):
    """Two convolutions added to what they see; at first they add little."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv3(channels, channels)
        self.second = conv3(channels, channels, gain=0.1)

    def forward(self, features: Tensor) -> Tensor:
        """`(N, C, H, W)` to the same."""
        inside: Tensor = self.first(rectified(normed(features)))
        return torch.add(features, self.second(rectified(inside)))


class FilmResidual(nn.Module):
    """The same, told by a condition."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.before, self.between = Film(channels, condition), Film(channels, condition)
        self.first = conv3(channels, channels)
        self.second = conv3(channels, channels, gain=0.1)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Features `(N, C, H, W)` and conditions `(N, D)` to `(N, C, H, W)`."""
        inside: Tensor = self.first(rectified(self.before(features, condition)))
        return torch.add(features, self.second(rectified(self.between(inside, condition))))


class Down(nn.Module):
    """Halves the side."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv = conv3(inside, outside, stride=2)

    def forward(self, features: Tensor) -> Tensor:
        """`(N, C, 2H, 2W)` to `(N, D, H, W)`."""
        return rectified(self.conv(features))


class Up(nn.Module):
    """Doubles the side: a convolution to four times the channels, whose values become two by two pixels.

    The four start alike, so that no checks show (Aitken et al., Checkerboard artifact free sub-pixel convolution).
    """

    def __init__(self, inside: int, outside: int, *, gain: float = 1.0) -> None:
        super().__init__()
        self.conv = conv3(inside, 4 * outside, gain=gain)
        with torch.no_grad():
            self.conv.weight.copy_(self.conv.weight[::4].repeat_interleave(4, dim=0))

    def forward(self, features: Tensor) -> Tensor:
        """`(N, C, H, W)` to `(N, D, 2H, 2W)`."""
        return functional.pixel_shuffle(self.conv(features), 2)
