"""Contact sheets and summaries: all faces at once, in an order, with those that cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vfxswap.errors import MediaError, UsageError
from vfxswap.faceset import Faceset
from vfxswap.facesets.drawing import BLUE, INK, PAPER, Canvas
from vfxswap.facesets.sheet import ORDERS, contact_sheet, small
from vfxswap.facesets.summary import summary

Picture = Callable[[Path], NDArray[np.uint8]]


def _places(drawn: NDArray[np.uint8], faces: Faceset, tile_px: int) -> list[tuple[int, int]]:
    """Where each face is on the sheet, as (row, column)."""
    found = []
    for index in range(len(faces)):
        tile = small(faces, index, tile_px)
        _, _, (x, y), _ = cv2.minMaxLoc(cv2.matchTemplate(drawn, tile, cv2.TM_SQDIFF))
        np.testing.assert_array_equal(drawn[y : y + tile_px, x : x + tile_px], tile)
        found.append((y, x))
    return found


def test_faces_stand_in_their_order(stills_set: Faceset, tmp_path: Path, picture: Picture) -> None:
    drawn = contact_sheet(stills_set, tmp_path / "sheet.png", by="yaw", columns=4, tile_px=48)
    assert (drawn.shown, drawn.unreadable) == (11, ())
    places = _places(picture(tmp_path / "sheet.png"), stills_set, 48)
    order = sorted(range(11), key=lambda index: places[index])
    yaws = [stills_set.records[index].yaw for index in order]
    assert yaws == sorted(yaws)
    assert len({row for row, _ in places}) == 3
    assert len({column for _, column in places}) == 4


@pytest.mark.parametrize("by", ORDERS)
def test_every_order_can_be_drawn(stills_set: Faceset, tmp_path: Path, by: str) -> None:
    assert contact_sheet(stills_set, tmp_path / "sheet.jpg", by=by, tile_px=32).shown == 11


def test_of_many_faces_some_are_shown_from_both_ends(stills_set: Faceset, tmp_path: Path, picture: Picture) -> None:
    drawn = contact_sheet(stills_set, tmp_path / "sheet.png", by="sharpness", most=3, tile_px=48)
    assert drawn.shown == 3
    shown = picture(tmp_path / "sheet.png")
    sharpness = [record.sharpness for record in stills_set.records]
    for index in (int(np.argmin(sharpness)), int(np.argmax(sharpness))):
        found = cv2.matchTemplate(shown, small(stills_set, index, 48), cv2.TM_SQDIFF_NORMED)
        assert found.min() < 1e-4


def test_what_cannot_be_read_is_marked(stills_set: Faceset, tmp_path: Path) -> None:
    (stills_set.folder / stills_set.records[2].file).write_bytes(b"x")
    drawn = contact_sheet(stills_set, tmp_path / "sheet.png", tile_px=64)
    assert drawn.shown == 10
    assert "still03_000001.png is no picture" in drawn.unreadable[0]


def test_bad_sheets_are_refused(stills_set: Faceset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be sorted by 'name'; allowed: source, yaw"):
        contact_sheet(stills_set, tmp_path / "sheet.png", by="name")
    with pytest.raises(UsageError, match=r"ends in \.png or \.jpg"):
        contact_sheet(stills_set, tmp_path / "sheet.tif")
    with pytest.raises(MediaError, match="cannot write"):
        contact_sheet(stills_set, tmp_path / "none" / "sheet.png")
    empty = Faceset(stills_set.folder, stills_set.crop, stills_set.info, ())
    with pytest.raises(UsageError, match="holds no faces"):
        contact_sheet(empty, tmp_path / "sheet.png")


def test_a_summary_says_what_is_there(stills_set: Faceset) -> None:
    facts = json.loads(json.dumps(summary(stills_set)))
    assert facts["faces"] == 11
    assert facts["crop"] == "dfl68_whole, 96 px, zoom 1, 8 bits"
    assert facts["landmarks"] == {"mesh468": 11}
    assert facts["sources"]["still01.png"] == 1
    assert facts["hash"] == stills_set.hash
    least, _, median, _, most = facts["spread"]["yaw"]
    assert (least, median, most) == pytest.approx((-45, 0, 45), abs=4)
    assert facts["consent"]["productions"] == ["lab"]
    empty = summary(Faceset(stills_set.folder, stills_set.crop, stills_set.info, ()))
    assert (empty["faces"], empty["spread"]) == (0, {})


@pytest.mark.parametrize("fine", [True, False])
def test_words_are_drawn_where_they_should(monkeypatch: pytest.MonkeyPatch, fine: bool) -> None:
    if not fine:
        monkeypatch.delattr(cv2, "FontFace", raising=False)
    elif not hasattr(cv2, "FontFace"):
        pytest.skip("this OpenCV has no typeface")
    canvas = Canvas(300, 60)
    assert canvas.fine is fine
    canvas.text(150, 40, "yaw −40° … 7", size_px=20, color=INK, at=0.5)
    ink = (canvas.pixels < 128).all(axis=2)
    columns = np.flatnonzero(ink.any(axis=0))
    assert abs((columns[0] + columns[-1]) / 2 - 150) < 6
    assert columns[-1] - columns[0] == pytest.approx(canvas.text_width("yaw −40° … 7", size_px=20), abs=12)
    assert canvas.wrapped("one two three four", canvas.text_width("one two", size_px=15) + 1) == [
        "one two",
        "three",
        "four",
    ]


def test_boxes_cover_their_pixels() -> None:
    canvas = Canvas(20, 10)
    canvas.box(2, 3, 4, 5, BLUE)
    canvas.box(9, 9, 0, 4, BLUE)
    blue = (canvas.pixels == BLUE.bgr).all(axis=2)
    assert blue.sum() == 20
    assert blue[3:8, 2:6].all()
    assert (canvas.pixels[0, 0] == PAPER.bgr).all()
    assert BLUE.mixed(PAPER, 0) == BLUE
    assert BLUE.mixed(PAPER, 1) == PAPER
