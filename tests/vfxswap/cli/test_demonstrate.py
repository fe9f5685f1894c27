"""The demo on a small shot: everything it names is there, its scores are right, and its pipeline runs again."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from vfxswap.cli.app import main
from vfxswap.cli.demonstrate import demonstrate
from vfxswap.errors import VfxswapError
from vfxswap.host import Host
from vfxswap.lab.demo import demo
from vfxswap.score import References, score_movie


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The demo's folder, in one whose name needs care, and what it printed."""
    folder = tmp_path_factory.mktemp("it's a demo") / "out"
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vfxswap.cli.demonstrate.say", lines.append)
        demonstrate(folder, "1001-1003", Host(), size=(192, 108))
    return folder, "\n".join(lines)


def test_everything_it_names_is_there(shown: tuple[Path, str]) -> None:
    folder, text = shown
    for name in ("plate.mkv", "truth.mkv", "identity", "demo.toml", "demo.mkv", "score.json", "demo.mkv.report.jsonl"):
        assert (folder / name).exists(), name
        assert str(folder / name) in text
    sheet = cv2.imread(str(folder / "contact_sheet.png"))
    assert sheet is not None
    assert sheet.shape == (3 * 108, 3 * 192, 3)


def test_scores_are_those_of_the_movies(shown: tuple[Path, str]) -> None:
    folder, text = shown
    scores = json.loads((folder / "score.json").read_text())
    again = score_movie(folder / "demo.mkv", References.of(folder))
    assert {name: entry["value"] for name, entry in scores["result"]["shot"].items()} == again.values
    assert scores["result"]["shot"]["psnr_db"]["value"] > scores["plate"]["shot"]["psnr_db"]["value"]
    row = next(line for line in text.splitlines() if line.startswith("psnr_db"))
    assert f"{again.values['psnr_db']:.3g}" in row.split()
    for name in ("ring_ciede2000", "flicker_codes", "sharpness", "grain"):
        assert any(line.startswith(name) for line in text.splitlines()), name


def test_the_plate_is_the_baseline(shown: tuple[Path, str]) -> None:
    scores = json.loads((shown[0] / "score.json").read_text())["plate"]["shot"]
    assert scores["plate_sharpness"]["value"] == pytest.approx(1.0)
    assert scores["plate_ring_psnr_db"]["value"] == pytest.approx(120.0)


def test_its_pipeline_runs_again_where_it_is(shown: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = shown
    assert main(["check", str(folder / "demo.toml")]) == 0
    words = [
        "--set",
        "stages.mkl.strength=0",
        "--out",
        str(folder / "other.mkv"),
        "--frames",
        "1",
        "--progress",
        "none",
    ]
    assert main(["run", str(folder / "demo.toml"), *words]) == 0
    assert (folder / "other.mkv").is_file()
    capsys.readouterr()


def test_frames_outside_the_shot_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VfxswapError, match="frame 7 is outside shot 'demo', which has frames 1001-1048"):
        demo(tmp_path, Host(), tell=lambda *_: None, frames=[7], size=(64, 36))
