"""`vfxswap probe`: what a plate is, for people and for programs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from vfxswap.cli import main
from vfxswap.color import SPACES, ColorTags, Matrix, Range
from vfxswap.host import Host
from vfxswap.testing import RGB_FLOAT, synthetic_frame, synthetic_info


@pytest.fixture(autouse=True)
def _first_party_plugins_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VFXSWAP_LOAD_PLUGINS", "vfxswap-plugins")
    monkeypatch.delenv("VFXSWAP_PLUGIN_PATH", raising=False)


@pytest.fixture
def sequence(tmp_path: Path) -> Path:
    """ACEScg, frames 1001-1006 of which 1003 is missing."""
    path = tmp_path / "sh010.%04d.exr"
    tags = ColorTags(SPACES["ACEScg"].primaries, SPACES["ACEScg"].transfer, Matrix.RGB, Range.FULL)
    like = replace(synthetic_info(tmp_path / "plate.mov", layout=RGB_FLOAT), tags=tags)
    writer = Host().writer_for(path)
    options = writer.Options.model_validate({})
    with writer(path, options, like=like, tags=tags, first=1001, last=1006) as made:
        for number in (1001, 1002, 1004, 1005, 1006):
            made.write(synthetic_frame(number, layout=RGB_FLOAT))
        made.finish()
    return path


def test_people_read_what_a_plate_is(sequence: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", str(sequence)]) == 0
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    words = {name: text.strip() for name, text in lines.items()}
    assert words["size"] == "160x128"
    assert words["frames"] == "1001-1006 (5 frames)"
    assert words["missing"] == "1003"
    assert words["rate"] == "24000/1001 (23.976)"
    assert words["timecode"] == "01:00:00:00"
    assert words["channels"] == "B float, G float, R float"
    assert words["colour"] == "ACEScg (primaries ap1, transfer linear, matrix rgb, range full)"
    assert "display window" not in words


def test_programs_get_all_of_it(sequence: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", str(sequence.with_name("sh010.####.exr")), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["reader"], found["codec"]) == ("sequence", "exr zips")
    assert (found["first"], found["last"], found["count"], found["holes"]) == (1001, 1006, 6, "1003")
    assert (found["rate"], found["color"]["space"]) == ("24000/1001", "ACEScg")
    assert found["layout"] == {
        "name": "rgb float",
        "model": "rgb",
        "bits": 32,
        "float": True,
        "alpha": False,
        "chroma_log2": [0, 0],
    }


def test_layers_and_files_that_do_not_fit_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{layer}{letter}" for layer in ("", "diff.", "spec.") for letter in "RGB"]
    pixels = {name: np.zeros((4, 6), np.float16) for name in names}
    for number in (1, 2, 3, 4):
        some = pixels if number < 3 else {name: pixels[name] for name in "RGB"}
        OpenEXR.File({"type": OpenEXR.scanlineimage}, some).write(str(tmp_path / f"a.{number}.exr"))
    path = str(tmp_path / "a.%d.exr")
    assert main(["probe", path]) == 0
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["layers"].strip() == "rgba, diff, spec"
    assert re.match(r"3-4: .*a\.3\.exr has the channels B half, G half, R half, while", lines["unfit"].strip())
    assert main(["probe", path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["layer"], found["layers"], list(found["unfit"])) == ("rgba", ["rgba", "diff", "spec"], ["3", "4"])


def test_a_movie_is_probed_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    like = synthetic_info(tmp_path / "source.mov")
    path = tmp_path / "a.mkv"
    writer = Host().writer_for(path)
    options = writer.Options.model_validate({})
    with writer(path, options, like=like, tags=like.tags, first=1001, last=1002) as made:
        for number in (1001, 1002):
            made.write(synthetic_frame(number))
        made.finish()
    assert main(["probe", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["reader"], found["count"], found["holes"], found["color"]["space"]) == ("movie", 2, "", "bt709")


@pytest.mark.parametrize(
    ("name", "code", "text"), [("a.txt", 3, "no reader takes"), ("a.####.exr", 1, "no file a.####.exr")]
)
def test_what_cannot_be_read_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, code: int, text: str
) -> None:
    assert main(["probe", str(tmp_path / name)]) == code
    assert text in capsys.readouterr().err
