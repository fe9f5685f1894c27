"""`vfxswap score`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vfxswap.cli import main


def test_a_result_is_scored_against_a_folder(truth_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(truth_folder / "plate.mkv"), "--truth", str(truth_folder)]) == 0
    said = capsys.readouterr().out
    assert "psnr_db" in said
    assert "frame 3: the face is the plate's own" in said
    assert "not scored, no landmarks to hold it against: landmark_error_percent" in said


def test_programs_get_json(truth_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["score", str(truth_folder / "truth.mkv"), "--plate", str(truth_folder / "plate.mkv"), "--json"]
    assert main([*asked, "--matte", str(truth_folder / "mattes")]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["references"]["truth"] is None
    assert data["shot"]["plate_ring_psnr_db"]["value"] > 40


def test_a_truth_may_be_a_movie(truth_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, matte = truth_folder / "truth.mkv", truth_folder / "mattes"
    assert main(["score", str(truth), "--truth", str(truth), "--matte", str(matte), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["shot"]["psnr_db"]["value"] == 120
    assert data["references"]["plate"] is None


def test_frames_are_chosen_as_the_truth_counts(truth_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["score", str(truth_folder / "truth.mkv"), "--truth", str(truth_folder), "--frames", "2-5"]
    assert main(asked) == 2
    assert "has 12 frames, and is held against 4" in capsys.readouterr().err


def test_nothing_to_hold_it_against_is_a_usage_error(truth_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(truth_folder / "truth.mkv")]) == 2
    assert "give a truth, or the plate" in capsys.readouterr().err
