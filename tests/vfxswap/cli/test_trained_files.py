"""`vfxswap models card`, `vfxswap export`, and what `vfxswap identity check` says of weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from vfxswap.cli import main
from vfxswap.testing import synthetic_comb, synthetic_identity, write_synthetic_trained
from vfxswap.training.card import entry_text

COMB = synthetic_comb()
CONSENT = synthetic_identity().consent
RECORD = """\
name = "hero"
licence = "owned"
[consent]
performer = "a drawn face"
grantor = "nobody; it is drawn by a formula"
productions = ["*"]
purposes = ["*"]
from = 2000-01-01
until = 2999-12-31
scope = "tests"
"""

Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shell(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Calls a command beside the identity's folder."""
    monkeypatch.chdir(folder.parent)

    def shell(*words: str) -> tuple[int, str, str]:
        code = main(words)
        out, err = capsys.readouterr()
        return code, out, err

    return shell


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An identity with a trained file."""
    folder = tmp_path / "hero"
    folder.mkdir()
    (folder / "identity.toml").write_text(RECORD)
    write_synthetic_trained(folder / "hero.safetensors", COMB)
    return folder


def test_a_card_is_printed(shell: Shell) -> None:
    code, out, err = shell("models", "card", "hero/hero.safetensors")
    assert (code, err) == (0, "")
    assert out.startswith("# hero, double\n")
    code, out, _ = shell("models", "card", "hero/hero.safetensors", "--json")
    assert json.loads(out)["identities"]["hero"]["consent"]["performer"] == "a drawn face"


def test_what_has_no_card(shell: Shell, folder: Path) -> None:
    (folder / "hero.safetensors").write_bytes(b"\x80\x04no")
    code, out, err = shell("models", "card", "hero/hero.safetensors")
    assert (code, out) == (2, "")
    assert "hero/hero.safetensors is no safetensors file" in err


def test_a_check_shows_the_weights_and_what_is_not_said_of_them(shell: Shell, folder: Path) -> None:
    code, out, _ = shell("identity", "check", "hero")
    assert code == 0
    assert "  hero.safetensors: 32 px, of hero, double; licence CC0-1.0\n" in out
    assert '    [weights."hero.safetensors"]\n' in out
    (folder / "identity.toml").write_text(RECORD + "\n" + entry_text(folder / "hero.safetensors", CONSENT))
    code, out, _ = shell("identity", "check", "hero")
    assert out.endswith("  hero.safetensors: 32 px, of hero, double; licence CC0-1.0\n")


def test_a_check_says_that_the_record_was_changed_since(shell: Shell, folder: Path) -> None:
    (folder / "identity.toml").write_text(RECORD.replace("2999", "2998"))
    _, out, _ = shell("identity", "check", "hero")
    assert "  trained under an earlier consent record, of 2000-01-01 to 2999-12-31\n" in out


def test_a_check_refuses_another_file_or_face(shell: Shell, folder: Path) -> None:
    (folder / "identity.toml").write_text(RECORD + "\n" + entry_text(folder / "hero.safetensors", CONSENT))
    write_synthetic_trained(folder / "hero.safetensors", synthetic_comb(seed=3))
    code, out, _ = shell("identity", "check", "hero")
    assert code == 3
    assert "is not the file that hero/identity.toml describes" in out
    (folder / "identity.toml").write_text(RECORD.replace("a drawn face", "somebody else"))
    code, out, _ = shell("identity", "check", "hero")
    assert code == 4
    assert "was trained on the face of 'a drawn face'" in out


def test_nobody_in_it_has_its_name(shell: Shell, folder: Path) -> None:
    stranger = CONSENT.model_copy(update={"performer": "somebody else"})
    comb = synthetic_comb(identities=("lead", "double"))
    write_synthetic_trained(folder / "hero.safetensors", comb, consents={"lead": stranger, "double": None})
    code, out, _ = shell("identity", "check", "hero")
    assert code == 0
    assert "nobody in it has the name or the performer of this identity; a stage must say who = ..." in out


def test_export(shell: Shell, folder: Path) -> None:
    words = ("export", "hero/hero.safetensors", "--to", "dfm", "--identity", "hero", "--out", "out/hero.dfm")
    code, out, err = shell(*words)
    assert (code, err) == (0, "")
    assert "out/hero.dfm: " in out
    assert "computing it with ONNX Runtime" in out
    for path in (folder.parent / "out").iterdir():
        shutil.copy(path, folder)
    code, out, _ = shell("identity", "check", "hero")
    assert code == 0
    assert "  hero.dfm: licence CC0-1.0\n    trained with the consent of a drawn face, by nobody;" in out
    (folder / "hero.dfm").write_bytes(b"another")
    code, out, _ = shell("identity", "check", "hero")
    assert (code, "is not the file that the sidecar" in out) == (3, True)
    code, _, err = shell(*words)
    assert code == 2
    assert "is there already; choose another name, or say --overwrite" in err


def test_export_says_what_is_wrong(shell: Shell, folder: Path) -> None:
    code, _, err = shell("export", "hero/no.safetensors", "--to", "onnx", "--identity", "hero", "--out", "a.onnx")
    assert (code, "there is no trained file hero/no.safetensors" in err) == (2, True)
    write_synthetic_trained(folder / "hero.safetensors", COMB, consents={"hero": None})
    code, _, err = shell("export", "hero/hero.safetensors", "--to", "onnx", "--identity", "hero", "--out", "a.onnx")
    assert (code, "no consent record of 'hero'" in err) == (4, True)
