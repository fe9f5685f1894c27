"""DeepFaceLab's aligned faces as ours: points, masks, sizes and types; what is no data is refused, by name."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vfxswap.alignment import as_ibug68, crop_of_type
from vfxswap.errors import ExitCode, MediaError, PipelineError, UsageError
from vfxswap.faceset import Faceset
from vfxswap.facesets.aligned import read_aligned
from vfxswap.facesets.takeover import Wanted, take_over
from vfxswap.geometry import composed

SIZE = 96
Jpeg = Callable[..., bytes]
Picture = Callable[[Path], NDArray[np.uint8]]


def _segment(content: bytes) -> bytes:
    return b"\xff\xef" + (len(content) + 2).to_bytes(2, "big") + content


def _jpeg(image: NDArray[np.uint8], content: bytes | None) -> bytes:
    """A JPEG as DeepFaceLab writes it: its segment after the last of the others before the picture."""
    done, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 100])
    assert done
    raw: bytes = coded.tobytes()
    place = 2 + 2 + int.from_bytes(raw[4:6], "big")
    return raw if content is None else raw[:place] + _segment(content) + raw[place:]


def _pak(folder: Path, jpegs: Sequence[bytes], *, configs: bytes | None = None, absolute: bool = True) -> Path:
    configs = pickle.dumps([{"filename": f"{i}.jpg"} for i in range(len(jpegs))], 4) if configs is None else configs
    head = struct.pack("<QQ", 1, len(configs)) + configs
    offsets = [sum(map(len, jpegs[:i])) for i in range(len(jpegs) + 1)]
    if absolute:  # DeepFaceLab's last entry counts from the file's beginning
        offsets[-1] += len(head) + 8 * len(offsets)
    path = folder / "faceset.pak"
    path.write_bytes(head + b"".join(struct.pack("<Q", offset) for offset in offsets) + b"".join(jpegs))
    return path


@pytest.fixture
def table(stills_set: Faceset) -> Callable[..., dict[str, Any]]:
    """What DeepFaceLab knows of a face."""

    def table(index: int = 0, **changes: Any) -> dict[str, Any]:
        record = stills_set.records[index]
        matrix = record.similarity_matrix
        assert matrix is not None
        shift = np.array([[1, 0, 0.5], [0, 1, 0.5]])
        theirs = composed(np.array([[1, 0, -0.5], [0, 1, -0.5]]), composed(matrix, shift))  # between pixel centres
        values = {
            "face_type": "whole_face",
            "landmarks": (as_ibug68(record.landmarks).points[:, :2] - 0.5).tolist(),
            "eyebrows_expand_mod": 1.0,
            "source_filename": f"{index + 1:05d}.png",
            "source_rect": (1, 2, 90, 91),
            "source_landmarks": np.zeros((68, 2), np.float32),
            "image_to_face_mat": theirs,
        }
        return {key: value for key, value in {**values, **changes}.items() if value is not None}

    return table


@pytest.fixture
def jpeg(stills_set: Faceset, table: Callable[..., dict[str, Any]], picture: Picture) -> Jpeg:
    """An aligned JPEG of one of the stills."""

    def jpeg(index: int = 0, *, image: NDArray[np.uint8] | None = None, **changes: Any) -> bytes:
        shown = picture(stills_set.folder / stills_set.records[index].file) if image is None else image
        return _jpeg(shown, pickle.dumps(table(index, **changes)))

    return jpeg


@pytest.fixture
def folder(tmp_path: Path, jpeg: Jpeg) -> Path:
    """A folder of five aligned JPEGs."""
    folder = tmp_path / "data_src"
    folder.mkdir()
    for index in range(5):
        (folder / f"{index + 1:05d}_0.jpg").write_bytes(jpeg(index))
    return folder


def _plate(*sources: Path, **more: Any) -> Wanted:
    return Wanted(sources, plate="sh010", **more)


def test_faces_come_over_as_they_are(folder: Path, tmp_path: Path, stills_set: Faceset) -> None:
    heard: list[tuple[int, int]] = []
    done = take_over(_plate(folder), tmp_path / "ours", progress=lambda *at: heard.append(at))
    ours = Faceset.load(tmp_path / "ours")
    assert (done.refused, len(ours), ours.crop) == (0, 5, crop_of_type("whole", SIZE))
    assert heard == [(count, 5) for count in range(1, 6)]
    for index, record in enumerate(ours.records):
        original = stills_set.records[index]
        assert (record.source, record.frame, record.track) == ("data_src", index + 1, 0)
        np.testing.assert_allclose(record.points, as_ibug68(original.landmarks).points[:, :2], atol=0.011)
        found, expected = record.similarity_matrix, original.similarity_matrix
        assert found is not None
        assert expected is not None
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert float((ours.image(index) - stills_set.image(index)).abs().mean()) < 0.01  # JPEG's own loss
        assert record.yaw == pytest.approx(original.yaw, abs=12)
    assert ours.info.subject == "plate"


def test_a_packed_faceset_is_the_same(folder: Path, tmp_path: Path) -> None:
    jpegs = [path.read_bytes() for path in sorted(folder.iterdir())]
    one = take_over(_plate(folder), tmp_path / "one").faceset
    for name, absolute in (("their", True), ("other", False)):
        place = tmp_path / name
        place.mkdir()
        packed = take_over(_plate(_pak(place, jpegs, absolute=absolute)), tmp_path / f"{name}_out").faceset
        assert [record.sha256 for record in packed.records] == [record.sha256 for record in one.records]
        assert [record.frame for record in packed.records] == [1, 2, 3, 4, 5]


def test_the_list_of_a_packed_faceset_is_never_read(folder: Path, tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'was_run'}",)

    jpegs = [path.read_bytes() for path in sorted(folder.iterdir())]
    source = _pak(tmp_path, jpegs, configs=pickle.dumps([Harm()]))
    assert len(take_over(_plate(source), tmp_path / "ours").faceset) == 5
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda raw: raw[:12], "breaks off"),
        (lambda raw: struct.pack("<Q", 2) + raw[8:], "version 2"),
        (lambda raw: raw[:8] + struct.pack("<Q", 1 << 60) + raw[16:], "breaks off"),
        (lambda raw: raw[: len(raw) // 2], "table of faces is broken"),
        (lambda raw: b"", "breaks off"),
    ],
)
def test_a_broken_pak_is_said(folder: Path, tmp_path: Path, damage: Callable[[bytes], bytes], said: str) -> None:
    path = _pak(tmp_path, [path.read_bytes() for path in sorted(folder.iterdir())])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(MediaError, match=said):
        take_over(_plate(path), tmp_path / "ours")


def test_hostile_faces_are_listed_and_the_others_taken(folder: Path, tmp_path: Path, jpeg: Jpeg) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'was_run'}",)

    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    (folder / "00001_0.jpg").write_bytes(jpeg(0, face_type=Harm()))
    (folder / "00002_0.jpg").write_bytes(_jpeg(image, None))
    (folder / "00003_0.jpg").write_bytes(b"no picture at all")
    (folder / "00003_1.jpg").write_bytes(jpeg(2)[:200])
    (folder / "notes.txt").write_text("mine")
    done = take_over(_plate(folder), tmp_path / "ours")
    assert not (tmp_path / "was_run").exists()
    assert (len(done.faceset), done.refused) == (2, 4)
    left = done.faceset.info.left_out
    assert "calls for posix.system, which is no data; refused, nothing of it was run" in left["data_src/00001_0.jpg"]
    assert "has no APP15 segment" in left["data_src/00002_0.jpg"]
    assert "is no JPEG" in left["data_src/00003_0.jpg"]
    assert Faceset.load(tmp_path / "ours").info.left_out == left


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"landmarks": None}, "landmarks are no list of points"),
        ({"landmarks": [[1.0, 2.0]] * 67}, "must be 68 finite points, found 67"),
        ({"landmarks": [[1.0, 2.0]] * 67 + [[float("nan"), 1.0]]}, "must be 68 finite points"),
        ({"landmarks": [[1.0, 2.0, 3.0]] * 68}, "no list of points"),
        ({"landmarks": "68"}, "no list of points"),
        ({"landmarks": np.zeros((68, 2, 2))}, "no list of points"),
        ({"face_type": "full_face_no_align"}, "'full_face_no_align' are not aligned as ours"),
        ({"face_type": 4}, "type a int are not aligned"),
        ({"image_to_face_mat": [[1, 0, 0], [2, 0, 0]]}, "no 2x3 matrix that can be inverted"),
        ({"image_to_face_mat": [["x", 0, 0], [2, 0, 0]]}, "no 2x3 matrix"),
        ({"seg_ie_polys": {"polys": "all"}}, "no list of polygons"),
        ({"seg_ie_polys": [7]}, "neither a table nor a pair"),
        ({"seg_ie_polys": {"polys": [{"type": 1, "pts": [[1e9, 0], [0, 0], [1, 1]]}]}}, "far outside"),
        ({"xseg_mask": b"nothing"}, "xseg_mask is no PNG or JPEG"),
        ({"xseg_mask": b"\x89PNG\r\n\x1a\n" + b"\0" * 8 + b"\x00\x00\xff\xff" * 2}, "at most 8192 px"),
        ({"xseg_mask": b"\x89PNG\r\n\x1a\n" + b"\0" * 8 + b"\x00\x00\x00\x08" * 2}, "cannot be read"),
    ],
)
def test_what_makes_no_face_is_said(jpeg: Jpeg, changes: Mapping[str, Any], said: str) -> None:
    with pytest.raises(MediaError, match=f"a.jpg.*{said}"):
        read_aligned(jpeg(0, **changes), "a.jpg")


def test_a_picture_that_claims_to_be_huge_is_not_decoded(jpeg: Jpeg) -> None:
    raw = bytearray(jpeg(0))
    place = raw.index(b"\xff\xc0")
    raw[place + 5 : place + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(MediaError, match="larger than 8192 px"):
        read_aligned(bytes(raw), "a.jpg")


def test_an_applied_mask_becomes_the_matte(jpeg: Jpeg) -> None:
    mask = np.zeros((48, 48), np.uint8)
    mask[12:36, 12:36] = 255
    for suffix, loss in ((".png", 0.0), (".jpg", 0.1)):
        coded = cv2.imencode(suffix, mask)[1]
        for stored in (coded, coded.reshape(-1, 1), coded.tobytes()):
            face = read_aligned(jpeg(0, xseg_mask=stored), "a.jpg")
            assert face.matte is not None
            assert face.matte.shape == (SIZE, SIZE)
            assert float(face.matte[30:66, 30:66].min()) >= 1 - loss
            assert float(face.matte[:16].max()) <= loss


def test_polygons_are_drawn_in_then_out(jpeg: Jpeg) -> None:
    square = np.array([(20, 20), (70, 20), (70, 70), (20, 70)], np.float32)
    hole = np.array([(40, 40), (50, 40), (50, 50), (40, 50)], np.float32)
    table = {"polys": [{"type": 0, "pts": hole}, {"type": 1, "pts": square}]}
    pairs = [(0, hole.tolist()), (1, square.tolist())]
    for polygons in (table, pairs):
        face = read_aligned(
            jpeg(0, seg_ie_polys=polygons, xseg_mask=cv2.imencode(".png", np.zeros((9, 9), np.uint8))[1]), "a"
        )
        assert face.matte is not None
        assert face.matte[30, 30] == 1
        assert face.matte[45, 45] == 0
        assert face.matte[10, 10] == 0
        assert face.matte.sum() == pytest.approx(50 * 50 - 10 * 10, rel=0.06)


def test_holes_alone_are_cut_from_the_applied_mask(jpeg: Jpeg) -> None:
    hole = np.array([(40, 40), (60, 40), (60, 60), (40, 60)], np.float32)
    white = cv2.imencode(".png", np.full((SIZE, SIZE), 255, np.uint8))[1]
    table = {"polys": [{"type": 0, "pts": hole}]}
    face = read_aligned(jpeg(0, seg_ie_polys=table, xseg_mask=white), "a")
    assert face.matte is not None
    assert (face.matte[50, 50], face.matte[10, 10]) == (0, 1)
    assert read_aligned(jpeg(0, seg_ie_polys=table), "a").matte is None
    assert read_aligned(jpeg(0, seg_ie_polys={"polys": []}, xseg_mask=None), "a").matte is None


def test_mattes_are_written(folder: Path, tmp_path: Path, jpeg: Jpeg) -> None:
    white = cv2.imencode(".png", np.full((SIZE, SIZE), 255, np.uint8))[1]
    (folder / "00001_0.jpg").write_bytes(jpeg(0, xseg_mask=white))
    ours = take_over(_plate(folder), tmp_path / "ours").faceset
    matte = ours.matte(0)
    assert matte is not None
    assert torch.equal(matte, torch.ones(1, SIZE, SIZE))
    assert ours.matte(1) is None
    assert list(ours.problems()) == []


def test_other_sizes_and_wider_types_are_cut_again(
    folder: Path, tmp_path: Path, jpeg: Jpeg, stills_set: Faceset, picture: Picture
) -> None:
    image = picture(stills_set.folder / stills_set.records[1].file)
    twice = cv2.resize(image, (2 * SIZE, 2 * SIZE), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    landmarks = (as_ibug68(stills_set.landmarks(1)).points[:, :2] * 2 - 0.5).tolist()
    (folder / "00002_0.jpg").write_bytes(jpeg(1, image=twice, landmarks=landmarks))
    (folder / "00003_0.jpg").write_bytes(jpeg(2, face_type="full_face"))
    done = take_over(_plate(folder), tmp_path / "ours")
    assert "shows a full face, and most show a whole one" in done.faceset.info.left_out["data_src/00003_0.jpg"]
    assert [record.frame for record in done.faceset.records] == [1, 2, 4, 5]
    assert float((done.faceset.image(1) - stills_set.image(1)).abs().mean()) < 0.02
    ours, theirs = done.faceset.records[1], stills_set.records[1]
    np.testing.assert_allclose(ours.points, as_ibug68(theirs.landmarks).points[:, :2], atol=0.7)


def test_a_size_may_be_asked_for(folder: Path, tmp_path: Path) -> None:
    ours = take_over(_plate(folder, size_px=64), tmp_path / "ours").faceset
    assert ours.crop == crop_of_type("whole", 64)
    assert ours.image(0).shape == (3, 64, 64)


def test_points_lie_at_the_middle_of_pixels_there(jpeg: Jpeg) -> None:
    points = [[float(i % 9), float(i % 7)] for i in range(68)]
    face = read_aligned(jpeg(0, landmarks=points, image_to_face_mat=[[2.0, 0, 3], [0, 2.0, 1]]), "a")
    np.testing.assert_allclose(face.landmarks.points, np.array(points) + 0.5)
    assert face.plate_to_crop is not None
    # Their pixel (10, 10) goes to (23, 21); ours has its middle at (10.5, 10.5), and goes to (23.5, 21.5).
    np.testing.assert_allclose(face.plate_to_crop @ [10.5, 10.5, 1], [23.5, 21.5])


def test_consent_is_asked_for(folder: Path, tmp_path: Path, shot: Path) -> None:
    def wanted(**more: Any) -> Wanted:
        return Wanted((folder,), identity=shot / "identity", **more)

    ours = take_over(wanted(production="lab", purpose="test"), tmp_path / "ours").faceset
    assert ours.info.consent is not None
    assert (ours.info.identity, ours.info.licence) == (ours.info.consent.performer, "CC0-1.0")
    for more, said in (
        ({}, "--production: is missing"),
        ({"production": "feature film"}, "not for production 'feature film'"),
        ({"production": "lab", "purpose": "advert"}, "not for purpose 'advert'"),
        ({"production": "lab", "today": date(1999, 1, 1)}, "valid only from"),
    ):
        with pytest.raises(PipelineError, match=said) as caught:
            take_over(wanted(**more), tmp_path / "other")
        expected = ExitCode.USAGE if not more else ExitCode.REFUSED
        assert caught.value.run_exit_code == expected
    assert not (tmp_path / "other").exists()
    (tmp_path / "nobody").mkdir()
    with pytest.raises(PipelineError, match=r"has no identity\.toml"):
        take_over(Wanted((folder,), identity=tmp_path / "nobody", production="lab"), tmp_path / "other")


def test_it_must_be_said_whose_faces_they_are(folder: Path, tmp_path: Path) -> None:
    for wanted in (Wanted((folder,)), Wanted((folder,), identity=folder, plate="sh010")):
        with pytest.raises(UsageError, match="whose faces"):
            take_over(wanted, tmp_path / "ours")


def test_sources_must_hold_faces(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.jpg").write_bytes(b"x")
    for source, said in ((tmp_path / "none", "there is no"), (tmp_path / "empty", "holds no aligned JPEGs")):
        with pytest.raises(UsageError, match=said):
            take_over(_plate(source), tmp_path / "ours")
    with pytest.raises(MediaError, match=r"none of 1 pictures could be taken: a\.jpg is no JPEG"):
        take_over(_plate(tmp_path / "a.jpg"), tmp_path / "ours")
    assert not (tmp_path / "ours").exists()
