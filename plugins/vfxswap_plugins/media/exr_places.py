"""Which channels of an OpenEXR file are a picture: of which part, of which layer or view."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from vfxswap.color import PixelLayout
from vfxswap.errors import MediaError
from vfxswap_plugins.media.exr_header import COMPRESSIONS, ExrHead, PartHead

_BITS = {"half": 16, "float": 32}
_COLORS = (("R", "G", "B"), ("RED", "GREEN", "BLUE"))
"""Ends of channels' names, by OpenEXR's rule and by Nuke's."""
_GRAY = (("Y",),)
_ALPHA = ("A", "ALPHA")
_UNNAMED = "rgba"
"""Name of the picture whose channels are R, G and B, in a file that does not name it."""


class Place(NamedTuple):
    """Where a file keeps the colours that are worked on."""

    part: int
    names: tuple[str, ...]
    """Channels in the layout's order."""


class Found(NamedTuple):
    """The picture of a file."""

    place: Place
    layout: PixelLayout
    layer: str
    """Its name."""
    layers: tuple[str, ...]
    """The names of all pictures of the file; the first is the one that is taken unless another is asked for."""


def find_picture(head: ExrHead, path: Path, layer: str | None = None) -> Found:
    """Where the colours are, and how they are stored.

    Args:
        head: Of the file.
        path: The file, for messages.
        layer: Name of a layer, a view or a part; None is the file's main picture.

    Raises:
        MediaError: There is no such picture, or one that could not be written back unchanged; says what to do.
    """
    if head.is_deep:
        raise _refused(path, "is deep; flatten it first (in Nuke: DeepToImage)")
    for part in head.parts:
        _check_part(part, path)
    pictures = _named(head)
    if not pictures:
        names = ", ".join(channel.name for part in head.parts for channel in part.channels)
        raise _refused(path, f"has the channels {names}; expected R, G and B, or Y")
    if layer is None:
        name = next(iter(pictures))
        if "." in pictures[name].names[0] and len(pictures) > 1:
            raise _refused(
                path,
                f"has the layers {', '.join(pictures)}, and none of them is the picture; choose one by [shot] layer",
            )
    else:
        views = {_view(head.parts[place.part]): each for each, place in reversed(pictures.items())}
        name = layer if layer in pictures else views.get(layer, "")
        if not (layer and name):
            raise _refused(path, f"has no layer {layer!r}; it has {', '.join(pictures)}")
    place, layout = _with_alpha(pictures[name], head.parts[pictures[name].part], path)
    return Found(place, layout, name, tuple(pictures))


def _named(head: ExrHead) -> dict[str, Place]:
    """All pictures of a file by name, the main one first: channels without a prefix go before layers."""
    found = list(_candidates(head, _COLORS)) or list(_candidates(head, _GRAY))
    found.sort(key=lambda place: "." in place.names[0])
    plain = [_name(head, place) for place in found]
    several = Counter(plain)
    names = (
        name if several[name] == 1 else f"{head.parts[place.part].text('name') or place.part}.{name}"
        for name, place in zip(plain, found, strict=True)
    )
    return dict(zip(names, found, strict=True))


def _name(head: ExrHead, place: Place) -> str:
    """The prefix of its channels; without one, its part's name, or its view."""
    part = head.parts[place.part]
    own = part.text("name") if len(head.parts) > 1 else None
    return place.names[0].rpartition(".")[0] or own or _view(part) or _UNNAMED


def _view(part: PartHead) -> str:
    """What its channels without a prefix show, where that is said."""
    return part.text("view") or next(_texts(part.value("multiView")), "")


def _texts(value: bytes | None) -> Iterator[str]:
    """The entries of an attribute of the type `stringvector`."""
    at = 0
    while value is not None and at + 4 <= len(value):
        size = int.from_bytes(value[at : at + 4], "little")
        yield value[at + 4 : at + 4 + size].decode("utf-8", "replace")
        at += 4 + size


def _check_part(part: PartHead, path: Path) -> None:
    if part.compression not in COMPRESSIONS:
        raise _refused(path, f"is compressed by a method that is not known ({part.compression}); write it as ZIP")
    names = {channel.name.rpartition(".")[2] for channel in part.channels}
    if {"RY", "BY"} & names or any(channel.step != (1, 1) for channel in part.channels):
        raise _refused(
            path,
            "stores luminance and chroma, or channels of less pixels than others, which cannot be changed without a"
            " loss elsewhere; write it as R, G and B",
        )
    tiles = part.value("tiles")
    if tiles is not None and len(tiles) == 9 and tiles[8] & 0xF:
        raise _refused(path, "holds smaller copies of itself (mipmaps), as textures do; write it with one level")


def _candidates(head: ExrHead, letters: Sequence[tuple[str, ...]]) -> Iterator[Place]:
    """The places of such channels, each layer and part."""
    for index, part in enumerate(head.parts):
        names = {channel.name.upper(): channel.name for channel in part.channels}
        for prefix in dict.fromkeys(name.rpartition(".")[0] for name in names):
            for wanted in letters:
                full = [f"{prefix}.{letter}" if prefix else letter for letter in wanted]
                if all(name in names for name in full):
                    yield Place(index, tuple(names[name] for name in full))
                    break


def _with_alpha(place: Place, part: PartHead, path: Path) -> tuple[Place, PixelLayout]:
    samples = {channel.name: channel.sample for channel in part.channels}
    kinds = {samples[name] for name in place.names}
    if len(kinds) > 1 or not kinds <= _BITS.keys():
        raise _refused(
            path,
            f"stores {', '.join(place.names)} as {', '.join(sorted(kinds))}; expected all as half, or all as float",
        )
    (kind,) = kinds
    prefix, dot, _ = place.names[0].rpartition(".")
    wanted = {f"{prefix}{dot}{end}".upper() for end in _ALPHA}
    alpha = next((name for name in samples if name.upper() in wanted), None)
    has_alpha = alpha is not None and samples[alpha] == kind
    model = "rgb" if len(place.names) == 3 else "gray"
    layout = PixelLayout(
        f"{model}{'a' * has_alpha} {kind}",
        "rgb" if model == "rgb" else "gray",
        _BITS[kind],
        is_float=True,
        has_alpha=has_alpha,
    )
    return (place._replace(names=(*place.names, alpha)) if alpha is not None and has_alpha else place), layout


def _refused(path: Path, what: str) -> MediaError:
    return MediaError(f"{path} {what}", path=path)
