"""Transforms between two spaces, as crops need them: steps for a device, or OpenColorIO itself; and the way back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import PyOpenColorIO as Ocio
from numpy.typing import NDArray

from vfxswap.color import ConfigSpace
from vfxswap.errors import ColorError
from vfxswap.ocio.config import FAILURES, PINNED, Config, config_of
from vfxswap.ocio.picture import Converter
from vfxswap.ocio.steps import Step, Uncovered, steps_of

FACE_SPACE: Final = "sRGB - Texture"
"""What stages see unless a pipeline says otherwise: BT.709 primaries and the sRGB curve."""
_SAME: Final = (FACE_SPACE, "srgb_rec709_scene", "srgb_texture", "sRGB Encoded Rec.709 (sRGB)")
"""What configurations call it."""
_BRIGHTEST: Final = 9.0
"""Of the face space: light of 200."""
_TOLERANCE: Final = 1e-3
"""How far a colour may come back from where it was, of its pixel's brightest channel (at least of 0.02)."""


@dataclass(frozen=True, slots=True, eq=False)
class Transform:
    """From one space to another."""

    words: str
    """As `ACEScg to sRGB - Texture`."""
    steps: tuple[Step, ...] | None
    """What to compute; None where only OpenColorIO can."""
    uncovered: str
    """The operation because of which it is None, in OpenColorIO's words."""
    converter: Converter
    """OpenColorIO's own."""
    key: str
    """Of all that it depends on, files that the configuration names included."""


def face_space_of(config: Config, name: str = FACE_SPACE) -> ConfigSpace:
    """The space in which stages see faces.

    Args:
        config: The shot's configuration.
        name: As the pipeline says it. The usual one is taken from the pinned configuration, where `config` has none.

    Raises:
        ColorError: There is no such space, or none of pictures as a display shows them.
    """
    if name == FACE_SPACE:
        known = next((each for each in _SAME if config.library.getColorSpace(each) is not None), None)
        return config_of(PINNED).space(name) if known is None else config.space(known)
    space = config.space(name)
    if space.is_linear or space.encoding not in {"", "sdr-video"}:
        raise ColorError(
            f"{name!r} is {space.encoding or 'linear'}, but stages must see pictures as a display shows them, 0..1;"
            f" take one such as {FACE_SPACE!r}"
        )
    return space


@lru_cache(maxsize=64)
def transform(source: ConfigSpace, target: ConfigSpace) -> Transform:
    """The transform between two spaces, which may be of two configurations.

    Raises:
        ColorError: The configurations cannot say it, as a look-up table is missing, or an operation has no inverse.
    """
    words = f"{source.name} to {target.name}"
    try:
        processor = _processor(source, target)
        converter = Converter(processor.getOptimizedCPUProcessor(Ocio.OPTIMIZATION_LOSSLESS), words)
        try:
            steps, uncovered = steps_of(processor), ""
        except Uncovered as error:
            steps, uncovered = None, str(error)
    except FAILURES as error:
        reason = " ".join(str(error).split())
        raise ColorError(f"the configuration {source.config} cannot bring {words}: {reason}") from error
    key = hashlib.sha256(processor.getCacheID().encode()).hexdigest()
    return Transform(words=words, steps=steps, uncovered=uncovered, converter=converter, key=key)


def _processor(source: ConfigSpace, target: ConfigSpace) -> Ocio.Processor:
    first, second = config_of(source.config).library, config_of(target.config).library
    if first is second:
        return first.getProcessor(source.name, target.name)
    return Ocio.Config.GetProcessorFromConfigs(first, source.name, second, target.name)


def check_way_back(space: ConfigSpace, face: ConfigSpace) -> None:
    """Sends colours to the face space and back again.

    Light up to 64 where the space is linear, else codes from 0.05 to 0.95: greys, skin, and stronger tints.

    Raises:
        ColorError: They do not come back, so that a face could not be put back into the plate as it was; or there is no
            transform.
    """
    there, back = transform(space, face).converter, transform(face, space).converter
    colours = _colours(is_linear=space.is_linear)
    seen = there(colours)
    found = back(seen)
    error = np.abs(found - colours).max(axis=-1) / np.maximum(np.abs(colours).max(axis=-1), 0.02)
    error[~np.isfinite(error)] = np.inf
    error[np.abs(seen).max(axis=-1) > _BRIGHTEST] = 0  # codes that no picture has, such as film's densities near 1
    worst = np.unravel_index(int(error.argmax()), error.shape)
    if error[worst] > _TOLERANCE:
        before, after = (", ".join(f"{value:.4g}" for value in row[worst]) for row in (colours, found))
        raise ColorError(
            f"there is no exact way back from {face.name!r} to {space.name!r}: ({before}) comes back as ({after});"
            " state the space that the camera or the renderer wrote, without a look or a view in it"
        )


def _colours(*, is_linear: bool) -> NDArray[np.float32]:
    """`(H, W, 3)`."""
    if is_linear:
        levels, tints = np.geomspace(1e-3, 64, 49), np.array([(1, 1, 1), (1, 0.7, 0.5), (1, 0.3, 0.2), (0.4, 0.6, 1)])
        return np.asarray(levels[:, None, None] * tints, np.float32)
    levels = np.linspace(0.1, 0.9, 49)
    shifts = np.array([(0, 0, 0), (0.03, 0, -0.02), (0.05, -0.03, -0.05), (-0.05, 0, 0.05)])
    return np.asarray(levels[:, None, None] + shifts, np.float32)
