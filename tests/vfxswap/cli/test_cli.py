"""The commands, as a shell would call them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import vfxswap
from vfxswap.cli import main
from vfxswap.cli.output import columns, list_problems
from vfxswap.cli.pipelines import summary_lines, terminated_like_interrupted
from vfxswap.report import Report

PASS = '[shot]\nplate = "sh010.plate"\nframes = "1-4"\n[delivery]\npath = "out/b.out"\n'


@pytest.fixture
def shell(
    project: Path, studio: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Calls a command in the project's folder: exit code, standard output, standard error."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("VFXSWAP_PLUGIN_PATH", str(studio))
    monkeypatch.setenv("VFXSWAP_LOAD_PLUGINS", "studio")
    monkeypatch.setenv("VFXSWAP_MODEL_PATH", str(project / "models"))
    monkeypatch.setenv("VFXSWAP_CACHE_DIR", str(project / "cache"))
    # The records of the project are of this year's consent; the calendar goes on.
    record = project / "hero" / "identity.toml"
    record.write_text(record.read_text().replace("until = 2026-12-31", "until = 2999-12-31"))
    record.write_text(record.read_text().replace("from = 2026-01-01", "from = 2000-01-01"))

    def shell(*words: str) -> tuple[int, str, str]:
        code = main(words)
        out, err = capsys.readouterr()
        return code, out, err

    return shell


Shell = Callable[..., tuple[int, str, str]]


def test_check_of_a_right_file(shell: Shell, project: Path, studio: Path) -> None:
    code, out, err = shell("check", "job.toml", "--device", "cpu", "--set", "stages.find.model=eye")
    assert (code, err) == (0, "")
    owner = f"from studio ({studio})"
    assert out.splitlines() == [
        "job.toml: ok",
        "  plate               sh010.plate: 64x48 json rgb24, 24 fps, frames 1-100, BT709/BT709/RGB full",
        "  frames              1-100 (100)",
        "  colour              bt709; stages see 'sRGB - Texture'",
        "  identity            hero: Anna Muster, consent by Anna Muster until 2999-12-31; takes the face by size,"
        " rank 1",
        f"  stages[0] (find)    {owner}",
        f"  stages[1] (points)  {owner}",
        f"  stages[2] (put)     {owner}",
        f"  stages[3] (cut)     {owner}",
        f"  stages[4] (grade)   {owner}",
        f"  stages[5] (paste)   {owner}",
        "  model               eye: MIT, not for paid work",
        "  delivery            out/sh010.out: by the writer 'text'",
        "  device              cpu",
    ]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--set", "stages.grade.strenght=1"], 2),
        (["--set", "stages.grade.use=relight-9000"], 3),
        (["--set", "shot.production=Other"], 4),
        (["--set", "shot.production=Other", "--set", "stages.grade.use=relight-9000"], 3),
        (["--set", "shot.production=Other", "--set", "stages.grade.strenght=1"], 2),
    ],
)
def test_exit_codes_of_check(shell: Shell, words: list[str], code: int) -> None:
    got, out, err = shell("check", "job.toml", *words)
    assert (got, err) == (code, "")
    assert all(line.startswith(("error: ", "2 problems")) for line in out.splitlines())


def test_check_tells_all_problems_one_a_line(shell: Shell) -> None:
    _, out, _ = shell("check", "job.toml", "--frames", "500", "--set", "stages.grade.strength=2")
    assert out.splitlines() == [
        "error: --frames 500: shot: frames: the plate has no frames 500 (found '500'); allowed: frames of 1-100",
        "error: --set stages.grade.strength=2: stages[4] (grade): strength: is out of bounds (found 2); allowed: 0..1",
        "2 problems; nothing was started",
    ]


def test_a_terminal_gets_wrapped_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "50")
    list_problems([" ".join(["word"] * 30)], sys.stdout)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 50 for line in lines)
    assert all(line.startswith("    word") for line in lines[1:])


def test_run_writes_and_tells(shell: Shell, project: Path) -> None:
    (project / "pass.toml").write_text(PASS)
    code, out, err = shell("run", "pass.toml", "--device", "cpu", "--progress", "deadline")
    assert (code, err) == (0, "")
    assert (project / "out" / "b.out").read_text().split()[::2] == ["1", "2", "3", "4"]
    lines = out.splitlines()
    assert lines[:4] == ["Progress: 25%", "Progress: 50%", "Progress: 75%", "Progress: 100%"]
    assert lines[4].startswith("out/b.out: 4 frames, 0 with a face put in, 0 less than perfect; 0:0")
    assert lines[5] == "report: out/b.out.report.jsonl"


def test_a_sequence_is_told_by_its_ends() -> None:
    files = tuple(Path("out") / f"sh010.{number}.exr" for number in range(1001, 2001))
    lines = summary_lines(Report(outputs=files, already_done=True))
    assert lines[0].startswith("out/sh010.1001.exr .. sh010.2000.exr: is there already")
    assert summary_lines(Report(already_done=True))[0].startswith("nothing: ")


def test_run_again_does_nothing_and_another_job_is_refused(shell: Shell, project: Path) -> None:
    (project / "pass.toml").write_text(PASS)
    shell("run", "pass.toml", "--progress", "none")
    assert shell("run", "pass.toml", "--progress", "none")[:2] == (
        0,
        "out/b.out: is there already, complete and made from the very same things; nothing to do\n",
    )
    code, _, err = shell("run", "pass.toml", "--progress", "none", "--frames", "2")
    assert code == 2
    assert "was made from other settings" in err
    assert shell("run", "pass.toml", "--progress", "none", "--frames", "2", "--overwrite")[0] == 0


def test_run_as_json(shell: Shell, project: Path) -> None:
    (project / "pass.toml").write_text(PASS)
    code, out, _ = shell("run", "pass.toml", "--progress", "json")
    progress, *_, summary = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert (progress["type"], progress["frame"], progress["total"]) == ("progress", 1, 4)
    assert (summary["type"], summary["frames"], summary["outputs"]) == ("summary", 4, ["out/b.out"])


def test_run_puts_a_face_in(shell: Shell, project: Path) -> None:
    code, out, err = shell("run", "job.toml", "--frames", "1-3", "--device", "cpu", "--progress", "none")
    assert (code, err) == (0, "")
    assert "3 frames, 3 with a face put in, 0 less than perfect" in out
    means = [float(word) for word in (project / "out" / "sh010.out").read_text().split()[1::2]]
    assert all(mean > number + 1 for number, mean in zip((1, 2, 3), means, strict=True)), "the negative is brighter"


def test_a_wrong_file_is_told_on_standard_error(shell: Shell) -> None:
    code, out, err = shell("run", "job.toml", "--set", "stages.grade.strenght=1", "--progress", "none")
    assert (code, out) == (2, "")
    assert err.startswith("error: --set stages.grade.strenght=1: stages[4] (grade): strenght: unknown key")
    assert "Traceback" not in err


def test_a_refusal_ends_with_4(shell: Shell) -> None:
    assert shell("run", "job.toml", "--set", "shot.production=Other", "--progress", "none")[0] == 4


def test_debug_shows_where_it_came_from(shell: Shell) -> None:
    assert "Traceback" in shell("--debug", "run", "nothing.toml", "--progress", "none")[2]


def test_interrupted_is_try_again(shell: Shell, project: Path) -> None:
    (project / "sh010.plate").write_text('{"count": 100, "hangs_at": 3}')
    (project / "pass.toml").write_text(PASS)
    code, _, err = shell("run", "pass.toml", "--progress", "none")
    assert code == 75
    assert err.startswith("error: cancelled")
    assert not (project / "out" / "b.out").exists()


def test_a_farms_signal_is_an_interrupt_once() -> None:
    before = signal.getsignal(signal.SIGTERM)
    tidied = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            tidied.append(True)

    with pytest.raises(KeyboardInterrupt), terminated_like_interrupted():
        work()
    assert tidied
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    "words", [["run"], ["fly"], ["run", "a.toml", "--progress", "loud"], ["run", "a.toml", "--fast"]]
)
def test_a_wrong_command_line_ends_with_2(shell: Shell, words: list[str]) -> None:
    code, out, err = shell(*words)
    assert (code, out) == (2, "")
    assert err


def test_plugins(shell: Shell, studio: Path) -> None:
    _, out, _ = shell("plugins")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["NAME", "KIND", "VERSION", "DISTRIBUTION", "LICENCE", "WHAT"]
    assert ["cut", "matte", str(studio), "MIT", "half"] in lines
    assert ["json-plate", "reader", str(studio), "MIT", "plates", "of", "one", "colour"] in lines


def test_plugins_as_json(shell: Shell, studio: Path) -> None:
    found = json.loads(shell("plugins", "--json")[1])
    assert {"name": "cut", "kind": "matte", "version": "", "distribution": str(studio), "plugin": "studio"}.items() <= (
        next(item for item in found["stages"] if item["name"] == "cut").items()
    )
    assert found["readers"][0]["suffixes"] == [".plate"]
    assert [plugin["name"] for plugin in found["plugins"]] == ["studio"]


def test_a_broken_plugin_is_listed_with_the_reason(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VFXSWAP_LOAD_PLUGINS")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "wrecked.py").write_text("import no_such_library")
    code, out, _ = shell("--plugin-path", str(tmp_path / "more"), "plugins")
    assert code == 0
    assert f"BROKEN wrecked ({tmp_path / 'more'})" in out
    assert "No module named 'no_such_library'" in out
    assert shell("--plugin-path", str(tmp_path / "more"), "doctor")[0] == 3


def test_schema_is_json(shell: Shell) -> None:
    code, out, _ = shell("schema")
    assert code == 0
    assert json.loads(out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_docs_of_a_stage_that_cannot_be_loaded_end_with_3(shell: Shell) -> None:
    assert shell("docs")[0] == 3


def test_models(shell: Shell, project: Path) -> None:
    _, out, _ = shell("models", "list")
    assert out.splitlines()[1].split() == ["eye", "0", "kB", "MIT", "no", str(project / "models" / "eye.bin")]
    assert json.loads(shell("models", "list", "--json")[1])["models"][0]["name"] == "eye"
    assert shell("models", "verify")[:2] == (0, f"eye  ok, {project / 'models' / 'eye.bin'}\n")
    (project / "models" / "eye.bin").write_bytes(b"other")
    code, out, _ = shell("models", "verify")
    assert code == 3
    assert "is not the pinned eye.bin" in out


def test_models_pull(shell: Shell) -> None:
    assert shell("models", "pull")[::2] == (2, "error: name the models to get, or --all; known: eye\n")
    assert shell("models", "pull", "ear")[0] == 3
    code, out, _ = shell("models", "pull", "eye")
    assert code == 0
    assert out.splitlines()[-1].startswith("eye: is at ")


def test_identity_new_and_check(shell: Shell, project: Path) -> None:
    assert shell("identity", "new", "villain", "--name", "The villain")[0] == 0
    code, out, _ = shell("identity", "check", "villain")
    assert code == 4
    assert "error: villain/identity.toml: consent.performer: is empty\n" in out
    assert shell("identity", "new", "villain")[0] == 2
    code, out, _ = shell("identity", "check", "hero")
    assert (code, out.splitlines()[0]) == (0, "hero: ok")
    assert shell("identity", "check", "hero", "--production", "Other")[0] == 4
    assert shell("identity", "check", "nobody")[0] == 2


def test_doctor(shell: Shell, project: Path) -> None:
    code, out, _ = shell("doctor", "--json")
    facts = json.loads(out)
    assert code == 3, "the studio's stage 'gone' is"
    assert facts["vfxswap"] == vfxswap.__version__
    assert facts["devices"][0] == "cpu"
    assert facts["writers"] == {"text": [".out", "codec = fine|small", "depth = 8|10|12"]}
    assert facts["model folders"][0] == str(project / "models")
    assert "'gone' of plugin studio" in facts["broken"][0]
    code, out, _ = shell("doctor")
    assert code == 3
    assert "\nBROKEN " in out


@pytest.mark.parametrize("words", [["version"], ["--version"]])
def test_version(shell: Shell, words: list[str]) -> None:
    assert shell(*words) == (0, f"vfxswap {vfxswap.__version__}\n", "")


def test_columns() -> None:
    assert columns([("a", "bb", "c"), ("aaa", "b", "")]) == ["a    bb  c", "aaa  b"]
    assert columns([]) == []


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["version"], ["plugins", "--json"]])
def test_light_commands_import_nothing_heavy(words: list[str], repo: Path) -> None:
    heavy = {"torch", "cv2", "av", "kornia", "onnxruntime", "OpenImageIO", *(() if "plugins" in words else ("numpy",))}
    code = (
        "import sys\nfrom vfxswap.cli import main\ncode = main(sys.argv[1:])\n"
        f"loaded = sorted({heavy!r} & set(sys.modules))\nsys.exit(str(loaded) if loaded or code else 0)"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(repo), str(repo / "plugins")])}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, env=environ, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
