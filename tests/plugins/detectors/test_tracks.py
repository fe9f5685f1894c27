"""The detector that reads a tracks file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from vfxswap.errors import UsageError
from vfxswap.frame import Detection
from vfxswap.geometry import Box, Landmarks
from vfxswap.models import ModelStore
from vfxswap.stage import Setting
from vfxswap.trackfile import write_tracks
from vfxswap_plugins.detectors.tracks import Tracks, TracksOptions

MESH = Landmarks(np.random.default_rng(1).uniform(0, 60, (468, 3)).round(3), "mesh468")


def a_setting(width: int = 64, height: int = 48) -> Setting:
    return Setting(torch.device("cpu"), ModelStore([], {}), width, height, 1001, 1010)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two faces in frame 1001, one of them dense; none in 1002."""
    path = tmp_path / "sh010.json"
    faces = [Detection((1, 2, 30, 40), 0.4, track=5), Detection((2, 2, 9, 9), 0.9, MESH.five(), 6, MESH)]
    write_tracks(path, {1001: faces, 1002: []}, width=64, height=48)
    return path


def opened(options: TracksOptions, setting: Setting | None = None) -> Tracks:
    stage = Tracks(options, setting or a_setting())
    stage.open()
    return stage


def test_it_looks_at_no_pixels(file: Path) -> None:
    assert Tracks(TracksOptions(path=file), a_setting()).image_size() is None


def test_it_gives_the_faces_of_each_frame_in_the_files_order(file: Path) -> None:
    first, second, third = opened(TracksOptions(path=file)).detect(None, [1001, 1002, 1003])
    assert [face.track for face in first] == [5, 6]
    assert first[1].landmarks is not None
    assert np.array_equal(first[1].landmarks.points, MESH.points)
    assert second == third == []


def test_an_offset_moves_the_files_frames(file: Path) -> None:
    found = opened(TracksOptions(path=file, offset=-1000)).detect(None, [1, 1001])
    assert [len(faces) for faces in found] == [2, 0]


def test_unsure_faces_are_left_out(file: Path) -> None:
    (found,) = opened(TracksOptions(path=file, min_score=0.5)).detect(None, [1001])
    assert [face.track for face in found] == [6]


def test_tracks_of_another_plate_are_refused(file: Path) -> None:
    with pytest.raises(UsageError, match="made for a plate of 64x48, this plate is 128x96"):
        opened(TracksOptions(path=file), a_setting(128, 96))


def test_a_broken_file_is_found_when_the_pipeline_is_read(file: Path) -> None:
    document = json.loads(file.read_text())
    document["frames"]["1001"][0]["score"] = 2
    file.write_text(json.dumps(document))
    with pytest.raises(ValidationError, match="frame 1001, face 0, score"):
        TracksOptions(path=file)
    with pytest.raises(ValidationError, match="there is no file or folder"):
        TracksOptions(path=file.with_name("none.json"))


def test_the_path_is_relative_to_the_pipeline_file(file: Path) -> None:
    options = TracksOptions.model_validate_json('{"path": "sh010.json"}', context={"folder": file.parent})
    assert options.path == file


def test_it_must_be_opened_first(file: Path) -> None:
    with pytest.raises(UsageError, match="before it was opened"):
        Tracks(TracksOptions(path=file), a_setting()).detect(None, [1001])


def test_tracks_count_from_the_corner_of_the_display_window(file: Path) -> None:
    wide = replace(a_setting(80, 60), display=Box(8, 6, 72, 54))
    plain = opened(TracksOptions(path=file)).detect(None, [1001])[0][1]
    moved = opened(TracksOptions(path=file), wide).detect(None, [1001])[0][1]
    assert list(moved.box) == [10, 8, 17, 15]
    assert moved.landmarks is not None
    assert moved.five is not None
    assert plain.five is not None
    np.testing.assert_allclose(moved.landmarks.points - MESH.points, np.tile((8.0, 6.0, 0.0), (468, 1)), atol=1e-9)
    np.testing.assert_allclose(moved.five - plain.five, np.tile((8.0, 6.0), (5, 1)))
    with pytest.raises(UsageError, match="this plate is 80x60"):
        opened(TracksOptions(path=file), a_setting(80, 60))
