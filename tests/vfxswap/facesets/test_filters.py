"""Sifting: each face that is dropped has its reason, and the faceset itself stays as it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

from vfxswap.errors import UsageError
from vfxswap.faceset import Faceset, FacesetWriter
from vfxswap.facesets.filters import Dropped, Limits, sift, write_kept


@pytest.fixture
def repeated(stills_set: Faceset, tmp_path: Path) -> Faceset:
    """The stills, and the first three again: grainy, blurred, and with the mouth elsewhere."""
    writer = FacesetWriter(tmp_path / "repeated", stills_set.crop, stills_set.info)
    for index, record in enumerate(stills_set.records):
        writer.add(stills_set.image(index), record.landmarks, source=record.source, frame=1)
    rng = torch.Generator().manual_seed(1)
    grainy = (stills_set.image(0) + 0.004 * torch.randn(3, 96, 96, generator=rng)).clamp(0, 1)
    writer.add(grainy, stills_set.landmarks(0), source="grainy.png", frame=1)
    soft = cv2.GaussianBlur(stills_set.image(1).permute(1, 2, 0).numpy(), (0, 0), 1)
    writer.add(torch.from_numpy(soft).permute(2, 0, 1), stills_set.landmarks(1), source="soft.png", frame=1)
    return writer.finish()


def _snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _reasons(found: tuple[Dropped, ...], faces: Faceset) -> dict[str, str]:
    return {faces.records[item.index].source: item.reason for item in found}


def test_limits_drop_what_is_beyond_them(told: Callable[..., Faceset]) -> None:
    faces = told(
        "shot",
        [
            {"sharpness": 1.0, "yaw": 10.0, "pitch": 0.0, "brightness": 0.5, "similarity": 0.9},
            {"sharpness": 0.1, "yaw": 0.0, "pitch": 0.0, "brightness": 0.5, "similarity": 0.9},
            {"sharpness": 1.0, "yaw": -50.0, "pitch": 0.0, "brightness": 0.5, "similarity": 0.9},
            {"sharpness": 1.0, "yaw": 0.0, "pitch": 40.0, "brightness": 0.5, "similarity": 0.9},
            {"sharpness": 1.0, "yaw": 0.0, "pitch": 0.0, "brightness": 0.05, "similarity": 0.9},
            {"sharpness": 1.0, "yaw": 0.0, "pitch": 0.0, "brightness": 0.95, "similarity": 0.9},
            {"sharpness": 1.0, "yaw": 0.0, "pitch": 0.0, "brightness": 0.5, "similarity": 0.1},
            {"sharpness": 1.0, "yaw": 0.0, "pitch": 0.0, "brightness": 0.5, "similarity": None, "inside": None},
            {"sharpness": 1.0, "yaw": 0.0, "pitch": 0.0, "brightness": 0.5, "similarity": 0.9, "inside": 0.3},
        ],
    )
    limits = Limits(0.5, None, 45, 30, 0.1, 0.9, 0.5, 0.5)
    sifted = sift(faces, limits)
    assert sifted.kept == (0, 7)
    assert [(item.index, item.kind) for item in sifted.dropped] == [
        (1, "sharpness"), (2, "yaw"), (3, "pitch"), (4, "brightness"), (5, "brightness"), (6, "similarity"),
        (8, "inside"),
    ]  # fmt: skip
    assert sifted.dropped[0].reason == "sharpness 0.1 is below 0.5"
    assert sifted.dropped[1].reason == "yaw 50 is beyond 45"
    assert sifted.counts == {"brightness": 2, "sharpness": 1, "yaw": 1, "pitch": 1, "similarity": 1, "inside": 1}


def test_sizes_are_the_sources(stills_set: Faceset) -> None:
    sizes = [stills_set.source_px(index) or 0 for index in range(len(stills_set))]
    bound = sorted(sizes)[5]
    sifted = sift(stills_set, Limits(min_size_px=bound))
    assert sifted.kept == tuple(index for index, size in enumerate(sizes) if size >= bound)


def test_near_duplicates_leave_the_sharpest(repeated: Faceset) -> None:
    sifted = sift(repeated, Limits(near_duplicates=0.98))
    reasons = _reasons(sifted.dropped, repeated)
    assert set(reasons) in ({"soft.png", "grainy.png"}, {"soft.png", "still01.png"})
    assert "is nearly faces/still02_000001.png, which is sharper (like 0.99" in reasons["soft.png"]
    assert all(item.kind == "near-duplicate" for item in sifted.dropped)


def test_the_same_picture_with_points_elsewhere_is_another_expression(stills_set: Faceset) -> None:
    first = stills_set.records[0]
    moved = first.model_copy(update={"points": first.points + 3})
    pair = Faceset(stills_set.folder, stills_set.crop, stills_set.info, (first, first, moved))
    assert len(sift(pair, Limits(near_duplicates=0.9)).kept) == 2


def test_what_is_kept_does_not_depend_on_the_order(repeated: Faceset) -> None:
    turned = Faceset(repeated.folder, repeated.crop, repeated.info, repeated.records[::-1])
    limits = Limits(near_duplicates=0.95)
    one, other = sift(repeated, limits), sift(turned, limits)
    assert {repeated.records[i].file for i in one.kept} == {turned.records[i].file for i in other.kept}


def test_pictures_that_cannot_be_read_are_dropped(stills_set: Faceset) -> None:
    (stills_set.folder / stills_set.records[3].file).write_bytes(b"x")
    (stills_set.folder / stills_set.records[4].file).unlink()
    sifted = sift(stills_set, Limits(near_duplicates=0.999))
    assert [(item.index, item.kind) for item in sifted.dropped if item.kind == "unreadable"] == [
        (3, "unreadable"),
        (4, "unreadable"),
    ]


def test_what_is_kept_is_copied_with_the_reasons(repeated: Faceset, tmp_path: Path) -> None:
    before = _snapshot(repeated.folder)
    sifted = sift(repeated, Limits(near_duplicates=0.98, max_yaw=40))
    written = write_kept(repeated, sifted, tmp_path / "kept")
    assert _snapshot(repeated.folder) == before
    read = Faceset.load(tmp_path / "kept")
    assert read.hash == written.hash
    assert [r.model_dump_json() for r in read.records] == [repeated.records[i].model_dump_json() for i in sifted.kept]
    assert list(read.problems()) == []
    assert read.info.consent == repeated.info.consent
    assert read.info.left_out["faces/still05_000001.png"].startswith("yaw 4")
    assert read.info.made_from["dropped"] == "2 by near-duplicate, 2 by yaw"
    with pytest.raises(UsageError, match="--overwrite"):
        write_kept(repeated, sifted, tmp_path / "kept")
    assert write_kept(repeated, sifted, tmp_path / "kept", overwrite=True).hash == read.hash


def test_a_copy_that_was_broken_off_is_gone_on_with(
    repeated: Faceset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sifted = sift(repeated, Limits(max_yaw=40))
    copied: list[Any] = []
    copyfile = shutil.copyfile

    def failing(source: Path, target: Path) -> None:
        if len(copied) == 4:
            raise KeyboardInterrupt
        copied.append(source)
        copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", failing)
    with pytest.raises(KeyboardInterrupt):
        write_kept(repeated, sifted, tmp_path / "kept")
    monkeypatch.setattr(shutil, "copyfile", copyfile)
    whole = write_kept(repeated, sifted, tmp_path / "whole")
    assert write_kept(repeated, sifted, tmp_path / "kept").hash == whole.hash


def test_nothing_kept_is_no_faceset(stills_set: Faceset, tmp_path: Path) -> None:
    sifted = sift(stills_set, Limits(min_sharpness=1e6))
    with pytest.raises(UsageError, match=r"no face .* would be kept \(11 by sharpness\); set the limits wider"):
        write_kept(stills_set, sifted, tmp_path / "kept")
    with pytest.raises(UsageError, match="is the faceset itself"):
        write_kept(stills_set, sift(stills_set, Limits()), stills_set.folder, overwrite=True)


@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_a_likeness_must_be_one(value: float) -> None:
    with pytest.raises(UsageError, match="above 0 and at most 1"):
        Limits(near_duplicates=value)
