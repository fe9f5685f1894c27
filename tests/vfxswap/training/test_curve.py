"""The curve of a training in TensorBoard's own files, read as TensorBoard reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from vfxswap.faceset.pictures import write_png
from vfxswap.training.curve import Curve

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TensorBoard's own imports


def shown(folder: Path) -> Any:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return found


def test_tensorboard_shows_losses_scores_and_previews(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    curve = Curve(tmp_path, 0)
    for step in (1, 2):
        curve.add(step, {"loss": 1 / step, "pixel": 0.25})
    write_png(tmp_path / "preview.png", torch.rand(3, 16, 24), bits=8)
    curve.preview(2, tmp_path / "preview.png", {"ada": 31.5})
    curve.close()
    found = shown(tmp_path)
    assert [(event.step, event.value) for event in found.Scalars("loss/loss")] == [(1, 1.0), (2, 0.5)]
    assert [event.value for event in found.Scalars("loss/pixel")] == [0.25, 0.25]
    assert [(event.step, event.value) for event in found.Scalars("held out psnr/ada")] == [(2, 31.5)]
    (picture,) = found.Images("preview")
    assert (picture.step, picture.width, picture.height) == (2, 24, 16)


def test_what_came_after_the_checkpoint_is_taken_back(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    first = Curve(tmp_path, 0)
    for step in (1, 2, 3, 4):
        first.add(step, {"loss": 8.0})
    first.close()
    again = Curve(tmp_path, 2)
    again.add(3, {"loss": 1.0})
    again.close()
    assert [(event.step, event.value) for event in shown(tmp_path).Scalars("loss/loss")] == [(1, 8), (2, 8), (3, 1)]
    assert [point.iteration for point in again.points()] == [1, 2, 3]


def test_a_process_that_does_not_lead_keeps_nothing(tmp_path: Path) -> None:
    curve = Curve(tmp_path, 0, writes=False)
    for step in range(1, 200):
        curve.add(step, {"loss": 1.0})
    curve.close()
    assert curve.points() == ()
    assert list(tmp_path.iterdir()) == []
