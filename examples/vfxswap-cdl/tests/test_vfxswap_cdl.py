"""The plugin's own tests: the contract of its kind, and what a CDL is."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from vfxswap_cdl import Cdl

from vfxswap.testing import (
    ColorMatchContract,
    assert_chunks_have_the_bits_of_the_whole,
    options_of,
    setting,
)


class TestCdl(ColorMatchContract):
    """Everything that vfxswap relies on."""

    stage = Cdl
    options: ClassVar = {
        "slope": [1.1, 1.0, 0.9],
        "offset": [0.01, 0, -0.01],
        "power": [1.2, 1, 0.9],
        "saturation": 0.8,
    }


def test_the_worked_example() -> None:
    """One colour by hand: slope and offset, then power, then saturation about BT.709 luma."""
    values = {"slope": [2.0, 1.0, 1.0], "offset": [0.0, 0.1, -0.5], "power": [2.0, 1.0, 1.0], "saturation": 0.5}
    stage = Cdl(options_of(Cdl, values), setting())
    red, green, blue = 0.4**2, 0.3, -0.4
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    expected = torch.tensor([luma + 0.5 * (channel - luma) for channel in (red, green, blue)])
    graded = stage.grade(torch.tensor([0.2, 0.2, 0.1])[:, None, None])
    torch.testing.assert_close(graded[:, 0, 0], expected)


def test_a_farm_may_divide_the_shot(tmp_path: Path) -> None:
    """Also where the host fits the colours once a shot, by frames that it looks at before."""
    options = options_of(Cdl, {"slope": [1.1, 1.0, 0.9], "lock": "shot", "strength": 0.8})
    assert_chunks_have_the_bits_of_the_whole(Cdl, options, folder=tmp_path)
