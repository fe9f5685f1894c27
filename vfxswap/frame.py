"""What travels down the line: pictures, faces, frames, batches.

All of it is immutable: a stage gives a changed copy, never a changed original, so that any frame may be shared between
windows and threads. The one exception is a picture made by `Picture.copy`, until it is handed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vfxswap.alignment import CropSpec
from vfxswap.color import ColorTags, PixelLayout
from vfxswap.errors import ShapeError
from vfxswap.geometry import Affine, Box, Landmarks, Points, scale_of

if TYPE_CHECKING:
    from torch import Tensor

Plane = NDArray[Any]
"""`(H, W)` samples of one channel, uint8, uint16, float16 or float32; may be a strided view."""

_NO_PROPS: Mapping[str, object] = MappingProxyType({})
_NO_LAYERS: Mapping[str, Layer] = MappingProxyType({})


class Picture:
    """One stored picture, in the plate's own form.

    Readers subclass it to keep their library's own object beside the planes, so that a picture nobody changed can be
    encoded as it is.

    Args:
        planes: One 2-D array a channel, in the layout's order; chroma planes have their subsampled size.
        layout: How to read them.
        tags: What their numbers mean.

    Raises:
        ShapeError: The planes do not fit the layout.
    """

    def __init__(self, planes: Sequence[Plane], layout: PixelLayout, tags: ColorTags) -> None:
        self.planes, self.layout, self.tags = tuple(planes), layout, tags
        if len(self.planes) != layout.channels or any(plane.ndim != 2 for plane in self.planes):
            raise ShapeError(
                f"planes of a {layout.name} picture",
                expected=f"{layout.channels} planes (H, W)",
                actual=str([plane.shape for plane in self.planes]),
            )

    @property
    def width(self) -> int:
        """Columns of the full-size plane."""
        return int(self.planes[0].shape[1])

    @property
    def height(self) -> int:
        """Rows of the full-size plane."""
        return int(self.planes[0].shape[0])

    def copy(self) -> Picture:
        """A picture of the same kind with its own, writable planes."""
        return Picture([plane.copy() for plane in self.planes], self.layout, self.tags)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.width}x{self.height} {self.layout.name} {self.planes[0].dtype})"


@dataclass(frozen=True, slots=True)
class Detection:
    """A face as a detector sees it, in pixels of the picture that it was given."""

    box: tuple[float, float, float, float]
    """`(x0, y0, x1, y1)`."""
    score: float
    """Confidence, 0..1."""
    five: Points | None = None
    """`(5, 2)`: eyes (image left, right), nose tip, mouth corners (image left, right)."""
    track: int | None = None
    """Which face of the shot it is, if the detector knows."""
    landmarks: Landmarks | None = None
    """Dense points, if the detector has them (match-moved data)."""

    def moved(self, x: float, y: float) -> Detection:
        """The same face in a picture that begins `x` pixels further left and `y` further up."""
        shift = np.array([x, y])
        x0, y0, x1, y1 = self.box
        landmarks = self.landmarks
        if landmarks is not None:
            place = np.zeros(landmarks.points.shape[1])
            place[:2] = shift
            landmarks = Landmarks(landmarks.points + place, landmarks.scheme)
        return replace(
            self,
            box=(x0 + x, y0 + y, x1 + x, y1 + y),
            five=None if self.five is None else self.five + shift,
            landmarks=landmarks,
        )

    def scaled(self, x: float, y: float) -> Detection:
        """The same face in a picture `x` times as wide and `y` times as high."""
        factor = np.array([x, y])
        x0, y0, x1, y1 = self.box
        landmarks = self.landmarks
        if landmarks is not None:
            depth = factor if landmarks.points.shape[1] == 2 else np.array([x, y, (x + y) / 2])
            landmarks = Landmarks(landmarks.points * depth, landmarks.scheme)
        return replace(
            self,
            box=(x0 * x, y0 * y, x1 * x, y1 * y),
            five=None if self.five is None else self.five * factor,
            landmarks=landmarks,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One person's face in one frame; filled in as it passes the stages."""

    detection: Detection
    """Where the detector saw it, in plate pixels."""
    landmarks: Landmarks | None = None
    """Plate pixels."""
    plate_to_crop: Affine | None = None
    """Similarity from plate to crop pixels."""
    crop_size: int = 0
    """Side of the crop in pixels."""
    identity: str | None = None
    """Who is put in; None leaves the face as it is."""
    crop: Tensor | None = None
    """`(3, S, S)` float32 R'G'B' of the plate in the face space, nominally 0..1, never clipped."""
    swapped: Tensor | None = None
    """`(3, S, S)` float32, as `crop`, with the other face."""
    matte: Tensor | None = None
    """`(1, S, S)` float32 0..1, what is replaced."""
    unmatched: Tensor | None = None
    """`swapped` before its colours were matched; kept only where a layer of it is asked for."""
    pasted: tuple[Tensor, ...] = ()
    """The mattes `(1, S, S)` under which blends put it into the picture, in their order."""
    notes: tuple[str, ...] = ()
    """Why this face is less than perfect, for the report."""
    crop_spec: CropSpec | None = None
    """How the similarity follows from the landmarks; None where neither the aligner nor a swapper has asked for it."""

    def __repr__(self) -> str:
        parts = [f"score {self.detection.score:.2f}"]
        parts += [f"identity {self.identity}"] if self.identity else []
        parts += [
            f"{name} {tuple(t.shape)}"
            for name in ("crop", "swapped", "matte")
            if (t := getattr(self, name)) is not None
        ]
        return f"Face({', '.join(parts)})"

    @property
    def size_px(self) -> float:
        """Side of the crop in plate pixels, 0 before alignment; larger is nearer to the camera."""
        return 0.0 if self.plate_to_crop is None else self.crop_size / scale_of(self.plate_to_crop)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One extra picture of a frame, as far as it is not empty."""

    box: Box
    """Its pixels of the stored picture; everywhere else all channels are 0."""
    samples: NDArray[np.float32]
    """`(C, h, w)` of the box."""

    def plane(self, channel: int, width: int, height: int) -> NDArray[np.float32]:
        """`(height, width)` one channel of the whole picture."""
        plane = np.zeros((height, width), np.float32)
        plane[self.box.y0 : self.box.y1, self.box.x0 : self.box.x1] = self.samples[channel]
        return plane


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame of a shot."""

    number: int
    """The shot's own frame number."""
    plate: Picture
    """The original; never written to."""
    pts: int | None = None
    """Presentation time in `time_base` units, where the plate has one."""
    time_base: Fraction | None = None
    """Seconds of one unit of `pts`."""
    result: Picture | None = None
    """The picture with what the blend stages put in; None while it equals the plate."""
    faces: tuple[Face, ...] = ()
    """The faces seen, in the detector's order."""
    cut_before: bool = False
    """Whether a new shot starts with this frame; no temporal window reaches over it."""
    layers: Mapping[str, Layer] = field(default_factory=lambda: _NO_LAYERS)
    """Extra pictures for the delivery, by their names (`vfxswap.layers`); all that are asked for, or none yet."""
    props: Mapping[str, object] = field(default_factory=lambda: _NO_PROPS)
    """What plugins want to pass on, under names of their own (`"studio.key"`)."""
    notes: tuple[str, ...] = ()
    """Why this frame is less than perfect, for the report."""

    @property
    def picture(self) -> Picture:
        """What would be written now."""
        return self.plate if self.result is None else self.result

    def with_faces(self, faces: Sequence[Face]) -> Frame:
        """A copy with other faces."""
        return replace(self, faces=tuple(faces))

    def noted(self, *notes: str) -> Frame:
        """A copy with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def __repr__(self) -> str:
        return f"Frame({self.number}, {self.picture!r}, pts {self.pts}, {len(self.faces)} faces)"


class Span(NamedTuple):
    """How many neighbouring frames a stage wants to see."""

    behind: int = 0
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """Neighbouring frames of one shot, oldest first; shorter at the shot's ends and at cuts."""

    frames: tuple[Frame, ...]
    center: int
    """Index of the frame to be worked on."""

    @property
    def frame(self) -> Frame:
        """The frame to be worked on."""
        return self.frames[self.center]


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """One frame of the plate as trackers see it."""

    number: int
    """The frame's number."""
    cut_before: bool
    """Whether a new shot starts with it."""
    detections: tuple[Detection, ...]
    """The detector's faces, in plate pixels."""
    picture: Tensor | None = None
    """`(3, h, w)` float32 R'G'B' 0..1, the whole upright picture in the size that the tracker asked for."""


class Tracked(NamedTuple):
    """A face of a frame as a tracker gives it."""

    detection: Detection
    """In plate pixels, with `track`."""
    notes: tuple[str, ...] = ()
    """Why it is less than a detection, for the report."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive frames that are worked on together, aligned to absolute frame numbers."""

    frames: tuple[Frame, ...]

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The frame numbers."""
        return tuple(frame.number for frame in self.frames)


@dataclass(frozen=True, slots=True)
class FaceBatch:
    """Faces of one or several frames, stacked for a stage; N faces, S the crop's side.

    Crops are float32 R'G'B' in the face space, nominally 0..1 and never clipped, on the stage's device.
    """

    crops: Tensor
    """`(N, 3, S, S)` the plate."""
    landmarks: tuple[Landmarks, ...]
    """N sets of points, in crop pixels."""
    plate_to_crop: tuple[Affine, ...]
    """N similarities."""
    frames: tuple[int, ...]
    """N frame numbers (a frame with two faces is here twice)."""
    swapped: Tensor | None = None
    """`(N, 3, S, S)`, once swapped."""
    mattes: Tensor | None = None
    """`(N, 1, S, S)` 0..1, once there is one."""
    cut: Callable[[Sequence[int], Sequence[Affine], int], Tensor] | None = None
    """A `vfxswap.stage.Cutter` for these N faces, given to mattes: a network that was trained on another crop than this
    one is shown the plate itself. None where there are no plates to cut from."""

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, slots=True)
class PastedFace:
    """One face that is in the picture, at the plate's own resolution: the part of the plates that holds its matte."""

    result: Tensor
    """`(1, 3, H, W)` float32 R'G'B' in the face space: the plate with the face."""
    matte: Tensor
    """`(1, 1, H, W)` 0..1."""
    plates: Tensor
    """`(T, 3, H, W)` the same part of the plates around, oldest first; T frames, fewer at a cut or the shot's ends."""
    frames: tuple[int, ...]
    """The T frame numbers, ascending."""
    center: int
    """Index of the frame that is worked on."""
    place: int
    """Which of the frame's faces it is."""


@dataclass(frozen=True, slots=True)
class FaceWindow:
    """One face over the neighbouring frames, oldest first; T frames, fewer at a cut or the shot's ends.

    All crops follow the face (each frame's own similarity), so what is left of the motion is the face's own.
    """

    swapped: Tensor
    """`(T, 3, S, S)`."""
    plate: Tensor
    """`(T, 3, S, S)`, the plate's crops."""
    mattes: Tensor
    """`(T, 1, S, S)` 0..1."""
    frames: tuple[int, ...]
    """The T frame numbers, ascending."""
    center: int
    """Index of the frame to be steadied."""
