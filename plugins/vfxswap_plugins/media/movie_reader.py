"""Movies, read by PyAV: frames in the decoder's own planes, numbered by their presentation time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vfxswap.errors import MediaError, TruncatedPlate
from vfxswap.frame import Frame
from vfxswap.media import PlateInfo, Reader
from vfxswap_plugins.media.ffv1 import has_whole_slices
from vfxswap_plugins.media.movie_file import SUFFIXES, open_container, opened_movie, picture_stream
from vfxswap_plugins.media.movie_header import plate_info, stored_size
from vfxswap_plugins.media.movie_index import packets_of, read_index
from vfxswap_plugins.media.movie_picture import MoviePicture
from vfxswap_plugins.media.tags import Said

_STRICT_DECODING = {"mjpeg": {"err_detect": "explode"}}
"""Options that make a decoder report a damaged picture which it would otherwise patch up in silence."""


class MovieReader(Reader):
    """Reads a movie.

    Frames are numbered from 1 in the order of display and come as stored: not rotated, in the decoder's own planes,
    read-only and without a copy. A frame's number follows from its presentation time, so that it is the same whether
    decoding begins at the start or at a key frame before it. Where the file has no usable times (raw streams, reordered
    pictures in AVI) frames are counted from the start, and frame n has the time `(n - 1) / rate`.

    A picture that is missing, refused by the decoder, or marked by it as damaged ends the plate with `TruncatedPlate`.
    FFV1's own checksums are looked at; in other codecs, what a decoder patches up without a word cannot be seen: bits
    that are wrong but still decode, and most damage in VP8 and VP9.

    Opening reads all packets of the file once, but for QuickTime files of intra-only pictures, whose header lists them.
    """

    name = "movie"

    @classmethod
    def can_read(cls, path: Path) -> bool:
        """Whether the suffix is a movie's and the name is not a pattern."""
        return path.suffix.lower() in SUFFIXES

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container: InputContainer | None = None
        self._turn = 0
        with opened_movie(path) as (container, stream):
            self._index = read_index(container, stream)
        with opened_movie(path) as (container, stream):
            said = Said.by(stream.codec_context)
            first = next(_decoded(container, stream), None)
            if first is None:
                raise MediaError(
                    f"{path}: not one picture of its {stream.codec_context.name} stream can be decoded; copy it again",
                    path=path,
                )
            self._info = plate_info(path, container, stream, said=said, first=first, index=self._index)
        self._has_checksums = _has_checksums(path)

    @property
    def info(self) -> PlateInfo:
        """The header."""
        return self._info

    def frames(self, first: int, last: int) -> Iterator[Frame]:
        """Decodes `first..last`; a later call ends an earlier iterator.

        Raises:
            MediaError: The range is not within the plate, or a picture has another size or pixel format than the first.
            TruncatedPlate: The plate ends or breaks before `last`; what comes before is given first.
        """
        if not self._info.first <= first <= last <= self._info.last:
            raise MediaError(
                f"{self._path}: frames {first}-{last} are not within the plate, which has"
                f" {self._info.first}-{self._info.last}",
                path=self._path,
            )
        self.close()
        return self._frames(self._turn, first, last)

    def close(self) -> None:
        """Gives back the file, and ends an iterator that is still there."""
        self._turn += 1
        if self._container is not None:
            self._container.close()
            self._container = None

    def _frames(self, turn: int, first: int, last: int) -> Iterator[Frame]:
        expected = first
        numbered = self._numbered(first, last) if self._index.times else self._counted(first)
        while expected <= last and self._turn == turn:
            number, picture = next(numbered, (None, None))
            if picture is None or number != expected or picture.is_corrupt:
                raise self._broken(expected)
            yield self._frame(picture, expected)
            expected += 1

    def _broken(self, number: int) -> TruncatedPlate:
        return TruncatedPlate(
            f"{self._path} ends or is damaged at frame {number} of {self._info.count}: the picture is missing or cannot"
            " be decoded; copy the plate again, or work on the frames before it",
            path=self._path,
            frame=number,
        )

    def _frame(self, picture: av.VideoFrame, number: int) -> Frame:
        layout = self._info.layout
        found, expected = (picture.width, picture.height), stored_size(self._info)
        if found != expected or picture.format.name != layout.name:
            raise MediaError(
                f"{self._path}: frame {number} is {found[0]}x{found[1]} {picture.format.name}, while the plate begins"
                f" as {expected[0]}x{expected[1]} {layout.name}; split the plate where it changes",
                path=self._path,
                frame=number,
            )
        time = self._index.time_of(number - self._info.first)
        return Frame(number, MoviePicture(picture, layout, self._info.tags), pts=time, time_base=self._index.time_base)

    def _opened(self) -> tuple[InputContainer, VideoStream]:
        """The file, opened anew: a decoder that was sent back may forget how far pictures are reordered."""
        if self._container is not None:
            self._container.close()
        self._container = open_container(self._path)
        return self._container, picture_stream(self._container, self._path)

    def _counted(self, first: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Pictures from frame `first` on, counted from the start of the file."""
        pictures = _decoded(*self._opened(), stop_at_damage=True)
        yield from ((number, picture) for number, picture in enumerate(pictures, start=1) if number >= first)

    def _numbered(self, first: int, last: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Pictures from frame `first` on, each with the number that belongs to its time; broken ones are left out."""
        times = self._index.times[first - self._info.first : last - self._info.first + 1]
        if not times:
            return
        numbers = {time: number for number, time in enumerate(times, start=first)}
        for pictures in self._starts(times[0]):
            start = next((picture for picture in pictures if picture.pts is not None and picture.pts >= times[0]), None)
            if start is not None and start.pts == times[0] and not start.is_corrupt:
                yield first, start
                yield from ((numbers[picture.pts], picture) for picture in pictures if picture.pts in numbers)
                return

    def _starts(self, time: int) -> Iterator[Iterator[av.VideoFrame]]:
        """Ways to come to a frame: from the key frame before it, from two earlier ones, at last from the file's start.

        A demuxer's own index may point too late, and a stream may call a picture a key frame from which decoding cannot
        begin; then the frame does not come, and the next way is taken.
        """
        keys = [key for key in self._index.keys_before(time) if key > self._index.times[0]]
        for key in keys[:3]:
            container, stream = self._opened()
            if _sought(container, stream, key):
                yield _decoded(container, stream, has_checksums=self._has_checksums)
        yield _decoded(*self._opened(), has_checksums=self._has_checksums)


def _sought(container: InputContainer, stream: VideoStream, time: int) -> bool:
    try:
        container.seek(time, stream=stream, backward=True)
    except (av.error.FFmpegError, OSError):
        return False
    return True


def _has_checksums(path: Path) -> bool:
    """Whether a movie's packets hold checksums that can be looked at (FFV1 alone)."""
    with opened_movie(path) as (container, stream):
        if stream.codec_context.name != "ffv1":
            return False
        return has_whole_slices(bytes(next(container.demux(stream))))


def _decoded(
    container: InputContainer, stream: VideoStream, *, stop_at_damage: bool = False, has_checksums: bool = False
) -> Iterator[av.VideoFrame]:
    """Decodes a stream from where its container stands to the end.

    A packet that is damaged or cannot be decoded is passed over: the pictures that a threaded decoder still holds come
    first, and the time that is missing shows where the damage is. Without times to show it, `stop_at_damage` ends it.
    """
    stream.thread_type = "AUTO"
    stream.codec_context.options = _STRICT_DECODING.get(stream.codec_context.name, {})
    for packet in packets_of(container, stream):
        is_damaged = packet.is_corrupt or (has_checksums and packet.size and not has_whole_slices(bytes(packet)))
        pictures = None if is_damaged else _pictures_of(packet)
        if pictures is not None:
            yield from pictures
        elif stop_at_damage:
            return


def _pictures_of(packet: Packet[VideoStream]) -> list[av.VideoFrame] | None:
    """What comes out of the decoder for a packet; None if it refuses it."""
    try:
        return packet.decode()
    except av.error.FFmpegError:
        return None
