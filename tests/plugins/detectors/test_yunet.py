"""YuNet: decoding held to made-up grids, the whole to OpenCV's own reading of the same network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from vfxswap.errors import ModelMissing, PluginError, ShapeError
from vfxswap.frame import Detection
from vfxswap.geometry import iou
from vfxswap.models import ModelStore, read_cards
from vfxswap.stage import Setting
from vfxswap_plugins.detectors.yunet import YuNet, YuNetOptions, decoded, suppressed, turned_back


def a_setting(width: int, height: int, store: ModelStore | None = None, device: str = "cpu") -> Setting:
    return Setting(torch.device(device), store or ModelStore([], {}), width, height, 1, 1)


def empty_grids(width: int, height: int) -> dict[str, NDArray[np.float32]]:
    sizes = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    return {
        f"{name}_{stride}": np.zeros((1, (width // stride) * (height // stride), size), np.float32)
        for name, size in sizes.items()
        for stride in (8, 16, 32)
    }


def put(grids: Mapping[str, NDArray[np.float32]], stride: int, index: int, **values: Any) -> None:
    for name, value in values.items():
        grids[f"{name}_{stride}"][0, index] = value


def test_a_cell_is_decoded_by_its_place_and_stride() -> None:
    grids = empty_grids(64, 32)
    points = np.arange(10) / 10
    put(grids, 16, 5, cls=0.9, obj=0.4, bbox=(0.5, 0.25, np.log(2), np.log(3)), kps=points)
    (face,) = decoded(grids, 64, 0.5)
    # Of four columns, index 5 is column 1, row 1; centre (1.5, 1.25) * 16, sides 2 * 16 and 3 * 16.
    assert face[0] == pytest.approx(0.6)
    assert face[1:5] == pytest.approx([24 - 16, 20 - 24, 24 + 16, 20 + 24])
    assert face[5:] == pytest.approx((points + 1) * 16)


def test_confidence_below_the_threshold_or_out_of_range_does_no_harm() -> None:
    grids = empty_grids(64, 32)
    put(grids, 8, 0, cls=1.5, obj=1.2)
    put(grids, 8, 1, cls=0.5, obj=-0.2)
    put(grids, 32, 1, cls=0.25, obj=1.0)
    put(grids, 32, 0, cls=np.nan, obj=1.0)
    assert decoded(grids, 64, 0.5)[:, 0].tolist() == [1.0, 0.5]


def a_face(score: float, x0: float, y0: float, side: float = 10.0) -> NDArray[np.float64]:
    points = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]) * side + (x0, y0)
    return np.array([score, x0, y0, x0 + side, y0 + side, *points.reshape(-1)])


def test_the_surest_of_overlapping_faces_stays_whatever_their_order() -> None:
    faces = np.array(
        [a_face(0.7, 0, 0), a_face(0.9, 1, 0), a_face(0.8, 30, 0), a_face(0.7, 20, 20), a_face(0.7, 40, 20)]
    )
    expected = [(0.9, 1), (0.8, 30), (0.7, 20), (0.7, 40)]
    generator = np.random.default_rng(3)
    for _ in range(5):
        kept = suppressed(generator.permutation(faces), 0.3)
        assert [(score, x0) for score, x0 in kept[:, :2].tolist()] == expected
    assert len(suppressed(faces, 0.99)) == 5
    assert suppressed(faces[:0], 0.3).shape == (0, 15)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_face_of_a_turned_picture_comes_back_to_its_place(degrees: int) -> None:
    picture = torch.zeros(1, 40, 60)
    picture[0, 7, 21] = 1.0
    turned = torch.rot90(picture, k=-(degrees // 90), dims=(1, 2))[0]
    row, column = (int(value) for value in torch.nonzero(turned)[0])
    face = a_face(0.9, column - 4.5, row - 4.5)
    face[5:7] = column + 0.5, row + 0.5
    (back,) = turned_back(face[None], degrees, 60, 40)
    assert back[5:7] == pytest.approx([21.5, 7.5])
    assert back[1:5] == pytest.approx([16.5, 2.5, 26.5, 12.5])


@dataclass
class _Named:
    name: str


class _FakeSession:
    """Sees a face wherever a picture is white: the network's interface, without its weights."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def get_inputs(self) -> list[_Named]:
        return [_Named("input")]

    def get_outputs(self) -> list[_Named]:
        return [_Named(name) for name in empty_grids(32, 32)]

    def run(self, names: list[str], feed: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        picture = feed["input"]
        self.seen.append(picture.shape)
        grids = empty_grids(picture.shape[3], picture.shape[2])
        level = cv2.resize(picture[0].mean(axis=0) / 255, None, fx=1 / 32, fy=1 / 32, interpolation=cv2.INTER_AREA)
        for index in np.flatnonzero(level > 0.9):
            put(grids, 32, int(index), cls=0.9, obj=0.9, bbox=(0.5, 0.5, 0.0, 0.0), kps=0.5)
        return [grids[name] for name in names]


def seeing(options: YuNetOptions, width: int, height: int) -> tuple[YuNet, _FakeSession]:
    stage, session = YuNet(options, a_setting(width, height)), _FakeSession()
    stage._session = session
    return stage, session


def white_at(width: int, height: int, *cells: tuple[int, int]) -> Tensor:
    picture = torch.zeros(3, height, width)
    for column, row in cells:
        picture[:, row * 32 : row * 32 + 32, column * 32 : column * 32 + 32] = 1.0
    return picture


@pytest.mark.parametrize(
    ("plate", "seen"), [((1920, 1080), (640, 360)), ((1080, 1920), (360, 640)), ((64, 1), (640, 10))]
)
def test_the_pictures_size_depends_on_the_plate_alone(plate: tuple[int, int], seen: tuple[int, int]) -> None:
    assert YuNet(YuNetOptions(), a_setting(*plate)).image_size() == seen


def test_the_picture_is_padded_and_not_written_to() -> None:
    stage, session = seeing(YuNetOptions(), 100, 70)
    image = white_at(100, 70, (2, 1))
    before = image.clone()
    (found,) = stage.detect(image[None], [1])
    assert session.seen == [(1, 3, 96, 128)]
    assert torch.equal(image, before)
    assert len(found) == 1
    assert found[0].five is not None
    assert found[0].five.tolist() == [[80.0, 48.0]] * 5


def test_each_picture_is_looked_at_for_itself() -> None:
    pictures = torch.stack([white_at(128, 96, (0, 0)), white_at(128, 96), white_at(128, 96, (1, 1), (3, 2))])
    stage, _ = seeing(YuNetOptions(), 128, 96)
    together = stage.detect(pictures, [1, 2, 3])
    alone = [stage.detect(picture[None], [1])[0] for picture in pictures]
    assert [len(faces) for faces in together] == [1, 0, 2]
    assert [[face.box for face in faces] for faces in together] == [[face.box for face in faces] for faces in alone]


def test_a_face_seen_under_several_turns_is_one() -> None:
    stage, session = seeing(YuNetOptions(rotations=(0, 90, 180, 270, 0)), 128, 96)
    (found,) = stage.detect(white_at(128, 96, (1, 2))[None], [1])
    assert len(session.seen) == 4
    assert len(found) == 1


def test_few_or_small_faces_are_left_out() -> None:
    image = white_at(128, 96, (0, 0), (3, 2))[None]
    assert len(seeing(YuNetOptions(max_faces=1), 128, 96)[0].detect(image, [1])[0]) == 1
    assert len(seeing(YuNetOptions(min_size_percent=33), 128, 96)[0].detect(image, [1])[0]) == 2
    assert len(seeing(YuNetOptions(min_size_percent=34), 128, 96)[0].detect(image, [1])[0]) == 0


def test_what_it_is_given_must_be_pictures() -> None:
    stage, _ = seeing(YuNetOptions(), 64, 64)
    with pytest.raises(ShapeError, match=r"\(2, 3, H, W\)"):
        stage.detect(torch.zeros(1, 3, 64, 64), [1, 2])
    with pytest.raises(ShapeError, match="got None"):
        stage.detect(None, [1])


@pytest.mark.parametrize("options", [{"rotations": ()}, {"rotations": (45,)}, {"size": 16}, {"score": 0}, {"nms": 0.1}])
def test_wrong_settings_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        YuNetOptions(**options)


def test_rotations_come_as_a_list_from_a_pipeline_file() -> None:
    assert YuNetOptions.model_validate_json('{"rotations": [0, 180]}').rotations == (0, 180)


def test_it_needs_its_model() -> None:
    assert YuNet.models(YuNetOptions()) == ("yunet",)
    with pytest.raises(ModelMissing):
        YuNet(YuNetOptions(), a_setting(64, 64)).open()


@pytest.fixture
def real(shared_models: Path, repo: Path) -> ModelStore:
    """A store that has the network."""
    return ModelStore([shared_models], read_cards(repo / "plugins" / "vfxswap_plugins" / "models.toml"))


def look(store: ModelStore, picture: NDArray[np.uint8], **options: Any) -> list[Detection]:
    """Faces in an 8-bit BGR picture as it is."""
    height, width = picture.shape[:2]
    stage = YuNet(YuNetOptions(size=max(width, height), **options), a_setting(width, height, store))
    stage.open()
    image = torch.from_numpy(picture[:, :, ::-1].copy()).permute(2, 0, 1)[None] / 255
    (found,) = stage.detect(image, [1])
    stage.close()
    return found


def read(path: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path))
    return np.asarray(picture, np.uint8)


IMAGES = ["azure_detection1.jpg", "azure_family1-dad3.jpg", "nasa_astronaut_512.png", "painting_lp_s8.jpg"]


@pytest.mark.footage
@pytest.mark.parametrize("name", IMAGES)
def test_it_sees_what_opencv_sees(shared: Path, real: ModelStore, name: str) -> None:
    picture = read(shared / "images" / name)
    height, width = picture.shape[:2]
    other = cv2.FaceDetectorYN.create(str(shared / "models" / "yunet.onnx"), "", (width, height), 0.6, 0.3, 5000)
    _, rows = other.detect(picture)
    found = look(real, picture, score=0.6)
    assert len(found) == len(rows)
    for face, row in zip(found, sorted(rows.tolist(), key=lambda row: -row[14]), strict=True):
        assert face.five is not None
        assert np.abs(face.five - np.array(row[4:14]).reshape(5, 2)).max() < 0.05
        assert np.abs(np.array(face.box) - (row[0], row[1], row[0] + row[2], row[1] + row[3])).max() < 0.05
        assert face.score == pytest.approx(row[14], abs=1e-3)


@pytest.mark.footage
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_lying_head_is_found_with_its_points_in_order(shared: Path, real: ModelStore, degrees: int) -> None:
    picture = read(shared / "images" / "nasa_astronaut_512.png")
    turned = np.ascontiguousarray(np.rot90(picture, k=-(degrees // 90)))
    (upright,) = look(real, picture)
    found = look(real, turned, rotations=(0, 90, 180, 270))
    assert len(found) == 1
    assert upright.five is not None
    assert found[0].five is not None
    x, y = upright.five[:, 0], upright.five[:, 1]
    expected = {90: (512 - y, x), 180: (512 - x, 512 - y), 270: (y, 512 - x)}[degrees]
    assert np.abs(found[0].five - np.stack(expected, axis=1)).max() < 0.01
    assert iou(found[0].box, (*found[0].five.min(axis=0), *found[0].five.max(axis=0))) > 0.1


@pytest.mark.footage
def test_a_device_that_onnx_runtime_cannot_use_is_refused_in_words(real: ModelStore) -> None:
    with pytest.raises(PluginError, match=r'cannot compute on cuda:1 .*set on = "cpu"'):
        YuNet(YuNetOptions(), a_setting(64, 64, real, "cuda:1")).open()
    YuNet(YuNetOptions(on="cpu"), a_setting(64, 64, real, "cuda:1")).open()
