"""Which faces become stills: one for each role, and none that is covered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from vfxswap.alignment import crop_of_type
from vfxswap.errors import PipelineError
from vfxswap.faceset import Faceset, FacesetInfo, FacesetWriter
from vfxswap.geometry import Landmarks
from vfxswap.training.faces import Shelf, Spot
from vfxswap.training.marks import MARKS
from vfxswap.training.settings import load
from vfxswap.training.stills import MOST_STILLS, stills_of

SIZE = 32
CROP = crop_of_type("whole", SIZE)


def shelf_of(faceset: Faceset) -> Shelf:
    return Shelf(SIZE, (faceset,), tuple(Spot(0, place) for place in range(len(faceset))))


def test_stills_have_their_roles(tmp_path: Path, faceset: Callable[..., Faceset]) -> None:
    shelf = shelf_of(faceset(tmp_path / "faces", "ada", tone=0.6))
    stills = stills_of(shelf, 3, SIZE)
    assert stills.pictures.shape == (9, SIZE, SIZE)
    assert stills.points.shape == (3, MARKS, 2)
    assert float(stills.points.abs().max()) < 1
    eyes = stills.points[:, 36:48, 0].mean(1)
    assert float(eyes[2]) < float(eyes[0]) < float(eyes[1]), "at rest, turned to one side, turned to the other"
    again = stills_of(shelf, 3, SIZE)
    assert torch.equal(stills.pictures, again.pictures)
    assert stills_of(shelf, 0, SIZE).pictures.shape == (0, SIZE, SIZE)
    assert stills_of(shelf, MOST_STILLS, SIZE).points.shape == (MOST_STILLS, MARKS, 2)


def test_stills_are_not_covered(tmp_path: Path) -> None:
    """All faces are alike, but only the last three are seen whole."""
    writer = FacesetWriter(tmp_path, CROP, FacesetInfo(identity="ada"))
    points = torch.rand(68, 2, generator=torch.Generator().manual_seed(1)).double().numpy() * 16 + 8
    for number in range(10):
        matte = torch.zeros(1, SIZE, SIZE)
        matte[:, 4:28, 4 : 28 if number > 6 else 12] = 1
        image = torch.full((3, SIZE, SIZE), 0.9 if number > 6 else 0.1)
        writer.add(image, Landmarks(points, "ibug68"), source="sh010", frame=number + 1, matte=matte)
    stills = stills_of(shelf_of(writer.finish()), 5, SIZE)
    assert float(stills.pictures.min()) > 0.8


def test_stills_need_more_than_five_landmarks(tmp_path: Path, project: Callable[..., Path]) -> None:
    file = project(tmp_path)
    writer = FacesetWriter(tmp_path / "facesets" / "five", CROP, FacesetInfo(identity="ada"))
    five = Landmarks(torch.tensor([[11.0, 12], [21, 12], [16, 16], [12, 22], [20, 22]]).double().numpy(), "five")
    for number in range(12):
        writer.add(torch.rand(3, SIZE, SIZE), five, source="sh020", frame=number + 1)
    writer.finish()
    file.write_text(file.read_text().replace('"facesets/ada"', '"facesets/five"'))
    with pytest.raises(PipelineError, match=r"five landmarks alone.*stills = 0"):
        load(file)
