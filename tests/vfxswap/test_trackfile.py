"""Tracks files: what is written is read again, and what is wrong is named by line, frame, face and key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vfxswap.errors import ShapeError, UsageError
from vfxswap.frame import Detection
from vfxswap.geometry import SCHEME_SIZES, Landmarks, Scheme
from vfxswap.trackfile import COLUMNS, read_tracks, sidecar, write_tracks

FIVE = np.array([(40.0, 50.0), (80.0, 51.0), (60.0, 70.0), (45.0, 90.0), (75.0, 91.0)])
BOX = (30.0, 20.0, 90.0, 110.0)


def dense(scheme: Scheme, dimensions: int) -> Landmarks:
    points = np.random.default_rng(7).uniform(20, 100, (SCHEME_SIZES[scheme], dimensions))
    return Landmarks(points, scheme)


def a_document(**face: Any) -> dict[str, Any]:
    entry = {"track": 2, "score": 0.5, "box": list(BOX), "five": FIVE.tolist()} | face
    entry = {key: value for key, value in entry.items() if value is not None}
    return {"format": "vfxswap-tracks", "version": 1, "width": 128, "height": 120, "frames": {"1001": [entry]}}


def written(tmp_path: Path, document: object) -> Path:
    path = tmp_path / "a.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["ibug68", "mesh468", "five"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_what_is_written_is_read_again(tmp_path: Path, scheme: Scheme, dimensions: int) -> None:
    faces = [
        Detection(BOX, 0.98, FIVE, 3, dense(scheme, dimensions)),
        Detection(BOX, 1.0),
    ]
    path = tmp_path / "sh010.json"
    write_tracks(path, {1002: [], 1001: faces, -5: faces[1:]}, width=1920, height=1080)
    tracks = read_tracks(path)
    assert (tracks.width, tracks.height, tracks.path) == (1920, 1080, path)
    assert list(tracks.frames) == [-5, 1001, 1002]
    first, second = tracks.faces(1001)
    assert first.landmarks is not None
    assert first.landmarks.scheme == scheme
    assert np.abs(first.landmarks.points - dense(scheme, dimensions).points).max() <= 0.5e-3 + 1e-12
    assert first.five is not None
    assert np.array_equal(first.five, FIVE)
    assert (first.box, first.score, first.track) == (BOX, 0.98, 3)
    assert (second.five, second.landmarks, second.track) == (None, None, None)
    assert tracks.faces(1002) == []
    assert tracks.faces(9999) == []
    assert [entry.name for entry in tmp_path.iterdir()] == ["sh010.json"]


def test_reading_and_writing_again_changes_nothing(tmp_path: Path) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    write_tracks(
        one, {7: [Detection((-0.0001, 0, 50, 60.12345), 0.9, FIVE, 0, dense("mesh468", 3))]}, width=9, height=9
    )
    write_tracks(two, read_tracks(one).frames, width=9, height=9)
    assert one.read_bytes() == two.read_bytes()
    assert "-0.0," not in one.read_text()
    assert "60.123]" in one.read_text()


def test_csv_holds_boxes_and_five_points(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_tracks(path, {3: [Detection(BOX, 0.25, FIVE, 1), Detection(BOX, 1.0)], 1: []}, width=64, height=48)
    lines = path.read_text().splitlines()
    assert lines[0] == "# vfxswap-tracks 1 64x48"
    assert lines[1] == ",".join(COLUMNS)
    tracks = read_tracks(path)
    first, second = tracks.faces(3)
    assert first.five is not None
    assert np.array_equal(first.five, FIVE)
    assert (first.box, first.score, first.track) == (BOX, 0.25, 1)
    assert (second.five, second.track, second.score) == (None, None, 1.0)


def test_a_spreadsheet_may_pad_the_head_and_mark_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.CSV"
    path.write_text("\ufeff# vfxswap-tracks 1 64x48,,,\r\n" + ",".join(COLUMNS) + "\r\n5,,,1,2,3,4" + "," * 10 + "\r\n")
    (face,) = read_tracks(path).faces(5)
    assert (face.box, face.score, face.track) == ((1, 2, 3, 4), 1.0, None)


def test_dense_points_do_not_fit_a_csv(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"frame 4 has mesh468 points.*write a .json"):
        write_tracks(tmp_path / "a.csv", {4: [Detection(BOX, 1, None, None, dense("mesh468", 2))]}, width=9, height=9)
    assert list(tmp_path.iterdir()) == []


def test_points_say_what_the_box_and_the_five_would(tmp_path: Path) -> None:
    marks = dense("ibug68", 2)
    document = a_document(box=None, five=None, scheme="ibug68", points=marks.points.tolist())
    (face,) = read_tracks(written(tmp_path, document)).faces(1001)
    assert face.five is not None
    assert np.allclose(face.five, marks.five())
    assert face.box == (*marks.points.min(axis=0), *marks.points.max(axis=0))
    (face,) = read_tracks(written(tmp_path, a_document(box=None))).faces(1001)
    assert face.box == (40.0, 50.0, 80.0, 91.0)


def test_a_plate_of_another_size_is_refused(tmp_path: Path) -> None:
    tracks = read_tracks(written(tmp_path, a_document()))
    tracks.check_size(128, 120)
    with pytest.raises(UsageError, match=r"made for a plate of 128x120, this plate is 256x240"):
        tracks.check_size(256, 240)


@pytest.mark.parametrize(
    ("face", "message"),
    [
        ({"score": 1.5}, r"frame 1001, face 0, score: .*less than or equal to 1 \(found '1.5'\)"),
        ({"track": "hero"}, r"frame 1001, face 0, track: .*integer \(found 'hero'\)"),
        ({"colour": "red"}, r"frame 1001, face 0, colour: Extra inputs"),
        ({"five": FIVE.tolist()[:4]}, r"frame 1001, face 0, five: .*at least 5"),
        ({"five": [[1, 2, 3]] * 5}, r"frame 1001, face 0, five\.0: .*at most 2"),
        ({"box": [1, 2, 3]}, r"frame 1001, face 0, box: .*at least 4"),
        ({"box": [3, 2, 1, 4]}, r"frame 1001, face 0: box must be .*x1 > x0"),
        ({"box": None, "five": None}, "a face needs a box, five points, or points"),
        ({"box": [0, 0, float("nan"), 9]}, r"box\.2: .*finite"),
        ({"scheme": "mesh468"}, "points and scheme belong together"),
        ({"scheme": "dlib", "points": [[1, 2]]}, r"scheme: .*'five', 'ibug68' or 'mesh468'"),
        ({"scheme": "mesh468", "points": [[1, 2]] * 467}, "points must be 468 for mesh468"),
        ({"scheme": "five", "points": [[1, 2]] * 4 + [[1, 2, 3]]}, "all with or all without a depth"),
    ],
)
def test_a_wrong_face_is_named(tmp_path: Path, face: dict[str, Any], message: str) -> None:
    path = written(tmp_path, a_document(**face))
    with pytest.raises(UsageError, match=message) as caught:
        read_tracks(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ('{"format":\n "vfxswap-tracks",\n oops}', r"a.json, line 3: not valid JSON"),
        ({"frames": {}}, "format: Field required"),
        (a_document() | {"width": 0}, "width: .*greater than 0"),
        (a_document() | {"version": 2}, "of version 2; this reads version 1"),
        (a_document() | {"frames": {"one": []}}, "should match pattern"),
        (a_document() | {"frames": {"1": [], "01": []}}, "a frame is there twice"),
        ('{"frames": {"7": [], "7": []}}', "'7' is there twice"),
        ([], "valid dictionary"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, document: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_tracks(written(tmp_path, document))


HEAD = "# vfxswap-tracks 1 64x48\n" + ",".join(COLUMNS) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: must be '# vfxswap-tracks 1 WIDTHxHEIGHT', found ''"),
        ("# vfxswap-tracks 2 64x48\n", "line 1: must be"),
        ("# vfxswap-tracks 1 64x48\nframe,x0\n", "line 2: columns must be frame,track"),
        (HEAD + "1,,,1,2,3\n", "line 3: has fewer than 17 columns"),
        (HEAD + "1,,,1,2,3,4" + "," * 11 + "\n", "line 3: has more than 17 columns"),
        (HEAD + "1,,,1,2,3,4" + "," * 10 + "\n1,,,x,2,3,4" + "," * 10 + "\n", "line 4: could not convert .*'x'"),
        (HEAD + "1,,,1,2,3,4,5" + "," * 9 + "\n", "line 3: has some of the ten point columns"),
        (HEAD + "1,,2,1,2,3,4" + "," * 10 + "\n", "line 3: score: .*less than or equal to 1"),
        (HEAD + "1,,,3,2,1,4" + "," * 10 + "\n", "line 3: box must be"),
        (HEAD + "1.5,,,1,2,3,4" + "," * 10 + "\n", "line 3: invalid literal"),
    ],
)
def test_a_wrong_csv_is_named_by_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_tracks(path)


def test_what_is_not_there_or_not_a_tracks_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the tracks file"):
        read_tracks(tmp_path / "none.json")
    with pytest.raises(UsageError, match=r"ends in .json or .csv, not in '.xml'"):
        read_tracks(tmp_path / "a.xml")
    with pytest.raises(UsageError, match=r"ends in .json or .csv"):
        write_tracks(tmp_path / "a.xml", {}, width=1, height=1)


def test_what_is_not_finite_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="finite"):
        write_tracks(tmp_path / "a.json", {1: [Detection((0, 0, np.inf, 1), 1.0)]}, width=9, height=9)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_tracks(path, {1: []}, width=9, height=9)
    before = path.read_bytes()

    def fails(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="the disk is full"):
        write_tracks(path, {1: [Detection(BOX, 1.0)]}, width=9, height=9)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_still_has_its_points_beside_it() -> None:
    assert sidecar(Path("hero/still01.jpg")) == Path("hero/still01.points.json")
    assert sidecar(Path("still.v2.exr")) == Path("still.v2.points.json")
