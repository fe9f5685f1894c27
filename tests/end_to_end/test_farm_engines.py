"""Real engines run real jobs: OpenJD's own runner, and a Ray cluster of two nodes whose workers are killed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

import vfxswap

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
COUNT = 12
PIPELINE = """\
[shot]
plate = "plate.mkv"
frames = "1-12"
production = "lab"
[identities.hero]
path = "identity"
[[stages]]
use = "tracks"
path = "tracks.json"
[[stages]]
use = "points5"
crop_size = 64
[[stages]]
use = "portrait"
identity = "hero"
[[stages]]
use = "hull"
[[stages]]
use = "mkl"
[[stages]]
use = "flow-deflicker"
radius_frames = 1
[[stages]]
use = "pyramid"
[delivery]
path = "out/shot.mkv"
"""

_CLUSTER = """\
import sys
from ray.cluster_utils import Cluster
from vfxswap.cli import main

if __name__ == "__main__":
    small = {"num_cpus": 1, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    cluster.add_node(**small)
    try:
        code = main([*sys.argv[1:], "--engine", "ray", "--address", cluster.address])
    finally:
        cluster.shutdown()
    sys.exit(code)
"""


@pytest.fixture(scope="session")
def show(drawn: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pipeline file, all that it names, and an undivided run's delivery."""
    folder = tmp_path_factory.mktemp("show")
    for name in ("plate.mkv", "tracks.json"):
        shutil.copy(drawn.shot / name, folder)
    shutil.copytree(drawn.shot / "identity", folder / "identity")
    (folder / "job.toml").write_text(PIPELINE)
    vfxswap.run(folder / "job.toml", out=folder / "plain.mkv", device="cpu")
    return folder


@pytest.fixture
def environ(repo: Path) -> dict[str, str]:
    """Of a process that has the first-party plugins, and the one that dies."""
    path = os.pathsep.join([str(repo), str(repo / "plugins")])
    settings = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "VFXSWAP_LOAD_PLUGINS": "vfxswap-plugins,dying"}
    return {**os.environ, **settings, "VFXSWAP_PLUGIN_PATH": str(HERE / "dying")}


Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(environ: dict[str, str], tmp_path: Path) -> Shell:
    """Runs a program in a folder of the test's own."""

    def shell(words: Sequence[object], **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in words],
            env={**environ, **more},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )

    return shell


def without_network() -> list[str]:
    """What a command is put behind to have no network, where the machine allows it."""
    words = ["unshare", "-rn"]
    is_able = (
        shutil.which("unshare") and not subprocess.run([*words, "true"], check=False, capture_output=True).returncode
    )
    return words if is_able else []


@pytest.fixture
def openjd(shell: Shell, tmp_path: Path, show: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Makes a job of the pipeline and runs it as OpenJD does, from a place of the farm's own."""
    if find_spec("openjd") is None or find_spec("openjd.cli") is None:
        pytest.skip("openjd-cli is not installed; it comes with the extra [farm]")
    program = tmp_path / "vfxswap"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m vfxswap.cli "$@"\n')
    program.chmod(0o755)
    made = shell([program, "farm", "openjd", show / "job.toml", "--chunk-frames", "5", "--device", "cpu"])
    assert made.returncode == 0, made.stderr
    (tmp_path / "job.yaml").write_text(made.stdout)
    assert yaml.safe_load(made.stdout)["specificationVersion"] == "jobtemplate-2023-09"
    beside = Path(sys.executable).with_name("openjd")  # of an environment that was not activated
    cli = [sys.executable, "-m", "openjd.cli"] if find_spec("openjd.cli.__main__") else [beside]

    def openjd(*words: object, folder: Path = show, **more: str) -> subprocess.CompletedProcess[str]:
        values = {"Pipeline": folder / "job.toml", "PlateFolder": folder, "DeliveryFolder": tmp_path / "out"}
        values["Vfxswap"] = program
        given = [word for name, value in values.items() for word in ("-p", f"{name}={value}")]
        return shell([*without_network(), *cli, "run", "job.yaml", *words, *given], **more)

    return openjd


def test_an_openjd_job_gives_the_bytes_of_a_plain_run(
    openjd: Callable[..., subprocess.CompletedProcess[str]], show: Path, tmp_path: Path
) -> None:
    """From another name of the same disk, as a farm's workers have it, by path mapping; without a network."""
    rules = {
        "version": "pathmapping-1.0",
        "path_mapping_rules": [
            {"source_path_format": "POSIX", "source_path": "/artists/show", "destination_path": str(show)}
        ],
    }
    words = ["--step", "Assemble", "--run-dependencies", "--path-mapping-rules", json.dumps(rules)]
    done = openjd(*words, folder=Path("/artists/show"))
    assert done.returncode == 0, done.stdout
    assert "Session ended successfully" in done.stdout
    assert "Chunks run: 4" in done.stdout  # three of four frames, and the last step
    assert "openjd_progress: 100.0" in done.stdout
    assert (tmp_path / "out" / "shot.mkv").read_bytes() == (show / "plain.mkv").read_bytes()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["shot.mkv", "shot.mkv.report.jsonl"]


def test_an_openjd_chunk_that_was_stopped_is_gone_on_with(
    openjd: Callable[..., subprocess.CompletedProcess[str]], show: Path, tmp_path: Path
) -> None:
    stopped = openjd("--step", "Render", DYING_FRAME="6", DYING_SIGNAL="TERM", DYING_MARK=str(tmp_path / "mark"))
    assert stopped.returncode != 0
    assert "openjd_fail: cancelled; run again to go on" in stopped.stdout
    left = list((tmp_path / "out" / "shot.mkv.frames").iterdir())
    assert [path for path in left if path.name.startswith(".")] == []
    assert 4 <= sum(path.suffix == ".npz" for path in left) < COUNT
    assert openjd("--step", "Assemble", "--run-dependencies").returncode == 0
    assert (tmp_path / "out" / "shot.mkv").read_bytes() == (show / "plain.mkv").read_bytes()


@pytest.fixture
def ray_job(shell: Shell, show: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the pipeline on a cluster of two nodes, each a raylet with workers of its own."""
    if find_spec("ray") is None:
        pytest.skip("ray is not installed; it comes with the extra [farm]")
    (tmp_path / "cluster.py").write_text(_CLUSTER)

    def ray_job(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        common = ["run", show / "job.toml", "--out", tmp_path / "out" / "shot.mkv", "--chunk-frames", "4"]
        return shell([sys.executable, "cluster.py", *common, "--device", "cpu", "--progress", "none", *words], **more)

    return ray_job


def test_a_worker_that_is_killed_makes_no_difference_on_ray(
    ray_job: Callable[..., subprocess.CompletedProcess[str]], show: Path, tmp_path: Path
) -> None:
    done = ray_job("--retries", "1", DYING_FRAME="6", DYING_MARK=str(tmp_path / "mark"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mark").exists(), "a worker died"
    assert (tmp_path / "out" / "shot.mkv").read_bytes() == (show / "plain.mkv").read_bytes()
    assert "12 frames, 12 with a face put in" in done.stdout


def test_a_worker_that_always_dies_ends_with_the_chunk_and_the_cause(
    ray_job: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = ray_job("--retries", "1", DYING_FRAME="6")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    found = re.match(r"error: chunk (\d+)-(\d+) failed: its worker died, also when tried again once \(", line)
    assert found is not None, line
    assert int(found[1]) <= 6 <= int(found[2])
    assert f"--chunk {found[1]}-{found[2]}" in line
    assert not (tmp_path / "out" / "shot.mkv").exists()
