"""What a network is told about its pictures.

Every part is a mean over pixels weighted by where it matters: inside the matte, more so at eyes and mouth, a little
outside. No part needs weights of another network.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from kornia.metrics import ssim
from torch import Tensor
from torch.nn import functional

from vfxswap.geometry import REGIONS
from vfxswap.nets.comb import Decoded
from vfxswap.training.augment import Batch
from vfxswap.training.tables import Losses

_WINDOW = 7
_COARSEST_PX = 8
_LARGE = 0.01
"""Half sides: the error of a landmark from which on its square counts more."""
_EYES_MOUTH = REGIONS["ibug68"]["left_eye"][0]
"""The first of the landmarks of eyes and mouth; none but the irises' come after them."""


def importance(batch: Batch, options: Losses) -> Tensor:
    """`(N, 1, S, S)` how much each pixel counts.

    Of a pair only what lies inside the matte does, for around it the truth shows somebody else's head.
    """
    outside = torch.full((len(batch.inputs), 1, 1, 1), options.outside, device=batch.mattes.device)
    if batch.paired:
        outside[-batch.paired :] = 0
    weight = outside + (1 - outside) * batch.mattes
    weight = weight * (1 + options.eyes_mouth * batch.features)
    if batch.paired:
        strength = torch.ones_like(outside)
        strength[-batch.paired :] = options.pairs
        weight = weight * strength
    return weight / weight.mean((1, 2, 3), keepdim=True).mean().clamp_min(1e-6)


def picture_losses(made: Decoded, batch: Batch, options: Losses) -> dict[str, Tensor]:
    """The parts that compare pictures with their targets, weighted as the options say; their sum is the loss.

    Returns:
        `pixel`: mean absolute difference. `structure`: (1 - SSIM) / 2 (Wang et al., IEEE TIP 2004), which sees form
        where tones are slightly off. `detail`: absolute differences of the bands of a Laplacian pyramid, each scale
        counting alike (Burt and Adelson 1983; as a loss: Bojanowski et al., ICML 2018), which sees fine texture and
        soft errors of tone together. `matte`: mean absolute difference of mattes.
    """
    image, matte = made.image.float(), made.matte.float()
    weight = importance(batch, options)
    error = image - batch.targets
    parts = {}
    if options.pixel:
        parts["pixel"] = options.pixel * (error.abs() * weight).mean()
    if options.structure:
        # Outside 0..1 SSIM means nothing; there the other parts pull back.
        likeness = ssim(image.clamp(0, 1), batch.targets, _WINDOW)
        parts["structure"] = options.structure * ((1 - likeness) / 2 * weight).mean()
    if options.detail:
        parts["detail"] = options.detail * _by_scale(error, weight)
    if options.matte:
        parts["matte"] = options.matte * (matte - batch.mattes).abs().mean()
    return parts


def placing_loss(found: Tensor, wanted: Tensor, priority: float = 0.0) -> Tensor:
    """How far landmarks `(N, J, 2)` are off, half a side being 1; those that are no number are left out.

    Small errors count as they are, large ones by their square. What is rare, such as a blink, makes few errors, but
    large ones, which by absolute differences the many small ones of open eyes outvote.

    Args:
        found: Where they are.
        wanted: Where they should be.
        priority: How much more those of eyes, irises and mouth count than the others, all together counting as without.
    """
    known = wanted.isfinite()
    error = torch.where(known, (found - torch.where(known, wanted, 0.0)).abs(), 0.0)
    error = error + error.square() / _LARGE
    if priority:
        weight = torch.ones(error.shape[1], device=error.device)
        weight[_EYES_MOUTH:] += priority
        error = error * (weight / weight.mean())[:, None]
    return error.sum() / known.sum().clamp_min(1)


def _by_scale(error: Tensor, weight: Tensor) -> Tensor:
    """A pyramid is linear, so that of the difference is the difference of the two."""
    total, scales = error.new_zeros(()), 0
    while min(error.shape[-2:]) > _COARSEST_PX and error.shape[-1] % 2 == 0:
        coarse = functional.avg_pool2d(error, 2)
        band = error - functional.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
        total = total + (band.abs() * weight).mean()
        error, weight, scales = coarse, functional.avg_pool2d(weight, 2), scales + 1
    return (total + (error.abs() * weight).mean()) / (scales + 1)


def perceptual_loss(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
    """How differently two pictures are seen, by an encoder's features of several levels, `(N, C, H, W)` each.

    Mean over levels of the squared distance of features of unit length, all channels counting alike (R. Zhang et al.,
    "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018).
    """
    parts = [
        (functional.normalize(one.float()) - functional.normalize(other.float())).square().sum(1).mean()
        for one, other in zip(ours, theirs, strict=True)
    ]
    return torch.stack(parts).mean()


def consistency_loss(code: Tensor, again: Tensor) -> Tensor:
    """How far the code of a swapped face is from that of the face it was made of (Zhu et al., CycleGAN, ICCV 2017)."""
    return (code - again).square().mean()
