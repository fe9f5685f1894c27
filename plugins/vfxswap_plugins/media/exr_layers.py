"""Layers in OpenEXR files: as files of their own, as more channels of the picture's part, or as more parts.

A file that holds layers besides its picture is the picture's own file, byte for byte, with more in it: the chunks of
the other parts are carried as they are, and the head says what it said. Only a part that gets channels is encoded anew.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from vfxswap.errors import MediaError
from vfxswap.frame import Frame, Picture
from vfxswap.geometry import Box
from vfxswap.layers import LAYERS, PREFIX, LayerName, LayerOrder, layer_bits
from vfxswap_plugins.media.exr_chunks import PartChunks, bodies, chunks_of, part_alone
from vfxswap_plugins.media.exr_header import (
    LONG_NAMES,
    MULTI_PART,
    TILED,
    Attribute,
    ExrHead,
    PartHead,
    read_head,
    with_head,
)
from vfxswap_plugins.media.exr_read import ExrPicture, decoded
from vfxswap_plugins.media.exr_write import compression_number, encoded, for_writing

COMPRESSION = "zips"
"""Of files and parts of layers: loses nothing, and a line a block is what Nuke reads fastest."""
_BEAUTY = "rgba"
"""Name of the picture's part, where it had none because it was alone."""
_NOT_CARRIED = frozenset(
    {
        *(b"channels", b"compression", b"lineOrder", b"tiles", b"type", b"name", b"chunkCount", b"version"),
        *(b"dataWindow", b"preview", b"view", b"multiView"),
    }
)
"""Attributes of the picture that say nothing of a layer of it."""
_INTEROP = b"colorInteropID"
_OF_COLOR = frozenset({_INTEROP, b"chromaticities"})
_OF_ALL_PARTS = frozenset({b"chromaticities"})
"""Attributes that must be the same in all parts of a file, and are not carried for another reason."""


@dataclass(frozen=True, slots=True, eq=False)
class ExrLayer:
    """One layer of one frame, ready to be encoded."""

    name: LayerName
    size: tuple[int, int]
    """Columns and rows of the file."""
    first: int
    """Row of the file with which the planes begin; above them and below all is 0."""
    planes: Mapping[str, NDArray[Any]]
    """`(h, W)` half or float, by the channel's name within the file that it goes to."""
    texts: Mapping[str, str]
    """Attributes of its own."""

    def whole(self, name: str) -> NDArray[Any]:
        """`(H, W)` of a channel."""
        plane = self.planes[name]
        result = np.zeros(self.size[::-1], plane.dtype)
        result[self.first : self.first + len(plane)] = plane
        return result

    @property
    def is_data(self) -> bool:
        """Whether it holds no colours."""
        return LAYERS[self.name].is_data


def layers_of(frame: Frame, order: LayerOrder) -> list[ExrLayer]:
    """A frame's layers as files hold them, as large as the plate's own file is.

    Raises:
        KeyError: The frame has not all that are asked for.
    """
    return [_layer_of(frame, name, order) for name in order.names]


def _layer_of(frame: Frame, name: LayerName, order: LayerOrder) -> ExrLayer:
    picture, layer = frame.plate, frame.layers[name]
    kind = np.float16 if layer_bits(name, picture.layout) == 16 else np.float32
    own = picture.inner if isinstance(picture, ExrPicture) else Box(0, 0, picture.width, picture.height)

    there = Box(0, max(layer.box.y0, own.y0), 0, min(layer.box.y1, own.y1))
    first = there.y0 - own.y0 if there.height > 0 else 0

    def plane(channel: int) -> NDArray[Any]:
        rows = np.zeros((max(there.height, 0), picture.width), kind)
        if len(rows):
            inner = layer.samples[channel][there.y0 - layer.box.y0 : there.y1 - layer.box.y0]
            rows[:, layer.box.x0 : layer.box.x1] = inner
        return np.ascontiguousarray(rows[:, own.x0 : own.x1])

    names = order.channels_in_own_file(name) if order.stored == "files" else order.channels(name)
    planes = {channel: plane(i) for i, channel in enumerate(names)}
    return ExrLayer(name, (own.width, own.height), first, planes, order.metadata(name))


def layer_file(layer: ExrLayer, like: Picture, fresh: Mapping[str, Any]) -> bytes:
    """A file that holds a layer alone.

    Args:
        layer: What it holds.
        like: The plate's picture; if it is an EXR, the file takes on its windows and all that its head says of it.
        fresh: The library's header of a new file, for plates of other formats.
    """
    if not isinstance(like, ExrPicture):
        header = {key: value for key, value in fresh.items() if not (layer.is_data and key.encode() in _OF_COLOR)}
        return _with_attributes(_alone(layer, header), _texts(layer), flags=0)
    part = like.file.head.parts[like.file.place.part]
    carried = [each for each in part.attributes if _is_carried(each, layer, in_parts=False)]
    flags = like.file.head.flags & LONG_NAMES
    return _with_attributes(_alone(layer, _windows(part)), [*carried, *_texts(layer)], flags=flags)


def with_channels(data: bytes, index: int, layers: Iterable[ExrLayer]) -> bytes:
    """A file with more channels in one of its parts.

    Args:
        data: The file.
        index: Which part.
        layers: What is put in.
    """
    head, start = read_head(data)
    chunks = chunks_of(data, start, head)
    header, channels = decoded(part_alone(data, head, chunks, index))
    more, texts = dict(channels), list[Attribute]()
    for layer in layers:
        more.update({name: OpenEXR.Channel(layer.whole(name)) for name in layer.planes})
        texts += _own_texts(layer)
    new = encoded([OpenEXR.Part(for_writing(header, head.parts[index].compression), more)])
    new_head, new_start = read_head(new)
    (new_chunks,) = chunks_of(new, new_start, new_head)
    listed = [each for each in new_head.parts[0].attributes if each.name == b"channels"]
    parts = [_joined(part, [*listed, *texts]) if i == index else part for i, part in enumerate(head.parts)]
    number = index if head.is_multi_part else None
    pieces = [
        bodies(new, new_chunks, part=number, block=0) if i == index else _pieces(data, mine)
        for i, mine in enumerate(chunks)
    ]
    return _file(replace(head, parts=tuple(parts)), pieces)


def with_parts(data: bytes, index: int, layers: Iterable[ExrLayer]) -> bytes:
    """A file with more parts behind its own.

    Args:
        data: The file.
        index: The part of the picture, whose windows the layers have.
        layers: What is put in, a part for each.

    Raises:
        MediaError: The file has a part of that name.
    """
    head, start = read_head(data)
    chunks = chunks_of(data, start, head)
    parts, pieces = list(head.parts), [_pieces(data, mine) for mine in chunks]
    if not head.is_multi_part:
        parts[0] = _as_one_of_several(parts[0], chunks[0])
        pieces[0] = [struct.pack("<i", 0) + piece for piece in pieces[0]]
    picture = parts[index]
    for layer in layers:
        name = PREFIX + layer.name
        if any(part.text("name") == name for part in parts):
            raise MediaError(f'the plate has a part {name} already; write layers_as = "files"')
        new = _alone(layer, _windows(picture))
        new_head, new_start = read_head(new)
        (mine,) = chunks_of(new, new_start, new_head)
        carried = [each for each in picture.attributes if _is_carried(each, layer, in_parts=True)]
        own = [_text("name", name), _whole_number("chunkCount", len(mine.places)), *carried, *_texts(layer)]
        pieces.append(bodies(new, mine, part=len(parts), block=0))
        parts.append(_joined(new_head.parts[0], own))
        parts[index] = _joined(parts[index], _own_texts(layer))  # where readers that know one head alone look
    return _file(ExrHead((head.flags | MULTI_PART) & ~TILED, tuple(parts)), pieces)


def _alone(layer: ExrLayer, header: Mapping[str, Any]) -> bytes:
    """A file with a layer's pixels and what these need in its head.

    A line is a chunk, and all blank lines are alike: one is encoded for them all, so that a layer costs its own lines.
    """
    width, height = layer.size
    whole = ((0, 0), (width - 1, height - 1))
    corners = header.get("dataWindow", whole)
    display = header.get("displayWindow", whole)

    def lines(first: int, planes: Mapping[str, NDArray[Any]]) -> tuple[ExrHead, list[bytes]]:
        rows = len(next(iter(planes.values())))
        (x0, y0), (x1, _) = corners
        own = {"type": OpenEXR.scanlineimage, "compression": compression_number(COMPRESSION), "displayWindow": display}
        window = {"dataWindow": ((x0, y0 + first), (x1, y0 + first + rows - 1))}
        channels = {name: OpenEXR.Channel(plane) for name, plane in planes.items()}
        data = encoded([OpenEXR.Part({**header, **own, **window}, channels)])
        head, start = read_head(data)
        (chunks,) = chunks_of(data, start, head)
        return head, bodies(data, chunks, part=None, block=0)

    head, (blank,) = lines(0, {name: np.zeros((1, width), plane.dtype) for name, plane in layer.planes.items()})
    pieces = [struct.pack("<i", corners[0][1] + row) + blank[4:] for row in range(height)]
    if len(next(iter(layer.planes.values()))):
        _, touched = lines(layer.first, layer.planes)
        pieces[layer.first : layer.first + len(touched)] = touched
    window = struct.pack("<4i", *corners[0], *corners[1])
    return _file(ExrHead(head.flags, (head.parts[0].changed({b"dataWindow": window}),)), [pieces])


def _windows(part: PartHead) -> dict[str, Any]:
    boxes = {name: part.window(name) for name in ("dataWindow", "displayWindow")}
    return {name: ((box.x0, box.y0), (box.x1 - 1, box.y1 - 1)) for name, box in boxes.items()}


def _is_carried(attribute: Attribute, layer: ExrLayer, *, in_parts: bool) -> bool:
    name = attribute.name
    if name in _NOT_CARRIED or name.startswith(b"cryptomatte/"):
        return False
    if in_parts and name in _OF_ALL_PARTS:
        return True
    return not (layer.is_data and name in _OF_COLOR)


def _own_texts(layer: ExrLayer) -> list[Attribute]:
    return [_text(name, value) for name, value in layer.texts.items()]


def _texts(layer: ExrLayer) -> list[Attribute]:
    """The same, and for what is no colour the name that the Color Interop Forum has for that."""
    said = _own_texts(layer)
    return [*said, _text(_INTEROP.decode(), "data")] if layer.is_data else said


def _text(name: str, value: str) -> Attribute:
    return Attribute(name.encode(), b"string", value.encode("utf-8"))


def _whole_number(name: str, value: int) -> Attribute:
    return Attribute(name.encode(), b"int", struct.pack("<i", value))


def _joined(part: PartHead, more: Sequence[Attribute]) -> PartHead:
    """A head with more attributes; one that it has already is replaced, in its place."""
    new = {each.name: each for each in more}
    kept = [new.pop(each.name, each) for each in part.attributes]
    return PartHead((*kept, *new.values()))


def _as_one_of_several(part: PartHead, chunks: PartChunks) -> PartHead:
    """The head of a part that was alone in its file."""
    kind = "tiledimage" if chunks.is_tiled else "scanlineimage"
    wanted = [_text("name", _BEAUTY), _text("type", kind), _whole_number("chunkCount", len(chunks.places))]
    return _joined(part, [each for each in wanted if part.value(each.name.decode()) is None])


def _with_attributes(data: bytes, attributes: Sequence[Attribute], *, flags: int) -> bytes:
    head, size = read_head(data)
    return with_head(data, size, ExrHead(head.flags | flags, (_joined(head.parts[0], attributes),)))


def _pieces(data: bytes, chunks: PartChunks) -> list[bytes]:
    """The chunks of a part, as they stand."""
    return [data[p : p + n] for p, n in zip(chunks.places.tolist(), chunks.sizes.tolist(), strict=True)]


def _file(head: ExrHead, pieces: Sequence[Sequence[bytes]]) -> bytes:
    """A file of chunks, those of each part in the order of its table."""
    start = head.encoded()
    flat = [piece for part in pieces for piece in part]
    sizes = np.array([len(piece) for piece in flat], np.int64)
    table = len(start) + 8 * len(flat) + np.cumsum(sizes) - sizes
    return b"".join((start, table.astype("<u8").tobytes(), *flat))
