"""Two people, faces in any order and some of them lost: with a tracker each identity keeps its person."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vfxswap
from vfxswap.report import Progress, Report
from vfxswap.trackfile import read_tracks, write_tracks

COUNT = 16
LOST = (7, 8)
"""Frames in which the second person is not detected."""
TRACKED = """\
[shot]
plate = "../demo-out/two/plate.mkv"
production = "lab"
cuts = []
[identities.lead]
path = "../demo-out/two/identity"
face = {by = "order", rank = 1}
[identities.friend]
path = "../demo-out/two/identity2"
face = {by = "order", rank = 2}
[[stages]]
use = "tracks"
path = "../demo-out/two/loose.json"
[[stages]]
use = "face-tracker"
[[stages]]
use = "points5"
crop_size = 64
[[stages]]
use = "portrait"
identity = "lead"
shape = 0.0
relight = 0.0
gaze = false
[[stages]]
use = "portrait"
identity = "friend"
shape = 0.0
relight = 0.0
gaze = false
[[stages]]
use = "hull"
[[stages]]
use = "alpha"
[delivery]
path = "../demo-out/tracked.mkv"
"""


@pytest.fixture(scope="module")
def loose(drawn: Any) -> Any:
    """Without numbers; who comes first changes from frame to frame, as detectors' scores do."""
    folder = drawn.shot / "two"
    source = read_tracks(folder / "tracks.json")
    frames = {}
    for number in range(1, COUNT + 1):
        faces = [replace(face, track=None) for face in source.faces(number)]
        faces = faces[:1] if number in LOST else faces
        frames[number] = faces if number % 3 else faces[::-1]
    write_tracks(folder / "loose.json", frames, width=256, height=96)
    drawn.write("tracked.toml", TRACKED)
    return drawn


@pytest.fixture(scope="module")
def tracked(loose: Any) -> tuple[Report, list[Progress]]:
    """A run of all of it, and what it told."""
    told: list[Progress] = []
    return vfxswap.run(loose.pipelines / "tracked.toml", device="cpu", workers=2, progress=told.append), told


def test_each_person_keeps_their_face_also_where_it_was_not_seen(
    tracked: tuple[Report, list[Progress]], loose: Any, decoded: Callable[[Path], Any]
) -> None:
    report, _ = tracked
    assert all(sorted(frame.identities) == ["friend", "lead"] for frame in report.frames)
    sound = loose.write("sound.toml", TRACKED.replace("loose", "tracks").replace("tracked.mkv", "sound.mkv"))
    expected = decoded(vfxswap.run(sound, frames="5-10", device="cpu", workers=2).outputs[0])
    for number, (one, other) in enumerate(zip(decoded(report.outputs[0])[4:10], expected, strict=True), 5):
        off = np.abs(one[0].astype(int) - other[0])
        if number in LOST:
            assert np.array_equal(one[0][:, :128], other[0][:, :128])
            assert off.mean() < 1.5
        else:
            assert off.max() == 0


def test_bridged_frames_are_listed(tracked: tuple[Report, list[Progress]]) -> None:
    notes = {frame.frame: frame.notes for frame in tracked[0].frames if frame.notes}
    assert notes == dict.fromkeys(LOST, ("track 2 bridged by optical flow, not detected",))


def test_it_tells_of_the_look_before_the_run(tracked: tuple[Report, list[Progress]]) -> None:
    told = tracked[1]
    assert [progress.frame for progress in told if progress.is_survey] == list(range(1, COUNT + 1))
    assert [progress.done for progress in told] == [0] * COUNT + list(range(1, COUNT + 1))


def test_the_tracker_has_its_share_of_the_time(tracked: tuple[Report, list[Progress]]) -> None:
    assert tracked[0].stage_seconds["face-tracker"] > 0


@pytest.mark.parametrize("frames", ["7-8", "16"])
def test_a_chunk_sees_the_whole_plate(
    tracked: tuple[Report, list[Progress]], loose: Any, decoded: Callable[[Path], Any], tmp_path: Path, frames: str
) -> None:
    whole = decoded(tracked[0].outputs[0])
    chunk = vfxswap.run(loose.pipelines / "tracked.toml", frames=frames, out=tmp_path / "chunk.mkv", device="cpu")
    numbers = [frame.frame for frame in chunk.frames]
    for number, picture in zip(numbers, decoded(chunk.outputs[0]), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(picture, whole[number - 1], strict=True))


def test_without_a_tracker_identities_jump_with_the_order(loose: Any, tmp_path: Path) -> None:
    plain = loose.write("plain.toml", TRACKED.replace('[[stages]]\nuse = "face-tracker"\n', ""))
    report = vfxswap.run(plain, frames="1,3,7", out=tmp_path / "plain.mkv", device="cpu")
    assert [frame.identities for frame in report.frames] == [("lead", "friend"), ("lead", "friend"), ("lead",)]
    assert report.frames[2].notes == ("no face found for identity friend",)


def test_the_report_names_the_stage(tracked: tuple[Report, list[Progress]]) -> None:
    path = tracked[0].path
    assert path is not None
    head = json.loads(path.read_text().splitlines()[0])
    assert [stage["use"] for stage in head["stages"]][:2] == ["tracks", "face-tracker"]
