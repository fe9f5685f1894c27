"""What happens between frames: flicker, and whether light comes late."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody uses
from torch import Tensor

from vfxswap.ops.flow import dense_flow, flow_confidence, warp_by_flow
from vfxswap.ops.relight import luma
from vfxswap.score.fidelity import TONE
from vfxswap.score.region import Region, mean, toned

_CELLS: Final = 3
"""A side, over the matte's box; light is followed in each."""
_LEAST_CHANGE: Final = 0.5 / 255
"""Root mean square change of a cell, in codes 0..1 a frame, below which there is nothing to be late with."""
_MOST_SHIFT: Final = 4
_ROUNDING: Final = 2 / 12 / 255**2
"""Mean squared difference of two pictures that were rounded to 8 bits."""
_FEWEST_PAIRS: Final = 4


class Change(NamedTuple):
    """What changed from one frame to the next, in the later one's box."""

    detail: Tensor
    """`(3, h, w)` of the pixels."""
    tone: Tensor
    """`(3, h', w')` of the tone."""
    weight: Tensor
    """`(h, w)` where both frames are inside the matte."""
    tone_weight: Tensor
    """`(h', w')`."""


def change(now: Tensor, before: Tensor, weight: Tensor, *, size_px: float) -> Change:
    """The difference of two frames.

    Args:
        now: `(3, h, w)` R'G'B'.
        before: `(3, h, w)`, the frame before, in the same place (or brought there by `followed`).
        weight: `(h, w)` where both are inside the matte.
        size_px: The face's size, for the tone.
    """
    detail = now - before
    tone, share = toned(detail, weight, sigma_px=TONE * size_px)
    return Change(detail, tone, weight, share)


def flicker(ours: Change, theirs: Change) -> tuple[float, float]:
    """Mean squared difference of two movies' changes, of pixels and of tone; 0 is perfect.

    What the truth does too is no flicker, however fast it is. (The difference of temporal differences: the
    zero-baseline form of the temporal error of N. Bonneel et al., "Blind video temporal consistency", SIGGRAPH Asia
    2015, which is taken against a reference.)
    """
    return (
        mean((ours.detail - theirs.detail) ** 2, ours.weight),
        mean((ours.tone - theirs.tone) ** 2, ours.tone_weight),
    )


def followed(now: Tensor, before: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The motion of a plate, by optical flow on its own pictures.

    Args:
        now: `(3, h, w)` R'G'B' of the plate, at least 32 pixels a side.
        before: `(3, h, w)`, the frame before.
        weight: `(h, w)` where both are inside the matte.

    Returns:
        `(2, h, w)` the flow from now to before, for `warp_by_flow`; and `(h, w)` the weight where it can be trusted
        (W.-S. Lai et al., "Learning blind video temporal consistency", ECCV 2018, leave out hidden pixels likewise).
    """
    there, back = dense_flow(now, before, quality="medium"), dense_flow(before, now, quality="medium")
    return there, weight * flow_confidence(there, back)[0]


def compensated(before: Tensor, flow: Tensor) -> Tensor:
    """The frame before, moved onto the present one by the plate's flow."""
    return warp_by_flow(before, flow, mode="bicubic")


def unrest_ratio(result: tuple[Tensor, Tensor], truth: tuple[Tensor, Tensor], weight: Tensor) -> float:
    """How much more a result changes than a truth does, where neither ought to: along the truth's own motion.

    The ratio of their warping errors (the temporal error of Lai et al. 2018, as root mean squares). Rounding to 8 bits
    is added to both, so that a still picture has one. A soft picture changes less than a sharp one.

    Args:
        result: `(3, h, w)` R'G'B' of a frame, and of the one before.
        truth: The same of the truth, at least 32 pixels a side.
        weight: `(h, w)` where both frames are inside the matte.
    """
    flow, trusted = followed(*truth, weight)
    ours, true = (mean((now - compensated(before, flow)) ** 2, trusted) for now, before in (result, truth))
    return math.sqrt((ours + _ROUNDING) / (true + _ROUNDING))


def cells(picture: Tensor, region: Region) -> Tensor:
    """`(9,)` float64: mean luma in each of 3 x 3 cells over the matte's own box, so that they go with the face."""
    shown = region.inside > 0.5
    rows, columns = (shown.any(dim=dim).nonzero().flatten() for dim in (1, 0))
    if not len(rows):
        return torch.full((_CELLS**2,), math.nan, dtype=torch.float64)
    part = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    share = region.inside[part].double()[None]
    bright = luma(picture)[0][part].double()[None] * share
    sums, weights = (F.adaptive_avg_pool2d(plane, _CELLS).flatten().cpu() for plane in (bright, share))
    return sums / weights.clamp_min(1e-6)


def lag_frames(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float | None:
    """How much later light changes in one movie than in another.

    The shift at which the frame-to-frame changes of the cells correlate best (normalised cross-correlation), between
    frames by the parabola through the best and its neighbours.

    Args:
        ours: `(9,)` of each frame, of `cells`; NaN where there was no face.
        theirs: The same of the reference.

    Returns:
        Frames, positive if ours comes late; None if the shot is too short (fewer than 9 frames), or the reference's
        light hardly changes, so that there is nothing to be late with.
    """
    if len(ours) < 2 * _FEWEST_PAIRS + 1:
        return None
    first, second = (torch.stack(list(series)).diff(dim=0) for series in (ours, theirs))
    seen = (first + second).isfinite()
    first, second = (torch.where(seen, values, 0.0) for values in (first, second))
    if float(second.square().mean().sqrt()) < _LEAST_CHANGE:
        return None
    most = min(_MOST_SHIFT, len(first) - _FEWEST_PAIRS)
    found = [_correlation(first, second, shift) for shift in range(-most, most + 1)]
    best = max(range(len(found)), key=found.__getitem__)
    return best - most + _vertex(found, best)


def _correlation(first: Tensor, second: Tensor, shift: int) -> float:
    count = len(first) - abs(shift)
    late, early = first[max(shift, 0) :][:count], second[max(-shift, 0) :][:count]
    energy = float(late.square().sum() * early.square().sum())
    return float((late * early).sum()) / math.sqrt(energy) if energy > 0 else 0.0


def _vertex(found: Sequence[float], best: int) -> float:
    """Where the parabola through three values has its top, from the middle one, -0.5..0.5."""
    if not 0 < best < len(found) - 1:
        return 0.0
    left, middle, right = found[best - 1 : best + 2]
    bend = left - 2 * middle + right
    return 0.0 if bend >= 0 else (left - right) / (2 * bend)
