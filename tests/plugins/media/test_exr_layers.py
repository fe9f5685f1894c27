"""Layers in OpenEXR files: what they hold, and that everything else in the file stays as it was."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import OpenImageIO as oiio  # noqa: N813 - the name that its own documentation uses
import pytest
from numpy.typing import NDArray

from vfxswap.color import SPACES, Matrix, PixelLayout, Range
from vfxswap.errors import MediaError
from vfxswap.frame import Frame, Layer, Picture
from vfxswap.geometry import Box
from vfxswap.layers import LAYERS, LayerOrder, Storing, layer_bits
from vfxswap_plugins.media.exr_header import COMPRESSIONS, Attribute, ExrHead, PartHead, read_head, with_head
from vfxswap_plugins.media.exr_layers import layer_file, layers_of, with_channels, with_parts
from vfxswap_plugins.media.exr_read import ExrPicture, describe_exr, read_exr
from vfxswap_plugins.media.exr_write import encoded_like, new_header

SIZE = (53, 37)
WINDOW = Box(-8, -6, 45, 31)
DISPLAY = Box(0, 0, 40, 30)
TOUCHED = Box(20, 5, 33, 21)
WORDS: dict[Any, Any] = {
    np.dtype(np.float16): np.uint16,
    np.dtype(np.float32): np.uint32,
    np.dtype(np.uint32): np.uint32,
}

Parts = list[tuple[dict[str, Any], dict[str, NDArray[Any]]]]


def bits(seed: int, kind: Any = np.float16) -> NDArray[Any]:
    words = WORDS[np.dtype(kind)]
    top = np.iinfo(words).max
    return np.random.default_rng(seed).integers(0, top, SIZE[::-1], words, endpoint=True).view(kind)


def plate_file(path: Path, **more: Any) -> Path:
    """Overscan, a depth of its own, a kept attribute; a timecode; perhaps tiles or a second part."""
    header = {
        "type": OpenEXR.scanlineimage,
        "compression": OpenEXR.ZIP_COMPRESSION,
        "dataWindow": ((WINDOW.x0, WINDOW.y0), (WINDOW.x1 - 1, WINDOW.y1 - 1)),
        "displayWindow": ((DISPLAY.x0, DISPLAY.y0), (DISPLAY.x1 - 1, DISPLAY.y1 - 1)),
        "pixelAspectRatio": 2.0,
        "studio/slate": "sh010 take 3",
        "colorInteropID": "lin_ap1_scene",
        "chromaticities": (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767),
        "framesPerSecond": Fraction(24000, 1001),
        **{key: value for key, value in more.items() if key not in {"second", "channels"}},
    }
    names = dict.fromkeys("RGBA", np.float16) | {"depth.Z": np.float32} | more.get("channels", {})
    own = OpenEXR.Part(header, {n: OpenEXR.Channel(bits(i, kind)) for i, (n, kind) in enumerate(names.items())})
    parts = [own]
    if "second" in more:
        own.header["name"] = "beauty"
        other = {"type": OpenEXR.scanlineimage, "compression": OpenEXR.RLE_COMPRESSION, "name": more["second"]}
        same = {key: header[key] for key in ("displayWindow", "pixelAspectRatio", "chromaticities")}
        parts.append(OpenEXR.Part(other | same, {"id": OpenEXR.Channel(bits(99, np.uint32))}))
    OpenEXR.File(parts).write(str(path))
    return path


def tiled() -> dict[str, Any]:
    tiles = OpenEXR.TileDescription()
    tiles.xSize, tiles.ySize = 16, 8
    return {"type": OpenEXR.tiledimage, "tiles": tiles}


def frame_of(path: Path, order: LayerOrder, *, blank: bool = False) -> Frame:
    """A plate with a change in a box, and layers of noise there."""
    plate = read_exr(path, describe_exr(path), frame=1001)
    return layered(plate, order, blank=blank)


def layered(plate: Picture, order: LayerOrder, *, blank: bool = False) -> Frame:
    result, rng = plate.copy(), np.random.default_rng(5)
    found: dict[str, Layer] = {}
    box = Box(0, 0, 0, 0) if blank else TOUCHED
    for name in order.names:
        noise = rng.random((len(order.channels(name)), box.height, box.width), np.float32)
        found[name] = Layer(box, noise.astype(np.float16).astype(np.float32))
    if not blank:
        for plane in result.planes[:3]:
            plane[box.y0 : box.y1, box.x0 : box.x1] = 0.5
    return Frame(1001, plate, result=None if blank else result, layers=found)


def opened(data: bytes, folder: Path) -> Parts:
    """By OpenEXR's library alone, which checks the whole head."""
    path = folder / "opened.exr"
    path.write_bytes(data)
    file = OpenEXR.File(str(path), separate_channels=True)
    return [
        (file.header(i), {name: channel.pixels for name, channel in file.channels(i).items()})
        for i in range(len(file.parts))
    ]


def same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return one.dtype == other.dtype and np.array_equal(one.view(WORDS[one.dtype]), other.view(WORDS[other.dtype]))


def order_of(stored: Storing) -> LayerOrder:
    return LayerOrder(tuple(LAYERS), stored, ("hero", "friend", "third"))


def expected(frame: Frame, order: LayerOrder) -> Mapping[str, NDArray[Any]]:
    """All channels by their full names."""
    kinds = {16: np.float16, 32: np.float32}
    return {
        channel: frame.layers[name].plane(i, *SIZE).astype(kinds[layer_bits(name, frame.plate.layout)])
        for name in order.names
        for i, channel in enumerate(order.channels(name))
    }


FRESH = new_header(
    replace(SPACES["ACEScg"], range=Range.FULL), "zips", rate=Fraction(24), timecode="01:00:00:00", aspect=Fraction(2)
)


@pytest.mark.parametrize("shape", ["scanlines", "tiles", "two parts"])
@pytest.mark.parametrize("stored", ["channels", "parts"])
def test_a_delivery_holds_its_layers_and_all_that_it_held_before(tmp_path: Path, stored: Storing, shape: str) -> None:
    more = {"scanlines": {}, "tiles": tiled(), "two parts": {"second": "extra"}}[shape]
    order = order_of(stored)
    frame = frame_of(plate_file(tmp_path / "plate.exr", **more), order)
    assert isinstance(frame.result, ExrPicture)
    beauty = encoded_like(frame.result, None)
    put_in = with_channels if stored == "channels" else with_parts
    data = put_in(beauty, 0, layers_of(frame, order))
    found, before = opened(data, tmp_path), opened(beauty, tmp_path)
    everything = {name: pixels for _, channels in found for name, pixels in channels.items()}
    wanted = dict(expected(frame, order))
    for _, channels in before:
        wanted |= channels
    assert set(everything) == set(wanted)
    assert all(same(everything[name], pixels) for name, pixels in wanted.items())
    assert len(found) == len(before) + (len(order.names) if stored == "parts" else 0)
    kept = {"dataWindow", "displayWindow", "pixelAspectRatio", "studio/slate", "colorInteropID", "compression", "type"}
    for (head, _), (old, _) in zip(found, before, strict=False):
        for key in kept & set(old):
            assert str(head[key]) == str(old[key]), key
    assert found[0][0]["cryptomatte/5baf4c8/hash"] == "MurmurHash3_32"
    _check_read_by_another(data, tmp_path, set(wanted))


def _check_read_by_another(data: bytes, folder: Path, names: set[str]) -> None:
    path = folder / "other.exr"
    path.write_bytes(data)
    source, part = oiio.ImageInput.open(str(path)), 0
    seen: set[str] = set()
    assert source is not None
    while source.seek_subimage(part, 0):
        seen |= set(source.spec().channelnames)
        assert source.read_image(part, 0, 0, source.spec().nchannels, "float") is not None, source.geterror()
        part += 1
    assert seen == names


def test_parts_are_named_and_have_the_plates_windows(tmp_path: Path) -> None:
    order = order_of("parts")
    frame = frame_of(plate_file(tmp_path / "plate.exr"), order)
    assert isinstance(frame.result, ExrPicture)
    found = opened(with_parts(encoded_like(frame.result, None), 0, layers_of(frame, order)), tmp_path)
    assert [head["name"] for head, _ in found] == ["rgba", *(f"vfxswap_{name}" for name in order.names)]
    for head, _ in found[1:]:
        assert str(head["dataWindow"]) == str(found[0][0]["dataWindow"])
        assert str(head["displayWindow"]) == str(found[0][0]["displayWindow"])
        assert head["compression"] == OpenEXR.ZIPS_COMPRESSION
        assert head["studio/slate"] == "sh010 take 3"


def test_the_part_of_the_picture_keeps_its_own_chunks(tmp_path: Path) -> None:
    order = LayerOrder(("matte",), "parts")
    frame = frame_of(plate_file(tmp_path / "plate.exr"), order, blank=True)
    assert isinstance(frame.plate, ExrPicture)
    data = with_parts(frame.plate.file.data, 0, layers_of(frame, order))
    (chunks,) = frame.plate.file.chunks
    for place, size in zip(chunks.places, chunks.sizes, strict=True):
        assert frame.plate.file.data[place : place + size] in data


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    order = LayerOrder(("matte",), "parts")
    frame = frame_of(plate_file(tmp_path / "plate.exr", second="vfxswap_matte"), order)
    assert isinstance(frame.result, ExrPicture)
    with pytest.raises(MediaError, match="has a part vfxswap_matte already"):
        with_parts(encoded_like(frame.result, None), 0, layers_of(frame, order))


@pytest.mark.parametrize("blank", [False, True], ids=["with a face", "blank"])
def test_a_file_of_its_own_has_the_plates_windows_and_head(tmp_path: Path, blank: bool) -> None:
    order = order_of("files")
    timecode = Attribute(b"timeCode", b"timecode", struct.pack("<2I", 0x01020304, 0))
    path = plate_file(tmp_path / "plate.exr")
    raw = path.read_bytes()
    head, size = read_head(raw)
    path.write_bytes(with_head(raw, size, ExrHead(head.flags, (PartHead((*head.parts[0].attributes, timecode)),))))
    frame = frame_of(path, order, blank=blank)
    wanted = expected(frame, order)
    for layer in layers_of(frame, order):
        data = layer_file(layer, frame.plate, FRESH)
        ((header, channels),) = opened(data, tmp_path)
        names = dict(zip(order.channels_in_own_file(layer.name), order.channels(layer.name), strict=True))
        assert set(channels) == set(names)
        assert all(same(pixels, wanted[names[name]]) for name, pixels in channels.items())
        assert all(pixels.any() != blank for name, pixels in channels.items())
        assert str(header["dataWindow"][0]) == str(np.array([WINDOW.x0, WINDOW.y0], np.int32))
        assert str(header["displayWindow"][1]) == str(np.array([DISPLAY.x1 - 1, DISPLAY.y1 - 1], np.int32))
        assert header["pixelAspectRatio"] == 2.0
        assert header["studio/slate"] == "sh010 take 3"
        assert header["colorInteropID"] == ("data" if LAYERS[layer.name].is_data else "lin_ap1_scene")
        assert ("chromaticities" in header) is not LAYERS[layer.name].is_data
        assert read_head(data)[0].parts[0].value("timeCode") == timecode.value
        assert any(key.startswith("cryptomatte/") for key in header) is (layer.name == "id")


@pytest.mark.parametrize("stored", ["files", "channels", "parts"])
def test_a_file_that_is_cropped_more_than_others_has_layers_of_its_own_window(tmp_path: Path, stored: Storing) -> None:
    """Data windows may differ within a sequence: the picture is then larger than its file."""
    path, around = plate_file(tmp_path / "plate.exr"), Box(-20, -10, 60, 40)
    plate = read_exr(path, describe_exr(path), frame=1001, window=around)
    assert (plate.width, plate.height) == (around.width, around.height)
    order = LayerOrder(("patch",), stored)
    frame = layered(plate, order)
    (layer,) = layers_of(frame, order)
    left, top = WINDOW.x0 - around.x0, WINDOW.y0 - around.y0
    wanted = frame.layers["patch"].plane(1, plate.width, plate.height)[top : top + SIZE[1], left : left + SIZE[0]]
    if stored == "files":
        ((header, channels),) = opened(layer_file(layer, plate, FRESH), tmp_path)
        found = channels["G"]
    else:
        assert isinstance(frame.result, ExrPicture)
        put_in = with_channels if stored == "channels" else with_parts
        parts = opened(put_in(encoded_like(frame.result, None), 0, [layer]), tmp_path)
        header, channels = parts[-1]
        found = channels["vfxswap_patch.G"]
    assert wanted.any()
    assert np.array_equal(found, wanted.astype(np.float16))
    assert str(header["dataWindow"][0]) == str(np.array([WINDOW.x0, WINDOW.y0], np.int32))


def test_the_plates_own_cryptomatte_is_not_said_of_a_layer(tmp_path: Path) -> None:
    path = plate_file(tmp_path / "plate.exr", **{"cryptomatte/abcdef0/name": "CryptoAsset"})
    order = LayerOrder(("matte", "id"), "files", ("hero",))
    frame = frame_of(path, order)
    for layer in layers_of(frame, order):
        ((header, _),) = opened(layer_file(layer, frame.plate, FRESH), tmp_path)
        assert "cryptomatte/abcdef0/name" not in header


def test_a_plate_of_another_format_gives_a_new_head(tmp_path: Path) -> None:
    layout = PixelLayout("rgb float", "rgb", 32, is_float=True)
    tags = replace(SPACES["ACEScg"], matrix=Matrix.RGB, range=Range.FULL)
    plate = Picture([bits(i).astype(np.float32) for i in range(3)], layout, tags)
    order = LayerOrder(("matte", "st"), "files")
    frame = layered(plate, order)
    for layer in layers_of(frame, order):
        ((header, channels),) = opened(layer_file(layer, plate, FRESH), tmp_path)
        assert {pixels.dtype for pixels in channels.values()} == {np.dtype(np.float32)}
        assert header["compression"] == OpenEXR.ZIPS_COMPRESSION
        assert header["pixelAspectRatio"] == 2.0
        code = header["timeCode"]
        assert (code.hours, code.minutes, code.seconds, code.frame) == (1, 0, 0, 0)
        assert header["colorInteropID"] == ("data" if layer.name == "st" else "lin_ap1_scene")


@pytest.mark.parametrize("compression", ["none", "rle", "zips", "zip", "piz"])
def test_channels_are_compressed_as_their_part_is(tmp_path: Path, compression: str) -> None:
    number = OpenEXR.Compression(COMPRESSIONS.index(compression))
    order = order_of("channels")
    frame = frame_of(plate_file(tmp_path / "plate.exr", compression=number), order)
    assert isinstance(frame.result, ExrPicture)
    ((header, channels),) = opened(
        with_channels(encoded_like(frame.result, None), 0, layers_of(frame, order)), tmp_path
    )
    assert header["compression"] == number
    assert all(same(channels[name], pixels) for name, pixels in expected(frame, order).items())


def test_a_frame_without_its_layers_is_an_error(tmp_path: Path) -> None:
    frame = frame_of(plate_file(tmp_path / "plate.exr"), LayerOrder(("matte",)))
    with pytest.raises(KeyError):
        layers_of(frame, order_of("files"))
