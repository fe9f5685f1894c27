"""What is shipped: the built package, installed away from the sources, with an outside plugin beside it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "vfxswap", "plugins", "pipelines", "tests", "docs", "examples")
BUNDLED = {
    "vfxswap/training/base.safetensors",
    "vfxswap_plugins/mattes/occlusion.safetensors",
    "plugins/vfxswap_plugins/mattes/occlusion.safetensors",
}
"""The weights that come along; everything else is got, or made, by who needs it."""


def checked(command: Sequence[str | Path], *, folder: Path, **environ: str) -> str:
    """Runs a command; its output, or a failure that shows it."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel made from it."""
    clean, out = tmp_path_factory.mktemp("clean"), tmp_path_factory.mktemp("dist")
    for name in SOURCES:
        source = repo / name
        if source.is_dir():
            shutil.copytree(source, clean / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, clean / name)
    checked([sys.executable, "-m", "build", "--no-isolation", "--outdir", out, clean], folder=out)
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def site(repo: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip installed the wheel and the outside plugin; the dependencies are this Python's own."""
    folder = tmp_path_factory.mktemp("site")
    example = tmp_path_factory.mktemp("example") / "vfxswap-cdl"
    shutil.copytree(repo / "examples" / "vfxswap-cdl", example, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    checked([*pip, "--target", folder, wheel, example], folder=folder.parent)
    return folder


def listing(site: Path, away: Path, *arguments: str) -> dict[str, Any]:
    """What `vfxswap plugins --json` of the installed package says, from a folder of its own."""
    command = [sys.executable, "-m", "vfxswap.cli", *arguments, "plugins", "--json"]
    found: dict[str, Any] = json.loads(checked(command, folder=away, PYTHONPATH=str(site)))
    return found


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "vfxswap",
        "vfxswap_plugins",
        f"{'-'.join(wheel.name.split('-')[:2])}.dist-info",
    }
    needed = (
        "vfxswap/py.typed",
        "vfxswap_plugins/py.typed",
        "vfxswap_plugins/models.toml",
        "vfxswap/pipelines/demo.toml",
    )
    assert set(needed) <= set(names)
    strange = {
        name for name in names if ".dist-info/" not in name and Path(name).suffix not in {".py", ".typed", ".toml"}
    }
    assert strange - BUNDLED == {"vfxswap/pipelines/README.md"}


def test_every_source_is_in_the_wheel(repo: Path, wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for root in (repo / "vfxswap", repo / "plugins" / "vfxswap_plugins"):
        expected = {str(Path(root.name) / path.relative_to(root)) for path in root.rglob("*.py")}
        assert expected - names == set()


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    text = archive.read(metadata).decode()
    assert "License-Expression: Apache-2.0" in text
    (entries,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
    assert "vfxswap-plugins = vfxswap_plugins" in archive.read(entries).decode()
    assert "vfxswap = vfxswap.cli:main" in archive.read(entries).decode()


def test_the_sdist_has_no_leftovers(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        inside = {"/".join(name.split("/")[1:]) for name in tar.getnames()}
    assert {"pyproject.toml", "LICENSE", "vfxswap/stage.py", "plugins/vfxswap_plugins/models.toml"} <= inside
    heavy = [name for name in inside if name.endswith((".pyc", ".onnx", ".mp4", ".mov", ".safetensors"))]
    assert set(heavy) <= BUNDLED


def test_the_weights_that_come_along_are_small(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    found = {item.filename: item.file_size for item in archive.infolist() if item.filename.endswith(".safetensors")}
    assert set(found) <= BUNDLED
    assert all(size < 15e6 for size in found.values())


def test_the_installed_package_lists_its_plugins(site: Path, tmp_path: Path) -> None:
    found = listing(site, tmp_path)
    (own,) = (plugin for plugin in found["plugins"] if plugin["distribution"] == "vfxswap")
    assert own["error"] is None
    assert Path(own["location"]).is_relative_to(site)


def test_an_outside_plugin_stands_beside_the_first_party_ones(site: Path, tmp_path: Path) -> None:
    stages = {stage["name"]: stage for stage in listing(site, tmp_path)["stages"]}
    assert stages["cdl"]["distribution"] == "vfxswap-cdl"
    assert stages["cdl"]["version"] == "1.0.0"
    assert stages["cdl"]["licence"] == "Apache-2.0"
    assert "color" in {stage["kind"] for stage in stages.values() if stage["distribution"] == "vfxswap"}


def test_an_outside_plugin_is_usable(site: Path, tmp_path: Path) -> None:
    code = (
        "from vfxswap.host import Host; host = Host(); cdl = host.stage_class('cdl');"
        "from vfxswap.testing import options_of, setting; import torch;"
        "stage = cdl(options_of(cdl, {'slope': [2, 1, 1]}), setting());"
        "print(host.owner('cdl'), stage.grade(torch.full((3, 1, 1), 0.25))[:, 0, 0].tolist())"
    )
    said = checked([sys.executable, "-c", code], folder=tmp_path, PYTHONPATH=str(site))
    assert said.strip() == "cdl (vfxswap-cdl 1.0.0) [0.5, 0.25, 0.25]"


def test_a_plugin_folder_that_offers_the_same_stage_is_refused(repo: Path, site: Path, tmp_path: Path) -> None:
    shutil.copy(repo / "examples" / "vfxswap-cdl" / "vfxswap_cdl.py", tmp_path / "grade.py")
    found = listing(site, tmp_path, "--plugin-path", str(tmp_path))
    assert "cdl" not in {stage["name"] for stage in found["stages"]}
    (clash,) = found["clashes"]
    assert "cdl (vfxswap-cdl 1.0.0)" in clash
    assert f"grade ({tmp_path})" in clash


def test_the_outside_plugins_own_tests_pass(repo: Path, site: Path, tmp_path: Path) -> None:
    shutil.copytree(repo / "examples" / "vfxswap-cdl" / "tests", tmp_path / "tests")
    flags = ["-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", "tests"]
    command = [sys.executable, "-m", "pytest", *flags]
    said = checked(command, folder=tmp_path, PYTHONPATH=str(site))
    assert " passed" in said
    assert "skipped" not in said
