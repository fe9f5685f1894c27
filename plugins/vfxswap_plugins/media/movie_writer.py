"""Movies, written by PyAV: the decoder's own frames where nobody changed them, exact conversions where one must be."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import av
from av.container import InputContainer, OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from vfxswap.clock import Timecode
from vfxswap.color import ColorTags
from vfxswap.errors import MediaError, UsageError
from vfxswap.frame import Frame
from vfxswap.layers import LayerName, LayerOrder
from vfxswap.media import DeliveryOptions, PlateInfo, Writer
from vfxswap_plugins.media.dnxhr import color_volume_of, with_color_volume
from vfxswap_plugins.media.layer_files import LayerFiles, LayersOfMovie
from vfxswap_plugins.media.movie_audio import AudioCopy
from vfxswap_plugins.media.movie_checks import problems
from vfxswap_plugins.media.movie_clock import DeliveryClock
from vfxswap_plugins.media.movie_codecs import FORMATS
from vfxswap_plugins.media.movie_file import SUFFIXES, open_container, opened_movie, picture_stream
from vfxswap_plugins.media.movie_frame import FrameMaker
from vfxswap_plugins.media.movie_hdr import CONTENT_LIGHT, MASTERING_DISPLAY, hdr_options, takes_hdr
from vfxswap_plugins.media.movie_header import DISPLAY_MATRIX, stored_size
from vfxswap_plugins.media.movie_index import count_frames, digests_of_pictures
from vfxswap_plugins.media.movie_plan import MovieOptions, MoviePlan, planned
from vfxswap_plugins.media.movie_siting import SITING
from vfxswap_plugins.media.pending_file import PendingFile, said_clearly
from vfxswap_plugins.media.tags import write_tags

_PLATE_NOTES = frozenset(
    {DISPLAY_MATRIX, MASTERING_DISPLAY, CONTENT_LIGHT, SITING, "color_primaries", "color_transfer"}
)
"""Keys of `PlateInfo.metadata` that are the reader's own remarks."""

_OF_PICTURES = frozenset(
    {"colorInteropID", "oiio:ColorSpace", "dpx:Transfer", "dpx:Colorimetric", "compression", "planarconfig"}
)
"""Keys by which a picture's file tells how it stores its samples, which is not how the movie does."""


_FEW = 2
"""x265 gives no decoding times to a stream of at most so many pictures, which cannot be reordered anyway."""


class MovieWriter(Writer):
    """Writes a movie, with the plate's times, timecode, reel, rotation, metadata and audio.

    A picture that is still the decoder's own, in the encoder's pixel format, is encoded as it is; time and colour tags
    are set on the library's frame, its samples are not touched. Other pictures are copied plane by plane, or converted
    by `convert.converted` where the codec stores another layout. Frames may be left out (a stepped range): each keeps
    its time.

    Matroska has no times before 0: where audio begins earlier (the priming of AAC), picture and audio are both moved so
    that it begins at 0. QuickTime and MP4 keep all times exactly.

    What does not go along: subtitles, data tracks, chapters, and closed captions or HDR metadata of changed frames.
    """

    name = "movie"
    Options: ClassVar[type[DeliveryOptions]] = MovieOptions

    @classmethod
    def can_write(cls, path: Path) -> bool:
        """Whether the suffix is that of a movie that can be written."""
        return path.suffix.lower() in FORMATS

    @classmethod
    def problems(cls, path: Path, options: DeliveryOptions, like: PlateInfo, tags: ColorTags) -> Sequence[str]:
        """What is wrong with this delivery of this plate; nothing is opened."""
        return problems(path, _own(options), like, tags)

    @classmethod
    def pictured_layers(cls, options: DeliveryOptions) -> tuple[LayerName, ...]:
        """The matte, where it becomes alpha."""
        return ("matte",) if _own(options).alpha == "matte" else ()

    @classmethod
    def remarks(cls, path: Path, options: DeliveryOptions, like: PlateInfo, tags: ColorTags) -> Sequence[str]:
        """What the movie shows of the plate, and what does not go along."""
        own = _own(options)
        plan = planned(path, own, like, tags)
        said = []
        if plan.look is not None:
            said.append(f"the movie shows {plan.look.words}; rounded to {plan.layout.bits} bits, without dither")
        if plan.window is not None:
            said.append(f"the movie shows the display window alone, {plan.width}x{plan.height} of the plate's picture")
        if plan.look is None and MASTERING_DISPLAY in like.metadata and not takes_hdr(plan.codec):
            said.append("the plate's mastering display and light levels do not go along; h265 and h264 take them")
        if like.timecode is not None and not _is_timecode(like):
            said.append(
                f"the plate's timecode {like.timecode!r} is none at {like.rate} frames a second, and is left out"
            )
        return said

    @classmethod
    def pictures(cls, path: Path) -> Sequence[str]:
        """A sha256, in hex, of each coded picture, in the order of display."""
        with opened_movie(path) as (container, stream):
            return digests_of_pictures(container, stream)

    @classmethod
    def layer_problems(
        cls,
        path: Path,  # noqa: ARG003
        options: DeliveryOptions | None,  # noqa: ARG003
        order: LayerOrder,
        like: PlateInfo | None,  # noqa: ARG003
    ) -> Sequence[str]:
        """Layers go to files of their own beside the movie."""
        if order.stored == "files":
            return []
        return [f'a movie cannot hold layers as {order.stored}; write layers_as = "files"']

    def __init__(
        self, path: Path, options: DeliveryOptions, *, like: PlateInfo, tags: ColorTags, first: int, last: int
    ) -> None:
        own = _own(options)
        if found := problems(path, own, like, tags):
            raise MediaError(f"{path}: {'; '.join(found)}", path=path)
        self._path, self._options, self._like, self._tags = path, own, like, tags
        self._first, self._last = first, last
        self._plan: MoviePlan = planned(path, own, like, tags)
        self._maker = FrameMaker(path, self._plan, tags, stored_size(like))
        self._written = 0
        self._previous: int | None = None
        self._durations: dict[int, int] = {}
        self._is_done = False
        self._files = ExitStack()
        with ExitStack() as undo:
            self._pending = PendingFile(path)
            undo.callback(self.abandon)
            with said_clearly(path):
                self._open()
            undo.pop_all()

    def write(self, frame: Frame) -> None:
        """Encodes `frame.picture`.

        Raises:
            MediaError: The frame is not the next one, or is of another size; it has transparency that the codec has no
                place for; the disk is full; or the encoder refused it.
        """
        self._check_order(frame)
        picture = self._maker.made(frame)
        self._beside.write(frame)
        with said_clearly(self._path, frame.number):
            if self._written == 0:
                self._begin(frame)
            picture.pts, picture.time_base = self._clock.time_of(frame), self._clock.time_base
            picture.pict_type = PictureType.NONE
            write_tags(picture, self._plan.said_tags)
            self._durations[picture.pts] = self._clock.duration_of(frame)
            self._mux(picture)
            self._audio_until(frame)
        self._written += 1
        self._end_of_last = self._clock.plate_seconds(frame) + self._clock.duration_of(frame) * self._clock.time_base

    def finish(self) -> tuple[Path, ...]:
        """Ends the file, counts its frames, and moves it under its name.

        Raises:
            MediaError: No frame was written, the file does not hold as many as were written, or the disk is full.
        """
        if self._written == 0:
            raise MediaError(f"{self._path}: no frame was written", path=self._path)
        self._end()
        with opened_movie(self._pending.temporary) as (container, stream):
            found = count_frames(container, stream)
        if found != self._written:
            raise MediaError(
                f"{self._path}: {self._written} frames were written but the file holds {found}; the disk or the encoder"
                " lost some: run again, or choose another codec",
                path=self._path,
            )
        self._beside.commit()
        self._is_done = True
        return (self._pending.commit(),)

    def keep_partial(self) -> tuple[Path, ...]:
        """Ends what was written so far as `NAME.partial`; gives nothing if no frame was written."""
        if self._written == 0 or self._is_done:
            self.abandon()
            return ()
        self._end()
        self._beside.abandon()
        self._is_done = True
        return (self._pending.keep_partial(),)

    def abandon(self) -> None:
        """Removes the temporary file; does nothing after `finish` or `keep_partial`."""
        if self._is_done:
            return
        self._is_done = True
        self._beside.abandon()
        # Closing ends the file, which may fail once more for the reason that made it abandoned.
        with suppress(OSError, ValueError, av.error.FFmpegError):
            self._files.close()
        self._pending.remove()

    @cached_property
    def _beside(self) -> LayersOfMovie:
        return LayersOfMovie(LayerFiles(self._path, self.layers, self._like, self._tags))

    def _open(self) -> None:
        source = self._source()
        base = picture_stream(source, self._like.path).time_base if source is not None else None
        self._clock = DeliveryClock(self._like, self._first, base)
        # No random identifier (Matroska) and no version of a library: the same run writes the same bytes.
        options = {"fflags": "+bitexact"}
        options |= _quicktime_options(self._clock) if self._plan.container in {"mov", "mp4"} else {}
        target = av.open(str(self._pending.temporary), "w", format=self._plan.container, options=options)
        self._target: OutputContainer = self._files.enter_context(target)
        texts = self._like.metadata.items()
        notes = {key: value for key, value in texts if key not in _PLATE_NOTES | _OF_PICTURES and _is_text(value)}
        if self._plan.container == "mxf" and self._like.reel:
            notes["reel_name"] = self._like.reel  # FFmpeg looks for the name of the tape package here
        self._target.metadata.update(notes)
        self._stream = self._add_picture()
        self._audio = AudioCopy(source, self._target) if source is not None and self._like.audio else None
        self._target.start_encoding()

    def _source(self) -> InputContainer | None:
        """The plate, opened a second time for its audio and its unit of time; None if it is no movie."""
        path = self._like.path
        if path.suffix.lower() not in SUFFIXES or not (self._like.audio or path.is_file()):
            return None
        return self._files.enter_context(open_container(path))

    def _add_picture(self) -> VideoStream:
        plan, like = self._plan, self._like
        stream = self._target.add_stream(plan.codec.encoder, rate=like.rate, options=self._encoder_options())
        if not isinstance(stream, VideoStream):
            raise MediaError(f"{plan.codec.encoder} is no video encoder in this build of FFmpeg", path=self._path)
        stream.width, stream.height, stream.pix_fmt = plan.width, plan.height, plan.layout.name
        stream.sample_aspect_ratio = like.pixel_aspect
        context = stream.codec_context
        context.time_base = self._clock.time_base
        context.thread_count = self._options.threads
        stream.thread_type = "AUTO"
        write_tags(context, plan.said_tags)
        if plan.codec.tag and plan.container in {"mov", "mp4"}:
            context.codec_tag = plan.codec.tag
        if like.rotation:
            stream.set_display_rotation(-like.rotation)  # FFmpeg counts counter-clockwise
        elif matrix := like.metadata.get(DISPLAY_MATRIX):
            stream.set_display_matrix([int(number) for number in matrix.split()])
        stream.metadata.update(self._slate())
        return stream

    def _encoder_options(self) -> dict[str, str]:
        options = dict(self._plan.codec.options)
        if self._plan.codec.quality is not None:
            quality = self._options.quality
            options["crf"] = str(self._plan.codec.quality if quality is None else quality)
            options["preset"] = self._options.preset or "medium"
        if self._plan.layout.is_float:
            options |= {"level": "4", "strict": "experimental"}  # float samples came with version 4 of FFV1
        if "slices" in options:
            options["slices"] = _slices(self._plan, options)
        if self._plan.layout.chroma_location != "left" and self._plan.layout.chroma_log2 != (0, 0):
            options["chroma_sample_location"] = self._plan.layout.chroma_location
        if self._plan.look is None:
            options |= hdr_options(self._plan.codec, options, self._like.metadata)
        return options

    def _slate(self) -> dict[str, str]:
        """Timecode of the first frame, and reel."""
        slate = {"reel_name": self._like.reel} if self._like.reel else {}
        if self._like.timecode is None:
            return slate
        offset = self._first - self._like.first
        if not offset and not _is_timecode(self._like):
            return slate  # the remarks say so
        try:
            shifted = Timecode.parse(self._like.timecode, self._like.rate) + offset if offset else self._like.timecode
        except UsageError as error:
            raise MediaError(
                f"{self._path}: the plate's timecode cannot be carried to frame {self._first}: {error}; deliver from"
                f" frame {self._like.first} on",
                path=self._path,
            ) from error
        return slate | {"timecode": str(shifted)}

    def _begin(self, frame: Frame) -> None:
        self._clock.begin(frame)
        if self._audio is not None:
            start = self._clock.plate_seconds(frame) if self._first > self._like.first else None
            self._audio.begin(shift=self._clock.shift, start=start)

    def _check_order(self, frame: Frame) -> None:
        if not self._first <= frame.number <= self._last or frame.number <= (self._previous or self._first - 1):
            raise MediaError(
                f"{self._path}: frame {frame.number} is out of order after {self._previous}; expected ascending numbers"
                f" within {self._first}-{self._last}",
                path=self._path,
                frame=frame.number,
            )
        self._previous = frame.number

    def _mux(self, picture: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(picture):
            if self._plan.codec.encoder == "dnxhd":
                packet.update(with_color_volume(bytes(packet), color_volume_of(self._plan.tags)))
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, packet.duration)
                if self._written <= _FEW:
                    packet.dts = packet.pts
            self._target.mux(packet)

    def _audio_until(self, frame: Frame) -> None:
        if self._audio is not None:
            self._audio.copy_until(self._clock.plate_seconds(frame))

    def _end(self) -> None:
        with said_clearly(self._path):
            self._mux(None)
            if self._audio is not None:
                is_whole = self._last == self._like.last and self._previous == self._last
                self._audio.copy_until(None if is_whole else self._end_of_last)
            self._files.close()


def _quicktime_options(clock: DeliveryClock) -> dict[str, str]:
    """Metadata under any key; and a clock for edit lists (a start later than 0) that knows the frames' own times."""
    units = clock.time_base.denominator
    return {"movflags": "+use_metadata_tags", "movie_timescale": str(units * -(-1000 // units))}


def _slices(plan: MoviePlan, options: dict[str, str]) -> str:
    """The most slices that FFV1's encoder accepts; where chroma does not divide evenly it refuses some numbers."""
    for count in ("16", "12", "9", "6", "4"):
        context = av.Codec(plan.codec.encoder, "w").create("video")
        context.width, context.height, context.pix_fmt = plan.width, plan.height, plan.layout.name
        context.time_base = Fraction(1, 25)
        context.options = options | {"slices": count}
        with suppress(av.error.FFmpegError):
            context.open()
            return count
    return "0"  # the encoder's own choice


def _is_text(value: str) -> bool:
    """Whether a text can be stored: headers may hold bytes that are none, as DPX does in fields that nobody filled."""
    return all(letter.isprintable() or letter.isspace() for letter in value)


def _is_timecode(like: PlateInfo) -> bool:
    """Whether what a header has for a timecode is one at the plate's rate."""
    try:
        Timecode.parse(like.timecode or "", like.rate)
    except UsageError:
        return False
    return True


def _own(options: DeliveryOptions) -> MovieOptions:
    if not isinstance(options, MovieOptions):
        raise TypeError(f"a movie takes MovieOptions, got {type(options).__name__}")
    return options
