"""Whole pictures through OpenColorIO: from space to space, to what a display is sent, by strips on threads."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vfxswap.errors import ColorError, ShapeError
from vfxswap.ocio import PINNED, DisplayView, config_of, converter


def picture(height: int = 80, width: int = 1033) -> NDArray[np.float32]:
    """Skin-like light with highlights and a little below 0; several strips high, of an odd width."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    base = 0.18 + 0.17 * np.sin(x / 9) * np.cos(y / 7)
    result: NDArray[np.float32] = np.stack([base * tone * (1 + x / 50) for tone in (1.0, 0.7, 0.5)], -1)
    result[2:4, 3:9] = -0.01
    return result


def test_there_and_back() -> None:
    config, light = config_of(PINNED), picture()
    code = converter(config, "ACEScg", "ARRI LogC4")(light)
    assert code.dtype == np.float32
    assert -0.05 < code.min() < code.max() < 1.2
    back = converter(config, "ARRI LogC4", "scene_linear")(code)
    np.testing.assert_allclose(back, light, rtol=2e-4, atol=2e-5)


def test_a_grey_card_by_hand() -> None:
    grey = np.full((2, 3, 3), 0.18, np.float32)
    code = converter(config_of(PINNED), "Linear Rec.709 (sRGB)", "sRGB - Texture")(grey)
    np.testing.assert_allclose(code, 1.055 * 0.18 ** (1 / 2.4) - 0.055, rtol=1e-5)


def test_the_same_bits_on_any_number_of_threads_and_in_parts() -> None:
    show = converter(config_of(PINNED), "ACEScg", DisplayView())
    light = picture()
    one = show(light, threads=1)
    assert np.array_equal(one, show(light, threads=3))
    assert np.array_equal(one[5:7, 100:333], show(light[5:7, 100:333]))


def test_the_input_is_left_alone_whatever_its_kind() -> None:
    show = converter(config_of(PINNED), "ACEScg", "sRGB - Texture")
    light = picture(8, 9).astype(np.float16)
    kept = light.copy()
    made = show(light[:, ::-1])
    assert np.array_equal(light, kept)
    assert np.array_equal(made, show(light.astype(np.float32))[:, ::-1])


def test_a_view_is_what_a_display_is_sent() -> None:
    config = config_of(PINNED)
    first = converter(config, "ACEScg", DisplayView())
    assert first.words == "ACEScg to 'ACES 2.0 - SDR 100 nits (Rec.709)' of 'sRGB - Display'"
    shown = first(picture())
    assert 0 <= shown.min() < shown.max() <= 1
    other = converter(config, "ACEScg", DisplayView("rec.1886 rec.709 - display", "un-tone-mapped"))
    assert other.words == "ACEScg to 'Un-tone-mapped' of 'Rec.1886 Rec.709 - Display'"
    assert not np.allclose(shown, other(picture()))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (DisplayView("sRGB Display"), "sRGB - Display"),
        (DisplayView("CRT"), "has no display 'CRT'; it has: 'sRGB - Display', "),
        (DisplayView(view="ACES 1.0 - SDR 100 nits (Rec709)"), "has no view .*; nearest: 'ACES 2.0 - SDR 100 nits"),
        ("ARRI Log C4", "has no colour space 'ARRI Log C4'; nearest: 'ARRI LogC4'"),
    ],
)
def test_wrong_names(target: str | DisplayView, words: str) -> None:
    with pytest.raises(ColorError, match=words):
        converter(config_of(PINNED), "ACEScg", target)


def test_other_shapes_are_refused() -> None:
    show = converter(config_of(PINNED), "ACEScg", "sRGB - Texture")
    with pytest.raises(ShapeError, match=r"\(H, W, 3\), got \(4, 4\)"):
        show(np.zeros((4, 4), np.float32))
    assert show(np.zeros((0, 4, 3), np.float32)).shape == (0, 4, 3)
