"""Shots and looks as data."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from pydantic import ValidationError

from vfxswap.lab.camera import Camera
from vfxswap.lab.looks import PERFORMERS
from vfxswap.lab.motion import Acting, Performance
from vfxswap.lab.shot import PRESETS, Cut, Role, ShotSpec


def test_presets_are_those_that_are_promised() -> None:
    names = "demo talk profile blink lights flicker occluder shake blur defocus grain two cross cut"
    assert list(PRESETS) == names.split()
    for spec in PRESETS.values():
        assert any(role.face is not None for role in spec.roles)


@pytest.mark.parametrize("name", list(PRESETS))
def test_presets_survive_json(name: str) -> None:
    spec = PRESETS[name]
    assert ShotSpec.model_validate_json(spec.model_dump_json()) == spec


def test_performers_are_named_in_files() -> None:
    role = Role.model_validate({"looks": "chi", "face": "eun"})
    assert role.looks == PERFORMERS["chi"]
    with pytest.raises(ValidationError, match="no performer 'zoe'; there are ada, ben"):
        Role.model_validate({"looks": "zoe"})


def test_cuts_must_be_inside_and_in_order() -> None:
    camera = Camera()
    with pytest.raises(ValidationError, match="inside frames 1002-1010"):
        ShotSpec(name="x", frames=(1001, 1010), cuts=(Cut(frame=1001, camera=camera),))
    with pytest.raises(ValidationError, match="run forwards"):
        ShotSpec(name="x", frames=(10, 1))


def test_decimal_rates_become_exact() -> None:
    spec = ShotSpec.model_validate({"name": "x", "rate": 23.976})
    assert spec.rate == Fraction(24000, 1001)


def test_the_face_of_another_keeps_the_build() -> None:
    ada, ben = PERFORMERS["ada"], PERFORMERS["ben"]
    mixed = ada.with_face_of(ben)
    assert (mixed.nose, mixed.eyes, mixed.mouth) == (ben.nose, ben.eyes, ben.mouth)
    assert (mixed.skull, mixed.shirt, mixed.hair.style) == (ada.skull, ada.shirt, ada.hair.style)
    assert mixed.skin.ita_degrees == ada.skin.ita_degrees


def test_performances_stay_in_bounds_and_are_alive() -> None:
    acting = Acting(seed=9, talk=1.0, smile=0.5, yaw_degrees=20, blinks_per_minute=30)
    played = Performance(acting, 60.0)
    stances = [played.at(index / 24) for index in range(24 * 60)]
    jaws = [stance.expression.jaw for stance in stances]
    blinks = [stance.expression.blink_left for stance in stances]
    assert 0 <= min(jaws) < 0.05
    assert 0.3 < max(jaws) <= 1
    assert max(abs(stance.pose.yaw) for stance in stances) <= 20
    assert all(0 <= blink <= 1 for blink in blinks)
    count = sum(1 for before, after in pairwise(blinks) if before < 0.5 <= after)
    assert 20 <= count <= 40, "about 30 blinks a minute"
    steps = [abs(after.pose.yaw - before.pose.yaw) for before, after in pairwise(stances)]
    assert max(steps) < 3, "the head does not jump"


def test_a_performance_depends_on_its_seed_alone() -> None:
    one, same = (Performance(Acting(seed=3, talk=1.0), 3.0).at(1.37) for _ in range(2))
    other = Performance(Acting(seed=4, talk=1.0), 3.0).at(1.37)
    assert one == same != other


def test_turns_go_from_first_to_last() -> None:
    played = Performance(Acting(yaw_degrees=0, turn=(-20.0, 85.0)), 2.0)
    assert played.at(0.0).pose.yaw == pytest.approx(-20)
    assert played.at(2.0).pose.yaw == pytest.approx(85)
