"""The hull matte: its outline, its options, and that a face does not depend on its neighbours in a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from vfxswap.errors import UsageError
from vfxswap.frame import FaceBatch
from vfxswap.geometry import Landmarks
from vfxswap.stage import Setting
from vfxswap_plugins.mattes.hull import Hull, HullOptions, outline

Batch = Callable[..., FaceBatch]


@pytest.fixture
def matte_of(setting: Setting, batch: Batch) -> Callable[..., Tensor]:
    """The matte `(S, S)` of one face under some options."""

    def make(landmarks: Landmarks, **options: Any) -> Tensor:
        return Hull(HullOptions.model_validate(options), setting).matte(batch([landmarks]))[0, 0]

    return make


def outside_of(landmarks: Landmarks, size: int = 128) -> Tensor:
    """Pixel centres outside the convex hull, by OpenCV."""
    hull = cv2.convexHull(landmarks.points[:, :2].astype(np.float32))
    inside = [[cv2.pointPolygonTest(hull, (x + 0.5, y + 0.5), False) > 0 for x in range(size)] for y in range(size)]
    return ~torch.tensor(inside)


@pytest.mark.parametrize("feather", [0.0, 5.0, 20.0])
def test_the_matte_stays_inside_the_landmarks(matte_of: Callable[..., Tensor], mesh: Landmarks, feather: float) -> None:
    matte = matte_of(mesh, feather_percent=feather)
    assert float(matte[outside_of(mesh)].max()) == 0
    assert float(matte.max()) == 1
    assert float(matte[72, 64]) == 1
    assert float(matte.min()) == 0


def test_a_wider_feather_takes_from_the_edge_only(matte_of: Callable[..., Tensor], mesh: Landmarks) -> None:
    narrow, wide = matte_of(mesh, feather_percent=2.0), matte_of(mesh, feather_percent=10.0)
    assert bool((wide <= narrow).all())
    assert torch.equal(wide > 0, narrow > 0)


def test_options_mean_the_same_at_any_resolution(setting: Setting, mesh: Landmarks) -> None:
    options = HullOptions.model_validate({"feather_percent": 8.0, "erode_left_percent": 6.0, "forehead_percent": 4.0})
    sizes = (64, 256)
    mattes = []
    for size in sizes:
        landmarks = Landmarks(mesh.points * size / 128, "mesh468")
        faces = FaceBatch(torch.zeros(1, 3, size, size), (landmarks,), (np.eye(2, 3),), (1,))
        mattes.append(Hull(options, setting).matte(faces))
    small = torch.nn.functional.avg_pool2d(mattes[1], 4)
    assert float((small - mattes[0]).abs().max()) < 0.15
    assert float((small - mattes[0]).abs().mean()) < 0.004


@pytest.mark.parametrize("side", ["top", "bottom", "left", "right"])
def test_each_side_erodes_alone(matte_of: Callable[..., Tensor], mesh: Landmarks, side: str) -> None:
    plain = matte_of(mesh) > 0
    eroded = matte_of(mesh, **{f"erode_{side}_percent": 10.0}) > 0
    extents = [
        [int(edge) for axis in (0, 1) for edge in torch.nonzero(matte.any(dim=axis)).flatten()[[0, -1]]]
        for matte in (plain, eroded)
    ]
    moved = dict(
        zip(
            ("left", "right", "top", "bottom"),
            np.abs(np.array(extents[0]) - np.array(extents[1])).tolist(),
            strict=True,
        )
    )
    assert moved.pop(side) in (12, 13)
    assert max(moved.values()) <= 4


def test_the_forehead_rises(matte_of: Callable[..., Tensor], mesh: Landmarks) -> None:
    plain, raised = matte_of(mesh, feather_percent=0.0), matte_of(mesh, feather_percent=0.0, forehead_percent=10.0)
    rows = [int(torch.nonzero(matte.any(dim=1))[0]) for matte in (plain, raised)]
    assert rows[0] - rows[1] in (12, 13)
    assert torch.equal(plain[100:], raised[100:])


def test_growing_may_leave_the_landmarks(matte_of: Callable[..., Tensor], mesh: Landmarks) -> None:
    grown = matte_of(mesh, grow_percent=5.0, feather_percent=0.0)
    assert float(grown[outside_of(mesh)].max()) == 1


def test_excluded_parts_keep_the_plate(matte_of: Callable[..., Tensor], mesh: Landmarks) -> None:
    matte = matte_of(mesh, exclude=("eyes", "mouth"))
    assert [float(matte[row, column]) for row, column in ((60, 48), (60, 80), (93, 64))] == [0, 0, 0]
    assert float(matte[72, 64]) == 1
    assert float(matte_of(mesh, exclude=("eyes",))[93, 64]) == 1


def test_five_points_have_no_eyes_to_exclude(matte_of: Callable[..., Tensor], five: Landmarks) -> None:
    with pytest.raises(UsageError, match="facemesh"):
        matte_of(five, exclude=("eyes",))


def test_an_ellipse_is_estimated_from_five_points(matte_of: Callable[..., Tensor], five: Landmarks) -> None:
    matte = matte_of(five)
    eyes, mouth = five.five()[:2].mean(axis=0), five.five()[3:].mean(axis=0)
    for x, y in (*five.points, (eyes + mouth) / 2):
        assert float(matte[int(y), int(x)]) > 0.9
    assert 0.1 < float(matte.mean()) < 0.35


def test_a_turned_face_has_a_turned_forehead(mesh: Landmarks) -> None:
    turn = np.array([(0.0, -1.0, 128.0), (1.0, 0.0, 0.0)])
    straight = outline(mesh, forehead_px=9.0)
    turned = outline(mesh.mapped(turn), forehead_px=9.0)
    np.testing.assert_allclose(turned, straight @ turn[:, :2].T + turn[:, 2], atol=1e-9)


def test_the_matte_fades_before_the_crops_border(matte_of: Callable[..., Tensor], mesh: Landmarks) -> None:
    huge = Landmarks((mesh.points - 64) * 3 + 64, "mesh468")
    matte = matte_of(huge, feather_percent=10.0)
    assert float(torch.cat([matte[0], matte[-1], matte[:, 0], matte[:, -1]]).max()) < 0.01
    assert float(matte[64, 64]) == 1


def test_a_face_is_the_same_in_any_batch(setting: Setting, batch: Batch, mesh: Landmarks, five: Landmarks) -> None:
    stage = Hull(HullOptions.model_validate({}), setting)
    faces = [mesh, five, Landmarks(mesh.points * 0.9, "mesh468")]
    together = stage.matte(batch(faces))
    for index, face in enumerate(faces):
        assert torch.equal(stage.matte(batch([face]))[0], together[index])
    assert together.shape == (3, 1, 128, 128)
    assert together.dtype == torch.float32


@pytest.mark.parametrize("wrong", [{"feather_percent": -1.0}, {"exclude": ("nose",)}, {"feather_px": 3}])
def test_wrong_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        HullOptions.model_validate(wrong)
