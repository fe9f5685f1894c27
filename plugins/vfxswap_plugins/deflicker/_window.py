"""What every de-flicker does with its window."""

from __future__ import annotations

from vfxswap.frame import FaceWindow


def near(window: FaceWindow, radius_frames: int) -> FaceWindow:
    """The frames within a radius, by their numbers: a window with holes reaches farther."""
    now = window.frames[window.center]
    kept = [index for index, frame in enumerate(window.frames) if abs(frame - now) <= radius_frames]
    some = slice(kept[0], kept[-1] + 1)
    return FaceWindow(
        swapped=window.swapped[some],
        plate=window.plate[some],
        mattes=window.mattes[some],
        frames=window.frames[some],
        center=window.center - kept[0],
    )
