"""Every pipeline file that comes with the project gives the same bits: whole, in chunks, at once, killed, gone on with.

On a shot of the lab with a cut in it; movies are assembled from whole frames, and the bytes of the files are compared.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import vfxswap
from vfxswap.cli import main
from vfxswap.clock import FrameRange
from vfxswap.farm.assemble import assemble
from vfxswap.farm.chunk import needs_assembly, run_chunk
from vfxswap.farm.order import Order
from vfxswap.farm.store import store_path
from vfxswap.files import FramePattern
from vfxswap.geometry import Affine
from vfxswap.host import Host
from vfxswap.identity import load_identity
from vfxswap.journal import journals_of
from vfxswap.lab.camera import Camera
from vfxswap.lab.deliver import LAYOUTS, detections, stored
from vfxswap.lab.exr import Sequence as ExrSequence
from vfxswap.lab.play import LabFrame, render_shot
from vfxswap.lab.shot import PRESETS, Cut, Lens
from vfxswap.lab.stills import write_identity
from vfxswap.testing import synthetic_comb, write_synthetic_trained
from vfxswap.trackfile import write_tracks

HERE = Path(__file__).parent
FILES = sorted(path.name for path in (HERE.parent.parent / "pipelines").glob("*.toml"))
SIZE = (160, 90)
COUNT = 18
CUT = 10
"""First frame of the second camera, counted from 1."""
SMALL = "stages.points5.crop_size=64"


@dataclass(frozen=True, slots=True)
class Case:
    """What a pipeline file needs of the tests."""

    out: str
    """The delivery."""
    overrides: tuple[str, ...] = (SMALL,)
    """Smaller crops, and nothing else: the files' own of 512 pixels would only take time."""
    needs_models: bool = False
    first: int = 1
    """Number of the first frame."""


CASES = {
    "demo.toml": Case("out.mkv"),
    "double.toml": Case("out.mkv", ("stages.facemesh.crop_size=64",), needs_models=True),
    "exr_acescg.toml": Case("out.####.exr", first=1001),
    "exr_linear.toml": Case("out.####.exr", first=1001),
    "locked_grade.toml": Case("out.%04d.png"),
    "occlusion.toml": Case("out.mkv"),
    "passthrough.toml": Case("out.mov", ()),
    "prores_review.toml": Case("out.mov", first=1001),
    "roto.toml": Case("out.mkv"),
    "trained.toml": Case("out.mkv"),
    "two_people.toml": Case("out.mkv"),
}
"""Each pipeline file; who adds one adds it here."""
NAMES = [pytest.param(name, marks=[pytest.mark.footage] * CASES[name].needs_models) for name in CASES]


@pytest.fixture(autouse=True)
def _one_environment(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server that forks processes keeps the environment of the test that started it; here all have the same."""
    shared = Path(os.environ.get("VFXSWAP_SHARED", repo.parent / "shared"))
    monkeypatch.setenv("VFXSWAP_MODEL_PATH", str(shared / "models"))


def test_every_pipeline_file_is_among_the_cases() -> None:
    assert sorted(CASES) == FILES


@pytest.fixture(scope="session")
def show(tmp_path_factory: pytest.TempPathFactory, repo: Path, encode: Callable[..., Path]) -> Path:
    """The pipeline files, and the shots that they name: one that is rendered once, in all forms that they read."""
    root = tmp_path_factory.mktemp("show")
    _build(root, repo, encode)
    return root


def _build(root: Path, repo: Path, encode: Callable[..., Path]) -> None:
    shutil.copytree(repo / "pipelines", root / "pipelines")
    spec = PRESETS["demo"].model_copy(
        update={
            "frames": (1001, 1000 + COUNT),
            "cuts": (Cut(frame=1000 + CUT, camera=Camera(focal_mm=75.0, boom_cm=-4.0)),),
            "lens": Lens(samples=2, grain=0.008, shake=0.002),
        }
    )
    frames = list(render_shot(spec, width=SIZE[0], height=SIZE[1]))
    identity = root / "demo-out" / "identity"
    faces = [role.face for role in spec.roles if role.face is not None]
    stills = write_identity(faces[0], identity, size=160)
    for still in stills[3:]:  # each takes its time, whoever looks
        still.unlink()
    hero = load_identity("hero", identity)[0]
    assert hero is not None
    consents = dict.fromkeys(("hero", "double"), hero.consent)
    write_synthetic_trained(identity / "hero.safetensors", synthetic_comb(64), consents=consents)
    _write_movie(root / "demo-out", frames, encode)
    _write_movie(root / "demo-out" / "two", frames, encode, people=2)
    for name in ("identity", "identity2"):
        shutil.copytree(identity, root / "demo-out" / "two" / name)
    for name in ("demo-linear", "demo-acescg"):
        _write_sequence(root / name, frames, identity)


def _write_movie(folder: Path, frames: Sequence[LabFrame], encode: Callable[..., Path], people: int = 1) -> None:
    """Plate, tracks and mattes; of two people, the one beside the same again, who is one frame ahead."""
    (folder / "mattes").mkdir(parents=True)
    layout = LAYOUTS["yuv420p"]
    beside = [[frames[place], *[frames[min(place + 1, COUNT - 1)]] * (people - 1)] for place in range(COUNT)]
    encode(folder / "plate.mkv", [stored(torch.cat([f.plate for f in row], 2), layout).planes for row in beside])
    tracks = {}
    for number, row in enumerate(beside, 1):
        found = []
        for place, frame in enumerate(row):
            shift: Affine = torch.tensor([[1.0, 0, place * SIZE[0]], [0, 1, 0]], dtype=torch.float64).numpy()
            for face in detections(frame):
                assert face.landmarks is not None
                assert face.five is not None
                x0, y0, x1, y1 = face.box
                moved = face.landmarks.mapped(shift)
                box = (x0 + place * SIZE[0], y0, x1 + place * SIZE[0], y1)
                found.append(type(face)(box, face.score, moved.five(), place + 1, moved))
        tracks[number] = found
        _write_matte(folder / "mattes" / f"matte.{number:04d}.png", row)
    write_tracks(folder / "tracks.json", tracks, width=SIZE[0] * people, height=SIZE[1])


def _write_matte(path: Path, row: Sequence[LabFrame]) -> None:
    from vfxswap.lab.stills import write_png  # noqa: PLC0415

    write_png(path, torch.cat([frame.matte for frame in row], 2), bits=16)


def _write_sequence(folder: Path, frames: Iterable[LabFrame], identity: Path) -> None:
    """Scene-linear; the same numbers stand for another space in another pipeline, which is no matter here."""
    rate = PRESETS["demo"].rate
    plates = ExrSequence(folder / "plate", "plate", rate)
    for frame in frames:
        plates.write(frame.number, frame.plate)
    tracks = {frame.number: detections(frame) for frame in frames}
    write_tracks(folder / "tracks.json", tracks, width=SIZE[0], height=SIZE[1])
    shutil.copytree(identity, folder / "identity")


@pytest.fixture
def job(show: Path, request: pytest.FixtureRequest, name: str) -> Callable[..., Order]:
    """A pipeline file as a job, delivered to a folder."""
    case = CASES[name]
    if case.needs_models:
        request.getfixturevalue("shared_models")

    def job(folder: Path, frames: str | None = None) -> Order:
        pipeline = show / "pipelines" / name
        return Order(pipeline, out=folder / case.out, frames=frames, overrides=case.overrides, device="cpu")

    return job


@pytest.fixture(scope="session")
def wholes() -> dict[str, list[bytes]]:
    """What undivided runs wrote, by pipeline."""
    return {}


@pytest.fixture
def whole(show: Path, job: Callable[..., Order], wholes: dict[str, list[bytes]], host: Host, name: str) -> list[bytes]:
    """What an undivided run writes: the files' bytes; made once."""
    if name not in wholes:
        order = job(show / "whole" / name)
        report = vfxswap.run(order.pipeline, out=order.out, overrides=order.overrides, device="cpu", host=host)
        assert len(report.frames) == COUNT
        if CASES[name].overrides:
            assert report.summary()["swapped"] == COUNT
        wholes[name] = written(report.outputs)
    return wholes[name]


def written(paths: Iterable[Path]) -> list[bytes]:
    return [path.read_bytes() for path in paths]


def made_in_chunks(order: Order, host: Host, chunks: Iterable[FrameRange]) -> list[bytes]:
    """What chunks, made one after the other, and the last step give."""
    plan = order.loaded(host)
    for chunk in chunks:
        run_chunk(plan, chunk, host)
    return written(assemble(plan, host).outputs)


def chunks_of(name: str, size: int) -> list[FrameRange]:
    numbers = range(CASES[name].first, CASES[name].first + COUNT)
    return [FrameRange.of(numbers[place : place + size]) for place in range(0, COUNT, size)]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_chunks_of_7_and_16(
    job: Callable[..., Order], whole: list[bytes], host: Host, tmp_path: Path, name: str
) -> None:
    for size in (7, 16):
        assert made_in_chunks(job(tmp_path / str(size)), host, chunks_of(name, size)) == whole, f"chunks of {size}"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_chunks_of_1_and_100(
    job: Callable[..., Order], whole: list[bytes], host: Host, tmp_path: Path, name: str
) -> None:
    for size in (1, 100):
        assert made_in_chunks(job(tmp_path / str(size)), host, chunks_of(name, size)) == whole, f"chunks of {size}"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_range_that_was_edited(
    job: Callable[..., Order], whole: list[bytes], host: Host, tmp_path: Path, name: str
) -> None:
    """First some frames of the middle, then all: those are left, though their neighbours were only handles then."""
    first = CASES[name].first
    some = f"{first + 4}-{first + CUT + 2}"
    plan = job(tmp_path, some).loaded(host)
    assert len(run_chunk(plan, plan.frames, host).frames) == CUT - 1
    plan = job(tmp_path).loaded(host)
    assert len(run_chunk(plan, plan.frames, host).frames) == COUNT - CUT + 1
    assert written(assemble(plan, host).outputs) == whole


def in_process(order: Order, chunk: FrameRange | None = None) -> Any:
    """The command line in a process of its own, forked from one that has the libraries: only the start is cheaper."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["vfxswap.farm.assemble", "vfxswap.cli.app", "kornia", "cv2", "av", "OpenImageIO"])
    sets = [word for text in order.overrides for word in ("--set", text)]
    words = ["run", str(order.pipeline), "--out", str(order.out), *sets, "--device", "cpu", "--progress", "none"]
    process = context.Process(target=main, args=([*words, *(["--chunk", str(chunk)] if chunk else [])],))
    process.start()
    return process


def ended(process: Any) -> int:
    """Waits."""
    process.join(120)
    code = process.exitcode
    process.close()
    assert code is not None
    return int(code)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_two_processes_at_once(
    job: Callable[..., Order], whole: list[bytes], host: Host, tmp_path: Path, name: str
) -> None:
    """Some frames are made by both of them, at the same time."""
    numbers = range(CASES[name].first, CASES[name].first + COUNT)
    order = job(tmp_path)
    processes = [in_process(order, FrameRange.of(part)) for part in (numbers[:11], numbers[7:])]
    assert [ended(process) for process in processes] == [0, 0]
    plan = order.loaded(host)
    assert written(assemble(plan, host).outputs) == whole
    assert [path for path in tmp_path.rglob(".*") if path.is_file()] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_killed_at_any_moment_and_run_again(
    job: Callable[..., Order], whole: list[bytes], host: Host, tmp_path: Path, name: str
) -> None:
    """Several times in a row, each time after some more frames; nothing that was whole is made again or lost."""
    draw = random.Random(name)
    order = job(tmp_path)
    plan = order.loaded(host)
    pattern = plan.delivery_path if not needs_assembly(plan) else store_path(plan.delivery_path)
    there = FramePattern(pattern).existing
    chunk = FrameRange.of(plan.frames) if needs_assembly(plan) else None
    for most in sorted(draw.randint(1, COUNT - 2) for _ in range(3)):
        before = {number: path.stat().st_mtime_ns for number, path in there().items()}
        process = in_process(order, chunk)
        while len(there()) < most and process.exitcode is None:
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.03))
        process.kill()
        ended(process)
        assert {number: there()[number].stat().st_mtime_ns for number in before} == before
    for journal in journals_of(pattern):
        os.utime(journal, (1, 1))  # else those who were killed might be at work on another machine
    assert ended(in_process(order, chunk)) == 0
    report = assemble(plan, host)
    assert written(report.outputs) == whole
    assert [record.frame for record in report.frames] == list(plan.frames), "no record was lost with a killed run"
    assert [path for path in tmp_path.rglob("*.jsonl") if path.name.startswith(".")] == []
