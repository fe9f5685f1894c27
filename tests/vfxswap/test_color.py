"""Colour as data: code points, and what is done where a file does not say."""

from __future__ import annotations

import pytest

from vfxswap.color import LUMA_WEIGHTS, SPACES, ColorTags, Matrix, PixelLayout, Primaries, Range, Transfer
from vfxswap.errors import ColorError, ExitCode

BT709 = ColorTags(Primaries.BT709, Transfer.BT709, Matrix.BT709, Range.LIMITED)


def test_the_numbers_are_those_of_h273() -> None:
    assert (Primaries.BT709, Primaries.BT470BG, Primaries.SMPTE170M, Primaries.BT2020, Primaries.P3_D65) == (
        1,
        5,
        6,
        9,
        12,
    )
    assert (Transfer.BT709, Transfer.SMPTE170M, Transfer.LINEAR, Transfer.SRGB) == (1, 6, 8, 13)
    assert (Transfer.BT2020_10, Transfer.BT2020_12, Transfer.PQ, Transfer.HLG) == (14, 15, 16, 18)
    assert (Matrix.RGB, Matrix.BT709, Matrix.BT470BG, Matrix.SMPTE170M, Matrix.BT2020_NCL) == (0, 1, 5, 6, 9)
    assert [int(value) for value in (Primaries.UNSPECIFIED, Transfer.UNSPECIFIED, Matrix.UNSPECIFIED)] == [2, 2, 2]


def test_every_matrix_of_luma_has_its_weights() -> None:
    assert set(LUMA_WEIGHTS) == set(Matrix) - {Matrix.RGB, Matrix.UNSPECIFIED}
    assert all(0 < kb < kr < 1 - kr - kb for kr, kb in LUMA_WEIGHTS.values())


def test_tags_that_say_all_stay_as_they_are() -> None:
    assert BT709.resolved(None) is BT709


@pytest.mark.parametrize("name", [name for name, space in SPACES.items() if space.matrix is not Matrix.RGB])
def test_what_is_stated_wins_but_never_over_the_coding(name: str) -> None:
    space = SPACES[name]
    assert space.complete
    stored = ColorTags(Primaries.BT470BG, Transfer.LINEAR, Matrix.SMPTE170M, Range.FULL)
    got = stored.resolved(name)
    assert (got.primaries, got.transfer, got.matrix) == (space.primaries, space.transfer, space.matrix)
    assert got.range is Range.FULL


@pytest.mark.parametrize("name", [name for name, space in SPACES.items() if space.transfer is Transfer.LINEAR])
def test_scene_linear_is_a_matter_of_rgb(name: str) -> None:
    got = ColorTags(transfer=Transfer.LINEAR, matrix=Matrix.RGB).resolved(name)
    assert (got.primaries, got.transfer, got.matrix) == (SPACES[name].primaries, Transfer.LINEAR, Matrix.RGB)
    assert got.range is Range.FULL
    with pytest.raises(ColorError, match=r"sh010\.mov is stored as Y'CbCr"):
        BT709.resolved(name, path="sh010.mov")


def test_what_is_stored_as_rgb_stays_rgb() -> None:
    got = ColorTags(matrix=Matrix.RGB).resolved("bt709")
    assert got == ColorTags(Primaries.BT709, Transfer.BT709, Matrix.RGB, Range.FULL)


@pytest.mark.parametrize(("matrix", "expected"), [(Matrix.BT709, Range.LIMITED), (Matrix.RGB, Range.FULL)])
def test_a_range_that_is_not_signalled_has_a_standard_meaning(matrix: Matrix, expected: Range) -> None:
    tags = ColorTags(Primaries.BT709, Transfer.BT709, matrix)
    assert tags.resolved(None).range is expected


def test_an_untagged_plate_is_never_guessed() -> None:
    with pytest.raises(ColorError) as caught:
        ColorTags(primaries=Primaries.BT709).resolved(None, path="sh010.mov")
    text = str(caught.value)
    assert text.startswith("sh010.mov does not say its colour (transfer, matrix not tagged)")
    assert 'color_space = "bt709"' in text
    assert caught.value.path == "sh010.mov"
    assert caught.value.exit_code is ExitCode.USAGE


def test_an_unknown_space_names_those_that_are_known() -> None:
    with pytest.raises(ColorError, match="unknown colour space 'rec709'; allowed: bt709, srgb"):
        BT709.resolved("rec709")


@pytest.mark.parametrize(
    ("model", "alpha", "planes"),
    [("ycbcr", False, 3), ("ycbcr", True, 4), ("rgb", False, 3), ("gray", False, 1), ("gray", True, 2)],
)
def test_a_layout_has_a_plane_a_channel(model: str, alpha: bool, planes: int) -> None:
    assert PixelLayout("x", model, 8, has_alpha=alpha).channels == planes  # type: ignore[arg-type]
