"""Movies and mattes as tensors, frame by frame, whatever they are stored as."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from torch import Tensor

from vfxswap.clock import FrameRange
from vfxswap.color import ColorTags
from vfxswap.coverage import coverage
from vfxswap.errors import UsageError
from vfxswap.frame import Picture
from vfxswap.geometry import Box
from vfxswap.host import Host
from vfxswap.media import Reader
from vfxswap.ops import ycbcr
from vfxswap.ops.facespace import space_of
from vfxswap.pipeline.colour import FILE_ID, ColorNames

_CPU = torch.device("cpu")
_DIGITS = re.compile(r"(\d+)")


class Movie(AbstractContextManager["Movie"]):
    """A movie or sequence that is read as upright pictures in the face space.

    Args:
        path: Any that a reader takes.
        host: The plugins.
        color_space: Of a movie without colour tags, or of pictures: any that `[shot] color_space` takes.

    Raises:
        ColorError: It does not say its colour, and nothing was stated.
        MediaError: It cannot be read.
    """

    def __init__(self, path: Path, host: Host, *, color_space: str | None = None) -> None:
        self.path = path
        self._reader: Reader = host.reader_for(path)(path)
        try:
            info = self._reader.info
            file_id = info.metadata.get(FILE_ID)
            self._tags = ColorNames().of_plate(info.tags, color_space, file_id=file_id, path=path)
        except BaseException:
            self._reader.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    @property
    def size(self) -> tuple[int, int]:
        """`(width, height)` upright."""
        return (self._reader.info.width, self._reader.info.height)

    @property
    def numbers(self) -> FrameRange:
        """The frames that it has."""
        info = self._reader.info
        return FrameRange(tuple(range(info.first, info.last + 1)))

    def pictures(self, chosen: FrameRange) -> Iterator[Tensor]:
        """`(3, H, W)` float32 R'G'B' of each chosen frame, in order."""
        turns = -(self._reader.info.rotation // 90)
        for frame in self._reader.frames(chosen[0], chosen[-1]):
            if frame.number in chosen:
                yield torch.rot90(_face_space(frame.plate, self._tags), k=turns, dims=(1, 2))


def _face_space(picture: Picture, tags: ColorTags) -> Tensor:
    whole = Box(0, 0, picture.width, picture.height)
    return space_of(tags).to_face(ycbcr.to_rgb(picture.planes, picture.layout, tags, whole, device=_CPU))


class Mattes:
    """The mattes of a shot: a folder of pictures in the order of their numbers, or a movie.

    Args:
        path: The folder or movie.
        host: The plugins.

    Raises:
        UsageError: The folder holds no picture.
    """

    def __init__(self, path: Path, host: Host) -> None:
        self.path, self._host = path, host
        self._files = sorted(_pictures(path, host), key=_number) if path.is_dir() else []
        if path.is_dir() and not self._files:
            raise UsageError(f"{path} holds no picture; name a folder of mattes, one for each frame")

    def planes(self, places: FrameRange, count: int) -> Iterator[Tensor]:
        """`(H, W)` float32 0..1 of frames by their place in the shot.

        Args:
            places: From 0.
            count: How many frames the shot has.

        Raises:
            UsageError: There are not as many mattes as frames.
        """
        if self._files:
            _check_count(self.path, len(self._files), count)
            for place in places:
                yield from _planes(self._files[place], self._host, FrameRange((0,)), 1)
        else:
            yield from _planes(self.path, self._host, places, count)


def _planes(path: Path, host: Host, places: FrameRange, count: int) -> Iterator[Tensor]:
    with host.reader_for(path)(path) as reader:
        info = reader.info
        _check_count(path, info.count, count)
        for frame in reader.frames(info.first + places[0], info.first + places[-1]):
            if frame.number - info.first in places:
                yield torch.rot90(coverage(frame.plate), k=-(info.rotation // 90), dims=(0, 1))


def _check_count(path: Path, found: int, expected: int) -> None:
    if found != expected:
        raise UsageError(f"{path} has {found} mattes, the shot has {expected} frames; give one for each frame")


def _pictures(folder: Path, host: Host) -> list[Path]:
    suffixes = {suffix for entry in host.readers.values() for suffix in entry.offer.suffixes}
    return [path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith(".")]


def _number(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    parts = _DIGITS.split(path.name)
    return [(int(part.isdigit()), int(part) if part.isdigit() else 0, part) for part in parts], path.name
