"""What machines make in pieces has the bits of what one makes whole: divided, at once, killed, and gone on with."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import vfxswap
from vfxswap.clock import FrameRange
from vfxswap.errors import Cancelled, MediaError, UsageError
from vfxswap.farm.assemble import assemble
from vfxswap.farm.chunk import run_chunk, stamps_of
from vfxswap.farm.order import Order
from vfxswap.farm.ray_engine import work
from vfxswap.farm.store import store_path
from vfxswap.files import FramePattern
from vfxswap.host import Host
from vfxswap.report import Progress, Report, past_run, report_path

COUNT = 16
DYING = Path(__file__).parent / "dying"

PIPELINE = """\
[shot]
plate = "plate.mov"
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
use = "idt"
lock = "shot"
lock_frames = 3
[[stages]]
use = "flow-deflicker"
radius_frames = 2
[[stages]]
use = "pyramid"
[delivery]
path = "out/shot.mkv"
"""
"""With windows, a search for cuts and a survey of the shot."""


def with_sound(source: Path, target: Path) -> None:
    """The same movie with a timecode and a tone."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        picture = new.add_stream_from_template(old.streams.video[0])
        picture.metadata["timecode"] = "10:00:00:00"
        sound = new.add_stream("aac", rate=48000, layout="mono")
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = picture
                new.mux(packet)
        tone = (0.3 * np.sin(np.arange(48000 * COUNT // 25) / 20)).astype(np.float32)
        for start in range(0, tone.size, 1920):
            frame = av.AudioFrame.from_ndarray(tone[None, start : start + 1920], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            new.mux(sound.encode(frame))
        new.mux(sound.encode())


@pytest.fixture(scope="session")
def project(
    drawn: Any, encode: Callable[..., Path], draw: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with a pipeline file and all that it names."""
    folder = tmp_path_factory.mktemp("farm")
    encode(folder / "silent.mp4", draw([0]), codec="libx264")
    with_sound(folder / "silent.mp4", folder / "plate.mov")
    shutil.copy(drawn.shot / "tracks.json", folder)
    shutil.copytree(drawn.shot / "identity", folder / "identity")
    (folder / "job.toml").write_text(PIPELINE)
    return folder


@pytest.fixture(scope="session")
def plain(project: Path) -> Callable[[str], list[bytes]]:
    """What an undivided run writes, by the delivery's name; made once."""
    made: dict[str, list[bytes]] = {}

    def plain(name: str) -> list[bytes]:
        if name not in made:
            out = project / "plain" / name
            report = vfxswap.run(project / "job.toml", out=out, device="cpu")
            assert report.summary()["swapped"] == COUNT
            made[name] = [path.read_bytes() for path in report.outputs]
        return made[name]

    return plain


@pytest.fixture
def order(project: Path, tmp_path: Path) -> Callable[..., Order]:
    """A job of that pipeline, delivered to a folder of the test's own."""

    def order(name: str, *overrides: str, frames: str | None = None) -> Order:
        return Order(project / "job.toml", out=tmp_path / name, frames=frames, overrides=overrides, device="cpu")

    return order


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


def halves(order: Order, host: Host) -> None:
    """Both halves of the job, so that a delivery can be assembled."""
    plan = order.loaded(host)
    for chunk in ("1-8", "9-16"):
        run_chunk(plan, FrameRange.parse(chunk), host)


@pytest.mark.parametrize(
    ("name", "size"), [("shot.mkv", 16), ("shot.mov", 7), ("shot.mp4", 7), ("shot.%04d.png", 7), ("shot.mov", 5)]
)
def test_chunks_and_a_last_step_give_the_bytes_of_the_whole(
    order: Callable[..., Order], plain: Callable[[str], list[bytes]], host: Host, name: str, size: int
) -> None:
    """Sound, timecode and tags too; also where a chunk ends in the middle of a batch."""
    _check_chunks(order(name), plain(name), host, size)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shot.mkv", "shot.%04d.png"])
def test_chunks_of_one_frame_give_the_bytes_of_the_whole(
    order: Callable[..., Order], plain: Callable[[str], list[bytes]], host: Host, name: str
) -> None:
    _check_chunks(order(name), plain(name), host, 1)


def _check_chunks(job: Order, plain: list[bytes], host: Host, size: int) -> None:
    plan = job.loaded(host)
    for first in range(1, COUNT + 1, size):
        run_chunk(plan, FrameRange.of(range(first, min(first + size, COUNT + 1))), host)
    report = assemble(plan, host)
    assert written(report.outputs) == plain
    assert [record.frame for record in report.frames] == list(range(1, COUNT + 1))
    assert report.summary()["swapped"] == COUNT
    assert vfxswap.run(job.pipeline, out=job.out, device="cpu", host=host).already_done
    assert run_chunk(plan, FrameRange.parse("1-4"), host).already_done
    assert not store_path(plan.delivery_path).parent.exists()


def test_a_movie_is_assembled_once_and_its_frames_may_stay(
    order: Callable[..., Order], plain: Callable[[str], list[bytes]], host: Host
) -> None:
    job = order("shot.mov")
    halves(job, host)
    plan = job.loaded(host)
    report = assemble(plan, host, keep=True)
    assert len(FramePattern(store_path(plan.delivery_path)).existing()) == COUNT
    assert assemble(plan, host).already_done
    report.outputs[0].write_bytes(b"somebody's movie")
    other = order("shot.mov", "stages.pyramid.levels=2").loaded(host)
    with pytest.raises(UsageError, match="is there already and was made from other settings"):
        assemble(other, host)
    assert written(assemble(plan, host, overwrite=True).outputs) == plain("shot.mov")


def test_what_is_missing_or_of_other_settings_is_named(order: Callable[..., Order], host: Host) -> None:
    job = order("shot.mov")
    plan = job.loaded(host)
    run_chunk(plan, FrameRange.parse("1-8"), host)
    with pytest.raises(MediaError, match=r"8 of the job's 16 frames are not done: 9-16; run their chunks again"):
        assemble(plan, host)
    run_chunk(order("shot.mov", "stages.idt.strength=0.5").loaded(host), FrameRange.parse("9-16"), host)
    with pytest.raises(MediaError, match=r"9-16 \(9-16 were made from other settings, plates or versions\)"):
        assemble(plan, host)
    run_chunk(plan, FrameRange.parse("9-16"), host)
    stored = FramePattern(store_path(plan.delivery_path)).path(5)
    stored.write_bytes(stored.read_bytes()[:-200])
    FramePattern(store_path(plan.delivery_path)).path(6).write_bytes(b"")
    with pytest.raises(MediaError, match=r"2 of the job's 16 frames are not done: 5-6"):
        assemble(plan, host)
    assert not plan.delivery_path.exists()
    again = run_chunk(plan, FrameRange.parse("1-8"), host)
    assert [record.frame for record in again.frames] == [5, 6]
    assert [record.frame for record in again.records] == list(range(1, 9))
    assert assemble(plan, host).error is None


def test_a_sequence_is_looked_through_before_its_reports_become_one(order: Callable[..., Order], host: Host) -> None:
    job = order("shot.%04d.png")
    halves(job, host)
    plan = job.loaded(host)
    part = report_path(plan.delivery_path, FrameRange.parse("1-8"))
    assert part.exists()
    FramePattern(plan.delivery_path).path(3).unlink()
    with pytest.raises(MediaError, match=r"1 of the job's 16 frames are not done: 3"):
        assemble(plan, host)
    run_chunk(plan, FrameRange.parse("1-8"), host)
    assemble(plan, host)
    run = past_run(report_path(plan.delivery_path))
    assert run is not None
    assert (run.is_complete, str(run.frames), run.key) == (True, "1-16", plan.key)


def stop(progress: Progress) -> None:
    if progress.done == 6:
        raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["shot.mov", "shot.%04d.png"])
@pytest.mark.parametrize("other", [(), ("stages.idt.strength=0.5",)], ids=["same settings", "other settings"])
def test_who_tries_again_goes_on_after_what_was_overwritten(
    order: Callable[..., Order], plain: Callable[[str], list[bytes]], host: Host, name: str, other: tuple[str, ...]
) -> None:
    """What was there before the job is made again, whatever it is; what the first try made is not."""
    whole = FrameRange.parse("1-16")
    run_chunk(order(name, *other).loaded(host), whole, host)
    plan = order(name).loaded(host)
    before = stamps_of(plan)
    assert set(before) == set(whole)

    def again(**options: Any) -> Report:
        return run_chunk(plan, whole, host, overwrite=True, before=before, **options)

    with pytest.raises(Cancelled):
        again(progress=stop)
    there = stamps_of(plan)
    own = {number for number in there if there[number] != before.get(number)}
    assert 0 < len(own) < COUNT
    assert [record.frame for record in again().frames] == [number for number in whole if number not in own]
    after = stamps_of(plan)
    assert {number: after[number] for number in own} == {number: there[number] for number in own}
    assert again().frames == [], "all of it is the job's own"
    assert [record.frame for record in run_chunk(plan, whole, host, overwrite=True).frames] == list(whole)
    assert written(assemble(plan, host).outputs) == plain(name)


def test_a_task_that_ray_tries_again_goes_on_likewise(order: Callable[..., Order], host: Host) -> None:
    """Ray calls it with the same words each time."""
    job = order("shot.%04d.png", frames="1-8")
    plan = job.loaded(host)
    run_chunk(plan, FrameRange.parse("1-3"), host)
    mine = stamps_of(plan)
    for before, kept in (({}, {1, 2, 3}), (None, set(range(1, 9))), (mine, set(range(4, 9)))):
        there = stamps_of(plan)
        assert work(job, "1-8", before, 1) == {"error": None}
        after = stamps_of(plan)
        assert set(after) == set(range(1, 9))
        assert {number for number in there if after[number] == there[number]} == kept


def test_a_chunk_beyond_the_job_is_refused(order: Callable[..., Order], host: Host) -> None:
    plan = order("shot.mov", frames="3-10x2").loaded(host)
    with pytest.raises(UsageError, match=r"the chunk 9-12 is not within the frames of the job, 3-9x2"):
        run_chunk(plan, FrameRange.parse("9-12"), host)
    report = run_chunk(plan, FrameRange.parse("4-7"), host)
    assert [record.frame for record in report.frames] == [5, 7]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shot.mov", "shot.%04d.png"])
def test_a_range_that_was_edited_makes_only_what_is_new(
    order: Callable[..., Order], plain: Callable[[str], list[bytes]], host: Host, name: str
) -> None:
    run_chunk(order(name, frames="1-6").loaded(host), FrameRange.parse("1-6"), host)
    plan = order(name).loaded(host)
    made = run_chunk(plan, FrameRange.parse("1-16"), host)
    assert [record.frame for record in made.frames] == list(range(7, COUNT + 1))
    assert written(assemble(plan, host).outputs) == plain(name)


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
