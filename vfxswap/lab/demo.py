"""The demo: a synthetic performer's face is replaced by another's, and the result is set beside the truth.

Everything is made here, so nothing is downloaded and no one's likeness is used: plate, identity with its consent
record, and the picture of what a perfect swap would be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

import vfxswap
from vfxswap.crops import View, small_picture
from vfxswap.errors import MediaError
from vfxswap.files import whole
from vfxswap.frame import Frame
from vfxswap.host import Host
from vfxswap.lab.colour import srgb_decoded
from vfxswap.lab.deliver import LAYOUTS, TAGS, Delivered, deliver, stored
from vfxswap.lab.shot import PRESETS
from vfxswap.media import PlateInfo, Reader, Writer
from vfxswap.render import run
from vfxswap.report import Report

SIZE = (640, 360)
"""Width and height of the demo's shot in pixels."""
_FOLDER = "../demo-out/"
"""Where the example pipeline looks for the shot."""
_STILL_PX = 400
_SHEET_ROWS = 4

Tell = Callable[[str, int, int], None]
"""Is told what is being done, steps done, and steps in all."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo made."""

    shot: Delivered
    """Plate, truth, tracks and identity."""
    pipeline: Path
    """The pipeline file that was run, made for this folder."""
    report: Report
    beside: Path
    """A movie of plate, result and truth side by side."""
    sheet: Path
    """A still of some frames of it."""


def example_pipeline(name: str) -> Path:
    """A pipeline file that comes with the package.

    Raises:
        MediaError: There is none of that name.
    """
    package = Path(vfxswap.__file__).parent
    for folder in (package / "pipelines", package.parent / "pipelines"):
        if (folder / name).is_file():
            return folder / name
    raise MediaError(f"there is no example pipeline {name}")


def demo(
    out: Path, host: Host, *, tell: Tell, frames: Sequence[int] | None = None, size: tuple[int, int] = SIZE
) -> Demo:
    """Renders a shot, runs `pipelines/demo.toml` on it, and sets the result beside the truth.

    Args:
        out: Folder to write to; made if it is not there.
        host: The plugins.
        tell: Is told how far it is.
        frames: Which frames of the shot; all if not said.
        size: Width and height of the shot.

    Raises:
        VfxswapError: Something cannot be written.
    """
    width, height = size
    shot = deliver(
        PRESETS["demo"],
        out,
        width=width,
        height=height,
        frames=frames,
        still_px=_STILL_PX,
        progress=lambda done, total: tell("render plate and truth", done, total),
    )
    pipeline = _own_pipeline(out)
    report = run(
        pipeline, overwrite=True, host=host, progress=lambda now: tell("replace the face", now.done, now.total)
    )
    beside, sheet = out / "side_by_side.mp4", out / "contact_sheet.png"
    _compare([shot.plate, report.outputs[0], shot.truth], beside, sheet, host)
    return Demo(shot, pipeline, report, beside, sheet)


def _own_pipeline(out: Path) -> Path:
    """Copies the example into the folder of the shot, so that it can be changed and run again there."""
    path = out / "demo.toml"
    text = example_pipeline("demo.toml").read_text(encoding="utf-8")
    with whole(path) as temporary:
        temporary.write_text(text.replace(_FOLDER, ""), encoding="utf-8")
    return path


def _compare(movies: Sequence[Path], beside: Path, sheet: Path, host: Host) -> None:
    """Writes movies side by side, and some of their frames as a still."""
    with ExitStack() as stack:
        readers = [stack.enter_context(host.reader_for(path)(path)) for path in movies]
        info = readers[0].info
        writer = stack.enter_context(_writing(beside, info, len(movies), host))
        picked = {(2 * i + 1) * info.count // (2 * _SHEET_ROWS) + info.first for i in range(_SHEET_ROWS)}
        rows = []
        for number, row in _rows(readers):
            writer.write(Frame(number, stored(srgb_decoded(torch.from_numpy(row)), LAYOUTS["yuv420p"])))
            if number in picked:
                rows.append(row)
        writer.finish()
    _write_sheet(sheet, rows)


class _writing:  # noqa: N801 - reads as a verb
    """A writer of pictures several plates wide; left by an error, nothing appears."""

    def __init__(self, path: Path, info: PlateInfo, across: int, host: Host) -> None:
        kind = host.writer_for(path)
        wide = PlateInfo(
            path, info.width * across, info.height, LAYOUTS["yuv420p"], TAGS, info.first, info.count, info.rate
        )
        self._writer = kind(path, kind.Options(), like=wide, tags=TAGS, first=info.first, last=info.last)

    def __enter__(self) -> Writer:
        return self._writer

    def __exit__(self, *_: object) -> None:
        self._writer.abandon()


def _rows(readers: Sequence[Reader]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Each frame of several movies side by side, `(3, H, n * W)` sRGB 0..1."""
    first, last = readers[0].info.first, readers[0].info.last
    view = View(TAGS, 0, torch.device("cpu"))
    for frames in zip(*(reader.frames(first, last) for reader in readers), strict=True):
        size = (frames[0].plate.width, frames[0].plate.height)
        yield (
            frames[0].number,
            np.concatenate([small_picture(frame.plate, view, size).numpy() for frame in frames], axis=2),
        )


def _write_sheet(path: Path, rows: Sequence[NDArray[np.float32]]) -> None:
    picture = np.concatenate(rows, axis=1).transpose(1, 2, 0)[..., ::-1]
    done, data = cv2.imencode(".png", np.rint(picture * 255).astype(np.uint8))
    if not done:
        raise MediaError(f"cannot encode {path}", path=path)
    with whole(path) as temporary:
        temporary.write_bytes(data.tobytes())
