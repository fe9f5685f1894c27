"""The plate's audio, copied packet by packet beside the new picture."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import cast

from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Discard


class AudioCopy:
    """Copies all audio streams of one file into another, without decoding.

    Args:
        source: The plate, opened for this purpose alone.
        target: The delivery; its streams are added here, so its header must not be written yet.

    Raises:
        ValueError: The container does not take such audio.
    """

    def __init__(self, source: InputContainer, target: OutputContainer) -> None:
        self._target = target
        self._streams: dict[int, AudioStream] = {}
        for stream in source.streams:
            if isinstance(stream, AudioStream):
                self._streams[stream.index] = _added(target, stream)
            else:
                # What is discarded is not read from the disk where the container allows it.
                stream.discard = Discard.all
        wanted = list(source.streams.audio)
        self._packets = self._timed(source, wanted) if wanted else iter(())
        self._next: tuple[Fraction, Packet[AudioStream]] | None = None
        self._shift = Fraction(0)
        self._start: Fraction | None = None

    def begin(self, *, shift: Fraction, start: Fraction | None) -> None:
        """Says how the delivery's time lies against the plate's.

        Args:
            shift: Seconds to subtract from all times.
            start: Packets that begin before this time of the plate are left out; None takes all.
        """
        self._shift, self._start = shift, start

    def copy_until(self, end: Fraction | None) -> None:
        """Copies the packets that begin before a time of the plate, in seconds; None copies all that are left."""
        while (item := self._next or next(self._packets, None)) is not None:
            self._next = item
            time, packet = item
            if end is not None and time >= end:
                return
            self._next = None
            if self._start is None or time >= self._start:
                self._mux(packet)

    def _timed(
        self, source: InputContainer, wanted: list[AudioStream]
    ) -> Iterator[tuple[Fraction, Packet[AudioStream]]]:
        for packet in source.demux(*wanted):
            time = packet.pts if packet.pts is not None else packet.dts
            if packet.size and time is not None:
                yield time * packet.time_base, cast("Packet[AudioStream]", packet)

    def _mux(self, packet: Packet[AudioStream]) -> None:
        units = round(self._shift / packet.time_base)
        if packet.pts is not None:
            packet.pts -= units
        if packet.dts is not None:
            packet.dts -= units
        packet.stream = self._streams[packet.stream.index]
        self._target.mux(packet)


def _added(target: OutputContainer, stream: AudioStream) -> AudioStream:
    added = target.add_stream_from_template(stream)
    added.metadata.update({key: value for key, value in stream.metadata.items() if key in {"language", "title"}})
    added.disposition = stream.disposition
    return added
