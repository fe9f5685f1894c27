"""A whole picture through OpenColorIO itself, on the CPU."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import PyOpenColorIO as Ocio
from numpy.typing import NDArray

from vfxswap.errors import ColorError, ShapeError
from vfxswap.ocio.config import FAILURES, Config, nearest

_STRIP_PX = 1 << 16
"""Pixels that a thread takes at once: they fit a core's own cache."""


@dataclass(frozen=True, slots=True)
class DisplayView:
    """A way of showing pictures: a display of the configuration and one of its views; empty is its first."""

    display: str = ""
    view: str = ""


class Converter:
    """One transform for whole pictures; may be used by many threads.

    Args:
        processor: What OpenColorIO made of it.
        words: What it does, for messages and reports.
    """

    def __init__(self, processor: Ocio.CPUProcessor, words: str) -> None:
        self._processor, self.words = processor, words

    def __call__(self, picture: NDArray[Any], *, threads: int | None = None) -> NDArray[np.float32]:
        """Converts a picture, several strips of rows at a time; the result does not depend on how many.

        Args:
            picture: `(H, W, 3)` of any float type; it is left as it is. Nothing is clipped that the transform does not
                clip itself.
            threads: How many to use; None is one a core.

        Returns:
            `(H, W, 3)` float32.

        Raises:
            ShapeError: There are not three channels.
        """
        if picture.ndim != 3 or picture.shape[2] != 3:
            raise ShapeError("picture", expected="(H, W, 3)", actual=str(picture.shape))
        height, width, _ = picture.shape
        result: NDArray[np.float32] = np.array(picture, dtype=np.float32, order="C")
        rows = max(_STRIP_PX // max(width, 1), 1)
        strips = [result[start : start + rows] for start in range(0, height, rows)]
        count = min(threads or _cores(), len(strips))
        if count <= 1:
            for strip in strips:
                self._convert(strip)
        else:
            with ThreadPoolExecutor(count, thread_name_prefix="ocio") as pool:
                list(pool.map(self._convert, strips))
        return result

    def _convert(self, strip: NDArray[np.float32]) -> None:
        """In place."""
        self._processor.applyRGB(strip)


def converter(config: Config, source: str, target: str | DisplayView) -> Converter:
    """A transform from a space of a configuration to another one, or to what a display is sent.

    Args:
        config: The configuration.
        source: Name, alias or role of the picture's space.
        target: Name, alias or role of another; or a display and its view, as for a review movie.

    Raises:
        ColorError: A name does not exist (the nearest are shown), or the configuration has no such transform.
    """
    space = config.space(source).name
    if isinstance(target, DisplayView):
        shown = _existing(config, target)
        transform = Ocio.DisplayViewTransform(src=space, display=shown.display, view=shown.view)
        words = f"{space} to {shown.view!r} of {shown.display!r}"
    else:
        goal = config.space(target).name
        transform = Ocio.ColorSpaceTransform(src=space, dst=goal)
        words = f"{space} to {goal}"
    try:
        processor = config.library.getProcessor(transform).getOptimizedCPUProcessor(Ocio.OPTIMIZATION_LOSSLESS)
    except FAILURES as error:
        reason = " ".join(str(error).split())
        raise ColorError(f"the configuration {config.name} cannot bring {words}: {reason}") from error
    return Converter(processor, words)


def _existing(config: Config, wanted: DisplayView) -> DisplayView:
    """Names as the configuration spells them; what is left empty, filled in."""
    known = config.displays()
    display = _one(wanted.display or config.library.getDefaultDisplay(), list(known), f"{config.name} has no display")
    view = wanted.view or config.library.getDefaultView(display)
    return DisplayView(display, _one(view, known[display], f"the display {display!r} of {config.name} has no view"))


def _one(name: str, known: list[str], what: str) -> str:
    for each in known:
        if each.lower() == name.lower():
            return each
    near = nearest(name, {each: each for each in known})
    raise ColorError(f"{what} {name!r}; {'nearest' if near else 'it has'}: {', '.join(map(repr, near or known))}")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
