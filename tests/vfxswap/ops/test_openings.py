"""Eyes and teeth take light alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from vfxswap.geometry import Landmarks
from vfxswap.ops.openings import OPENINGS, eye_distance_px, opening_map, opening_masks, skin_mask
from vfxswap.testing import face_landmarks

SIZE = 128
MARKS = face_landmarks(np.array([(SIZE, 0.0, 0.0), (0.0, SIZE, 0.0)]), mouth_open=0.6, eyes_open=1.0)


def eyes(white: float, iris: tuple[float, float, float]) -> Tensor:
    """Half of each opening white, a third iris, the rest black."""
    picture = torch.full((3, SIZE, SIZE), white)
    stripes = torch.arange(SIZE) % 12
    picture[:, :, (stripes >= 6) & (stripes < 10)] = torch.tensor(iris)[:, None, None]
    picture[:, :, stripes >= 10] = 0.02
    return picture


def test_masks_lie_on_eyes_and_mouth() -> None:
    masks = opening_masks(MARKS, torch.zeros(3, SIZE, SIZE))
    assert masks.shape == (len(OPENINGS), SIZE, SIZE)
    for mask, region in zip(masks, ("left_eye", "lips_inner"), strict=True):
        x, y = MARKS.region(region).mean(axis=0).astype(int)  # type: ignore[arg-type]
        assert mask[y, x] == 1
    assert masks[:, : SIZE // 5].max() == 0
    skin = skin_mask(MARKS, torch.zeros(3, SIZE, SIZE))
    assert float(skin[masks.amax(dim=0) > 0.5].max()) < 0.2
    x, y = MARKS.points[5, :2].astype(int)
    assert skin[y, x] == 1


def test_white_goes_to_white_and_a_brown_iris_stays_brown() -> None:
    mask = opening_masks(MARKS, torch.zeros(3, SIZE, SIZE))[0]
    ours, theirs = eyes(0.9, (0.3, 0.2, 0.1)), eyes(0.6, (0.1, 0.5, 0.2))
    found = opening_map([ours], [theirs], [mask], eye_distances_px=[eye_distance_px(MARKS)])
    mapped = found(ours)
    assert float(mapped.max()) == pytest.approx(0.6, abs=0.02)
    iris = mapped[:, 0, 7]
    assert iris[0] > 1.3 * iris[1] > 1.3 * iris[2]
    assert found.trust > 0.5


def test_what_is_shut_is_not_believed() -> None:
    shut = face_landmarks(np.array([(SIZE, 0.0, 0.0), (0.0, SIZE, 0.0)]), mouth_open=0.0, eyes_open=0.02)
    empty = torch.zeros(SIZE, SIZE)
    found = opening_map([eyes(0.9, (0.3, 0.2, 0.1))], [eyes(0.6, (0.0, 0.0, 0.0))], [empty], eye_distances_px=[40.0])
    assert found.trust == 0
    assert bool(torch.isfinite(found(eyes(0.9, (0.3, 0.2, 0.1)))).all())
    small = opening_masks(shut, torch.zeros(3, SIZE, SIZE))[1]
    assert (
        opening_map([eyes(1.0, (0.0, 0.0, 0.0))], [eyes(1.0, (0.0, 0.0, 0.0))], [small], eye_distances_px=[40.0]).trust
        < 0.6
    )


def test_five_points_have_no_openings() -> None:
    five = Landmarks(MARKS.five(), "five")
    assert opening_masks(five, torch.zeros(3, SIZE, SIZE)).max() == 0
    assert skin_mask(five, torch.zeros(3, SIZE, SIZE)).min() == 1
