"""What it costs to read and write EXR sequences, against OpenImageIO doing the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the name that its own documentation uses
from numpy.typing import NDArray

from benchmarks.material import CACHE, Material
from benchmarks.measure import Table, cpu, cpu_ratio, in_turn, ratio, wall
from vfxswap.color import SPACES, ColorTags, Matrix, PixelLayout, Range
from vfxswap.files import FramePattern
from vfxswap.frame import Frame, Picture
from vfxswap.host import Host
from vfxswap.lab.deliver import deliver
from vfxswap.lab.shot import PRESETS
from vfxswap.media import PlateInfo

MOST = 0.80
"""Of OpenImageIO's time, where every pixel is written anew."""
_SIZE = (2048, 1156)
_FRAMES = 8
_LAB = (512, 289)
"""Size of the lab's picture, which is enlarged: its renderer takes its time."""
_FACE = np.s_[330:830, 760:1260]
"""Part of the picture that a face covers."""
_LAYOUT = PixelLayout("rgba half", "rgb", 16, is_float=True, has_alpha=True)
_TAGS = ColorTags(SPACES["ACEScg"].primaries, SPACES["ACEScg"].transfer, Matrix.RGB, Range.FULL)
_HOW = {
    "every pixel changed": np.s_[:, :],
    "a face of 500 pixels changed": _FACE,
    "nothing changed": np.s_[:0, :0],
}

Planes = list[NDArray[np.float16]]


def sequenced(found: Material, rounds: int) -> Table:  # noqa: ARG001 - pictures of its own
    """Times copies of sequences of half RGBA, ZIP."""
    rows, checks = [], []
    for name, draw in {"drawn": _drawn, "lab": _lab}.items():
        plate = _plate(CACHE / f"exr_{name}_2K", draw)
        out = CACHE / "exr_out"
        out.mkdir(exist_ok=True)
        cases: dict[str, Callable[[], object]] = {"OpenImageIO": partial(_by_library, plate, out / "o.%04d.exr")}
        for how, part in _HOW.items():
            cases[how] = partial(_by_vfxswap, plate, out / "v.%04d.exr", part)
        costs = in_turn(cases, rounds=rounds)
        shutil.rmtree(out)
        base = costs["OpenImageIO"]
        for case, taken in costs.items():
            figures = [f"{1000 * each(taken) / _FRAMES:.0f}" for each in (wall, cpu)]
            figures += [f"{each(taken, base):.2f}" for each in (ratio, cpu_ratio)]
            rows.append([f"{name}: {case}", *figures])
        taken = costs["every pixel changed"]
        share, work = ratio(taken, base), cpu_ratio(taken, base)
        words = f"{name}: {share:.2f} of OpenImageIO's time ({work:.2f} of its processor time), at most {MOST}"
        checks.append((words, share <= MOST))
    return Table(
        "EXR sequences",
        f"{_FRAMES} frames of {_SIZE[0]}x{_SIZE[1]}, half RGBA in ZIP, read and written with all threads that each"
        " takes by itself; one sequence is drawn (waves and grain), the other is the lab's, enlarged, with grain."
        " vfxswap brings each file to the disk and renames it, OpenImageIO does not. Where every pixel was changed, all"
        " is compressed anew, as OpenImageIO does; else those blocks of lines alone that hold a change.",
        ("case", "ms a frame", "processor ms", "of OpenImageIO", "processor of it"),
        rows,
        checks,
    )


def _plate(folder: Path, draw: Callable[[], Callable[[int], Planes]]) -> Path:
    """A sequence that is drawn once, with grain of its own in each frame."""
    path = folder / "plate.%04d.exr"
    if len(FramePattern(path).existing()) == _FRAMES:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    width, height = _SIZE
    rng, drawn, writer = np.random.default_rng(1), draw(), Host().writer_for(path)
    like = PlateInfo(folder / "drawn", width, height, _LAYOUT, _TAGS, 1, _FRAMES, Fraction(24))
    options = writer.Options.model_validate({"compression": "zip"})
    with writer(path, options, like=like, tags=_TAGS, first=1, last=_FRAMES) as made:
        for number in range(1, _FRAMES + 1):
            planes = [
                (plane + 0.002 * rng.standard_normal((height, width))).astype(np.float16) for plane in drawn(number)
            ]
            made.write(Frame(number, Picture([*planes, np.ones_like(planes[0])], _LAYOUT, _TAGS)))
        made.finish()
    return path


def _drawn() -> Callable[[int], Planes]:
    """Waves that move."""
    y, x = np.mgrid[: _SIZE[1], : _SIZE[0]].astype(np.float32) / _SIZE[0]
    return lambda number: [0.3 + 0.2 * np.sin(9 * x + c + number / 5) * np.cos(7 * y) for c in range(3)]


def _lab() -> Callable[[int], Planes]:
    """A rendered face, a frame of it over and over."""
    folder = CACHE / "lab_linear"
    if not (folder / "tracks.json").is_file():
        frames = range(1001, 1002)
        deliver(PRESETS["talk"], folder, width=_LAB[0], height=_LAB[1], frames=frames, layout="exr", still_px=128)
    reader = Host().reader_for(folder / "plate" / "plate.%04d.exr")
    with reader(folder / "plate" / "plate.%04d.exr") as opened:
        (frame,) = opened.frames(1001, 1001)
    small = [plane.astype(np.float32) for plane in frame.plate.planes[:3]]
    large = [cv2.resize(plane, _SIZE, interpolation=cv2.INTER_CUBIC) for plane in small]
    return lambda number: [np.roll(plane, 3 * number, axis=1) for plane in large]


def _by_vfxswap(plate: Path, out: Path, changed: tuple[slice, slice]) -> None:
    host = Host()
    with host.reader_for(plate)(plate) as reader:
        info, writer = reader.info, host.writer_for(out)
        options = writer.Options.model_validate({})
        with writer(out, options, like=info, tags=_TAGS, first=info.first, last=info.last) as made:
            for frame in reader.frames(info.first, info.last):
                picture = frame.plate.copy()
                for plane in picture.planes[:3]:
                    plane[changed].view(np.uint16)[...] ^= 1
                made.write(replace(frame, result=picture))
            made.finish()


def _by_library(plate: Path, out: Path) -> None:
    for number in range(1, _FRAMES + 1):
        source = oiio.ImageInput.open(str(plate) % number)
        target = oiio.ImageOutput.create("exr")
        if source is None or target is None:
            raise RuntimeError(oiio.geterror())
        spec = source.spec()
        pixels = source.read_image("half")
        source.close()
        target.open(str(out) % number, spec)
        target.write_image(pixels)
        target.close()
