"""Drivers: how the host puts each kind of stage to work on a batch of frames.

A driver gathers what its stage needs from the faces of a batch, calls the stage's one method, checks what comes back,
and gives changed copies of the frames. Stages never see one another, nor the order of frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vfxswap.drivers.base import Around, Driver, Shot, Step
from vfxswap.drivers.color import ColorDriver
from vfxswap.drivers.faces import MatteDriver, SwapperDriver
from vfxswap.drivers.finding import AlignerDriver, DetectorDriver
from vfxswap.drivers.pasting import BlendDriver, FinishDriver
from vfxswap.drivers.time import DeflickerDriver, ProcessDriver
from vfxswap.drivers.tracking import TrackerDriver
from vfxswap.identity import Identity
from vfxswap.stage import Aligner, Blend, ColorMatch, Deflicker, Detector, Finish, Matte, Stage, Swapper, Tracker

__all__ = ["Around", "Driver", "Shot", "Step", "driver_for"]


def driver_for(stage: Stage[Any], shot: Shot, identities: Mapping[str, Identity]) -> Driver:
    """The driver of a stage's kind."""
    if isinstance(stage, Swapper):
        return SwapperDriver(stage, shot, identities[stage.options.identity])
    for kind, driver in _DRIVERS:
        if isinstance(stage, kind):
            return driver(stage, shot)
    return ProcessDriver(stage, shot)


_DRIVERS: tuple[tuple[type[Stage[Any]], Callable[[Any, Shot], Driver]], ...] = (
    (Detector, DetectorDriver),
    (Tracker, TrackerDriver),
    (Aligner, AlignerDriver),
    (Matte, MatteDriver),
    (ColorMatch, ColorDriver),
    (Deflicker, DeflickerDriver),
    (Blend, BlendDriver),
    (Finish, FinishDriver),
)
