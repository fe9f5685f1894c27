"""Tiny movies of a textured disc, made with the movie writer, and the pictures that are in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vfxswap.color import SPACES, PixelLayout
from vfxswap.frame import Frame, Picture
from vfxswap.geometry import Box
from vfxswap.host import Host
from vfxswap.media import PlateInfo
from vfxswap.ops.ycbcr import add_rgb_delta

WIDTH, HEIGHT = 128, 96
TAGS = SPACES["srgb"].resolved(None)
LAYOUT = PixelLayout("yuv444p10le", "ycbcr", 10)

Frames = Callable[..., list[Tensor]]
Write = Callable[[str, Sequence[Tensor]], Path]


def _textured(seed: int) -> Tensor:
    """`(3, 96, 128)`: smooth clouds and some fine detail, 0.2..0.8."""
    rng = torch.Generator().manual_seed(seed)
    layers = [torch.rand(1, 3, HEIGHT // step, WIDTH // step, generator=rng) for step in (32, 8, 4)]
    clouds = [torch.nn.functional.interpolate(layer, (HEIGHT, WIDTH), mode="bicubic") for layer in layers]
    return (0.5 + 0.3 * (clouds[0][0] - 0.5) + 0.2 * (clouds[1][0] - 0.5) + 0.1 * (clouds[2][0] - 0.5)).clamp(0.1, 0.9)


@pytest.fixture(scope="session")
def disc() -> Tensor:
    """`(96, 128)` a round matte with a soft edge."""
    y, x = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    return ((30 - torch.hypot(x - 64, y - 48)) / 4 + 0.5).clamp(0, 1)


@pytest.fixture(scope="session")
def textured() -> Callable[[int], Tensor]:
    """A picture by its seed."""
    return _textured


@pytest.fixture(scope="session")
def frames(disc: Tensor) -> Frames:
    """Twelve frames in a light that swells and fades; inside the disc is another picture."""

    def made(
        *, inside: int = 2, lights: Sequence[float] | None = None, change: Callable[[Tensor], Tensor] = lambda p: p
    ) -> list[Tensor]:
        plate, face = _textured(1), _textured(inside)
        steady = [1 + 0.2 * float(np.sin(0.9 * time) + 0.6 * np.sin(2.1 * time)) for time in range(12)]
        return [
            plate * (1 - disc) + (change(face) * light).clamp(0, 1) * disc
            for light in (steady if lights is None else lights)
        ]

    return made


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes frames as a lossless 10-bit movie, under a name in the test's folder."""

    def written(name: str, pictures: Sequence[Tensor]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = pictures[0].shape[1:]
        info = PlateInfo(path, width, height, LAYOUT, TAGS, first=1, count=len(pictures), rate=Fraction(24))
        kind = Host().writer_for(path)
        with kind(path, kind.Options(), like=info, tags=TAGS, first=1, last=len(pictures)) as writer:
            for number, picture in enumerate(pictures, 1):
                writer.write(Frame(number, _stored(picture)))
            writer.finish()
        return path

    return written


def _stored(picture: Tensor) -> Picture:
    height, width = picture.shape[1:]
    planes = [np.full((height, width), level, np.uint16) for level in (64, 512, 512)]
    whole = Box(0, 0, width, height)
    touched = torch.ones(height, width, dtype=torch.bool)
    add_rgb_delta(planes, LAYOUT, TAGS, whole, delta=picture, touched=touched)
    return Picture(planes, LAYOUT, TAGS)


@pytest.fixture
def truth_folder(tmp_path: Path, write: Write, frames: Frames, disc: Tensor) -> Path:
    """A folder as the lab writes it: plate, truth, mattes."""
    folder = tmp_path / "shot"
    write("shot/plate.mkv", frames(inside=3))
    write("shot/truth.mkv", frames())
    (folder / "mattes").mkdir()
    for number in range(1, 13):
        words = np.rint(disc.numpy() * 65535).astype(np.uint16)
        assert cv2.imwrite(str(folder / "mattes" / f"matte.{number:04d}.png"), words)
    return folder
