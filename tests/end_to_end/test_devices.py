"""Several devices of one machine make what one makes; a worker that dies is replaced, one that always dies is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vfxswap
from vfxswap.cli import main
from vfxswap.errors import ChunkFailed, PluginError, UsageError
from vfxswap.farm import devices
from vfxswap.farm.devices import Devices, run
from vfxswap.farm.order import Order
from vfxswap.farm.worker import Task
from vfxswap.host import Host
from vfxswap.report import Progress, Report

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
use = "flow-deflicker"
radius_frames = 1
[[stages]]
use = "alpha"
[delivery]
path = "out/shot.mkv"
"""


@pytest.fixture(scope="session")
def show(drawn: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pipeline file and all that it names."""
    folder = tmp_path_factory.mktemp("devices")
    for name in ("plate.mkv", "tracks.json"):
        shutil.copy(drawn.shot / name, folder)
    shutil.copytree(drawn.shot / "identity", folder / "identity")
    (folder / "job.toml").write_text(PIPELINE)
    trips = '[[stages]]\nuse = "trips"\nat = 6\n[delivery]'
    (folder / "trips.toml").write_text(PIPELINE.replace("[delivery]", trips))
    return folder


@pytest.fixture(scope="session")
def plain(show: Path) -> Callable[[str], list[bytes]]:
    """What an undivided run writes, made once."""
    made: dict[str, list[bytes]] = {}

    def plain(name: str) -> list[bytes]:
        if name not in made:
            report = vfxswap.run(show / "job.toml", out=show / "plain" / name, device="cpu")
            made[name] = [path.read_bytes() for path in report.outputs]
        return made[name]

    return plain


@pytest.fixture(autouse=True)
def _dying(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers have the plugin that dies when it is told to."""
    monkeypatch.setenv("VFXSWAP_LOAD_PLUGINS", "vfxswap-plugins,dying,faulty")
    monkeypatch.setenv("VFXSWAP_PLUGIN_PATH", f"{HERE / 'dying'}:{HERE / 'faulty'}")


@pytest.fixture
def made(show: Path, tmp_path: Path, host: Host) -> Callable[..., Report]:
    """Runs the pipeline on two workers."""

    def made(name: str, *, pipeline: str = "job.toml", retries: int = 1, **options: Any) -> Report:
        order = Order(show / pipeline, out=tmp_path / name)
        return run(order, host, Devices(("cpu", "cpu"), chunk_frames=4, retries=retries), **options)

    return made


def written(report: Report) -> list[bytes]:
    return [path.read_bytes() for path in report.outputs]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shot.mkv", "shot.%04d.png"])
def test_two_workers_write_the_bytes_of_a_plain_run(
    made: Callable[..., Report], plain: Callable[[str], list[bytes]], name: str
) -> None:
    told: list[Progress] = []
    report = made(name, progress=told.append)
    assert written(report) == plain(name)
    assert [record.frame for record in report.frames] == list(range(1, COUNT + 1))
    assert [progress.done for progress in told] == list(range(1, COUNT + 1))
    assert {progress.total for progress in told} == {COUNT}
    assert sorted(progress.frame for progress in told) == list(range(1, COUNT + 1))
    assert made(name).already_done


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced(
    made: Callable[..., Report],
    plain: Callable[[str], list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("DYING_FRAME", "6")
    monkeypatch.setenv("DYING_MARK", str(tmp_path / "mark"))
    told: list[Progress] = []
    report = made("shot.%04d.png", progress=told.append)
    assert (tmp_path / "mark").exists(), "a worker died"
    assert written(report) == plain("shot.%04d.png")
    assert told[-1].done == COUNT


@pytest.mark.slow
def test_a_worker_that_dies_while_it_overwrites_is_gone_on_after(
    made: Callable[..., Report],
    plain: Callable[[str], list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Who takes its place makes none of its frames again, and all that was there before."""

    def times() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("shot.*.png")}

    def noting(foreman: Any, *words: Any) -> None:
        left.update(times())
        again(foreman, *words)

    made("shot.%04d.png")
    before, left = times(), dict[str, int]()
    again = devices._Foreman._again  # nobody else knows when a worker is dead
    monkeypatch.setattr(devices._Foreman, "_again", noting)
    monkeypatch.setenv("DYING_FRAME", "6")
    monkeypatch.setenv("DYING_MARK", str(tmp_path / "mark"))
    report = made("shot.%04d.png", overwrite=True)
    own = {name for name in before if left[name] != before[name]}
    assert "shot.0001.png" in own, "it died after it had made some of its chunk"
    assert {name: times()[name] for name in own} == {name: left[name] for name in own}
    assert all(times()[name] != time for name, time in before.items())
    assert written(report) == plain("shot.%04d.png")


@pytest.mark.slow
def test_a_worker_that_always_dies_ends_with_the_chunk_and_the_cause(
    made: Callable[..., Report], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DYING_FRAME", "6")
    with pytest.raises(ChunkFailed) as caught:
        made("shot.mkv")
    assert str(caught.value).startswith("chunk 1-7 failed: its worker on cpu was killed by SIGKILL")
    assert "also when tried again once; run this chunk by itself" in str(caught.value)
    assert "--chunk 1-7 --device cpu" in str(caught.value)
    assert not (tmp_path / "shot.mkv").exists()


@pytest.mark.slow
def test_a_stage_that_fails_is_named_and_not_tried_again(made: Callable[..., Report]) -> None:
    said = r"^chunk 1-7 failed: stage 'trips' \(from .*\) failed at frame 6: ZeroDivisionError: the cable was pulled$"
    with pytest.raises(ChunkFailed, match=said):
        made("shot.mkv", pipeline="trips.toml")


@pytest.mark.slow
def test_it_ends_when_it_is_told_to_and_goes_on_later(
    made: Callable[..., Report], plain: Callable[[str], list[bytes]], tmp_path: Path
) -> None:
    def stop(progress: Progress) -> None:
        if progress.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made("shot.%04d.png", progress=stop)
    assert [path.name for path in tmp_path.iterdir() if ".tmp" in path.name] == []
    left = {path: path.stat().st_mtime_ns for path in tmp_path.glob("shot.*.png")}
    assert left
    assert written(made("shot.%04d.png")) == plain("shot.%04d.png")
    assert {path: path.stat().st_mtime_ns for path in left} == left


def test_devices_are_of_one_kind_and_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"there is no device 'cpi'; allowed: auto, cpu, cuda"):
        Devices.parse("cpu,cpi")
    with pytest.raises(UsageError, match=r"there is no device ''"):
        Devices.parse("cpu,")
    with pytest.raises(PluginError, match=r"there is no device 'cuda:99'"):
        Devices.parse("cuda:99,cuda:98")
    monkeypatch.setattr("vfxswap.farm.devices.choose_device", lambda name: name)
    with pytest.raises(UsageError, match=r"cpu and cuda do not give the same bits; name devices of one kind"):
        Devices.parse("cpu,cuda:0")
    assert Devices.parse("cuda:0, cuda:1").names == ("cuda:0", "cuda:1")
    with pytest.raises(UsageError, match="retries must be 0 or more, got -1"):
        Devices.parse("cpu", retries=-1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--devices", "cpu,cpu", "--chunk", "1-4"], "an engine divides the job itself: leave --chunk out"),
        (["--devices", "cpu,cpu", "--device", "cpu"], "--devices says all that is computed on"),
        (["--devices", "cpu,cpu", "--chunk-frames", "0"], "chunk_frames must be at least 1, got 0"),
        (["--devices", "cpu,cpu", "--verify"], "--verify makes nothing"),
    ],
)
def test_words_that_contradict_are_refused(
    show: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["run", str(show / "job.toml"), "--progress", "none", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_task_comes_through_as_it_was_told(tmp_path: Path) -> None:
    order = Order(tmp_path / "a.toml", out=Path("b.%d.exr"), frames="1-4", overrides=("a=1",), device="cuda:1")
    other = Order(tmp_path / "a", plugin_path=(tmp_path, tmp_path / "b"))
    stamps = {-5: (7, 10**18 + 1), 1001: (0, 0)}
    for task in (Task(order, True, 3), Task(other, False, None), Task(order, True, 1, stamps)):
        assert Task.read(task.line) == task
