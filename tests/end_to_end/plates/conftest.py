"""Small EXR plates with a face that a plugin paints over, run as any other pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenEXR
import pytest
from numpy.typing import NDArray

import vfxswap
from vfxswap.frame import Detection
from vfxswap.host import Host
from vfxswap.report import Report
from vfxswap.trackfile import write_tracks
from vfxswap_plugins.media.exr_header import COMPRESSIONS

FIRST, COUNT = 1001, 5
CANVAS = (256, 256)
"""Size of the display window."""
Channels = Mapping[str, NDArray[Any]]

_PIPELINE = """\
[shot]
plate = "plate/plate.####.exr"
production = "lab"
purpose = "test"
color_space = "ACEScg"
cuts = []
{shot}

[identities.hero]
path = "identity"

[[stages]]
use = "tracks"
path = "tracks.json"

[[stages]]
use = "points5"
crop_size = 64

[[stages]]
use = "paint"
identity = "hero"

[[stages]]
use = "alpha"

[delivery]
path = "out/out.####.exr"
{delivery}
"""
_IDENTITY = """\
name = "hero"
licence = "CC0-1.0"
[consent]
performer = "nobody"
grantor = "nobody; it is paint"
productions = ["lab"]
purposes = ["test"]
from = 2000-01-01
until = 2999-12-31
scope = "tests"
"""
_FIVE = np.array([(-0.18, -0.12), (0.18, -0.12), (0.0, 0.05), (-0.14, 0.2), (0.14, 0.2)])
"""Eyes, nose and mouth of a face of width 1 around (0, 0)."""


@dataclass(frozen=True, slots=True)
class Job:
    """A folder with a pipeline and its plate."""

    root: Path
    host: Host

    @property
    def numbers(self) -> range:
        """The plate's frames."""
        return range(FIRST, FIRST + COUNT)

    def plate(self, number: int) -> Path:
        """The file of a frame."""
        return self.root / "plate" / f"plate.{number}.exr"

    def out(self, number: int) -> Path:
        """The file that is delivered."""
        return self.root / "out" / f"out.{number}.exr"

    def write(self, number: int, *parts: tuple[Mapping[str, Any], Channels]) -> Path:
        """Writes a frame of the plate."""
        path = self.plate(number)
        OpenEXR.File([OpenEXR.Part(dict(head), dict(channels)) for head, channels in parts]).write(str(path))
        return path

    def run(self, *, shot: str = "", delivery: str = "", **options: Any) -> Report:
        """Runs the pipeline, with more lines in two of its tables."""
        path = self.root / "job.toml"
        text = _PIPELINE.format(shot=shot, delivery=delivery)
        if not path.exists() or path.read_text() != text:  # others may be reading it
            path.write_text(text)
        return vfxswap.run(path, device="cpu", host=self.host, workers=1, **options)

    def left(self) -> list[str]:
        """Names of all that lies in the delivery's folder, hidden files too."""
        folder = self.root / "out"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def center(number: int) -> tuple[float, float]:
    """Where the face is, in the display window."""
    return 120.0 + 4 * (number - FIRST), 130.0


FACE_PX = 90
"""Width of the face."""


@pytest.fixture(autouse=True)
def _with_paint(_first_party_plugins_alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VFXSWAP_LOAD_PLUGINS", "vfxswap-plugins,paint")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A pipeline without a plate yet."""
    (tmp_path / "plate").mkdir()
    (tmp_path / "identity").mkdir()
    (tmp_path / "identity" / "identity.toml").write_text(_IDENTITY)
    cv2.imwrite(str(tmp_path / "identity" / "still.png"), np.full((64, 64, 3), 128, np.uint8))
    faces = {}
    for number in range(FIRST, FIRST + COUNT):
        x, y = center(number)
        half = FACE_PX / 2
        five = _FIVE * FACE_PX + np.array([x, y])
        faces[number] = [Detection((x - half, y - half, x + half, y + half), 1.0, five, 1)]
    write_tracks(tmp_path / "tracks.json", faces, width=CANVAS[0], height=CANVAS[1])
    return Job(tmp_path, Host(plugin_path=[Path(__file__).parents[1] / "painting"]))


class Exr:
    """What tests ask of EXR files, by OpenEXR alone."""

    @staticmethod
    def header(corner: tuple[int, int], size: tuple[int, int], compression: str = "zip", **more: Any) -> dict[str, Any]:
        """A header of a data window within the canvas."""
        return {
            "type": OpenEXR.scanlineimage,
            "compression": OpenEXR.Compression(COMPRESSIONS.index(compression)),
            "dataWindow": (corner, (corner[0] + size[0] - 1, corner[1] + size[1] - 1)),
            "displayWindow": ((0, 0), (CANVAS[0] - 1, CANVAS[1] - 1)),
            "studio/slate": "sh010 take 3",
            **more,
        }

    @staticmethod
    def tiled(width: int, height: int) -> dict[str, Any]:
        """More of a header."""
        tiles = OpenEXR.TileDescription()
        tiles.xSize, tiles.ySize = width, height
        return {"type": OpenEXR.tiledimage, "tiles": tiles}

    @staticmethod
    def patterns(seed: int, size: tuple[int, int] = CANVAS) -> NDArray[Any]:
        """Every pattern of 16 bits, as half: each NaN and infinity. In a place of its own for each seed."""
        words = np.arange(1 << 16, dtype=np.uint16)
        np.random.default_rng(seed).shuffle(words)
        found: NDArray[Any] = np.resize(words, size[::-1]).view(np.float16)
        return found

    @staticmethod
    def random_bits(seed: int, kind: Any, size: tuple[int, int] = CANVAS) -> NDArray[Any]:
        """Floats or whole numbers of any pattern of 32 bits."""
        return np.random.default_rng(seed).integers(0, 1 << 32, size[::-1], np.uint32).view(kind)

    @staticmethod
    def smooth(seed: int, size: tuple[int, int] = CANVAS, kind: Any = np.float16) -> NDArray[Any]:
        """A picture."""
        y, x = np.mgrid[: size[1], : size[0]].astype(np.float32)
        found: NDArray[Any] = (0.3 + 0.2 * np.sin(x / 9 + seed) * np.cos(y / 7)).astype(kind)
        return found

    @staticmethod
    def read(path: Path) -> list[dict[str, NDArray[Any]]]:
        """All channels of all parts."""
        file = OpenEXR.File(str(path), separate_channels=True)
        return [{n: c.pixels for n, c in file.channels(i).items()} for i in range(len(file.parts))]

    @staticmethod
    def header_of(path: Path, part: int = 0) -> dict[str, Any]:
        """The header, as text, but for the pixels' place."""
        head = OpenEXR.File(str(path), header_only=True).header(part)
        return {name: str(value) for name, value in head.items()}

    @staticmethod
    def differs(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
        """Where bits differ."""
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        words = f"u{one.itemsize}"
        return np.asarray(one.view(words) != other.view(words))

    @staticmethod
    def face(number: int, corner: tuple[int, int], size: Sequence[int], grow: float = 0.75) -> NDArray[np.bool_]:
        """Pixels of a data window within so many face widths of the face's centre."""
        x, y = center(number)
        row, column = np.mgrid[: size[1], : size[0]] + 0.5
        return np.asarray(np.hypot(column + corner[0] - x, row + corner[1] - y) < grow * FACE_PX)


@pytest.fixture(scope="session")
def exr() -> type[Exr]:
    """What tests ask of EXR files."""
    return Exr
