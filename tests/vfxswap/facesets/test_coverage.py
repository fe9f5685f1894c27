"""What an identity's footage lacks of what a plate shows, in words, numbers and a picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vfxswap.errors import UsageError
from vfxswap.faceset import FaceRecord, Faceset
from vfxswap.facesets.chart import draw_chart
from vfxswap.facesets.coverage import Coverage, Gap, compare, openness
from vfxswap.facesets.maps import FEW, mapped_faces, missing_stretches
from vfxswap.geometry import Landmarks

Told = Callable[..., Faceset]
EVEN: dict[str, Any] = {
    "yaw": 0.0,
    "pitch": 0.0,
    "brightness": 0.4,
    "key_right_stops": 0.0,
    "key_top_stops": 0.0,
    "warmth_stops": 1.0,
    "sharpness": 1.0,
}


def _faces(count: int, **changes: Any) -> list[Mapping[str, Any]]:
    return [{**EVEN, **changes} for _ in range(count)]


def _gaps(found: Coverage, kind: str) -> list[Gap]:
    return [gap for gap in found.gaps if gap.kind == kind]


def test_a_side_that_was_never_shot_is_told(told: Told) -> None:
    plate = told("sh010", [*_faces(100), *_faces(40, yaw=-45.0), *_faces(3, yaw=-52.0)], subject="plate")
    identity = told("hero", [*_faces(400), *_faces(2, yaw=-44.0)])
    found = compare(plate, [identity])
    (gap,) = _gaps(found, "pose")
    assert gap.words.startswith(
        "43 of 143 faces of the plate (30%) look 45 to 52° to the image's left; the identity has 2 faces there: shoot"
    )
    assert gap.frames == "sh010.mov 101-143"
    assert (gap.has, len(gap.faces)) == (2, 43)
    assert found.covered["pose"] == pytest.approx(100 / 143)
    assert found.covered["all"] == pytest.approx(100 / 143)
    assert found.covered["light"] == 1


def test_two_sides_are_two_gaps_and_the_larger_comes_first(told: Told) -> None:
    plate = told("sh010", [*_faces(10, yaw=40.0), *_faces(20, yaw=-40.0, pitch=20.0), *_faces(70)])
    found = compare(plate, [told("hero", _faces(400))])
    left, right = _gaps(found, "pose")
    assert "look 40° to the image's left and 20° down; the identity has none there" in left.words
    assert "look 40° to the image's right; the identity has none" in right.words


def test_a_mirrored_pose_is_mentioned(told: Told) -> None:
    plate = told("sh010", [*_faces(50), *_faces(50, yaw=30.0)])
    found = compare(plate, [told("hero", [*_faces(200), *_faces(200, yaw=-30.0)])])
    (gap,) = _gaps(found, "pose")
    assert "(mirrored it has 200: flipped training helps" in gap.words


def test_few_faces_are_not_enough(told: Told) -> None:
    plate = told("sh010", _faces(50, yaw=30.0))
    lacking = compare(plate, [told("hero", _faces(FEW - 1, yaw=30.0))])
    enough = compare(plate, [told("hero", _faces(FEW, yaw=30.0))])
    assert (lacking.covered["pose"], enough.covered["pose"]) == (0, 1)
    assert "the identity has 5 faces in all" in _gaps(enough, "count")[0].words


def test_a_single_face_is_no_gap(told: Told) -> None:
    plate = told("sh010", [*_faces(100), *_faces(1, yaw=80.0)])
    assert compare(plate, [told("hero", _faces(400))]).gaps == ()


def test_light_from_the_other_side_is_told(told: Told) -> None:
    plate = told("sh010", [*_faces(50, key_right_stops=1.5), *_faces(50, key_top_stops=-1.2)])
    found = compare(plate, [told("hero", _faces(400, key_right_stops=-1.5))])
    words = [gap.words for gap in _gaps(found, "light")]
    assert any("are lit 1.5 stops more from the image's right; the identity has none lit so" in text for text in words)
    assert any("are lit 1.2 stops more from below" in text for text in words)


def test_brightness_counts_from_each_sides_own(told: Told) -> None:
    """A darker skin is no gap; a light that goes out is."""
    darker = compare(told("sh010", _faces(100, brightness=0.2)), [told("hero", _faces(400, brightness=0.5))])
    assert _gaps(darker, "brightness") == []
    plate = told("sh010", [*_faces(80, brightness=0.4), *_faces(20, brightness=0.2)])
    (gap,) = _gaps(compare(plate, [told("hero", _faces(400))]), "brightness")
    assert "20 of 100 faces of the plate (20%) differ from its usual brightness by, in stops, -2.2;" in gap.words


def test_an_open_mouth_is_told(told: Told, opened: Callable[[FaceRecord, float], FaceRecord]) -> None:
    plate, identity = told("sh010", _faces(100)), told("hero", _faces(400))
    wide = [opened(face, 14.0) if index < 30 else opened(face, 0.5) for index, face in enumerate(plate.records)]
    shut = [opened(face, 0.5) for face in identity.records]
    plate = Faceset(plate.folder, plate.crop, plate.info, tuple(wide))
    identity = Faceset(identity.folder, identity.crop, identity.info, tuple(shut))
    (gap,) = _gaps(compare(plate, [identity]), "mouth")
    assert gap.words.startswith("30 of 100 faces of the plate (30%) open the mouth to 0.")
    assert gap.frames == "sh010.mov 1-30"


def test_soft_and_small_footage_is_told(told: Told, stills_set: Faceset) -> None:
    plate = told("sh010", _faces(100, sharpness=2.0))
    found = compare(plate, [told("hero", _faces(400, sharpness=0.5))])
    assert (
        "none of the identity's 400 are as sharp as the plate's usual face (sharpness 2)"
        in _gaps(found, "sharpness")[0].words
    )
    third = tuple(tuple(3 * value for value in row) for row in stills_set.records[0].plate_to_crop or ())
    found = compare(plate, [told("hero", _faces(400, plate_to_crop=third))])
    assert "the result will be softer than the plate" in _gaps(found, "size")[0].words


def test_light_that_changes_colour_is_told(told: Told) -> None:
    plate = told("sh010", [*_faces(50, warmth_stops=0.5), *_faces(50, warmth_stops=1.5)])
    (gap,) = _gaps(compare(plate, [told("hero", _faces(400))]), "warmth")
    assert "changes colour by 1.0 stops of red over blue, the identity's by 0.0" in gap.words


def test_a_plate_against_itself_lacks_nothing(told: Told) -> None:
    rng = np.random.default_rng(2)
    faces = [{**EVEN, "yaw": float(y), "pitch": float(p)} for y, p in rng.normal(0, 12, (600, 2)).clip(-25, 25)]
    plate = told("sh010", faces)
    found = compare(plate, [plate])
    assert found.covered["all"] > 0.97
    assert all(gap.kind == "pose" for gap in found.gaps)


def test_several_facesets_of_one_person_count_together(told: Told) -> None:
    plate = told("sh010", [*_faces(50), *_faces(50, yaw=40.0)])
    one, two = told("hero", _faces(200)), told("hero", _faces(200, yaw=40.0))
    assert compare(plate, [one, two]).gaps == ()
    with pytest.raises(UsageError, match="of several people: hero, other"):
        compare(plate, [one, told("other", _faces(9))])


def test_nothing_cannot_be_compared(told: Told) -> None:
    with pytest.raises(UsageError, match="holds no faces to compare"):
        compare(told("sh010", []), [told("hero", _faces(9))])
    with pytest.raises(UsageError, match="holds no faces to compare"):
        compare(told("sh010", _faces(9)), [told("hero", [])])


def test_words_and_json_say_the_same(told: Told) -> None:
    plate = told("sh010", [*_faces(100), *_faces(43, yaw=-45.0)])
    found = compare(plate, [told("hero", _faces(50))])
    facts = json.loads(json.dumps(found.to_json()))
    lines = found.words()
    assert lines[0] == "sh010: 143 faces, held against 50 of hero"
    assert lines[1].startswith("covered: 70% of the plate's faces in every respect (pose 70%, light 100%,")
    assert [line[2:].split(" [")[0] for line in lines[2:]] == [gap["words"] for gap in facts["gaps"]]
    assert [gap["kind"] for gap in facts["gaps"]] == ["pose", "count"]
    assert facts["gaps"][0] | {"words": ""} == {
        "kind": "pose",
        "plate_faces": 43,
        "share": 0.3007,
        "identity_faces": 0,
        "frames": "sh010.mov 101-143",
        "words": "",
    }
    cells = {(cell["x"], cell["y"]): cell for cell in facts["maps"]["pose"]}
    assert cells[0, 0] == {"x": 0, "y": 0, "plate_faces": 100, "identity_faces": 50, "identity_near": 50}
    assert compare(plate, [plate]).words()[2:] == [_gaps(compare(plate, [plate]), "count")[0].words.join(("- ", ""))]


def test_the_chart_shows_the_maps_and_the_faces(
    told: Told, stills_set: Faceset, tmp_path: Path, picture: Callable[[Path], NDArray[np.uint8]]
) -> None:
    plate = told("sh010", [*_faces(100), *_faces(43, yaw=-45.0)])
    draw_chart(compare(plate, [told("hero", _faces(400))]), tmp_path / "chart.png")
    drawn = picture(tmp_path / "chart.png")
    assert drawn.shape[1] == 1680
    red, green = (int(np.all(drawn == color, axis=2).sum()) for color in ((48, 48, 196), (84, 140, 72)))
    assert red > 200
    assert green > 200
    face = picture(stills_set.folder / stills_set.records[0].file)
    small = cv2.resize(face, (80, 80), interpolation=cv2.INTER_AREA)
    found = cv2.minMaxLoc(cv2.matchTemplate(drawn, small, cv2.TM_SQDIFF_NORMED))[0]
    assert found < 0.001
    draw_chart(compare(plate, [plate]), tmp_path / "chart.jpg")
    with pytest.raises(UsageError, match=r"ends in \.png or \.jpg"):
        draw_chart(compare(plate, [plate]), tmp_path / "chart.pdf")


def test_the_same_comparison_draws_the_same_picture(told: Told, tmp_path: Path) -> None:
    found = compare(told("sh010", [*_faces(9), *_faces(9, yaw=60.0)]), [told("hero", _faces(40))])
    for name in ("a.png", "b.png"):
        draw_chart(found, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_cells_lie_around_multiples_of_the_step() -> None:
    plate = np.array([(0.0, 0.0), (4.9, -4.9), (5.1, 0.0), (-5.1, 0.0)])
    identity = np.array([(10.0, 0.0)] * 5 + [(0.0, 10.1)])
    found = mapped_faces(plate, identity, 10.0)
    assert found.plate == {(0, 0): (0, 1), (1, 0): (2,), (-1, 0): (3,)}
    assert found.identity == {(1, 0): 5, (0, 1): 1}
    assert found.near[0, 0] == 5  # those exactly a step away count, the one beyond does not
    assert found.missing == [(-1, 0)]


def test_missing_cells_that_touch_are_one_group() -> None:
    plate = np.array([(0.0, 0.0), (10.0, 10.0), (40.0, 0.0)])
    groups = list(mapped_faces(plate, np.zeros((0, 2)), 10.0).groups())
    assert groups == [[(0, 0), (1, 1)], [(4, 0)]]


def test_a_rim_all_around_is_one_gap_a_side() -> None:
    ring = [(10.0 * x, 10.0 * y) for x in range(-4, 5) for y in range(-4, 5) if max(abs(x), abs(y)) == 4]
    groups = list(mapped_faces(np.array(ring), np.array([(0.0, 0.0)] * 9), 10.0).groups())
    assert len(groups) == 4
    left, above, right, below = groups
    assert all(x == -4 for x, _ in left)
    assert all(x == 4 for x, _ in right)
    assert all(y == -4 for _, y in above)
    assert all(y == 4 for _, y in below)
    assert sum(map(len, groups)) == len(ring)


def test_stretches_of_a_scale() -> None:
    plate = np.array([0.0, 0.1, 0.5, 0.55, 0.9])
    found = missing_stretches(plate, np.array([0.05] * 9 + [0.52]), 0.1)
    assert [(s.faces, s.low, s.high, s.near) for s in found] == [((2, 3), 0.5, 0.55, 1), ((4,), 0.9, 0.9, 0)]


def test_openness_follows_the_lips(stills_set: Faceset, opened: Callable[[FaceRecord, float], FaceRecord]) -> None:
    face = stills_set.records[0]
    values = [openness(opened(face, px).landmarks, "mouth") or 0 for px in (0.0, 3.0, 6.0, 12.0)]
    assert values == sorted(values)
    assert values[0] < 0.02
    assert values[-1] > 0.3
    eyes = [openness(record.landmarks, "eyes") or 0 for record in stills_set.records]
    assert eyes.index(min(eyes)) == 10  # the still with closed eyes
    mouths = [openness(record.landmarks, "mouth") or 0 for record in stills_set.records]
    assert mouths.index(max(mouths)) in {8, 9}  # those with the jaw down
    assert openness(Landmarks(face.landmarks.five(), "five"), "mouth") is None
