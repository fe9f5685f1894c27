"""Shimmer: detail that is new in each frame goes; a face without any stays sharp, and nothing ghosts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import ValidationError
from torch import Tensor

from vfxswap.score.texture import sharpness
from vfxswap.stage import Span
from vfxswap.testing import options_of, setting
from vfxswap_plugins.deflicker.detail import DetailDeflicker


def shimmer(like: Tensor, *, height: float = 0.02) -> Tensor:
    """Grains of some two pixels, new in each frame."""
    generator = torch.Generator().manual_seed(3)
    drawn = torch.randn(len(like), 1, like.shape[2] // 2, like.shape[3] // 2, generator=generator)
    return height * F.interpolate(drawn, size=like.shape[-2:], mode="bilinear")


def sharp(pictures: Tensor, mattes: Tensor) -> float:
    values = [sharpness(picture, matte[0]) for picture, matte in zip(pictures, mattes, strict=True)]
    return sum(values) / len(values)


def test_shimmer_goes(steady: Any, lab_face: Any) -> None:
    swapped = lab_face.truth + shimmer(lab_face.truth)
    result = steady(DetailDeflicker, swapped, lab_face.plate)
    inner = slice(2, -2)
    before, after = ((each - lab_face.truth)[inner].diff(dim=0).std() for each in (swapped, result))
    assert after < 0.75 * before
    assert lab_face.error(result[inner], inner) < 0.82 * lab_face.error(swapped[inner], inner)
    assert sharp(result, lab_face.mattes) > 0.97 * sharp(lab_face.truth, lab_face.mattes)


def test_a_face_that_does_not_shimmer_stays_sharp(steady: Any, lab_face: Any) -> None:
    result = steady(DetailDeflicker, lab_face.truth, lab_face.plate)
    assert sharp(result, lab_face.mattes) > 0.97 * sharp(lab_face.truth, lab_face.mattes)
    assert lab_face.error(result) < 0.8 / 255


def test_an_occluding_bar_leaves_no_ghost(steady: Any, lab_face: Any, crossed: Any) -> None:
    """The bar is in the swapped faces too, and in the second case nothing says where it is."""
    plate, truth, seen = crossed(lab_face.plate, lab_face.truth)
    for mattes in (lab_face.mattes * seen, lab_face.mattes):
        result = steady(DetailDeflicker, truth + shimmer(truth), plate, mattes)
        added = result - truth - shimmer(truth)
        ghost = F.avg_pool2d(added.abs() * lab_face.mattes, 9, stride=3)
        assert ghost.max() < 0.045  # the shimmer itself is 0.02


def test_tone_is_not_touched(steady: Any, lab_face: Any) -> None:
    swapped = lab_face.truth * torch.tensor([1.0, 1.04, 0.97] * 3).reshape(-1, 1, 1, 1)
    result = steady(DetailDeflicker, swapped, lab_face.plate)
    assert F.avg_pool2d(result - swapped, 16).abs().max() < 0.01


def test_strength_scales_what_is_taken_out(steady: Any, lab_face: Any) -> None:
    swapped, plate = (lab_face.truth + shimmer(lab_face.truth))[:3], lab_face.plate[:3]
    none, half, full = (steady(DetailDeflicker, swapped, plate, strength=strength) for strength in (0.0, 0.5, 1.0))
    torch.testing.assert_close(none, swapped)
    torch.testing.assert_close(2 * (half - swapped), full - swapped, atol=1e-5, rtol=0)


def test_what_is_stronger_than_shimmer_may_be_is_kept(steady: Any, lab_face: Any) -> None:
    swapped, plate = (lab_face.truth + shimmer(lab_face.truth))[:4], lab_face.plate[:4]
    shy, bold = (
        float((steady(DetailDeflicker, swapped, plate, most=most) - swapped).abs().mean()) for most in (0.001, 0.03)
    )
    assert shy < 0.1 * bold


def test_frames_outside_the_window_have_no_influence(steady: Any, lab_face: Any) -> None:
    swapped = lab_face.truth + shimmer(lab_face.truth)
    changed = swapped.clone()
    changed[5:] = 0.5
    first, second = (steady(DetailDeflicker, each, lab_face.plate, radius_frames=1) for each in (swapped, changed))
    assert torch.equal(first[:4], second[:4])
    assert not torch.equal(first[4], second[4])


def test_bits_do_not_depend_on_threads(steady: Any, lab_face: Any) -> None:
    swapped, plate = (lab_face.truth + shimmer(lab_face.truth))[:3], lab_face.plate[:3]
    first = steady(DetailDeflicker, swapped, plate)
    torch.set_num_threads(2)
    assert torch.equal(steady(DetailDeflicker, swapped, plate), first)


def test_the_window_is_the_radius_on_both_sides() -> None:
    assert DetailDeflicker(options_of(DetailDeflicker, {"radius_frames": 3}), setting()).window == Span(3, 3)


@pytest.mark.parametrize("values", [{"radius_frames": 9}, {"strength": 1.5}, {"most": 0}, {"quality": "best"}])
def test_options_are_bounded(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(values))):
        options_of(DetailDeflicker, values)
