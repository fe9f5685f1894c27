"""Mattes that an artist drew for frames of a shot, few or all of them, cut as the faces are."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from vfxswap.coverage import coverage_of
from vfxswap.errors import MediaError, UsageError
from vfxswap.files import FramePattern
from vfxswap.geometry import Affine
from vfxswap.host import Host
from vfxswap.ops import warp


class DrawnMattes:
    """The mattes of one shot.

    Args:
        pattern: Their files by the shot's frame numbers, as matte.####.png; frames without a file have no matte. White
            is what of the picture is face, as the first channel has it. None draws nothing.
        host: The plugins, of which a reader opens them.

    Raises:
        UsageError: The pattern has no frame number, or there is no such file.
    """

    def __init__(self, pattern: Path | None, host: Host) -> None:
        self._host, self._files = host, dict[int, Path]()
        if pattern is None:
            return
        mattes = FramePattern(pattern)
        if not mattes.is_numbered:
            raise UsageError(f"--mattes {pattern}: needs the frame's number in its name, as in matte.####.png")
        self._files = mattes.existing()
        if not self._files:
            raise UsageError(f"--mattes {pattern}: there is no such file; export the mattes, or correct the pattern")

    def __len__(self) -> int:
        return len(self._files)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files, in the order of the frames."""
        return tuple(path for _, path in sorted(self._files.items()))

    def cut(self, frame: int, plate_to_crop: Affine, size_px: int, *, plate: tuple[int, int]) -> Tensor | None:
        """A frame's matte as a face's crop shows it, `(1, S, S)` 0..1; None where nothing was drawn.

        Args:
            frame: Its number.
            plate_to_crop: How the face was cut.
            size_px: Side of the crop.
            plate: Width and height of the upright plate, which the matte must have.

        Raises:
            MediaError: It cannot be read, or is not of the plate's size.
        """
        path = self._files.get(frame)
        if path is None:
            return None
        drawn = coverage_of(path, self._host)
        height, width = drawn.shape
        if (width, height) != plate:
            raise MediaError(
                f"the matte {path} has {width}x{height} pixels, the plate {plate[0]}x{plate[1]}; export it in its size",
                path=path,
                frame=frame,
            )
        return warp.cut(drawn[None], origin=(0, 0), plate_to_crop=plate_to_crop, size_px=size_px).clamp(0, 1)
