"""How different two colours look: CIE L*a*b* and CIEDE2000."""

from __future__ import annotations

import math
from typing import Final

import torch
from kornia.color import rgb_to_lab
from torch import Tensor

_SEVENTH: Final = 25.0**7


def lab(picture: Tensor) -> Tensor:
    """CIE L*a*b* under D65 of a picture in the face space.

    Args:
        picture: `(3, H, W)` sRGB-encoded R'G'B', nominally 0..1; what lies outside is not clipped.

    Returns:
        `(3, H, W)` float64: L* 0..100, a* and b*.
    """
    return torch.as_tensor(rgb_to_lab(picture.double()))


def ciede2000(first: Tensor, second: Tensor) -> Tensor:
    """The colour difference of CIE 142:2001 with all weights 1.

    After G. Sharma, W. Wu, E. N. Dalal, "The CIEDE2000 color-difference formula: implementation notes, supplementary
    test data, and mathematical observations", Color Research and Application 30(1), 2005, equations 2 to 22.

    Args:
        first: `(3, ...)` L*a*b*.
        second: `(3, ...)` L*a*b*.

    Returns:
        `(...)`, 0 or more. About 1 is just seen side by side; it is meant for differences up to about 5.
    """
    (l1, a1, b1), (l2, a2, b2) = first.double().unbind(), second.double().unbind()
    stretch = 1.5 - 0.5 * _chroma_share((torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2)
    c1, c2 = torch.hypot(a1 * stretch, b1), torch.hypot(a2 * stretch, b2)
    h1, h2 = _hue(a1 * stretch, b1), _hue(a2 * stretch, b2)
    turn = _turn(h1, h2, c1 * c2)
    hue_step = 2 * (c1 * c2).sqrt() * torch.sin(torch.deg2rad(turn) / 2)
    light, chroma, hue = (l1 + l2) / 2, (c1 + c2) / 2, _mean_hue(h1, h2, c1 * c2)
    by_light = (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / (20 + (light - 50) ** 2).sqrt())
    by_chroma = (c2 - c1) / (1 + 0.045 * chroma)
    by_hue = hue_step / (1 + 0.015 * chroma * _hue_weight(hue))
    rotated = _rotation(hue, chroma) * by_chroma * by_hue
    # Rounding alone can take the form a hair below zero for equal colours.
    return (by_light**2 + by_chroma**2 + by_hue**2 + rotated).clamp_min(0).sqrt()


def _chroma_share(chroma: Tensor) -> Tensor:
    return (chroma**7 / (chroma**7 + _SEVENTH)).sqrt()


def _hue(a: Tensor, b: Tensor) -> Tensor:
    """Degrees 0..360; 0 for grey."""
    return torch.rad2deg(torch.atan2(b, a)) % 360


def _turn(h1: Tensor, h2: Tensor, product: Tensor) -> Tensor:
    """Equation 10: from one hue to the other the short way round, 0 where one of them is grey."""
    turn = h2 - h1
    turn = torch.where(turn > 180, turn - 360, torch.where(turn < -180, turn + 360, turn))
    return torch.where(product == 0, torch.zeros_like(turn), turn)


def _mean_hue(h1: Tensor, h2: Tensor, product: Tensor) -> Tensor:
    """Equation 14."""
    total = h1 + h2
    across = torch.where(total < 360, total + 360, total - 360)
    mean = torch.where((h1 - h2).abs() <= 180, total, across) / 2
    return torch.where(product == 0, total, mean)


def _hue_weight(hue: Tensor) -> Tensor:
    """Equation 15."""
    terms = ((-0.17, 1, -30.0), (0.24, 2, 0.0), (0.32, 3, 6.0), (-0.20, 4, -63.0))
    return 1 + sum((k * torch.cos(torch.deg2rad(n * hue + shift)) for k, n, shift in terms), torch.zeros_like(hue))


def _rotation(hue: Tensor, chroma: Tensor) -> Tensor:
    """Equations 16, 17 and 21."""
    angle = 60 * torch.exp(-(((hue - 275) / 25) ** 2)) * (math.pi / 180)
    return -torch.sin(angle) * 2 * _chroma_share(chroma)
