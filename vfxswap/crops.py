"""Between a plate's own planes and the stages' tensors: small pictures, crops, and the way back.

Stages think in the upright picture; a plate that was filmed with the camera on its side is stored turned. All of that
difference is in this module: an *upright* point becomes a *stored* one by `View.upright_to_stored`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vfxswap.color import ColorTags, ConfigSpace
from vfxswap.frame import Frame, Picture, Plane
from vfxswap.geometry import Affine, Box, composed, inverted, mapped, scale_of
from vfxswap.ops import warp, ycbcr
from vfxswap.ops.facespace import Space, space_of
from vfxswap.stage import Cutter

_MARGIN = 1 / 8
"""Part of a box's longer side that is read beyond it, for looks that are placed a little differently."""
_NOWHERE = Box(0, 0, 0, 0)
_STRIP_PX = 1 << 17
"""Pixels worked on at once on a CPU."""


@dataclass(frozen=True, slots=True)
class View:
    """How the plates of a shot are to be looked at."""

    tags: ColorTags
    """Complete."""
    rotation: int
    """Degrees by which the stored picture is turned clockwise to be upright: 0, 90, 180 or 270."""
    device: torch.device
    face: ConfigSpace | None = None
    """What stages see; None is "sRGB - Texture"."""

    @property
    def space(self) -> Space:
        """What the plates' numbers mean: `to_face` and `from_face`."""
        return space_of(self.tags, self.face)

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
    if not view.space.is_shown:
        small = view.space.to_face(small).clamp(0, 1)  # scene light is dark to whoever looks at pictures, a log is flat
    if view.rotation % 360 == 0:
        return small
    return torch.rot90(small, k=-(view.rotation // 90), dims=(1, 2)).contiguous()


def cut_crop(picture: Picture, view: View, plate_to_crop: Affine, size_px: int) -> Tensor:
    """`(3, S, S)` float32 R'G'B' in the face space; past the plate's edge its last pixels repeat."""
    stored_to_crop = view.stored_to_crop(picture, plate_to_crop)
    box = warp.cut_box(stored_to_crop, size_px, picture.width, picture.height)
    rgb = _read(picture, view, box)
    return warp.cut(rgb, origin=(box.x0, box.y0), plate_to_crop=stored_to_crop, size_px=size_px)


def _read(picture: Picture, view: View, box: Box) -> Tensor:
    """`(3, h, w)` float32 R'G'B' of a box of the stored picture, in the face space."""

    def read(part: Box) -> Tensor:
        rgb = ycbcr.to_rgb(picture.planes, picture.layout, view.tags, part, device=view.device)
        return view.space.to_face(rgb)

    return _by_strips(box, picture, view, read)


def _by_strips(box: Box, picture: Picture, view: View, work: Callable[[Box], Tensor]) -> Tensor:
    """`(C, h, w)` of a box, made of what `work` makes of its strips."""
    strips = list(_strips(box, picture, view))
    first = work(strips[0])
    if len(strips) == 1:
        return first
    whole = first.new_empty((first.shape[0], box.height, box.width))
    whole[:, : strips[0].height] = first
    for strip in strips[1:]:
        whole[:, _rows(strip, box)] = work(strip)
    return whole


def _read_small(picture: Picture, view: View, box: Box, factor: int) -> tuple[Tensor, tuple[int, int]] | None:
    """The same for a box's whole blocks of `factor` pixels a side, one pixel a block, and the place of the first block.

    None if there is no whole block.
    """
    steps = [factor << log2 for log2 in picture.layout.chroma_log2]
    whole = box.aligned(*steps).clipped(picture.width // steps[0] * steps[0], picture.height // steps[1] * steps[1])
    if whole.empty:
        return None
    planes = [plane[_part_of_plane(plane, whole, picture)] for plane in picture.planes]
    size = (whole.width // factor, whole.height // factor)
    small = ycbcr.thumbnail(planes, picture.layout, view.tags, size).to(view.device)
    return view.space.to_face(small), (whole.x0 // factor, whole.y0 // factor)


def _part_of_plane(plane: Plane, box: Box, picture: Picture) -> tuple[slice, slice]:
    """Where a box that begins and ends with whole chroma blocks lies in one of the picture's planes."""
    across, down = (0, 0) if plane.shape == picture.planes[0].shape else picture.layout.chroma_log2
    return slice(box.y0 >> down, box.y1 >> down), slice(box.x0 >> across, box.x1 >> across)


def _strips(box: Box, picture: Picture, view: View) -> Iterator[Box]:
    """Parts of a box, from top to bottom; each begins a row of chroma samples.

    What is done strip by strip has the same bits, and takes half the time on a CPU: what lies between two steps stays
    in its cache, and the memory is had already.
    """
    step = 1 << picture.layout.chroma_log2[1]
    rows = max(_STRIP_PX // max(box.width, 1) // step * step, step) if view.device.type == "cpu" else picture.height
    for start in range(box.y0 // rows * rows, box.y1, rows):
        yield Box(box.x0, max(start, box.y0), box.x1, min(start + rows, box.y1))


def _rows(part: Box, whole: Box) -> slice:
    return slice(part.y0 - whole.y0, part.y1 - whole.y0)


def paste(
    picture: Picture,
    view: View,
    plate_to_crop: Affine,
    patch: tuple[Tensor, Tensor],
    blend: Callable[[Tensor, Tensor, Tensor], Tensor],
    *,
    pointwise: bool = False,
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
        pointwise: Likewise.

    Returns:
        Whether anything was changed.
    """
    stored_to_crop = view.stored_to_crop(picture, plate_to_crop)
    box = warp.matte_box(patch[1], stored_to_crop, picture.width, picture.height)
    if box.empty:
        return False
    late: _Joined | None = None
    for part in _strips(box, picture, view) if pointwise and _is_apart(picture) else (box,):
        layer, mask = _uncut(patch, stored_to_crop, part, picture, view)
        plate = _read(picture, view, part)
        joined = _Joined(part, plate, blend(layer[None], plate[None], mask[None])[0], mask[0])
        if late is not None:
            _add(picture, view, late)  # not before the next part was read, which needs a row of the plate's chroma here
        late = joined
    if late is not None:
        _add(picture, view, late)
    return True


class Pasted(NamedTuple):
    """The part of a picture in which a face was put, and the same part of the plates."""

    result: Tensor
    """`(3, h, w)` R'G'B' in the face space."""
    matte: Tensor
    """`(1, h, w)` 0..1."""
    plates: Tensor
    """`(T, 3, h, w)`."""


def finish(
    picture: Picture,
    plates: Sequence[Picture],
    view: View,
    face: tuple[Affine, Tensor],
    work: Callable[[Pasted], Tensor],
) -> None:
    """Changes a face that is in a picture, in place and where its matte is above 0 alone; as a difference, as `paste`.

    Args:
        picture: With writable planes.
        plates: T plates around.
        view: How they are looked at.
        face: The crop's similarity, and the matte `(1, S, S)`.
        work: Gives `(3, h, w)` from what is there.
    """
    plate_to_crop, matte = face
    stored_to_crop = view.stored_to_crop(picture, plate_to_crop)
    box = warp.matte_box(matte, stored_to_crop, picture.width, picture.height)
    if box.empty:
        return
    mask = warp.uncut(matte, stored_to_crop, box, padding="zeros")
    before = _read(picture, view, box)
    after = work(Pasted(before, mask, torch.stack([_read(plate, view, box) for plate in plates])))
    _add(picture, view, _Joined(box, before, after, mask[0]))


class _Joined(NamedTuple):
    """A part of a picture, before and after."""

    box: Box
    before: Tensor
    after: Tensor
    matte: Tensor


def _add(picture: Picture, view: View, joined: _Joined) -> None:
    """Adds what was joined to the picture, in place."""
    box, before, after, matte = joined
    for strip in _strips(box, picture, view) if _is_apart(picture) else (box,):
        rows = _rows(strip, box)
        delta = view.space.from_face(after[:, rows]) - view.space.from_face(before[:, rows])
        ycbcr.add_rgb_delta(picture.planes, picture.layout, view.tags, strip, delta=delta, touched=matte[rows] > 0)


def plate_rgb(picture: Picture, view: View, box: Box) -> Tensor:
    """`(3, h, w)` float32 of a box of the stored picture, as the plate codes its colours; gray is repeated.

    Float samples are given as they are, infinite or no number though they may be.
    """
    layout = picture.layout
    if not layout.is_float or layout.model == "ycbcr":
        return ycbcr.to_rgb(picture.planes, layout, view.tags, box, device=view.device)
    planes = [np.array(plane[box.y0 : box.y1, box.x0 : box.x1], np.float32) for plane in picture.planes[:3]]
    planes = planes[:1] * 3 if layout.model == "gray" else planes
    return torch.from_numpy(np.stack(planes)).to(view.device)


def colored_for_plate(rgb: Tensor, view: View) -> Tensor:
    """`(3, h, w)` of the face space as the plate codes its colours."""
    return view.space.from_face(rgb)


def _is_apart(picture: Picture) -> bool:
    """Whether rows of chroma belong to rows of luma alone; else chroma's filter reads over a strip's edge."""
    return picture.layout.chroma_location != "topleft"


def _uncut(
    patch: tuple[Tensor, Tensor], stored_to_crop: Affine, box: Box, picture: Picture, view: View
) -> tuple[Tensor, Tensor]:
    """The swapped face and its matte on the box's pixels."""

    def resampled(part: Box) -> Tensor:
        return torch.cat(warp.uncut_face(*patch, stored_to_crop, part, mode="bicubic"))

    layers = _by_strips(box, picture, view, resampled)
    return layers[:-1], layers[-1:]


class PlateCutter(Cutter):
    """Cuts around faces of several frames; for one thread.

    An aligner looks at a face several times, each time a little better placed, and its crop is cut from the same place
    again. So what was read of a plate is kept, with a margin, for as long as the cutter lives: reading is most of the
    work, and a part of a larger box has the same bits. Looks that are coarser than the plate by two and more are made
    from planes that were shrunk before they were read, as the pictures of detectors are.

    Args:
        frames: The frame of each face.
        view: How they are looked at.
    """

    def __init__(self, frames: Sequence[Frame], view: View) -> None:
        self._frames, self._view = frames, view
        self._kept: dict[int, tuple[Box, Tensor]] = {}

    def __call__(self, index: Sequence[int], plate_to_crop: Sequence[Affine], size_px: int) -> Tensor:
        """See `Cutter`."""
        pieces = [self._look(i, matrix, size_px) for i, matrix in zip(index, plate_to_crop, strict=True)]
        return torch.stack(pieces) if pieces else torch.empty(0, 3, size_px, size_px, device=self._view.device)

    def _look(self, index: int, plate_to_crop: Affine, size_px: int) -> Tensor:
        """A piece that is only looked at."""
        picture, view = self._frames[index].plate, self._view
        stored_to_crop = view.stored_to_crop(picture, plate_to_crop)
        factor = int(1.0 / scale_of(stored_to_crop) + 1 / 3)  # leaves a scale of 0.83 .. 1.33 to the sampling
        box = warp.cut_box(stored_to_crop, size_px, picture.width, picture.height)
        small = None if factor < 2 else _read_small(picture, view, box, factor)
        if small is None:
            self._keep(index, box)
            return self.cut(index, plate_to_crop, size_px)
        rgb, origin = small
        small_to_crop = stored_to_crop * np.array([factor, factor, 1.0])
        return warp.cut(rgb, origin=origin, plate_to_crop=small_to_crop, size_px=size_px)

    def cut(self, index: int, plate_to_crop: Affine, size_px: int) -> Tensor:
        """`cut_crop` for one face."""
        picture = self._frames[index].plate
        stored_to_crop = self._view.stored_to_crop(picture, plate_to_crop)
        box = warp.cut_box(stored_to_crop, size_px, picture.width, picture.height)
        rgb = self._kept_part(index, box)
        if rgb is None:
            rgb = _read(picture, self._view, box)
        return warp.cut(rgb, origin=(box.x0, box.y0), plate_to_crop=stored_to_crop, size_px=size_px)

    def _keep(self, index: int, box: Box) -> None:
        """Reads a box, with a margin, unless it is there already."""
        if self._kept_part(index, box) is None:
            picture = self._frames[index].plate
            wide = box.grown(int(_MARGIN * max(box.width, box.height))).clipped(picture.width, picture.height)
            self._kept[index] = (wide, _read(picture, self._view, wide))

    def _kept_part(self, index: int, box: Box) -> Tensor | None:
        kept, rgb = self._kept.get(index, (_NOWHERE, None))
        if rgb is None or not _holds(kept, box):
            return None
        return rgb[:, box.y0 - kept.y0 : box.y1 - kept.y0, box.x0 - kept.x0 : box.x1 - kept.x0]


def _holds(outer: Box, inner: Box) -> bool:
    return inner.x0 >= outer.x0 and inner.y0 >= outer.y0 and inner.x1 <= outer.x1 and inner.y1 <= outer.y1


def lies_outside(plate_to_crop: Affine, size_px: int, width: int, height: int) -> bool:
    """Whether a crop shows nothing of an upright picture of that size."""
    corners = np.array([(0, 0), (size_px, 0), (0, size_px), (size_px, size_px)], dtype=np.float64)
    return Box.around(mapped(inverted(plate_to_crop), corners)).clipped(width, height).empty
