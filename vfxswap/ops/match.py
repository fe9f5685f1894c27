"""Colour matching: maps that bring the colours of one face to those of another.

A map is found from *populations*: colours with weights, taken from small, matte-weighted pictures, since the
statistics of 128 x 128 samples are those of the full crop, and averaging leaves grain out of the variance. It is then
applied to any picture at full size.

All of it works on R'G'B' of the face space directly. Those codes are already close to the logarithm of light, so that
the opponent axes of Reinhard's l-alpha-beta can be taken of them as they are: a rotation, without a logarithm that
would need clipping. Values outside 0..1 go through every map; nothing is clipped.

Fitting is float64 NumPy on one thread, with sums of fixed order, so that a map's bits depend on nothing but its input;
applying is elementwise torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody uses
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.ops.transfer import matrixed

Floats = NDArray[np.float64]

FEWEST_PIXELS: Final = 16.0
"""Least sum of a matte, in pixels, from which colours are judged; below it every map is the identity."""
_CODE: Final = 1 / 255
_VARIANCE_FLOOR: Final = (_CODE / 4) ** 2  # added to both covariances: a flat crop is moved, not stretched
_BEYOND: Final = 0.5
"""So far beyond 0..1, in codes, a sample counts a quarter."""
_OPPONENT: Final[Floats] = np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]]) / np.sqrt([[3.0], [6.0], [2.0]])


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Colours with weights."""

    colors: Floats
    """`(3, n)` R'G'B'."""
    weights: Floats
    """`(n,)`, sum 1."""

    def mean(self) -> Floats:
        """`(3,)` weighted mean."""
        return np.array([np.sum(channel * self.weights) for channel in self.colors])

    def covariance(self) -> Floats:
        """`(3, 3)` weighted covariance, symmetric, with the variance of a quarter of an 8-bit code on its diagonal."""
        centred = self.colors - self.mean()[:, None]
        moments = [[np.sum(a * b * self.weights) for a in centred] for b in centred]
        return np.array(moments) + _VARIANCE_FLOOR * np.eye(3)

    def along(self, axis: Floats) -> Floats:
        """`(n,)` colours projected onto `(3,)` axis."""
        projected: Floats = self.colors[0] * axis[0] + self.colors[1] * axis[1] + self.colors[2] * axis[2]
        return projected


def populations(swapped: Tensor, plate: Tensor, matte: Tensor, *, side_px: int) -> tuple[Population, Population] | None:
    """The colours of two sets of crops, where the matte counts them.

    Args:
        swapped: `(N, 3, H, W)` float32.
        plate: `(N, 3, H, W)` float32.
        matte: `(N, 1, H, W)` float32 0..1.
        side_px: Largest side of the grid of averaged samples taken of each crop.

    Returns:
        Those of `swapped` and of `plate`, from the same places; None if the matte holds fewer than `FEWEST_PIXELS`
        pixels. Samples that hold a pixel which is not finite are left out.

    Raises:
        ShapeError: The tensors do not belong together.
    """
    if swapped.shape != plate.shape or matte.shape != (swapped.shape[0], 1, *swapped.shape[2:]):
        raise ShapeError(
            "crops of a colour match",
            expected="swapped and plate (N, 3, H, W), matte (N, 1, H, W)",
            actual=f"{tuple(swapped.shape)}, {tuple(plate.shape)}, {tuple(matte.shape)}",
        )
    # one face at a time: what is computed of it must not depend on how many are stacked
    parts = [_sampled(*faces, side_px=side_px) for faces in zip(swapped, plate, matte, strict=True)]
    weights = np.concatenate([weight for _, _, weight in parts])
    total = float(np.sum(weights))
    if total < FEWEST_PIXELS:
        return None
    first, second = (np.concatenate([part[i] for part in parts], axis=1) for i in (0, 1))
    return Population(first, weights / total), Population(second, weights / total)


@dataclass(frozen=True, slots=True, eq=False)
class LinearMap:
    """`color -> matrix @ color + offset`."""

    matrix: Floats
    """`(3, 3)`."""
    offset: Floats
    """`(3,)`."""

    def __call__(self, image: Tensor) -> Tensor:
        """Maps `(..., 3, H, W)`; the input stays as it is."""
        offset = torch.tensor(self.offset, dtype=image.dtype, device=image.device).reshape(3, 1, 1)
        return matrixed(image, torch.from_numpy(self.matrix)) + offset


def unchanged(image: Tensor) -> Tensor:
    """The map that changes nothing, for faces of which too little is seen."""
    return image


def mkl(source: Population, target: Population, *, max_gain: float) -> LinearMap:
    """The Monge-Kantorovich linear map: of all that reach the target's mean and covariance, the one that moves least.

    F. Pitie and A. Kokaram, "The linear Monge-Kantorovitch linear colour mapping for example-based colour transfer",
    CVMP 2007: `T = A^-1/2 (A^1/2 B A^1/2)^1/2 A^-1/2` with A and B the covariances.

    Args:
        source: Colours there are.
        target: Colours wanted.
        max_gain: No direction is stretched by more, nor squeezed by more than its inverse.
    """
    root, inverse = _root(source.covariance()), _root(source.covariance(), -0.5)
    matrix = inverse @ _root(root @ target.covariance() @ root) @ inverse
    return _linear(matrix, source, target, max_gain)


def lct(source: Population, target: Population, *, max_gain: float) -> LinearMap:
    """The linear map that whitens by the source's covariance and colours by the target's: `T = B^1/2 A^-1/2`.

    L. Gatys, M. Bethge, A. Hertzmann, E. Shechtman, "Preserving color in neural artistic style transfer", arXiv
    1606.05897, with symmetric roots. It meets the target's mean and covariance as `mkl` does, but turns colours on the
    way where the two covariances lie differently: skin may go purple. DeepFaceLab's merger knows it by this name.

    Args:
        source: Colours there are.
        target: Colours wanted.
        max_gain: No direction is stretched by more, nor squeezed by more than its inverse.
    """
    matrix = _root(target.covariance()) @ _root(source.covariance(), -0.5)
    return _linear(matrix, source, target, max_gain)


def reinhard(source: Population, target: Population, *, max_gain: float, robust: bool = False) -> LinearMap:
    """Matches centre and spread along three opponent axes, each for itself.

    E. Reinhard, M. Ashikhmin, B. Gooch, P. Shirley, "Color transfer between images", IEEE CG&A 21(5), 2001, with the
    achromatic, yellow-blue and red-green axes of its l-alpha-beta taken of R'G'B' codes.

    Args:
        source: Colours there are.
        target: Colours wanted.
        max_gain: No axis is stretched by more, nor squeezed by more than its inverse.
        robust: Take median and half the distance of the 16 % and 84 % quantiles (the standard deviation of a normal
            distribution) in place of mean and deviation, so that a highlight or a dark nostril weighs little.
    """
    spreads = [[_spread(people, axis, robust=robust) for axis in _OPPONENT] for people in (source, target)]
    gains = np.clip(np.array(spreads[1]) / np.array(spreads[0]), 1 / max_gain, max_gain)
    matrix = _OPPONENT.T @ (gains[:, None] * _OPPONENT)
    centres = [_center(people, robust=robust) for people in (source, target)]
    return LinearMap(matrix, centres[1] - matrix @ centres[0])


def wasserstein(source: Population, target: Population, *, directions: int = 32) -> float:
    """Sliced 1-Wasserstein distance of two populations, in units of the codes: how far colours are from one another.

    Args:
        source: One population.
        target: The other.
        directions: How many evenly spread directions are averaged.
    """
    levels = (np.arange(256) + 0.5) / 256
    distances = []
    for axis in _spiral(directions):
        ranks = [quantiles(people.along(axis), people.weights, levels) for people in (source, target)]
        distances.append(np.mean(np.abs(ranks[0] - ranks[1])))
    return float(np.mean(distances))


def quantiles(values: Floats, weights: Floats, levels: Floats) -> Floats:
    """Weighted quantiles, linear between the samples.

    Args:
        values: `(n,)`.
        weights: `(n,)`, sum 1.
        levels: `(k,)` 0..1.

    Returns:
        `(k,)`.
    """
    order = np.argsort(values, kind="stable")
    ascending, mass = values[order], weights[order]
    result: Floats = np.interp(levels, np.cumsum(mass) - mass / 2, ascending)
    return result


def _sampled(swapped: Tensor, plate: Tensor, matte: Tensor, *, side_px: int) -> tuple[Floats, Floats, Floats]:
    """Matte-weighted cell averages of one face: two `(3, n)` and `(n,)` the matte's pixels in each cell."""
    weight = matte.clamp(0, 1)
    size = [min(side, side_px) for side in matte.shape[1:]]
    share = F.interpolate(weight.unsqueeze(0), size=size, mode="area")[0]
    colors = []
    for image in (swapped, plate):
        mean = F.interpolate((image * weight).unsqueeze(0), size=size, mode="area")[0] / share.clamp_min(1e-6)
        colors.append(mean.flatten(1).cpu().double().numpy())
    pixels = share.flatten().cpu().double().numpy() * (matte.numel() / share.numel())
    kept = (pixels > 1e-3) & np.isfinite(colors[0] + colors[1]).all(axis=0)
    ours, theirs, counted = colors[0][:, kept], colors[1][:, kept], pixels[kept]
    trusted = counted * _trust(ours, theirs)
    if len(trusted) and (total := float(np.sum(trusted))) > 0:
        counted = trusted * (float(np.sum(counted)) / total)
    return ours, theirs, counted


def _trust(*colors: Floats) -> Floats:
    """`(n,)` 0..1: how far samples speak for the skin; 1 within 0..1, little for a kick or a lamp far beyond.

    Moments follow what is far out: a red lamp of 40 over a twentieth of a face would colour all of it. The weight is
    that of Geman and McClure's estimator (1987). Where a whole face is beyond white, all its samples count again alike.
    """
    beyond = np.max([np.maximum(-part, part - 1).max(axis=0, initial=0.0) for part in colors], axis=0)
    weight: Floats = (1 + (np.maximum(beyond, 0) / _BEYOND) ** 2) ** -2
    return weight


def _root(matrix: Floats, exponent: float = 0.5) -> Floats:
    """Power of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    result: Floats = (vectors * np.maximum(values, 1e-12) ** exponent) @ vectors.T
    return result


def _linear(matrix: Floats, source: Population, target: Population, max_gain: float) -> LinearMap:
    u, singular, vt = np.linalg.svd(matrix)
    bounded = (u * np.clip(singular, 1 / max_gain, max_gain)) @ vt
    return LinearMap(bounded, target.mean() - bounded @ source.mean())


def _center(people: Population, *, robust: bool) -> Floats:
    if not robust:
        return people.mean()
    middle = np.array([0.5])
    medians = [quantiles(people.along(axis), people.weights, middle)[0] for axis in _OPPONENT]
    center: Floats = _OPPONENT.T @ np.array(medians)
    return center


def _spread(people: Population, axis: Floats, *, robust: bool) -> float:
    if robust:
        low, high = quantiles(people.along(axis), people.weights, np.array([0.1587, 0.8413]))
        return float(np.hypot((high - low) / 2, np.sqrt(_VARIANCE_FLOOR)))
    return float(np.sqrt(axis @ people.covariance() @ axis))


def _spiral(count: int) -> Sequence[Floats]:
    """Directions spread evenly over the sphere (Fibonacci's spiral)."""
    z = (np.arange(count) + 0.5) / count  # half a sphere is enough: a direction and its opposite measure the same
    angle = np.arange(count) * np.pi * (3 - np.sqrt(5))
    radius = np.sqrt(1 - z * z)
    return list(np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1))
