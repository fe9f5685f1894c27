"""Lids by MediaPipe Iris: what is taken of them held to a made-up network, the whole to eyes that shut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.errors import ModelMissing, ShapeError
from vfxswap.frame import Detection
from vfxswap.geometry import REGIONS, Affine, Landmarks, Points, Region
from vfxswap.models import ModelStore, read_cards
from vfxswap.ops import warp
from vfxswap.stage import Cutter, Setting
from vfxswap.testing import face_landmarks
from vfxswap_plugins.aligners.facemesh import FaceMesh, FaceMeshOptions
from vfxswap_plugins.aligners.iris import CONTOUR, EYES, INPUT_PX, Lids, eye_square

WIDTH, HEIGHT = 400, 320
TO_PLATE = np.array([(190.0, 60.0, 60.0), (-60.0, 190.0, 90.0)])
"""A face that leans."""
UPSIDE_DOWN = np.array([(-190.0, 0.0, 290.0), (0.0, -190.0, 270.0)])
Rule = Callable[[Points, int], Points]


class OnePicture(Cutter):
    """Cuts from one picture."""

    def __init__(self, picture: Tensor) -> None:
        self._picture = picture

    def __call__(self, index: Sequence[int], plate_to_crop: Sequence[Affine], size_px: int) -> Tensor:
        assert len(index) == len(plate_to_crop)
        cuts = [
            warp.cut(self._picture, origin=(0, 0), plate_to_crop=matrix, size_px=size_px) for matrix in plate_to_crop
        ]
        return torch.stack(cuts)


@dataclass
class _Named:
    name: str


class PlaceReader:
    """A network that reads off a picture of places where it is, and knows where the lids are."""

    def __init__(self, truth: Points, rule: Rule = lambda points, _: points) -> None:
        self._truth, self._rule, self.calls = truth, rule, 0
        self.mirrored: list[bool] = []

    def get_inputs(self) -> list[_Named]:
        return [_Named("input_1")]

    def run(self, _: None, feed: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        (picture,) = feed["input_1"]
        assert picture.shape == (INPUT_PX, INPUT_PX, 3)
        rows, columns = np.mgrid[8:56:4, 8:56:4].reshape(2, -1)
        here = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], axis=1)
        plate = picture[rows, columns, :2].astype(np.float64) * (WIDTH, HEIGHT)
        to_plate = np.linalg.lstsq(here, plate, rcond=None)[0].T
        middle = to_plate @ (INPUT_PX / 2, INPUT_PX / 2, 1)
        eyes = [self._truth[list(eye.points), :2] for eye in EYES]
        eye = min(eyes, key=lambda points: float(np.linalg.norm(points[:16].mean(axis=0) - middle)))
        self.mirrored.append(bool(np.linalg.det(to_plate[:, :2]) < 0))
        points = np.zeros((CONTOUR, 3))
        points[: len(eye), :2] = self._rule((eye - to_plate[:, 2]) @ np.linalg.inv(to_plate[:, :2]).T, self.calls)
        self.calls += 1
        return [points.astype(np.float32).reshape(1, -1), np.zeros((1, 15), np.float32)]


def a_face(eyes: float, to_plate: Affine = TO_PLATE) -> Landmarks:
    return face_landmarks(to_plate, eyes_open=eyes)


def places() -> Tensor:
    x, y = (np.arange(WIDTH) + 0.5) / WIDTH, (np.arange(HEIGHT) + 0.5) / HEIGHT
    return torch.from_numpy(np.stack([*np.meshgrid(x, y), np.zeros((HEIGHT, WIDTH))]).astype(np.float32))


def moved(session: PlaceReader, face: Landmarks, average: int = 1) -> Points:
    """By how much each point is moved, `(468, 3)`."""
    return Lids(session, average).refined(face, 0, OnePicture(places())).points - face.points


@pytest.mark.parametrize("to_plate", [TO_PLATE, UPSIDE_DOWN], ids=["leaning", "upside down"])
@pytest.mark.parametrize("average", [1, 4, 8])
def test_lids_go_where_the_network_sees_them(average: int, to_plate: Affine) -> None:
    """Of both eyes, of which it sees one in a mirror; nothing else moves, and depth stays."""
    mesh, shut = a_face(1.0, to_plate), a_face(0.1, to_plate)
    session = PlaceReader(shut.points)
    found = Lids(session, average).refined(mesh, 0, OnePicture(places())).points
    for eye in EYES:
        numbers = list(eye.points)
        assert np.abs(found[numbers, :2] - shut.points[numbers, :2]).max() < 0.05
    touched = sorted({number for eye in EYES for number in eye.points})
    assert np.array_equal(np.delete(found, touched, axis=0), np.delete(mesh.points, touched, axis=0))
    assert np.array_equal(found[:, 2], mesh.points[:, 2])
    assert session.mirrored == [False] * average + [True] * average


def test_all_of_both_lids_are_among_its_points() -> None:
    regions: tuple[Region, Region] = ("left_eye", "right_eye")
    for eye, region in zip(EYES, regions, strict=True):
        assert set(eye.points[:16]) == set(REGIONS["mesh468"][region])
        assert len(set(eye.points)) == 32
    assert [EYES[0].points[place] for place in (0, 4, 8, 12)] == [33, 145, 133, 159], "outer, below, inner, above"


@pytest.mark.parametrize("to_plate", [TO_PLATE, UPSIDE_DOWN], ids=["leaning", "upside down"])
def test_the_square_leans_with_the_face(to_plate: Affine) -> None:
    mesh = a_face(1.0, to_plate).points
    for eye in EYES:
        seen = np.c_[mesh[list(eye.points[:16]), :2], np.ones(16)] @ eye_square(mesh, eye).T
        assert (seen[0] + seen[8]) / 2 == pytest.approx([INPUT_PX / 2] * 2)
        assert seen[0, 1] == pytest.approx(seen[8, 1])
        assert abs(seen[8, 0] - seen[0, 0]) == pytest.approx(INPUT_PX / 2.3)
        assert (seen[8, 0] > seen[0, 0]) != eye.is_mirrored


@pytest.mark.parametrize(("astray", "share"), [(0.1, 1.0), (0.275, 0.5), (0.5, 0.0)])
def test_an_eye_that_is_elsewhere_is_another(astray: float, share: float) -> None:
    """Between both it fades, so that nothing jumps."""
    width_px = INPUT_PX / 2.3
    session = PlaceReader(a_face(1.0).points, lambda points, _: points + np.array((0, astray * width_px)))
    change = np.linalg.norm(moved(session, a_face(1.0))[list(EYES[0].points), :2], axis=1)
    corners = a_face(1.0).points[[33, 133], :2]
    width = float(np.linalg.norm(corners[1] - corners[0]))
    assert change == pytest.approx(np.full(32, share * astray * width), abs=0.02 * width)


@pytest.mark.parametrize(("spread", "trusted"), [(0.03, True), (0.1, False)])
def test_looks_that_disagree_are_not_believed(spread: float, trusted: bool) -> None:
    step = spread * INPUT_PX / 2.3
    session = PlaceReader(a_face(0.2).points, lambda points, call: points + np.array((0, step * (-1) ** call)))
    assert bool(np.abs(moved(session, a_face(1.0), 4)).max() > 0) == trusted


def test_what_is_no_number_moves_nothing() -> None:
    session = PlaceReader(a_face(0.2).points, lambda points, _: points * np.nan)
    assert not moved(session, a_face(1.0)).any()


def test_another_network_is_refused() -> None:
    class Other(PlaceReader):
        def run(self, _: None, feed: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
            return [value[:, :9] for value in super().run(_, feed)]

    with pytest.raises(ShapeError, match=r"model iris"):
        moved(Other(a_face(1.0).points), a_face(1.0))


def test_face_mesh_asks_for_it() -> None:
    options = FaceMeshOptions.model_validate({"eyes": True})
    assert FaceMesh.models(options) == ("facemesh", "iris")
    stage = FaceMesh(options, Setting(torch.device("cpu"), ModelStore([], {}), WIDTH, HEIGHT, 1, 9))
    with pytest.raises(ModelMissing):
        stage.open()


def _gap(face: Landmarks, region: Region) -> float:
    """Of the lids, in widths of the eye."""
    ring = face.region(region)
    return float(
        np.mean([np.linalg.norm(ring[i] - ring[16 - i]) for i in range(1, 8)]) / np.linalg.norm(ring[0] - ring[8])
    )


@pytest.mark.footage
def test_eyes_that_shut_are_seen_to_shut(shared: Path, shared_models: Path, repo: Path) -> None:
    """Face Mesh by itself leaves them half open."""
    cards = read_cards(repo / "plugins" / "vfxswap_plugins" / "models.toml")
    setting = Setting(torch.device("cpu"), ModelStore([shared_models], cards), 1080, 720, 1, 400)
    gaps: dict[bool, list[float]] = {}
    with av.open(str(shared / "clips" / "tfjs_facemesh_input_1080x720.mp4")) as clip:
        frames = [
            frame.to_ndarray(format="rgb24") for number, frame in enumerate(clip.decode(video=0)) if number in {60, 300}
        ]
    for eyes in (False, True):
        stage = FaceMesh(FaceMeshOptions.model_validate({"eyes": eyes}), setting)
        stage.open()
        gaps[eyes] = []
        for frame in frames:
            picture = torch.from_numpy(frame).permute(2, 0, 1) / 255
            (face,) = stage.align([Detection((400.0, 180.0, 680.0, 520.0), 0.9)], OnePicture(picture))
            assert face is not None
            gaps[eyes].append((_gap(face, "left_eye") + _gap(face, "right_eye")) / 2)
    shut = {eyes: first / second for eyes, (first, second) in gaps.items()}
    assert shut[True] < 0.5
    assert shut[False] > 0.55
