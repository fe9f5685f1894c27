"""A movie with sound and timecode, a pipeline for it, and what an undivided run makes of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import vfxswap
from vfxswap.farm.order import Order

COUNT = 16

PIPELINE = """\
[shot]
plate = "plate.mov"
production = "lab"
[identities.hero]
path = "identity"
[[stages]]
use = "tracks"
path = "tracks.json"
[[stages]]
use = "points5"
crop_size = 64
[[stages]]
use = "portrait"
identity = "hero"
[[stages]]
use = "hull"
[[stages]]
use = "idt"
lock = "shot"
lock_frames = 3
[[stages]]
use = "flow-deflicker"
radius_frames = 2
[[stages]]
use = "pyramid"
[delivery]
path = "out/shot.mkv"
"""
"""With windows, a search for cuts and a survey of the shot."""


@pytest.fixture(scope="session")
def project(
    drawn: Any, encode: Callable[..., Path], draw: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with a pipeline file and all that it names."""
    folder = tmp_path_factory.mktemp("farm")
    encode(folder / "silent.mp4", draw([0]), codec="libx264")
    _with_sound(folder / "silent.mp4", folder / "plate.mov")
    shutil.copy(drawn.shot / "tracks.json", folder)
    shutil.copytree(drawn.shot / "identity", folder / "identity")
    (folder / "job.toml").write_text(PIPELINE)
    return folder


@pytest.fixture(scope="session")
def plain(project: Path) -> Callable[[str], list[bytes]]:
    """What an undivided run writes, by the delivery's name; made once."""
    made: dict[str, list[bytes]] = {}

    def plain(name: str) -> list[bytes]:
        if name not in made:
            out = project / "plain" / name
            report = vfxswap.run(project / "job.toml", out=out, device="cpu")
            assert report.summary()["swapped"] == COUNT
            made[name] = [path.read_bytes() for path in report.outputs]
        return made[name]

    return plain


@pytest.fixture
def order(project: Path, tmp_path: Path) -> Callable[..., Order]:
    """A job of that pipeline, delivered to a folder of the test's own."""

    def order(name: str, *overrides: str, frames: str | None = None) -> Order:
        return Order(project / "job.toml", out=tmp_path / name, frames=frames, overrides=overrides, device="cpu")

    return order


def _with_sound(source: Path, target: Path) -> None:
    """The same movie with a timecode and a tone."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        picture = new.add_stream_from_template(old.streams.video[0])
        picture.metadata["timecode"] = "10:00:00:00"
        sound = new.add_stream("aac", rate=48000, layout="mono")
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = picture
                new.mux(packet)
        tone = (0.3 * np.sin(np.arange(48000 * COUNT // 25) / 20)).astype(np.float32)
        for start in range(0, tone.size, 1920):
            frame = av.AudioFrame.from_ndarray(tone[None, start : start + 1920], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            new.mux(sound.encode(frame))
        new.mux(sound.encode())
