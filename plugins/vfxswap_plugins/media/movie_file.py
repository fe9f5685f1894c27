"""Opening a movie: errors that say what the file is, and the one video stream that is meant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vfxswap.errors import MediaError

SUFFIXES = frozenset(
    {".mov", ".mp4", ".m4v", ".mkv", ".mxf", ".avi", ".webm", ".mpg", ".mpeg", ".ts", ".gif", ".y4m", ".264", ".265"}
)
"""File suffixes that are taken for a movie's."""

_QUICKTIME_ATOMS = frozenset({b"ftyp", b"mdat", b"wide", b"free", b"skip", b"moov"})
_SIDE_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


@contextmanager
def opened_movie(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Opens a movie and closes it at the end of the block.

    Raises:
        MediaError: There is no such file, or it is not a movie with a picture; says what it is and what to do.
    """
    with open_container(path) as container:
        yield container, picture_stream(container, path)


def open_container(path: Path) -> InputContainer:
    """Opens a file as FFmpeg sees it, by its content.

    Raises:
        MediaError: There is no such file, or nothing that FFmpeg knows is in it.
    """
    _check_file(path)
    try:
        # An absolute path cannot be taken for the name of a protocol; text in other encodings must not stop the work.
        return av.open(str(path.absolute()), "r", metadata_errors="replace")
    except PermissionError as error:
        raise MediaError(f"{path} may not be read: {error.strerror}; mend its permissions", path=path) from error
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaError(f"{path} cannot be read as a movie: {_what_it_is(path)} ({error})", path=path) from error


def picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream that is meant by 'the movie': the best one that is not a cover picture or a row of thumbnails.

    Raises:
        MediaError: There is none, or this FFmpeg cannot decode it.
    """
    moving = [stream for stream in container.streams.video if not stream.disposition & _SIDE_PICTURES]
    if not moving:
        raise MediaError(f"{path} holds no moving picture, only {_contents(container)}; name a movie", path=path)
    best = container.streams.best("video")
    stream = next((stream for stream in moving if stream is best), moving[0])
    if stream.codec_context is None:
        raise MediaError(
            f"{path}: this build of FFmpeg has no decoder for its picture ({stream.codec_tag or 'unknown codec'});"
            " transcode it to ProRes, DNxHR, H.264, H.265 or FFV1",
            path=path,
        )
    return stream


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise MediaError(
            f"{path} is a folder, not a movie; for an image sequence write FOLDER/NAME.%04d.exr", path=path
        )
    if not path.exists():
        raise MediaError(f"there is no file {path}", path=path)
    if path.stat().st_size == 0:
        raise MediaError(
            f"{path} is empty (0 bytes): it was never written, or its copy failed; fetch it again", path=path
        )


def _what_it_is(path: Path) -> str:
    """A guess at what an unreadable file is, from its first bytes."""
    with path.open("rb") as file:
        head = file.read(512)
    if head[4:8] in _QUICKTIME_ATOMS:
        return (
            "it is QuickTime or MP4 without an index (moov): it was not finished or is cut off; copy or render it again"
        )
    if all(byte in b"\t\n\r\f" or 32 <= byte < 127 for byte in head):
        return "it is a text file; name a movie"
    return "its content is no video format that is known; name a movie, or copy the file again"


def _contents(container: InputContainer) -> str:
    kinds = ("a cover picture" if stream.type == "video" else stream.type for stream in container.streams)
    return ", ".join(dict.fromkeys(kinds)) or "no stream at all"
