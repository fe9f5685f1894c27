"""The format of facesets: written and read, gone on with, and refused where something is wrong."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vfxswap.alignment import CropSpec, crop_of_type
from vfxswap.errors import MediaError, ShapeError, UsageError
from vfxswap.faceset import Faceset, FacesetInfo, FacesetWriter, holds_faceset, remove_faceset
from vfxswap.faceset.records import FaceRecord
from vfxswap.geometry import Landmarks, inverted, pose_of
from vfxswap.identity import Consent
from vfxswap.testing.material import face_batch

CROP = crop_of_type("whole", 64)
CONSENT = Consent(
    performer="a drawn face",
    grantor="nobody",
    productions=("lab",),
    purposes=("test",),
    **{"from": date(2020, 1, 1), "until": date(2099, 1, 1)},
    scope="tests",
)
INFO = FacesetInfo(identity="hero", consent=CONSENT, made_from={"shots": "sh010.mov"}, key="k")


def _faces() -> tuple[Tensor, tuple[Landmarks, ...]]:
    batch = face_batch(3, crop=CROP)
    return batch.crops.clamp(0, 1), batch.landmarks


def _written(folder: Path, info: FacesetInfo = INFO, *, count: int = 3) -> Faceset:
    batch = face_batch(3, crop=CROP)
    writer = FacesetWriter(folder, CROP, info)
    for index in range(count):
        writer.add(
            batch.crops[index],
            batch.landmarks[index],
            source="sh010.mov",
            frame=1001 + index,
            track=index or None,
            plate_to_crop=batch.plate_to_crop[index],
            matte=torch.full((1, 64, 64), 0.5) if index == 1 else None,
        )
    return writer.finish(left_out={"still.png": "no face"})


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    written = _written(tmp_path / "hero")
    read = Faceset.load(tmp_path / "hero" / "faceset.json")
    crops, landmarks = _faces()
    assert (len(read), read.crop, read.hash) == (3, CROP, written.hash)
    assert read.info == INFO.model_copy(update={"left_out": {"still.png": "no face"}})
    assert read.info.consent == CONSENT
    for index in range(3):
        torch.testing.assert_close(read.image(index), crops[index], atol=0.5 / 255 + 1e-6, rtol=0)
        np.testing.assert_allclose(read.landmarks(index).points, landmarks[index].points, atol=0.005001)
        assert read.records[index].model_dump_json() == written.records[index].model_dump_json()
    assert [record.track for record in read.records] == [None, 1, 2]
    assert read.matte(0) is None
    matte = read.matte(1)
    assert matte is not None
    torch.testing.assert_close(matte, torch.full((1, 64, 64), 128 / 255))
    assert list(read.problems()) == []


def test_poses_are_those_in_the_plate(tmp_path: Path) -> None:
    read = _written(tmp_path / "hero")
    batch = face_batch(3, crop=CROP)
    for record, landmarks, matrix in zip(read.records, batch.landmarks, batch.plate_to_crop, strict=True):
        expected = pose_of(landmarks.mapped(inverted(matrix)))
        assert (record.yaw, record.pitch, record.roll) == pytest.approx(tuple(expected), abs=0.1)


def test_sixteen_bits_keep_fine_steps(tmp_path: Path) -> None:
    crops, landmarks = _faces()
    image = crops[0] * 0.5 + torch.linspace(0, 0.01, 64)
    writer = FacesetWriter(tmp_path, CROP, INFO.model_copy(update={"bits": 16}))
    writer.add(image, landmarks[0], source="a.exr", frame=1)
    torch.testing.assert_close(writer.finish().image(0), image, atol=1 / 65535, rtol=0)


def test_values_beyond_0_and_1_are_clipped(tmp_path: Path) -> None:
    crops, landmarks = _faces()
    writer = FacesetWriter(tmp_path, CROP, INFO)
    writer.add(crops[0] * 3 - 1, landmarks[0], source="a.exr", frame=1)
    image = writer.finish().image(0)
    torch.testing.assert_close(image, (crops[0] * 3 - 1).clamp(0, 1), atol=0.5 / 255 + 1e-6, rtol=0)


def test_faces_of_one_frame_have_names_of_their_own(tmp_path: Path) -> None:
    crops, landmarks = _faces()
    writer = FacesetWriter(tmp_path, CROP, INFO)
    files = [writer.add(crops[i], landmarks[i], source="../sh 010.mov", frame=7).file for i in range(3)]
    assert files == ["faces/sh_010_000007.png", "faces/sh_010_000007_2.png", "faces/sh_010_000007_3.png"]
    assert {path.parent for path in tmp_path.rglob("*.png")} == {tmp_path / "faces"}


def test_there_is_no_index_before_the_end(tmp_path: Path) -> None:
    crops, landmarks = _faces()
    writer = FacesetWriter(tmp_path, CROP, INFO)
    writer.add(crops[0], landmarks[0], source="a.mov", frame=1)
    assert not holds_faceset(tmp_path)
    with pytest.raises(UsageError, match="is not finished"):
        Faceset.load(tmp_path)


def test_what_was_begun_is_gone_on_with(tmp_path: Path) -> None:
    crops, landmarks = _faces()
    first = FacesetWriter(tmp_path / "hero", CROP, INFO)
    for index in range(3):
        first.add(crops[index], landmarks[index], source="a.mov", frame=index)
    journal = tmp_path / "hero" / "faces.part.jsonl"
    journal.write_text(journal.read_text()[:-40])  # as a kill leaves it: the last line is torn
    (tmp_path / "hero" / first.records[1].file).write_bytes(b"half a pict")
    again = FacesetWriter(tmp_path / "hero", CROP, INFO)
    assert [record.frame for record in again.records] == [0]
    for index in (1, 2):
        again.add(crops[index], landmarks[index], source="a.mov", frame=index)
    whole = FacesetWriter(tmp_path / "whole", CROP, INFO)
    for index in range(3):
        whole.add(crops[index], landmarks[index], source="a.mov", frame=index)
    assert again.finish().hash == whole.finish().hash
    assert not journal.exists()


def test_what_was_begun_otherwise_is_left_alone(tmp_path: Path) -> None:
    FacesetWriter(tmp_path, CROP, INFO)
    with pytest.raises(UsageError, match="begun from other things"):
        FacesetWriter(tmp_path, CROP, INFO.model_copy(update={"key": "other"}))


def test_a_faceset_is_replaced_only_if_asked_for(tmp_path: Path) -> None:
    written = _written(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "faces" / "mine.png").write_bytes(b"not listed")
    with pytest.raises(UsageError, match="--overwrite"):
        FacesetWriter(tmp_path, CROP, INFO)
    assert Faceset.load(tmp_path).hash == written.hash
    FacesetWriter(tmp_path, CROP, INFO, overwrite=True)
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["faces.part.jsonl", "mine.png", "notes.txt"]


def test_removal_needs_an_index_that_can_be_trusted(tmp_path: Path) -> None:
    _written(tmp_path / "hero")
    (tmp_path / "precious.png").write_bytes(b"x")
    index = tmp_path / "hero" / "faceset.json"
    index.write_text(index.read_text().replace("faces/sh010_001001.png", "../precious.png"))
    with pytest.raises(UsageError, match="outside"):
        remove_faceset(tmp_path / "hero")
    assert (tmp_path / "precious.png").exists()


def _broken(folder: Path, change: tuple[str, str]) -> str:
    index = folder / "faceset.json"
    text = index.read_text()
    assert change[0] in text
    index.write_text(text.replace(*change, 1))
    with pytest.raises(UsageError) as caught:
        Faceset.load(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"version": 1', '"version": 2'), "version 2; this reads version 1"),
        (('"format": "vfxswap-faceset"', '"format": "zip"'), "no index of a faceset"),
        (('"template": "dfl68_whole"', '"template": "round"'), "template"),
        (('"size_px": 64', '"size_px": 0'), "size_px"),
        (('"faces": [', '"faces": ["'), "cannot read"),
        (('"frame":1002', '"frame":'), "cannot read"),
        (('"file":"faces/sh010_001001.png"', '"file":"/etc/passwd"'), "outside"),
        (('"file":"faces/sh010_001001.png"', '"file":7'), "face 0: file"),
        (('"scheme":"mesh468"', '"scheme":"ibug68"'), "face 0: landmarks ibug68 must be (68, 2 or 3)"),
        (('"points":[[', '"points":[["x",'), "face 0: points"),
        (('"yaw":', '"yah":'), "face 0: yaw: Field required"),
        (('"yaw":', '"yaw":NaN,"yaw2":'), "face 0: yaw"),
        (('"performer": "a drawn face"', '"performer": ""'), "consent.performer"),
    ],
)
def test_an_index_is_checked(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    _written(tmp_path)
    assert said in _broken(tmp_path, change)


def test_a_folder_without_an_index_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is no faceset: it has no faceset\.json"):
        Faceset.load(tmp_path)


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    read = _written(tmp_path)
    files = [tmp_path / record.file for record in read.records]
    files[0].unlink()
    files[1].write_bytes(b"no picture")
    cv2.imwrite(str(files[2]), np.zeros((32, 64, 3), np.uint8))
    found = dict(read.problems())
    assert "cannot read" in found[0]
    assert "no picture of 8 or 16 bits" in found[1]
    assert "colour, 64x32; the faces of this faceset are colour, 64x64" in found[2]
    for index, path in enumerate(files):
        with pytest.raises(MediaError, match=path.name):
            read.image(index)


def test_a_picture_that_was_exchanged_is_found(tmp_path: Path) -> None:
    read = _written(tmp_path)
    cv2.imwrite(str(tmp_path / read.records[0].file), np.zeros((64, 64, 3), np.uint8))
    assert [(index, "was changed" in why) for index, why in read.problems()] == [(0, True)]
    (tmp_path / "mattes" / "sh010_001002.png").write_bytes(b"")
    assert [index for index, _ in read.problems()] == [0, 1]


def test_sizes_must_be_the_crops(tmp_path: Path) -> None:
    _, landmarks = _faces()
    writer = FacesetWriter(tmp_path, CROP, INFO)
    with pytest.raises(ShapeError, match=r"\(3, 64, 64\)"):
        writer.add(torch.zeros(3, 65, 65), landmarks[0], source="a.mov", frame=1)
    with pytest.raises(ShapeError, match=r"matte must be \(1, 64, 64\)"):
        writer.add(torch.zeros(3, 64, 64), landmarks[0], source="a", frame=1, matte=torch.zeros(1, 64, 63))
    assert list((tmp_path / "faces").iterdir()) == []


def test_the_hash_is_of_all_that_training_sees(tmp_path: Path) -> None:
    one, two = _written(tmp_path / "one"), _written(tmp_path / "two", INFO.model_copy(update={"key": "other"}))
    assert one.hash == two.hash
    fewer = Faceset(one.folder, one.crop, one.info, one.records[:2])
    turned = Faceset(one.folder, one.crop, one.info, one.records[::-1])
    wider = Faceset(one.folder, CropSpec("dfl68_head", 64), one.info, one.records)
    moved = one.records[0].model_copy(update={"points": one.records[0].points + 1})
    other = Faceset(one.folder, one.crop, one.info, (moved, *one.records[1:]))
    assert turned.hash == one.hash
    assert len({one.hash, fewer.hash, wider.hash, other.hash}) == 4


def test_sizes_in_the_source(tmp_path: Path) -> None:
    read = _written(tmp_path)
    batch = face_batch(3, crop=CROP)
    for index, matrix in enumerate(batch.plate_to_crop):
        scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
        assert read.source_px(index) == pytest.approx(64 / scale)
    unknown = read.records[0].model_copy(update={"plate_to_crop": None})
    assert Faceset(tmp_path, CROP, INFO, (unknown,)).source_px(0) is None


def test_an_index_has_one_face_a_line(tmp_path: Path) -> None:
    _written(tmp_path)
    lines = (tmp_path / "faceset.json").read_text().splitlines()
    assert len(lines) == 1 + 3 + 1
    face = json.loads(lines[1].rstrip(","))
    assert FaceRecord.model_validate_json(json.dumps(face)).frame == 1001


def test_an_index_may_be_written_in_any_way_that_json_can(tmp_path: Path) -> None:
    written = _written(tmp_path)
    index = tmp_path / "faceset.json"
    for indent in (None, 2):
        index.write_text(json.dumps(json.loads(index.read_text()), indent=indent))
        assert Faceset.load(tmp_path).hash == written.hash
    FacesetWriter(tmp_path / "empty", CROP, INFO).finish()
    assert len(Faceset.load(tmp_path / "empty")) == 0


def test_a_disk_that_takes_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MediaError, match="cannot make the folder"):
        FacesetWriter(tmp_path / "file" / "hero", CROP, INFO)
