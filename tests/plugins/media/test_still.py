"""Single pictures as plates of one frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the name that its own documentation uses
import pytest
from numpy.typing import NDArray

from vfxswap.color import Matrix, Primaries, Range, Transfer
from vfxswap.errors import MediaError, TruncatedPlate
from vfxswap_plugins.media.still import StillReader


def write(path: Path, pixels: NDArray[Any], names: tuple[str, ...] = (), **attributes: Any) -> Path:
    """Writes `(H, W, C)` samples as they are."""
    kind = {"uint8": "uint8", "uint16": "uint16", "float16": "half", "float32": "float"}[pixels.dtype.name]
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], kind)
    if names:
        spec.channelnames = names
        spec.alpha_channel = names.index("A") if "A" in names else -1
    for key, value in attributes.items():
        spec[key.replace("__", ":")] = value
    target = oiio.ImageOutput.create(str(path))
    assert target is not None
    assert target.open(str(path), spec)
    assert target.write_image(pixels)
    assert target.close()
    return path


def noise(dtype: type, channels: int, size: tuple[int, int] = (21, 35)) -> NDArray[Any]:
    rng = np.random.default_rng(5)
    if np.dtype(dtype).kind == "f":
        return (rng.random((*size, channels)) * 5 - 1).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, (*size, channels), endpoint=True).astype(dtype)


@pytest.mark.parametrize(
    ("name", "dtype", "channels", "model", "bits"),
    [
        ("a.png", np.uint8, 3, "rgb", 8),
        ("a.png", np.uint16, 4, "rgb", 16),
        ("a.png", np.uint8, 1, "gray", 8),
        ("a.tif", np.uint16, 3, "rgb", 16),
        ("a.tif", np.float32, 3, "rgb", 32),
        ("a.tif", np.uint8, 2, "gray", 8),
        ("a.exr", np.float16, 3, "rgb", 16),
        ("a.exr", np.float32, 4, "rgb", 32),
        ("a.exr", np.float16, 1, "gray", 16),
    ],
)
def test_samples_come_bit_by_bit_in_their_own_type(
    tmp_path: Path, name: str, dtype: type, channels: int, model: str, bits: int
) -> None:
    pixels = noise(dtype, channels)
    names = {1: ("Y",), 2: ("Y", "A"), 3: ("R", "G", "B"), 4: ("R", "G", "B", "A")}[channels]
    path = write(tmp_path / name, pixels, names, oiio__UnassociatedAlpha=1)
    with StillReader(path) as reader:
        info = reader.info
        (frame,) = reader.frames(1, 1)
    assert (info.layout.model, info.layout.bits, info.layout.is_float) == (model, bits, np.dtype(dtype).kind == "f")
    assert info.layout.has_alpha == (channels in {2, 4})
    assert (info.width, info.height, info.first, info.count, frame.number) == (35, 21, 1, 1, 1)
    for channel, plane in enumerate(frame.plate.planes):
        assert plane.dtype == dtype
        np.testing.assert_array_equal(plane, pixels[:, :, channel])
        assert not plane.flags.writeable


def test_channels_are_found_by_name_and_not_by_place(tmp_path: Path) -> None:
    pixels = noise(np.float16, 5)
    path = write(tmp_path / "a.exr", pixels, ("B", "depth.Z", "G", "R", "A"))
    with StillReader(path) as reader:
        (frame,) = reader.frames(1, 1)
    for plane, place in zip(frame.plate.planes, (3, 2, 0, 4), strict=True):
        np.testing.assert_array_equal(plane, pixels[:, :, place])


def test_colour_is_not_guessed_but_an_exr_is_linear(tmp_path: Path) -> None:
    png = StillReader(write(tmp_path / "a.png", noise(np.uint8, 3))).info.tags
    assert (png.matrix, png.primaries, png.transfer) == (Matrix.RGB, Primaries.UNSPECIFIED, Transfer.UNSPECIFIED)
    assert png.range is Range.FULL
    assert StillReader(write(tmp_path / "a.exr", noise(np.float16, 3))).info.tags.transfer is Transfer.LINEAR


@pytest.mark.parametrize(("orientation", "clockwise"), [(1, 0), (3, 180), (6, 90), (8, 270)])
def test_the_exif_orientation_is_the_rotation(tmp_path: Path, orientation: int, clockwise: int) -> None:
    path = write(tmp_path / "a.jpg", noise(np.uint8, 3), Orientation=orientation)
    info = StillReader(path).info
    assert info.rotation == clockwise
    assert (info.width, info.height) == ((35, 21) if clockwise % 180 == 0 else (21, 35))
    assert next(StillReader(path).frames(1, 1)).plate.planes[0].shape == (21, 35)


def test_a_mirrored_orientation_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jpg", noise(np.uint8, 3), Orientation=2)
    with pytest.raises(MediaError, match="stored mirrored"):
        StillReader(path)


def test_the_pixel_aspect_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.exr", noise(np.float16, 3), PixelAspectRatio=2.0)
    assert StillReader(path).info.pixel_aspect == Fraction(2)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.exr"])
def test_a_cut_file_is_not_taken_for_a_picture(tmp_path: Path, name: str) -> None:
    dtype = np.float16 if name.endswith("exr") else np.uint8
    path = write(tmp_path / name, noise(dtype, 3, (200, 300)))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(MediaError) as caught:
        next(StillReader(path).frames(1, 1))
    assert name in str(caught.value)
    if name != "a.tif":
        assert isinstance(caught.value, TruncatedPlate)
        assert caught.value.frame == 1


def test_what_is_no_picture_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    for name, text in (("text.png", "cannot be read as a picture"), ("empty.jpg", "is empty"), ("no.png", "no file")):
        with pytest.raises(MediaError, match=text):
            StillReader(tmp_path / name)
    with pytest.raises(MediaError, match="is a folder"):
        StillReader(tmp_path)


def test_frames_other_than_the_first_are_refused(tmp_path: Path) -> None:
    with StillReader(write(tmp_path / "a.png", noise(np.uint8, 3))) as reader:
        with pytest.raises(MediaError, match="frames 1-2 are not in it"):
            reader.frames(1, 2)
        early = reader.frames(1, 1)
        assert len(list(reader.frames(1, 1))) == 1
        assert list(early) == []


def test_a_pattern_is_not_a_single_picture() -> None:
    assert StillReader.can_read(Path("a.1001.exr"))
    assert not any(StillReader.can_read(Path(name)) for name in ("a.%04d.exr", "a.####.png", "a.@@@.tif", "a.mov"))
