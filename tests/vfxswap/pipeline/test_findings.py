"""What stages find wrong themselves, before the first frame."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from vfxswap.errors import ExitCode, PipelineError, Problem
from vfxswap.host import Host
from vfxswap.models import ModelStore
from vfxswap.pipeline import load

FUSSY = """
from pydantic import Field
from vfxswap.errors import Problem, Refused
from vfxswap.hookspecs import API_VERSION, StageOffer, hookimpl
from vfxswap.stage import ColorMatch, ColorMatchOptions

@hookimpl
def vfxswap_api():
    return API_VERSION

@hookimpl
def vfxswap_stages():
    return [StageOffer("fussy", "color", ":Fussy")]

class FussyOptions(ColorMatchOptions):
    mood: str = Field("calm", description="What it says.")

class Fussy(ColorMatch[FussyOptions]):
    Options = FussyOptions

    @classmethod
    def problems(cls, options, brief):
        if options.mood == "refuse":
            raise Refused("this is not for paid work")
        if options.mood == "break":
            raise RuntimeError("no such thing")
        if options.mood == "tell":
            words = [*brief.identities, brief.production, brief.purpose, brief.today, brief.face_space, brief.device]
            return [Problem(", ".join(map(str, words)))]
        return [Problem("is not my mood", key="mood", value="bad")] if options.mood == "bad" else []

    def fit(self, swapped, plate, matte):
        return lambda colors: colors
"""

Found = Callable[[str], tuple[Problem, ...]]


@pytest.fixture
def found(project: Path, tmp_path: Path, studio: Path, pipeline_text: str) -> Found:
    """What is wrong where a stage is of some mood."""
    (tmp_path / "fussy.py").write_text(FUSSY)
    host = Host(plugin_path=[studio, tmp_path], environ={"VFXSWAP_LOAD_PLUGINS": "studio,fussy"})

    def found(mood: str) -> tuple[Problem, ...]:
        text = pipeline_text.replace('use = "grade"\nstrength = 0.5', f'use = "fussy"\nmood = "{mood}"')
        (project / "job.toml").write_text(text)
        try:
            load(project / "job.toml", host, store=ModelStore([], {}), today=date(2026, 6, 1), device="cpu")
        except PipelineError as error:
            return error.problems
        return ()

    return found


def test_a_stage_may_find_nothing(found: Found) -> None:
    assert found("calm") == ()


def test_what_it_finds_is_said_with_its_place(found: Found, project: Path) -> None:
    (problem,) = found("bad")
    assert str(problem) == f"{project}/job.toml: stages[4] (fussy): mood: is not my mood (found 'bad')"
    assert problem.exit_code is ExitCode.USAGE


def test_an_error_is_a_problem_with_its_own_exit_code(found: Found) -> None:
    (problem,) = found("refuse")
    assert (problem.message, problem.exit_code) == ("this is not for paid work", ExitCode.REFUSED)


def test_a_check_that_breaks_is_the_plugins_fault(found: Found) -> None:
    (problem,) = found("break")
    assert problem.message == "the plugin failed while it checked its settings: RuntimeError: no such thing"
    assert (problem.stage, problem.exit_code) == ("stages[4] (fussy)", ExitCode.MISSING)


def test_it_is_told_what_is_known(found: Found) -> None:
    (problem,) = found("tell")
    assert problem.message == "hero, Night Train, None, 2026-06-01, sRGB - Texture, cpu"
