"""A pipeline file that is right, and what it comes to."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from vfxswap.color import Matrix, Primaries, Range, Transfer
from vfxswap.errors import Problem
from vfxswap.pipeline import Pipeline, choose_device, head_of

Loaded = Callable[..., Pipeline]


def test_everything_is_settled(loaded: Loaded, project: Path, pipeline_text: str) -> None:
    plan = loaded(pipeline_text.replace('use = "find"', 'use = "find"\nmodel = "eye"'))
    assert plan.name == "job"
    assert plan.text.startswith("[shot]")
    assert plan.sha256 == hashlib.sha256((project / "job.toml").read_bytes()).hexdigest()
    assert plan.plate_path == project / "sh010.plate"
    assert plan.delivery_path == project / "out" / "sh010.out"
    assert (plan.frames[0], plan.frames[-1], len(plan.frames)) == (1, 100, 100)
    assert (plan.tags.primaries, plan.tags.transfer) == (Primaries.BT709, Transfer.BT709)
    assert (plan.tags.matrix, plan.tags.range) == (Matrix.RGB, Range.FULL)
    assert [stage.name for stage in plan.stages] == ["find", "points", "put", "cut", "grade", "paste"]
    assert plan.stages[0].models == ("eye",)
    assert plan.stages[4].label == "stages[4] (grade)"
    assert plan.stages[4].owner.startswith("studio (")
    assert plan.identities["hero"].consent.performer == "Anna Muster"
    assert str(plan.casting["hero"]) == "by size, rank 1"
    assert (plan.reader.name, plan.writer.name, plan.device) == ("json-plate", "text", "cpu")
    assert not (project / "out").exists(), "checking leaves nothing behind"


def test_a_pipeline_without_stages_passes_through(loaded: Loaded) -> None:
    plan = loaded('[shot]\nplate = "sh010.plate"\n[delivery]\npath = "b.out"\n')
    assert plan.stages == ()
    assert plan.identities == {}


def test_paths_of_options_are_relative_to_the_file(
    loaded: Loaded, project: Path, pipeline_text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (project / "a.curve").write_text("a curve")
    plan = loaded(pipeline_text.replace("strength = 0.5", 'curve = "a.curve"'))
    assert plan.stages[4].options.model_dump()["curve"] == project / "a.curve"


def test_cuts_come_in_order_and_once(loaded: Loaded, pipeline_text: str) -> None:
    assert loaded(pipeline_text.replace("[shot]", "[shot]\ncuts = [50, 20, 50]")).shot.cuts == (20, 50)


def test_two_identities_with_faces_of_their_own(loaded: Loaded, project: Path, pipeline_text: str) -> None:
    identity = '[identities.two]\npath = "hero"\nface = {by = "track", rank = 0}\n\n[[stages]]'
    swapper = '[[stages]]\nuse = "put"\nidentity = "two"\n\n[[stages]]\nuse = "cut"'
    text = pipeline_text.replace("[[stages]]", identity, 1).replace('[[stages]]\nuse = "cut"', swapper)
    plan = loaded(text)
    assert {name: str(rule) for name, rule in plan.casting.items()} == {
        "hero": "by size, rank 1",
        "two": "by track, number 0",
    }


def test_by_likeness_a_still_is_read(loaded: Loaded, project: Path, pipeline_text: str) -> None:
    text = pipeline_text.replace('path = "hero"', 'path = "hero"\nface = {by = "like", still = "hero/still01.png"}')
    assert loaded(text).casting["hero"].still == project / "hero" / "still01.png"


def test_the_key_is_that_of_the_same_job(loaded: Loaded, project: Path, pipeline_text: str) -> None:
    key = loaded().key
    assert len(key) == 64
    assert loaded().key == key
    assert loaded(f"# a remark\n{pipeline_text}").key == key, "words that set nothing"
    assert loaded(overrides=["delivery.path=else/where.out"]).key == key, "the delivery's name"
    assert loaded(overrides=["stages.grade.strength=0.5"]).key == key, "the value that was there"
    assert loaded(overrides=["shot.frames=1-50"]).key == key, "the frames, which chunks of a shot divide among them"
    shutil.copytree(project, project.with_name("moved"))
    assert loaded(path=project.with_name("moved") / "job.toml").key == key, "the project's place"


@pytest.mark.parametrize(
    "words",
    [
        "stages.grade.strength=0.6",
        "shot.cuts=[50]",
        "delivery.quality=6",
        'shot.color_space="srgb"',
    ],
)
def test_the_key_knows_each_setting(loaded: Loaded, words: str) -> None:
    assert loaded(overrides=[words]).key != loaded().key


@pytest.mark.parametrize("name", ["sh010.plate", "hero/still01.png", "hero/still01.points.json", "a.curve"])
def test_the_key_knows_each_file_that_is_read(loaded: Loaded, project: Path, pipeline_text: str, name: str) -> None:
    (project / "a.curve").write_text("a curve")
    (project / "hero" / "still01.points.json").write_text("{}")
    text = pipeline_text.replace("strength = 0.5", 'curve = "a.curve"')
    before = loaded(text).key
    os.utime(project / name, (1, 1))
    assert loaded(text).key != before


def test_the_key_knows_the_models_and_the_kind_of_device(
    loaded: Loaded, pipeline_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    keys = [loaded(device=device).key for device in ("cpu", "cuda:0", "cuda:1")]
    assert keys[0] != keys[1] == keys[2]
    assert loaded(pipeline_text.replace('use = "find"', 'use = "find"\nmodel = "eye"')).key not in keys


@pytest.mark.parametrize("package", ["torch", "onnxruntime", "onnxruntime-gpu"])
def test_the_keys_know_the_versions_of_what_computes(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    plan, installed = loaded(), importlib.metadata.version
    key, found = plan.key, head_of(plan).finding.key
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.1" if name == package else installed(name))
    assert loaded().key != key
    assert head_of(plan).finding.key != found


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose_device("cpu") == choose_device("auto") == choose_device(None) == "cpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert [choose_device(name) for name in (None, "auto", "cuda", "cuda:1", "cpu")] == [
        *("cuda:0", "cuda:0", "cuda:0", "cuda:1", "cpu")
    ]


def test_a_device_elsewhere_need_not_be_here(
    loaded: Loaded, problems: Callable[..., tuple[Problem, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for name, known in ((None, ""), ("auto", ""), ("cuda:1", "cuda:1"), ("cpu", "cpu")):
        assert loaded(device=name, is_elsewhere=True).device == known
    (problem,) = problems(device="gpu", is_elsewhere=True)
    assert "there is no device 'gpu'; allowed: auto, cpu" in str(problem)
