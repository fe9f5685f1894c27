"""What processes make at once, killed, told to stop, or on a full disk, and gone on with, has the bits of the whole."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from vfxswap.clock import FrameRange
from vfxswap.farm.assemble import assemble
from vfxswap.farm.chunk import run_chunk
from vfxswap.farm.order import Order
from vfxswap.farm.store import store_path
from vfxswap.files import FramePattern
from vfxswap.host import Host

COUNT = 16
DYING = Path(__file__).parents[1] / "dying"


def written(paths: Sequence[Path]) -> list[bytes]:
    return [path.read_bytes() for path in paths]


def in_process(order: Order, words: Sequence[str], repo: Path, **environ: str) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    common = [str(order.pipeline), "--out", str(order.out), "--progress", "none"]
    settings = {"PYTHONPATH": os.pathsep.join([str(repo), str(repo / "plugins")]), "OMP_NUM_THREADS": "1"}
    settings |= {"VFXSWAP_LOAD_PLUGINS": "vfxswap-plugins,dying", "VFXSWAP_PLUGIN_PATH": str(DYING)}
    return subprocess.Popen(
        [sys.executable, "-m", "vfxswap.cli", words[0], *common, *words[1:]],
        env={**os.environ, **settings, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> int:
    _, errors = process.communicate(timeout=120)
    assert errors == "" or process.returncode != 0, errors
    return process.returncode


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shot.mov", "shot.%04d.png"])
def test_two_processes_at_once_also_with_the_same_chunk(
    order: Callable[..., Order], plain: Callable[[str], list[bytes]], host: Host, repo: Path, name: str
) -> None:
    job = order(name)
    chunks = ["1-8", "7-16", "7-16"]
    processes = [in_process(job, ["run", "--device", "cpu", "--chunk", chunk], repo) for chunk in chunks]
    assert [ended(process) for process in processes] == [0, 0, 0]
    assert written(assemble(job.loaded(host), host).outputs) == plain(name)
    folder = job.out.parent if job.out is not None else Path()
    assert [path for path in folder.rglob(".*") if path.is_file()] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shot.mov", "shot.%04d.png"])
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment_and_run_again(
    order: Callable[..., Order], plain: Callable[[str], list[bytes]], host: Host, repo: Path, name: str, seed: int
) -> None:
    draw = random.Random(f"{name} {seed}")
    job = order(name)
    kill = {"DYING_FRAME": str(draw.randint(1, COUNT)), "DYING_SECONDS": str(draw.uniform(0, 0.1))}
    words = ["run", "--device", "cpu", "--chunk", "1-16"]
    code = ended(in_process(job, words, repo, **kill))
    assert code in {-9, 0}  # the last frame may have been the quicker
    assert ended(in_process(job, words, repo)) == 0
    assert written(assemble(job.loaded(host), host).outputs) == plain(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shot.mov", "shot.%04d.png"])
def test_a_farm_that_asks_it_to_stop_gets_whole_frames_alone(
    order: Callable[..., Order], plain: Callable[[str], list[bytes]], host: Host, repo: Path, name: str
) -> None:
    job = order(name)
    words = ["run", "--device", "cpu", "--chunk", "1-16"]
    process = in_process(job, words, repo, DYING_FRAME="6", DYING_SIGNAL="TERM")
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, "run again to go on" in errors) == (75, True)
    plan = job.loaded(host)
    pattern = FramePattern(plan.delivery_path)
    pattern = pattern if pattern.is_numbered else FramePattern(store_path(plan.delivery_path))
    left = {number: path.stat().st_mtime_ns for number, path in pattern.existing().items()}
    temporary = [path for path in pattern.pattern.parent.iterdir() if ".tmp" in path.name]
    assert temporary == []
    made = run_chunk(plan, FrameRange.parse("1-16"), host)
    assert {record.frame for record in made.frames} == set(range(1, COUNT + 1)) - set(left)
    assert {number: pattern.path(number).stat().st_mtime_ns for number in left} == left
    assert written(assemble(plan, host).outputs) == plain(name)


_FULL = """\
mount -t tmpfs -o size={size} tmpfs {folder}
{run} && exit 10
ls -A {there} | grep -v -E '{whole}|report|[.]jsonl$' && exit 11
ls {there} | grep -q -E '{whole}' || exit 12
mount -o remount,size=50m {folder}
{run} && {assemble} && cp {folder}/shot.* {kept}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "there", "whole"),
    [
        ("shot.mov", "100k", "*.frames", "^shot[.][0-9]{7}[.]npz$"),
        ("shot.%04d.png", "200k", "", "^shot[.][0-9]{4}[.]png$"),
    ],
)
def test_a_disk_that_is_full_in_the_middle_leaves_whole_frames_to_go_on_from(  # noqa: PLR0917 - fixtures
    project: Path,
    plain: Callable[[str], list[bytes]],
    repo: Path,
    tmp_path: Path,
    name: str,
    size: str,
    there: str,
    whole: str,
) -> None:
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small disk of their own")
    small, kept = tmp_path / "small", tmp_path / "kept"
    small.mkdir()
    kept.mkdir()
    program = f"{sys.executable} -m vfxswap.cli"
    out = f"{project / 'job.toml'} --out {small / name} --progress none"
    run, last = f"{program} run {out} --device cpu --chunk 1-16", f"{program} assemble {out}"
    script = _FULL.format(size=size, folder=small, run=run, assemble=last, kept=kept, there=small / there, whole=whole)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(repo), str(repo / "plugins")])}
    environ |= {"VFXSWAP_LOAD_PLUGINS": "vfxswap-plugins"}
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], env=environ, capture_output=True, text=True, check=False, timeout=400
    )
    assert done.returncode == 0, done.stderr
    assert "free some space" in done.stderr
    assert written(sorted(path for path in kept.iterdir() if path.suffix != ".jsonl")) == plain(name)
