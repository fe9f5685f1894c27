"""Performers drawn at random: every one of them plays, and together they cover the whole range."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from pydantic import BaseModel

from vfxswap.errors import UsageError
from vfxswap.lab.looks import Looks, random_looks
from vfxswap.lab.play import Stage
from vfxswap.lab.shot import Role

_COUNT = 200


@pytest.fixture(scope="module")
def crowd() -> list[Looks]:
    return [random_looks(seed) for seed in range(_COUNT)]


def test_a_seed_is_a_performer() -> None:
    assert random_looks(7) == random_looks(7) != random_looks(8)


def test_every_performer_is_within_bounds(crowd: list[Looks]) -> None:
    for looks in crowd:
        assert Looks.model_validate_json(looks.model_dump_json()) == looks


def test_the_crowd_covers_every_range(crowd: list[Looks]) -> None:
    for part in ("skull", "relief", "nose", "eyes", "mouth", "brows", "skin", "hair"):
        kind = type(getattr(crowd[0], part))
        for name, field in kind.model_fields.items():
            bounds = {key: value for bound in field.metadata for key, value in vars_of(bound).items()}
            if "ge" not in bounds or "le" not in bounds:
                continue
            values = [float(getattr(getattr(looks, part), name)) for looks in crowd]
            share = (max(values) - min(values)) / (bounds["le"] - bounds["ge"])
            assert share > 0.8, f"{part}.{name} covers {share:.0%} of its range"


def vars_of(bound: object) -> dict[str, float]:
    """The bound that a field's metadata names."""
    return {key: getattr(bound, key) for key in ("ge", "le") if hasattr(bound, key)}


def test_skin_tones_are_even(crowd: list[Looks]) -> None:
    angles = torch.tensor([looks.skin.ita_degrees for looks in crowd])
    assert float(angles.min()) >= -60
    assert float(angles.max()) <= 60
    counts = torch.histc(angles, 6, -60, 60)
    assert float(counts.min()) > 0.6 * _COUNT / 6


def test_hair_beards_and_glasses_are_all_there(crowd: list[Looks]) -> None:
    assert {looks.hair.style for looks in crowd} == {"bald", "cropped", "short", "parted", "long"}
    for has in (
        [looks.glasses for looks in crowd],
        [looks.skin.beard > 0 for looks in crowd],
        [looks.skin.stubble > 0 for looks in crowd],
        [looks.hair.grey > 0.3 for looks in crowd],
    ):
        assert 0.1 < sum(has) / _COUNT < 0.75


def test_dark_skin_has_dark_hair_and_eyes(crowd: list[Looks]) -> None:
    def brightest(records: list[BaseModel], name: str) -> float:
        return max(float(max(getattr(record, name))) for record in records)

    dark = [looks for looks in crowd if looks.skin.ita_degrees < -20]
    pale = [looks for looks in crowd if looks.skin.ita_degrees > 30]
    assert brightest([looks.hair for looks in dark], "rgb") < 0.13 < brightest([looks.hair for looks in pale], "rgb")
    assert brightest([looks.eyes for looks in dark], "iris") < 0.17 < brightest([looks.eyes for looks in pale], "iris")


def test_negative_seeds_are_refused() -> None:
    with pytest.raises(UsageError, match="0 or more, got -1"):
        random_looks(-1)


@pytest.mark.parametrize("seed", range(8))
def test_random_performers_play(seed: int, shoot: Callable[..., Stage]) -> None:
    frame = shoot(roles=(Role(looks=random_looks(seed), face=random_looks(seed + 100)),)).frame(1001)
    for picture in (frame.plate, frame.truth):
        assert bool(torch.isfinite(picture).all())
        assert float(picture.min()) >= 0
    assert float((frame.truth - frame.plate).abs().max()) > 0.01
    assert int(frame.faces[0].visible.sum()) > 300
