"""Reader and writer contracts: what a media plugin does for the engine.

A reader gives frames in the plate's own form, in order; a writer takes them in order and lets a file appear under its
name only when it is whole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from vfxswap.color import ColorTags, PixelLayout
from vfxswap.errors import MediaError
from vfxswap.frame import Frame
from vfxswap.geometry import Box
from vfxswap.journal import FrameNote, Journal
from vfxswap.layers import LayerName, LayerOrder


@dataclass(frozen=True, slots=True)
class PlateInfo:
    """What is known of a plate before a frame is decoded."""

    path: Path
    """File, or pattern of a sequence."""
    width: int
    """Columns of the upright picture."""
    height: int
    """Rows of the upright picture."""
    layout: PixelLayout
    """How its samples are stored."""
    tags: ColorTags
    """What the file itself says of its colour; may be incomplete."""
    first: int
    """Number of the first frame; 1 for a movie."""
    count: int
    """Number of frames; in a sequence with holes, as many as if it had none."""
    rate: Fraction
    """Nominal frames a second; of a plate with a variable rate, the average."""
    rate_from: Literal["file", "pipeline", "nobody"] = "file"
    """Who says the rate: the plate itself, the pipeline file, or nobody, so that 24 is taken; writers do not pass this
    one on."""
    variable_rate: bool = False
    """Whether the frames' durations differ; their own times are kept."""
    timecode: str | None = None
    """SMPTE timecode of the first frame."""
    timecode_runs: bool = True
    """Whether it counts on by one with each frame; the files of a sequence may say something else."""
    reel: str | None = None
    """Reel or tape name."""
    audio: tuple[str, ...] = ()
    """Codec of each audio stream."""
    codec: str = ""
    """Codec or compression, in the library's words."""
    pixel_aspect: Fraction = Fraction(1)
    """Width of a pixel over its height."""
    rotation: int = 0
    """Degrees by which the stored picture is turned clockwise for display (0, 90, 180, 270). Frames come as stored."""
    interlaced: bool = False
    """Whether the container says that frames hold two fields."""
    metadata: dict[str, str] = field(default_factory=dict)
    """Other text that the file carries."""
    holes: tuple[int, ...] = ()
    """Numbers between the first and the last frame of which a sequence has no picture, ascending."""
    display: Box | None = None
    """The display window, in pixels of the upright picture, where it is not the whole picture (overscan, or a region
    that was cropped); may reach beyond it."""
    channels: str = ""
    """All channels that the files of pictures hold, with their types; parts of a file are divided by `|`."""
    layers: tuple[str, ...] = ()
    """Names of the pictures that a file holds (layers, views, parts), the main one first; empty where it is one."""
    layer: str = ""
    """Which of them this is."""
    unfit: Mapping[int, str] = field(default_factory=dict)
    """Why some files of a sequence cannot be read as the first is, by frame number: they are damaged, or others."""

    @property
    def stated_rate(self) -> Fraction | None:
        """The rate as a delivery may pass it on; None if nobody said it."""
        return None if self.rate_from == "nobody" else self.rate

    @property
    def last(self) -> int:
        """Number of the last frame."""
        return self.first + self.count - 1

    @property
    def frame_of_reference(self) -> Box:
        """The display window, or the whole picture where there is no other: what artists' coordinates count from."""
        return Box(0, 0, self.width, self.height) if self.display is None else self.display


class Reader(ABC):
    """Reads one plate. Opened by its constructor, used by one thread at a time, closed by `close`."""

    name: ClassVar[str]
    """As `vfxswap plugins` lists it."""
    chooses_layers: ClassVar[bool] = False
    """Whether its constructor takes `layer`, one of the names in `PlateInfo.layers`; None is the main picture."""

    @classmethod
    def opened(cls, path: Path, layer: str | None = None) -> Reader:
        """Opens a plate, or one of the pictures that its files hold.

        Raises:
            MediaError: The plate cannot be read, or has no such layer; says which it has.
        """
        if layer is None:
            return cls(path)
        if not cls.chooses_layers:
            raise MediaError(
                f"{path} is read by {cls.name!r}, which knows of no layers; leave [shot] layer out", path=path
            )
        return cls(path, layer=layer)  # type: ignore[call-arg]

    @classmethod
    @abstractmethod
    def can_read(cls, path: Path) -> bool:
        """Whether the path looks like this reader's business, by its name alone."""

    @abstractmethod
    def __init__(self, path: Path) -> None:
        """Opens the plate and reads its header.

        Raises:
            MediaError: There is no such file, or it is not a picture or movie that can be read; says what it is.
        """

    @property
    @abstractmethod
    def info(self) -> PlateInfo:
        """The header."""

    @abstractmethod
    def frames(self, first: int, last: int) -> Iterator[Frame]:
        """Decodes the frames `first..last` (inclusive, within the plate) in order, in the plate's own form.

        Holes are left out, and the frame after one has `cut_before`: no window reaches over what is not there. May be
        called again with another range; an earlier iterator is then done.

        Raises:
            TruncatedPlate: The plate ends, or breaks, before `last`; names the first frame that is not there.
        """

    @abstractmethod
    def close(self) -> None:
        """Gives back the file."""

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class DeliveryOptions(BaseModel):
    """Base of a writer's own settings in `[delivery]`; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Writer(ABC):
    """Writes one delivery; used as a context: left by an error, nothing appears under the delivery's name.

    Of a sequence, each frame is a file of its own, which appears when it is whole and then stays, whatever becomes of
    the others.
    """

    name: ClassVar[str]
    """As `vfxswap plugins` lists it."""
    Options: ClassVar[type[DeliveryOptions]]
    """Its settings in `[delivery]`, apart from `path` and `layers`."""
    layers: LayerOrder = LayerOrder()
    """The extra pictures of each frame that are to be written, which the host sets before the first frame, if this
    writer has said that it can store them (`layer_problems`)."""
    journal: Journal | None = None
    """Set by the host before the first frame of a sequence: whoever writes one tells it of each frame's files when
    these are written, before they get their names. So a run that is killed is gone on with."""

    @classmethod
    @abstractmethod
    def can_write(cls, path: Path) -> bool:
        """Whether the path looks like this writer's business, by its name alone."""

    @classmethod
    @abstractmethod
    def problems(cls, path: Path, options: DeliveryOptions, like: PlateInfo, tags: ColorTags) -> Sequence[str]:
        """What is wrong with this delivery of this plate, before anything is opened; empty if nothing is."""

    @classmethod
    def remarks(
        cls,
        path: Path,  # noqa: ARG003 - for those who override it
        options: DeliveryOptions,  # noqa: ARG003
        like: PlateInfo,  # noqa: ARG003
        tags: ColorTags,  # noqa: ARG003
    ) -> Sequence[str]:
        """What the report shall say of this delivery, such as another compression than the plate's."""
        return ()

    @classmethod
    def pictured_layers(cls, options: DeliveryOptions) -> tuple[LayerName, ...]:  # noqa: ARG003
        """Layers that the picture itself holds, such as the matte as its alpha; the host makes these too."""
        return ()

    @classmethod
    def layer_problems(
        cls,
        path: Path,  # noqa: ARG003
        options: DeliveryOptions | None,  # noqa: ARG003
        order: LayerOrder,  # noqa: ARG003
        like: PlateInfo | None,  # noqa: ARG003
    ) -> Sequence[str]:
        """Why these layers cannot be stored, or not in that way; what is wrong in itself already is None.

        A writer that can takes `Frame.layers` and stores them as `layers` says; in files of their own (`stored` is
        `"files"`) under the names of `vfxswap.layers.layer_files`. A frame is done when all of its files are whole.
        """
        return (f"the writer {cls.name!r} cannot write layers; leave layers out",)

    @classmethod
    def notes(cls, path: Path) -> Mapping[int, FrameNote] | None:  # noqa: ARG003
        """What the frames of a sequence that are there say of themselves, by frame.

        None if their files have no room for it, so that reports and journals are asked.
        """
        return None

    @classmethod
    def pictures(cls, path: Path) -> Sequence[str]:  # noqa: ARG003
        """A digest of each coded picture of a file that holds many, in order; by them a damaged frame is named.

        Raises:
            MediaError: The file cannot be read.
        """
        return ()

    @abstractmethod
    def __init__(
        self, path: Path, options: DeliveryOptions, *, like: PlateInfo, tags: ColorTags, first: int, last: int
    ) -> None:
        """Makes the delivery ready, with temporary files in its folder.

        Args:
            path: Where the delivery shall be.
            options: An instance of `Options`.
            like: The plate, whose rate, depth, timecode, audio and metadata are carried over.
            tags: The plate's colour, complete.
            first: First frame that will be written.
            last: Last frame that will be written.

        Raises:
            MediaError: The folder cannot be written, or the codec does not take such pictures.
        """

    @abstractmethod
    def write(self, frame: Frame) -> None:
        """Takes `frame.picture`, and `frame.layers` where these were asked for; frames come in order.

        Raises:
            MediaError: The disk is full, or the codec refused the picture.
        """

    @abstractmethod
    def finish(self) -> tuple[Path, ...]:
        """Ends the files, moves them under their names, and returns these.

        Raises:
            MediaError: The number of frames in the file is not the number written.
        """

    @abstractmethod
    def keep_partial(self) -> tuple[Path, ...]:
        """Ends what was written so far as `NAME.partial` and returns these paths; its own name stays free.

        The whole frames of a sequence have their names already.
        """

    @abstractmethod
    def abandon(self) -> None:
        """Removes the temporary files; does nothing after `finish` or `keep_partial`."""

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()
