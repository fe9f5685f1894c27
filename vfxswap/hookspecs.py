"""The few hooks: plugins offer stages, readers, writers and model cards, and may watch a run.

Frames do not go through hooks. An offer is a small record that names a class without importing it, so that listing
plugins imports no torch, and a pipeline imports only the stages that it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pluggy

if TYPE_CHECKING:
    from vfxswap.frame import Frame
    from vfxswap.report import Report

PROJECT = "vfxswap"
API_VERSION = (1, 3)
"""Major and minor of this contract: a plugin's major must be equal, its minor not larger.

A plugin states the numbers that it was written for; one that returns this constant says nothing.
"""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

StageKind = Literal[
    "detector", "tracker", "aligner", "swapper", "matte", "color", "blend", "deflicker", "finish", "stage"
]


@dataclass(frozen=True, slots=True)
class StageOffer:
    """A stage that a plugin has."""

    name: str
    """What a pipeline file writes after `use =`; lower case, digits and dashes."""
    kind: StageKind
    """What it does."""
    load: str
    """Where its class is: `"package.module:ClassName"`; `".module:ClassName"` is relative to the plugin's package, and
    `":ClassName"` is in the plugin's own module."""
    summary: str = ""
    """One line, for the listing."""
    licence: str = ""
    """SPDX expression of the stage's code."""


@dataclass(frozen=True, slots=True)
class MediaOffer:
    """A reader or a writer that a plugin has."""

    name: str
    """As the listing shows it."""
    load: str
    """Where its class is, as for a stage."""
    suffixes: tuple[str, ...]
    """File suffixes, with the dot and lower case, for which its class is asked."""
    summary: str = ""
    """One line, for the listing."""
    licence: str = ""
    """SPDX expression of the code."""


class Hooks:
    """The hook specifications."""

    @hookspec
    def vfxswap_api(self) -> tuple[int, int]:
        """The plugin API that the plugin was written for, such as `(1, 0)`; demanded of every plugin."""
        raise AssertionError("a specification is never called")

    @hookspec
    def vfxswap_stages(self) -> Sequence[StageOffer]:
        """The stages of this plugin."""
        raise AssertionError("a specification is never called")

    @hookspec
    def vfxswap_readers(self) -> Sequence[MediaOffer]:
        """The readers of this plugin."""
        raise AssertionError("a specification is never called")

    @hookspec
    def vfxswap_writers(self) -> Sequence[MediaOffer]:
        """The writers of this plugin."""
        raise AssertionError("a specification is never called")

    @hookspec
    def vfxswap_models(self) -> Sequence[Path]:
        """The `models.toml` files of this plugin."""
        raise AssertionError("a specification is never called")

    @hookspec
    def vfxswap_shot_started(self, pipeline: str, first: int, last: int) -> None:
        """A run begins: the pipeline file, the first and last frame. Watches only; an error is reported and ignored."""

    @hookspec
    def vfxswap_frame_done(self, frame: Frame) -> None:
        """A frame was handed to the writer. Watches only; an error is reported and ignored."""

    @hookspec
    def vfxswap_shot_finished(self, report: Report) -> None:
        """A run ended, well or not. Watches only; an error is reported and ignored."""
