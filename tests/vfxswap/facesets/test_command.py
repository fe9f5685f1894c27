"""`vfxswap extract` and `vfxswap faceset`, as a shell would call them."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vfxswap.alignment import as_ibug68
from vfxswap.cli import main
from vfxswap.faceset import Faceset

Shell = Callable[..., tuple[int, str, str]]
Picture = Callable[[Path], NDArray[np.uint8]]
FRAMES = 8


@pytest.fixture
def shell(job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Calls a command in the job's folder: exit code, standard output, standard error."""
    monkeypatch.chdir(job.parent)

    def shell(*words: str | Path) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return shell


def _extract(shell: Shell, *words: str) -> tuple[int, str, str]:
    return shell("extract", "job.toml", "--identity", "hero", "--size", "96", "--device", "cpu", *words)


def test_a_production_gathers_its_faces(shell: Shell, job: Path, picture: Picture) -> None:
    code, out, err = _extract(shell, "--progress", "json")
    assert (code, err) == (0, "")
    *told, last = out.splitlines()
    assert json.loads(told[-1]) == json.loads(told[-1]) | {"type": "progress", "done": FRAMES, "total": FRAMES}
    what = f"{FRAMES} faces of the plate plate in {FRAMES} frames and stills"
    assert last == f"facesets/hero_plate: {what}; dfl68_whole 96 px, 8 bits"
    (job.parent / "identity" / "still00.png").write_bytes(b"broken")
    code, out, _ = _extract(shell, "--stills", "identity", "--progress", "none")
    assert code == 0
    assert out.splitlines()[0].startswith(
        "facesets/hero: 11 faces of CG performer B (synthetic) in 12 frames and stills"
    )
    assert "  left out: still00.png: " in out
    assert "nothing to do" in _extract(shell, "--stills", "identity", "--progress", "none")[1]

    code, out, _ = shell(
        "faceset", "coverage", "--plate", "facesets/hero_plate", "--identity", "facesets/hero", "--out", "c.png"
    )
    assert code == 0
    assert f"plate: {FRAMES} faces, held against 11 of CG performer B (synthetic)" in out
    assert "- the identity has 11 faces in all; some 300" in out
    assert out.endswith("chart: c.png\n")
    assert picture(Path("c.png")).shape[1] == 1680
    code, out, _ = shell(
        "faceset", "coverage", "--plate", "facesets/hero_plate", "--identity", "facesets/hero", "--json"
    )
    assert json.loads(out)["identity"]["faces"] == 11


def test_info_filter_and_sheet(shell: Shell, stills_set: Faceset, tmp_path: Path) -> None:
    code, out, _ = shell("faceset", "info", stills_set.folder, "--verify")
    assert code == 0
    assert "faces        11" in out
    assert "consent      performer: CG performer B (synthetic); grantor: vfxswap lab; productions: lab" in out
    assert "0 of 11 pictures cannot be used" in out
    assert json.loads(shell("faceset", "info", stills_set.folder, "--json")[1])["faces"] == 11

    code, out, _ = shell("faceset", "filter", stills_set.folder, "--max-yaw", "40", "--dry-run")
    assert code == 0
    assert "dropped faces/still04_000001.png: yaw 4" in out
    assert out.endswith("9 of 11 faces kept; dropped: 2 by yaw\n")
    code, out, _ = shell(
        "faceset", "filter", stills_set.folder, "--max-yaw", "40", "--out", tmp_path / "kept", "--json"
    )
    assert code == 0
    assert (json.loads(out)["kept"], json.loads(out)["counts"]) == (9, {"yaw": 2})
    assert len(Faceset.load(tmp_path / "kept")) == 9

    code, out, _ = shell("faceset", "sheet", tmp_path / "kept", "--out", tmp_path / "s.png", "--by", "pitch")
    assert (code, out) == (0, f"{tmp_path / 's.png'}: 9 faces\n")
    (stills_set.folder / stills_set.records[1].file).write_bytes(b"x")
    code, out, _ = shell("faceset", "info", stills_set.folder, "--verify")
    assert code == 1
    assert "1 of 11 pictures cannot be used\nfaces/still02_000001.png: " in out


def test_import_of_a_folder(shell: Shell, stills_set: Faceset, tmp_path: Path, picture: Picture) -> None:
    source = tmp_path / "aligned"
    source.mkdir()
    for index, record in enumerate(stills_set.records[:3]):
        points = as_ibug68(record.landmarks).points[:, :2].astype(np.float32)
        content = pickle.dumps({"face_type": "whole_face", "landmarks": points, "source_filename": f"{index:05d}.png"})
        coded = cv2.imencode(".jpg", picture(stills_set.folder / record.file))[1].tobytes()
        segment = b"\xff\xef" + (len(content) + 2).to_bytes(2, "big") + content
        (source / f"{index:05d}_0.jpg").write_bytes(coded[:2] + segment + coded[2:])
    (source / "00009_0.jpg").write_bytes(b"broken")
    words = ("faceset", "import", source, "--out", tmp_path / "ours")
    code, out, err = shell(*words, "--identity", "identity", "--production", "lab")
    assert code == 0
    assert f"{tmp_path / 'ours'}: 3 faces of CG performer B (synthetic); 1 could not be taken" in out
    assert "left out: aligned/00009_0.jpg: aligned/00009_0.jpg is no JPEG" in out
    assert "4 of 4 faces" in err
    assert len(Faceset.load(tmp_path / "ours")) == 3
    assert shell(*words, "--identity", "identity", "--production", "other", "--overwrite")[0] == 4


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["extract", "job.toml"], 2, "Missing option '--identity'"),
        (["extract", "job.toml", "--identity", "heroo"], 2, "did you mean 'hero'?"),
        (["extract", "job.toml", "--identity", "hero", "--face-type", "nose"], 2, "there is no face type 'nose'"),
        (["extract", "job.toml", "--identity", "hero", "--face", "left"], 2, "write KEY=VALUE"),
        (["extract", "job.toml", "--identity", "hero", "--progress", "loud"], 2, "must be auto, openjd"),
        (
            ["extract", "job.toml", "--identity", "hero", "--set", "shot.production=other"],
            4,
            "not for production 'other'",
        ),
        (["faceset", "info", "identity"], 2, "is no faceset"),
        (["faceset", "filter", "identity"], 2, "say what to sift by"),
        (["faceset", "filter", "identity", "--max-yaw", "3"], 2, "give either --out DIR"),
        (["faceset", "import", "identity", "--plate", "sh010"], 2, "holds no aligned JPEGs"),
        (["faceset", "import", "identity"], 2, "say whose faces they are"),
    ],
)
def test_what_is_wrong_is_said(shell: Shell, words: list[str], code: int, said: str) -> None:
    found, out, err = shell(*words)
    assert found == code
    assert said in " ".join((out + err).split())
    assert not Path("facesets").exists()


def test_a_kill_leaves_what_can_be_gone_on_with(shell: Shell, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vfxswap.faceset import FacesetWriter  # noqa: PLC0415

    add = FacesetWriter.add
    count: list[int] = []

    def dying(self: FacesetWriter, *values: object, **named: object) -> object:
        count.append(1)
        if len(count) == 4:
            raise KeyboardInterrupt
        return add(self, *values, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(FacesetWriter, "add", dying)
    code, _, err = _extract(shell, "--progress", "none")
    assert (code, "3 faces are kept in facesets/hero_plate: run it again to go on" in err) == (75, True)
    assert shell("faceset", "info", "facesets/hero_plate")[0] == 2
    monkeypatch.setattr(FacesetWriter, "add", add)
    assert _extract(shell, "--progress", "none")[0] == 0
    assert len(Faceset.load(job.parent / "facesets" / "hero_plate")) == FRAMES
    shutil.rmtree("facesets")
