"""Colours of skin and hair, and the curve by which scene-linear pictures are stored."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vfxswap.lab.looks import Rgb

_SKIN_LAB = (
    (-70.0, (29.0, 8.0, 9.0)),
    (-50.0, (35.0, 10.0, 12.5)),
    (-15.0, (45.0, 12.5, 18.5)),
    (17.0, (56.0, 12.0, 19.5)),
    (34.0, (62.0, 10.5, 18.0)),
    (47.0, (66.5, 9.5, 15.5)),
    (58.0, (71.0, 7.5, 13.0)),
    (65.0, (74.0, 6.5, 11.5)),
)
"""CIE L*a*b* (D65) of bare skin by typology angle, one tone inside each class of the scale."""

_XYZ_TO_RGB = (
    (3.2404542, -1.5371385, -0.4985314),
    (-0.9692660, 1.8760108, 0.0415560),
    (0.0556434, -0.2040259, 1.0572252),
)
"""CIE XYZ to linear BT.709 (ITU-R BT.709-6, D65 white)."""
_D65 = (0.95047, 1.0, 1.08883)


def skin_rgb(ita_degrees: float) -> Rgb:
    """Albedo of bare skin of a typology angle, scene-linear BT.709.

    The individual typology angle is `atan((L* - 50) / b*)` (A. Chardon, I. Cretois and C. Hourseau, "Skin colour
    typology and suntanning pathways", 1991): above 55 very light, 41..55 light, 28..41 intermediate, 10..28 tan,
    -30..10 brown, below -30 dark. L* and b* are placed inside each class; a* follows the 7..13 that surveys with
    spectrophotometers find (K. Xiao et al., "Characterising the variations in ethnic skin colours", 2017).
    """
    keys = _SKIN_LAB
    angle = min(max(ita_degrees, keys[0][0]), keys[-1][0])
    after = next(index for index, key in enumerate(keys) if key[0] >= angle)
    (a0, low), (a1, high) = keys[max(after - 1, 0)], keys[after]
    part = 0.0 if a1 == a0 else (angle - a0) / (a1 - a0)
    return lab_to_rgb([x + (y - x) * part for x, y in zip(low, high, strict=True)])


def lab_to_rgb(lab: Sequence[float]) -> Rgb:
    """CIE L*a*b* (D65) to scene-linear BT.709 (CIE 15:2018, 8.2.1)."""
    y = (lab[0] + 16) / 116
    steps = (y + lab[1] / 500, y, y - lab[2] / 200)
    xyz = [
        white * (step**3 if step > 6 / 29 else 3 * (6 / 29) ** 2 * (step - 4 / 29))
        for step, white in zip(steps, _D65, strict=True)
    ]
    red, green, blue = (sum(k * v for k, v in zip(row, xyz, strict=True)) for row in _XYZ_TO_RGB)
    return red, green, blue


def srgb_encoded(linear: Tensor) -> Tensor:
    """Scene-linear light to sRGB code values (IEC 61966-2-1), clipped to 0..1."""
    curve = 1.055 * linear.clamp_min(1e-8) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, curve).clamp(0.0, 1.0)


def srgb_decoded(encoded: Tensor) -> Tensor:
    """SRGB code values to scene-linear light, the inverse of `srgb_encoded` inside 0..1."""
    return torch.where(encoded <= 0.04045, encoded / 12.92, ((encoded.clamp_min(0) + 0.055) / 1.055) ** 2.4)
