"""The aligner that takes the detector's own points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from vfxswap.errors import UsageError
from vfxswap.frame import Detection
from vfxswap.geometry import Affine, Landmarks
from vfxswap.models import ModelStore
from vfxswap.stage import AlignerOptions, Cutter, Setting
from vfxswap_plugins.aligners.points5 import Points5

BOX = (0.0, 0.0, 50.0, 60.0)
FIVE = np.arange(10.0).reshape(5, 2)
MESH = Landmarks(np.random.default_rng(5).uniform(0, 50, (468, 3)), "mesh468")


class Blind(Cutter):
    """Gives no pixels."""

    def __call__(self, index: Sequence[int], plate_to_crop: Sequence[Affine], size_px: int) -> Tensor:
        raise AssertionError("this aligner looks at no pixels")


@pytest.fixture
def stage() -> Points5:
    return Points5(AlignerOptions.model_validate({}), Setting(torch.device("cpu"), ModelStore([], {}), 64, 64, 1, 9))


def test_five_points_become_landmarks(stage: Points5) -> None:
    (marks,) = stage.align([Detection(BOX, 1.0, FIVE)], Blind())
    assert marks is not None
    assert marks.scheme == "five"
    assert np.array_equal(marks.five(), FIVE)


def test_dense_points_come_first(stage: Points5) -> None:
    found = stage.align([Detection(BOX, 1.0, FIVE, 1, MESH), Detection(BOX, 1.0, None, 2, MESH)], Blind())
    assert found[0] is MESH
    assert found[1] is MESH


def test_no_points_are_said_with_the_place_of_the_face(stage: Points5) -> None:
    with pytest.raises(UsageError, match=r"gives no points for the face at \(0.0, 0.0, 50.0, 60.0\).*tracks file"):
        stage.align([Detection(BOX, 1.0)], Blind())


def test_no_faces_are_no_landmarks(stage: Points5) -> None:
    assert stage.align([], Blind()) == []
