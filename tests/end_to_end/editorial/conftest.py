"""Tiny plates and timelines that name them, written by OpenTimelineIO, and a pipeline file that reads those."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import opentimelineio as otio
import pytest

import vfxswap
from vfxswap.clock import Timecode
from vfxswap.files import FramePattern
from vfxswap.host import Host

RATE = Fraction(24)


@pytest.fixture(scope="session")
def time() -> Callable[..., Any]:
    """A time of so many frames."""
    return _time


@pytest.fixture(scope="session")
def span() -> Callable[..., Any]:
    """From a frame on, so many."""
    return _span


@pytest.fixture(scope="session")
def sequence() -> Callable[..., Path]:
    """Writes tiny scene-linear plates, each with its own number in its pixels, and a timecode that counts on."""
    return _sequence


@pytest.fixture(scope="session")
def image_sequence() -> Callable[..., Any]:
    """A clip's media that is a numbered sequence."""
    return _image_sequence


@pytest.fixture(scope="session")
def timeline() -> Callable[..., Path]:
    """Writes a timeline of one track."""
    return _timeline


@pytest.fixture(scope="session")
def pipeline() -> Callable[..., Path]:
    """Writes a pipeline file, given what is said of its shot and of its delivery."""
    return _pipeline


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """Two shots of twelve frames and their timeline: sh010 shows 1004-1007 by timecode, sh020 frames 3-6 of a plate."""
    _sequence(tmp_path / "plates" / "sh010" / "sh010.####.exr", range(1001, 1013), start="01:00:00:00")
    _sequence(tmp_path / "plates" / "sh020.####.exr", range(1, 13))
    one = otio.schema.Clip(
        "sh010", _image_sequence("plates/sh010/", "sh010", 1001, _span(86400, 12)), source_range=_span(86403, 4)
    )
    url = (tmp_path / "plates" / "sh020.%04d.exr").as_uri().replace("%2504d", "%04d")
    two = otio.schema.Clip("sh020", otio.schema.ExternalReference(url, _span(0, 12)), source_range=_span(2, 4))
    return _timeline(tmp_path / "cut.otio", one, otio.schema.Gap(duration=_time(10)), two)


@pytest.fixture
def ran(tmp_path: Path, host: Host) -> Callable[..., Any]:
    """Runs a pipeline, given what is said of its shot and of its delivery."""

    def ran(shot: str, delivery: str = 'path = "out/{clip}.####.exr"', **options: Any) -> Any:
        return vfxswap.run(_pipeline(tmp_path, shot, delivery), host=host, device="cpu", **options)

    return ran


def _time(value: float, rate: Fraction = RATE) -> Any:
    return otio.opentime.RationalTime(value, float(rate))


def _span(start: float, count: float, rate: Fraction = RATE) -> Any:
    return otio.opentime.TimeRange(_time(start, rate), _time(count, rate))


def _code_of(text: str) -> Any:
    """OpenEXR's timecode."""
    made = OpenEXR.TimeCode()
    made.dropFrame = ";" in text
    made.hours, made.minutes, made.seconds, made.frame = (int(part) for part in text.replace(";", ":").split(":"))
    return made


def _sequence(
    pattern: Path, numbers: range, *, start: str | None = None, rate: Fraction | None = RATE, size: int = 8
) -> Path:
    """Tiny scene-linear plates, each with its own number in its pixels, and a timecode that counts on."""
    pattern.parent.mkdir(parents=True, exist_ok=True)
    zero = None if start is None else Timecode.parse(start, rate or RATE)
    for number in numbers:
        pixels = np.full((size, size), number / 1024, np.float16)
        header: dict[str, Any] = {"compression": OpenEXR.ZIPS_COMPRESSION, "type": OpenEXR.scanlineimage}
        if rate is not None:
            header["framesPerSecond"] = rate
        if zero is not None:
            header["timeCode"] = _code_of(str(zero + (number - numbers[0])))
        file = OpenEXR.File(header, dict.fromkeys("RGB", pixels))
        file.write(str(FramePattern(pattern).path(number)))
    return pattern


def _image_sequence(base: str, name: str, first: int, available: Any, rate: float = 24) -> Any:
    return otio.schema.ImageSequenceReference(
        target_url_base=base,
        name_prefix=f"{name}.",
        name_suffix=".exr",
        start_frame=first,
        frame_step=1,
        rate=rate,
        frame_zero_padding=4,
        available_range=available,
    )


def _timeline(path: Path, *items: Any, name: str = "reel 1") -> Path:
    made = otio.schema.Timeline(name)
    track = otio.schema.Track("V1", kind=otio.schema.TrackKind.Video)
    made.tracks.append(track)
    for item in items:
        track.append(item)
    made.to_json_file(str(path))
    return path


def _pipeline(folder: Path, shot: str, delivery: str = 'path = "out/{clip}.####.exr"') -> Path:
    path = folder / "job.toml"
    path.write_text(f'[shot]\ncolor_space = "ACEScg"\n{shot}\n[delivery]\n{delivery}\n')
    return path
