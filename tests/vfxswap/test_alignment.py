"""Templates, and the crops that they make of a face."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest

from vfxswap.alignment import (
    _UNIT_33,
    TEMPLATE_NAMES,
    TEMPLATES,
    CropSpec,
    FaceType,
    as_ibug68,
    crop_of_type,
)
from vfxswap.errors import ShapeError
from vfxswap.geometry import Affine, Landmarks, Points, inverted, mapped, scale_of
from vfxswap.testing.mesh import face_landmarks


def similarity(scale: float, degrees: float, shift: tuple[float, float]) -> Affine:
    c, s = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_a_face_in_the_middle_of_its_crop(name: str) -> None:
    left, right, nose, mouth_left, mouth_right = TEMPLATES[name]  # type: ignore[index]
    assert left[0] < nose[0] < right[0]
    assert mouth_left[0] < nose[0] < mouth_right[0]
    assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
    assert abs(nose[0] - 0.5) < 0.02


def test_arcface_is_insightfaces_own_template() -> None:
    """The 112 px points of insightface/utils/face_align.py."""
    original = [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
    assert np.abs(TEMPLATES["arcface_112_v2"] * 112 - original).max() < 1e-4
    assert np.abs(TEMPLATES["arcface_128"] * 128 - original - (8, 0)).max() < 1e-2


def test_a_crop_puts_the_five_points_onto_its_template() -> None:
    spec = CropSpec("arcface_112_v2", 112)
    five = mapped(similarity(3, 20, (400, 300)), TEMPLATES["arcface_112_v2"] * 112)
    assert np.allclose(mapped(spec.plate_to_crop(Landmarks(five, "five")), five), TEMPLATES["arcface_112_v2"] * 112)


def test_zoom_works_about_the_crops_middle() -> None:
    face = Landmarks(TEMPLATES["ffhq_512"] * 300 + (50, 60), "five")
    plain, near = CropSpec().plate_to_crop(face), CropSpec(zoom=2.0).plate_to_crop(face)
    middle = mapped(inverted(plain), np.array([(256.0, 256.0)]))
    assert np.allclose(mapped(near, middle), 256)
    assert scale_of(near) == pytest.approx(2 * scale_of(plain))


def ibug(points33: Points) -> Landmarks:
    points = np.zeros((68, 2))
    points[[*range(17, 49), 54]] = points33
    return Landmarks(points, "ibug68")


@pytest.mark.parametrize(
    ("face_type", "side"), [("half", 1.0), ("mid_full", 1.1909), ("full", 1.5966), ("whole", 2.1314), ("head", 2.9799)]
)
def test_a_dfl68_crop_has_the_side_that_deepfacelab_gives_it(face_type: FaceType, side: float) -> None:
    """In units of the template's width; measured from that program's own constants."""
    matrix = crop_of_type(face_type, 256).plate_to_crop(ibug(_UNIT_33 * 100))
    assert 256 / scale_of(matrix) / 100 == pytest.approx(side, abs=1e-4)


def test_a_dfl68_crop_sits_on_the_unit_squares_middle_or_above() -> None:
    def middle(face_type: FaceType) -> Points:
        matrix = crop_of_type(face_type, 64).plate_to_crop(ibug(_UNIT_33))
        return mapped(inverted(matrix), np.array([(32.0, 32.0)]))

    assert np.allclose(middle("full"), (0.5, 0.5))
    assert np.allclose(middle("whole"), (0.5, 0.43))


def test_a_heads_crop_follows_the_back_of_a_turned_head() -> None:
    points = ibug(_UNIT_33 * 200).points.copy()
    points[[0, 1, 2], 0], points[[14, 15, 16], 0] = 0, 196.0514
    straight = crop_of_type("head", 64).plate_to_crop(Landmarks(points, "ibug68"))
    points[[0, 1, 2], 0] = 80  # the nose is now nearer to the jaw at the image's left
    turned = crop_of_type("head", 64).plate_to_crop(Landmarks(points, "ibug68"))
    centre = np.array([(32.0, 32.0)])
    assert abs(mapped(inverted(straight), centre)[0, 0] / 200 - 0.5) < 0.001
    assert mapped(inverted(turned), centre)[0, 0] / 200 > 0.52


@pytest.mark.parametrize("face_type", get_args(FaceType))
def test_a_dfl68_crop_turns_and_scales_with_the_face_and_ignores_a_moving_mouth(face_type: FaceType) -> None:
    spec, turn = crop_of_type(face_type, 128), similarity(40, 25, (300, 200))
    face = face_landmarks(np.array([[100.0, 0, 0], [0, 100.0, 0]]))
    still = spec.plate_to_crop(face)
    assert np.allclose(mapped(spec.plate_to_crop(face.mapped(turn)), mapped(turn, face.points)[:, :2]),
                       mapped(still, face.points[:, :2]))  # fmt: skip
    talking = face_landmarks(np.array([[100.0, 0, 0], [0, 100.0, 0]]), mouth_open=1.0)
    assert np.allclose(spec.plate_to_crop(talking), still)


def test_zoom_of_a_dfl68_crop_works_about_its_middle() -> None:
    face = ibug(_UNIT_33)
    plain, near = CropSpec("dfl68_whole", 64).plate_to_crop(face), CropSpec("dfl68_whole", 64, 2.0).plate_to_crop(face)
    assert np.allclose(mapped(near, mapped(inverted(plain), np.array([(32.0, 32.0)]))), 32)


def test_five_points_do_not_fix_a_dfl68_crop() -> None:
    five = Landmarks(TEMPLATES["ffhq_512"] * 100, "five")
    with pytest.raises(ShapeError, match=r"dfl68 crop must be ibug68 or mesh468 .*facemesh.*got five"):
        crop_of_type("whole", 64).plate_to_crop(five)
    with pytest.raises(ShapeError, match="ibug68 or mesh468"):
        as_ibug68(five)


def test_every_template_name_makes_a_crop() -> None:
    face = face_landmarks(np.array([[100.0, 0, 0], [0, 100.0, 0]]))
    for name in TEMPLATE_NAMES:
        nose = mapped(CropSpec(name, 100).plate_to_crop(face), face.points[[1], :2])[0]  # type: ignore[arg-type]
        assert 30 < nose[0] < 70
        assert 30 < nose[1] < 80
