"""Small movies, made on the spot; every picture differs from its neighbours."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from vfxswap.color import ColorTags, Matrix, Primaries, Range, Transfer
from vfxswap.frame import Frame, Picture
from vfxswap.media import PlateInfo
from vfxswap_plugins.media.layouts import planes_of, store_of
from vfxswap_plugins.media.movie_picture import new_frame
from vfxswap_plugins.media.movie_plan import MovieOptions
from vfxswap_plugins.media.movie_reader import MovieReader
from vfxswap_plugins.media.movie_writer import MovieWriter

BT709 = ColorTags(Primaries.BT709, Transfer.BT709, Matrix.BT709, Range.LIMITED)

MovieMaker = Callable[..., Path]
Delivery = Callable[..., Path]
Sums = Callable[[Picture], tuple[str, ...]]
Packets = Callable[[Path, str], list[tuple[Fraction, str]]]


@pytest.fixture
def bt709() -> ColorTags:
    """Limited-range BT.709."""
    return BT709


def _picture(pix_fmt: str, size: tuple[int, int], number: int) -> av.VideoFrame:
    """A gradient that moves three pixels a frame, with some noise, over most of the code values."""
    store = store_of(pix_fmt)
    frame = new_frame(*size, pix_fmt)
    for channel, plane in enumerate(planes_of(frame, store, writable=True)):
        rows, columns = np.mgrid[: plane.shape[0], : plane.shape[1]]
        noise = np.random.default_rng((number, channel)).integers(0, 9, plane.shape)
        share = ((columns * 5 + rows * 3 + number * 15 + channel * 40) % 200 + noise + 20) / 240
        if store.layout.is_float:
            plane[:] = share * 4 - 1
        else:
            plane[:] = (share * ((1 << store.layout.bits) - 1)).astype(store.dtype) << store.layout.shift
    return frame


@pytest.fixture
def make_movie(tmp_path: Path) -> MovieMaker:
    """Encodes a movie with PyAV alone, without the code under test."""

    def make(
        name: str,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        *,
        size: tuple[int, int] = (64, 48),
        count: int = 12,
        rate: Fraction = Fraction(25),
        times: Sequence[int] | None = None,
        time_base: Fraction | None = None,
        tags: ColorTags | None = BT709,
        options: Mapping[str, str] | None = None,
        prepare: Callable[[VideoStream], None] | None = None,
        metadata: Mapping[str, str] | None = None,
        audio: str | None = None,
        movflags: str = "",
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", options={"movflags": movflags} if movflags else {}) as container:
            container.metadata.update(metadata or {})
            stream = container.add_stream(codec, rate=rate, options=dict(options or {}))
            assert isinstance(stream, VideoStream)
            stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
            stream.codec_context.time_base = time_base or 1 / rate
            stream.thread_count = 1
            if tags is not None:
                _tag(stream.codec_context, tags)
            if prepare is not None:
                prepare(stream)
            sound = container.add_stream(audio, rate=48000) if audio else None
            for number, time in enumerate(times if times is not None else range(count)):
                frame = _picture(pix_fmt, size, number)
                frame.pts, frame.time_base = time, time_base or 1 / rate
                if tags is not None:
                    _tag(frame, tags)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
            if sound is not None:
                assert isinstance(sound, AudioStream)
                _add_tone(container, sound, seconds=count / rate)
        return path

    return make


def _tag(target: Any, tags: ColorTags) -> None:
    target.color_primaries, target.color_trc = int(tags.primaries), int(tags.transfer)
    target.colorspace, target.color_range = int(tags.matrix), int(tags.range)


def _add_tone(container: Any, stream: AudioStream, *, seconds: Fraction) -> None:
    total = int(seconds * 48000)
    for start in range(0, total, 1024):
        clock = np.arange(start, min(start + 1024, total)) / 48000
        wave = np.repeat(np.sin(clock * 440 * 2 * np.pi)[:, None], 2, axis=1)
        frame = av.AudioFrame.from_ndarray(
            (wave * 20000).astype(np.int16).reshape(1, -1), format="s16", layout="stereo"
        )
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


@pytest.fixture
def sums() -> Sums:
    """A checksum of each plane of a picture."""

    def compute(picture: Picture) -> tuple[str, ...]:
        return tuple(hashlib.md5(plane.tobytes(), usedforsecurity=False).hexdigest() for plane in picture.planes)

    return compute


@pytest.fixture
def packets() -> Packets:
    """Time in seconds and checksum of each packet of a kind, by time."""

    def read(path: Path, kind: str) -> list[tuple[Fraction, str]]:
        with av.open(str(path)) as container:
            streams = [stream for stream in container.streams if stream.type == kind]
            found = [
                (packet.pts * packet.time_base, hashlib.md5(bytes(packet), usedforsecurity=False).hexdigest())
                for packet in (container.demux(*streams) if streams else ())
                if packet.size and packet.pts is not None
            ]
        return sorted(found)

    return read


@pytest.fixture
def deliver() -> Delivery:
    """Copies a plate through the reader and the writer."""

    def copy(
        plate: Path,
        target: Path,
        *,
        first: int = 1,
        last: int | None = None,
        change: Callable[[Frame], Frame] = lambda frame: frame,
        **options: Any,
    ) -> Path:
        with MovieReader(plate) as reader:
            info = reader.info
            tags = info.tags.resolved(None if info.tags.complete else "bt709")
            end = info.last if last is None else last
            with MovieWriter(target, MovieOptions(**options), like=info, tags=tags, first=first, last=end) as writer:
                for frame in reader.frames(first, end):
                    writer.write(change(frame))
                (written,) = writer.finish()
        return written

    return copy


@pytest.fixture
def info_of() -> Callable[[Path], PlateInfo]:
    """The header of a movie."""

    def read(path: Path) -> PlateInfo:
        with MovieReader(path) as reader:
            return reader.info

    return read
