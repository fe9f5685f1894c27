"""Where an H.264 or H.265 stream says that its chroma lies, which the library does not tell.

FFmpeg's metadata filter writes `chroma_sample_loc_type` (E.2.1 of both standards) into a stream's parameter sets. Where
that changes nothing, the stream says so already.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet
from av.video.stream import VideoStream

from vfxswap_plugins.media.layouts import ChromaLocation
from vfxswap_plugins.media.movie_file import opened_movie

SITING = "chroma_siting"
"""Key in `PlateInfo.metadata` of a place that is not supported, and taken for left."""
_PLACES: tuple[ChromaLocation | None, ...] = ("left", "center", "topleft", None, None, None)
"""By number; the last three (top, bottom left, bottom) are for fields."""


def stated_siting(path: Path) -> tuple[ChromaLocation | None, dict[str, str]]:
    """What the first packet of a movie says; None if nothing, and a note if it says what is not supported."""
    with opened_movie(path) as (container, stream):
        codec = stream.codec_context.name
        if codec not in {"h264", "hevc"}:
            return None, {}
        with suppress(av.error.FFmpegError, ValueError):
            data = bytes(next((packet for packet in container.demux(stream) if packet.size), b""))
            as_it_is = _rewritten(stream, data, f"{codec}_mp4toannexb,{codec}_metadata")
            for number, place in enumerate(_PLACES):
                words = f"{codec}_mp4toannexb,{codec}_metadata=chroma_sample_loc_type={number}"
                if _rewritten(stream, data, words) == as_it_is:
                    note = {SITING: f"H.273 type {number}, taken for left"}
                    return place, note if place is None else {}
    return None, {}


def _rewritten(stream: VideoStream, data: bytes, words: str) -> bytes:
    packet = Packet(data)
    packet.pts = packet.dts = 0
    return b"".join(bytes(each) for each in BitStreamFilterContext(words, stream).filter(packet))
