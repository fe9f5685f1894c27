"""The colour matches as stages: options, one map for many faces, and what a bad matte does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from vfxswap.models import ModelStore
from vfxswap.stage import ColorMatch, Setting
from vfxswap_plugins.color.linear import Lct, Mkl, Reinhard
from vfxswap_plugins.color.transport import Hist, Idt, Sot

KINDS: list[type[ColorMatch[Any]]] = [Mkl, Lct, Reinhard, Idt, Sot, Hist]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__.lower())
def kind(request: pytest.FixtureRequest) -> type[ColorMatch[Any]]:
    found: type[ColorMatch[Any]] = request.param
    return found


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    store = ModelStore([tmp_path], {})
    return Setting(device=torch.device("cpu"), models=store, width=640, height=360, first=1, last=10)


def faces(seed: int, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 6, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=(80, 80), mode="bilinear") * 0.5 + 0.1


def test_a_face_in_other_light_comes_near_to_the_truth(
    kind: type[ColorMatch[Any]], setting: Setting, lab_face: Any
) -> None:
    stage, first = kind(kind.Options(), setting), slice(0, 1)
    plate, matte = lab_face.plate[first], lab_face.mattes[first]
    swapped = lab_face.truth[first] * torch.tensor([1.15, 0.95, 0.8]).reshape(3, 1, 1) + 0.03
    with torch.inference_mode():
        result = stage.fit(swapped, plate, matte)(swapped)
    assert lab_face.error(result, first) < 0.6 * lab_face.error(swapped, first)
    before, after = (_tone_error(picture, plate, matte) for picture in (swapped, result))
    assert after < 0.2 * before
    assert result.dtype == torch.float32


def _tone_error(swapped: Tensor, plate: Tensor, matte: Tensor) -> float:
    """How far the mean colours under the matte are apart."""
    return float((((swapped - plate) * matte).sum(dim=(2, 3)) / matte.sum()).abs().mean())


def test_faces_that_belong_together_get_one_map(kind: type[ColorMatch[Any]], setting: Setting) -> None:
    stage = kind(kind.Options(), setting)
    swapped, plate, matte = faces(1, 3), faces(2, 3), torch.ones(3, 1, 80, 80)
    found = stage.fit(swapped, plate, matte)
    stacked = found(swapped)
    for index in range(3):
        assert torch.equal(found(swapped[index : index + 1])[0], stacked[index])
        assert torch.equal(found(swapped[index]), stacked[index])


def test_input_is_left_as_it_was(kind: type[ColorMatch[Any]], setting: Setting) -> None:
    stage = kind(kind.Options(), setting)
    given = [faces(1, 1), faces(2, 1), torch.ones(1, 1, 80, 80)]
    copies = [tensor.clone() for tensor in given]
    stage.fit(given[0], given[1], given[2])(given[0])
    assert all(torch.equal(a, b) for a, b in zip(given, copies, strict=True))


def test_an_empty_matte_changes_nothing(kind: type[ColorMatch[Any]], setting: Setting) -> None:
    stage = kind(kind.Options(), setting)
    swapped = faces(1, 2)
    assert torch.equal(stage.fit(swapped, faces(2, 2), torch.zeros(2, 1, 80, 80))(swapped), swapped)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Mkl, {"max_gain": 0.5}),
        (Lct, {"sample_size": 4}),
        (Reinhard, {"robust": "yes"}),
        (Idt, {"rotations": 0}),
        (Sot, {"directions": 2}),
        (Hist, {"smoothness": 0.0}),
        (Mkl, {"strenght": 0.5}),
    ],
)
def test_options_are_bounded_and_strict(kind: type[ColorMatch[Any]], values: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(values))):
        kind.Options.model_validate(values)


@pytest.mark.parametrize("kind", [Idt, Sot])
def test_another_seed_is_another_road_to_the_same_place(kind: type[ColorMatch[Any]], setting: Setting) -> None:
    swapped, plate, matte = faces(1, 1), faces(2, 1), torch.ones(1, 1, 80, 80)
    first, again, other = (
        kind(kind.Options.model_validate({"seed": seed}), setting).fit(swapped, plate, matte)(swapped)
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert (first - other).abs().mean() < 0.03
