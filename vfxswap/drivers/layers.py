"""The host's own steps that make layers: what was put into a frame, as pictures of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from vfxswap import cryptomatte
from vfxswap.crops import View, colored_for_plate, plate_rgb
from vfxswap.drivers.base import Around, Step, given
from vfxswap.frame import Face, Frame, Layer, Picture
from vfxswap.geometry import Affine, Box, inverted, mapped
from vfxswap.layers import LayerName, LayerOrder, layer_bits
from vfxswap.ops import warp

_HALF_MAX = 65504.0
_NOWHERE = Box(0, 0, 0, 0)
_CHROMA_REACH = 2
"""Samples of chroma beyond a changed one into whose pixels it is interpolated, and one to spare."""


class KeepUnmatched(Step):
    """Keeps each face as it comes to the first colour match, or to the blend where none was before."""

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Step`."""
        return tuple(frame.with_faces([_kept(face) for face in frame.faces]) for frame in around.batch)


def _kept(face: Face) -> Face:
    return replace(face, unmatched=face.swapped) if face.unmatched is None and face.swapped is not None else face


class MakeLayers(Step):
    """Makes the layers that are asked for, in the stored picture's pixels and nowhere but around the faces.

    Args:
        order: Which.
        view: How the plates are looked at.
    """

    def __init__(self, order: LayerOrder, view: View) -> None:
        self._order, self._view = order, view

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Step`."""
        return tuple(
            replace(frame, layers=self._layers(frame)) if frame.number in around.wanted else frame
            for frame in around.batch
        )

    def _layers(self, frame: Frame) -> Mapping[str, Layer]:
        faces = sorted((face for face in frame.faces if face.pasted), key=lambda face: face.size_px)
        scene = _Scene(frame, [_Placed(face, self._view, frame.plate) for face in faces], self._view, self._order)
        return {name: scene.layer(name) for name in self._order.made}


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """A face that was put in, and where its square lies in the stored picture."""

    face: Face
    view: View
    picture: Picture

    @property
    def stored_to_crop(self) -> Affine:
        return self.view.stored_to_crop(self.picture, given(self.face.plate_to_crop))

    def matte_box(self) -> Box:
        size = (self.picture.width, self.picture.height)
        return _union([warp.matte_box(matte, self.stored_to_crop, *size) for matte in self.face.pasted])

    def square_box(self) -> Box:
        side = self.face.crop_size
        corners = np.array([(0, 0), (side, 0), (0, side), (side, side)], dtype=np.float64)
        box = Box.around(mapped(inverted(self.stored_to_crop), corners))
        box = box.clipped(self.picture.width, self.picture.height)
        return _NOWHERE if box.empty else box

    def matte(self, box: Box) -> Tensor:
        """`(1, h, w)`: the mattes of all its blends, one over the other."""
        mattes = [warp.uncut(matte, self.stored_to_crop, box, padding="zeros") for matte in self.face.pasted]
        return _over(mattes)

    def places(self, box: Box) -> tuple[Tensor, Tensor]:
        """`(2, h, w)` 0..1 from the square's lower left corner, and `(1, h, w)` whether a pixel's centre is in it."""
        x, y = np.arange(box.x0, box.x1) + 0.5, np.arange(box.y0, box.y1)[:, None] + 0.5
        s, t = ((row[0] * x + row[2] + row[1] * y) / self.face.crop_size for row in self.stored_to_crop)
        inside = (s >= 0) & (s <= 1) & (t >= 0) & (t <= 1)
        found = torch.from_numpy(np.stack([s, 1 - t]).astype(np.float32))
        return found.to(self.view.device), torch.from_numpy(inside[None].astype(np.float32)).to(self.view.device)

    def square(self, box: Box) -> tuple[Tensor, Tensor]:
        """`(3, h, w)` the square before its colours were matched, as the plate codes them, and `(1, h, w)` cover."""
        crop = given(self.face.unmatched)
        cover = torch.ones_like(crop[:1])
        rgb, cover = warp.uncut_face(crop, cover, self.stored_to_crop, box, mode="bicubic")
        return colored_for_plate(rgb, self.view), cover


class _Scene:
    """One frame with the faces that were put in, the farthest first."""

    def __init__(self, frame: Frame, faces: Sequence[_Placed], view: View, order: LayerOrder) -> None:
        self._frame, self._faces, self._view, self._order = frame, faces, view, order
        self._mattes: dict[Box, list[Tensor]] = {}

    def layer(self, name: LayerName) -> Layer:
        boxes = [face.square_box() if name in {"st", "swapped"} else face.matte_box() for face in self._faces]
        box = _union(boxes)
        if name == "patch" and not box.empty:
            box = self._reached(box)
        make: Callable[[Box], Tensor] = getattr(self, f"_{name}")
        count = len(self._order.channels(name))
        samples = make(box) if not box.empty else torch.zeros((count, 0, 0))
        return Layer(box, np.ascontiguousarray(samples.cpu().numpy(), dtype=np.float32))

    def _reached(self, box: Box) -> Box:
        """The pixels that a change of the box's samples reaches: more than the box where chroma is subsampled."""
        picture = self._frame.plate
        reach = max(_CHROMA_REACH << log2 if log2 else 0 for log2 in picture.layout.chroma_log2)
        return box.grown(reach).clipped(picture.width, picture.height)

    def _matte(self, box: Box) -> Tensor:
        """`(1, h, w)`: all faces, one over the other, in steps of the depth in which it is stored.

        0 where a sample of the plate is infinite or no number, as such pixels stay.
        """
        return self._stored("matte", _over(self._face_mattes(box)) * self._finite(box))

    def _face_mattes(self, box: Box) -> list[Tensor]:
        if box not in self._mattes:
            self._mattes[box] = [face.matte(box) for face in self._faces]
        return self._mattes[box]

    def _finite(self, box: Box) -> Tensor:
        plate = plate_rgb(self._frame.plate, self._view, box)
        return torch.isfinite(plate).all(dim=0, keepdim=True).to(torch.float32)

    def _patch(self, box: Box) -> Tensor:
        """`(4, h, w)`: what is to be added to the plate under the matte, and the matte.

        That is the face times the matte where each pixel is mixed for itself, and holds for blends that are not.
        """
        matte = self._matte(box)
        plate, result = (plate_rgb(picture, self._view, box) for picture in (self._frame.plate, self._frame.picture))
        patch = torch.where(torch.isfinite(plate), result - plate * (1 - matte), 0.0)
        return torch.cat([self._stored("patch", patch), matte])

    def _st(self, box: Box) -> Tensor:
        """`(4, h, w)`; of squares that overlap the nearest counts."""
        result = torch.zeros((4, box.height, box.width), device=self._view.device)
        for face in self._faces:
            places, inside = face.places(box)
            own = torch.cat([places, torch.zeros_like(inside), inside])
            result = torch.where(inside > 0, own, result)
        return result

    def _swapped(self, box: Box) -> Tensor:
        """`(4, h, w)`, premultiplied by how far the square covers a pixel."""
        result = torch.zeros((4, box.height, box.width), device=self._view.device)
        for face in self._faces:
            rgb, cover = face.square(box)
            result = torch.where(cover > 0, torch.cat([rgb * cover, cover]) + result * (1 - cover), result)
        return self._stored("swapped", result)

    def _id(self, box: Box) -> Tensor:
        """`(4 n, h, w)` ids and coverage by rank."""
        names = self._order.identities
        coverage = torch.zeros((len(names), box.height, box.width), device=self._view.device)
        for placed, matte in zip(self._faces, self._face_mattes(box), strict=True):
            coverage *= 1 - matte
            if placed.face.identity in names:  # else a plain stage put it in, for nobody that the pipeline names
                coverage[names.index(placed.face.identity)] += matte[0]
        coverage *= self._finite(box)
        # Stable, so that equal shares keep the pipeline's order; who has none has no id either.
        ranked, who = torch.sort(coverage, dim=0, descending=True, stable=True)
        bits = np.array([cryptomatte.id_of(name) for name in names], np.float32)
        ids = torch.where(ranked > 0, torch.from_numpy(bits).to(ranked.device)[who], 0.0)
        pairs = torch.stack([ids, ranked], dim=1).flatten(0, 1)
        missing = len(self._order.channels("id")) - len(pairs)
        return torch.cat([pairs, pairs.new_zeros((missing, *pairs.shape[1:]))])

    def _stored(self, name: LayerName, samples: Tensor) -> Tensor:
        """Rounded as the file rounds them, so that layers fit one another to the last bit that is written."""
        if layer_bits(name, self._frame.plate.layout) == 32:
            return samples
        return samples.clamp(-_HALF_MAX, _HALF_MAX).to(torch.float16).to(torch.float32)


def _over(mattes: Sequence[Tensor]) -> Tensor:
    """What several mattes cover together; of one, that one's own bits."""
    total = torch.zeros_like(mattes[0])
    for matte in mattes:
        total = total + matte * (1 - total)
    return total


def _union(boxes: Sequence[Box]) -> Box:
    there = [box for box in boxes if not box.empty]
    if not there:
        return _NOWHERE
    return Box(
        min(box.x0 for box in there),
        min(box.y0 for box in there),
        max(box.x1 for box in there),
        max(box.y1 for box in there),
    )
