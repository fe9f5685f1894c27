"""Model files given by hand: their sidecars, their sha256, and what is wrong with either."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from vfxswap.errors import ModelMissing, UsageError
from vfxswap.modelfile import Sidecar, described_file, read_sidecar, sidecar_path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"weights")
    return path


SHA256 = hashlib.sha256(b"weights").hexdigest()


def test_without_a_sidecar_nothing_is_said(file: Path) -> None:
    facts = read_sidecar(Sidecar, file)
    assert facts == Sidecar()
    found = described_file(file, facts)
    assert (found.path, found.sha256) == (file, SHA256)
    assert (found.licence, found.commercial, found.consent) == ("", None, "")


def test_a_sidecar_stands_beside_the_file_under_its_whole_name(file: Path) -> None:
    assert sidecar_path(file) == file.with_name("net.onnx.toml")
    sidecar_path(file).write_text(
        f'sha256 = "{SHA256}"\nlicence = "MIT"\ncommercial = false\nconsent = "agreement 7"\n'
    )
    found = described_file(file, read_sidecar(Sidecar, file), pinned=SHA256)
    assert (found.licence, found.commercial, found.consent) == ("MIT", False, "agreement 7")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("licence = MIT", r"cannot read .*net\.onnx\.toml"),
        (
            'license = "MIT"',
            r"net\.onnx\.toml: license: Extra inputs are not permitted; keys that may stand there: sha",
        ),
        ('commercial = "yes"', r"commercial: Input should be a valid boolean"),
        ('sha256 = "abc"', r"sha256: String should match pattern"),
        ('licence = 1\nconsent = 2026-01-01\ncommercial = "no"', "licence: .*; commercial: "),
    ],
)
def test_a_wrong_sidecar_is_told_with_its_keys(file: Path, text: str, message: str) -> None:
    sidecar_path(file).write_text(text)
    with pytest.raises(UsageError, match=message):
        read_sidecar(Sidecar, file)


def test_another_file_than_the_described_one_is_refused(file: Path) -> None:
    other = "0" * 64
    with pytest.raises(ModelMissing, match=f"sidecar .* describes: its sha256 is {SHA256}, expected {other}"):
        described_file(file, Sidecar(sha256=other))
    with pytest.raises(ModelMissing, match=f"its card or identity.toml describes: .* expected {other}"):
        described_file(file, Sidecar(), pinned=other)
    with pytest.raises(ModelMissing, match="cannot be read"):
        described_file(file.with_name("none.onnx"), Sidecar())
