"""Writes a shot to a folder: plate, truth, tracks, mattes, and the identity to put in.

    plate.mkv           what a pipeline is given; or plate/plate.####.exr, scene-linear
    truth.mkv           what a perfect swap of it would be; or truth/truth.####.exr
    tracks.json         exact landmarks (mesh468) of all faces of the plate
    mattes/matte.####.png   16 bits, where plate and truth may differ
    data/data.####.npz      labels, depth, map coordinates, motion, visibility of landmarks; only if asked for
    data/data.####.exr      the same without visibility, beside plates in EXR
    identity/           stills, points and consent record of the performer whose face is put in
    shot.json           the shot, to make the same again

All of them count frames as the plate does: a movie from 1, a sequence by the shot's own numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vfxswap.color import SPACES, ColorTags, PixelLayout, Primaries, Range
from vfxswap.conveyor import parallel
from vfxswap.errors import MediaError
from vfxswap.files import make_folder, whole
from vfxswap.frame import Detection, Frame, Picture
from vfxswap.geometry import Box
from vfxswap.host import Host
from vfxswap.lab import exr
from vfxswap.lab.colour import srgb_encoded
from vfxswap.lab.play import LabFrame, Stage, build
from vfxswap.lab.shot import ShotSpec
from vfxswap.lab.stills import write_identity, write_png
from vfxswap.media import PlateInfo, Writer
from vfxswap.ops.ycbcr import add_rgb_delta
from vfxswap.trackfile import write_tracks
from vfxswap.workers import cores, worker_pool

LayoutName = Literal["yuv420p", "yuv422p10le", "yuv444p10le"]
SequenceName = Literal["exr", "exr-acescg"]
StoredAs = LayoutName | SequenceName

LAYOUTS: dict[LayoutName, PixelLayout] = {
    "yuv420p": PixelLayout("yuv420p", "ycbcr", 8, chroma_log2=(1, 1)),
    "yuv422p10le": PixelLayout("yuv422p10le", "ycbcr", 10, chroma_log2=(1, 0)),
    "yuv444p10le": PixelLayout("yuv444p10le", "ycbcr", 10),
}
"""How a movie may be stored."""
SEQUENCES: dict[SequenceName, Primaries] = {"exr": Primaries.BT709, "exr-acescg": Primaries.AP1}
"""How scene-linear half floats may be stored: with which primaries."""
FORMATS: tuple[StoredAs, ...] = ("yuv420p", "yuv422p10le", "yuv444p10le", "exr", "exr-acescg")
"""How a plate may be stored: as a movie of a layout, or as a sequence of scene-linear pictures."""
TAGS = ColorTags(SPACES["srgb"].primaries, SPACES["srgb"].transfer, SPACES["srgb"].matrix, Range.LIMITED)
"""What the stored numbers mean: BT.709 primaries and matrix, sRGB curve, limited range."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What was written."""

    plate: Path
    """A movie, or the pattern of a sequence."""
    truth: Path
    tracks: Path
    identities: tuple[Path, ...]
    """Folders, one for each face that is put in; the first is `identity`."""
    frames: int


def stored(picture: Tensor, layout: PixelLayout) -> Picture:
    """A scene-linear picture `(3, H, W)` as an sRGB-encoded Y'CbCr picture; light above 1.0 is clipped."""
    height, width = picture.shape[1:]
    unit = 1 << (layout.bits - 8)
    across, down = layout.chroma_log2
    chroma = (-(-height // (1 << down)), -(-width // (1 << across)))
    dtype = np.uint8 if layout.bits == 8 else np.uint16
    planes = [np.full((height, width), 16 * unit, dtype)] + [np.full(chroma, 128 * unit, dtype) for _ in range(2)]
    everywhere = torch.ones(height, width, dtype=torch.bool)
    add_rgb_delta(planes, layout, TAGS, Box(0, 0, width, height), delta=srgb_encoded(picture), touched=everywhere)
    return Picture(planes, layout, TAGS)


def deliver(  # noqa: PLR0913 - each is a choice of its own
    spec: ShotSpec,
    folder: Path,
    *,
    width: int,
    height: int,
    frames: Iterable[int] | None = None,
    layout: StoredAs = "yuv420p",
    plate: str = "plate.mkv",
    data: bool = False,
    still_px: int = 640,
    progress: Callable[[int, int], None] | None = None,
) -> Delivered:
    """Renders a shot and writes it to a folder.

    Args:
        spec: The shot.
        folder: Made if it is not there.
        width: Columns.
        height: Rows.
        frames: Which of the shot's frames, in order; all if not said.
        layout: How plate and truth are stored.
        plate: Name of the plate's movie; the truth is `truth`, or `NAME_truth`, with its suffix. `.mkv` is lossless.
            Sequences are always `plate/plate.####.exr` and `truth/truth.####.exr`.
        data: Whether to write labels, depth, map coordinates and motion too.
        still_px: Side of the identity's stills.
        progress: Is told frames done and frames in all.

    Raises:
        UsageError: A frame lies outside the shot, or the size makes no sense.
        MediaError: Something cannot be written.
        PluginError: No plugin writes such movies.
    """
    chosen = list(range(spec.frames[0], spec.frames[1] + 1) if frames is None else frames)
    stage = build(spec, width=width, height=height)
    for name in ("mattes", "data") if data else ("mattes",):
        make_folder(folder / name)
    tracks: dict[int, Sequence[Detection]] = {}
    with ExitStack() as files:
        pool = files.enter_context(worker_pool(cores()))
        plates, truths = _outputs(files, folder / plate, stage, layout, len(chosen))
        for count, frame in enumerate(parallel(pool, stage.frame, iter(chosen), ahead=cores() + 1), 1):
            place = frame.number if layout in SEQUENCES else count
            plates.write(place, frame.plate)
            truths.write(place, frame.truth)
            tracks[place] = detections(frame)
            write_png(folder / "mattes" / f"matte.{place:04d}.png", frame.matte, bits=16)
            if data:
                _write_data(folder / "data" / f"data.{place:04d}", frame, spec.rate if layout in SEQUENCES else None)
            if progress is not None:
                progress(count, len(chosen))
        plates.finish()
        truths.finish()
    write_tracks(folder / "tracks.json", tracks, width=width, height=height)
    with whole(folder / "shot.json") as temporary:
        temporary.write_text(spec.model_dump_json(indent=1), encoding="utf-8")
    return Delivered(
        plates.path, truths.path, folder / "tracks.json", _write_identities(spec, folder, still_px), len(chosen)
    )


def _outputs(files: ExitStack, plate: Path, stage: Stage, layout: StoredAs, count: int) -> tuple[_Output, _Output]:
    """Where plate and truth go, entered into `files`."""
    rate = stage.spec.rate
    if layout == "exr" or layout == "exr-acescg":  # noqa: PLR1714 - mypy narrows by these
        first, second = (
            exr.Sequence(plate.parent / name, name, rate, SEQUENCES[layout]) for name in ("plate", "truth")
        )
        return files.enter_context(first), files.enter_context(second)
    info = PlateInfo(plate, stage.width, stage.height, LAYOUTS[layout], TAGS, first=1, count=count, rate=rate)
    return files.enter_context(_Movie(plate, info)), files.enter_context(_Movie(_truth_path(plate), info))


def _truth_path(plate: Path) -> Path:
    """`truth.mkv` beside `plate.mkv`, `sh010_truth.mp4` beside `sh010.mp4`."""
    name = "truth" if plate.stem == "plate" else f"{plate.stem}_truth"
    return plate.with_name(f"{name}{plate.suffix}")


def detections(frame: LabFrame) -> list[Detection]:
    """The faces of a plate as a perfect detector would give them."""
    return [Detection(face.box, 1.0, face.mesh.five(), face.track, face.mesh) for face in frame.faces]


class _Movie:
    """A movie that is being written; left by an error, nothing appears under its name."""

    def __init__(self, path: Path, info: PlateInfo) -> None:
        self.path, self._info = path, info
        kind = Host().writer_for(path)
        options = kind.Options()
        if problems := kind.problems(path, options, info, TAGS):
            raise MediaError(f"{path}: {'; '.join(problems)}", path=path)
        self._writer: Writer = kind(path, options, like=info, tags=TAGS, first=1, last=info.count)

    def __enter__(self) -> _Movie:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.abandon()

    def write(self, number: int, picture: Tensor) -> None:
        self._writer.write(Frame(number, stored(picture, self._info.layout)))

    def finish(self) -> None:
        self._writer.finish()


_Output = _Movie | exr.Sequence


def _write_data(path: Path, frame: LabFrame, rate: Fraction | None) -> None:
    """Writes `path`.npz and, if there is a rate, the planes of it as `path`.exr; y and v count downwards."""
    visible = {f"visible{face.track}": face.visible for face in frame.faces}
    labels, depth, uv, motion = (item.numpy() for item in (frame.labels, frame.depth, frame.uv, frame.motion))
    with whole(path.with_name(f"{path.name}.npz")) as temporary:
        np.savez_compressed(
            temporary, allow_pickle=False, labels=labels, depth_cm=depth, uv=uv, motion_px=motion, **visible
        )
    if rate is not None:
        planes = {"Z": depth, "map.u": uv[0], "map.v": uv[1], "motion.x": motion[0], "motion.y": motion[1]}
        planes["label"] = labels.astype(np.float32)
        exr.write_exr(path.with_name(f"{path.name}.exr"), planes, sample="float", rate=rate)


def _write_identities(spec: ShotSpec, folder: Path, still_px: int) -> tuple[Path, ...]:
    """One folder for each different face that is put in."""
    faces = list(dict.fromkeys(role.face for role in spec.roles if role.face is not None))
    folders = [folder / ("identity" if index == 0 else f"identity{index + 1}") for index in range(len(faces))]
    for looks, place in zip(faces, folders, strict=True):
        write_identity(looks, place, size=still_px)
    return tuple(folders)
