"""A finished frame as the encoder takes it: the decoder's own where nobody changed it, else made plane by plane."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from vfxswap.color import ColorTags, PixelLayout
from vfxswap.errors import MediaError
from vfxswap.frame import Frame, Picture, Plane
from vfxswap_plugins.media.convert import coded_alpha, converted, same_samples
from vfxswap_plugins.media.layouts import planes_of, store_of
from vfxswap_plugins.media.movie_picture import MoviePicture, new_frame
from vfxswap_plugins.media.movie_plan import MoviePlan

_SHOWN = PixelLayout("shown", "rgb", 32, is_float=True)
_SHOWN_WITH_ALPHA = PixelLayout("shown", "rgb", 32, is_float=True, has_alpha=True)


class FrameMaker:
    """Makes frames for the encoder of one delivery.

    Args:
        path: The delivery, for messages.
        plan: What is written.
        tags: The plate's colour.
        size: `(width, height)` of the plate's stored pictures.
    """

    def __init__(self, path: Path, plan: MoviePlan, tags: ColorTags, size: tuple[int, int]) -> None:
        self._path, self._plan, self._tags, self._size = path, plan, tags, size

    def made(self, frame: Frame) -> av.VideoFrame:
        """What is to be encoded.

        Raises:
            MediaError: The picture has another size; it has transparency that the codec has no place for; or it has no
                matte, which the delivery wants.
        """
        picture, plan = frame.picture, self._plan
        self._check_size(frame.number, picture)
        self._check_alpha(frame.number, picture)
        if plan.look is None and plan.window is None and not plan.has_matte:
            is_same = same_samples(picture.layout, self._tags, plan.layout, plan.tags)
            if is_same and isinstance(picture, MoviePicture) and picture.frame.format.name == plan.layout.name:
                return picture.frame
            return self._filled(picture.planes if is_same else self._converted(picture))
        planes = list(self._shown(picture) if plan.look is not None else self._converted(picture))
        if plan.has_matte:
            planes[-1] = coded_alpha(self._matte(frame), plan.layout)
        return self._filled(planes)

    def _converted(self, picture: Picture) -> Sequence[Plane]:
        planes = [self._windowed(plane) for plane in picture.planes]
        return converted(planes, picture.layout, self._tags, self._plan.layout, self._plan.tags)

    def _shown(self, picture: Picture) -> Sequence[Plane]:
        look, target = self._plan.look, self._plan.layout
        assert look is not None  # noqa: S101 - as `made` found
        has_alpha = target.has_alpha and picture.layout.has_alpha and not self._plan.has_matte
        rgb = look.shown(picture, self._tags, divide=has_alpha and picture.layout.is_float)
        planes: list[Plane] = [self._windowed(plane) for plane in rgb]
        if has_alpha:
            planes.append(self._windowed(_unit_alpha(picture)))
        layout = _SHOWN_WITH_ALPHA if has_alpha else _SHOWN
        return converted(planes, layout, look.tags, target, self._plan.tags)

    def _matte(self, frame: Frame) -> NDArray[np.float32]:
        layer = frame.layers.get("matte")
        if layer is None:
            raise MediaError(
                f'{self._path}: frame {frame.number} brings no matte, which alpha = "matte" wants',
                path=self._path,
                frame=frame.number,
            )
        return self._windowed(layer.plane(0, *self._size))

    def _windowed(self, plane: NDArray[Any]) -> NDArray[Any]:
        """The part of a full-size plane that is delivered; what the picture does not reach is 0."""
        window = self._plan.window
        if window is None:
            return plane
        height, width = plane.shape
        result = np.zeros((window.height, window.width), plane.dtype)
        part = window.clipped(width, height)
        if not part.empty:
            rows = slice(part.y0 - window.y0, part.y1 - window.y0)
            columns = slice(part.x0 - window.x0, part.x1 - window.x0)
            result[rows, columns] = plane[part.y0 : part.y1, part.x0 : part.x1]
        return result

    def _filled(self, planes: Sequence[Plane]) -> av.VideoFrame:
        plan = self._plan
        result = new_frame(plan.width, plan.height, plan.layout.name)
        for target, plane in zip(planes_of(result, store_of(plan.layout.name), writable=True), planes, strict=True):
            np.copyto(target, plane)
        return result

    def _check_size(self, number: int, picture: Picture) -> None:
        width, height = self._size
        if (picture.width, picture.height) != (width, height):
            raise MediaError(
                f"{self._path}: frame {number} is {picture.width}x{picture.height}, the delivery was begun as"
                f" {width}x{height}",
                path=self._path,
                frame=number,
            )

    def _check_alpha(self, number: int, picture: Picture) -> None:
        layout, plan = picture.layout, self._plan
        if not layout.has_alpha or plan.layout.has_alpha or plan.drops_alpha:
            return
        opaque = 1.0 if layout.is_float else ((1 << layout.bits) - 1) << layout.shift
        if picture.planes[-1].min() < opaque:
            raise MediaError(
                f"{self._path}: frame {number} has transparency, for which {plan.layout.name} has no place;"
                f' choose codec ffv1 or prores_4444, or state alpha = "none" to lose it',
                path=self._path,
                frame=number,
            )


def _unit_alpha(picture: Picture) -> NDArray[np.float32]:
    """Alpha 0..1."""
    layout, plane = picture.layout, picture.planes[-1]
    if layout.is_float:
        return plane.astype(np.float32)
    return (plane >> layout.shift).astype(np.float32) / np.float32((1 << layout.bits) - 1)
