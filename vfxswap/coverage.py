"""Pictures as mattes: how far each pixel is covered, whatever they are stored as."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from vfxswap.color import PixelLayout, Range
from vfxswap.errors import MediaError
from vfxswap.frame import Picture
from vfxswap.geometry import Box
from vfxswap.host import Host
from vfxswap.ops import ycbcr


def coverage(picture: Picture) -> Tensor:
    """`(H, W)` float32 0..1: the first plane, which is luma, gray or red."""
    assumed = Range.LIMITED if picture.layout.model == "ycbcr" else Range.FULL
    tags = picture.tags if picture.tags.range is not Range.UNSPECIFIED else replace(picture.tags, range=assumed)
    layout = PixelLayout("gray", "gray", picture.layout.bits, picture.layout.is_float, shift=picture.layout.shift)
    whole = Box(0, 0, picture.width, picture.height)
    return ycbcr.to_rgb(picture.planes[:1], layout, tags, whole, device=torch.device("cpu"))[0].clamp(0, 1)


def coverage_of(path: Path, host: Host) -> Tensor:
    """The same of a file with one picture, upright.

    Raises:
        MediaError: It cannot be read, or holds several pictures.
    """
    with host.reader_for(path)(path) as reader:
        info = reader.info
        if info.count != 1:
            raise MediaError(f"{path} holds {info.count} pictures, and a matte is one", path=path)
        (frame,) = reader.frames(info.first, info.last)
        return torch.rot90(coverage(frame.plate), k=-(info.rotation // 90), dims=(0, 1))
