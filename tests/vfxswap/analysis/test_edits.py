"""Artists' edits: what they make of found faces, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vfxswap.analysis import (
    EditedFace,
    Edits,
    FoundFace,
    FoundFrame,
    Settled,
    Stand,
    check_edits,
    read_edits,
    settled,
    write_edits,
)
from vfxswap.analysis.edits import (
    BoxKeys,
    Delete,
    Edit,
    FiveKeys,
    GiveIdentity,
    Join,
    NewTrack,
    PointKeys,
    Then,
)
from vfxswap.errors import UsageError
from vfxswap.frame import Detection
from vfxswap.geometry import Box, Landmarks

FIRST, LAST, CUT = 1001, 1020, 1011
FIVE = np.array([(30.0, 40.0), (70.0, 40.0), (50.0, 60.0), (35.0, 80.0), (65.0, 80.0)])
STAND = Stand(Box(0, 0, 640, 360), FIRST, LAST, ("hero", "friend"))


def found_face(number: int, track: int) -> FoundFace:
    """A face of 100 pixels that moves by two a frame; every track in a row of its own."""
    at = (2.0 * (number - FIRST), 110.0 * track)
    detection = Detection((0, 0, 100, 100), 0.9, FIVE, track).moved(*at)
    return FoundFace(detection, (), Landmarks(FIVE + at, "five"))


def shot() -> dict[int, FoundFrame]:
    """Track 1 is all there; 2 begins at 1006; 3 ends at 1005. A cut in the middle."""
    seen = {1: range(FIRST, LAST + 1), 2: range(1006, LAST + 1), 3: range(FIRST, 1006)}
    return {
        number: FoundFrame(
            number,
            number == CUT,
            tuple(found_face(number, track) for track, frames in seen.items() if number in frames),
            is_aligned=True,
        )
        for number in range(FIRST, LAST + 1)
    }


FOUND = shot()


def applied(*edits: Edit, stand: Stand = STAND, size: tuple[int, int] = (640, 360)) -> Settled:
    return settled(FOUND, Edits(width=size[0], height=size[1], edits=edits), stand)


def of(result: Settled, track: int, number: int) -> EditedFace | None:
    faces = [face for face in result.faces[number] if face.detection.track == track]
    assert len(faces) < 2
    return faces[0] if faces else None


def box(track: int, keys: dict[int, tuple[float, float, float, float]], then: Then = "linear") -> BoxKeys:
    return BoxKeys(track=track, keys={str(number): value for number, value in keys.items()}, then=then)


def five(track: int, keys: dict[int, Any], then: Then = "linear") -> FiveKeys:
    facts = {"track": track, "keys": {str(n): np.asarray(value).tolist() for n, value in keys.items()}, "then": then}
    return FiveKeys.model_validate_json(json.dumps(facts))


def test_without_edits_all_is_as_it_was_found() -> None:
    result = applied()
    for number, frame in FOUND.items():
        assert [face.found for face in result.faces[number]] == list(frame.faces)
        assert [face.detection for face in result.faces[number]] == [face.detection for face in frame.faces]


def test_between_two_keys_a_box_goes_straight_and_elsewhere_it_is_as_found() -> None:
    result = applied(box(1, {1003: (0, 0, 100, 100), 1007: (40, 20, 180, 160)}))
    for number, left, top, side in ((1003, 0, 0, 100), (1004, 10, 5, 110), (1006, 30, 15, 130), (1007, 40, 20, 140)):
        face = of(result, 1, number)
        assert face is not None
        assert face.found is None
        assert face.detection.box == pytest.approx((left, top, left + side, top + side))
        assert face.detection.five is not None
        np.testing.assert_allclose(face.detection.five, FIVE / 100 * side + [left, top])
    for number in (1002, 1008):
        face = of(result, 1, number)
        assert face is not None
        assert face.found is FOUND[number].faces[0]


def test_a_key_alone_changes_its_frame_alone() -> None:
    result = applied(box(1, {1005: (1, 2, 3, 4)}))
    assert [n for n in FOUND if (face := of(result, 1, n)) is None or face.found is None] == [1005]


def test_a_lock_ends_a_way() -> None:
    result = applied(
        box(1, {1002: (0, 0, 9, 9)}), box(1, {1004: (8, 8, 17, 17)}, "found"), box(1, {1008: (0, 0, 5, 5)})
    )
    edited = [n for n in FOUND if (face := of(result, 1, n)) is not None and face.found is None]
    assert edited == [1002, 1003, 1004, 1008]


def test_a_smooth_way_runs_through_its_keys_without_a_corner() -> None:
    keys = {1002: (0, 0, 10, 10), 1005: (30, 0, 40, 10), 1008: (30, 30, 40, 40)}
    result = applied(box(1, keys, "smooth"))  # type: ignore[arg-type]
    x = {n: face.detection.box[0] for n in range(1002, 1009) if (face := of(result, 1, n)) is not None}
    assert (x[1002], x[1005], x[1008]) == pytest.approx((0, 30, 30))
    steps = np.diff([x[n] for n in range(1002, 1009)])
    straight = np.array([10, 10, 10, 0, 0, 0])
    assert np.abs(np.diff(steps)).max() < np.abs(np.diff(straight)).max() * 0.75
    assert x[1006] > 30  # it swings out, as a thing that moved does


def test_no_way_leads_over_a_cut() -> None:
    result = applied(box(1, {1009: (0, 0, 10, 10), 1013: (40, 0, 50, 10)}, "smooth"))
    edited = [n for n in FOUND if (face := of(result, 1, n)) is not None and face.found is None]
    assert edited == [1009, 1013]


def test_five_points_take_the_box_along() -> None:
    moved = FIVE * 1.5 + [200, 100]
    face = of(applied(five(1, {1001: moved})), 1, 1001)
    assert face is not None
    x0, y0, x1, y1 = face.detection.box
    assert (x1 - x0, y1 - y0) == pytest.approx((150, 150))
    np.testing.assert_array_equal(face.detection.five, moved)
    assert face.landmarks is None


def test_dense_points_are_taken_as_they_are() -> None:
    points = np.random.default_rng(1).random((68, 2)) * 100 + 50
    facts = {"track": 1, "scheme": "ibug68", "keys": {"1001": points.tolist(), "1003": (points + 4).tolist()}}
    result = applied(PointKeys.model_validate_json(json.dumps(facts)))
    face = of(result, 1, 1002)
    assert face is not None
    assert face.landmarks is not None
    np.testing.assert_allclose(face.landmarks.points, points + 2)
    assert face.detection.box == pytest.approx((*(points + 2).min(axis=0), *(points + 2).max(axis=0)))


def test_a_gap_is_filled_with_a_face_like_the_nearest() -> None:
    result = applied(box(2, {1003: (0, 220, 50, 270), 1005: (0, 220, 50, 270)}))
    assert of(result, 2, 1002) is None
    face = of(result, 2, 1004)
    assert face is not None
    assert face.detection.five is not None
    np.testing.assert_allclose(face.detection.five, FIVE / 2 + [0, 220])


def test_a_new_track_is_there_where_its_keys_say() -> None:
    result = applied(NewTrack(track=7), box(7, {1002: (0, 0, 9, 9), 1004: (2, 2, 11, 11)}))
    assert [n for n in FOUND if of(result, 7, n) is not None] == [1002, 1003, 1004]
    face = of(applied(NewTrack(track=7), five(7, {1002: FIVE})), 7, 1002)
    assert face is not None
    x0, y0, x1, y1 = face.detection.box
    assert max(x0, y0 - 10) < 30
    assert min(x1, y1 - 10) > 70


def test_false_faces_are_deleted_in_all_frames_or_in_some() -> None:
    assert all(of(applied(Delete(track=1)), 1, number) is None for number in FOUND)
    result = applied(Delete(track=1, frames="1005-1007"), Delete(track=1, frames="1010"))
    assert [n for n in FOUND if of(result, 1, n) is None] == [1005, 1006, 1007, 1010]


def test_joined_tracks_are_one_and_keep_what_the_aligner_saw() -> None:
    result = applied(Join(track=3, other=2), GiveIdentity(track=3, identity="hero"))
    assert [n for n in FOUND if of(result, 3, n) is not None] == list(FOUND)
    face = of(result, 3, 1010)
    assert face is not None
    assert face.found is FOUND[1010].faces[1]
    assert result.identities == {3: "hero"}
    # Of two faces of one person in a frame, the track's own stays; the keys of both hold.
    result = applied(box(2, {1015: (0, 0, 9, 9)}), Join(track=1, other=2))
    assert all(of(result, 2, n) is None for n in FOUND)
    faces = [of(result, 1, n) for n in (1010, 1015)]
    assert faces[0] is not None
    assert faces[0].found is FOUND[1010].faces[0]
    assert faces[1] is not None
    assert faces[1].detection.box == (0, 0, 9, 9)


def test_coordinates_count_from_the_display_window() -> None:
    stand = Stand(Box(16, 8, 656, 368), FIRST, LAST)
    face = of(applied(box(1, {1001: (0, 0, 10, 10)}), stand=stand), 1, 1001)
    assert face is not None
    assert face.detection.box == (16, 8, 26, 18)


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ([box(1, {1021: (0, 0, 9, 9)})], "edit 1 (box): frame 1021 is outside the shot, which has 1001-1020"),
        ([Delete(track=1, frames="990-1004")], "edit 1 (delete): frame 990 is outside the shot"),
        ([box(9, {1001: (0, 0, 9, 9)})], "there is no track 9; there are 1 (1001-1020), 2 (1006-1020), 3 (1001-1005)"),
        ([Join(track=1, other=8)], "there is no track 8"),
        ([GiveIdentity(track=1, identity="her")], "no identity 'her' in the pipeline file; there are: hero, friend"),
        ([Delete(track=1), GiveIdentity(track=1, identity="hero")], "track 1 is deleted and given an identity"),
        ([GiveIdentity(track=1, identity="hero"), Delete(track=1)], "track 1 is deleted and given an identity"),
        ([box(1, {1001: (0, 0, 9, 9)}), Delete(track=1)], "track 1 is deleted and given keys"),
        ([Delete(track=1, frames="1001"), box(1, {1001: (0, 0, 9, 9)})], "track 1 is deleted at frame 1001"),
        ([Delete(track=1), Join(track=1, other=2)], "edit 2 (join): track 1 is deleted"),
        ([Join(track=1, other=2), Delete(track=2)], "track 2 was joined to track 1; speak of that one"),
        ([NewTrack(track=2)], "there is a track 2 already; the next free number is 4"),
    ],
)
def test_what_cannot_be_is_refused_with_what_is_there(edits: Iterable[Edit], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        applied(*edits)
    assert said in str(caught.value)


def test_edits_of_another_size_are_refused_and_nothing_is_scaled() -> None:
    with pytest.raises(UsageError, match="made for a plate of 320x180, this plate is 640x360"):
        check_edits(Edits(width=320, height=180), STAND)


def test_tracks_that_nobody_gives_are_asked_for() -> None:
    alone = {1001: FoundFrame(1001, cut_before=False, faces=(FoundFace(Detection((0, 0, 9, 9), 1.0)),))}
    with pytest.raises(UsageError, match="there is no track 1; there are none: no stage of this pipeline gives tracks"):
        settled(alone, Edits(width=640, height=360, edits=(Delete(track=1),)), STAND)


def test_an_edits_file_comes_back_and_the_last_edit_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "sh010.edits.json"
    points = PointKeys(track=1, scheme="five", keys={"1001": tuple((x, y) for x, y in FIVE.tolist())})
    edits = Edits(width=640, height=360).with_edits(
        [box(1, {1001: (0.125, 0, 9, 9)}), five(1, {1002: FIVE}, "smooth"), points, NewTrack(track=9)]
    )
    edits = edits.with_edits(
        [Delete(track=2, frames="1001-1003"), Join(track=1, other=3), GiveIdentity(track=1, identity=None)]
    )
    write_edits(path, edits)
    assert read_edits(path) == edits
    assert len(path.read_text().splitlines()) == 9  # one edit a line, for people and for version control
    assert read_edits(path).without_last(2).edits == edits.edits[:5]
    write_edits(path, edits.without_last(99))
    assert not read_edits(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1: not valid JSON"),
        ("[]", "must be an object"),
        ('{"format": "vfxswap-edits", "version": 2}', "is an edits file of version 2; this reads version 1"),
        ('{"format": "other", "version": 1, "width": 1, "height": 1}', "format"),
        ('{"format": "vfxswap-edits", "version": 1, "width": 0, "height": 1}', "width"),
        ('EDIT {"do": "box", "track": 1, "boxes": {}}', "edit 1, boxes: there is no such key"),
        ('EDIT {"do": "box", "track": 1}', "edit 1, keys: Field required"),
        ('EDIT {"do": "box", "track": "1", "keys": {"1": [0, 0, 1, 1]}}', "edit 1, track"),
        ('EDIT {"do": "box", "track": 1, "keys": {"1": [0, 0, 0, 1]}}', "x1 > x0"),
        ('EDIT {"do": "box", "track": 1, "keys": {"0x1": [0, 0, 1, 1]}}', "edit 1, keys"),
        ('EDIT {"do": "box", "track": 1, "keys": {"1": [0, 0, 1]}}', "edit 1, keys.1"),
        ('EDIT {"do": "five", "track": 1, "keys": {"1": [[0, 0]]}}', "edit 1, keys.1"),
        ('EDIT {"do": "points", "track": 1, "scheme": "ibug68", "keys": {"1": [[0, 0]]}}', "must be 68 points"),
        ('EDIT {"do": "delete", "track": 1, "frames": "9-1"}', "must run forwards"),
        ('EDIT {"do": "join", "track": 1, "other": 1}', "joined to itself"),
        ('EDIT {"do": "move", "track": 1}', "edit 1"),
        ('{"format": "vfxswap-edits", "format": "vfxswap-edits"}', "'format' is there twice"),
    ],
)
def test_what_is_wrong_in_an_edits_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "sh010.edits.json"
    if text.startswith("EDIT "):
        text = f'{{"format": "vfxswap-edits", "version": 1, "width": 9, "height": 9, "edits": [{text[5:]}]}}'
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_edits(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
