"""The example of an ACEScg plate with layers, on the lab's shot in that space."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
from numpy.typing import NDArray

import vfxswap
from vfxswap.cli import main
from vfxswap.host import Host
from vfxswap.lab.deliver import deliver
from vfxswap.lab.shot import PRESETS, Lens
from vfxswap.report import Report

pytestmark = pytest.mark.slow

SIZE = (160, 120)
FRAMES = range(1001, 1004)
SMALL = "stages.points5.crop_size=128"
SPEC = PRESETS["talk"].model_copy(update={"lens": Lens(samples=2, grain=0.01, exposure_stops=2.0)})


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Path:
    """The example beside its plate."""
    folder = tmp_path_factory.mktemp("acescg")
    (folder / "pipelines").mkdir()
    shutil.copy(repo / "pipelines" / "exr_acescg.toml", folder / "pipelines")
    out, (width, height) = folder / "demo-acescg", SIZE
    deliver(SPEC, out, width=width, height=height, frames=FRAMES, layout="exr-acescg", still_px=160)
    return folder


@pytest.fixture(scope="module")
def report(shot: Path) -> Report:
    """Of its run."""
    return vfxswap.run(shot / "pipelines" / "exr_acescg.toml", device="cpu", host=Host(), overrides=[SMALL])


def read(folder: Path, name: str, number: int) -> dict[str, NDArray[Any]]:
    """Channels of a frame, by OpenEXR alone."""
    file = OpenEXR.File(str(folder / "demo-acescg" / f"{name}.{number}.exr"), separate_channels=True)
    return {key: channel.pixels for key, channel in file.channels().items()}


def test_the_plate_says_its_space_and_the_checks_agree(shot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = OpenEXR.File(str(shot / "demo-acescg/plate/plate.1001.exr"), header_only=True).header()
    assert head["colorInteropID"] == "lin_ap1_scene"
    assert main(["check", str(shot / "pipelines" / "exr_acescg.toml")]) == 0
    capsys.readouterr()
    assert main(["probe", "--json", str(shot / "demo-acescg/plate/plate.####.exr")]) == 0
    assert json.loads(capsys.readouterr().out)["color"]["space"] == "ACEScg"


def test_nothing_but_what_the_matte_covers_is_changed(shot: Path, report: Report) -> None:
    assert [path.name for path in report.outputs] == [f"sh010.{number}.exr" for number in FRAMES]
    assert all(record.identities == ("hero",) for record in report.frames)
    for number in FRAMES:
        plate, result = read(shot, "plate/plate", number), read(shot, "out/sh010", number)
        (matte,) = read(shot, "out/sh010_matte", number).values()
        changed = np.zeros(matte.shape, bool)
        for name in "RGB":
            changed |= plate[name].view(np.uint16) != result[name].view(np.uint16)
        assert not changed[matte == 0].any()
        assert changed[matte > 0.5].mean() > 0.9
        head = OpenEXR.File(str(shot / f"demo-acescg/out/sh010.{number}.exr"), header_only=True).header()
        assert head["compression"] == OpenEXR.ZIP_COMPRESSION
        assert head["colorInteropID"] == "lin_ap1_scene"


def test_the_layers_make_the_result_again(shot: Path, report: Report) -> None:
    for number in FRAMES:
        plate, result = read(shot, "plate/plate", number), read(shot, "out/sh010", number)
        patch = read(shot, "out/sh010_patch", number)
        for name in "RGB":
            light = plate[name].astype(np.float32)
            again = light * (1 - patch["A"].astype(np.float32)) + patch[name].astype(np.float32)
            np.testing.assert_allclose(again, result[name].astype(np.float32), rtol=4e-3, atol=4e-3)
        assert set(read(shot, "out/sh010_st", number)) >= {"R", "G"}
    assert report.degraded == []


def test_the_swap_comes_nearer_to_the_truth(shot: Path, report: Report) -> None:
    gains = []
    for number in FRAMES:
        plate, result, truth = (read(shot, name, number) for name in ("plate/plate", "out/sh010", "truth/truth"))
        tone = [np.cbrt(each["G"].astype(np.float32)) for each in (plate, result, truth)]
        telling = (plate["G"] != result["G"]) & (np.abs(tone[2] - tone[0]) > 0.1)
        assert telling.sum() > 50
        gains.append(np.abs(tone[1] - tone[2])[telling].mean() / np.abs(tone[0] - tone[2])[telling].mean())
    assert len(report.frames) == len(FRAMES)
    assert np.mean(gains) < 0.75


def test_a_nuke_script_rebuilds_it(shot: Path, report: Report) -> None:
    script = shot / "demo-acescg" / "sh010.nk"
    assert main(["nuke", str(shot / "pipelines" / "exr_acescg.toml"), "--out", str(script)]) == 0
    text = script.read_text()
    assert "plate.####.exr" in text or "plate.%04d.exr" in text
    assert "sh010_matte" in text
    assert report.error is None
