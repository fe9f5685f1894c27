"""A studio's project in a folder: plugin, plate, an identity with consent, a model, and a right pipeline file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from vfxswap.errors import PipelineError, Problem
from vfxswap.host import Host
from vfxswap.models import ModelStore
from vfxswap.pipeline import Pipeline, load

PIPELINE = """\
[shot]
plate = "sh010.plate"
production = "Night Train"

[identities.hero]
path = "hero"

[[stages]]
use = "find"

[[stages]]
use = "points"

[[stages]]
use = "put"
identity = "hero"

[[stages]]
use = "cut"

[[stages]]
use = "grade"
strength = 0.5

[[stages]]
use = "paste"

[delivery]
path = "out/sh010.out"
"""

IDENTITY = """\
name = "hero"
[consent]
performer = "Anna Muster"
grantor = "Anna Muster"
productions = ["Night Train"]
purposes = ["double"]
from = 2026-01-01
until = 2026-12-31
scope = "all scenes; the agreement is in the safe"
"""


@pytest.fixture(scope="session")
def studio() -> Path:
    """The folder of the studio's plugin."""
    return Path(__file__).parent / "studio"


@pytest.fixture
def studio_host(studio: Path) -> Host:
    """A host with the studio's plugin alone."""
    return Host(plugin_path=[studio], environ={"VFXSWAP_LOAD_PLUGINS": "studio"})


@pytest.fixture
def pipeline_text() -> str:
    """A pipeline file that is right."""
    return PIPELINE


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project's folder."""
    folder = tmp_path / "project"
    (folder / "hero").mkdir(parents=True)
    (folder / "sh010.plate").write_text('{"count": 100}')
    (folder / "hero" / "identity.toml").write_text(IDENTITY)
    (folder / "hero" / "still01.png").write_bytes(b"a picture")
    (folder / "models").mkdir()
    (folder / "models" / "eye.bin").write_bytes(b"eye")
    (folder / "job.toml").write_text(PIPELINE)
    return folder


@pytest.fixture
def loaded(project: Path, studio_host: Host) -> Callable[..., Pipeline]:
    """Loads a pipeline file of the project, given as text."""

    def loaded(text: str = PIPELINE, **options: Any) -> Pipeline:
        (project / "job.toml").write_text(text)
        environ = {"VFXSWAP_MODEL_PATH": str(project / "models"), "VFXSWAP_CACHE_DIR": str(project / "cache")}
        store = ModelStore.from_environment(studio_host.model_cards(), environ=environ)
        options = {"path": project / "job.toml", "today": date(2026, 6, 1), "device": "cpu", **options}
        return load(host=studio_host, store=store, **options)

    return loaded


@pytest.fixture
def problems(loaded: Callable[..., Pipeline]) -> Callable[..., tuple[Problem, ...]]:
    """What is wrong with a pipeline file, given as text."""

    def problems(text: str = PIPELINE, **options: Any) -> tuple[Problem, ...]:
        with pytest.raises(PipelineError) as caught:
            loaded(text, **options)
        return caught.value.problems

    return problems


@pytest.fixture
def complaints(problems: Callable[..., tuple[Problem, ...]], project: Path) -> Callable[..., list[str]]:
    """The same in words, without the project's folder."""

    def complaints(text: str = PIPELINE, **options: Any) -> list[str]:
        return [str(problem).replace(f"{project}/", "") for problem in problems(text, **options)]

    return complaints
