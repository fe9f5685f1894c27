"""Where a new shot starts, seen in small pictures: hard cuts, dissolves, and fades.

Two facts are joined. What the picture is made of: the Bhattacharyya distance of coarse colour histograms. Where it is:
one minus the zero-mean normalised correlation of the luma, best over small shifts, which neither an exposure change nor
a slow pan moves. A cut changes both, a flash mostly the first, a moving camera mostly the second, so the change is
their geometric mean.

A *hard cut* is found by comparing that change with the neighbourhood, as adaptive detectors do: a cut separates *every*
frame shortly before from every frame shortly after (a flash of up to three frames does not), and stands out from the
change within the two sides (a whip pan does not). Where all else is still, a small change is enough.

In the middle of a *dissolve* frames are the mean of two pictures that have nothing in common, one from before and one
from after (the linear model of Alattar 1993, "Detecting and compressing dissolve regions in video sequences"): motion
gives no such frames, and light alone changes no pictures in this sense. The new shot starts where it outweighs the old
one, as from there on it is what stages see. After a *fade* through black it starts with the first picture that is
there again.

All of it is decided from few frames before and after, so that any chunk of a plate decides alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from math import isnan, nan, sqrt
from typing import Final, Literal

import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody uses
from torch import Tensor

from vfxswap.errors import ShapeError

_CUT_SIDE: Final = 3  # frames before, and after, that tell what change is usual around a hard cut
_MIX_SIDE: Final = 12  # frames from the middle of a dissolve to pictures of one shot alone
WINDOW_BEHIND: Final = _MIX_SIDE + _CUT_SIDE
"""Frames before the one in question that `cut_before` looks at."""
WINDOW_AHEAD: Final = _MIX_SIDE
"""Frames after the one in question that `cut_before` looks at."""
DISSOLVE_FRAMES: Final = 2 * _MIX_SIDE
"""Longest dissolve that is sure to be found; of longer ones those that change much in so many frames."""
THUMBNAIL_SIZE: Final = (64, 36)
"""`(width, height)` of the pictures that the thresholds were found with; others near to it do as well."""
CUT_CHANGE: Final = 0.15
"""Least change of a cut between two pictures of which nothing else is known."""
CUT_RATIO: Final = 3.0
"""How much larger than the change on either side of it a cut must be."""

_SLIGHT_CHANGE: Final = 0.08  # of a cut on one set, where all else is still
_SLIGHT_RATIO: Final = 4.0  # how much larger it must be than the largest change on either side
_STOP_RATIO: Final = 1.5  # how much larger than the usual change before it: a whip pan that ends does not stand out
_REACH: Final = 2  # frames on each side that must all differ
_SHIFT_PX: Final = 2  # of the halved thumbnail
_LUMA_BINS: Final = 12
_CHROMA_BINS: Final = 8
_MIX_SIDES: Final = (_MIX_SIDE, 8, 5)  # the shorter ones beside another cut, or an end of the plate
_RELIT: Final = 0.6  # largest part of the difference that a gain leaves of a picture in other light
_MIX_RESIDUE: Final = 0.2  # largest part of the difference between two shots that is no mixture of them
_LEAST_DIFFERENCE: Final = 0.02  # between two shots, root mean square
_FLAT: Final = 0.008  # standard deviation of luma under which there is no picture
_PICTURED: Final = 0.015  # and above which there is one
_LEAST_CONTRAST: Final = 2e-3  # standard deviation of luma under which a picture counts as flat


def change(previous: Tensor, current: Tensor) -> float:
    """How much of a new shot the second picture looks like.

    Args:
        previous: `(3, h, w)` float32 R'G'B' 0..1, about `THUMBNAIL_SIZE`, averaged down rather than point-sampled.
        current: `(3, h, w)`, the next picture.

    Returns:
        0 for equal pictures, near 1 for pictures that share nothing; above `CUT_CHANGE` for most cuts.

    Raises:
        ShapeError: The pictures are not of one size, or smaller than 16 x 16.
    """
    if previous.shape != current.shape or previous.ndim != 3 or previous.shape[0] != 3 or min(previous.shape[1:]) < 16:
        raise ShapeError(
            "thumbnails",
            expected="two equal (3, h>=16, w>=16)",
            actual=f"{tuple(previous.shape)}, {tuple(current.shape)}",
        )
    distance = _histogram_distance(_histogram(previous), _histogram(current))
    return sqrt(distance * _misfit(_luma(previous), _luma(current)))


def is_cut(previous: Tensor, current: Tensor) -> bool:
    """Whether a new shot starts with the second of two pictures, judged by these alone.

    Use `cut_before` where neighbours are at hand: two pictures cannot tell a cut from a flash or a whip pan.

    Args:
        previous: `(3, h, w)` float32 R'G'B' 0..1.
        current: `(3, h, w)`.

    Raises:
        ShapeError: The pictures are not of one size, or smaller than 16 x 16.
    """
    return change(previous, current) > CUT_CHANGE


Kind = Literal["cut", "dissolve", "black"]
"""How one shot follows another: at once, mixed with it, or after black."""


def cut_before(window: Sequence[Tensor], center: int) -> bool:
    """Whether a new shot starts with `window[center]`; see `kind_before`."""
    return kind_before(window, center) is not None


def kind_before(window: Sequence[Tensor], center: int) -> Kind | None:
    """How a new shot starts with `window[center]`; None if none does.

    Only `WINDOW_BEHIND` frames before and `WINDOW_AHEAD` after it are looked at, so that any chunk of a plate decides
    alike. At the plate's ends the window is shorter. The first frame of all has nothing before it and gives None.

    Args:
        window: Successive pictures, `(3, h, w)` float32 R'G'B' 0..1 each, about `THUMBNAIL_SIZE`.
        center: Index of the frame in question.

    Raises:
        ShapeError: The pictures are not of one size, or smaller than 16 x 16.
    """
    start = max(center - WINDOW_BEHIND, 0)
    window, center = window[start : center + WINDOW_AHEAD + 1], center - start
    if _is_out_of_black(window, center):
        return "black"
    if _is_hard(window, center):
        return "cut"
    return "dissolve" if _is_mixed(window, center) else None


def _is_hard(window: Sequence[Tensor], center: int) -> bool:
    if center == 0 or _contrast(window[center]) < _FLAT:  # black follows: nothing that could be smeared
        return False
    before, after = window[max(center - _CUT_SIDE, 0) : center], window[center : center + _CUT_SIDE + 1]
    if change(before[-1], after[0]) <= _SLIGHT_CHANGE:
        return False
    across = [*product(before[-_REACH:], after[:_REACH]), *product(before[-1:], after), *product(before, after[:1])]
    least = min(change(a, b) for a, b in across)  # what returns within the window was a flash
    usual = sorted(change(a, b) for side in (before, after) for a, b in pairwise(side)) or [0.0]
    is_large = least > max(CUT_CHANGE, CUT_RATIO * usual[len(usual) // 2])
    is_slight = least > max(_SLIGHT_CHANGE, _SLIGHT_RATIO * usual[-1])
    if not is_large and not is_slight:
        return False
    moving = sorted(change(a, b) for a, b in pairwise(before)) or [0.0]
    return least > _STOP_RATIO * moving[len(moving) // 2] and not _is_gradual(window, center)


def _is_gradual(window: Sequence[Tensor], center: int) -> bool:
    """Whether one shot becomes the other over several frames, of which this is one."""
    side = _MIX_SIDES[-1]
    if center < side or center + side > len(window):
        return False
    old, new = window[center - side], window[center + side - 1]
    before, after = (_share(old, picture, new) for picture in window[center - 1 : center + 1])
    return after - before < 0.5


def _is_mixed(window: Sequence[Tensor], center: int) -> bool:
    """Whether the later of two shots that are mixed outweighs the other from this frame on."""
    for side in _MIX_SIDES:
        first, last = center - side, center + side
        if first < 0 or last >= len(window):
            continue
        share, *sooner = (_share_at(window, center - back, side) for back in range(_CUT_SIDE + 1))
        if isnan(share) or isnan(sooner[0]):
            continue
        if share < 0.5 or any(other >= 0.5 for other in sooner):
            return False
        old, new = window[first], window[last]
        if change(old, new) <= _SLIGHT_CHANGE or _is_relit(old, new):
            return False
        if any(_is_hard(window, other) for other in range(first + 1, last + 1)):
            continue
        return all(_contrast(picture) >= _PICTURED for picture in window[first : last + 1])
    return False


def _share_at(window: Sequence[Tensor], index: int, side: int) -> float:
    """The part of the later shot in a picture; NaN if it is no mixture of those so far before and behind it."""
    if index < side or index + side >= len(window):
        return nan
    return _share(window[index - side], window[index], window[index + side])


def _share(old: Tensor, mixed: Tensor, new: Tensor) -> float:
    """The part of the later picture in a mixture of two, by least squares; NaN if it is no mixture of them."""
    between, beyond = new - old, mixed - old
    energy = between.square().mean().item()
    if energy < _LEAST_DIFFERENCE**2:
        return nan
    share = (beyond * between).mean().item() / energy
    misfit = (beyond - share * between).square().mean().item() / energy
    return share if misfit < _MIX_RESIDUE**2 else nan


def _is_relit(old: Tensor, new: Tensor) -> bool:
    """Whether a gain makes most of one picture the other: light that fades is a mixture too."""
    gain = (old * new).sum() / old.square().sum().clamp_min(_LEAST_CONTRAST**2)
    left = (new - gain * old).square().mean() / (new - old).square().mean().clamp_min(_LEAST_DIFFERENCE**2)
    return left.item() < _RELIT**2


def _is_out_of_black(window: Sequence[Tensor], center: int) -> bool:
    if center == 0 or _contrast(window[center - 1]) >= _FLAT or _contrast(window[center]) < _FLAT:
        return False
    return any(_contrast(picture) >= _PICTURED for picture in window[center : center + _MIX_SIDE])


def cuts(thumbnails: Sequence[Tensor]) -> list[int]:
    """The indices of the frames with which a new shot starts.

    Args:
        thumbnails: All pictures of a clip, `(3, h, w)` float32 R'G'B' 0..1 each, about `THUMBNAIL_SIZE`.

    Raises:
        ShapeError: The pictures are not of one size, or smaller than 16 x 16.
    """
    return [index for index in range(len(thumbnails)) if cut_before(thumbnails, index)]


def _contrast(picture: Tensor) -> float:
    return _luma(picture).std().item()


def _luma(picture: Tensor) -> Tensor:
    """`(h / 2, w / 2)` BT.709 luma; halved to be blind to noise."""
    r, g, b = F.avg_pool2d(picture.unsqueeze(0), 2)[0].unbind(0)
    luma: Tensor = r * 0.2126 + g * 0.7152 + b * 0.0722
    return luma


def _misfit(previous: Tensor, current: Tensor) -> float:
    """One minus the best correlation over shifts up to `_SHIFT_PX`, 0..1."""
    height, width = (size - 2 * _SHIFT_PX for size in previous.shape)
    middle = current[_SHIFT_PX : _SHIFT_PX + height, _SHIFT_PX : _SHIFT_PX + width]
    shifted = previous.unfold(0, height, 1).unfold(1, width, 1)
    a = shifted - shifted.mean(dim=(-2, -1), keepdim=True)
    b = middle - middle.mean()
    floor = height * width * _LEAST_CONTRAST**2
    energy = ((a * a).sum(dim=(-2, -1)) + floor) * ((b * b).sum() + floor)
    correlation = ((a * b).sum(dim=(-2, -1)) + floor) / energy.sqrt()
    return min(max(1 - correlation.max().item(), 0.0), 1.0)


def _histogram(picture: Tensor) -> Tensor:
    """Shares of the pixels by luma and the two colour differences."""
    r, g, b = picture.unbind(0)
    luma = r * 0.2126 + g * 0.7152 + b * 0.0722
    chroma = [((part - luma + 0.5) * _CHROMA_BINS).long().clamp(0, _CHROMA_BINS - 1) for part in (b, r)]
    index = (luma * _LUMA_BINS).long().clamp(0, _LUMA_BINS - 1)
    for part in chroma:
        index = index * _CHROMA_BINS + part
    counts = torch.bincount(index.flatten(), minlength=_LUMA_BINS * _CHROMA_BINS**2)
    return counts / luma.numel()


def _histogram_distance(a: Tensor, b: Tensor) -> float:
    """One minus the Bhattacharyya coefficient, 0..1."""
    return min(max(1 - (a * b).sqrt().sum().item(), 0.0), 1.0)
