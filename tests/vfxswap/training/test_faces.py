"""Faces to train on: which ones a step sees, what of them is held out, and what their planes hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vfxswap.faceset import Faceset
from vfxswap.geometry import Landmarks
from vfxswap.training import strangers as odd
from vfxswap.training.drawing import YAW_BINS, mixed_in, shuffled, turns, yaw_bins
from vfxswap.training.faces import Roll, some
from vfxswap.training.planes import PLANES, eyes_and_mouth, hull_matte, read_face
from vfxswap.training.settings import Sources, load
from vfxswap.training.strangers import strangers

Project = Callable[..., Path]


def test_everybody_is_drawn_as_often_and_every_face_before_any_twice() -> None:
    seen: Counter[int] = Counter()
    places: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for step in range(15):
        for person, draws in turns(step * 4, 4, 3):
            seen[person] += len(draws)
            places[person] += [shuffled(1, person, draw, 10) for draw in draws]
    assert set(seen.values()) == {20}
    for drawn in places.values():
        assert sorted(drawn[:10]) == list(range(10)) == sorted(drawn[10:20])
        assert drawn[:10] != drawn[10:20]
    assert places[0] != places[1]


def test_yaws_are_sorted_into_even_parts() -> None:
    bins = yaw_bins([0.0] * 90 + [45.0, 46.0, 90.0])
    assert [len(found) for found in bins] == [90, 2, 1]
    assert len(bins) <= YAW_BINS
    assert yaw_bins([]) == []


def test_a_share_is_spread_evenly_over_all_draws() -> None:
    drawn = [mixed_in(draw, 0.3) for draw in range(20)]
    assert sum(among for among, _ in drawn) == 6
    for kind in (True, False):
        assert [place for among, place in drawn if among is kind] == list(range(6 if kind else 14))
    assert {mixed_in(draw, 0.0)[0] for draw in range(20)} == {False}


def test_shut_eyes_are_drawn_more_often_than_they_are_seen(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them, and each of the others, as often as the next; nobody who has many, or none, is changed."""
    file = project(tmp_path)
    faces = Faceset.load(tmp_path / "facesets" / "ada")
    shut = [faces.records[place].landmarks.points for place in (3, 7)]

    def gap(landmarks: Landmarks, _: str) -> float:
        return 0.05 if any(np.array_equal(landmarks.points, points) for points in shut) else 0.25

    monkeypatch.setattr("vfxswap.training.faces.openness", gap)
    drawn: dict[float, Counter[int]] = {}
    for share in (0.0, 0.04, 0.25):
        roll = Roll(load(file, overrides=[f"train.blinks={share}"]), size_px=32, warn=lambda _: None)
        assert roll.people[0].faces.blinks() == [3, 7]
        drawn[share] = Counter(place for _, places in roll._places(0, 2 * 36 * 8) for place in places)
        roll.close()
    assert set(drawn[0.0].values()) == set(drawn[0.04].values()) == {16}, "two of 36 are more than that anyway"
    blinks = [drawn[0.25][place] for place in (3, 7)]
    assert sum(blinks) / drawn[0.25].total() > 0.25
    assert max(blinks) - min(blinks) <= 2
    others = [count for place, count in drawn[0.25].items() if place not in {3, 7}]
    assert max(others) - min(others) <= 2


def test_five_points_tell_nothing_of_blinks(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vfxswap.training.faces.openness", lambda _, __: None)
    roll = Roll(load(project(tmp_path)), size_px=32, warn=lambda _: None)
    assert roll.people[0].faces.blinks() == []
    roll.close()


def test_profiles_are_drawn_as_often_as_frontal_faces(project: Project, tmp_path: Path) -> None:
    settings = load(project(tmp_path), overrides=["train.uniform_yaw=true"])
    roll = Roll(settings, size_px=32, warn=lambda _: None)
    drawn = [place for _, places in roll._places(0, 640) for place in places]
    counts = Counter(drawn)
    rare = min(yaw_bins(roll.people[0].faces.yaws()), key=len)
    often = max(yaw_bins(roll.people[0].faces.yaws()), key=len)
    assert sum(counts[place] for place in rare) > 0.6 * sum(counts[place] for place in often)
    roll.close()


def test_the_last_faces_are_held_out(project: Project, tmp_path: Path) -> None:
    roll = Roll(load(project(tmp_path)), size_px=32, warn=lambda _: None)
    person = roll.people[0]
    assert [spot.place for spot in person.held_out.spots] == [36, 37, 38, 39]
    assert not set(person.held_out.spots) & set(person.faces.spots)
    assert some(person.held_out, 16, 2).shape == (2, PLANES, 16, 16)
    roll.close()


def test_lanes_draw_other_faces_and_a_step_always_the_same(project: Project, tmp_path: Path) -> None:
    roll = Roll(load(project(tmp_path)), size_px=32, warn=lambda _: None)
    one, other = roll.draw(3, batch=4, lane=0, lanes=2), roll.draw(3, batch=4, lane=1, lanes=2)
    assert not torch.equal(one.inputs, other.inputs)
    assert torch.equal(one.inputs, roll.draw(3, batch=4, lane=0, lanes=2).inputs)
    assert one.inputs.dtype == torch.uint8
    assert sorted(one.who) == [0, 0, 1, 1]
    assert one.sized(16).targets.shape == (4, PLANES, 16, 16)
    roll.close()


def test_too_little_memory_is_said_and_faces_are_read_anew(project: Project, tmp_path: Path) -> None:
    settings = load(project(tmp_path), overrides=["train.cache_gb=0"])
    said: list[str] = []
    roll = Roll(settings, size_px=32, warn=said.append)
    roll.draw(0, batch=4)
    assert "read anew each time" in said[0]
    assert not roll.people[0].faces._kept
    roll.close()


def test_pairs_are_matched_by_source_and_frame(
    project: Project, faceset: Callable[..., Faceset], tmp_path: Path
) -> None:
    plates = faceset(tmp_path / "plates", "ada", tone=0.7, count=6)
    truth = faceset(tmp_path / "truth", "ben on ada", tone=0.5, count=5)
    pair = f'\npairs = [{{faces = "{plates.folder}", truth = "{truth.folder}"}}]\n'
    file = project(tmp_path)
    file.write_text(file.read_text() + pair)
    roll = Roll(load(file), size_px=32, warn=lambda _: None)
    assert (len(roll.people[0].plates), len(roll.people[1].plates)) == (0, 5)
    draw = roll.draw(0, batch=8)
    assert draw.paired == 4
    assert draw.who[-4:] == (1, 1, 1, 1)
    assert torch.equal(draw.inputs[:4], draw.targets[:4])
    # The truth shows the other's darker skin, of the same frame: its matte is the same.
    assert torch.equal(draw.inputs[4:, 3], draw.targets[4:, 3])
    assert float(draw.targets[4:, :3].float().mean()) < float(draw.inputs[4:, :3].float().mean()) - 10
    roll.close()


def test_pairs_that_cannot_be_read_are_left_out_and_counted(
    project: Project, faceset: Callable[..., Faceset], tmp_path: Path
) -> None:
    plates = faceset(tmp_path / "plates", "ada", tone=0.7, count=6)
    truth = faceset(tmp_path / "truth", "ben on ada", tone=0.5, count=6)
    (plates.folder / plates.records[1].file).write_bytes(b"no picture")
    (truth.folder / truth.records[4].file).write_bytes(b"no picture")
    file = project(tmp_path)
    file.write_text(file.read_text() + f'\npairs = [{{faces = "{plates.folder}", truth = "{truth.folder}"}}]\n')
    said: list[str] = []
    roll = Roll(load(file, overrides=["train.cache_gb=0"]), size_px=32, warn=said.append)
    assert len(roll.people[1].plates) == len(roll.people[1].truths) == 4
    assert any("ben: 2 faces cannot be read and are left out" in text for text in said)
    assert len(roll.people[1].left_out) == 2
    roll.close()


def test_planes_are_picture_matte_and_features(faceset: Callable[..., Faceset], tmp_path: Path) -> None:
    made = faceset(tmp_path / "f", "x", tone=0.7, count=2)
    planes = read_face(made, 0, 32)
    assert planes.shape == (PLANES, 32, 32)
    matte = made.matte(0)
    assert matte is not None
    assert torch.equal(planes[3].float() / 255, matte[0])
    assert read_face(made, 0, 16).shape == (PLANES, 16, 16)
    bare = faceset(tmp_path / "bare", "x", tone=0.7, count=2, mattes=False)
    assert torch.equal(read_face(bare, 0, 32)[3], (hull_matte(bare.landmarks(0), 32)[0] * 255).round().to(torch.uint8))


def test_eyes_and_mouth_lie_at_their_landmarks(faceset: Callable[..., Faceset], tmp_path: Path) -> None:
    points = faceset(tmp_path / "f", "x", tone=0.7, count=1).landmarks(0)
    spots = eyes_and_mouth(points, 32)[0]
    for index in (36, 45, 48, 57):
        x, y = points.points[index]
        assert float(spots[int(y), int(x)]) > 0.8
    assert float(spots[2, 2]) < 0.01
    five = Landmarks(points.five(), "five")
    assert float(eyes_and_mouth(five, 32).max()) > 0.8


def looking_like(monkeypatch: pytest.MonkeyPatch, looks: dict[str, list[int]]) -> dict[str, Sources]:
    """People whose facesets' faces are, by their folders' names, like these directions."""
    dice = np.random.default_rng(1)
    axes = np.eye(63, dtype=np.float32)

    def seen(faceset: Faceset) -> NDArray[np.float32]:
        return np.stack([axes[axis] + 0.1 * dice.normal(size=63) for axis in looks[str(faceset)]]).astype(np.float32)

    monkeypatch.setattr(odd, "_seen", seen)
    found: dict[str, list[str]] = {}
    for name in looks:
        found.setdefault(name.partition("/")[0], []).append(name)
    return {person: Sources(tuple(_Named(name) for name in sets)) for person, sets in found.items()}  # type: ignore[misc]


class _Named(str):
    """A faceset that is only a folder's name."""

    __slots__ = ()

    @property
    def folder(self) -> str:
        return str(self)


def test_somebody_elses_faces_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = {"ada/day": [0] * 30, "ada/night": [0] * 30, "ben/day": [1] * 30}
    assert list(strangers(looking_like(monkeypatch, right))) == []
    (message,) = strangers(looking_like(monkeypatch, {**right, "ada/night": [0] * 15 + [1] * 15}))
    assert message.startswith("50% of the faces of ada/night (identity 'ada') are more like 'ben'")
    # A few that look like another prove nothing.
    assert list(strangers(looking_like(monkeypatch, {**right, "ada/night": [0] * 25 + [1] * 5}))) == []


def test_a_bases_many_people_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    many = {f"p{k}/faces": [0] * 15 + [1] * 15 for k in range(9)}
    assert list(strangers(looking_like(monkeypatch, many))) == []
