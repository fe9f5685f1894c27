"""Stages: one step each, with strict settings, a declared window, and one method in the field's own terms.

The host cuts crops, batches faces over frames, keeps windows, combines mattes and pastes back; a stage computes. A
stage gets immutable input, keeps no state between frames (what it needs of its neighbours it declares as a window), and
gives the same output for the same input on the same kind of device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from vfxswap.alignment import CropSpec
from vfxswap.frame import (
    Batch,
    Detection,
    Face,
    FaceBatch,
    FaceWindow,
    Frame,
    PastedFace,
    Sighting,
    Span,
    Tracked,
    Window,
)
from vfxswap.geometry import Affine, Landmarks, Points
from vfxswap.options import (
    AlignerOptions,
    ColorMatchOptions,
    InputPath,
    MatteOptions,
    PipelinePath,
    StageOptions,
    SwapperOptions,
)
from vfxswap.setting import Setting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from vfxswap.brief import Brief
    from vfxswap.errors import Problem
    from vfxswap.identity import Identity
    from vfxswap.modelfile import ModelFile

Asset = Literal["faces", "landmarks", "crops", "swapped", "matte", "result"]
"""What stages hand on: detected faces; their points; crops; swapped crops; mattes; the pasted picture."""
OptionsT = TypeVar("OptionsT", bound=StageOptions)


class Stage(ABC, Generic[OptionsT]):
    """Base of every stage.

    A subclass of one of the kinds below overrides `Options` and that kind's one method; a plain `Stage` overrides
    `process`. Weights are loaded in `open`, not in the constructor.
    """

    Options: ClassVar[type[StageOptions]] = StageOptions
    """Its settings in the pipeline file."""
    needs: ClassVar[frozenset[Asset]] = frozenset()
    """What must have been given by an earlier stage."""
    gives: ClassVar[frozenset[Asset]] = frozenset()
    """What later stages may need."""
    threads: ClassVar[Literal["many", "one"]] = "many"
    """Whether its method may run on several batches at once; `one` makes the host take turns."""

    def __init__(self, options: OptionsT, setting: Setting) -> None:
        self.options, self.setting = options, setting

    @classmethod
    def models(cls, options: OptionsT) -> Sequence[str]:  # noqa: ARG003 - a plugin may choose by its options
        """Names of the models it will load, so that a missing one is found before the first frame."""
        return ()

    @classmethod
    def problems(cls, options: OptionsT, brief: Brief) -> Sequence[Problem]:  # noqa: ARG003
        """What cannot work though the settings are right, such as weights of another kind; reads no more than headers.

        The host names the file and the stage in a problem that does not.
        """
        return ()

    @classmethod
    def model_files(cls, options: OptionsT, brief: Brief) -> Sequence[ModelFile]:  # noqa: ARG003
        """The model files that it will load and that have no card in the store, such as an identity's weights.

        The report and the run's key are told of them. A swapper's identity is among those of the brief.

        Raises:
            VfxswapError: One is missing, or is not what this stage can load, by its header.
        """
        return ()

    @property
    def window(self) -> Span:
        """Frames it wants to see around each frame; fixed by its options."""
        return Span()

    def survey_frames(self, first: int, last: int) -> Sequence[int]:  # noqa: ARG002
        """Frames of the plate that it wants to see before the run starts, as they come from the stages before it.

        For what is decided once a shot; by the plate's range alone, so that all chunks decide alike.
        """
        return ()

    def survey(self, frames: Sequence[Frame]) -> None:
        """Is given the surveyed frames, in order, once, after `open` and before the first batch."""

    def open(self) -> None:
        """Loads weights. Called once, before `survey`."""

    def close(self) -> None:
        """Gives back what `open` took."""

    def process(self, window: Window) -> Frame:  # noqa: ARG002 - the kinds below have methods of their own
        """Works on one frame, seeing its neighbours; returns the changed copy of `window.frame`."""
        raise TypeError(f"{type(self).__name__} must override the method of its kind, or process(window)")


class Detector(Stage[OptionsT]):
    """Finds faces."""

    gives = frozenset({"faces"})

    def image_size(self) -> tuple[int, int] | None:
        """`(width, height)` in which it wants the whole picture, fixed for a shot; None if it looks at no pixels."""
        return None

    @abstractmethod
    def detect(self, images: Tensor | None, frames: Sequence[int]) -> Sequence[Sequence[Detection]]:
        """Finds the faces of N pictures.

        Args:
            images: `(N, 3, H, W)` float32 R'G'B' 0..1 of `image_size`, or None where that is None.
            frames: The N frame numbers.

        Returns:
            N lists, best or first-in-order first, in pixels of `images` (of the plate where there are none).
        """


class Tracker(Stage[OptionsT]):
    """Says which detections of a shot are the same face, and fills the gaps between them.

    Between detector and aligner, it sees the plate once before the run; its faces of all frames replace the detector's.
    """

    needs = frozenset({"faces"})
    gives = frozenset({"faces"})

    def image_size(self) -> tuple[int, int] | None:
        """`(width, height)` in which it wants the whole picture, fixed for a shot; None if it looks at no pixels."""
        return None

    @abstractmethod
    def follow(self, sightings: Iterator[Sighting]) -> Mapping[int, Sequence[Tracked]]:
        """Follows all faces through the plate.

        Args:
            sightings: All frames of the plate, ascending; they can be gone through once, and no more than a few dozen
                pictures should be kept at a time. Numbers leap at the holes of a sequence.

        Returns:
            The faces of each of these frames by its number, all with `track`, no two of a frame with the same one. They
            depend on the sightings alone. A face that was not detected has a note that says so.
        """

    def likeness(self, picture: Tensor, five: Points) -> NDArray[np.float32] | None:  # noqa: ARG002
        """`(D,)` of unit length, the nearer to another's the likelier one person, if it can tell people apart.

        Of a face with `five` points `(5, 2)` in a picture `(3, h, w)` float32 R'G'B' 0..1.
        """
        return None


class Cutter(ABC):
    """Cuts square pieces out of the plates that faces belong to."""

    @abstractmethod
    def __call__(self, index: Sequence[int], plate_to_crop: Sequence[Affine], size_px: int) -> Tensor:
        """Cuts a piece for each of M faces.

        Args:
            index: M places in the list of faces that the stage was given.
            plate_to_crop: M similarities.
            size_px: Side of the pieces.

        Returns:
            `(M, 3, size, size)` float32 R'G'B' 0..1 in the face space; past the plate's edge its last pixels repeat.
        """


class Aligner(Stage[OptionsT]):
    """Finds a face's landmarks; the host makes the similarity of its crop from them, by least squares.

    Its `Options` derive from `AlignerOptions`.
    """

    needs = frozenset({"faces"})
    gives = frozenset({"landmarks", "crops"})

    @abstractmethod
    def align(self, detections: Sequence[Detection], cut: Cutter) -> Sequence[Landmarks | None]:
        """Finds the landmarks of M faces.

        Args:
            detections: The faces, in plate pixels; may come from several frames.
            cut: Gives the pixels around a face.

        Returns:
            M sets of points in plate pixels; None where there turns out to be no face.
        """


class Swapped(NamedTuple):
    """What a swapper makes of N crops."""

    crops: Tensor
    """`(N, 3, S, S)` float32 with the other face."""
    mattes: Tensor
    """`(N, 1, S, S)` float32 0..1, where it has something to show."""


class Swapper(Stage[OptionsT]):
    """Makes another face of a crop.

    Its `Options` derive from `SwapperOptions`.
    """

    needs = frozenset({"landmarks", "crops"})
    gives = frozenset({"swapped", "matte"})
    light_beyond: ClassVar[Literal["own", "plate", "larger"]] = "own"
    """Where the light beyond 0..1 comes from, so that a highlight of an open plate does not end at white: from its
    result; for one that knows 0..1 alone, from the plate: what the crop has beyond is added to the result; or, for one
    whose pictures may have some of their own, from whichever has more above 1."""

    @property
    def crop(self) -> CropSpec | None:
        """The crop that it must be given; None takes the aligner's."""
        return None

    @classmethod
    def wants_stills(cls) -> bool:
        """Whether the identity's stills must be detected and aligned by the pipeline's own stages before the run."""
        return False

    @abstractmethod
    def swap(self, faces: FaceBatch, identity: Identity) -> Swapped:
        """Swaps N faces that are to become `identity`."""


class Matte(Stage[OptionsT]):
    """Says what is replaced.

    Its `Options` derive from `MatteOptions`.
    """

    needs = frozenset({"crops"})
    gives = frozenset({"matte"})

    @abstractmethod
    def matte(self, faces: FaceBatch) -> Tensor:
        """Gives `(N, 1, S, S)` float32 0..1."""


ColorMap = Callable[["Tensor"], "Tensor"]
"""Maps colours: `(N, 3, H, W)` or `(3, H, W)` float32 to the same shape."""


class ColorMatch(Stage[OptionsT]):
    """Brings a swapped face to the plate's colours.

    Its `Options` derive from `ColorMatchOptions`; the host does `strength`, `lock` and `openings`.
    """

    needs = frozenset({"swapped", "matte"})
    gives = frozenset({"swapped"})

    @abstractmethod
    def fit(self, swapped: Tensor, plate: Tensor, matte: Tensor) -> ColorMap:
        """Finds one map of colours for faces that belong together.

        Args:
            swapped: `(N, 3, H, W)` float32, the face that is put in.
            plate: `(N, 3, H, W)` float32, what was there.
            matte: `(N, 1, H, W)` float32 0..1, where colours count.

        Returns:
            The map that brings the colours of `swapped` to those of `plate`.
        """


class Deflicker(Stage[OptionsT]):
    """Steadies a swapped face over time."""

    needs = frozenset({"swapped", "matte"})
    gives = frozenset({"swapped"})

    @abstractmethod
    def steady(self, window: FaceWindow) -> Tensor:
        """Gives `(3, S, S)` float32: the window's central face, steadied."""


class Blend(Stage[OptionsT]):
    """Joins a face and the plate, at the plate's own resolution, inside the matte's box."""

    needs = frozenset({"swapped", "matte"})
    gives = frozenset({"result"})
    pointwise: ClassVar[bool] = False
    """Whether each pixel of its result depends on that pixel alone; the host then gives it a face in parts."""

    @abstractmethod
    def blend(self, patch: Tensor, plate: Tensor, matte: Tensor) -> Tensor:
        """Joins them.

        Args:
            patch: `(1, 3, H, W)` float32, the swapped face.
            plate: `(1, 3, H, W)` float32.
            matte: `(1, 1, H, W)` float32 0..1.

        Returns:
            `(1, 3, H, W)`. What it holds where the matte is 0 is not used: the host leaves those pixels alone.
        """


class Finish(Stage[OptionsT]):
    """Gives a face that is in the picture what the plate's film and lens did to it: grain, sharpness.

    At the plate's own resolution, after the blend, inside the matte's box.
    """

    needs = frozenset({"result", "matte"})
    gives = frozenset({"result"})

    @abstractmethod
    def finish(self, face: PastedFace) -> Tensor:
        """Finishes one face.

        Returns:
            `(1, 3, H, W)`. What it holds where the matte is 0 is not used: the host leaves those pixels alone.
        """


KINDS: dict[str, type[Stage[Any]]] = {
    "detector": Detector,
    "tracker": Tracker,
    "aligner": Aligner,
    "swapper": Swapper,
    "matte": Matte,
    "color": ColorMatch,
    "blend": Blend,
    "deflicker": Deflicker,
    "finish": Finish,
    "stage": Stage,
}
"""The class that a stage of each kind derives from."""

__all__ = [
    "KINDS",
    "Aligner",
    "AlignerOptions",
    "Asset",
    "Batch",
    "Blend",
    "ColorMap",
    "ColorMatch",
    "ColorMatchOptions",
    "CropSpec",
    "Cutter",
    "Deflicker",
    "Detection",
    "Detector",
    "Face",
    "FaceBatch",
    "FaceWindow",
    "Finish",
    "Frame",
    "InputPath",
    "Landmarks",
    "Matte",
    "MatteOptions",
    "OptionsT",
    "PastedFace",
    "PipelinePath",
    "Setting",
    "Sighting",
    "Span",
    "Stage",
    "StageOptions",
    "Swapped",
    "Swapper",
    "SwapperOptions",
    "Tracked",
    "Tracker",
    "Window",
]
