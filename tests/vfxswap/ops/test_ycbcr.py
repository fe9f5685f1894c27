"""Planes to R'G'B' and back, against an independent float64 computation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vfxswap.color import ColorTags, Matrix, PixelLayout, Primaries, Range, Transfer
from vfxswap.errors import ColorError, ShapeError
from vfxswap.geometry import Box
from vfxswap.ops.ycbcr import add_rgb_delta, thumbnail, to_rgb

CPU = torch.device("cpu")
TAGS = ColorTags(Primaries.BT709, Transfer.BT709, Matrix.BT709, Range.LIMITED)
KR_KB = {Matrix.BT709: (0.2126, 0.0722), Matrix.SMPTE170M: (0.299, 0.114), Matrix.BT2020_NCL: (0.2627, 0.0593)}
SITINGS = ["left", "center", "topleft"]
SUBSAMPLINGS = [(1, 1), (1, 0), (0, 0), (2, 0)]
Planes = list[NDArray[Any]]


def layout_of(bits: int, log2: tuple[int, int], siting: str = "left", shift: int = 0) -> PixelLayout:
    location: Any = siting
    return PixelLayout("test", "ycbcr", bits, chroma_log2=log2, chroma_location=location, shift=shift)


def noise(layout: PixelLayout, width: int, height: int, seed: int = 0) -> Planes:
    """Planes with every code value equally likely."""
    rng = np.random.default_rng(seed)
    kind = np.uint8 if layout.bits + layout.shift <= 8 else np.uint16
    sx, sy = layout.chroma_log2
    small = (-(-height // (1 << sy)), -(-width // (1 << sx)))
    sizes = [(height, width)] + [small] * 2 if layout.model == "ycbcr" else [(height, width)] * layout.channels
    return [(rng.integers(0, 1 << layout.bits, size) << layout.shift).astype(kind) for size in sizes]


def weight_row(position: float, count: int) -> NDArray[np.float64]:
    """Linear interpolation weights of `count` samples at a position, the ends repeating."""
    row = np.zeros(count)
    low = int(np.floor(position))
    for index, weight in ((low, 1 - (position - low)), (low + 1, position - low)):
        row[min(max(index, 0), count - 1)] += weight
    return row


def reference_rgb(planes: Planes, layout: PixelLayout, tags: ColorTags) -> NDArray[np.float64]:
    """H.273 8.3 in float64, chroma by a dense interpolation matrix an axis."""
    luma, cb, cr = (plane.astype(np.float64) / 2**layout.shift for plane in planes)
    if tags.range is Range.LIMITED:
        unit = 2.0 ** (layout.bits - 8)
        luma, cb, cr = (luma / unit - 16) / 219, (cb / unit - 128) / 224, (cr / unit - 128) / 224
    else:
        top = 2.0**layout.bits - 1
        luma, cb, cr = luma / top, (cb - 2 ** (layout.bits - 1)) / top, (cr - 2 ** (layout.bits - 1)) / top
    axes = []
    for size, count, log2, cosited in (
        (luma.shape[0], cb.shape[0], layout.chroma_log2[1], layout.chroma_location == "topleft"),
        (luma.shape[1], cb.shape[1], layout.chroma_log2[0], layout.chroma_location != "center"),
    ):
        step = 2**log2
        at = [i / step if cosited else (i + 0.5) / step - 0.5 for i in range(size)]
        axes.append(np.stack([weight_row(position, count) for position in at]))
    cb, cr = (axes[0] @ plane @ axes[1].T for plane in (cb, cr))
    kr, kb = KR_KB[tags.matrix]
    red, blue = luma + 2 * (1 - kr) * cr, luma + 2 * (1 - kb) * cb
    return np.stack([red, (luma - kr * red - kb * blue) / (1 - kr - kb), blue])


@pytest.mark.parametrize("matrix", list(KR_KB))
@pytest.mark.parametrize("span", [Range.LIMITED, Range.FULL])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("log2", SUBSAMPLINGS)
def test_agrees_with_h273_in_float64(matrix: Matrix, span: Range, bits: int, log2: tuple[int, int]) -> None:
    layout, tags = layout_of(bits, log2), replace(TAGS, matrix=matrix, range=span)
    planes = noise(layout, 23, 15)
    rgb = to_rgb(planes, layout, tags, Box(0, 0, 23, 15), device=CPU)
    assert rgb.dtype == torch.float32
    np.testing.assert_allclose(rgb.numpy(), reference_rgb(planes, layout, tags), atol=2e-6)


@pytest.mark.parametrize("siting", SITINGS)
@pytest.mark.parametrize("log2", SUBSAMPLINGS)
def test_chroma_siting(siting: str, log2: tuple[int, int]) -> None:
    layout = layout_of(10, log2, siting)
    planes = noise(layout, 18, 11)
    rgb = to_rgb(planes, layout, TAGS, Box(0, 0, 18, 11), device=CPU)
    np.testing.assert_allclose(rgb.numpy(), reference_rgb(planes, layout, TAGS), atol=2e-6)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_box_equals_its_part_of_the_whole(data: st.DataObject) -> None:
    layout = layout_of(8, data.draw(st.sampled_from(SUBSAMPLINGS)), data.draw(st.sampled_from(SITINGS)))
    width, height = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    box = data.draw(boxes(width, height))
    planes = noise(layout, width, height)
    whole = to_rgb(planes, layout, TAGS, Box(0, 0, width, height), device=CPU)
    part = to_rgb(planes, layout, TAGS, box, device=CPU)
    assert torch.equal(part, whole[:, box.y0 : box.y1, box.x0 : box.x1])


@st.composite
def boxes(draw: st.DrawFn, width: int, height: int) -> Box:
    """Any non-empty box inside the picture."""
    x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return Box(x0, y0, draw(st.integers(x0 + 1, width)), draw(st.integers(y0 + 1, height)))


def test_superwhite_and_sub_black_survive() -> None:
    layout = layout_of(8, (0, 0))
    planes = [np.array([[0, 255]], np.uint8), np.full((1, 2), 128, np.uint8), np.full((1, 2), 128, np.uint8)]
    rgb = to_rgb(planes, layout, TAGS, Box(0, 0, 2, 1), device=CPU)
    assert rgb[:, 0, 0].tolist() == pytest.approx([-16 / 219] * 3)
    assert rgb[:, 0, 1].tolist() == pytest.approx([239 / 219] * 3)


def test_words_with_a_shift_mean_the_same() -> None:
    plain, shifted = layout_of(10, (1, 1)), layout_of(10, (1, 1), shift=6)
    planes = noise(plain, 12, 8)
    words = [plane << 6 for plane in planes]
    box = Box(1, 1, 12, 7)
    expected = to_rgb(planes, plain, TAGS, box, device=CPU)
    torch.testing.assert_close(to_rgb(words, shifted, TAGS, box, device=CPU), expected, atol=1e-6, rtol=0)
    delta, touched = torch.full((3, 6, 11), 0.1), torch.ones(6, 11, dtype=torch.bool)
    add_rgb_delta(planes, plain, TAGS, box, delta=delta, touched=touched)
    add_rgb_delta(words, shifted, TAGS, box, delta=delta, touched=touched)
    for plane, word in zip(planes, words, strict=True):
        np.testing.assert_array_equal(plane << 6, word)


def test_rgb_by_range() -> None:
    layout = PixelLayout("rgb48", "rgb", 16)
    planes = noise(layout, 4, 3)
    full = to_rgb(planes, layout, replace(TAGS, matrix=Matrix.RGB, range=Range.FULL), Box(1, 0, 4, 2), device=CPU)
    np.testing.assert_allclose(full.numpy(), np.stack(planes)[:, 0:2, 1:4] / 65535, atol=1e-6)
    limited = to_rgb(planes, layout, replace(TAGS, matrix=Matrix.RGB), Box(0, 0, 4, 3), device=CPU)
    np.testing.assert_allclose(limited.numpy(), (np.stack(planes) / 256.0 - 16) / 219, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_float_samples_are_taken_as_they_are(dtype: type[np.floating[Any]]) -> None:
    layout = PixelLayout("rgbaf", "rgb", 32, is_float=True, has_alpha=True)
    planes = [np.full((2, 3), value, dtype) for value in (-0.5, 0.25, 17.5, 0.75)]
    rgb = to_rgb(planes, layout, TAGS, Box(0, 0, 3, 2), device=CPU)
    assert rgb[:, 1, 2].tolist() == [-0.5, 0.25, 17.5]


def test_gray_is_repeated_and_written_back() -> None:
    layout = PixelLayout("gray10", "gray", 10)
    planes = noise(layout, 5, 4)
    tags = replace(TAGS, range=Range.FULL)
    rgb = to_rgb(planes, layout, tags, Box(0, 0, 5, 4), device=CPU)
    np.testing.assert_allclose(rgb.numpy(), np.stack([planes[0]] * 3) / 1023, atol=1e-6)
    planes[0][:] = 100
    add_rgb_delta(planes, layout, tags, Box(1, 1, 3, 3), delta=torch.full((3, 2, 2), 50 / 1023), touched=ones(2, 2))
    assert planes[0][1:3, 1:3].tolist() == [[150, 150]] * 2
    assert planes[0][0].tolist() == [100] * 5


def ones(height: int, width: int) -> NDArray[np.bool_]:
    return np.ones((height, width), dtype=np.bool_)


def test_packed_and_read_only_views_are_planes() -> None:
    layout = PixelLayout("nv12", "ycbcr", 8, chroma_log2=(1, 1))
    luma, cb, cr = noise(layout, 16, 10)
    packed = np.stack([cb, cr], axis=-1)
    packed.flags.writeable = False
    box = Box(3, 2, 16, 9)
    expected = to_rgb([luma, cb, cr], layout, TAGS, box, device=CPU)
    assert torch.equal(to_rgb([luma, packed[..., 0], packed[..., 1]], layout, TAGS, box, device=CPU), expected)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_add_does_no_harm(data: st.DataObject) -> None:
    """Luma outside what is touched, chroma whose block is not touched: the same bits; a delta of 0: all of them."""
    layout = layout_of(
        data.draw(st.sampled_from([8, 10])),
        data.draw(st.sampled_from(SUBSAMPLINGS)),
        data.draw(st.sampled_from(SITINGS)),
    )
    width, height = data.draw(st.integers(1, 24)), data.draw(st.integers(1, 24))
    box = data.draw(boxes(width, height))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    touched = rng.random((box.height, box.width)) < data.draw(st.sampled_from([0.0, 0.1, 0.7, 1.0]))
    planes = noise(layout, width, height)
    changed = [plane.copy() for plane in planes]
    delta = torch.from_numpy(rng.normal(size=(3, box.height, box.width)).astype(np.float32))
    delta[:, torch.from_numpy(~touched)] = float("nan")
    add_rgb_delta(changed, layout, TAGS, box, delta=delta, touched=touched)
    whole = np.zeros((height, width), np.bool_)
    whole[box.y0 : box.y1, box.x0 : box.x1] = touched
    assert np.array_equal(planes[0][~whole], changed[0][~whole])
    spread = blocks(whole, layout, planes[1].shape)
    for index in (1, 2):
        assert np.array_equal(planes[index][~spread], changed[index][~spread])
    assert max(int(plane.max()) for plane in changed) < 1 << layout.bits
    same = [plane.copy() for plane in planes]
    add_rgb_delta(same, layout, TAGS, box, delta=torch.zeros_like(delta), touched=touched)
    assert all(np.array_equal(a, b) for a, b in zip(planes, same, strict=True))


def blocks(touched: NDArray[np.bool_], layout: PixelLayout, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which chroma samples have a touched luma pixel in their own block, pixel by pixel."""
    sx, sy = 1 << layout.chroma_log2[0], 1 << layout.chroma_log2[1]
    result = np.zeros(size, np.bool_)
    for row in range(size[0]):
        for column in range(size[1]):
            result[row, column] = touched[row * sy : row * sy + sy, column * sx : column * sx + sx].any()
    return result


@pytest.mark.parametrize("matrix", list(KR_KB))
@pytest.mark.parametrize("span", [Range.LIMITED, Range.FULL])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_a_round_trip_is_within_half_a_code(matrix: Matrix, span: Range, bits: int) -> None:
    """At 4:4:4, a picture moved by a delta reads back as picture plus delta, within the rounding of the codes."""
    layout, tags = layout_of(bits, (0, 0)), replace(TAGS, matrix=matrix, range=span)
    planes = [plane // 2 + (1 << bits) // 4 for plane in noise(layout, 16, 16)]
    planes = [plane.astype(np.uint8 if bits == 8 else np.uint16) for plane in planes]
    box = Box(0, 0, 16, 16)
    before = to_rgb(planes, layout, tags, box, device=CPU)
    delta = (torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(1)) - 0.5) * 0.1
    add_rgb_delta(planes, layout, tags, box, delta=delta, touched=ones(16, 16))
    after = to_rgb(planes, layout, tags, box, device=CPU)
    kr, kb = KR_KB[matrix]
    code = 2.0 ** (8 - bits) / 219
    chroma = max(1 - kb, 1 - kr) * 2
    assert float((after - before - delta).abs().max()) <= 0.5 * code * (1 + chroma) + 1e-5


@pytest.mark.parametrize("siting", SITINGS)
@pytest.mark.parametrize("log2", [(1, 1), (1, 0), (2, 0)])
def test_a_flat_delta_arrives_whole_at_the_edges_too(siting: str, log2: tuple[int, int]) -> None:
    layout = layout_of(16, log2, siting)
    planes = [np.full(plane.shape, 30000, np.uint16) for plane in noise(layout, 13, 9)]
    box = Box(0, 0, 13, 9)
    before = to_rgb(planes, layout, TAGS, box, device=CPU)
    shift = torch.tensor([0.1, -0.05, 0.2]).reshape(3, 1, 1)
    add_rgb_delta(planes, layout, TAGS, box, delta=shift.expand(3, 9, 13), touched=ones(9, 13))
    torch.testing.assert_close(to_rgb(planes, layout, TAGS, box, device=CPU), before + shift, atol=1e-4, rtol=0)


def test_one_touched_pixel_moves_its_chroma_by_its_share() -> None:
    layout = layout_of(16, (1, 1), "left")
    planes = [np.full(plane.shape, 32768, np.uint16) for plane in noise(layout, 16, 16)]
    touched = np.zeros((16, 16), np.bool_)
    touched[8, 8] = True
    blue = torch.zeros(3, 16, 16)
    blue[2] = 0.5
    add_rgb_delta(planes, layout, TAGS, Box(0, 0, 16, 16), delta=blue, touched=touched)
    full = 224 * 256 * 0.5 * (1 - 0.0722) / (2 * (1 - 0.0722))
    expected = np.zeros((8, 8))
    expected[4, 4] = full * 0.5 * 0.5
    np.testing.assert_allclose(planes[1].astype(float) - 32768, expected, atol=0.51)


@pytest.mark.parametrize(("bits", "shift"), [(8, 0), (10, 0), (10, 6), (16, 0)])
def test_integers_clip_and_never_wrap(bits: int, shift: int) -> None:
    layout = layout_of(bits, (1, 1), shift=shift)
    for sign, luma in ((5.0, (1 << bits) - 1), (-5.0, 0)):
        planes = noise(layout, 8, 8)
        add_rgb_delta(planes, layout, TAGS, Box(0, 0, 8, 8), delta=torch.full((3, 8, 8), sign), touched=ones(8, 8))
        assert np.all(planes[0] >> shift == luma)


def test_float_planes_are_not_clipped_and_half_does_not_overflow() -> None:
    layout = PixelLayout("rgbf", "rgb", 32, is_float=True)
    wide = [np.full((2, 2), 60000.0, np.float32) for _ in range(3)]
    half = [plane.astype(np.float16) for plane in wide]
    minus_zero = np.float32(-0.0)
    wide[0][0, 0] = minus_zero
    touched = np.array([[False, True], [True, True]])
    for planes in (wide, half):
        add_rgb_delta(planes, layout, TAGS, Box(0, 0, 2, 2), delta=torch.full((3, 2, 2), 9000.0), touched=touched)
    assert wide[1].tolist() == [[60000, 69000], [69000, 69000]]
    assert half[1].astype(float).tolist() == [[60000, 65504], [65504, 65504]]
    assert np.signbit(wide[0][0, 0])


@pytest.mark.parametrize("spoilt", [np.inf, -np.inf, np.nan])
def test_a_pixel_with_an_infinite_sample_keeps_all_its_samples(spoilt: float) -> None:
    layout = PixelLayout("rgbf", "rgb", 16, is_float=True)
    planes = [np.full((2, 2), 0.5, np.float16) for _ in range(3)]
    planes[0][0, 1] = spoilt
    box, before = Box(0, 0, 2, 2), [plane.copy() for plane in planes]
    seen = to_rgb(planes, layout, TAGS, box, device=CPU)
    assert seen[:, 0, 1].tolist() == [1.0 if spoilt > 0 else 0.0, 0.5, 0.5]
    add_rgb_delta(planes, layout, TAGS, box, delta=torch.full((3, 2, 2), 0.25), touched=np.ones((2, 2), bool))
    for plane, old in zip(planes, before, strict=True):
        assert plane[0, 1].tobytes() == old[0, 1].tobytes()
        assert plane[[0, 1, 1], [0, 0, 1]].tolist() == [0.75] * 3


def test_alpha_is_left_alone() -> None:
    layout = PixelLayout("rgba", "rgb", 8, has_alpha=True)
    planes = noise(layout, 4, 4)
    alpha = planes[3].copy()
    tags = replace(TAGS, matrix=Matrix.RGB, range=Range.FULL)
    add_rgb_delta(planes, layout, tags, Box(0, 0, 4, 4), delta=torch.full((3, 4, 4), 0.3), touched=ones(4, 4))
    assert np.array_equal(planes[3], alpha)


@pytest.mark.parametrize("log2", [(1, 1), (1, 0), (0, 0)])
@pytest.mark.parametrize("bits", [8, 10])
def test_thumbnail_is_the_mean_of_the_picture(log2: tuple[int, int], bits: int) -> None:
    layout = layout_of(bits, log2, "center")
    y, x = np.mgrid[0:72, 0:96]
    ramp = ((x + 2 * y) / 240 * (1 << bits)).astype(np.uint8 if bits == 8 else np.uint16)
    sx, sy = 1 << log2[0], 1 << log2[1]
    middle = np.full_like(ramp[::sy, ::sx], 1 << (bits - 1))
    planes = [ramp, middle + (ramp[::sy, ::sx] >> 3), middle]
    small = thumbnail(planes, layout, TAGS, (24, 18))
    whole = to_rgb(planes, layout, TAGS, Box(0, 0, 96, 72), device=CPU)
    expected = whole.reshape(3, 18, 4, 24, 4).mean(dim=(2, 4)).clamp(0, 1)
    assert small.shape == (3, 18, 24)
    assert float((small - expected).abs().max()) < 0.012


def test_thumbnail_of_floats_is_finite() -> None:
    layout = PixelLayout("rgbf", "rgb", 16, is_float=True)
    planes = [np.full((8, 8), value, np.float16) for value in (np.inf, np.nan, -2.0)]
    small = thumbnail(planes, layout, TAGS, (4, 4))
    assert small[:, 0, 0].tolist() == [1.0, 0.0, 0.0]
    assert thumbnail(planes, layout, TAGS, (16, 16)).shape == (3, 16, 16)


def test_thumbnail_of_gray_and_rgb() -> None:
    full = replace(TAGS, matrix=Matrix.RGB, range=Range.FULL)
    gray = thumbnail([np.full((8, 8), 51, np.uint8)], PixelLayout("gray", "gray", 8), full, (4, 2))
    assert gray.shape == (3, 2, 4)
    assert gray.flatten().tolist() == pytest.approx([0.2] * 24)
    planes = [np.full((8, 8), value, np.uint8) for value in (51, 102, 255)]
    rgb = thumbnail(planes, PixelLayout("rgb24", "rgb", 8), full, (4, 4))
    assert rgb[:, 1, 1].tolist() == pytest.approx([0.2, 0.4, 1.0])


def test_what_is_not_known_is_refused() -> None:
    layout = layout_of(8, (1, 1))
    planes, box = noise(layout, 8, 8), Box(0, 0, 8, 8)
    with pytest.raises(ColorError, match="range"):
        to_rgb(planes, layout, replace(TAGS, range=Range.UNSPECIFIED), box, device=CPU)
    with pytest.raises(ColorError, match="UNSPECIFIED"):
        to_rgb(planes, layout, replace(TAGS, matrix=Matrix.UNSPECIFIED), box, device=CPU)
    with pytest.raises(ColorError, match="matrix RGB"):
        thumbnail(planes, layout, replace(TAGS, matrix=Matrix.RGB), (4, 4))
    for wrong in (Box(0, 0, 9, 8), Box(-1, 0, 8, 8), Box(4, 4, 4, 8)):
        with pytest.raises(ShapeError, match="inside 8x8"):
            to_rgb(planes, layout, TAGS, wrong, device=CPU)
    with pytest.raises(ShapeError, match="touches"):
        add_rgb_delta(planes, layout, TAGS, box, delta=torch.zeros(3, 8, 7), touched=ones(8, 8))
