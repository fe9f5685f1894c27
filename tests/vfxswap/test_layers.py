"""How layers are named, in files and on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from vfxswap.color import PixelLayout
from vfxswap.files import FramePattern
from vfxswap.layers import LAYERS, LayerOrder, layer_bits, layer_files, layer_pattern, ordered
from vfxswap.testing import RGB_FLOAT, YUV420P8, YUV422P10


@pytest.mark.parametrize(
    ("delivery", "frames", "expected"),
    [
        ("out/sh010.####.exr", 9, "out/sh010_matte.####.exr"),
        ("out/sh010.%04d.exr", 9, "out/sh010_matte.%04d.exr"),
        ("sh010_v02_$F4.dpx", 9, "sh010_v02_matte_$F4.exr"),
        ("sh010-@@@@.tif", 1, "sh010_matte-@@@@.exr"),
        ("sh010.####.left.exr", 9, "sh010_matte.####.left.exr"),
        ("sh010####.exr", 9, "sh010_matte.####.exr"),
        ("####.exr", 9, "matte.####.exr"),
        ("sh010.v02.mov", 9, "sh010.v02_matte.%04d.exr"),
        ("still.png", 1, "still_matte.exr"),
    ],
)
def test_files_of_layers_are_named_after_the_delivery(delivery: str, frames: int, expected: str) -> None:
    assert layer_pattern(Path(delivery), "matte", frames=frames) == Path(expected)


def test_files_of_layers_are_no_frames_of_the_delivery(tmp_path: Path) -> None:
    delivery = FramePattern(tmp_path / "sh010.####.exr")
    order = LayerOrder(tuple(LAYERS), "files", ("hero",))
    for pattern in layer_files(delivery.pattern, order, frames=9).values():
        pattern.path(1001).touch()
    assert delivery.existing() == {}
    assert len(list(tmp_path.iterdir())) == len(LAYERS)


def test_layers_within_the_delivery_have_no_files() -> None:
    assert layer_files(Path("a.####.exr"), LayerOrder(("matte",), "channels"), frames=3) == {}


def test_names_within_a_file() -> None:
    order = LayerOrder(tuple(LAYERS), "channels", ("hero", "friend", "third"))
    assert order.channels("matte") == ("vfxswap_matte.A",)
    assert order.channels("patch") == tuple(f"vfxswap_patch.{letter}" for letter in "RGBA")
    assert order.channels("id") == tuple(f"vfxswap_id{rank}.{letter}" for rank in ("00", "01") for letter in "RGBA")
    assert order.channels_in_own_file("patch") == ("R", "G", "B", "A")
    assert order.channels_in_own_file("id") == order.channels("id")
    assert order.metadata("patch") == {}


def test_the_order_in_which_layers_are_listed_does_not_count() -> None:
    assert ordered(["id", "matte", "id"]) == ("matte", "id")


@pytest.mark.parametrize(
    ("plate", "bits"),
    [
        (PixelLayout("rgb half", "rgb", 16, is_float=True), 16),
        (RGB_FLOAT, 32),
        (YUV420P8, 16),
        (YUV422P10, 16),
        (PixelLayout("gbrp12le", "rgb", 12), 32),
        (PixelLayout("rgb48", "rgb", 16), 32),
    ],
)
def test_a_layers_depth_holds_the_plates_steps(plate: PixelLayout, bits: int) -> None:
    assert {layer_bits(name, plate) for name in ("matte", "patch", "swapped")} == {bits}
    assert {layer_bits(name, plate) for name in ("st", "id")} == {32}
    if bits == 16 and not plate.is_float:
        assert 0.5 / (2**plate.bits - 1) >= 2**-11  # the largest rounding of a half below 1, in codes
