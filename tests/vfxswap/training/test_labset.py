"""Sets of the lab: the same whoever draws them, gone on with where they were broken off, each with its consent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from vfxswap.errors import UsageError
from vfxswap.faceset import Faceset
from vfxswap.identity import load_identity
from vfxswap.lab.chance import Range
from vfxswap.lab.looks import PERFORMERS, random_looks
from vfxswap.training import labset
from vfxswap.training.labcasts import Cast, random_casts
from vfxswap.training.labpair import UNSEEN, pair_casts
from vfxswap.training.labset import LabFaces, render_labset

SIZE = 32


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two performers, three pictures each, with truths."""
    folder = tmp_path_factory.mktemp("labset")
    render_labset(folder, random_casts(2, 3, truths=True), size_px=SIZE)
    return folder


@pytest.fixture
def copied(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "copy"))


def test_every_performer_has_a_faceset_with_mattes_and_a_consent_record(drawn: Path) -> None:
    folders = sorted(drawn.iterdir())
    assert [folder.name for folder in folders] == ["performer_0000", "performer_0001"]
    for number, folder in enumerate(folders):
        faces, truth = Faceset.load(folder / "faces"), Faceset.load(folder / "truth")
        assert len(faces) == len(truth) == 3
        assert faces.info.identity == random_looks(number).title
        assert faces.info.consent is not None
        assert "train" in faces.info.consent.purposes
        assert not list(faces.problems())
        identity, problems = load_identity("one", folder, bare=True)
        assert not problems
        assert identity is not None
        assert identity.consent == faces.info.consent
        for index in range(3):
            matte = faces.matte(index)
            assert matte is not None
            assert 0.05 < float(matte.mean()) < 0.7
            # The truth is the same crop of the same performance.
            assert faces.records[index].plate_to_crop == truth.records[index].plate_to_crop
            assert np.abs(faces.landmarks(index).points - truth.landmarks(index).points).max() < 0.2 * SIZE
            assert 0 < float((faces.image(index) - truth.image(index)).abs().mean()) < 0.1


def test_a_set_that_is_there_is_left_as_it_is(copied: Path) -> None:
    before = files_of(copied)
    told: list[tuple[int, int]] = []
    render_labset(copied, random_casts(2, 3, truths=True), size_px=SIZE, tell=lambda *at: told.append(at))
    assert files_of(copied) == before
    assert told == []


def test_a_set_that_was_broken_off_is_gone_on_with(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between two pictures: the first performer is whole, of the second one picture and no index is there."""
    before = files_of(copied)
    for name in ("faces", "truth"):
        folder = copied / "performer_0001" / name
        index = json.loads((folder / "faceset.json").read_text())
        head = {key: value for key, value in index.items() if key != "faces"}
        lines = [json.dumps(head, ensure_ascii=False), *(json.dumps(f, separators=(",", ":")) for f in index["faces"])]
        (folder / "faceset.json").unlink()
        (folder / "faces.part.jsonl").write_text("\n".join(lines[:2]) + "\n")
        for record in index["faces"][1:]:
            (folder / record["file"]).unlink()
    asked: list[int] = []
    plain = labset._draw

    def counted(job: labset._Job) -> labset._Result:
        asked.append(len(job.pictures))
        return plain(job)

    monkeypatch.setattr(labset, "_draw", counted)
    told: list[tuple[int, int]] = []
    render_labset(copied, random_casts(2, 3, truths=True), size_px=SIZE, tell=lambda *at: told.append(at))
    assert asked == [2]
    assert told == [(6, 6)]
    assert files_of(copied) == before


@pytest.mark.slow
def test_any_number_of_workers_draws_the_same(drawn: Path, tmp_path: Path) -> None:
    render_labset(tmp_path / "two", random_casts(2, 3, truths=True), size_px=SIZE, workers=2)
    assert files_of(tmp_path / "two") == files_of(drawn)


@pytest.mark.parametrize("change", [{"seed": 1}, {"limits": Range(obstacles=0.9)}, {"pictures": 4}, {"size_px": 48}])
def test_another_set_in_the_same_folder_is_refused(copied: Path, change: dict[str, object]) -> None:
    size = int(str(change.pop("size_px", SIZE)))
    values: dict[str, object] = {"performers": 2, "pictures": 3, "truths": True, **change}
    before = files_of(copied)
    with pytest.raises(UsageError, match=r"drawn otherwise.*another folder"):
        render_labset(copied, random_casts(**values), size_px=size)  # type: ignore[arg-type]
    assert files_of(copied) == before


@pytest.mark.parametrize("values", [(0, 3), (2, 0), (2, -1)])
def test_sets_of_nothing_are_refused(values: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="1 or more performers and pictures"):
        random_casts(*values)


@pytest.mark.parametrize("size", [0, 16, 2048])
def test_sizes_that_make_no_sense_are_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(UsageError, match="32 to 1024 pixels"):
        render_labset(tmp_path / "none", random_casts(1, 1), size_px=size)
    assert not (tmp_path / "none").exists()


def test_batches_depend_on_seed_and_number_alone() -> None:
    looks = [random_looks(number) for number in range(2)]
    first, other = (LabFaces(looks, size_px=SIZE, batch=1, seed=3, truths=True) for _ in range(2))
    other.batch(0)  # what was drawn before does not matter
    one, again = first.batch(1), other.batch(1)
    assert torch.equal(one.images, again.images)
    assert torch.equal(one.swaps, again.swaps)
    assert one.performers == again.performers
    assert one.images.shape == (1, 3, SIZE, SIZE)
    assert one.truths is not None
    assert one.labels.shape == (1, SIZE, SIZE)
    assert all(own != face for own, face in zip(one.performers, one.others, strict=True))
    differs = (one.images - one.truths).abs().amax(1, keepdim=True)
    assert float(differs[one.swaps > 0.9].mean()) > 2 * float(differs[one.swaps == 0].mean())


def test_truths_need_a_second_performer() -> None:
    with pytest.raises(UsageError, match="2 or more performers are needed, got 1"):
        LabFaces([PERFORMERS["ada"]], size_px=SIZE, truths=True)
    with pytest.raises(UsageError, match="1 or more performers are needed, got 0"):
        LabFaces([], size_px=SIZE)


def test_the_pair_is_two_performers_and_an_unseen_shot_with_its_truth(tmp_path: Path) -> None:
    casts = pair_casts(7)
    assert [(cast.name, cast.count) for cast in casts] == [("a", 7), ("b", 7), ("unseen", 60)]
    assert [cast.looks for cast in casts] == [PERFORMERS["ada"], PERFORMERS["ben"], PERFORMERS["ada"]]
    assert casts[2].face == PERFORMERS["ben"]
    seeds = {take.spec.roles[0].acting.seed for cast in casts[:2] for take, _ in cast.takes if hasattr(take, "spec")}
    assert UNSEEN.roles[0].acting.seed not in seeds
    with pytest.raises(UsageError, match="too few"):
        pair_casts(2)
    take, _ = casts[2].takes[0]
    render_labset(tmp_path, [Cast("short", ((take, 2),), casts[2].face)], size_px=SIZE)
    faces, truth = (Faceset.load(tmp_path / "short" / name) for name in ("faces", "truth"))
    # Neighbouring frames of a performance are alike, and the crop follows the face.
    assert float((faces.image(0) - faces.image(1)).abs().mean()) < 0.05
    assert [record.frame for record in truth.records] == [1, 2]
