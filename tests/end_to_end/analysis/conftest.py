"""Two drawn people in a job whose finding of faces is counted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import vfxswap
from vfxswap.analysis import Edits, write_edits
from vfxswap.host import Host
from vfxswap.models import ModelStore
from vfxswap.pipeline import Pipeline, load
from vfxswap.recall import analyze
from vfxswap.report import Report

Movie = list[list[NDArray[np.uint8]]]
COUNT, SIZE = 16, (256, 96)
HERE = Path(__file__).parents[1]

JOB = """\
[shot]
plate = "../demo-out/two/plate.mkv"
production = "lab"
[identities.hero]
path = "../demo-out/two/identity"
[[stages]]
use = "counted"
path = "../demo-out/two/tracks.json"
TRACKER[[stages]]
use = "counted-points"
crop_size = 48
[[stages]]
use = "steady-landmarks"
radius_frames = 1
[[stages]]
use = "negative"
identity = "hero"
[[stages]]
use = "alpha"
[delivery]
path = "../demo-out/out.mkv"
"""


class Work:
    """A job in a folder of its own, with its plugin that counts."""

    def __init__(self, place: Any, folder: Path, decoded: Callable[[Path], Movie]) -> None:
        self.place, self.folder, self.decoded = place, folder, decoded
        self.host = Host(plugin_path=[HERE / "counting"])
        self.path = place.write("job.toml", JOB.replace("TRACKER", ""))
        self.analysis, self.edits = (self.path.with_name(f"job.{name}") for name in ("analysis.npz", "edits.json"))

    def plan(self, *overrides: str, **options: Any) -> Pipeline:
        store = ModelStore.from_environment(self.host.model_cards())
        return load(self.path, self.host, store=store, overrides=overrides, device="cpu", **options)

    def analyze(self, *overrides: str, **options: Any) -> Any:
        return analyze(self.plan(*overrides), self.host, workers=2, **options)

    def run(self, *overrides: str, **options: Any) -> Report:
        out = self.folder / "out.mkv"
        options = {"out": out, "overwrite": True, "device": "cpu", "workers": 2, "host": self.host, **options}
        return vfxswap.run(self.path, overrides=overrides, **options)

    def movie(self, *overrides: str, **options: Any) -> Movie:
        return self.decoded(self.run(*overrides, **options).outputs[0])

    def asked(self) -> tuple[list[int], int]:
        """At which frames the detector was asked since the last time, and how many faces the aligner was shown."""
        path = self.folder / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        path.write_text("")
        return sorted(int(line.split()[1]) for line in lines if line.startswith("face")), lines.count("points")

    def edit(self, *edits: Any) -> None:
        write_edits(self.edits, Edits(width=SIZE[0], height=SIZE[1], edits=edits))


@pytest.fixture
def work(drawn: Any, tmp_path: Path, decoded: Callable[[Path], Movie], monkeypatch: pytest.MonkeyPatch) -> Work:
    """Two drawn people side by side, 16 frames."""
    monkeypatch.setenv("VFXSWAP_LOAD_PLUGINS", "vfxswap-plugins,counting")
    monkeypatch.setenv("COUNT_FOLDER", str(tmp_path))
    place = type(drawn)(tmp_path / "place")
    shutil.copytree(drawn.root / "demo-out" / "two", place.shot / "two")
    place.pipelines.mkdir()
    return Work(place, tmp_path, decoded)


@pytest.fixture(scope="session")
def job_text() -> str:
    """The pipeline file, with a place for a tracker."""
    return JOB


@pytest.fixture(scope="session")
def same() -> Callable[[Movie, Movie], bool]:
    """Whether two movies have the same bits."""
    return _same


@pytest.fixture(scope="session")
def changed() -> Callable[[Movie, Movie], list[int]]:
    """Frames that differ."""
    return _changed


@pytest.fixture(scope="session")
def every() -> Callable[[], list[int]]:
    """All frames of the plate."""
    return lambda: list(range(1, COUNT + 1))


def _same(a: Movie, b: Movie) -> bool:
    return len(a) == len(b) and all(
        np.array_equal(x, y) for one, other in zip(a, b, strict=True) for x, y in zip(one, other, strict=True)
    )


def _changed(a: Movie, b: Movie) -> list[int]:
    return [number for number, (x, y) in enumerate(zip(a, b, strict=True), 1) if not _same([x], [y])]
