"""A matte from outside: a roto sequence in plate space, by OpenImageIO."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the library's own convention
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torch import Tensor

from vfxswap.errors import MediaError, UsageError
from vfxswap.files import FramePattern
from vfxswap.frame import FaceBatch
from vfxswap.ops.matte import border_distance, soft_edge
from vfxswap.ops.warp import cut, cut_box
from vfxswap.stage import Matte, MatteOptions, PipelinePath

_LUMA = ("Y", "L")


class RotoOptions(MatteOptions):
    """Settings of `roto`."""

    path: PipelinePath = Field(
        description="The mattes, in the plate's size and frame numbers: roto.%04d.png, ####, @@@@ or $F4; or one still."
    )
    channel: str | None = Field(
        None, min_length=1, description="Channel to read; by default alpha, else luma (Y), else the first."
    )
    invert: bool = Field(False, description="Whether white means what is kept.")
    hole: Literal["fail", "open", "closed"] = Field(
        "fail", description="What a missing frame does: ends the frame with an error, replaces all, replaces nothing."
    )
    edge_feather_percent: float = Field(
        2.0, ge=0, le=50, description="Soft edge along the crop's border, where the face ends, in percent of its side."
    )

    @field_validator("path")
    @classmethod
    def _there(cls, path: Path) -> Path:
        if not path.parent.is_dir():
            raise ValueError(f"there is no folder {path.parent}")
        try:
            there = _first(FramePattern(path))
        except UsageError as error:
            raise ValueError(str(error)) from error
        if there is None:
            raise ValueError(f"there is no file {path.name} in {path.parent}; export the roto or correct the pattern")
        return path


def _first(mattes: FramePattern) -> Path | None:
    """One file that is there, if any is: the first frame's, or the still."""
    if mattes.is_numbered:
        return next(iter(mattes.existing().values()), None)
    return mattes.pattern if mattes.pattern.is_file() else None


class Roto(Matte[RotoOptions]):
    """Mattes that an artist drew, cut by each face's own similarity; needs no landmarks."""

    Options = RotoOptions

    def open(self) -> None:
        """Looks at one file, so that a wrong size or channel is found before the first frame.

        Raises:
            MediaError: The file cannot be read, has another size than the plate, or lacks the channel.
        """
        self._sequence = FramePattern(self.options.path)
        first = _first(self._sequence)
        if first is None:
            raise MediaError(f"no file of {self.options.path} is left; export the roto again", path=self.options.path)
        self._checked(first, frame=None)[0].close()

    def matte(self, faces: FaceBatch) -> Tensor:
        """Gives `(N, 1, S, S)`; each face is cut for itself.

        Raises:
            MediaError: A file is missing (with `hole = "fail"`), broken, or of another size than the plate.
        """
        size, device = faces.crops.shape[-1], faces.crops.device
        paths = [self._sequence.path(frame) for frame in faces.frames]
        read = {path: self._read(path, frame) for path, frame in dict(zip(paths, faces.frames, strict=True)).items()}
        fade = soft_edge(border_distance(size, device=device), self.options.edge_feather_percent * size / 100)
        mattes = []
        for path, plate_to_crop in zip(paths, faces.plate_to_crop, strict=True):
            pixels = read[path]
            if pixels is None:
                mattes.append(torch.full_like(fade, float(self.options.hole == "open"))[None] * fade)
                continue
            box = cut_box(plate_to_crop, size, self.setting.width, self.setting.height)
            part = torch.from_numpy(np.array(pixels[box.y0 : box.y1, box.x0 : box.x1]))[None].to(device)
            mattes.append(cut(part, origin=(box.x0, box.y0), plate_to_crop=plate_to_crop, size_px=size) * fade)
        return torch.stack(mattes)

    def _read(self, path: Path, frame: int) -> NDArray[np.float32] | None:
        """`(height, width)` 0..1 of the plate's size; None for a missing frame that does not fail."""
        if not path.is_file():
            if self.options.hole == "fail":
                raise MediaError(
                    f'there is no roto matte {path}; export it, or set hole = "open" or "closed"',
                    path=path,
                    frame=frame,
                )
            return None
        return self._pixels(path, frame)

    def _pixels(self, path: Path, frame: int) -> NDArray[np.float32]:
        file, channel = self._checked(path, frame=frame)
        spec = file.spec()
        values = file.read_image(0, 0, channel, channel + 1, "float")
        message = file.geterror()
        file.close()
        if values is None:
            raise MediaError(f"cannot read the roto matte {path}: {message}", path=path, frame=frame)
        if not np.isfinite(values).all():
            raise MediaError(f"the roto matte {path} holds values that are no numbers", path=path, frame=frame)
        window = self.setting.frame_of_reference
        canvas = np.zeros((self.setting.height, self.setting.width), np.float32)
        _place(canvas, values[..., 0], window.x0 + spec.x - spec.full_x, window.y0 + spec.y - spec.full_y)
        np.clip(canvas, 0, 1, out=canvas)
        return np.subtract(1, canvas, out=canvas) if self.options.invert else canvas

    def _checked(self, path: Path, *, frame: int | None) -> tuple[Any, int]:
        """The open file and the number of the channel to read."""
        file = oiio.ImageInput.open(str(path))
        if file is None:
            raise MediaError(f"cannot open the roto matte {path}: {oiio.geterror()}", path=path, frame=frame)
        window = self.setting.frame_of_reference
        spec, plate = file.spec(), (window.width, window.height)
        if (spec.full_width, spec.full_height) != plate:
            raise MediaError(
                f"the roto matte {path} is {spec.full_width}x{spec.full_height}, the plate {plate[0]}x{plate[1]};"
                " export it in the plate's size",
                path=path,
                frame=frame,
            )
        return file, self._channel(list(spec.channelnames), int(spec.alpha_channel), path, frame)

    def _channel(self, names: list[str], alpha: int, path: Path, frame: int | None) -> int:
        wanted = self.options.channel
        if wanted is None:
            return alpha if alpha >= 0 else next((names.index(name) for name in _LUMA if name in names), 0)
        if wanted not in names:
            raise MediaError(
                f"the roto matte {path} has no channel {wanted!r}; it has {', '.join(names)}", path=path, frame=frame
            )
        return names.index(wanted)


def _place(canvas: NDArray[np.float32], values: NDArray[np.float32], x: int, y: int) -> None:
    """Copies what was stored (an EXR's data window) to its place on the canvas (the plate's picture)."""
    rows, columns = values.shape
    height, width = canvas.shape
    top, left, bottom, right = max(y, 0), max(x, 0), min(y + rows, height), min(x + columns, width)
    if top < bottom and left < right:
        canvas[top:bottom, left:right] = values[top - y : bottom - y, left - x : right - x]
