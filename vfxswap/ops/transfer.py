"""Transfer functions and primaries: between a plate's own R'G'B' and the face space.

The face space is "sRGB - Texture": BT.709 primaries, the sRGB curve, display-referred, 1.0 is diffuse white, values
outside 0..1 are kept. What that means for a plate is decided here, once:

- *SDR* (BT.709, BT.601, BT.2020, sRGB codes): the codes are taken as they are. A graded SDR picture is made for its
  display, and whether that display follows BT.1886 or sRGB is a matter of viewing, not of content; to apply the
  difference would only cost exactness. So with BT.709 primaries nothing is computed. Other primaries are matrixed in
  the light of the face space's own curve, which leaves greys alone.
- *PQ* (SMPTE ST 2084) is display light; 203 cd/m2, the reference white of ITU-R BT.2408, becomes 1.0.
- *HLG* (ITU-R BT.2100) is turned into the display light of the nominal 1000 cd/m2 display (system gamma 1.2), whose
  203 cd/m2 (75 % HLG for grey) become 1.0, so that one scene graded in both systems looks alike.
- *Linear* is scene light whose 1.0 is diffuse white.

Every curve is odd, `f(-x) = -f(x)`, so out-of-gamut colours survive the journey there and back. Powers are computed as
`exp(p log x)`: torch's own float32 `pow` rounds differently in its vector and its scalar code, so that its bits would
depend on the thread count and on how many faces are stacked.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from vfxswap.color import ColorTags, Primaries, Transfer
from vfxswap.errors import ColorError, ShapeError

REFERENCE_WHITE_NITS: Final = 203.0
"""Diffuse white of HDR pictures, cd/m2 (ITU-R BT.2408-7, 2.2)."""
HLG_PEAK_NITS: Final = 1000.0
"""Peak of the nominal HLG display, cd/m2 (ITU-R BT.2100-2, table 5)."""
HLG_GAMMA: Final = 1.2
"""System gamma of that display (ITU-R BT.2100-2, table 5)."""

_HLG_A: Final = 0.17883277
_HLG_B: Final = 1 - 4 * _HLG_A
_HLG_C: Final = 0.5 - _HLG_A * math.log(4 * _HLG_A)
_HLG_FLOOR: Final = 1e-4  # below this luminance the OOTF's gain stays constant, else it could not be undone at black
_PQ_M1: Final = 2610 / 16384
_PQ_M2: Final = 2523 / 4096 * 128
_PQ_C1: Final = 3424 / 4096
_PQ_C2: Final = 2413 / 4096 * 32
_PQ_C3: Final = 2392 / 4096 * 32
_PQ_PEAK_NITS: Final = 10000.0

_SDR: Final = frozenset({Transfer.BT709, Transfer.SMPTE170M, Transfer.BT2020_10, Transfer.BT2020_12, Transfer.SRGB})

_D65: Final = (0.3127, 0.3290)
_ACES_WHITE: Final = (0.32168, 0.33767)
_CHROMATICITIES: Final[dict[Primaries, tuple[tuple[float, float], ...]]] = {
    Primaries.BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    Primaries.BT470BG: ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),
    Primaries.SMPTE170M: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    Primaries.BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    Primaries.P3_D65: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    Primaries.AP0: ((0.7347, 0.2653), (0.0, 1.0), (0.0001, -0.0770)),
    Primaries.AP1: ((0.713, 0.293), (0.165, 0.830), (0.128, 0.044)),
}
"""x and y of red, green and blue."""
_WHITES: Final = {Primaries.AP0: _ACES_WHITE, Primaries.AP1: _ACES_WHITE}
"""x and y of white, where it is not D65."""
_BRADFORD: Final = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
"""From XYZ to the responses of the eye that are adapted (Lam 1985; ICC.1:2022, annex E)."""


def to_face(rgb: Tensor, tags: ColorTags) -> Tensor:
    """Brings a plate's R'G'B' to the face space.

    Args:
        rgb: `(..., 3, H, W)` float R'G'B' as the plate codes it, nominally 0..1.
        tags: The plate's colour; only primaries and transfer are read.

    Returns:
        The same shape and dtype; 1.0 is diffuse white, nothing is clipped. `rgb` itself where the spaces agree.

    Raises:
        ColorError: Primaries or transfer are unspecified.
        ShapeError: There are not three channels.
    """
    _check(rgb, tags)
    if _is_face_space(tags):
        return rgb
    light = _sdr_light(rgb) if tags.transfer in _SDR else eotf(rgb, tags.transfer, tags.primaries)
    return _sdr_code(matrixed(light, primaries_matrix(tags.primaries, Primaries.BT709)))


def from_face(rgb: Tensor, tags: ColorTags) -> Tensor:
    """Brings R'G'B' of the face space back to the plate's own; undoes `to_face`.

    In float32 the journey there and back is exact to 1e-4, but for a channel that is a thousand times darker than the
    brightest of its pixel: there the steep foot of the curve makes up to 1e-3 (HLG) or 2e-2 (PQ) of the rounding.

    Args:
        rgb: `(..., 3, H, W)` float R'G'B' of the face space.
        tags: The plate's colour; only primaries and transfer are read.

    Returns:
        The same shape and dtype, as the plate codes it; nothing is clipped. `rgb` itself where the spaces agree.

    Raises:
        ColorError: Primaries or transfer are unspecified.
        ShapeError: There are not three channels.
    """
    _check(rgb, tags)
    if _is_face_space(tags):
        return rgb
    light = matrixed(_sdr_light(rgb), primaries_matrix(Primaries.BT709, tags.primaries))
    return _sdr_code(light) if tags.transfer in _SDR else inverse_eotf(light, tags.transfer, tags.primaries)


def eotf(code: Tensor, transfer: Transfer, primaries: Primaries = Primaries.BT2020) -> Tensor:
    """Turns code values into display light, of which 1.0 is diffuse white.

    BT.709, BT.601 and BT.2020 SDR follow BT.1886 with a perfect black (`V ** 2.4`), sRGB IEC 61966-2-1, PQ SMPTE
    ST 2084, HLG BT.2100 with its OOTF; linear stays as it is.

    Args:
        code: `(..., 3, H, W)` float R'G'B'.
        transfer: Which curve.
        primaries: Whose luminance HLG's OOTF goes by.

    Raises:
        ColorError: The transfer is unspecified.
    """
    if transfer is Transfer.LINEAR:
        return code
    if transfer is Transfer.SRGB:
        return _sdr_light(code)
    if transfer in _SDR:
        return _power(code, 2.4)
    if transfer is Transfer.PQ:
        return _pq_light(code) * (_PQ_PEAK_NITS / REFERENCE_WHITE_NITS)
    if transfer is Transfer.HLG:
        return _ootf(inverse_oetf(code, transfer), primaries) * (HLG_PEAK_NITS / REFERENCE_WHITE_NITS)
    raise _unspecified("transfer")


def inverse_eotf(light: Tensor, transfer: Transfer, primaries: Primaries = Primaries.BT2020) -> Tensor:
    """Undoes `eotf`: code values for display light of which 1.0 is diffuse white.

    Args:
        light: `(..., 3, H, W)` float RGB.
        transfer: Which curve.
        primaries: Whose luminance HLG's OOTF goes by.

    Raises:
        ColorError: The transfer is unspecified.
    """
    if transfer is Transfer.LINEAR:
        return light
    if transfer is Transfer.SRGB:
        return _sdr_code(light)
    if transfer in _SDR:
        return _power(light, 1 / 2.4)
    if transfer is Transfer.PQ:
        return _pq_code(light * (REFERENCE_WHITE_NITS / _PQ_PEAK_NITS))
    if transfer is Transfer.HLG:
        return oetf(_inverse_ootf(light * (REFERENCE_WHITE_NITS / HLG_PEAK_NITS), primaries), transfer)
    raise _unspecified("transfer")


def oetf(light: Tensor, transfer: Transfer) -> Tensor:
    """Turns scene light into code values, as a camera does.

    BT.709, BT.601 and BT.2020 SDR share one curve (ITU-R BT.709-6, 1.2, with the constants of BT.2020-2 table 4 to full
    precision, which make it continuous); HLG is BT.2100-2 table 5, whose scene light 1.0 is the peak.

    Args:
        light: Float scene light, any shape, 1.0 is the code 1.0.
        transfer: Which curve.

    Raises:
        ColorError: The transfer has no camera curve (PQ), or is unspecified.
    """
    magnitude = light.abs()
    if transfer in (Transfer.LINEAR, Transfer.SRGB):
        return inverse_eotf(light, transfer)
    if transfer is Transfer.HLG:
        log = _HLG_A * (12 * magnitude - _HLG_B).clamp_min(1 - _HLG_B).log() + _HLG_C
        return torch.where(magnitude <= 1 / 12, (3 * magnitude).sqrt(), log).copysign(light)
    if transfer in _SDR:
        alpha, beta = 1.09929682680944, 0.018053968510807
        curve = alpha * _power(magnitude, 0.45) - (alpha - 1)
        return torch.where(magnitude < beta, 4.5 * magnitude, curve).copysign(light)
    raise ColorError(f"{transfer.name} has no camera curve (OETF); use eotf for display light")


def inverse_oetf(code: Tensor, transfer: Transfer) -> Tensor:
    """Undoes `oetf`: scene light for code values.

    Args:
        code: Float R'G'B', any shape.
        transfer: Which curve.

    Raises:
        ColorError: The transfer has no camera curve (PQ), or is unspecified.
    """
    magnitude = code.abs()
    if transfer in (Transfer.LINEAR, Transfer.SRGB):
        return eotf(code, transfer)
    if transfer is Transfer.HLG:
        exponential = (((magnitude - _HLG_C) / _HLG_A).exp() + _HLG_B) / 12
        return torch.where(magnitude <= 0.5, magnitude * magnitude / 3, exponential).copysign(code)
    if transfer in _SDR:
        alpha, beta = 1.09929682680944, 0.018053968510807
        curve = _power((magnitude + (alpha - 1)) / alpha, 1 / 0.45)
        return torch.where(magnitude < 4.5 * beta, magnitude / 4.5, curve).copysign(code)
    raise ColorError(f"{transfer.name} has no camera curve (OETF); use eotf for display light")


def primaries_matrix(source: Primaries, target: Primaries) -> Tensor:
    """The matrix that takes linear RGB of one set of primaries to another's.

    Derived from chromaticities as in SMPTE RP 177; from one white to another by Bradford's linear adaptation, as the
    ACES configurations of OpenColorIO do: white stays white.

    Args:
        source: Primaries of the colours there are.
        target: Primaries of the colours wanted.

    Returns:
        `(3, 3)` float64 for column vectors; each row sums to 1.

    Raises:
        ColorError: One of them is unspecified.
    """
    xyz = _adaptation(_white(source), _white(target)) @ _rgb_to_xyz(source)
    matrix: Tensor = torch.linalg.solve(_rgb_to_xyz(target), xyz)
    return matrix


def matrixed(rgb: Tensor, matrix: Tensor) -> Tensor:
    """Multiplies each pixel by a matrix.

    Written out as sums of planes: a matrix product's order of summation would depend on the batch and on the threads.

    Args:
        rgb: `(..., 3, H, W)` float.
        matrix: `(3, 3)`.

    Returns:
        The shape and dtype of `rgb`.
    """
    r, g, b = rgb.unbind(-3)
    rows = matrix.tolist()
    return torch.stack([r * row[0] + g * row[1] + b * row[2] for row in rows], dim=-3)


def _check(rgb: Tensor, tags: ColorTags) -> None:
    if rgb.ndim < 3 or rgb.shape[-3] != 3:
        raise ShapeError("picture", expected="(..., 3, H, W)", actual=str(tuple(rgb.shape)))
    if tags.transfer is Transfer.UNSPECIFIED:
        raise _unspecified("transfer")
    if tags.primaries is Primaries.UNSPECIFIED:
        raise _unspecified("primaries")


def _unspecified(what: str) -> ColorError:
    return ColorError(f'the {what} of the picture are not specified; state [shot] color_space, as "bt709"')


def _is_face_space(tags: ColorTags) -> bool:
    return tags.primaries is Primaries.BT709 and tags.transfer in _SDR


def _rgb_to_xyz(primaries: Primaries) -> Tensor:
    if primaries not in _CHROMATICITIES:
        raise _unspecified("primaries")
    xy = torch.tensor(_CHROMATICITIES[primaries], dtype=torch.float64)
    xyz = torch.stack([xy[:, 0], xy[:, 1], 1 - xy.sum(dim=1)])
    scale: Tensor = torch.linalg.solve(xyz, _white(primaries))
    return xyz * scale


def _white(primaries: Primaries) -> Tensor:
    """XYZ of white, Y is 1."""
    x, y = _WHITES.get(primaries, _D65)
    return torch.tensor([x / y, 1.0, (1 - x - y) / y], dtype=torch.float64)


def _adaptation(source: Tensor, target: Tensor) -> Tensor:
    """From XYZ under one white to XYZ under another; exactly nothing where they are the same."""
    if torch.equal(source, target):
        return torch.eye(3, dtype=torch.float64)
    cone = torch.tensor(_BRADFORD, dtype=torch.float64)
    adapted: Tensor = torch.linalg.solve(cone, ((cone @ target) / (cone @ source))[:, None] * cone)
    return adapted


def _power(value: Tensor, exponent: float) -> Tensor:
    return (value.abs().log() * exponent).exp().copysign(value)


def _sdr_light(code: Tensor) -> Tensor:
    """IEC 61966-2-1, odd."""
    magnitude = code.abs()
    curve = _power((magnitude + 0.055) / 1.055, 2.4)
    return torch.where(magnitude <= 0.04045, magnitude / 12.92, curve).copysign(code)


def _sdr_code(light: Tensor) -> Tensor:
    magnitude = light.abs()
    curve = 1.055 * _power(magnitude, 1 / 2.4) - 0.055
    return torch.where(magnitude <= 0.04045 / 12.92, 12.92 * magnitude, curve).copysign(light)


def _pq_light(code: Tensor) -> Tensor:
    """SMPTE ST 2084:2014, equations 4 and 5; 1.0 is 10000 cd/m2."""
    root = _power(code.abs(), 1 / _PQ_M2)
    ratio = (root - _PQ_C1).clamp_min(0) / (_PQ_C2 - _PQ_C3 * root)
    return _power(ratio, 1 / _PQ_M1).copysign(code)


def _pq_code(light: Tensor) -> Tensor:
    """SMPTE ST 2084:2014, equation 6."""
    root = _power(light.abs(), _PQ_M1)
    return _power((_PQ_C1 + _PQ_C2 * root) / (1 + _PQ_C3 * root), _PQ_M2).copysign(light)


def _luminance(light: Tensor, primaries: Primaries) -> Tensor:
    weights = _rgb_to_xyz(primaries)[1].tolist()
    r, g, b = light.unbind(-3)
    luminance: Tensor = r * weights[0] + g * weights[1] + b * weights[2]
    return luminance.unsqueeze(-3)


def _ootf(scene: Tensor, primaries: Primaries) -> Tensor:
    """BT.2100-2 table 5: each channel times the scene luminance to the power `gamma - 1`; the peak is 1.0."""
    gain = _power(_luminance(scene, primaries).abs().clamp_min(_HLG_FLOOR), HLG_GAMMA - 1)
    return scene * gain


def _inverse_ootf(display: Tensor, primaries: Primaries) -> Tensor:
    luminance = _luminance(display, primaries).abs().clamp_min(_HLG_FLOOR**HLG_GAMMA)
    return display * _power(luminance, (1 - HLG_GAMMA) / HLG_GAMMA)
