"""FaceMesh: its squares and averaging held to a made-up network, the whole to real faces."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.errors import ModelMissing, ShapeError
from vfxswap.frame import Detection
from vfxswap.geometry import REGIONS, Affine, Landmarks, Points, mapped, pose_of, scale_of
from vfxswap.models import ModelStore, read_cards
from vfxswap.ops import warp
from vfxswap.stage import Cutter, Setting
from vfxswap_plugins.aligners.facemesh import (
    INPUT_PX,
    FaceMesh,
    FaceMeshOptions,
    first_square,
    lean,
    square_around,
)
from vfxswap_plugins.aligners.looks import offsets


class PictureCutter(Cutter):
    """Cuts from pictures held whole, one a face."""

    def __init__(self, *pictures: Tensor) -> None:
        self.pictures = pictures
        self.cuts: list[int] = []

    def __call__(self, index: Sequence[int], plate_to_crop: Sequence[Affine], size_px: int) -> Tensor:
        self.cuts.append(len(index))
        pieces = [
            warp.cut(self.pictures[i], origin=(0, 0), plate_to_crop=matrix, size_px=size_px)
            for i, matrix in zip(index, plate_to_crop, strict=True)
        ]
        return torch.stack(pieces) if pieces else torch.empty(0, 3, size_px, size_px)


def a_face(middle: tuple[float, float], size: float, degrees: float) -> Points:
    """468 plausible points with depth, in plate pixels: an ellipse with eyes, nose and mouth, leaning clockwise."""
    points = np.zeros((468, 3))
    around = np.linspace(0, 2 * math.pi, len(REGIONS["mesh468"]["oval"]), endpoint=False)
    points[list(REGIONS["mesh468"]["oval"]), :2] = np.stack([np.sin(around) * 0.42, -np.cos(around) * 0.5], axis=1)
    for side, x in (("left_eye", -0.18), ("right_eye", 0.18)):
        points[list(REGIONS["mesh468"][side]), :2] = x, -0.1  # type: ignore[index]
    points[1], points[61, :2], points[291, :2] = (0, 0.08, -0.2), (-0.14, 0.24), (0.14, 0.24)
    turn = math.radians(degrees)
    matrix = np.array([(math.cos(turn), -math.sin(turn), middle[0]), (math.sin(turn), math.cos(turn), middle[1])])
    matrix[:, :2] *= size
    return mapped(matrix, points)


@dataclass
class _Named:
    name: str


class _FakeSession:
    """A network that knows where the face is in every crop: by a rule from the crop's pixels."""

    def __init__(self, rule: Callable[[NDArray[np.float32]], Points]) -> None:
        self.rule, self.calls = rule, 0

    def get_inputs(self) -> list[_Named]:
        return [_Named("input_1")]

    def run(self, _: None, feed: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        (picture,) = feed["input_1"]
        assert picture.shape == (INPUT_PX, INPUT_PX, 3)
        assert 0 <= picture.min() <= picture.max() <= 1
        self.calls += 1
        return [self.rule(picture).astype(np.float32).reshape(1, 1, 1, -1)]


def place_map(width: int, height: int) -> Tensor:
    """A picture whose red and green say where each pixel is."""
    x, y = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    return torch.from_numpy(np.stack([*np.meshgrid(x, y), np.zeros((height, width))]).astype(np.float32))


def seen_by_place(truth: Points, width: int, height: int) -> Callable[[NDArray[np.float32]], Points]:
    """The rule of a perfect network for `place_map`: reads the crop's similarity off its pixels."""

    def rule(picture: NDArray[np.float32]) -> Points:
        rows, columns = np.mgrid[64:128:4, 64:128:4].reshape(2, -1)
        here = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], axis=1)
        plate = picture[rows, columns, :2].astype(np.float64) * (width, height)
        crop_to_plate = np.linalg.lstsq(here, plate, rcond=None)[0].T
        linear = np.linalg.inv(crop_to_plate[:, :2])
        return mapped(np.column_stack([linear, -linear @ crop_to_plate[:, 2]]), truth)

    return rule


def a_stage(**options: Any) -> FaceMesh:
    setting = Setting(torch.device("cpu"), ModelStore([], {}), 640, 480, 1, 9)
    return FaceMesh(FaceMeshOptions.model_validate(options), setting)


TRUTH = a_face((300, 240), 160, 25)
FOUND = Detection((220.0, 150.0, 375.0, 330.0), 0.9, Landmarks(TRUTH, "mesh468").five() + 2)


@pytest.mark.parametrize("average", [1, 4, 8])
@pytest.mark.parametrize("passes", [1, 2, 3])
def test_points_and_depth_come_back_into_the_plate(passes: int, average: int) -> None:
    stage, cutter = a_stage(passes=passes, average=average), PictureCutter(place_map(640, 480))
    stage._session = session = _FakeSession(seen_by_place(TRUTH, 640, 480))
    (marks,) = stage.align([FOUND], cutter)
    assert marks is not None
    assert marks.scheme == "mesh468"
    assert np.abs(marks.points - TRUTH).max() < 0.05
    assert session.calls == passes - 1 + average
    assert cutter.cuts == [1] * passes


def test_faces_are_measured_each_for_itself() -> None:
    other = a_face((120, 330), 90, -40)
    found = Detection((70.0, 280.0, 170.0, 390.0), 0.9, Landmarks(other, "mesh468").five())
    pictures = [torch.rand(3, 480, 640, generator=torch.Generator().manual_seed(i)) for i in (1, 2)]
    stage = a_stage()
    stage._session = _FakeSession(lambda picture: a_face((96, 96), 128, 0) + picture.mean() * 10)
    together = stage.align([FOUND, found, FOUND], PictureCutter(pictures[0], pictures[1], pictures[0]))
    alone = [stage.align([FOUND], PictureCutter(pictures[0])), stage.align([found], PictureCutter(pictures[1]))]
    got = [marks.points for marks in together if marks is not None]
    expected = [marks.points for (marks,) in (*alone, alone[0]) if marks is not None]
    assert len(got) == len(expected) == 3
    assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))


def test_no_faces_are_no_landmarks() -> None:
    assert a_stage().align([], PictureCutter()) == []


def test_looks_that_disagree_show_no_face() -> None:
    stage, generator = a_stage(), np.random.default_rng(1)
    stage._session = _FakeSession(lambda _: a_face((96, 96), 128, 0) + generator.normal(0, 12, 3))
    assert stage.align([FOUND], PictureCutter(place_map(640, 480))) == [None]
    lenient = a_stage(max_spread_percent=50.0)
    lenient._session = stage._session
    assert lenient.align([FOUND], PictureCutter(place_map(640, 480))) != [None]


def test_pixels_that_are_no_numbers_or_out_of_range_do_not_reach_the_network() -> None:
    picture = place_map(640, 480)
    picture[2, ::7, ::5] = math.nan
    picture[2, ::7, 1::5] = math.inf
    picture[2, ::7, 2::5] = -3.0
    stage = a_stage()
    stage._session = _FakeSession(seen_by_place(TRUTH, 640, 480))
    assert stage.align([FOUND], PictureCutter(picture)) != [None]


def test_another_network_under_its_name_is_refused() -> None:
    stage = a_stage()
    stage._session = _FakeSession(lambda _: np.zeros((478, 3)))
    with pytest.raises(ShapeError, match="1404 numbers"):
        stage.align([FOUND], PictureCutter(place_map(640, 480)))


@pytest.mark.parametrize("count", [1, 4, 8])
def test_the_looks_stand_around_the_square(count: int) -> None:
    corners = np.array([(0.0, 0.0), (INPUT_PX, 0), (0, INPUT_PX), (INPUT_PX, INPUT_PX)])
    moved = np.array([mapped(offset, corners) for offset in offsets(count, INPUT_PX)])
    assert len(moved) == count
    assert np.abs(moved.mean(axis=0) - corners).max() < 0.2, "no bias"
    assert np.abs(moved - corners).max() < 32 / 2 + 8, "the margin of the piece holds them"
    assert len({tuple(np.round(look.reshape(-1), 6)) for look in moved}) == count


@pytest.mark.parametrize("degrees", [-120, -30, 0, 45, 170])
def test_the_square_stands_upright_around_the_face(degrees: float) -> None:
    mesh = a_face((300, 240), 160, degrees)
    seen = mapped(square_around(mesh, 1.5), mesh)
    low, high = seen[:, :2].min(axis=0), seen[:, :2].max(axis=0)
    assert (low + high) / 2 == pytest.approx(np.full(2, INPUT_PX / 2), abs=1e-6)
    assert (high - low).max() == pytest.approx(INPUT_PX / 1.5)
    assert lean(Landmarks(seen, "mesh468").five()) == pytest.approx(0, abs=1e-9)
    assert math.degrees(lean(Landmarks(mesh, "mesh468").five())) == pytest.approx(degrees)


FIVE_IN_SQUARE = np.array([(0.3755, 0.377), (0.6245, 0.377), (0.5, 0.525), (0.394, 0.639), (0.606, 0.639)]) * INPUT_PX
"""Where a detector's points lie on the median."""


def test_the_first_square_is_made_from_the_best_that_is_known() -> None:
    five = mapped(np.array([(270 / 192, 0, 45), (0, 270 / 192, 70)]), FIVE_IN_SQUARE)
    face = (90.0, 115.0, 270.0, 295.0)
    features = (*five.min(axis=0).tolist(), *five.max(axis=0).tolist())
    by_box, by_five, by_both, by_mesh = (
        first_square(detection, 1.5)
        for detection in (
            Detection(face, 1.0),
            Detection((features[0], features[1], features[2], features[3]), 1.0, five),
            Detection(face, 1.0, five),
            Detection((0, 0, 9, 9), 1.0, five, None, Landmarks(TRUTH, "mesh468")),
        )
    )
    assert np.allclose(by_box, by_both), "the points only turn the box"
    assert scale_of(by_box) == pytest.approx(INPUT_PX / 270)
    assert np.allclose(by_five, by_box), "a box of the features alone is not the face"
    assert np.array_equal(by_mesh, square_around(TRUTH, 1.5))
    assert scale_of(first_square(Detection(face, 1.0), 3.0)) == pytest.approx(INPUT_PX / 540)


def test_it_needs_its_model() -> None:
    stage = a_stage()
    assert FaceMesh.models(stage.options) == ("facemesh",)
    with pytest.raises(ModelMissing):
        stage.open()


@pytest.fixture
def real(shared_models: Path, repo: Path) -> FaceMesh:
    """The stage with its network."""
    cards = read_cards(repo / "plugins" / "vfxswap_plugins" / "models.toml")
    setting = Setting(torch.device("cpu"), ModelStore([shared_models], cards), 512, 512, 1, 9)
    stage = FaceMesh(FaceMeshOptions.model_validate({}), setting)
    stage.open()
    return stage


@pytest.fixture
def astronaut(shared: Path) -> Tensor:
    """A portrait, `(3, 512, 512)`; the head leans a little and looks to the image's left."""
    bgr = np.asarray(cv2.imread(str(shared / "images" / "nasa_astronaut_512.png")))
    return torch.from_numpy(bgr[:, :, ::-1].copy()).permute(2, 0, 1) / 255


FACE = Detection((178.0, 62.0, 272.0, 184.0), 0.9)


def measured(stage: FaceMesh, picture: Tensor, detection: Detection) -> Points:
    (marks,) = stage.align([detection], PictureCutter(picture))
    assert marks is not None
    return marks.points


@pytest.mark.footage
def test_real_eyes_nose_and_mouth_are_where_they_are(real: FaceMesh, astronaut: Tensor) -> None:
    five = Landmarks(measured(real, astronaut, FACE), "mesh468").five()
    # Read off the enlarged picture by eye.
    by_eye = np.array([(202.5, 101.5), (247.5, 103.5), (223.0, 129.0), (202.5, 140.0), (246.5, 139.5)])
    assert np.abs(five - by_eye).max() < 3


@pytest.mark.footage
def test_a_shaky_detector_hardly_shakes_the_points(real: FaceMesh, astronaut: Tensor) -> None:
    found = []
    for dx, dy, grow in ((0, 0, 0), (6, -4, 3), (-5, 5, -4), (3, 6, 6)):
        x0, y0, x1, y1 = FACE.box
        box = (x0 + dx - grow, y0 + dy - grow, x1 + dx + grow, y1 + dy + grow)
        found.append(measured(real, astronaut, Detection(box, 0.9)))
    spread = np.ptp(np.array(found), axis=0)[:, :2].mean()
    assert spread < 1.2, "the boxes' spread is 11 pixels and more"


@pytest.mark.footage
def test_a_mirrored_face_is_the_mirrored_mesh(real: FaceMesh, astronaut: Tensor) -> None:
    points = measured(real, astronaut, FACE)
    x0, y0, x1, y1 = FACE.box
    mirrored = measured(real, astronaut.flip(2), Detection((512 - x1, y0, 512 - x0, y1), 0.9))
    ours, theirs = (
        [10, 152, 1, 33, 263, 61, 291, 234, 454, 133, 362],
        [10, 152, 1, 263, 33, 291, 61, 454, 234, 362, 133],
    )
    apart = np.abs(points[ours, :2] - np.stack([512 - mirrored[theirs, 0], mirrored[theirs, 1]], axis=1))
    assert apart.mean() < 1.5
    assert apart.max() < 4
    assert pose_of(Landmarks(points, "mesh468")).yaw == pytest.approx(
        -pose_of(Landmarks(mirrored, "mesh468")).yaw, abs=3
    )


@pytest.mark.footage
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_head_gives_the_turned_points_and_roll(real: FaceMesh, astronaut: Tensor, degrees: int) -> None:
    upright = Landmarks(measured(real, astronaut, FACE), "mesh468")
    five = upright.five()
    x, y = five[:, 0], five[:, 1]
    places = {90: (512 - y, x), 180: (512 - x, 512 - y), 270: (y, 512 - x)}[degrees]
    turned_five = np.stack(places, axis=1)
    centre = turned_five.mean(axis=0)
    box = (centre[0] - 60, centre[1] - 60, centre[0] + 60, centre[1] + 60)
    picture = torch.rot90(astronaut, k=-(degrees // 90), dims=(1, 2)).contiguous()
    found = Landmarks(measured(real, picture, Detection(box, 0.9, turned_five)), "mesh468")
    assert np.abs(found.five() - turned_five).max() < 2.5
    a, b = pose_of(found), pose_of(upright)
    assert (a.roll - b.roll - degrees + 180) % 360 - 180 == pytest.approx(0, abs=3)
    assert a.yaw == pytest.approx(b.yaw, abs=4)


@pytest.mark.footage
def test_averaged_looks_shake_less_under_grain(real: FaceMesh, astronaut: Tensor) -> None:
    once = FaceMesh(FaceMeshOptions.model_validate({"average": 1}), real.setting)
    once.open()
    grain = torch.Generator().manual_seed(8)
    plates = [astronaut + torch.randn(astronaut.shape, generator=grain) * 0.03 for _ in range(8)]
    shakes = [np.array([measured(stage, plate, FACE) for plate in plates]).std(axis=0).mean() for stage in (once, real)]
    assert shakes[1] < 0.8 * shakes[0]


@pytest.mark.footage
def test_noise_is_no_face(real: FaceMesh) -> None:
    noise = torch.rand(3, 512, 512, generator=torch.Generator().manual_seed(4))
    assert real.align([FACE], PictureCutter(noise)) == [None]


@pytest.mark.footage
def test_a_picture_twice_as_large_gives_points_twice_as_far(real: FaceMesh, astronaut: Tensor) -> None:
    points = measured(real, astronaut, FACE)
    twice = torch.nn.functional.interpolate(astronaut[None], scale_factor=2, mode="bilinear", align_corners=False)[0]
    double = measured(real, twice, FACE.scaled(2, 2))
    assert np.abs(double / 2 - points).mean() < 0.6
