"""A tiny shot that the lab's tests share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vfxswap.lab.looks import PERFORMERS
from vfxswap.lab.motion import Acting
from vfxswap.lab.play import Stage, build
from vfxswap.lab.shot import Lens, Lights, Role, ShotSpec

Shoot = Callable[..., Stage]


def _spec(**changes: object) -> ShotSpec:
    role = Role(
        looks=PERFORMERS["ada"],
        face=PERFORMERS["ben"],
        acting=Acting(seed=4, talk=1.0, yaw_degrees=15, blinks_per_minute=40),
    )
    values: dict[str, object] = {
        "name": "tiny",
        "frames": (1001, 1024),
        "roles": (role,),
        "lights": Lights(shadows=False),
        "lens": Lens(samples=2),
    }
    return ShotSpec.model_validate(values | changes)


@pytest.fixture(scope="session")
def tiny_spec() -> Callable[..., ShotSpec]:
    """Makes the tiny shot, with changes."""
    return _spec


@pytest.fixture(scope="session")
def tiny_stage() -> Stage:
    """The tiny shot, ready to play at 128x72."""
    return build(_spec(), width=128, height=72)


@pytest.fixture(scope="session")
def shoot() -> Shoot:
    """Builds a changed tiny shot at 96x54."""

    def made(**changes: object) -> Stage:
        return build(_spec(**changes), width=96, height=54)

    return made
