"""Whether a stage, or a whole pipeline, gives chunks the bits of the whole: what a farm relies on.

The shot is drawn, with a cut in it, and goes the host's own way: windows, handles, surveys, batches, cuts. Around a
stage stand the simplest ones of the other kinds, which are here, so that no other plugin is needed.
"""

# ruff: noqa: S101 - asserts are what a contract suite is made of

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from vfxswap.clock import FrameRange
from vfxswap.color import ColorTags
from vfxswap.files import FramePattern, whole
from vfxswap.frame import Detection, FaceBatch, Frame, Picture, Plane
from vfxswap.geometry import Landmarks
from vfxswap.host import Host
from vfxswap.identity import Identity
from vfxswap.layers import LayerOrder
from vfxswap.media import DeliveryOptions, PlateInfo, Reader, Writer
from vfxswap.models import ModelStore
from vfxswap.ops import warp
from vfxswap.pipeline import Pipeline, PlannedStage, load
from vfxswap.pipeline.colour import ColorNames
from vfxswap.pipeline.frames import Edit
from vfxswap.pipeline.key import with_keys
from vfxswap.pipeline.tables import FaceRule, Shot
from vfxswap.render import render
from vfxswap.stage import (
    Aligner,
    AlignerOptions,
    Asset,
    Blend,
    Cutter,
    Detector,
    Stage,
    StageOptions,
    Swapped,
    Swapper,
    SwapperOptions,
)
from vfxswap.testing.material import setting, soft_matte, synthetic_identity, synthetic_plate
from vfxswap.testing.pictures import synthetic_frame, synthetic_info

FIRST, CUT, LAST = 1001, 1010, 1016
"""First frame of the drawn shot; the one with which another shot begins; its last."""
_WIDTH, _HEIGHT = 160, 160
_CHUNKS = ("1001", "1009", "1010", "1003-1009", "1010-1016")
"""Parts of the drawn shot that end at its ends, at the cut, and in the middle of batches."""

Stages = Sequence[tuple[type[Stage[Any]], StageOptions]]
"""Classes of stages and their settings, in order."""


class _DrawnShot(Reader):
    """The drawn shot; after the cut it is in other colours."""

    name = "drawn"

    @classmethod
    def can_read(cls, path: Path) -> bool:
        """See `Reader`."""
        return path.suffix == ".drawn"

    def __init__(self, path: Path) -> None:
        self._info = synthetic_info(path, first=FIRST, count=LAST - FIRST + 1, width=_WIDTH, height=_HEIGHT)

    @property
    def info(self) -> PlateInfo:
        """See `Reader`."""
        return self._info

    def frames(self, first: int, last: int) -> Iterator[Frame]:
        """See `Reader`."""
        for number in range(first, last + 1):
            frame = synthetic_frame(number, width=_WIDTH, height=_HEIGHT)
            if number >= CUT:
                luma, blue, red = frame.plate.planes
                planes = [251 - luma, red, blue]
                frame = replace(frame, plate=Picture(planes, frame.plate.layout, frame.plate.tags))
            yield frame

    def close(self) -> None:
        """See `Reader`."""


class _Kept(Writer):
    """Keeps the planes of each frame in a file."""

    name = "kept"
    Options: ClassVar[type[DeliveryOptions]] = DeliveryOptions

    @classmethod
    def can_write(cls, path: Path) -> bool:
        """See `Writer`."""
        return path.suffix == ".npz"

    @classmethod
    def problems(cls, path: Path, options: DeliveryOptions, like: PlateInfo, tags: ColorTags) -> Sequence[str]:  # noqa: ARG003
        """See `Writer`."""
        return ()

    def __init__(
        self, path: Path, options: DeliveryOptions, *, like: PlateInfo, tags: ColorTags, first: int, last: int
    ) -> None:
        self._pattern, self._written = FramePattern(path), list[Path]()
        self._about = options, like, tags, first, last

    def write(self, frame: Frame) -> None:
        """See `Writer`."""
        path = self._pattern.path(frame.number)
        with whole(path) as temporary, temporary.open("wb") as file:
            np.savez(file, *frame.picture.planes, allow_pickle=False)
        self._written.append(path)

    def finish(self) -> tuple[Path, ...]:
        """See `Writer`."""
        return tuple(self._written)

    def keep_partial(self) -> tuple[Path, ...]:
        """See `Writer`."""
        return tuple(self._written)

    def abandon(self) -> None:
        """See `Writer`."""


class _DrawnFaces(Detector[StageOptions]):
    """Knows where the drawn face is."""

    def detect(self, images: Tensor | None, frames: Sequence[int]) -> list[list[Detection]]:  # noqa: ARG002
        """See `Detector`."""
        return [[_face(number)] for number in frames]


def _face(number: int) -> Detection:
    plate = synthetic_plate(number, width=_WIDTH, height=_HEIGHT)
    return replace(plate.detection, landmarks=plate.landmarks)


class _DrawnPoints(Aligner[AlignerOptions]):
    """Takes what the detector says."""

    Options = AlignerOptions

    def align(self, detections: Sequence[Detection], cut: Cutter) -> list[Landmarks | None]:  # noqa: ARG002
        """See `Aligner`."""
        return [_points(detection) for detection in detections]


def _points(detection: Detection) -> Landmarks | None:
    if detection.landmarks is None and detection.five is not None:
        return Landmarks(detection.five, "five")
    return detection.landmarks


class _DrawnPerson(Swapper[SwapperOptions]):
    """Draws somebody else, a little brighter in one frame than in the next, so that there is something to steady."""

    Options = SwapperOptions

    def swap(self, faces: FaceBatch, identity: Identity) -> Swapped:  # noqa: ARG002
        """See `Swapper`."""
        size = faces.crops.shape[-1]
        drawn = []
        for number, matrix in zip(faces.frames, faces.plate_to_crop, strict=True):
            image = synthetic_plate(number, person=2, width=_WIDTH, height=_HEIGHT).image.to(faces.crops.device)
            drawn.append(warp.cut(image, origin=(0, 0), plate_to_crop=matrix, size_px=size) * (1 + 0.04 * (number % 3)))
        mattes = [_matte(points, size).to(faces.crops.device) for points in faces.landmarks]
        return Swapped(torch.stack(drawn), torch.stack(mattes))


def _matte(points: Landmarks, size: int) -> Tensor:
    """An oval; of five points, all of the crop but its rim."""
    if points.scheme == "five":
        return torch.nn.functional.pad(torch.ones(1, size - 8, size - 8), (4, 4, 4, 4))
    return soft_matte(points, size)


class _Join(Blend[StageOptions]):
    """A plain mix."""

    def blend(self, patch: Tensor, plate: Tensor, matte: Tensor) -> Tensor:
        """See `Blend`."""
        return plate + (patch - plate) * matte


_LINE: tuple[tuple[type[Stage[Any]], StageOptions], ...] = (
    (_DrawnFaces, StageOptions()),
    (_DrawnPoints, AlignerOptions.model_validate({"crop_size": 96})),
    (_DrawnPerson, SwapperOptions(identity="hero")),
    (_Join, StageOptions()),
)
"""The simplest line, from a plate to a picture with another face."""


def assert_chunks_have_the_bits_of_the_whole(
    stage: type[Stage[Any]],
    options: StageOptions,
    *,
    folder: Path,
    identities: Mapping[str, Identity] | None = None,
    models: ModelStore | None = None,
    device: str = "cpu",
) -> None:
    """Asserts that a stage makes of a drawn shot the same bits whole and in chunks.

    It takes the place of the simple stage of its kind, or stands where it has what it needs.

    Args:
        stage: Its class.
        options: Its settings.
        folder: An empty folder.
        identities: Who may be put in; `hero` is. By default a drawn person.
        models: Where it finds its weights.
        device: Where tensors are.
    """
    people = {"hero": synthetic_identity()} if identities is None else dict(identities)
    plan = _drawn_plan(_among_others(stage, options), folder, people, models, device)
    _assert_same(plan, folder, _CHUNKS, Host())


def assert_pipeline_has_the_same_bits_in_chunks(
    pipeline: Path,
    *,
    folder: Path,
    frames: str | None = None,
    sizes: Sequence[int] = (1, 7, 16),
    overrides: Sequence[str] = (),
    device: str = "cpu",
    host: Host | None = None,
) -> None:
    """Asserts that a pipeline file makes of its own plate the same bits whole and in chunks; pictures, without layers.

    Args:
        pipeline: The TOML file; its delivery is not written.
        folder: An empty folder.
        frames: Those to render; all if not said. Some around a cut tell most.
        sizes: Frames of a chunk.
        overrides: Settings to change, as `"stages.mkl.strength=0.5"`.
        device: Where to compute.
        host: The plugins; by default all that this machine has.
    """
    host = Host() if host is None else host
    store = ModelStore.from_environment(host.model_cards())
    plan = load(pipeline, host, store=store, overrides=overrides, frames=frames, device=device)
    plan = replace(plan, writer=_Kept, writer_options=DeliveryOptions(), layers=LayerOrder(), delivery_timeline=None)
    chunks = [
        str(FrameRange.of(plan.frames[place : place + size]))
        for size in sizes
        for place in range(0, len(plan.frames), size)
    ]
    _assert_same(plan, folder, chunks, host)


def _assert_same(plan: Pipeline, folder: Path, chunks: Sequence[str], host: Host) -> None:
    whole_bits = _rendered(plan, folder / "whole", host)
    for chunk in chunks:
        numbers = FrameRange.parse(chunk)
        part = replace(plan, frames=FrameRange.of(number for number in plan.frames if number in numbers))
        for number, planes in _rendered(part, folder / chunk, host).items():
            for place, (one, other) in enumerate(zip(planes, whole_bits[number], strict=True)):
                count = int((_words(one) != _words(other)).sum())
                assert count == 0, (
                    f"frame {number}: {count} samples of plane {place} differ between the chunk {chunk} and the whole;"
                    " a stage keeps something between frames, reads frames beyond its window, or draws at random"
                )


def _words(plane: Plane) -> Any:
    return plane.view(f"u{plane.itemsize}")


def _rendered(plan: Pipeline, folder: Path, host: Host) -> dict[int, list[Plane]]:
    """The planes of each frame."""
    report = render(replace(plan, delivery_path=folder / "frame.%04d.npz"), host)
    found: dict[int, list[Plane]] = {}
    for number, path in zip(plan.frames, report.outputs, strict=True):
        with np.load(path, allow_pickle=False) as stored:
            found[number] = [stored[name] for name in stored.files]
    return found


def _among_others(stage: type[Stage[Any]], options: StageOptions) -> list[tuple[type[Stage[Any]], StageOptions]]:
    """The simplest line with a stage in it: instead of that of its kind, else where it has what it needs.

    What gives faces or landmarks stands before they are used, anything else late: mattes after the swapper, as artists
    have them, finishes after the blend.
    """
    line = list(_LINE)
    for place, (cls, _) in enumerate(line):
        if issubclass(stage, cls.__mro__[1]):
            line[place] = (stage, options)
            return line
    given, places = set[Asset](), list[int]()
    for place, (cls, _) in enumerate(line):
        places += [place] if stage.needs <= given else []
        given |= cls.gives
    is_early = bool(stage.gives & {"faces", "landmarks", "crops"})
    place = len(line) if not places else places[0] if is_early else places[-1]
    return [*line[:place], (stage, options), *line[place:]]


def _drawn_plan(
    stages: Stages, folder: Path, identities: dict[str, Identity], models: ModelStore | None, device: str
) -> Pipeline:
    """A pipeline of some stages over the drawn shot."""
    plate, frames = folder / "shot.drawn", FrameRange.of(range(FIRST, LAST + 1))
    info = _DrawnShot(plate).info
    plan = Pipeline(
        path=folder / "drawn.toml",
        name="drawn",
        text="",
        sha256="",
        overrides=(),
        shot=Shot(plate=plate),
        plate_path=plate,
        plate=info,
        colors=ColorNames(),
        face=None,
        tags=info.tags,
        frames=frames,
        edit=Edit(frames, frames),
        reader=_DrawnShot,
        writer=_Kept,
        delivery_path=folder / "frame.%04d.npz",
        writer_options=DeliveryOptions(),
        layers=LayerOrder(),
        identities=identities,
        casting={name: FaceRule() for name in identities if name == "hero"},
        stages=tuple(
            PlannedStage(place, cls.__name__, cls, options, "the test", tuple(cls.models(options)))
            for place, (cls, options) in enumerate(stages)
        ),
        device=device,
        store=setting().models if models is None else models,
        key="",
    )
    return with_keys(plan)
