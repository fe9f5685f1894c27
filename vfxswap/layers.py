"""Layers: the extra pictures of a delivery, by which a compositor does the join again without vfxswap.

What each holds is decided here, once: its channels, its depth, how it is named in a file and on the disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from vfxswap import cryptomatte
from vfxswap.color import PixelLayout
from vfxswap.files import FramePattern

LayerName = Literal["matte", "patch", "st", "swapped", "id"]
"""What may stand in `[delivery] layers`."""
Storing = Literal["files", "channels", "parts"]
"""What may stand in `[delivery] layers_as`."""
PREFIX = "vfxswap_"
"""Before a layer's name within a file, so that it meets none of the plate's."""
_RGBA = ("R", "G", "B", "A")
_HALF_HOLDS_BITS = 10
"""Codes of so many bits are apart by more than the steps of a half below 1."""
SUFFIX = ".exr"
"""Of files of layers."""


@dataclass(frozen=True, slots=True)
class LayerKind:
    """What a layer is."""

    summary: str
    channels: tuple[str, ...]
    """Of one of its layers within a file."""
    is_data: bool
    """Whether its numbers are no colours, and must be float32 to be of use."""


LAYERS: Mapping[LayerName, LayerKind] = {
    "matte": LayerKind("what is replaced, soft, 0..1, of all faces together", ("A",), is_data=False),
    "patch": LayerKind(
        "the faces alone, premultiplied by the matte, which is its alpha: plate x (1 - A) + RGB is the result",
        _RGBA,
        is_data=False,
    ),
    "st": LayerKind(
        "for each pixel its place in the aligned face square, 0..1 from the lower left; A is 1 where there is one",
        _RGBA,
        is_data=True,
    ),
    "swapped": LayerKind(
        "the swappers' squares before their colours are matched, in the plate's place and colour space",
        _RGBA,
        is_data=False,
    ),
    "id": LayerKind("a cryptomatte of the identities; coverage is the matte of each", _RGBA, is_data=True),
}
"""The layers, in the order in which they are listed."""


@dataclass(frozen=True, slots=True)
class LayerOrder:
    """The layers that are asked for, and how they are stored."""

    names: tuple[LayerName, ...] = ()
    stored: Storing = "files"
    identities: tuple[str, ...] = ()
    """Who may be in the cryptomatte: the identities that are put in, in the pipeline's order."""
    pictured: tuple[LayerName, ...] = ()
    """Layers that go into the picture itself, such as a matte that becomes its alpha: made, and not stored besides."""

    @property
    def made(self) -> tuple[LayerName, ...]:
        """All that are made for a frame."""
        return ordered((*self.names, *self.pictured))

    def groups(self, name: LayerName) -> tuple[str, ...]:
        """The names that a layer has within a file; a cryptomatte has several."""
        if name != "id":
            return (PREFIX + name,)
        return tuple(f"{PREFIX}{name}{i:02d}" for i in range(cryptomatte.layer_count(len(self.identities))))

    def channels(self, name: LayerName) -> tuple[str, ...]:
        """Full names of a layer's channels, such as `vfxswap_matte.A`, in the order of its samples."""
        return tuple(f"{group}.{channel}" for group in self.groups(name) for channel in LAYERS[name].channels)

    def channels_in_own_file(self, name: LayerName) -> tuple[str, ...]:
        """The same in a file that holds nothing else: plain, but for a cryptomatte's."""
        return self.channels(name) if name == "id" else LAYERS[name].channels

    def metadata(self, name: LayerName) -> dict[str, str]:
        """Texts that belong into the header of a file with this layer."""
        return cryptomatte.metadata(PREFIX + name, self.identities) if name == "id" else {}


def layer_bits(name: LayerName, plate: PixelLayout) -> Literal[16, 32]:
    """Bits of a layer's float samples: data are float32, colours half where that keeps the plate's steps apart."""
    most = 16 if plate.is_float else _HALF_HOLDS_BITS
    return 32 if LAYERS[name].is_data or plate.bits > most else 16


def layer_pattern(delivery: Path, name: str, *, frames: int) -> Path:
    """Where the files of a layer are, beside the delivery: `sh010.####.exr` has `sh010_matte.####.exr`.

    Args:
        delivery: A sequence's pattern, or a movie or picture.
        name: The layer.
        frames: Of the plate; where a delivery has no number in its name and the plate more than one, `%04d` is put in.

    Raises:
        UsageError: The delivery's name has several places for a number.
    """
    pattern = FramePattern(delivery)
    if not pattern.is_numbered:
        number = ".%04d" if frames > 1 else ""
        return delivery.with_name(f"{delivery.stem}_{name}{number}{SUFFIX}")
    start, number, end = pattern.parts
    base = start.rstrip("._-")
    joint = start[len(base) :] or "."
    rest = end.removesuffix(delivery.suffix)
    return delivery.with_name(f"{f'{base}_{name}' if base else name}{joint}{number}{rest}{SUFFIX}")


def layer_files(delivery: Path, order: LayerOrder, *, frames: int) -> dict[LayerName, FramePattern]:
    """The files of all layers, by layer; none where they are stored in the delivery's own files."""
    if order.stored != "files":
        return {}
    return {name: FramePattern(layer_pattern(delivery, name, frames=frames)) for name in order.names}


def ordered(names: Sequence[LayerName]) -> tuple[LayerName, ...]:
    """Each name once, in the table's order, so that a delivery does not depend on how they were listed."""
    return tuple(name for name in get_args(LayerName) if name in names)
