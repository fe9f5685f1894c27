"""What is measured of a face: sharpness that knows blur from grain, light by its side, likeness by looks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vfxswap.alignment import crop_of_type
from vfxswap.frame import FaceBatch
from vfxswap.geometry import Landmarks
from vfxswap.ops.measure import descriptor, face_region, measured
from vfxswap.testing.material import face_batch

SIZE = 128


@pytest.fixture(scope="module")
def faces() -> FaceBatch:
    return face_batch(4, crop=crop_of_type("whole", SIZE))


@pytest.fixture(scope="module")
def image(faces: FaceBatch) -> Tensor:
    return faces.crops[0].clamp(0, 1)


@pytest.fixture(scope="module")
def landmarks(faces: FaceBatch) -> Landmarks:
    return faces.landmarks[0]


def _blurred(image: Tensor, sigma: float) -> Tensor:
    if sigma == 0:
        return image
    return torch.from_numpy(cv2.GaussianBlur(image.permute(1, 2, 0).numpy(), (0, 0), sigma)).permute(2, 0, 1)


def test_blur_lowers_sharpness_step_by_step(image: Tensor, landmarks: Landmarks) -> None:
    values = [measured(_blurred(image, sigma), landmarks).sharpness for sigma in (0, 0.7, 1, 1.5, 2, 3, 5)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 5 * values[-1] > 0


def test_an_enlarged_crop_counts_as_soft(image: Tensor, landmarks: Landmarks) -> None:
    quarter = torch.nn.functional.avg_pool2d(image[None], 4)
    enlarged = torch.nn.functional.interpolate(quarter, (SIZE, SIZE), mode="bicubic", align_corners=False)[0]
    assert measured(enlarged, landmarks).sharpness < 0.5 * measured(image, landmarks).sharpness


def test_grain_does_not_make_a_blurred_face_sharp(image: Tensor, landmarks: Landmarks) -> None:
    rng = torch.Generator().manual_seed(3)
    grain = 0.01 * torch.randn(image.shape, generator=rng)
    assert measured(_blurred(image, 3) + grain, landmarks).sharpness < measured(image, landmarks).sharpness / 2


def test_contrast_and_background_do_not_count(image: Tensor, landmarks: Landmarks) -> None:
    sharp = measured(image, landmarks).sharpness
    assert measured(0.5 + 0.3 * (image - 0.5), landmarks).sharpness == pytest.approx(sharp, rel=0.02)
    outside = torch.from_numpy(~face_region(landmarks, SIZE))
    noise = torch.rand(image.shape, generator=torch.Generator().manual_seed(1))
    assert measured(torch.where(outside, noise, image), landmarks).sharpness == pytest.approx(sharp, rel=0.1)


@pytest.mark.parametrize(("axis", "name"), [(2, "key_right_stops"), (1, "key_top_stops")])
def test_light_from_a_side_is_told_in_stops(landmarks: Landmarks, axis: int, name: str) -> None:
    grey = torch.full((3, SIZE, SIZE), 0.2)
    assert getattr(measured(grey, landmarks), name) == pytest.approx(0, abs=0.01)
    left, right, _, mouth, _ = landmarks.five()
    middle = round(float((left[0] + right[0]) / 2)) if axis == 2 else round(float((left[1] + mouth[1]) / 2))
    linear = torch.full((SIZE, SIZE), 0.1)
    linear.index_fill_(axis - 1, torch.arange(middle, SIZE) if axis == 2 else torch.arange(middle), 0.2)
    coded = 1.055 * linear ** (1 / 2.4) - 0.055
    assert getattr(measured(coded.expand(3, -1, -1).clone(), landmarks), name) == pytest.approx(1, abs=0.1)


def test_warmth_is_red_over_blue_in_stops(landmarks: Landmarks) -> None:
    coded = 1.055 * torch.tensor([0.4, 0.2, 0.1]) ** (1 / 2.4) - 0.055
    found = measured(coded[:, None, None].expand(3, SIZE, SIZE).clone(), landmarks)
    assert found.warmth_stops == pytest.approx(2, abs=0.05)
    assert found.brightness == pytest.approx(float(coded @ torch.tensor([0.2126, 0.7152, 0.0722])), abs=1e-4)


def test_a_blank_face_and_one_outside_the_crop_are_nothing(landmarks: Landmarks) -> None:
    assert measured(torch.zeros(3, SIZE, SIZE), landmarks).sharpness == 0
    away = Landmarks(landmarks.points + 1000, landmarks.scheme)
    assert measured(torch.rand(3, SIZE, SIZE), away) == (0, 0, 0, 0, 0)


def test_five_points_get_a_margin(faces: FaceBatch) -> None:
    five = Landmarks(faces.landmarks[0].five(), "five")
    part = face_region(five, SIZE)
    assert part.mean() > 0.5 * face_region(faces.landmarks[0], SIZE).mean()


def test_descriptors_tell_the_same_from_another(faces: FaceBatch, image: Tensor, landmarks: Landmarks) -> None:
    own = descriptor(image, landmarks)
    assert float(np.linalg.norm(own)) == pytest.approx(1, abs=1e-5)
    brighter = descriptor((0.1 + 0.8 * image).clamp(0, 1), landmarks)
    assert float(own @ brighter) > 0.999
    rng = torch.Generator().manual_seed(3)
    grainy = descriptor((image + 0.01 * torch.randn(image.shape, generator=rng)).clamp(0, 1), landmarks)
    assert float(own @ grainy) > 0.98
    flipped = descriptor(image.flip(2), landmarks)
    assert float(own @ flipped) < float(own @ grainy)


def test_inputs_are_left_as_they_are(image: Tensor, landmarks: Landmarks) -> None:
    before, points = image.clone(), landmarks.points.copy()
    measured(image, landmarks)
    descriptor(image, landmarks)
    assert torch.equal(image, before)
    np.testing.assert_array_equal(landmarks.points, points)
