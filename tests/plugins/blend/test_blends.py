"""The blend stages hand their settings to the operations, and refuse wrong ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from vfxswap.models import ModelStore
from vfxswap.ops import blend
from vfxswap.stage import Blend, Setting
from vfxswap_plugins.blend.alpha import Alpha
from vfxswap_plugins.blend.poisson import Poisson
from vfxswap_plugins.blend.pyramid import Pyramid

STAGES: list[type[Blend[Any]]] = [Alpha, Pyramid, Poisson]


def made(stage: type[Blend[Any]], **options: object) -> Blend[Any]:
    setting = Setting(torch.device("cpu"), ModelStore([], {}), width=64, height=64, first=1, last=1)
    return stage(stage.Options.model_validate(options), setting)


@pytest.fixture
def pictures() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A patch, a plate and a matte of 90 x 110."""
    generator = torch.Generator().manual_seed(0)
    patch, plate = torch.rand(2, 1, 3, 90, 110, generator=generator) + torch.tensor([0.2, 0.0]).reshape(2, 1, 1, 1, 1)
    matte = torch.zeros(1, 1, 90, 110)
    matte[..., 10:80, 15:95] = 1
    return patch, plate, matte


@pytest.mark.parametrize("stage", STAGES)
def test_a_blend_has_the_plates_shape_and_keeps_it_outside(
    stage: type[Blend[Any]], pictures: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
) -> None:
    patch, plate, matte = pictures
    result = made(stage).blend(patch, plate, matte)
    assert result.shape == plate.shape
    assert result.dtype == torch.float32
    assert torch.equal(result[..., :10, :], plate[..., :10, :])
    assert not torch.equal(result, plate)


@pytest.mark.parametrize(
    ("blend", "most"), [(made(Pyramid), 0.8), (made(Poisson), 0.6), (made(Poisson, reach_percent=30.0), 0.5)]
)
def test_a_face_in_other_light_leaves_less_of_a_seam(blend: Blend[Any], most: float, lab_face: Any) -> None:
    """The farther poisson carries what differs at the border, the less is left there (and the more elsewhere)."""
    plate, truth, matte = lab_face.plate[:1], lab_face.truth[:1], lab_face.mattes[:1]
    patch = truth * 1.12 + 0.02
    wanted = torch.lerp(plate, truth, matte)
    seam, plain = (_seam(one.blend(patch, plate, matte) - wanted, matte) for one in (blend, made(Alpha)))
    assert seam < most * plain
    error, plainly = (lab_face.error(one.blend(patch, plate, matte), slice(0, 1)) for one in (blend, made(Alpha)))
    assert error < plainly


def _seam(error: torch.Tensor, matte: torch.Tensor) -> float:
    """Mean slope of an error along the matte's border, fine detail left out."""
    smooth = functional.avg_pool2d(error, 3, stride=1, padding=1)
    slope = smooth.diff(dim=-1).abs()[..., 1:, :] + smooth.diff(dim=-2).abs()[..., 1:]
    border = functional.max_pool2d(matte, 5, 1, 2) + functional.max_pool2d(-matte, 5, 1, 2) > 0.02
    return float(slope.mean(dim=1, keepdim=True)[border[..., 1:, 1:]].mean())


def test_settings_arrive(pictures: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    patch, plate, matte = pictures
    stage = made(Poisson, strength=0.5, limit=0.05, reach_percent=30.0)
    expected = blend.poisson(patch, plate, matte, strength=0.5, limit=0.05, reach=0.3)
    assert torch.equal(stage.blend(patch, plate, matte), expected)
    assert not torch.equal(made(Poisson).blend(patch, plate, matte), expected)
    deep, shallow = (made(Pyramid, levels=levels).blend(patch, plate, matte) for levels in (1.5, 0.0))
    assert torch.equal(deep, blend.pyramid(patch, plate, matte, levels=1.5))
    assert torch.equal(shallow, made(Alpha).blend(patch, plate, matte))


@pytest.mark.parametrize(
    ("stage", "wrong"),
    [
        (Alpha, {"strength": 1.0}),
        (Pyramid, {"levels": -1.0}),
        (Pyramid, {"levels": "deep"}),
        (Poisson, {"strength": 1.5}),
        (Poisson, {"limit": 0.0}),
        (Poisson, {"reach_percent": 0.0}),
    ],
)
def test_wrong_settings_are_refused(stage: type[Blend[Any]], wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        made(stage, **wrong)
