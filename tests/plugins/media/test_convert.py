"""Conversions between layouts, against an independent reference in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vfxswap.color import LUMA_WEIGHTS, ColorTags, Matrix, Primaries, Range, Transfer
from vfxswap.errors import ColorError
from vfxswap_plugins.media.convert import converted, same_samples
from vfxswap_plugins.media.layouts import layout_of
from vfxswap_plugins.media.tags import delivered_tags

LIMITED = ColorTags(Primaries.BT709, Transfer.BT709, Matrix.BT709, Range.LIMITED)
FULL = ColorTags(Primaries.BT709, Transfer.BT709, Matrix.BT709, Range.FULL)
RGB = ColorTags(Primaries.BT709, Transfer.BT709, Matrix.RGB, Range.FULL)


def random_planes(pix_fmt: str, size: tuple[int, int], seed: int = 3) -> list[NDArray[Any]]:
    layout = layout_of(pix_fmt)
    rng = np.random.default_rng(seed)
    planes = []
    for channel in range(layout.channels):
        is_chroma = layout.model == "ycbcr" and channel in {1, 2}
        x, y = layout.chroma_log2 if is_chroma else (0, 0)
        shape = (-(-size[1] >> y), -(-size[0] >> x))
        words = rng.integers(0, 1 << layout.bits, shape) << layout.shift
        planes.append(words.astype(np.uint8 if layout.bits == 8 else np.uint16))
    return planes


@pytest.mark.parametrize("bits", [9, 10, 12, 14, 16])
def test_limited_range_goes_up_by_a_shift_and_comes_back(bits: int) -> None:
    planes = random_planes("yuv422p", (32, 10))
    deep = layout_of(f"yuv422p{bits}le")
    up = converted(planes, layout_of("yuv422p"), LIMITED, deep, LIMITED)
    for plane, result in zip(planes, up, strict=True):
        np.testing.assert_array_equal(result, plane.astype(np.uint16) << (bits - 8))
    for plane, result in zip(planes, converted(up, deep, LIMITED, layout_of("yuv422p"), LIMITED), strict=True):
        np.testing.assert_array_equal(result, plane)


def test_full_range_goes_up_so_that_white_stays_white() -> None:
    ramp = np.arange(256, dtype=np.uint8)[None].repeat(2, axis=0)
    luma, cb, _ = converted([ramp] * 3, layout_of("yuv444p"), FULL, layout_of("yuv444p10le"), FULL)
    np.testing.assert_array_equal(luma[0], np.floor(np.arange(256) / 255 * 1023 + 0.5))
    np.testing.assert_array_equal(cb[0], np.clip(np.floor((np.arange(256) - 128) / 255 * 1023 + 512.5), 0, 1023))


def test_full_range_becomes_limited_and_each_code_stays_apart() -> None:
    ramp = np.arange(256, dtype=np.uint8)[None].repeat(2, axis=0)
    luma, cb, _ = converted([ramp] * 3, layout_of("yuvj444p"), FULL, layout_of("yuv444p10le"), LIMITED)
    np.testing.assert_array_equal(luma[0], np.floor(64 + np.arange(256) * 876 / 255 + 0.5))
    np.testing.assert_array_equal(cb[0], np.floor(512 + (np.arange(256) - 128) * 896 / 255 + 0.5))
    assert len(set(luma[0])) == len(set(cb[0])) == 256


@pytest.mark.parametrize(
    ("location", "weights"), [("left", (1.0, 0.5)), ("topleft", (1.0, 0.5)), ("center", (0.75, 0.75))]
)
def test_chroma_is_interpolated_from_where_it_lies(location: str, weights: tuple[float, float]) -> None:
    source = layout_of("yuv420p", location)  # type: ignore[arg-type]  # parametrized
    planes = random_planes("yuv420p", (16, 8))
    _, cb, _ = converted(planes, source, LIMITED, layout_of("yuv444p16le"), LIMITED)
    old = planes[1].astype(np.float64) * 256
    rows = old if location == "topleft" else 0.75 * old + 0.25 * np.vstack([old[:1], old[:-1]])
    # Even rows, odd columns lie between two samples, or a quarter of the way where chroma is centred.
    between = rows[:, :-1] * weights[1] + rows[:, 1:] * (1 - weights[1])
    np.testing.assert_array_equal(cb[0::2, 1:-1:2], np.floor(between + 0.5))
    if location != "center":
        np.testing.assert_array_equal(cb[0::2, 0::2], np.floor(rows + 0.5))


def test_a_linear_ramp_of_chroma_survives_finer_and_coarser_grids() -> None:
    columns, rows = np.meshgrid(np.arange(32), np.arange(16))
    full = (2000 + columns * 64 + rows * 32).astype(np.uint16)
    planes = [np.full_like(full, 30000), full, full]
    down = converted(planes, layout_of("yuv444p16le"), LIMITED, layout_of("yuv420p16le"), LIMITED)
    up = converted(down, layout_of("yuv420p16le"), LIMITED, layout_of("yuv444p16le"), LIMITED)
    np.testing.assert_allclose(up[1][2:-2, 2:-2], full[2:-2, 2:-2], atol=1)


@pytest.mark.parametrize("size", [(33, 17), (1, 1), (2, 3)])
@pytest.mark.parametrize("target", ["yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv411p", "yuv440p"])
def test_odd_sizes_get_chroma_planes_of_the_right_size(size: tuple[int, int], target: str) -> None:
    layout = layout_of(target)
    for source in ("yuv420p", "yuv444p"):
        planes = converted(random_planes(source, size), layout_of(source), LIMITED, layout, LIMITED)
        x, y = layout.chroma_log2
        assert [plane.shape for plane in planes[1:]] == [(-(-size[1] >> y), -(-size[0] >> x))] * 2


@pytest.mark.parametrize("matrix", list(LUMA_WEIGHTS))
@pytest.mark.parametrize("target", ["yuv444p", "yuv444p10le", "yuv444p16le"])
def test_rgb_becomes_ycbcr_by_the_matrix_of_the_tags(matrix: Matrix, target: str) -> None:
    layout = layout_of(target)
    tags = ColorTags(Primaries.BT709, Transfer.BT709, matrix, Range.LIMITED)
    planes = random_planes("rgb24", (32, 32))
    red, green, blue = (plane.astype(np.float64) / 255 for plane in planes)
    weight_r, weight_b = LUMA_WEIGHTS[matrix]
    luma = weight_r * red + (1 - weight_r - weight_b) * green + weight_b * blue
    unit = 1 << (layout.bits - 8)
    wanted = [
        (219 * luma + 16) * unit,
        (224 * (blue - luma) / (2 - 2 * weight_b) + 128) * unit,
        (224 * (red - luma) / (2 - 2 * weight_r) + 128) * unit,
    ]
    for result, exact in zip(converted(planes, layout_of("rgb24"), RGB, layout, tags), wanted, strict=True):
        assert np.abs(result - exact).max() <= 0.5 + 0.01


def test_known_colours_have_the_codes_of_the_standard() -> None:
    """BT.709 table: white, black, 100 % red, green and blue in 8 bits."""
    colors = np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    planes = [colors[:, channel][None] for channel in range(3)]
    luma, cb, cr = converted(planes, layout_of("rgb24"), RGB, layout_of("yuv444p"), LIMITED)
    assert luma[0].tolist() == [235, 16, 63, 173, 32]
    assert cb[0].tolist() == [128, 128, 102, 42, 240]
    assert cr[0].tolist() == [128, 128, 240, 26, 118]


def test_rgb_survives_ycbcr_in_sixteen_bits() -> None:
    planes = random_planes("rgb24", (24, 24))
    deep = converted(planes, layout_of("rgb24"), RGB, layout_of("yuv444p16le"), LIMITED)
    back = converted(deep, layout_of("yuv444p16le"), LIMITED, layout_of("gbrp"), RGB)
    for plane, result in zip(planes, back, strict=True):
        np.testing.assert_array_equal(result, plane)


@pytest.mark.parametrize("matrix", [Matrix.BT709, Matrix.BT2020_NCL])
@pytest.mark.parametrize("source", ["rgb24", "gbrp10le", "gbrp16le", "gbrpf32le"])
def test_rounding_to_ten_bits_is_all_that_rgb_loses(source: str, matrix: Matrix) -> None:
    """Against the ideal in float64: half a code in Y'CbCr, and half a code of R'G'B' in the mean on the way back."""
    layout, tags = layout_of(source), ColorTags(Primaries.BT709, Transfer.BT709, matrix, Range.LIMITED)
    if layout.is_float:
        planes: list[NDArray[Any]] = list(np.random.default_rng(5).random((3, 64, 96)).astype(np.float32))
        rgb = np.stack(planes).astype(np.float64)
    else:
        planes = random_planes(source, (96, 64))
        rgb = np.stack(planes) / ((1 << layout.bits) - 1)
    words = np.stack(converted(planes, layout, RGB, layout_of("yuv444p10le"), tags)).astype(np.float64)
    red, blue = LUMA_WEIGHTS[matrix]
    luma = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    cb, cr = (rgb[2] - luma) / (2 - 2 * blue), (rgb[0] - luma) / (2 - 2 * red)
    ideal = np.stack([64 + 876 * luma, 512 + 896 * cb, 512 + 896 * cr])
    assert np.abs(words - ideal).max() <= 0.5 + 1e-3
    assert 0.24 < np.abs(words - ideal).mean() < 0.26
    y, u, v = (words[0] - 64) / 876, (words[1] - 512) / 896, (words[2] - 512) / 896
    back_r, back_b = y + (2 - 2 * red) * v, y + (2 - 2 * blue) * u
    back_g = (y - red * back_r - blue * back_b) / (1 - red - blue)
    error = np.abs(np.stack([back_r, back_g, back_b]) - rgb) * 1023
    assert error.mean() < 0.5
    assert error.max() < 1.7


def test_floats_beyond_white_go_as_far_as_the_words_reach() -> None:
    plane = np.array([[-1.0, -0.05, 0.0, 0.5, 1.0, 1.05, 64.0, np.inf, np.nan]], np.float32)
    luma, cb, _ = converted([plane] * 3, layout_of("gbrpf32le"), RGB, layout_of("yuv444p10le"), LIMITED)
    np.testing.assert_array_equal(luma[0], [0, 20, 64, 502, 940, 984, 1023, 1023, 64])
    np.testing.assert_array_equal(cb[0, :7], [512] * 7)
    words = converted([plane] * 4, layout_of("gbrapf32le"), RGB, layout_of("gbrap16le"), RGB)
    for channel in words:
        np.testing.assert_array_equal(channel[0], [0, 0, 0, 32768, 65535, 65535, 65535, 65535, 0])


def test_gray_gets_neutral_chroma() -> None:
    gray = random_planes("gray", (16, 8))
    luma, cb, cr = converted(gray, layout_of("gray"), LIMITED, layout_of("yuv422p10le"), LIMITED)
    np.testing.assert_array_equal(luma, gray[0].astype(np.uint16) << 2)
    assert cb.shape == (8, 8)
    assert set(cb.ravel()) == set(cr.ravel()) == {512}


def test_alpha_always_has_full_range_and_is_opaque_if_there_is_none() -> None:
    planes = random_planes("yuva444p", (16, 8))
    *_, alpha = converted(planes, layout_of("yuva444p"), LIMITED, layout_of("yuva444p10le"), LIMITED)
    np.testing.assert_array_equal(alpha, np.floor(planes[3] / 255 * 1023 + 0.5))
    *_, opaque = converted(planes[:3], layout_of("yuv444p"), LIMITED, layout_of("yuva444p10le"), LIMITED)
    assert set(opaque.ravel()) == {1023}


def test_words_with_a_shift_are_read_and_written_at_the_top() -> None:
    planes = random_planes("yuv420p", (16, 8))
    high = converted(planes, layout_of("yuv420p"), LIMITED, layout_of("p010le"), LIMITED)
    for plane, result in zip(planes, high, strict=True):
        np.testing.assert_array_equal(result, plane.astype(np.uint16) << 8)
    back = converted(high, layout_of("p010le"), LIMITED, layout_of("yuv420p"), LIMITED)
    for plane, result in zip(planes, back, strict=True):
        np.testing.assert_array_equal(result, plane)


def test_the_input_is_not_written_to() -> None:
    planes = random_planes("yuv420p", (16, 8))
    for plane in planes:
        plane.flags.writeable = False
    converted(planes, layout_of("yuv420p"), LIMITED, layout_of("yuv444p10le"), LIMITED)


def test_an_unknown_range_or_matrix_is_refused() -> None:
    planes = random_planes("yuv420p", (16, 8))
    with pytest.raises(ColorError, match="range is not specified"):
        converted(planes, layout_of("yuv420p"), ColorTags(), layout_of("yuv422p10le"), LIMITED)
    with pytest.raises(ColorError, match="UNSPECIFIED"):
        converted(random_planes("rgb24", (4, 4)), layout_of("rgb24"), RGB, layout_of("yuv444p"), ColorTags())


def test_same_samples_looks_at_what_is_stored_and_not_at_its_name() -> None:
    assert same_samples(layout_of("yuvj420p"), FULL, layout_of("yuv420p"), FULL)
    assert same_samples(layout_of("rgb24"), RGB, layout_of("gbrp"), RGB)
    assert not same_samples(layout_of("yuvj420p"), FULL, layout_of("yuv420p"), LIMITED)
    assert not same_samples(layout_of("yuv420p10le"), LIMITED, layout_of("p010le"), LIMITED)


def test_delivered_tags_follow_the_layout() -> None:
    bt2020 = ColorTags(Primaries.BT2020, Transfer.PQ, Matrix.RGB, Range.FULL)
    ycbcr = delivered_tags(bt2020, layout_of("gbrp10le"), layout_of("yuv444p10le"), full_range=True)
    assert ycbcr == ColorTags(Primaries.BT2020, Transfer.PQ, Matrix.BT2020_NCL, Range.LIMITED)
    assert (
        delivered_tags(FULL, layout_of("yuvj420p"), layout_of("yuv422p10le"), full_range=False).range is Range.LIMITED
    )
    assert delivered_tags(FULL, layout_of("yuvj420p"), layout_of("yuv420p"), full_range=True) == FULL
    assert delivered_tags(LIMITED, layout_of("yuv444p"), layout_of("gbrp"), full_range=True).matrix is Matrix.RGB
