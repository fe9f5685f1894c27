"""A studio's plugin for tests: stages with every sort of option, and media whose plates are JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from vfxswap.color import ColorTags, Matrix, PixelLayout, Primaries, Range, Transfer
from vfxswap.errors import MediaError
from vfxswap.frame import Detection, FaceBatch, FaceWindow, Frame, Picture
from vfxswap.geometry import Landmarks
from vfxswap.hookspecs import API_VERSION, MediaOffer, StageOffer, hookimpl
from vfxswap.identity import Identity
from vfxswap.media import DeliveryOptions, PlateInfo, Reader, Writer
from vfxswap.stage import (
    Aligner,
    AlignerOptions,
    Blend,
    ColorMap,
    ColorMatch,
    ColorMatchOptions,
    Cutter,
    Deflicker,
    Detector,
    InputPath,
    Matte,
    MatteOptions,
    Span,
    StageOptions,
    Swapped,
    Swapper,
    SwapperOptions,
)


class FindOptions(StageOptions):
    """Settings of `find`."""

    model: str | None = Field(None, description="Name of the model to use; none finds the middle of the picture.")


class Find(Detector[FindOptions]):
    """Finds one face in the middle."""

    Options = FindOptions

    @classmethod
    def models(cls, options: FindOptions) -> Sequence[str]:
        """The one that is asked for."""
        return () if options.model is None else (options.model,)

    def detect(self, images: Tensor | None, frames: Sequence[int]) -> Sequence[Sequence[Detection]]:
        """Always the middle half of the picture."""
        width, height = self.setting.width, self.setting.height
        return [[Detection((width / 4, height / 4, 3 * width / 4, 3 * height / 4), 1.0)] for _ in frames]


class Points(Aligner[AlignerOptions]):
    """Five points inside the box."""

    Options = AlignerOptions

    def align(self, detections: Sequence[Detection], cut: Cutter) -> Sequence[Landmarks | None]:
        """At fixed places of the box."""
        places = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
        found = []
        for detection in detections:
            x0, y0, x1, y1 = detection.box
            found.append(Landmarks(places * [x1 - x0, y1 - y0] + [x0, y0], "five"))
        return found


class Put(Swapper[SwapperOptions]):
    """Puts in the negative."""

    Options = SwapperOptions

    def swap(self, faces: FaceBatch, identity: Identity) -> Swapped:
        """All of it."""
        return Swapped(1 - faces.crops, torch.ones_like(faces.crops[:, :1]))


class PutStills(Put):
    """The same, by stills."""

    @classmethod
    def wants_stills(cls) -> bool:
        """It does."""
        return True


class Cut(Matte[MatteOptions]):
    """A matte of half."""

    Options = MatteOptions

    def matte(self, faces: FaceBatch) -> Tensor:
        """Everywhere the same."""
        return torch.full_like(faces.crops[:, :1], 0.5)


class Limits(BaseModel):
    """A table inside a stage."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    low: float = Field(0.0, ge=0, description="Where it starts.")
    high: float = Field(1.0, le=2, description="Where it ends.")


class GradeOptions(ColorMatchOptions):
    """Settings of `grade`."""

    mode: Literal["lab", "rgb"] = Field("lab", description="In which space.")
    taps: tuple[int, ...] = Field((1, 2), max_length=4, description="Weights.")
    gain: float = Field(1.0, gt=0.2, le=3, description="Above 1 brighter.")
    passes: int = Field(1, ge=1, description="How often.")
    curve: InputPath | None = Field(None, description="A file of the curve.")
    limits: Limits = Field(Limits(low=0.0, high=1.0), description="Of the curve.")
    start: int | Literal["first"] = Field("first", description="The frame to start with.")


class Grade(ColorMatch[GradeOptions]):
    """Leaves the colours."""

    Options = GradeOptions

    def fit(self, swapped: Tensor, plate: Tensor, matte: Tensor) -> ColorMap:
        """The same colours."""
        return lambda picture: picture


class SteadyOptions(StageOptions):
    """Settings of `steady`."""

    frames: int = Field(1, ge=0, le=8, description="Neighbours on each side, in frames.")


class Steady(Deflicker[SteadyOptions]):
    """The mean over the neighbours."""

    Options = SteadyOptions

    @property
    def window(self) -> Span:
        """As asked for."""
        return Span(self.options.frames, self.options.frames)

    def steady(self, window: FaceWindow) -> Tensor:
        """The mean."""
        return window.swapped.mean(dim=0)


class Paste(Blend[StageOptions]):
    """A plain mix."""

    def blend(self, patch: Tensor, plate: Tensor, matte: Tensor) -> Tensor:
        """By the matte."""
        return plate + matte * (patch - plate)


_LAYOUT = PixelLayout("rgb24", "rgb", 8)


class JsonReader(Reader):
    """Plates of one colour: `{"count": 10, "tagged": true, "interlaced": false}`."""

    name = "json-plate"

    def __init__(self, path: Path) -> None:
        try:
            self._facts = json.loads(path.read_text())
        except OSError as error:
            raise MediaError(f"there is no plate {path}", path=path) from error
        except ValueError as error:
            raise MediaError(f"{path} is not a movie or picture that can be read", path=path) from error
        self._tags = ColorTags(matrix=Matrix.RGB)
        if self._facts.get("tagged", True):
            self._tags = ColorTags(Primaries.BT709, Transfer.BT709, Matrix.RGB, Range.FULL)
        self._info = PlateInfo(
            path=path,
            width=64,
            height=48,
            layout=_LAYOUT,
            tags=self._tags,
            first=self._facts.get("first", 1),
            count=self._facts["count"],
            rate=Fraction(24),
            codec="json",
            interlaced=self._facts.get("interlaced", False),
        )

    @classmethod
    def can_read(cls, path: Path) -> bool:
        """By its suffix."""
        return path.suffix == ".plate"

    @property
    def info(self) -> PlateInfo:
        """The header."""
        return self._info

    def frames(self, first: int, last: int) -> Iterator[Frame]:
        """Each darker than the next."""
        for number in range(first, last + 1):
            if number == self._facts.get("hangs_at"):
                raise KeyboardInterrupt
            planes = [np.full((48, 64), number % 256, np.uint8) for _ in range(3)]
            yield Frame(number, Picture(planes, _LAYOUT, self._tags))

    def close(self) -> None:
        """Nothing is open."""


class TextOptions(DeliveryOptions):
    """Settings of the writer."""

    codec: Literal["fine", "small"] = Field("fine", description="How it is packed.")
    depth: Literal[8, 10, 12] = Field(8, description="Bits.")
    quality: int = Field(5, ge=0, le=10, description="More is better.")


class TextWriter(Writer):
    """Writes the mean of each frame as a line."""

    name = "text"
    Options = TextOptions

    @classmethod
    def can_write(cls, path: Path) -> bool:
        """By its suffix."""
        return path.suffix == ".out"

    @classmethod
    def problems(cls, path: Path, options: DeliveryOptions, like: PlateInfo, tags: ColorTags) -> Sequence[str]:
        """The small codec takes few frames."""
        too_long = isinstance(options, TextOptions) and options.codec == "small" and like.count > 50
        return [f"codec small holds 50 frames, the plate has {like.count}; take codec fine"] if too_long else []

    def __init__(
        self, path: Path, options: DeliveryOptions, *, like: PlateInfo, tags: ColorTags, first: int, last: int
    ) -> None:
        self._path, self._lines = path, list[str]()
        path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, frame: Frame) -> None:
        """Takes a frame."""
        self._lines.append(f"{frame.number} {frame.picture.planes[0].mean():.3f}\n")

    def finish(self) -> tuple[Path, ...]:
        """Writes the file."""
        self._path.write_text("".join(self._lines))
        return (self._path,)

    def keep_partial(self) -> tuple[Path, ...]:
        """Writes what there is."""
        partial = self._path.with_name(f"{self._path.name}.partial")
        partial.write_text("".join(self._lines))
        return (partial,)

    def abandon(self) -> None:
        """Nothing is open."""


@hookimpl
def vfxswap_api() -> tuple[int, int]:
    """The contract."""
    return API_VERSION


@hookimpl
def vfxswap_stages() -> list[StageOffer]:
    """All of the above."""
    return [
        StageOffer("find", "detector", ":Find", "the middle of the picture", "MIT"),
        StageOffer("points", "aligner", ":Points", "five points", "MIT"),
        StageOffer("put", "swapper", ":Put", "the negative", "MIT"),
        StageOffer("put-stills", "swapper", ":PutStills", "the negative, by stills", "MIT"),
        StageOffer("cut", "matte", ":Cut", "half", "MIT"),
        StageOffer("grade", "color", ":Grade", "as it is", "MIT"),
        StageOffer("steady", "deflicker", ":Steady", "the mean", "MIT"),
        StageOffer("paste", "blend", ":Paste", "a mix", "MIT"),
        StageOffer("gone", "matte", ":Gone", "its class is not there", "MIT"),
    ]


@hookimpl
def vfxswap_readers() -> list[MediaOffer]:
    """The reader."""
    return [MediaOffer("json-plate", ":JsonReader", (".plate",), "plates of one colour", "MIT")]


@hookimpl
def vfxswap_writers() -> list[MediaOffer]:
    """The writer."""
    return [MediaOffer("text", ":TextWriter", (".out",), "means as text", "MIT")]


@hookimpl
def vfxswap_models() -> list[Path]:
    """The card of one model."""
    return [Path(__file__).parent / "models.toml"]
