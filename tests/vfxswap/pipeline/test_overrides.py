"""`--set`, `--plate`, `--out` and `--frames`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vfxswap.pipeline import Pipeline

Loaded = Callable[..., Pipeline]
Complaints = Callable[..., list[str]]


@pytest.mark.parametrize("which", ["grade", "4"])
def test_a_stages_option_by_name_or_number(loaded: Loaded, which: str) -> None:
    plan = loaded(overrides=[f"stages.{which}.strength=0.25"])
    assert plan.stages[4].options.model_dump()["strength"] == 0.25
    assert plan.overrides == (f"--set stages.{which}.strength=0.25",)


def test_a_stage_that_occurs_twice_must_be_numbered(loaded: Loaded, complaints: Complaints, pipeline_text: str) -> None:
    text = pipeline_text.replace('[[stages]]\nuse = "paste"', '[[stages]]\nuse = "grade"\n\n[[stages]]\nuse = "paste"')
    assert complaints(text, overrides=["stages.grade.strength=1"]) == [
        "--set stages.grade.strength=1: the pipeline has 2 stages 'grade'; write stages.4.strength or stages.5.strength"
    ]
    plan = loaded(text, overrides=["stages.5.strength=0.75"])
    assert [plan.stages[i].options.model_dump()["strength"] for i in (4, 5)] == [0.5, 0.75]


def test_a_value_is_toml_or_else_text(loaded: Loaded) -> None:
    words = ["delivery.codec=fine", "delivery.quality = 7", 'shot.purpose="double"', "stages.grade.taps=[3, 4]"]
    plan = loaded(overrides=[*words, "shot.cuts=[]", "shot.on_missing=fail"])
    assert plan.writer_options.model_dump() == {"codec": "fine", "depth": 8, "quality": 7}
    assert plan.shot.purpose == "double"
    assert plan.shot.on_missing == "fail"
    assert plan.stages[4].options.model_dump()["taps"] == (3, 4)
    assert plan.shot.cuts == ()


def test_keys_of_tables_that_are_not_there_yet(loaded: Loaded) -> None:
    plan = loaded(overrides=["identities.hero.face.by=left", "identities.hero.face.rank=2"])
    assert str(plan.casting["hero"]) == "from the left, rank 2"


def test_flags_are_relative_to_the_current_folder(
    loaded: Loaded, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("other.plate").write_text('{"count": 5}')
    plan = loaded(plate=Path("other.plate"), out=Path("o.out"), frames="2-4x2")
    assert plan.plate_path == tmp_path / "here" / "other.plate"
    assert plan.delivery_path == tmp_path / "here" / "o.out"
    assert tuple(plan.frames) == (2, 4)
    assert plan.overrides == ("--plate other.plate", "--frames 2-4x2", "--out o.out")
    assert loaded(overrides=["delivery.path=o.out"]).delivery_path == project / "o.out"


def test_one_frame_may_be_a_number(loaded: Loaded) -> None:
    assert tuple(loaded(overrides=["shot.frames=7"]).frames) == (7,)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("foo", "cannot be read; allowed: KEY=VALUE, such as shot.on_missing=fail or stages.NAME.KEY=0.5"),
        ("a b=2", "cannot be read; allowed: KEY=VALUE, such as shot.on_missing=fail or stages.NAME.KEY=0.5"),
        ("a\nb=2", "cannot be read; allowed: KEY=VALUE, such as shot.on_missing=fail or stages.NAME.KEY=0.5"),
        ("stages.x.y=2", "the pipeline has no such stage (found 'x'); allowed: find, points, put, cut, grade, paste"),
        ("stages.9.y=2", "the pipeline has no such stage (found '9'); allowed: find, points, put, cut, grade, paste"),
        ("stages.grade=2", "must name a stage and its key; allowed: stages.NAME.KEY or stages.3.KEY"),
        ("shot.plate.a=3", "plate is no table that has keys (found 'sh010.plate')"),
        (
            "stages.grade.strenght=3",
            "stages[4] (grade): strenght: unknown key (found 3); allowed: curve, gain, limits, lock, lock_frames, mode,"
            " openings, passes, start, strength, taps, use; did you mean 'strength'?",
        ),
        ("shot.frames=500", "shot: frames: the plate has no frames 500 (found '500'); allowed: frames of 1-100"),
    ],
)
def test_what_is_wrong_is_blamed_on_the_words(complaints: Complaints, word: str, message: str) -> None:
    assert complaints(overrides=[word]) == [f"--set {word}: {message}"]


def test_a_value_cannot_smuggle_in_a_second_key(complaints: Complaints) -> None:
    (found,) = complaints(overrides=["shot.on_missing=1\nframes=3"])
    assert "on_missing: is none of what may stand here (found '1\\nframes=3')" in found


def test_the_file_itself_is_not_blamed_for_them(complaints: Complaints, pipeline_text: str) -> None:
    found = complaints(pipeline_text.replace("= 0.5", "= 5"), overrides=["stages.grade.gain=9"])
    assert sorted(line.partition(": stages")[0] for line in found) == ["--set stages.grade.gain=9", "job.toml"]
