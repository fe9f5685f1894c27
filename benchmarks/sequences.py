"""What it costs to read and write EXR sequences, against OpenImageIO doing the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the name that its own documentation uses

from benchmarks.material import CACHE, Material
from benchmarks.measure import Table, cpu, cpu_ratio, in_turn, ratio, wall
from vfxswap.color import SPACES, ColorTags, Matrix, PixelLayout, Range
from vfxswap.files import FramePattern
from vfxswap.frame import Frame, Picture
from vfxswap.host import Host
from vfxswap.media import PlateInfo

MOST = 0.80
"""Of OpenImageIO's time."""
_SIZES = {"2K": (2048, 1156), "UHD": (3840, 2160)}
_FRAMES = 8
_LAYOUT = PixelLayout("rgba half", "rgb", 16, is_float=True, has_alpha=True)
_TAGS = ColorTags(SPACES["ACEScg"].primaries, SPACES["ACEScg"].transfer, Matrix.RGB, Range.FULL)


def sequenced(found: Material, rounds: int) -> Table:  # noqa: ARG001 - pictures of its own
    """Times copies of sequences of half RGBA, ZIP."""
    rows, checks = [], []
    for name, (width, height) in _SIZES.items():
        plate = _drawn(CACHE / f"exr_{name}", width, height)
        out = CACHE / "exr_out"
        out.mkdir(exist_ok=True)
        cases: dict[str, Callable[[], object]] = {
            "OpenImageIO": partial(_by_library, plate, out / "o.%04d.exr"),
            "vfxswap": partial(_by_vfxswap, plate, out / "v.%04d.exr"),
        }
        costs = in_turn(cases, rounds=rounds)
        shutil.rmtree(out)
        base = costs["OpenImageIO"]
        for case, taken in costs.items():
            rows.append(
                [
                    f"{name} {case}",
                    f"{1000 * wall(taken) / _FRAMES:.0f}",
                    f"{1000 * cpu(taken) / _FRAMES:.0f}",
                    f"{ratio(taken, base):.2f}",
                    f"{cpu_ratio(taken, base):.2f}",
                ]
            )
        share = ratio(costs["vfxswap"], base)
        checks.append((f"{name}: {share:.2f} of OpenImageIO's time, at most {MOST}", share <= MOST))
    return Table(
        "EXR sequences",
        f"{_FRAMES} frames of half RGBA in ZIP, read and written, each brought to the disk by vfxswap; all threads that"
        " each takes by itself.",
        ("case", "ms a frame", "processor ms", "of OpenImageIO", "processor of it"),
        rows,
        checks,
    )


def _drawn(folder: Path, width: int, height: int) -> Path:
    """A smooth picture with grain, which moves."""
    path = folder / "plate.%04d.exr"
    if len(FramePattern(path).existing()) == _FRAMES:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / width
    writer = Host().writer_for(path)
    info = PlateInfo(path, width, height, _LAYOUT, _TAGS, 1, _FRAMES, Fraction(24))
    options = writer.Options.model_validate({"compression": "zip"})
    like = replace(info, path=folder / "drawn")
    with writer(path, options, like=like, tags=_TAGS, first=1, last=_FRAMES) as made:
        for number in range(1, _FRAMES + 1):
            waves = [0.3 + 0.2 * np.sin(9 * x + c + number / 5) * np.cos(7 * y) for c in range(3)]
            planes = [(wave + 0.002 * rng.standard_normal(x.shape)).astype(np.float16) for wave in waves]
            made.write(Frame(number, Picture([*planes, np.ones(x.shape, np.float16)], _LAYOUT, _TAGS)))
        made.finish()
    return path


def _by_vfxswap(plate: Path, out: Path) -> None:
    host = Host()
    with host.reader_for(plate)(plate) as reader:
        info, writer = reader.info, host.writer_for(out)
        options = writer.Options.model_validate({})
        with writer(out, options, like=info, tags=_TAGS, first=info.first, last=info.last) as made:
            for frame in reader.frames(info.first, info.last):
                made.write(frame)
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
