"""`vfxswap train`: what it prints, and how it ends."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from vfxswap.cli import learning
from vfxswap.cli import main as vfxswap
from vfxswap.training.events import Event, Prepared, Previewed, Saved, Started, Stepped, Warned

Project = Callable[..., Path]
EVENTS: tuple[Event, ...] = (
    Prepared("choosing styles", 0.125),
    Prepared("choosing styles", 0.25),
    Prepared("choosing styles", 1.0),
    Started(Path("run"), {"ada": 36, "ben": 36}, 0, 10, None, "cpu", 7_100_000),
    Warned("odd [faces]"),
    *(Stepped(k, 10, k / 10, 128, {"loss": 1 / k, "pixel": 0.5 / k}, 1.0, 20.0, k, 10.0 - k) for k in range(1, 11)),
    Previewed(Path("run/preview.png"), 10, {"ada": 31.25}),
    Saved(Path("run/checkpoint.safetensors"), 10),
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No TensorBoard, and the threads as they are."""
    monkeypatch.setattr("vfxswap.training.curve._board", lambda *_: None)
    monkeypatch.setattr("vfxswap.cli.training._threads", lambda _: None)


def test_a_file_is_checked_without_training(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = project(tmp_path)
    assert vfxswap(["train", str(file), "--check"]) == 0
    assert "can be trained: ada, ben at 32 px on cpu" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--set", "train.batsh=3"], 2),
        (["--set", "train.production=other"], 4),
        (["--set", "train.production=other", "--set", "train.size=1"], 2),
        (["--device", "tpu"], 2),
        (["--max-minutes", "-1"], 2),
    ],
)
def test_what_is_wrong_ends_with_the_code_of_the_gravest(
    project: Project, tmp_path: Path, words: list[str], code: int
) -> None:
    assert vfxswap(["train", str(project(tmp_path)), "--check", *words]) == code


def test_it_trains_and_says_where_the_file_is(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = project(tmp_path)
    assert vfxswap(["train", str(file), "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert str(tmp_path / "run" / "train.safetensors") in said
    assert re.search(r"^ada +\d+\.\d dB", said, re.MULTILINE)
    assert vfxswap(["train", str(file), "--device", "cpu"]) == 2
    assert "go on with --resume" in capsys.readouterr().err
    assert vfxswap(["train", str(file), "--device", "cpu", "--resume", "--progress", "json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == {"type": "prepared", "what": "looking through the faces", "part": 50 / 80}
    assert next(row for row in rows if row["type"] == "started")["step"] == 6
    assert rows[-1]["type"] == "finished"
    assert rows[-1]["path"] == str(tmp_path / "run" / "train.safetensors")
    assert rows[-1]["scores"]["ada"]["faces"] == 4


def test_a_log_gets_lines(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    lines = learning.Lines(stream, clock=iter(range(0, 100, 4)).__next__)
    for event in EVENTS:
        lines(event)
    said = stream.getvalue().splitlines()
    assert said[:2] == ["choosing styles: 12 %", "choosing styles: 100 %"]
    assert said[2] == "training: faces ada 36, ben 36; 7.1 M weights on cpu"
    assert "step 1 of 10 (10 %), 128 px, loss 1.0000, 20.0 faces/s, 0:09 left" in said
    assert 3 <= sum(line.startswith("step") for line in said) < 8
    assert "preview run/preview.png: ada 31.2 dB" in said
    assert "warning: odd [faces]" in capsys.readouterr().err


def test_programs_get_json() -> None:
    stream = io.StringIO()
    for event in EVENTS:
        learning.Json(stream)(event)
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [row["type"] for row in rows[2:6]] == ["prepared", "started", "warned", "stepped"]
    assert rows[5]["parts"]["pixel"] == 0.5


def test_a_terminal_gets_a_dashboard() -> None:
    stream = io.StringIO()
    board = learning.Dashboard(stream)
    board(EVENTS[0])
    shown = io.StringIO()
    Console(file=shown, width=120).print(board.panel())
    assert "choosing styles: 12 %" in shown.getvalue()
    for event in EVENTS:
        board(event)
    shown = io.StringIO()
    Console(file=shown, width=120).print(board.panel())
    said = shown.getvalue()
    for word in ("ada 36", "10 of 10, 128 px", "0.1000", "█▄", "ada 31.2 dB", "20.0 faces/s", "Ctrl-C"):
        assert word in said
    assert "odd [faces]" in stream.getvalue()


def test_a_curve_in_a_line_goes_from_high_to_low() -> None:
    assert learning.sparkline([], 8) == ""
    assert learning.sparkline([8, 7, 6, 5, 4, 3, 2, 1], 8) == "█▇▆▅▄▃▂▁"
    assert learning.sparkline([1.0] * 100, 8) == "▁" * 8
    assert len(learning.sparkline(list(map(float, range(1000))), 60)) == 60
