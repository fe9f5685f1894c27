"""What colour costs: its share of a frame of film, and a crop there and back against OpenColorIO on the CPU."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import vfxswap
from benchmarks.material import CACHE, Material
from benchmarks.measure import Table, cpu, cpu_ratio, in_turn
from vfxswap.color import SPACES, ColorTags, Matrix, PixelLayout, Range
from vfxswap.files import FramePattern
from vfxswap.frame import Frame, Picture
from vfxswap.host import Host
from vfxswap.lab.deliver import deliver
from vfxswap.lab.shot import PRESETS
from vfxswap.media import PlateInfo
from vfxswap.ocio import PINNED, Transform, config_of, face_space_of, transform
from vfxswap.ops.facespace import Space, space_of
from vfxswap.pipeline.colour import ColorNames
from vfxswap.trackfile import read_tracks, write_tracks
from vfxswap.workers import worker_pool

MOST = 0.05
"""Of a frame's time."""
_SIZE, _LAB = (2048, 1156), (512, 289)
_FRAMES = 4
_CROP = 512
_SPACES = {
    "ACEScg": "a matrix and a curve",
    "ARRI LogC4": "a camera's log",
    "Apple Log": "a table of 65,536",
    "Rec.2100-HLG - Display": "a table and an OOTF",
}
_LAYOUT = PixelLayout("rgba half", "rgb", 16, is_float=True, has_alpha=True)
_TAGS = ColorTags(SPACES["ACEScg"].primaries, SPACES["ACEScg"].transfer, Matrix.RGB, Range.FULL)
_PIPELINE = """\
[shot]
plate = "plate.%04d.exr"
production = "lab"
purpose = "test"

[identities.hero]
path = "identity"

[[stages]]
use = "tracks"
path = "tracks.json"

[[stages]]
use = "points5"
crop_size = {crop}

[[stages]]
use = "portrait"
identity = "hero"

[[stages]]
use = "hull"

[[stages]]
use = "mkl"

[[stages]]
use = "pyramid"

[delivery]
path = "out/out.%04d.exr"
"""


def converted(found: Material, rounds: int) -> Table:  # noqa: ARG001 - pictures of its own
    """Times a run, and crops."""
    spent, frame = _run(_plate(CACHE / "color_2K"))
    share = spent / frame
    rows = [
        ["a frame, all steps", f"{1000 * frame:.0f}", ""],
        ["of it, colour to the face space and back", f"{1000 * spent:.1f}", f"{100 * share:.1f} % of the frame"],
    ]
    with worker_pool(1) as pool:
        rows += pool.submit(_crops, rounds).result()
    return Table(
        "Colour",
        f"{_FRAMES} frames of {_SIZE[0]}x{_SIZE[1]}, half RGBA in ZIP, ACEScg, the lab's picture enlarged, one face of"
        f" {_CROP} px: a still by `portrait`, hull, mkl and pyramid, one thread; processor time of all steps, reading"
        " and writing included, and what of it went to the face space and back. Below, a crop of"
        f" {_CROP}x{_CROP} px there and back by torch and by OpenColorIO without loss, one thread each.",
        ("what", "ms", "against"),
        rows,
        [(f"{100 * share:.1f} % of a frame's time, at most {100 * MOST:.0f} %", share <= MOST)],
    )


def _plate(folder: Path) -> Path:
    """A 2K shot with its tracks and its identity."""
    if len(FramePattern(folder / "plate.%04d.exr").existing()) == _FRAMES and (folder / "tracks.json").is_file():
        return folder
    small = CACHE / "lab_linear"
    if not (small / "tracks.json").is_file():
        frames = range(1001, 1002)
        deliver(PRESETS["talk"], small, width=_LAB[0], height=_LAB[1], frames=frames, layout="exr", still_px=128)
    folder.mkdir(parents=True, exist_ok=True)
    source = small / "plate" / "plate.%04d.exr"
    with Host().reader_for(source)(source) as opened:
        (frame,) = opened.frames(1001, 1001)
    enlarge = partial(cv2.resize, dsize=_SIZE, interpolation=cv2.INTER_CUBIC)
    planes = [enlarge(plane.astype(np.float32)).astype(np.float16) for plane in frame.plate.planes[:3]]
    path = folder / "plate.%04d.exr"
    writer = Host().writer_for(path)
    like = PlateInfo(folder / "drawn", *_SIZE, _LAYOUT, _TAGS, 1, _FRAMES, Fraction(24))
    options = writer.Options.model_validate({"compression": "zip"})
    with writer(path, options, like=like, tags=_TAGS, first=1, last=_FRAMES) as made:
        for number in range(1, _FRAMES + 1):
            made.write(Frame(number, Picture([*planes, np.ones_like(planes[0])], _LAYOUT, _TAGS)))
        made.finish()
    shutil.copytree(small / "identity", folder / "identity", dirs_exist_ok=True)
    (face,) = read_tracks(small / "tracks.json").faces(1001)
    large = face.scaled(_SIZE[0] / _LAB[0], _SIZE[1] / _LAB[1])
    tracks = {number: [large] for number in range(1, _FRAMES + 1)}
    write_tracks(folder / "tracks.json", tracks, width=_SIZE[0], height=_SIZE[1])
    return folder


def _run(folder: Path) -> tuple[float, float]:
    """Processor seconds of colour, and of all, for a frame: what more frames cost more, as a run has to begin too."""
    _spent(folder, 1)  # the first run of a process loads and warms up
    few, many = _spent(folder, 1), _spent(folder, _FRAMES)
    return (many[0] - few[0]) / (_FRAMES - 1), (many[1] - few[1]) / (_FRAMES - 1)


def _spent(folder: Path, frames: int) -> tuple[float, float]:
    with TemporaryDirectory(dir=folder) as inner, _counted() as colour:
        job = folder / "color.toml"
        job.write_text(_PIPELINE.format(crop=_CROP).replace('"out/out', f'"{Path(inner).name}/out'))
        start = time.process_time()
        vfxswap.run(job, device="cpu", workers=1, frames=f"1-{frames}")
        return sum(colour), time.process_time() - start


@contextmanager
def _counted() -> Iterator[list[float]]:
    """Collects the processor seconds that spaces compute, in any thread."""
    seconds: list[float] = []
    lock = threading.Lock()
    kept = {name: getattr(Space, name) for name in ("to_face", "from_face")}

    def timed(work: Callable[[Space, Tensor], Tensor], space: Space, rgb: Tensor) -> Tensor:
        start = time.thread_time()
        made = work(space, rgb)
        with lock:
            seconds.append(time.thread_time() - start)
        return made

    try:
        for name, work in kept.items():
            setattr(Space, name, lambda self, rgb, work=work: timed(work, self, rgb))
        yield seconds
    finally:
        for name, work in kept.items():
            setattr(Space, name, work)


def _crops(rounds: int) -> list[list[str]]:
    config, rows = config_of(PINNED), []
    rgb = torch.rand(3, _CROP, _CROP, generator=torch.Generator().manual_seed(1))
    pixels = rgb.movedim(0, -1).contiguous().numpy()
    plain = ColorTags(matrix=Matrix.RGB, range=Range.FULL)
    for name, words in _SPACES.items():
        space, face = space_of(ColorNames(PINNED).of_plate(plain, name)), face_space_of(config)
        there, back = (transform(*pair) for pair in ((config.space(name), face), (face, config.space(name))))
        cases: dict[str, Callable[[], object]] = {
            "torch": partial(_by_torch, space, rgb),
            "OpenColorIO": partial(_by_library, there, back, pixels),
        }
        with torch.inference_mode():
            costs = in_turn(cases, rounds=2 * rounds)
        taken = cpu_ratio(costs["torch"], costs["OpenColorIO"])
        rows.append([f"a crop, {name}: {words}", f"{1000 * cpu(costs['torch']):.1f}", f"{taken:.2f} of OpenColorIO"])
    return rows


def _by_torch(space: Space, rgb: Tensor) -> Tensor:
    return space.from_face(space.to_face(rgb))


def _by_library(there: Transform, back: Transform, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    return back.converter(there.converter(pixels, threads=1), threads=1)
