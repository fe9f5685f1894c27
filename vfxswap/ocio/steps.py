"""The operations of a transform, as data: what OpenColorIO makes of two spaces, for others to compute.

Each step says in full what it does to R, G and B; the formulas are those of OpenColorIO's documentation of its
transforms, and what is computed from them is held to its own CPU result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import PyOpenColorIO as Ocio
from numpy.typing import NDArray

Triple = tuple[float, float, float]

_FLOAT_MIN: Final = float(np.finfo(np.float32).tiny)
_SURROUND_FLOOR: Final = 1e-4
"""Luminance below which HLG's gain stays as it is, so that black can be undone."""
_NEGATIVES: Final = {
    Ocio.NEGATIVE_CLAMP: "clamp",
    Ocio.NEGATIVE_MIRROR: "mirror",
    Ocio.NEGATIVE_PASS_THRU: "pass",
    Ocio.NEGATIVE_LINEAR: "linear",
}


@dataclass(frozen=True, slots=True)
class MatrixStep:
    """`rows @ rgb + offset`."""

    rows: tuple[Triple, Triple, Triple]
    offset: Triple


@dataclass(frozen=True, slots=True)
class PowerStep:
    """`rgb ** exponent` above 0; below it 0 (`clamp`), mirrored (`mirror`), or as it was (`pass`)."""

    exponent: Triple
    negatives: str


@dataclass(frozen=True, slots=True)
class KneeStep:
    """A power with a straight foot, as sRGB's.

    `slope * x` up to `knee`, `gain * (scale * x + offset) ** exponent - lift` above; below 0 the line goes on
    (`linear`), or all is mirrored (`mirror`).
    """

    exponent: Triple
    scale: Triple
    offset: Triple
    gain: Triple
    lift: Triple
    knee: Triple
    slope: Triple
    negatives: str


@dataclass(frozen=True, slots=True)
class LogStep:
    """`log_slope * ln(max(lin_slope * x + lin_offset, tiny)) + log_offset`; `slope * x + shift` below `knee`."""

    log_slope: Triple
    log_offset: Triple
    lin_slope: Triple
    lin_offset: Triple
    knee: Triple | None
    slope: Triple
    shift: Triple


@dataclass(frozen=True, slots=True)
class ExpStep:
    """Undoes `LogStep`.

    `(exp((x - log_offset) / log_slope) - lin_offset) / lin_slope`; `(x - shift) / slope` below `knee`.
    """

    log_slope: Triple
    log_offset: Triple
    lin_slope: Triple
    lin_offset: Triple
    knee: Triple | None
    slope: Triple
    shift: Triple


@dataclass(frozen=True, slots=True, eq=False)
class CurveStep:
    """Straight lines between points, flat beyond the first and the last; one curve a channel."""

    x: tuple[NDArray[np.float32], ...]
    """Ascending."""
    y: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, slots=True)
class RangeStep:
    """`scale * x + offset`, then no lower than `low`, no higher than `high`."""

    scale: float
    offset: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SurroundStep:
    """`rgb * max(|Y|, floor) ** exponent`, where Y is BT.2020's luminance: HLG's OOTF (ITU-R BT.2100-2, table 5)."""

    exponent: float
    floor: float


Step = MatrixStep | PowerStep | KneeStep | LogStep | ExpStep | CurveStep | RangeStep | SurroundStep


class Uncovered(Exception):
    """An operation that is none of these."""


def steps_of(processor: Ocio.Processor) -> tuple[Step, ...]:
    """What a processor does, in order.

    Raises:
        Uncovered: It does something else too; says what.
    """
    steps: list[Step] = []
    for transform in processor.getOptimizedProcessor(Ocio.OPTIMIZATION_LOSSLESS).createGroupTransform():
        make = _MAKERS.get(type(transform))
        if make is None:
            raise Uncovered(_words(transform))
        steps.append(make(transform))
    return tuple(steps)


def _words(transform: Any) -> str:
    """`FixedFunction ACES_OutputTransform20`, `Lut3D`."""
    style = getattr(transform, "getStyle", None)
    name = type(transform).__name__.removesuffix("Transform")
    return name if style is None else f"{name} {style().name}"


def _is_forward(transform: Any) -> bool:
    return bool(transform.getDirection() == Ocio.TRANSFORM_DIR_FORWARD)


def _triple(values: Any) -> Triple:
    r, g, b = (float(value) for value in list(values)[:3])
    return r, g, b


def _each(make: Any, *triples: Triple) -> Triple:
    """A function of one channel's numbers, for each of the three."""
    r, g, b = (float(make(*channel)) for channel in zip(*triples, strict=True))
    return r, g, b


def _matrix(transform: Ocio.MatrixTransform) -> MatrixStep:
    whole: NDArray[np.float64] = np.eye(5)
    whole[:4, :4], whole[:4, 4] = np.reshape(transform.getMatrix(), (4, 4)), transform.getOffset()
    if whole[:3, 3].any():
        raise Uncovered("Matrix with alpha")
    whole = whole if _is_forward(transform) else np.asarray(np.linalg.inv(whole), np.float64)
    return MatrixStep((_triple(whole[0]), _triple(whole[1]), _triple(whole[2])), _triple(whole[:3, 4]))


def _power(transform: Ocio.ExponentTransform) -> PowerStep:
    exponent = _triple(transform.getValue())
    if not _is_forward(transform):
        exponent = _each(lambda value: 1 / value, exponent)
    return PowerStep(exponent, _NEGATIVES[transform.getNegativeStyle()])


def _knee(transform: Ocio.ExponentWithLinearTransform) -> KneeStep:
    gamma, offset = _triple(transform.getGamma()), _triple(transform.getOffset())
    negatives = _NEGATIVES[transform.getNegativeStyle()]
    if any(not value for value in offset) or any(value == 1 for value in gamma):
        raise Uncovered("ExponentWithLinear without a foot")
    light = _each(lambda g, o: o / (g - 1), gamma, offset)  # where line and curve touch, as a code
    curve = _each(lambda g, o, x: ((x + o) / (1 + o)) ** g, gamma, offset, light)
    one: Triple = (1.0, 1.0, 1.0)
    none: Triple = (0.0, 0.0, 0.0)
    if _is_forward(transform):
        return KneeStep(
            exponent=gamma,
            scale=_each(lambda o: 1 / (1 + o), offset),
            offset=_each(lambda o: o / (1 + o), offset),
            gain=one,
            lift=none,
            knee=light,
            slope=_each(lambda y, x: y / x, curve, light),
            negatives=negatives,
        )
    return KneeStep(
        exponent=_each(lambda g: 1 / g, gamma),
        scale=one,
        offset=none,
        gain=_each(lambda o: 1 + o, offset),
        lift=offset,
        knee=curve,
        slope=_each(lambda y, x: x / y, curve, light),
        negatives=negatives,
    )


def _log(transform: Ocio.LogTransform) -> LogStep | ExpStep:
    slope = 1 / math.log(transform.getBase())
    flat: Triple = (0.0, 0.0, 0.0)
    one: Triple = (1.0, 1.0, 1.0)
    make = LogStep if _is_forward(transform) else ExpStep
    return make((slope,) * 3, flat, one, flat, None, one, flat)


def _log_affine(transform: Ocio.LogAffineTransform) -> LogStep | ExpStep:
    numbers = _log_numbers(transform)
    make = LogStep if _is_forward(transform) else ExpStep
    return make(*numbers, None, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))


def _log_numbers(transform: Any) -> tuple[Triple, Triple, Triple, Triple]:
    """Slope per neper and offset of the code, slope and offset of the light."""
    base = math.log(transform.getBase())
    return (
        _each(lambda slope: slope / base, _triple(transform.getLogSideSlopeValue())),
        _triple(transform.getLogSideOffsetValue()),
        _triple(transform.getLinSideSlopeValue()),
        _triple(transform.getLinSideOffsetValue()),
    )


def _log_camera(transform: Ocio.LogCameraTransform) -> LogStep | ExpStep:
    numbers = _log_numbers(transform)
    knee = _triple(transform.getLinSideBreakValue())
    argument = _each(lambda m, x, a: m * x + a, numbers[2], knee, numbers[3])
    code = _each(lambda k, y, b: k * math.log(max(y, _FLOAT_MIN)) + b, numbers[0], argument, numbers[1])
    slope = (
        _triple(transform.getLinearSlopeValue())
        if transform.isLinearSlopeValueSet()
        else _each(lambda k, m, y: k * m / y, numbers[0], numbers[2], argument)
    )
    shift = _each(lambda y, m, x: y - m * x, code, slope, knee)
    if _is_forward(transform):
        return LogStep(*numbers, knee, slope, shift)
    return ExpStep(*numbers, code, slope, shift)


def _range(transform: Ocio.RangeTransform) -> RangeStep:
    def bound(kind: str) -> float | None:
        return float(getattr(transform, f"get{kind}Value")()) if getattr(transform, f"has{kind}Value")() else None

    low, high, low_out, high_out = (bound(kind) for kind in ("MinIn", "MaxIn", "MinOut", "MaxOut"))
    if not _is_forward(transform):
        low, high, low_out, high_out = low_out, high_out, low, high
    scale, offset = 1.0, 0.0
    if low is not None and high is not None and low_out is not None and high_out is not None:
        scale = (high_out - low_out) / (high - low)
        offset = low_out - scale * low
    elif low is not None and low_out is not None:
        offset = low_out - low
    elif high is not None and high_out is not None:
        offset = high_out - high
    if transform.getStyle() == Ocio.RANGE_NO_CLAMP:
        return RangeStep(scale, offset, -math.inf, math.inf)
    return RangeStep(
        scale, offset, -math.inf if low_out is None else low_out, math.inf if high_out is None else high_out
    )


def _curve(transform: Ocio.Lut1DTransform) -> CurveStep:
    if transform.getHueAdjust() != Ocio.HUE_NONE or transform.getOutputRawHalfs():
        raise Uncovered("Lut1D with hue adjustment or raw halves")
    if transform.getInterpolation() == Ocio.INTERP_NEAREST:
        raise Uncovered("Lut1D without interpolation")
    table = np.nan_to_num(np.asarray(transform.getData(), np.float32).reshape(-1, 3))  # an infinity is the largest
    if transform.getInputHalfDomain():
        x, table = _by_halves(table)
    else:
        x = np.linspace(0, 1, len(table)).astype(np.float32)
    channels = [np.ascontiguousarray(table[:, channel]) for channel in range(3)]
    if _is_forward(transform):
        return CurveStep((x, x, x), tuple(channels))
    points = [_inverse(x, channel) for channel in channels]
    return CurveStep(tuple(ys for _, ys in points), tuple(xs for xs, _ in points))


def _by_halves(table: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A table that is looked up by a half's bits: its finite values, ascending, and what stands there."""
    bits = np.concatenate([np.arange(0xFBFF, 0x8000, -1), np.arange(0x7C00)]).astype(np.uint16)
    return bits.view(np.float16).astype(np.float32), table[bits]


def _inverse(x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The points of a curve that is read backwards: made rising, without the flat parts at its ends."""
    if y[-1] < y[0]:
        x, y = x[::-1], y[::-1]
    y = np.maximum.accumulate(y)
    first = int(np.searchsorted(y, y[0], "right")) - 1
    last = int(np.searchsorted(y, y[-1], "left"))
    part = slice(first, max(last, first) + 1)
    return np.ascontiguousarray(x[part]), np.ascontiguousarray(y[part])


def _fixed(transform: Ocio.FixedFunctionTransform) -> SurroundStep:
    if transform.getStyle() != Ocio.FIXED_FUNCTION_REC2100_SURROUND:
        raise Uncovered(_words(transform))
    (gamma,) = transform.getParams()
    if _is_forward(transform):
        return SurroundStep(gamma - 1, _SURROUND_FLOOR)
    return SurroundStep(1 / gamma - 1, _SURROUND_FLOOR**gamma)


_MAKERS: Final[dict[type, Any]] = {
    Ocio.MatrixTransform: _matrix,
    Ocio.ExponentTransform: _power,
    Ocio.ExponentWithLinearTransform: _knee,
    Ocio.LogTransform: _log,
    Ocio.LogAffineTransform: _log_affine,
    Ocio.LogCameraTransform: _log_camera,
    Ocio.RangeTransform: _range,
    Ocio.Lut1DTransform: _curve,
    Ocio.FixedFunctionTransform: _fixed,
}
