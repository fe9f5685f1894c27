"""A plugin for tests whose stages fail as real ones do: at one frame, by a wrong shape, by a number that is none."""

from __future__ import annotations

import time
from typing import Literal

import torch
from pydantic import Field

from vfxswap.frame import FaceBatch, Frame
from vfxswap.hookspecs import StageOffer, hookimpl
from vfxswap.stage import Matte, MatteOptions, Stage, StageOptions, Window


class TripsOptions(StageOptions):
    """Settings of `trips`."""

    at: int = Field(description="Frame at which it fails.")


class Trips(Stage[TripsOptions]):
    """Fails at one frame."""

    Options = TripsOptions

    def process(self, window: Window) -> Frame:
        """Gives the frame as it is."""
        if window.frame.number == self.options.at:
            raise ZeroDivisionError("the cable was pulled")
        return window.frame


class LingersOptions(StageOptions):
    """Settings of `lingers`."""

    seconds: float = Field(description="How long it takes for the second frame.")


class Lingers(Stage[LingersOptions]):
    """Takes its time, so that there is time to interrupt it."""

    Options = LingersOptions

    def process(self, window: Window) -> Frame:
        """Gives the frame as it is."""
        if window.frame.number == 2:
            time.sleep(self.options.seconds)
        return window.frame


class MisfitsOptions(MatteOptions):
    """Settings of `misfits`."""

    kind: Literal["shape", "nan"] = Field("shape", description="What is wrong.")


class Misfits(Matte[MisfitsOptions]):
    """Gives mattes that are none."""

    Options = MisfitsOptions

    def matte(self, faces: FaceBatch) -> torch.Tensor:
        """Gives a matte of half the size, or of no numbers."""
        size = faces.crops.shape[-1]
        if self.options.kind == "nan":
            return torch.full((len(faces), 1, size, size), float("nan"))
        return torch.ones(len(faces), 1, size // 2, size // 2)


@hookimpl
def vfxswap_api() -> tuple[int, int]:
    """The contract that it was written for."""
    return (1, 0)


@hookimpl
def vfxswap_stages() -> list[StageOffer]:
    """Its stages."""
    return [
        StageOffer("trips", "stage", ":Trips", "fails at one frame"),
        StageOffer("lingers", "stage", ":Lingers", "takes its time"),
        StageOffer("misfits", "matte", ":Misfits", "mattes of a wrong form"),
    ]
