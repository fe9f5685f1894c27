"""`vfxswap cuts`: the shots of a plate, for people, for programs, and as a list that [shot] cuts takes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vfxswap.cli import main
from vfxswap.host import Host
from vfxswap.pipeline import read_plate_of


@pytest.fixture(autouse=True)
def _first_party_plugins_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VFXSWAP_LOAD_PLUGINS", "vfxswap-plugins")
    monkeypatch.delenv("VFXSWAP_PLUGIN_PATH", raising=False)


def scene(seed: int) -> NDArray[np.float64]:
    """A picture of coloured blobs, wider than it is shown."""
    random = np.random.default_rng(seed)
    blobs = random.random((5, 12, 3)) * random.random(3) * 255
    return np.asarray(cv2.resize(blobs, (160, 72), interpolation=cv2.INTER_LINEAR), np.float64)


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames 1001-1040: a cut at 1010, a dissolve of six frames around 1025, and none of 1035."""
    folder = tmp_path_factory.mktemp("plate")
    first, second, third = (scene(seed) for seed in (1, 2, 3))
    for i in range(40):
        share = min(max((i - 20) / 7, 0.0), 1.0)
        picture = first if i < 9 else (1 - share) * second + share * third
        cv2.imwrite(str(folder / f"sh.{1001 + i}.png"), picture[:, i // 2 : i // 2 + 128].round().astype(np.uint8))
    (folder / "sh.1035.png").unlink()
    return folder / "sh.####.png"


def test_people_see_the_shots(plate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cuts", str(plate)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=4) for line in lines[1:]] == [
        ["1", "1001-1009", "9", "-"],
        ["2", "1010-1024", "15", "-"],
        ["3", "1025-1034", "10", "-", "middle of a dissolve"],
        ["4", "1036-1040", "5", "-", "behind missing frames"],
    ]


def test_programs_get_frames_and_how(plate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cuts", str(plate), "--frames", "1005-1030", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["frames"] == "1005-1030"
    assert [(one["frame"], one["how"]) for one in found["cuts"]] == [(1010, "cut"), (1025, "dissolve")]


def test_the_list_is_what_a_pipeline_file_takes(
    plate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cuts.txt"
    assert main(["cuts", str(plate), "--out", str(out)]) == 0
    assert out.read_text().splitlines()[1:3] == ["1010", "1025  # middle of a dissolve"]
    pipeline = tmp_path / "job.toml"
    pipeline.write_text(f'[shot]\nplate = "{plate}"\non_hole = "skip"\ncolor_space = "srgb"\ncuts = "cuts.txt"\n')
    assert read_plate_of(pipeline, Host()).shot.given_cuts == (1010, 1025, 1036)
    assert main(["cuts", str(pipeline), "--out", str(out)]) == 2
    assert "somebody may have mended it" in capsys.readouterr().err


def test_what_is_no_plate_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cuts", str(tmp_path / "none.mov")]) == 2
    assert "there is no file" in capsys.readouterr().err
