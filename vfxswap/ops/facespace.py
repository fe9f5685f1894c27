"""The way from a plate's own R'G'B' to what stages see, and back.

A plate whose colour goes by its tags, as a movie's does, takes the exact path of `vfxswap.ops.transfer`; one whose
colour is a space of a configuration, the steps that OpenColorIO names. Another face space than the usual one is reached
from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from torch import Tensor

from vfxswap.color import ColorTags, ConfigSpace, Transfer
from vfxswap.ocio import Transform, config_of, face_space_of, transform
from vfxswap.ops import transfer
from vfxswap.ops.colorops import transformed


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """What a plate's numbers mean, to be computed with."""

    tags: ColorTags
    into: Sequence[Transform]
    """To the face space, after what the tags ask for."""
    back: Sequence[Transform]
    """From it, before what the tags ask for."""

    def to_face(self, rgb: Tensor) -> Tensor:
        """Brings a plate's R'G'B' to the face space.

        Args:
            rgb: `(..., 3, H, W)` float32 R'G'B' as the plate codes it.

        Returns:
            The same shape; 1.0 is diffuse white, nothing is clipped that the plate's space does not clip itself. `rgb`
            itself where the spaces agree.

        Raises:
            ColorError: The plate's colour is not known.
            ShapeError: There are not three channels.
        """
        if self.tags.space is None:
            rgb = transfer.to_face(rgb, self.tags)
        for each in self.into:
            rgb = transformed(each, rgb)
        return rgb

    def from_face(self, rgb: Tensor) -> Tensor:
        """Brings R'G'B' of the face space back to the plate's own; undoes `to_face`, and raises as it does."""
        for each in self.back:
            rgb = transformed(each, rgb)
        return transfer.from_face(rgb, self.tags) if self.tags.space is None else rgb

    @property
    def is_shown(self) -> bool:
        """Whether the plate's own numbers look like a picture; scene light is dark, and a camera's log is flat."""
        if self.tags.space is None:
            return self.tags.transfer is not Transfer.LINEAR
        return self.tags.space.encoding == "sdr-video"

    @property
    def uncovered(self) -> tuple[str, ...]:
        """Operations that OpenColorIO must do itself, on the CPU."""
        return tuple(dict.fromkeys(each.uncovered for each in (*self.into, *self.back) if each.uncovered))


@lru_cache(maxsize=64)
def space_of(tags: ColorTags, face: ConfigSpace | None = None) -> Space:
    """The way for a plate.

    Args:
        tags: The plate's colour.
        face: What stages see; None is "sRGB - Texture".

    Raises:
        ColorError: A configuration cannot be opened, or has no such transform.
    """
    source = tags.space
    if source is None:
        if face is None:
            return Space(tags, (), ())
        source = face_space_of(config_of(face.config))
    target = face_space_of(config_of(source.config)) if face is None else face
    return Space(tags, (transform(source, target),), (transform(target, source),))
