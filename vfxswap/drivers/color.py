"""The driver of colour matches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from vfxswap.drivers.base import Around, Driver, Shot, checked, given
from vfxswap.drivers.faces import per_face
from vfxswap.frame import Face, Frame
from vfxswap.geometry import Landmarks
from vfxswap.ops.openings import OPENINGS, OpeningMap, eye_distance_px, opening_map, opening_masks, skin_mask
from vfxswap.stage import ColorMap, ColorMatch, ColorMatchOptions


class _Colors(NamedTuple):
    """How a face gets the plate's colours."""

    skin: ColorMap
    openings: Sequence[OpeningMap]


class ColorDriver(Driver):
    """Fits colours for each face alone, or once for each identity of the shot."""

    stage: ColorMatch[Any]

    def __init__(self, stage: ColorMatch[Any], shot: Shot) -> None:
        super().__init__(stage, shot)
        self._locked: dict[str | None, _Colors] = {}

    def survey_frames(self) -> Sequence[int]:
        """Frames spread evenly over the plate, for lock = "shot"."""
        options: ColorMatchOptions = self.stage.options
        if options.lock == "frame":
            return self.stage.survey_frames(self.shot.first, self.shot.last)
        count = self.shot.last - self.shot.first + 1
        steps = min(options.lock_frames, count)
        return sorted({self.shot.first + (2 * i + 1) * count // (2 * steps) for i in range(steps)})

    def survey(self, frames: Iterator[Frame]) -> None:
        """Fits one map for each identity over all its faces."""
        seen = list(frames)
        super().survey(iter(seen))
        options: ColorMatchOptions = self.stage.options
        faces = [face for frame in seen for face in frame.faces if face.swapped is not None and face.matte is not None]
        for identity in sorted({face.identity for face in faces}, key=str) if options.lock == "shot" else ():
            mine = [face for face in faces if face.identity == identity]
            self._locked[identity] = self._fit(mine, [self._openings(face) for face in mine])

    def _openings(self, face: Face) -> Tensor:
        """`(2, S, S)` where eyes and mouth are not skin."""
        masks = opening_masks(_in_crop(face), given(face.crop))
        options: ColorMatchOptions = self.stage.options
        return masks * options.openings

    def _fit(self, faces: Sequence[Face], openings: Sequence[Tensor]) -> _Colors:
        swapped, plate = ([given(getattr(face, name)) for face in faces] for name in ("swapped", "crop"))
        share = self.stage.options.openings
        skin = [given(face.matte) * (1 - share * (1 - skin_mask(_in_crop(face), given(face.crop)))) for face in faces]
        sizes = [eye_distance_px(_in_crop(face)) for face in faces]
        gains = [
            opening_map(swapped, plate, [masks[kind] for masks in openings], eye_distances_px=sizes)
            for kind in range(len(OPENINGS))
        ]
        return _Colors(self.stage.fit(torch.stack(swapped), torch.stack(plate), torch.stack(skin)), gains)

    def frames(self, around: Around) -> tuple[Frame, ...]:
        """See `Driver`."""
        return per_face(around.batch, lambda face: face.swapped is not None, self._match)

    def _match(self, places: list[tuple[Frame, Face]]) -> list[Face]:
        return [self._matched(face) for _, face in places]

    def _matched(self, face: Face) -> Face:
        options: ColorMatchOptions = self.stage.options
        openings = self._openings(face)
        colors = self._locked.get(face.identity)
        if colors is None:
            if options.lock == "shot":
                return replace(face, notes=(*face.notes, "colour not matched: face in none of the surveyed frames"))
            colors = self._fit([face], [openings])
        swapped: Tensor = given(face.swapped)
        shape = tuple(swapped.shape)
        matched = _unlifted(swapped, lambda picture: checked(colors.skin(picture[None])[0], "matched colours", shape))
        for mask, light in zip(openings, colors.openings, strict=True):
            matched = torch.lerp(matched, light(swapped), mask * light.trust)
        return replace(face, swapped=torch.lerp(swapped, matched, options.strength))


def _unlifted(swapped: Tensor, match: Callable[[Tensor], Tensor]) -> Tensor:
    """Matched colours, in which light over white is raised by no more than white is.

    The face space is coded: a factor that suits skin would double a highlight of 40.
    """
    matched, white = match(swapped), swapped.clamp_max(1)
    if torch.equal(white, swapped):
        return matched
    return torch.where(swapped > 1, torch.minimum(matched, match(white) + (swapped - white)), matched)


def _in_crop(face: Face) -> Landmarks:
    return cast("Landmarks", given(face.landmarks).mapped(given(face.plate_to_crop)))
