"""The part of a writer's contract that is about layers."""

# ruff: noqa: S101 - asserts are what a contract suite is made of

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, get_args

import numpy as np
import pytest

from vfxswap.files import FramePattern
from vfxswap.frame import Frame, Layer
from vfxswap.geometry import Box
from vfxswap.layers import LayerOrder, Storing, layer_files
from vfxswap.media import DeliveryOptions, PlateInfo, Writer


class LayersOfWriterContract:
    """What a writer must keep that says it can store layers; `WriterContract` derives from it."""

    writer: ClassVar[type[Writer]]
    """The class under test."""

    def open(self, delivery: Path, settings: DeliveryOptions, like: PlateInfo) -> Writer:
        """The writer of this delivery."""
        raise NotImplementedError

    def frames(self) -> Sequence[Frame]:
        """What is delivered."""
        raise NotImplementedError

    @pytest.mark.parametrize("stored", get_args(Storing))
    def test_layers_are_written_with_their_frames_or_refused(
        self, delivery: Path, settings: DeliveryOptions, like: PlateInfo, stored: Storing
    ) -> None:
        """A writer that says it can stores all of them, whole, and the picture is not touched by that."""
        order = LayerOrder(("matte", "id"), stored, ("someone",))
        problems = self.writer.layer_problems(delivery, settings, order, like)
        assert not isinstance(problems, str)
        if problems:
            assert all(problems)
            return
        plain = self._written(delivery, settings, like, LayerOrder())
        layered = self._written(delivery, settings, like, order)
        beside = [
            pattern.path(frame.number)
            for pattern in layer_files(delivery, order, frames=like.count).values()
            for frame in self.frames()
        ]
        assert sorted(delivery.parent.iterdir()) == sorted([*plain, *beside])
        assert all(path.stat().st_size > 0 for path in beside)
        assert (layered == plain) is (stored == "files")

    def test_a_delivery_that_is_given_up_leaves_layers_of_whole_frames_alone(
        self, delivery: Path, settings: DeliveryOptions, like: PlateInfo
    ) -> None:
        """And nothing under a temporary name."""
        order = LayerOrder(("matte",), "files")
        if self.writer.layer_problems(delivery, settings, order, like):
            return
        writer = self.open(delivery, settings, like)
        writer.layers = order
        for frame in self.frames()[:3]:
            writer.write(layered_frame(frame, order, is_blank=False))
        writer.abandon()
        (files,) = layer_files(delivery, order, frames=like.count).values()
        pictures = FramePattern(delivery)
        whole = set(pictures.existing()) if pictures.is_numbered else set()
        assert whole <= set(files.existing())
        assert not [path for path in delivery.parent.iterdir() if ".tmp" in path.name]
        assert pictures.is_numbered or not list(delivery.parent.iterdir())

    def _written(
        self, delivery: Path, settings: DeliveryOptions, like: PlateInfo, order: LayerOrder
    ) -> Mapping[Path, str]:
        """Digests of the delivery's own files; every other frame has blank layers."""
        writer = self.open(delivery, settings, like)
        writer.layers = order
        for frame in self.frames():
            writer.write(layered_frame(frame, order, is_blank=frame.number % 2 == 0))
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in writer.finish()}


def layered_frame(frame: Frame, order: LayerOrder, *, is_blank: bool) -> Frame:
    """A frame with layers of one half in a part of it, or with blank ones."""
    width, height = frame.plate.width, frame.plate.height
    box = Box(0, 0, 0, 0) if is_blank else Box(width // 4, height // 4, width // 2, height // 2)
    layers: dict[str, Layer] = {
        name: Layer(box, np.full((len(order.channels(name)), box.height, box.width), 0.5, np.float32))
        for name in order.names
    }
    return replace(frame, layers=layers)
