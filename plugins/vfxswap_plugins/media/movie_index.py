"""Which frames a movie has, and when: read from its packets, without decoding a picture.

A container's own word for its frame count is often missing (Matroska, MPEG) or about something else (edit lists), so
the timestamps of the packets themselves are the index. Only where a QuickTime file of intra-only pictures lists every
sample is that list taken, since such files (ProRes, DNxHR) are large and the list says the same.
"""

from __future__ import annotations

import bisect
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vfxswap.clock import exact_rate

_DURATION = re.compile(r"^(\d+):(\d\d):(\d\d(?:\.\d+)?)$")
_MILLISECOND = Fraction(1, 1000)
_SOME_RATE = Fraction(25)
"""Rate of a single picture without a duration, which has none."""


@dataclass(frozen=True, slots=True)
class MovieIndex:
    """The frames of a movie in the order of display."""

    times: tuple[int, ...]
    """Presentation time of each frame that is in the file, ascending, in `time_base` units; empty if the file's times
    cannot be trusted, and frames are counted from the start as they come."""
    keys: tuple[int, ...]
    """Those times at which decoding may start, ascending."""
    count: int
    """Frames that the file has or promises; more than `times` has if the file is cut off."""
    time_base: Fraction
    """Seconds of one unit of time."""
    rate: Fraction
    """Nominal frames a second; the average if `variable`."""
    variable: bool = False
    """Whether frames are not evenly spaced, even allowing for the rounding of times to `time_base`."""

    def time_of(self, position: int) -> int:
        """Presentation time of the frame at a position (0 is the first)."""
        return self.times[position] if self.times else position

    def keys_before(self, time: int) -> Iterator[int]:
        """Times at which decoding may start so that the frame at `time` comes, the nearest first."""
        yield from reversed(self.keys[: bisect.bisect_right(self.keys, time)])


@dataclass(frozen=True, slots=True)
class _Sample:
    time: int | None
    is_key: bool
    duration: int


def read_index(container: InputContainer, stream: VideoStream) -> MovieIndex:
    """Reads the index of a movie that was just opened; may read the file to its end.

    Times are not trusted where a packet has none or two have the same (raw streams), nor in AVI with reordered
    pictures, which stores no presentation times.
    """
    samples = _listed(container, stream) or _demuxed(container, stream)
    times = sorted(sample.time for sample in samples if sample.time is not None)
    trusted = bool(times) and len(times) == len(samples) and all(a < b for a, b in pairwise(times))
    if not trusted or (container.format.name == "avi" and not _intra_only(stream)):
        rate = stream.guessed_rate or stream.average_rate or _SOME_RATE
        return MovieIndex((), (), max(len(samples), _listed_count(stream)), 1 / rate, rate)
    time_base = stream.time_base or Fraction(1, 1)
    rate, variable = _rate(times, samples, stream, time_base)
    end = (times[-1] + samples[-1].duration) * time_base
    missing = max(_listed_count(stream) - len(samples), _missing(container, stream, end=end, rate=rate))
    keys = tuple(sorted(sample.time for sample in samples if sample.is_key and sample.time is not None))
    return MovieIndex(tuple(times), keys, len(samples) + max(0, missing), time_base, rate, variable)


def count_frames(container: InputContainer, stream: VideoStream) -> int:
    """The number of frames that are in a movie, counted as `read_index` does."""
    return len(_listed(container, stream) or _demuxed(container, stream))


def digests_of_pictures(container: InputContainer, stream: VideoStream) -> list[str]:
    """A sha256, in hex, of each coded picture of a movie, in the order of display, up to where it cannot be read."""
    found = [
        (packet.pts if packet.pts is not None else place, hashlib.sha256(memoryview(packet)).hexdigest())
        for place, packet in enumerate(packets_of(container, stream))
        if is_shown(packet)
    ]
    return [digest for _, digest in sorted(found, key=lambda each: each[0])]


def packets_of(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The packets of a stream up to the end of the file, or to where it cannot be read further."""
    with suppress(av.error.FFmpegError):
        yield from container.demux(stream)


def is_shown(packet: Packet[VideoStream]) -> bool:
    """Whether a packet becomes a frame: not the end mark, nor cut out by an edit list, nor broken, nor hidden."""
    if packet.size == 0 or packet.is_discard or packet.is_corrupt:
        return False
    if packet.stream.codec_context.name == "vp8":
        # RFC 6386 9.1: bit 4 of the frame tag is show_frame; alternate reference frames are stored, not shown.
        return bool(memoryview(packet)[0] & 0x10)
    return True


def _intra_only(stream: VideoStream) -> bool:
    return stream.codec_context.codec.intra_only


def _listed(container: InputContainer, stream: VideoStream) -> list[_Sample]:
    """The samples that the header of a QuickTime file lists; empty if it does not, or pictures are reordered."""
    if not container.format.name.startswith("mov") or not _intra_only(stream):
        return []
    entries = [entry for entry in stream.index_entries if not entry.is_discard]
    if len(stream.index_entries) != stream.frames:
        return []
    step = entries[-1].timestamp - entries[-2].timestamp if len(entries) > 1 else 0
    return [_Sample(entry.timestamp, is_key=True, duration=step) for entry in entries]


def _listed_count(stream: VideoStream) -> int:
    """Frames in the list that a QuickTime or AVI header has of them, less those cut out by an edit list."""
    if stream.frames == 0 or len(stream.index_entries) < stream.frames:
        return 0
    return sum(1 for entry in stream.index_entries if not entry.is_discard)


def _demuxed(container: InputContainer, stream: VideoStream) -> list[_Sample]:
    return [
        _Sample(packet.pts, packet.is_keyframe, packet.duration or 0)
        for packet in packets_of(container, stream)
        if is_shown(packet)
    ]


def _rate(
    times: Sequence[int], samples: Sequence[_Sample], stream: VideoStream, time_base: Fraction
) -> tuple[Fraction, bool]:
    """The rate, and whether it varies: frame i of a steady rate is shown within one unit of `first + i / rate`."""
    if len(times) == 1:
        length = samples[0].duration * time_base
        return stream.guessed_rate or stream.average_rate or (1 / length if length else _SOME_RATE), False
    gaps = {b - a for a, b in pairwise(times)}
    exact = [1 / (gaps.pop() * time_base)] if len(gaps) == 1 else []
    named = [rate for rate in (stream.guessed_rate, stream.average_rate, stream.base_rate) if rate]
    # Matroska's milliseconds make 19001/317 of a short movie's 60000/1001.
    snapped = [exact_rate(float(rate)) for rate in named] if time_base == _MILLISECOND else []
    for rate in [*snapped, *named, *exact]:
        if _is_steady(times, 1 / (rate * time_base)):
            return rate, False
    average = (len(times) - 1) / ((times[-1] - times[0]) * time_base)
    return stream.average_rate or average, True


def _is_steady(times: Iterable[int], step: Fraction) -> bool:
    """Whether times lie within one unit of even steps; in whole numbers, for there may be a hundred thousand."""
    numerator, denominator = step.numerator, step.denominator
    start: int | None = None
    for position, time in enumerate(times):
        start = time if start is None else start
        if abs((time - start) * denominator - position * numerator) > denominator:
            return False
    return True


def _missing(container: InputContainer, stream: VideoStream, *, end: Fraction, rate: Fraction) -> int:
    """Frames that a Matroska header promises after the last one found at `end` seconds."""
    if not container.format.name.startswith("matroska"):
        return 0
    promised = _promised_seconds(container, stream)
    # Durations are rounded and may end with the last audio packet: less than two frames are no loss.
    lost = (promised - end) * rate
    return round(lost) if lost >= 2 else 0


def _promised_seconds(container: InputContainer, stream: VideoStream) -> Fraction:
    """When a Matroska header says that the picture ends: the track's own tag, else the file's if it is alone."""
    for key, value in stream.metadata.items():
        match = _DURATION.match(value) if key.upper().startswith("DURATION") else None
        if match:
            return int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3])
    if len(container.streams) == 1 and container.duration is not None:
        return Fraction(container.duration, 1_000_000)
    return Fraction(0)
