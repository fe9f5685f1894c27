"""A trained face from the command line: checked, run, reported; the weights make no face, but compute as others do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vfxswap
from vfxswap.cli import main
from vfxswap.files import file_sha256
from vfxswap.testing import synthetic_comb, synthetic_identity, write_synthetic_trained

Checked = Callable[..., tuple[int, str]]


@pytest.fixture
def weights(place: Any) -> Path:
    path: Path = place.shot / "identity" / "hero.safetensors"
    return path


@pytest.fixture
def checked(place: Any, capsys: pytest.CaptureFixture[str]) -> Checked:
    """What `vfxswap check` says of the pipeline file, with some settings changed."""

    def checked(*settings: str) -> tuple[int, str]:
        sets = [word for setting in settings for word in ("--set", setting)]
        code = main(["check", str(place.pipelines / "trained.toml"), "--device", "cpu", *sets])
        return code, capsys.readouterr().out

    return checked


def test_a_check_names_the_file_and_its_licence(checked: Checked, weights: Path) -> None:
    code, out = checked()
    assert code == 0
    (line,) = [line for line in out.splitlines() if line.startswith("  model file")]
    assert line.split(maxsplit=2)[2] == f"hero.safetensors: CC0-1.0; sha256 {file_sha256(weights)}"


def test_all_that_is_wrong_is_said_at_once(checked: Checked) -> None:
    code, out = checked(
        "stages.autoencoder.who=heros", "stages.autoencoder.precision=fp16", "stages.hull.feather_percent=-1"
    )
    assert code == 2
    assert "--set stages.autoencoder.who=heros: stages[2] (autoencoder): who: there is nobody of that name" in out
    assert "allowed: double, hero; did you mean 'hero'?" in out
    assert "stages[2] (autoencoder): precision: needs a CUDA device, but this run is on cpu (found 'fp16')" in out
    assert "stages[3] (hull): feather_percent: is out of bounds" in out
    assert out.endswith("3 problems; nothing was started\n")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("farm", "plan"), 0, "chunks"),
        (("farm", "openjd", "--device", "cuda:1"), 0, "default: cuda:1"),
        (("assemble",), 1, "16 of the job's 16 frames are not done"),
        (("nuke",), 2, "asks for no layers"),
        (("tracks", "show"), 2, "there is no analysis"),
        (("farm", "plan", "--device", "cpu"), 2, "needs a CUDA device, but this run is on cpu (found 'fp16')"),
        (("run", "--device", "cpu"), 2, "needs a CUDA device, but this run is on cpu (found 'fp16')"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_who_computes_nothing_needs_no_gpu(
    place: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: int,
    text: str,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    half = ("--set", "stages.autoencoder.precision=fp16")
    assert main([*words, str(place.pipelines / "trained.toml"), *half]) == code
    assert text in "".join(capsys.readouterr())


def test_another_performers_weights_are_refused(checked: Checked, weights: Path) -> None:
    stranger = synthetic_identity().consent.model_copy(update={"performer": "somebody else"})
    write_synthetic_trained(weights, synthetic_comb(64), consents={"hero": stranger})
    code, out = checked()
    assert code == 4
    assert "was trained on the face of 'somebody else'" in out


def test_damaged_weights_are_told_once(checked: Checked, weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:-1])
    code, out = checked()
    assert code == 2
    assert out.count("error: ") == 1
    assert "identity/hero.safetensors is no safetensors file" in out


def test_the_report_says_whose_face_by_which_file(place: Any, weights: Path, watched: Path, host: Any) -> None:
    report = vfxswap.run(place.pipelines / "trained.toml", frames="3", device="cpu", host=host)
    assert report.path is not None
    head = json.loads(report.path.read_text().splitlines()[0])
    (file,) = head["model_files"]
    assert file == {
        "path": "hero.safetensors",
        "sha256": file_sha256(weights),
        "licence": "CC0-1.0",
        "commercial": True,
        "consent": "a drawn face, by nobody; it is drawn by a formula",
    }
    seen = np.load(watched / "0003.npz")
    assert seen["matte0"].shape[-2:] == (64, 64)  # the crop is the trained file's own, not the aligner's
