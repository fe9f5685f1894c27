"""The pipeline files that come with the project: each runs as it is, and does what it promises and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
import tomli
from numpy.typing import NDArray

import vfxswap
from vfxswap.cli import main
from vfxswap.host import Host
from vfxswap.media import PlateInfo
from vfxswap.pipeline import Pipeline, schema
from vfxswap.report import Report

HERE = Path(__file__).parent
FILES = sorted(path.name for path in (HERE.parent.parent / "pipelines").glob("*.toml"))
_ELSEWHERE = {"double.toml", "exr_acescg.toml", "exr_linear.toml", "prores_review.toml"}
WITHOUT_MODELS = [name for name in FILES if name not in _ELSEWHERE]
"""On the drawn shot; test_acescg.py, test_sequences.py and test_review.py have those of EXR plates."""
SWAPPING = [name for name in WITHOUT_MODELS if name != "passthrough.toml"]
SMALL = "stages.points5.crop_size=160"
"""The drawn shot is small; the files' own crops of 512 pixels would only take time."""

Movie = list[list[NDArray[np.uint8]]]
Decode = Callable[[Path], Movie]
Encode = Callable[..., Path]


def run(host: Host, path: Path, *overrides: str, **options: Any) -> Report:
    return vfxswap.run(path, overrides=[SMALL, *overrides], device="cpu", host=host, **options)


def headed(host: Host, path: Path) -> PlateInfo:
    with host.reader_for(path)(path) as reader:
        return reader.info


def matte_of(seen: Path, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Where a frame may have changed: a bit more than what its mattes cover, worked out by OpenCV alone."""
    layers = np.load(seen)
    covered = np.zeros((size[1], size[0]), np.uint8)
    for place in range(len(layers["identities"])):
        matte, matrix = layers[f"matte{place}"], layers[f"plate_to_crop{place}"].copy()
        # OpenCV counts from pixel centres, vfxswap from corners.
        matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
        # A crop is finer than the plate, and may hold a thin line between the points that OpenCV looks at.
        matte = cv2.dilate((matte > 0).astype(np.uint8), np.ones((9, 9), np.uint8))
        placed = cv2.warpAffine(matte, matrix, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
        covered = np.maximum(covered, np.asarray(placed, np.uint8))
    return np.asarray(cv2.dilate(covered, np.ones((3, 3), np.uint8))).astype(bool)


def of_plane(covered: NDArray[np.bool_], plane: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The same for a chroma plane: each sample that belongs to a pixel that may have changed."""
    if covered.shape == plane.shape:
        return covered
    even = np.pad(covered, [(0, size % 2) for size in covered.shape])
    return np.asarray(even.reshape(even.shape[0] // 2, 2, -1, 2).any(axis=(1, 3)))


def error(movie: Movie, truth: Movie, region: NDArray[np.bool_]) -> float:
    """Mean difference of luma in a region, in codes."""
    pairs = zip(movie, truth, strict=True)
    return float(np.mean([abs(a[0][region].astype(float) - b[0][region]).mean() for a, b in pairs]))


@pytest.mark.parametrize("name", FILES)
def test_they_fit_the_schema(repo: Path, host: Host, name: str) -> None:
    """What editors check them against."""
    document = tomli.loads((repo / "pipelines" / name).read_text())
    jsonschema.validate(document, schema(host))


@pytest.mark.parametrize("name", FILES)
def test_the_readme_lists_them(repo: Path, name: str) -> None:
    assert f"[{name}]({name})" in (repo / "pipelines" / "README.md").read_text()


@pytest.mark.parametrize("name", WITHOUT_MODELS)
def test_they_run_as_they_are(drawn: Any, host: Host, planned: Callable[..., Pipeline], name: str) -> None:
    """Nothing of the file is changed; only the first frame is asked for, as crops of 512 pixels take their time."""
    out = drawn.shot / f"as_it_is_{name}.mkv"
    report = vfxswap.run(drawn.pipelines / name, frames="1", out=out, host=host)
    assert (report.outputs, report.error, report.degraded) == ((out,), None, [])
    assert [record.frame for record in report.frames] == [1]
    assert headed(host, out).count == 1
    wanted = drawn.shot / Path(name).with_suffix(".mkv")
    assert planned(drawn.pipelines / name).delivery_path.resolve() == wanted.resolve()


@pytest.mark.parametrize("name", SWAPPING)
def test_outside_the_matte_every_sample_is_the_plates(
    place: Any, host: Host, watched: Path, decoded: Decode, times_of: Callable[[Path], list[Fraction]], name: str
) -> None:
    report = run(host, place.pipelines / name)
    (out,) = report.outputs
    source = place.shot / "two" / "plate.mkv" if name == "two_people.toml" else place.shot / "plate.mkv"
    before, after = decoded(source), decoded(out)
    old, new = headed(host, source), headed(host, out)
    assert (new.count, new.width, new.height, new.rate, new.layout, new.tags) == (
        *(old.count, old.width, old.height, old.rate),
        *(old.layout, old.tags),
    )
    assert times_of(out) == times_of(source)
    for number, (plate, result) in enumerate(zip(before, after, strict=True), 1):
        covered = matte_of(watched / f"{number:04d}.npz", (old.width, old.height))
        assert 0.05 < covered.mean() < 0.8
        for a, b in zip(plate, result, strict=True):
            mask = of_plane(covered, a)
            assert np.array_equal(a[~mask], b[~mask]), f"frame {number} changed outside the matte"
        assert (plate[0] != result[0])[covered].mean() > 0.2


@pytest.mark.parametrize("name", ["demo.toml", "locked_grade.toml"])
def test_the_result_is_nearer_to_the_truth(place: Any, host: Host, decoded: Decode, name: str) -> None:
    """Where a perfect swap would change something (the brows), it is changed, and that way."""
    (out,) = run(host, place.pipelines / name).outputs
    movies = [decoded(place.shot / "plate.mkv"), decoded(out), decoded(place.shot / "truth.mkv")]
    errors = np.zeros(2)
    for plate, result, truth in zip(*movies, strict=True):
        changes = abs(plate[0].astype(int) - truth[0]) > 12
        assert changes.any()
        errors += error([plate], [truth], changes), error([result], [truth], changes)
    assert errors[1] < 0.7 * errors[0]


def test_the_report_is_complete(place: Any, host: Host) -> None:
    report = run(host, place.pipelines / "demo.toml", frames="2-9x2")
    assert report.path is not None
    lines = [json.loads(line) for line in report.path.read_text().splitlines()]
    head, *frames, tail = lines
    assert (head["type"], head["frames"], head["production"], head["plate"]) == ("run", "2-8x2", "lab", "plate.mkv")
    assert [stage["use"] for stage in head["stages"]] == [
        *("tracks", "points5", "portrait", "hull", "mkl", "flow-deflicker", "pyramid", "grain")
    ]
    assert head["stages"][1]["options"]["crop_size"] == 160
    assert head["identities"]["hero"]["consent"]["productions"] == ["lab"]
    assert all(stage["owner"].startswith("vfxswap-plugins (") for stage in head["stages"])
    assert [(frame["frame"], frame["faces"], frame["identities"]) for frame in frames] == [
        (number, 1, ["hero"]) for number in (2, 4, 6, 8)
    ]
    assert (tail["complete"], tail["swapped"], tail["degraded"], tail["outputs"]) == (True, 4, 0, ["demo.mkv"])
    timed = {"decode", "encode", "tracks", "points5", "portrait", "hull", "mkl", "flow-deflicker", "pyramid"}
    assert timed <= set(tail["stage_ms_per_frame"])


def test_no_stages_pass_the_plate_through(place: Any, host: Host, decoded: Decode) -> None:
    (out,) = vfxswap.run(place.pipelines / "passthrough.toml", host=host).outputs
    for plate, result in zip(decoded(place.shot / "plate.mkv"), decoded(out), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(plate, result, strict=True))


def test_two_people_become_two_others(place: Any, host: Host, watched: Path, decoded: Decode) -> None:
    """Each is nearer to the truth than with the other's face."""
    report = run(host, place.pipelines / "two_people.toml")
    assert {record.identities for record in report.frames} == {("lead", "friend")}
    result = decoded(report.outputs[0])
    truth = decoded(place.shot / "two" / "truth.mkv")
    exchanged = ("identities.lead.face.rank=2", "identities.friend.face.rank=1")
    again = run(host, place.pipelines / "two_people.toml", *exchanged, out=place.shot / "two" / "crossed.mkv")
    crossed = decoded(again.outputs[0])
    region = matte_of(watched / "0008.npz", (result[0][0].shape[1], result[0][0].shape[0]))
    halves = [region.copy(), region.copy()]
    middle = region.shape[1] // 2
    halves[0][:, middle:] = False
    halves[1][:, :middle] = False
    for half in halves:
        assert half.any()
        assert error(result, truth, half) < 0.97 * error(crossed, truth, half)


def test_a_variable_rate_keeps_its_times(
    place: Any, host: Host, encode: Encode, draw: Callable[..., Movie], times_of: Callable[[Path], list[Fraction]]
) -> None:
    times = [0, 40, 80, 133, 150, 240, 290, 410, 450, 490, 530, 570, 610, 700, 740, 760]
    plate = encode(place.shot / "vfr.mkv", draw([0]), times=times)
    assert headed(host, plate).variable_rate
    (out,) = run(host, place.pipelines / "demo.toml", plate=plate).outputs
    assert times_of(out) == times_of(plate) == [Fraction(time, 1000) for time in times]


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_plate_is_swapped_upright(
    place: Any, host: Host, encode: Encode, decoded: Decode, draw: Callable[..., Movie], rotation: int
) -> None:
    """Tracks are of the upright picture; stored, it lies on its side. New grain has no upright, and is left out."""
    plain = ("stages.pyramid.use=alpha", "stages.grain.amount=0")
    upright = draw([0])
    turned = [[np.rot90(plane, rotation // 90) for plane in planes] for planes in upright]
    plate = encode(place.shot / "turned.mkv", turned, rotation=rotation)
    (straight,) = run(host, place.pipelines / "demo.toml", *plain).outputs
    (out,) = run(host, place.pipelines / "demo.toml", *plain, plate=plate, out=place.shot / "turned_out.mkv").outputs
    assert headed(host, out).rotation == rotation
    for a, b, c in zip(decoded(straight), decoded(out), upright, strict=True):
        back = np.rot90(b[0], -rotation // 90).astype(int)
        assert abs(back - a[0]).max() <= 12
        assert abs(back - a[0]).mean() < 0.1 * abs(c[0].astype(int) - a[0]).mean()


def test_layers_that_a_movie_cannot_hold_are_refused(place: Any, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--set", 'delivery.layers=["matte"]', "--set", 'delivery.layers_as="parts"']
    code = main(["run", str(place.pipelines / "demo.toml"), *asked, "--progress", "none"])
    assert code == 2
    assert "a movie cannot hold layers as parts" in capsys.readouterr().err


@pytest.fixture(scope="session")
def filmed(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Path:
    """A performer in three dimensions, lit and filmed, whose truth is known; and the pipeline files beside it."""
    from vfxswap.lab.deliver import deliver  # noqa: PLC0415 - slow to import
    from vfxswap.lab.shot import PRESETS  # noqa: PLC0415

    root = tmp_path_factory.mktemp("filmed")
    shutil.copytree(repo / "pipelines", root / "pipelines")
    deliver(PRESETS["demo"], root / "demo-out", width=192, height=108, frames=[1001, 1004, 1007], still_px=256)
    return root


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["demo.toml", pytest.param("double.toml", marks=pytest.mark.footage)])
def test_the_labs_performer_comes_nearer_to_the_truth(
    filmed: Path, host: Host, decoded: Decode, request: pytest.FixtureRequest, name: str
) -> None:
    """With exact tracks, and with models that find the face by themselves."""
    if name == "double.toml":
        request.getfixturevalue("shared_models")
    report = vfxswap.run(filmed / "pipelines" / name, host=host, device="cpu")
    assert [record.identities for record in report.frames] == [("hero",)] * 3
    shot = filmed / "demo-out"
    plate, result, truth = (decoded(path) for path in (shot / "plate.mkv", report.outputs[0], shot / "truth.mkv"))
    mattes = [np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)) for path in (shot / "mattes").iterdir()]
    face = np.min(mattes, axis=0) > 0.9 * 65535
    assert face.any()
    assert error(result, truth, face) < 0.95 * error(plate, truth, face)
