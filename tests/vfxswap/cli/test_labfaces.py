"""`vfxswap lab faces`: what it writes, says and refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from vfxswap.cli import main
from vfxswap.faceset import Faceset
from vfxswap.lab import deliver
from vfxswap.training import labpair

SMALL = ["--performers", "1", "--pictures", "1", "--size", "32", "--workers", "1"]


def test_it_writes_a_folder_for_each_performer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "faces", "--out", str(tmp_path / "set"), "--first", "7", *SMALL]) == 0
    assert "1 pictures of 1 performers in" in capsys.readouterr().out
    faces = Faceset.load(tmp_path / "set" / "performer_0007" / "faces")
    assert (len(faces), faces.crop.size_px) == (1, 32)
    assert main(["lab", "faces", "--out", str(tmp_path / "set"), "--first", "7", *SMALL]) == 0
    assert main(["lab", "faces", "--out", str(tmp_path / "set"), "--first", "7", *SMALL, "--seed", "3"]) == 2
    assert "drawn otherwise" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--performers", "0"], "1 or more performers"),
        (["--size", "8"], "32 to 1024"),
        (["--first", "-1"], "seeds of 0 or more"),
        (["--pair", "--pictures", "2"], "too few"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["lab", "faces", "--out", str(tmp_path / "set"), *SMALL, *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_the_pair_comes_with_its_shot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The faces of the two alone are drawn here, and the shot is only asked for: both are the lab's own tests'."""
    two, asked = labpair.pair_casts(3)[:2], []
    monkeypatch.setattr(labpair, "pair_casts", lambda pictures: two if pictures == 3 else [])
    monkeypatch.setattr(
        deliver, "deliver", lambda spec, folder, **size: asked.append((spec.name, folder, size["width"]))
    )
    assert (
        main(["lab", "faces", "--pair", "--pictures", "3", "--size", "32", "--workers", "1", "--out", str(tmp_path)])
        == 0
    )
    assert [len(Faceset.load(tmp_path / name / "faces")) for name in ("a", "b")] == [3, 3]
    assert asked == [("unseen", tmp_path / "unseen" / "shot", 640)]
