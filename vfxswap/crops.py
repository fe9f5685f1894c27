"""Between a plate's own planes and the stages' tensors: small pictures, crops, and the way back.

Stages think in the upright picture; a plate that was filmed with the camera on its side is stored turned. All of that
difference is in this module: an *upright* point becomes a *stored* one by `View.upright_to_stored`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vfxswap.color import ColorTags
from vfxswap.frame import Frame, Picture
from vfxswap.geometry import Affine, Box, composed, inverted, mapped
from vfxswap.ops import transfer, warp, ycbcr
from vfxswap.stage import Cutter


@dataclass(frozen=True, slots=True)
class View:
    """How the plates of a shot are to be looked at."""

    tags: ColorTags
    """Complete."""
    rotation: int
    """Degrees by which the stored picture is turned clockwise to be upright: 0, 90, 180 or 270."""
    device: torch.device

    def upright_size(self, picture: Picture) -> tuple[int, int]:
        """`(width, height)` of the upright picture."""
        size = (picture.width, picture.height)
        return size if self.rotation % 180 == 0 else (size[1], size[0])

    def upright_to_stored(self, picture: Picture) -> Affine:
        """Maps a point of the upright picture to the stored one."""
        width, height = picture.width, picture.height
        stored_to_upright = {
            0: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
            90: [[0.0, -1.0, height], [1.0, 0.0, 0.0]],
            180: [[-1.0, 0.0, width], [0.0, -1.0, height]],
            270: [[0.0, 1.0, 0.0], [-1.0, 0.0, width]],
        }[self.rotation % 360]
        return inverted(np.array(stored_to_upright))

    def stored_to_crop(self, picture: Picture, plate_to_crop: Affine) -> Affine:
        """A similarity of the upright plate, for the stored picture."""
        return composed(plate_to_crop, inverted(self.upright_to_stored(picture)))


def small_picture(picture: Picture, view: View, size: tuple[int, int]) -> Tensor:
    """`(3, H, W)` float32 R'G'B' 0..1 of the whole upright picture, shrunk or stretched to `(width, height)`."""
    turned = size if view.rotation % 180 == 0 else (size[1], size[0])
    small = ycbcr.thumbnail(picture.planes, picture.layout, view.tags, turned)
    return torch.rot90(small, k=-(view.rotation // 90), dims=(1, 2)).contiguous()


def cut_crop(picture: Picture, view: View, plate_to_crop: Affine, size_px: int) -> Tensor:
    """`(3, S, S)` float32 R'G'B' in the face space; past the plate's edge its last pixels repeat."""
    stored_to_crop = view.stored_to_crop(picture, plate_to_crop)
    box = warp.cut_box(stored_to_crop, size_px, picture.width, picture.height)
    rgb = transfer.to_face(ycbcr.to_rgb(picture.planes, picture.layout, view.tags, box, device=view.device), view.tags)
    return warp.cut(rgb, origin=(box.x0, box.y0), plate_to_crop=stored_to_crop, size_px=size_px)


def paste(
    picture: Picture,
    view: View,
    plate_to_crop: Affine,
    patch: tuple[Tensor, Tensor],
    blend: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> bool:
    """Joins a swapped crop to a picture, in place and inside the matte's box alone.

    The change is added as a difference, so samples outside the matte keep their bits, and inside it what the plate has
    beyond 0..1 stays.

    Args:
        picture: With writable planes.
        view: How it is looked at.
        plate_to_crop: The crop's similarity.
        patch: The swapped crop `(3, S, S)` and its matte `(1, S, S)`.
        blend: Of `vfxswap.stage.Blend`.

    Returns:
        Whether anything was changed.
    """
    swapped, matte = patch
    stored_to_crop = view.stored_to_crop(picture, plate_to_crop)
    box = warp.matte_box(matte, stored_to_crop, picture.width, picture.height)
    if box.empty:
        return False
    layer, mask = warp.uncut_face(swapped, matte, stored_to_crop, box)
    plate = transfer.to_face(
        ycbcr.to_rgb(picture.planes, picture.layout, view.tags, box, device=view.device), view.tags
    )
    joined = blend(layer[None], plate[None], mask[None])[0]
    delta = transfer.from_face(joined, view.tags) - transfer.from_face(plate, view.tags)
    ycbcr.add_rgb_delta(picture.planes, picture.layout, view.tags, box, delta=delta, touched=mask[0] > 0)
    return True


class PlateCutter(Cutter):
    """Cuts around faces of several frames.

    Args:
        frames: The frame of each face.
        view: How they are looked at.
    """

    def __init__(self, frames: Sequence[Frame], view: View) -> None:
        self._frames, self._view = frames, view

    def __call__(self, index: Sequence[int], plate_to_crop: Sequence[Affine], size_px: int) -> Tensor:
        """See `Cutter`."""
        pieces = [
            cut_crop(self._frames[i].plate, self._view, matrix, size_px)
            for i, matrix in zip(index, plate_to_crop, strict=True)
        ]
        return torch.stack(pieces) if pieces else torch.empty(0, 3, size_px, size_px, device=self._view.device)


def lies_outside(plate_to_crop: Affine, size_px: int, width: int, height: int) -> bool:
    """Whether a crop shows nothing of an upright picture of that size."""
    corners = np.array([(0, 0), (size_px, 0), (0, size_px), (size_px, size_px)], dtype=np.float64)
    return Box.around(mapped(inverted(plate_to_crop), corners)).clipped(width, height).empty
