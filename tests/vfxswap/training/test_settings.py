"""Training files: everything that is wrong is said at once, in the words of the pipeline file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from vfxswap.errors import ExitCode, PipelineError, Problem
from vfxswap.faceset import Faceset
from vfxswap.training.settings import Settings, default_widths, load

Project = Callable[..., Path]


def problems(file: Path, *sets: str, today: date | None = None) -> tuple[Problem, ...]:
    """What is wrong with a training file."""
    with pytest.raises(PipelineError) as caught:
        load(file, overrides=sets, today=today)
    return caught.value.problems


@pytest.fixture
def file(project: Project, tmp_path: Path) -> Path:
    return project(tmp_path)


def test_a_right_file_is_read_and_its_paths_are_its_own(file: Path, tmp_path: Path) -> None:
    settings: Settings = load(file)
    assert settings.train.out == tmp_path / "run"
    assert list(settings.people) == ["ada", "ben"]
    assert [len(item) for item in settings.sources["ada"].faces] == [40]
    assert settings.spec.widths == (8, 8, 4)
    assert settings.start_spec == settings.spec
    assert settings.identities["ben"].consent.productions == ("lab",)


def test_the_command_line_wins(file: Path) -> None:
    settings = load(file, overrides=["train.batch=6", "loss.pixel=2"], minutes=3)
    assert (settings.train.batch, settings.loss.pixel, settings.train.minutes) == (6, 2.0, 3.0)


def test_growth_begins_with_the_coarse_levels(file: Path) -> None:
    settings = load(file, overrides=["train.start_size=16"])
    assert (settings.start_spec.size_px, settings.start_spec.widths) == (16, (8, 8))


@pytest.mark.parametrize(("preset", "size"), [("quick", 128), ("shot", 256), ("film", 512)])
def test_presets_are_whole(project: Project, tmp_path: Path, preset: str, size: int) -> None:
    path = project(tmp_path)
    text = path.read_text().replace("size = 32\nwidths = [8, 8, 4]\ncode = 12\nstyle = 4\n", "")
    path.write_text(text.replace("[train]", f'[train]\npreset = "{preset}"'))
    # The presets make a sound network; only these tiny pictures are too coarse for it.
    assert {problem.key for problem in problems(path)} == {"faces"}
    assert all(f"too coarse for size = {size}" in problem.message for problem in problems(path))


@pytest.mark.parametrize(("size", "widths"), [(16, 2), (32, 3), (96, 4), (128, 5), (1024, 8)])
def test_every_size_has_widths(size: int, widths: int) -> None:
    assert len(default_widths(size)) == widths


def test_all_that_is_wrong_is_said_at_once(file: Path) -> None:
    found = problems(
        file, "train.batsh=3", "train.size=4", "loss.pixel=-1", "augment.flip=true", "adversarial.power=1e9", "lost.x=1"
    )
    said = "\n".join(map(str, found))
    assert "train: batsh: unknown key (found 3)" in said
    assert "did you mean 'batch'?" in said
    assert "train: size: is out of bounds (found 4); allowed: 16..1024" in said
    assert "loss: pixel: is out of bounds (found -1); allowed: 0..100" in said
    assert "augment: flip: must be a number" in said
    assert "adversarial: power" in said
    assert "lost: unknown table or key" in said
    assert "did you mean 'loss'?" in said


def test_missing_parts_are_said(tmp_path: Path) -> None:
    file = tmp_path / "empty.toml"
    file.write_text("")
    said = "\n".join(map(str, problems(file)))
    assert "[train]" in said
    assert "name two or more" in said
    file.write_text("[train]\n[identities.ada]\n")
    said = "\n".join(map(str, problems(file)))
    assert all(f"train: {key}: is missing" in said for key in ("production", "purpose", "out"))
    assert "identities.ada: faces: is missing" in said


def test_files_that_are_no_training_files_are_said(tmp_path: Path) -> None:
    assert "cannot read the training file" in problems(tmp_path / "none.toml")[0].message
    (tmp_path / "odd.toml").write_text("[train\n")
    assert "is not valid TOML" in problems(tmp_path / "odd.toml")[0].message


def test_training_is_a_use_that_consent_must_cover(file: Path) -> None:
    found = problems(file, "train.production=other film", "train.purpose=dub")
    assert {problem.exit_code for problem in found} == {ExitCode.REFUSED}
    assert sum("not for production 'other film'" in problem.message for problem in found) == 2
    assert sum("not for purpose 'dub'" in problem.message for problem in found) == 2
    assert "ended on" in problems(file, today=date(2100, 1, 1))[0].message


def test_who_is_put_in_needs_a_consent_record(file: Path) -> None:
    file.write_text(file.read_text().replace('path = "identities/ben"\n', ""))
    (found,) = problems(file)
    assert found.exit_code == ExitCode.REFUSED
    assert (found.stage, found.key) == ("identities.ben", "path")


def test_a_plates_faces_need_none(file: Path, faceset: Callable[..., Faceset], tmp_path: Path) -> None:
    faceset(tmp_path / "plate", "sh010", tone=0.5, subject="plate")
    text = file.read_text().replace('path = "identities/ben"\n', "").replace("facesets/ben", "plate")
    file.write_text(text)
    assert set(load(file).identities) == {"ada"}


def test_another_persons_faces_are_refused(file: Path) -> None:
    text = file.read_text()
    file.write_text(text.replace('faces = ["facesets/ben"]', 'faces = ["facesets/ada"]'))
    (found,) = problems(file)
    assert found.exit_code == ExitCode.REFUSED
    assert "holds faces of 'CG performer A (synthetic)'" in found.message


def test_too_few_faces_are_refused_with_the_reason(project: Project, tmp_path: Path) -> None:
    found = problems(project(tmp_path, count=9))
    assert [problem.key for problem in found] == ["faces", "faces"]
    assert "has 9 faces; 32 is the least" in found[0].message
    assert "invented" in found[0].message


def test_facesets_must_be_there_and_show_faces_alike(file: Path, tmp_path: Path) -> None:
    assert "too coarse for size = 64" in problems(file, "train.size=64", "train.widths=[8, 8, 4, 4]")[0].message
    assert "template dfl68_whole" in problems(file, 'train.face_type="head"')[0].message
    (tmp_path / "facesets" / "ada" / "faceset.json").unlink()
    assert "is no faceset" in problems(file)[0].message


def test_growth_must_lead_to_the_size(file: Path) -> None:
    (found,) = problems(file, "train.start_size=24")
    assert (found.key, found.value) == ("start_size", 24)
    (found,) = problems(file, "train.widths=[8, 8, 8, 8, 8, 8]")
    assert "coarsest level" in found.message


def test_what_it_starts_from_must_be_there(file: Path) -> None:
    (found,) = problems(file, "train.init=nowhere.safetensors")
    assert (found.key, found.value) == ("init", "nowhere.safetensors")


def test_it_is_delivered_to_identities_alone(file: Path) -> None:
    (found,) = problems(file, 'train.deliver_to=["adda"]')
    assert found.nearest == "ada"
