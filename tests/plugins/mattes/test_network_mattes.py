"""Mattes by networks: colour order, range, normalisation, the crop that they see, classes, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vfxswap.alignment import CropSpec
from vfxswap.brief import Brief
from vfxswap.errors import ShapeError, UsageError
from vfxswap.files import file_sha256
from vfxswap.frame import FaceBatch
from vfxswap.geometry import Landmarks
from vfxswap.models import ModelStore
from vfxswap.testing import (
    PlateCutter,
    SyntheticPlate,
    assert_same_bits,
    face_batch,
    faces_of,
    options_of,
    setting,
    synthetic_plate,
)
from vfxswap_plugins.mattes.by_network import NetworkMatte
from vfxswap_plugins.mattes.parser import CLASSES, Parser
from vfxswap_plugins.mattes.xseg import Xseg

FFHQ_64 = CropSpec("ffhq_512", 64)


def made(cls: type[NetworkMatte[Any]], networks: Any, name: str, **options: object) -> NetworkMatte[Any]:
    """The stage, open."""
    values = options_of(cls, {"weights": name, **options}, folder=networks.folder)
    stage = cls(values, setting())
    stage.open()
    return stage


def xseg(networks: Any, **options: object) -> NetworkMatte[Any]:
    return made(Xseg, networks, "xseg.onnx", **{"template": "ffhq_512", "postprocess": "none", **options})


def parser(networks: Any, **options: object) -> NetworkMatte[Any]:
    return made(Parser, networks, "parser.onnx", **{"postprocess": "none", **options})


def with_crops(faces: FaceBatch, colours: Tensor) -> FaceBatch:
    """The same faces with other pixels, `(3, S, S)` or `(N, 3, S, S)`."""
    return replace(faces, crops=colours.expand_as(faces.crops).contiguous())


def smooth(faces: FaceBatch) -> Tensor:
    """`(3, S, S)` slow waves, another in each channel."""
    size = faces.crops.shape[-1]
    y, x = torch.meshgrid(torch.arange(size) / size, torch.arange(size) / size, indexing="ij")
    return torch.stack([0.5 + 0.3 * torch.sin(5 * x), 0.5 + 0.3 * torch.cos(4 * y), 0.5 + 0.3 * torch.sin(3 * (x + y))])


def test_xseg_is_given_bgr_last_of_0_to_1(networks: Any) -> None:
    networks.xseg((0.1, 0.2, 0.7), size=64)
    faces = face_batch(2, crop=FFHQ_64, swapped=False)
    crops = smooth(faces)
    crops[:, :4, :4] = torch.tensor([4.0, -3.0, float("nan")]).view(3, 1, 1)
    matte = xseg(networks).matte(with_crops(faces, crops))
    clean = crops.nan_to_num(0).clamp(0, 1)
    wanted = 0.7 * clean[0] + 0.2 * clean[1] + 0.1 * clean[2]
    torch.testing.assert_close(matte[0, 0], wanted, atol=1e-5, rtol=0)
    assert_same_bits([matte[0]], [matte[1]])


@pytest.mark.parametrize(("taken", "count"), [("in_face:0", "N"), ("input", 1)])
def test_xseg_sees_its_own_crop_of_the_plate_and_its_matte_comes_back_to_the_pipelines(
    networks: Any, taken: str, count: int | str
) -> None:
    """What the network says of a spot lands on that spot, at any template, size and turn of the two crops."""
    networks.xseg((0.1, 0.2, 0.7), size=128, taken=taken, count=count)
    stage = xseg(networks, template="dfl68_whole")
    tilted = turned(synthetic_plate(1001, width=320, height=320), degrees=14)
    plate = replace(tilted, image=waves(320))
    faces = cut_faces(plate, CropSpec("arcface_128", 96))
    crop = faces.crops[0].clamp(0, 1)
    wanted = 0.7 * crop[0] + 0.2 * crop[1] + 0.1 * crop[2]
    for given in (faces, replace(faces, cut=None)):
        matte = stage.matte(given)
        assert matte.shape == (1, 1, 96, 96)
        torch.testing.assert_close(matte[0, 0, 3:-3, 3:-3], wanted[3:-3, 3:-3], atol=4e-3, rtol=0)


def test_a_crop_that_reaches_beyond_the_pipelines_is_cut_from_the_plate(networks: Any) -> None:
    """Only the plate knows what lies outside a tight crop: the network's mean is of all that it sees."""
    seen: list[Tensor] = []
    networks.xseg(size=64)
    stage = xseg(networks, template="dfl68_head")

    class Watched(PlateCutter):
        def __call__(self, *wanted: Any) -> Tensor:
            seen.append(super().__call__(*wanted))
            return seen[-1]

    plate = synthetic_plate(1001, width=320, height=320)
    faces = cut_faces(plate, CropSpec("arcface_128", 96))
    stage.matte(replace(faces, cut=Watched([plate])))
    spec = CropSpec("dfl68_head", 64)
    (whole,) = cut_faces(plate, spec).crops
    torch.testing.assert_close(seen[0][0], whole, atol=1e-4, rtol=0)


def test_where_the_networks_crop_does_not_reach_the_matte_is_0(networks: Any) -> None:
    networks.xseg((0.0, 0.0, 1.0), size=64)
    faces = face_batch(1, crop=CropSpec("ffhq_512", 96, zoom=0.5), swapped=False)
    white = replace(faces, crops=torch.ones_like(faces.crops))
    matte = xseg(networks, template="ffhq_512").matte(white)[0, 0]
    middle, reach = 48, 24  # the network's square is the inner half
    assert (matte[middle - reach + 2 : middle + reach - 2, middle - reach + 2 : middle + reach - 2] == 1).all()
    outside = matte.clone()
    outside[middle - reach - 1 : middle + reach + 1, middle - reach - 1 : middle + reach + 1] = 0
    assert outside.max() == 0


def test_postprocessing_cleans_low_values_or_moves_the_edge_inside(networks: Any) -> None:
    networks.xseg((0.0, 0.0, 1.0), size=64)
    faces = face_batch(1, crop=FFHQ_64, swapped=False)
    ramp = (torch.arange(64) / 64).view(1, 1, 64).expand(3, 64, 64)
    plain = xseg(networks).matte(with_crops(faces, ramp))[0, 0, 32]
    clean = xseg(networks, postprocess="dfl").matte(with_crops(faces, ramp))[0, 0, 32]
    assert clean[plain < 0.099].max() == 0
    torch.testing.assert_close(clean[plain > 0.12], plain[plain > 0.12], atol=1e-5, rtol=0)
    step = (torch.arange(64) >= 24).float().view(1, 1, 64).expand(3, 64, 64)
    edge = xseg(networks, postprocess="facefusion").matte(with_crops(faces, step))[0, 0, 32]
    assert edge[:24].max() == 0  # outside the edge nothing is left
    sigma = [2 * (0.5 + 0.5 * float(torch.erf(torch.tensor((x + 0.5) / 5 / 2**0.5))) - 0.5) for x in (0, 4, 9)]
    torch.testing.assert_close(edge[[24, 28, 33]], torch.tensor(sigma), atol=6e-3, rtol=0)


def painted() -> Tensor:
    """`(3, 64, 64)`: black, with a red, a green and a blue square."""
    crops = torch.zeros(3, 64, 64)
    for channel, (x, y) in enumerate(((8, 8), (40, 8), (8, 40))):
        crops[channel, y : y + 16, x : x + 16] = 1
    return crops


BY_COLOUR = {0: (0.0, 0.0, 0.0, 0.5), 1: (1.0, 0, 0, 0), 10: (0, 1.0, 0, 0), 17: (0, 0, 1.0, 0)}
"""Background where nothing is bright; skin where it is red, the nose where it is green, hair where it is blue."""


@pytest.mark.parametrize(
    ("keep", "channels"), [(["skin"], [0]), (["nose"], [1]), (["hair"], [2]), (["skin", "nose", "lips"], [0, 1])]
)
def test_the_parser_is_given_rgb_and_keeps_the_parts_that_are_named(
    networks: Any, keep: list[str], channels: list[int]
) -> None:
    networks.parser(BY_COLOUR, size=64)
    faces = face_batch(1, crop=FFHQ_64, swapped=False)
    matte = parser(networks, keep=keep).matte(with_crops(faces, painted()))
    torch.testing.assert_close(matte[0, 0], painted()[channels].amax(dim=0), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("channel", "mean", "std"), [(0, 0.485, 0.229), (1, 0.456, 0.224), (2, 0.406, 0.225)])
def test_the_parser_is_given_imagenets_normalisation(networks: Any, channel: int, mean: float, std: float) -> None:
    """A class that wins above (0.6 - mean) / std begins at 0.6."""
    score = [0.0, 0.0, 0.0]
    score[channel] = 1.0
    networks.parser({0: (0.0, 0.0, 0.0, (0.6 - mean) / std), 1: (*score, 0.0)}, size=64)
    faces = face_batch(1, crop=FFHQ_64, swapped=False)
    ramp = torch.zeros(3, 64, 64)
    ramp[channel] = torch.arange(64) / 64
    matte = parser(networks, keep=["skin"]).matte(with_crops(faces, ramp))[0, 0, 32]
    wins = ramp[channel, 32] > 0.6
    torch.testing.assert_close(matte, wins.float(), atol=1e-5, rtol=0)


def test_the_parsers_classes_are_those_of_celebamask_hq() -> None:
    assert sorted(place for places in CLASSES.values() for place in places) == list(range(1, 19))
    default = options_of(Parser, {"weights": __file__}).keep
    assert sorted(place for part in default for place in CLASSES[part]) == [1, 2, 3, 4, 5, 6, 10, 11, 12, 13]


def test_five_points_do_not_place_a_dense_crop(networks: Any) -> None:
    networks.xseg()
    faces = face_batch(1, crop=FFHQ_64, swapped=False)
    five = replace(faces, landmarks=tuple(Landmarks(points.five(), "five") for points in faces.landmarks))
    with pytest.raises(ShapeError, match="landmarks of a dfl68 crop must be ibug68 or mesh468"):
        xseg(networks, template="dfl68_whole").matte(five)


@pytest.mark.parametrize("count", [1, "N"])
def test_faces_with_a_plate_to_cut_from_do_not_depend_on_one_another(networks: Any, count: int | str) -> None:
    networks.xseg(size=64, count=count)
    stage = xseg(networks, template="dfl68_full", postprocess="facefusion")
    plates = [synthetic_plate(number) for number in (1001, 1005, 1009)]
    faces = face_batch(3, swapped=False)
    faces = replace(
        faces, landmarks=tuple(p.landmarks.mapped(m) for p, m in zip(plates, faces.plate_to_crop, strict=True))
    )
    together = stage.matte(replace(faces, cut=PlateCutter(plates)))
    for i in range(3):
        alone = replace(faces_of(faces, [i]), cut=PlateCutter(plates[i : i + 1]))
        assert_same_bits([stage.matte(alone)], [together[i : i + 1]])


def checked(cls: type[NetworkMatte[Any]], networks: Any, name: str) -> list[Any]:
    """What a check finds."""
    brief = Brief({}, ModelStore([], {}), None, None, date(2026, 1, 1), "sRGB - Texture", "cpu")
    return list(cls.model_files(options_of(cls, {"weights": name}, folder=networks.folder), brief))


def test_the_report_is_told_of_the_file_and_of_what_stands_beside_it(networks: Any) -> None:
    path = networks.xseg()
    (found,) = checked(Xseg, networks, "xseg.onnx")
    assert (found.path, found.sha256, found.licence, found.commercial) == (path, file_sha256(path), "", None)
    (networks.folder / "xseg.onnx.toml").write_text('licence = "CC0-1.0"\ncommercial = true\n')
    (found,) = checked(Xseg, networks, "xseg.onnx")
    assert (found.licence, found.commercial) == ("CC0-1.0", True)
    (networks.folder / "xseg.onnx.toml").write_text('face_type = "head"\n')
    with pytest.raises(UsageError, match=r"xseg\.onnx\.toml: face_type: Extra inputs are not permitted"):
        checked(Xseg, networks, "xseg.onnx")


def test_other_signatures_are_refused_with_what_was_found(networks: Any) -> None:
    networks.xseg(), networks.parser(BY_COLOUR), networks.dfm("dfm.onnx")
    for name in ("parser.onnx", "dfm.onnx"):
        with pytest.raises(UsageError, match=r"found inputs: .*; accepted: one input float \[N, S, S, 3\]; one output"):
            checked(Xseg, networks, name)
    for name in ("xseg.onnx", "dfm.onnx"):
        with pytest.raises(
            UsageError, match=r"found inputs: .*; accepted: one input float \[N, 3, S, S\]; first output"
        ):
            checked(Parser, networks, name)


def waves(size: int) -> Tensor:
    """`(3, size, size)` slow waves."""
    y, x = np.meshgrid(np.arange(size) / size, np.arange(size) / size, indexing="ij")
    planes = [0.5 + 0.4 * np.sin(9 * x + 2 * y), 0.5 + 0.4 * np.cos(8 * y), 0.5 + 0.4 * np.sin(7 * (x - y))]
    return torch.from_numpy(np.stack(planes).astype(np.float32))


def turned(plate: SyntheticPlate, *, degrees: float) -> SyntheticPlate:
    """A plate whose face is said to lie turned about its middle."""
    angle, points = np.radians(degrees), plate.landmarks.points.copy()
    middle = points[:, :2].mean(axis=0)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points[:, :2] = (points[:, :2] - middle) @ turn + middle
    return replace(plate, landmarks=Landmarks(points, plate.landmarks.scheme))


def cut_faces(plate: SyntheticPlate, spec: CropSpec) -> FaceBatch:
    """One face, cut from a plate that may be cut from again."""
    matrix, cutter = spec.plate_to_crop(plate.landmarks), PlateCutter([plate])
    return FaceBatch(
        cutter([0], [matrix], spec.size_px), (plate.landmarks.mapped(matrix),), (matrix,), (1001,), cut=cutter
    )
