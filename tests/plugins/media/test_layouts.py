"""Every pixel format of the table: sizes, depths and the order of channels, against FFmpeg's own."""

from __future__ import annotations

import av
import numpy as np
import pytest

from vfxswap.color import ColorTags
from vfxswap.errors import MediaError
from vfxswap_plugins.media.layouts import chroma_location, is_known, layout_of, planes_of, store_of
from vfxswap_plugins.media.movie_picture import MoviePicture, new_frame

FORMATS = (
    *(f"yuv{grid}p{depth}" for grid in ("420", "422", "444") for depth in ("", "9le", "10le", "12le", "14le", "16le")),
    *("yuv410p", "yuv411p", "yuv440p", "yuv440p10le", "yuvj420p", "yuvj422p", "yuvj444p", "yuva420p", "yuva444p10le"),
    *("gray", "gray10le", "gray16le", "grayf32le", "ya8", "ya16le"),
    *("gbrp", "gbrp10le", "gbrp12le", "gbrp16le", "gbrpf32le", "gbrap", "gbrap16le"),
    *("nv12", "nv21", "nv16", "p010le", "p016le", "p210le", "uyvy422", "yuyv422", "yvyu422"),
    *("rgb24", "bgr24", "rgba", "bgra", "argb", "abgr", "rgb0", "bgr0", "rgb48le", "bgr48le", "rgba64le", "bgra64le"),
)


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_planes_have_the_sizes_and_depth_that_ffmpeg_says(pix_fmt: str) -> None:
    frame = new_frame(35, 21, pix_fmt)
    store = store_of(pix_fmt)
    planes = planes_of(frame, store, writable=True)
    components = av.VideoFormat(pix_fmt, 35, 21).components
    assert [(plane.shape[1], plane.shape[0]) for plane in planes] == [(c.width, c.height) for c in components]
    assert {component.bits for component in components} == {store.layout.bits}
    assert len(planes) == store.layout.channels


@pytest.mark.parametrize("pix_fmt", [name for name in FORMATS if store_of(name).layout.model == "rgb"])
def test_rgb_channels_are_red_green_blue_in_every_store(pix_fmt: str) -> None:
    source = av.VideoFrame.from_ndarray(np.full((16, 32, 3), (200, 100, 50), np.uint8), format="rgb24")
    frame = source.reformat(format=pix_fmt)
    store = store_of(pix_fmt)
    top = 1.0 if store.layout.is_float else (1 << store.layout.bits) - 1
    values = [float(plane[8, 8]) / top * 255 for plane in planes_of(frame, store, writable=False)]
    assert values[:3] == pytest.approx([200, 100, 50], abs=1.5)
    assert values[3:] == pytest.approx([255] * store.layout.has_alpha)


@pytest.mark.parametrize(
    ("planar", "other"),
    [
        ("yuv420p", "nv12"),
        ("yuv420p", "nv21"),
        ("yuv420p10le", "p010le"),
        ("yuv422p", "uyvy422"),
        ("yuv422p", "yuyv422"),
        ("yuv422p", "yvyu422"),
        ("yuv422p10le", "p210le"),
    ],
)
def test_packed_ycbcr_gives_the_planes_of_the_planar_store(planar: str, other: str) -> None:
    frame = new_frame(32, 16, planar)
    for index, plane in enumerate(planes_of(frame, store_of(planar), writable=True)):
        plane[:] = np.arange(plane.size).reshape(plane.shape) % 50 + 60 * index + 20
    store = store_of(other)
    packed = planes_of(frame.reformat(format=other), store, writable=False)
    for plane, view in zip(planes_of(frame, store_of(planar), writable=False), packed, strict=True):
        np.testing.assert_array_equal(view >> store.layout.shift, plane)


def test_views_are_read_only_unless_asked() -> None:
    frame = new_frame(32, 16, "yuv420p")
    picture = MoviePicture(frame, layout_of("yuv420p"), ColorTags())
    assert not any(plane.flags.writeable for plane in picture.planes)
    with pytest.raises(ValueError, match="read-only"):
        picture.planes[0][0, 0] = 1


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "bgr0", "nv12", "gbrpf32le", "p010le"])
def test_a_copy_is_equal_writable_and_its_own(pix_fmt: str) -> None:
    frame = new_frame(37, 19, pix_fmt)
    for plane in planes_of(frame, store_of(pix_fmt), writable=True):
        plane[:] = (np.arange(plane.size).reshape(plane.shape) % 200).astype(plane.dtype)
    frame.pts, frame.duration = 77, 3
    frame.colorspace, frame.color_range = 9, 2
    picture = MoviePicture(frame, layout_of(pix_fmt), ColorTags())
    copy = picture.copy()
    before = [plane.copy() for plane in picture.planes]
    for old, new in zip(picture.planes, copy.planes, strict=True):
        np.testing.assert_array_equal(old, new)
        new[:] = 0
    for plane, kept in zip(picture.planes, before, strict=True):
        np.testing.assert_array_equal(plane, kept)
    assert (copy.frame.pts, copy.frame.duration, copy.frame.colorspace, copy.frame.color_range) == (77, 3, 9, 2)
    assert isinstance(copy, MoviePicture)


@pytest.mark.parametrize("pix_fmt", ["pal8", "rgb48be", "monob", "vaapi"])
def test_an_unknown_format_is_refused_by_name(pix_fmt: str) -> None:
    assert not is_known(pix_fmt)
    with pytest.raises(MediaError, match=f"'{pix_fmt}' is not supported .* ffmpeg -i"):
        layout_of(pix_fmt)


def test_chroma_lies_left_but_for_mpeg1_and_jpeg() -> None:
    assert [chroma_location(codec) for codec in ("h264", "hevc", "prores", "mpeg2video")] == ["left"] * 4
    assert [chroma_location(codec) for codec in ("mpeg1video", "mjpeg")] == ["center"] * 2
