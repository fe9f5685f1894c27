"""Mattes that an artist drew come along with the faces of a shot, and must be those of its plate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from vfxswap.errors import MediaError, UsageError
from vfxswap.facesets.extract import Extracted, Footage
from vfxswap.geometry import inverted

Take = Callable[..., Extracted]


def test_mattes_that_an_artist_drew_come_along(take: Take, job: Path) -> None:
    """Of the frames that there are any of; cut as the faces are."""
    (job.parent / "roto").mkdir()
    drawn = np.zeros((108, 192), np.uint8)
    drawn[:, 96:] = 255
    cv2.imwrite(str(job.parent / "roto" / "m.0003.png"), drawn)
    faces = take(Footage(mattes=job.parent / "roto" / "m.####.png")).faceset
    assert [record.frame for record in faces.records if record.matte] == [3]
    matte = faces.matte(2)
    assert matte is not None
    back = inverted(np.array(faces.records[2].plate_to_crop))
    y, x = np.mgrid[:96, :96] + 0.5
    plate_x, plate_y = back[:, :2] @ np.stack([x.ravel(), y.ravel()]) + back[:, 2:]
    far = (np.abs(plate_x - 96) > 2) & (plate_y > 1) & (plate_y < 107)
    expected = (plate_x > 96).astype(np.float32)
    assert 0.05 < expected[far].mean() < 0.95
    np.testing.assert_allclose(matte.numpy().ravel()[far], expected[far], atol=0.01)
    assert faces.info.made_from["mattes"] == "1"
    again = take(Footage(mattes=job.parent / "roto" / "m.####.png"))
    assert again.already_done
    with pytest.raises(UsageError, match="made from other footage"):
        take()


def test_mattes_must_be_there_and_of_the_plates_size(take: Take, job: Path) -> None:
    for name, said in (("m.png", "needs the frame's number"), ("m.####.png", "there is no such file")):
        with pytest.raises(UsageError, match=said):
            take(Footage(mattes=job.parent / name))
    cv2.imwrite(str(job.parent / "m.0001.png"), np.zeros((54, 96), np.uint8))
    with pytest.raises(MediaError, match="has 96x54 pixels, the plate 192x108"):
        take(Footage(mattes=job.parent / "m.####.png"))
    with pytest.raises(UsageError, match="--mattes go with one shot"):
        take(Footage(stills=(job.parent / "identity" / "still01.png",), mattes=job.parent / "m.####.png"))
