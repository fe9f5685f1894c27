"""What a farm would find out is found by a plugin's own test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from vfxswap.frame import FaceBatch, FaceWindow
from vfxswap.options import MatteOptions, StageOptions
from vfxswap.stage import Deflicker, Matte, Span, Stage
from vfxswap.testing import assert_chunks_have_the_bits_of_the_whole


class Window(Deflicker[StageOptions]):
    """Declares what it looks at."""

    window = Span(2, 1)

    def steady(self, window: FaceWindow) -> Tensor:
        """The mean."""
        return window.swapped.mean(dim=0)


class Trailing(Deflicker[StageOptions]):
    """Remembers what it made last."""

    threads = "one"

    def open(self) -> None:
        """Forgets."""
        self.last: Tensor | None = None

    def steady(self, window: FaceWindow) -> Tensor:
        """A running mean."""
        now = window.swapped[window.center]
        self.last = now if self.last is None else torch.lerp(self.last, now, 0.5)
        return self.last


class Counting(Matte[MatteOptions]):
    """Counts the frames that it saw."""

    Options = MatteOptions
    threads = "one"

    def open(self) -> None:
        """Starts anew."""
        self.seen = 0

    def matte(self, faces: FaceBatch) -> Tensor:
        """Darker with each."""
        mattes = []
        for crop in faces.crops:
            self.seen += 1
            mattes.append(torch.full_like(crop[:1], 1 / self.seen))
        return torch.stack(mattes)


def test_a_declared_window_passes(tmp_path: Path) -> None:
    assert_chunks_have_the_bits_of_the_whole(Window, StageOptions(), folder=tmp_path)


@pytest.mark.parametrize(
    ("stage", "options"), [(Trailing, StageOptions()), (Counting, MatteOptions.model_validate({}))]
)
def test_what_is_kept_between_frames_is_found(stage: type[Stage[Any]], options: StageOptions, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"frame \d+: \d+ samples of plane 0 differ between the chunk"):
        assert_chunks_have_the_bits_of_the_whole(stage, options, folder=tmp_path)
