"""Other people's models in whole pipelines: checked before the first frame, named in the report, the same in chunks."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

import vfxswap
from vfxswap.errors import ExitCode, PipelineError
from vfxswap.files import file_sha256
from vfxswap.frame import FaceBatch
from vfxswap.host import Host
from vfxswap.testing import synthetic_frame, synthetic_info, synthetic_plate
from vfxswap.trackfile import write_tracks
from vfxswap_plugins.mattes.by_network import NetworkMatte

HOST = Host(environ={})
SIZE, COUNT = 128, 8
CONSENT = """\
name = "hero"
[consent]
performer = "a drawn face"
grantor = "nobody; it is drawn by a formula"
productions = ["lab"]
purposes = ["test"]
from = 2000-01-01
until = 2999-12-31
scope = "tests"
"""
PIPELINE = """\
[shot]
plate = "plate.mkv"
production = "lab"
[identities.hero]
path = "hero"
[[stages]]
use = "tracks"
path = "tracks.json"
[[stages]]
use = "points5"
[[stages]]
use = "dfm"
identity = "hero"
mask = "none"
[[stages]]
use = "xseg"
weights = "xseg.onnx"
[[stages]]
use = "parser"
weights = "parser.onnx"
combine = "min"
[[stages]]
use = "alpha"
[delivery]
path = "out/whole.mkv"
"""


@dataclass(frozen=True)
class Job:
    """A folder with a pipeline file and what it names."""

    folder: Path

    def run(self, **options: Any) -> Any:
        """Runs it."""
        return vfxswap.run(self.folder / "job.toml", device="cpu", host=HOST, workers=2, **options)

    def head(self) -> dict[str, Any]:
        """The first line of the report."""
        lines = (self.folder / "out/whole.mkv.report.jsonl").read_text().splitlines()
        found: dict[str, Any] = json.loads(lines[0])
        return found


@pytest.fixture
def job(networks: Any, tmp_path: Path) -> Job:
    """A drawn shot; a DFM that brightens and two networks that say yes everywhere."""
    like = synthetic_info(tmp_path / "source.mkv")
    numbers = range(like.first, like.first + COUNT)
    writer = HOST.writer_for(tmp_path / "plate.mkv")
    made = writer(
        tmp_path / "plate.mkv",
        writer.Options.model_validate({}),
        like=like,
        tags=like.tags,
        first=numbers[0],
        last=numbers[-1],
    )
    for number in numbers:
        made.write(synthetic_frame(number))
    made.finish()
    frame = synthetic_frame(numbers[0]).plate
    plates = [synthetic_plate(number, width=frame.width, height=frame.height) for number in numbers]
    tracks = {n: [replace(plate.detection, landmarks=plate.landmarks)] for n, plate in enumerate(plates, 1)}
    write_tracks(tmp_path / "tracks.json", tracks, width=frame.width, height=frame.height)
    hero = tmp_path / "hero"
    hero.mkdir()
    (hero / "identity.toml").write_text(CONSENT)
    networks.dfm("hero/hero.dfm", size=64)
    networks.xseg((0.0, 0.0, 0.0), size=64)
    networks.parser({0: (0, 0, 0, 0), 1: (0, 0, 0, 1)}, size=64)
    _constant_one(networks)
    (tmp_path / "job.toml").write_text(PIPELINE)
    return Job(tmp_path)


def _constant_one(networks: Any) -> None:
    """An XSeg network that says face everywhere."""
    from onnx import helper  # noqa: PLC0415 - beside its only use

    nodes = [
        helper.make_node("ReduceMax", ["in_face:0"], ["top"], axes=[3], keepdims=1),
        helper.make_node("Mul", ["top", "nothing"], ["zero"]),
        helper.make_node("Add", ["zero", "one"], ["out_mask:0"]),
    ]
    weights = {"nothing": np.zeros((), np.float32), "one": np.ones((), np.float32)}
    ports = [("in_face:0", ("N", 64, 64, 3))], [("out_mask:0", ("N", 64, 64, 1))]
    networks.save("xseg.onnx", nodes, *ports, weights)


def decoded(path: Path) -> list[NDArray[Any]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_pipeline_of_networks_changes_the_face_alone_and_says_by_what(job: Job) -> None:
    job.run()
    before, after = decoded(job.folder / "plate.mkv"), decoded(job.folder / "out/whole.mkv")
    assert len(before) == len(after) == COUNT
    corner = (slice(0, 4), slice(0, 4))
    for plate, result in zip(before, after, strict=True):
        changed = (plate != result).any(axis=2)
        assert changed.mean() > 0.1
        np.testing.assert_array_equal(result[corner], plate[corner])
    files = job.head()["model_files"]
    assert [file["path"] for file in files] == ["hero.dfm", "xseg.onnx", "parser.onnx"]
    assert files[0]["sha256"] == file_sha256(job.folder / "hero/hero.dfm")
    assert {file["commercial"] for file in files} == {None}


def test_mattes_are_shown_the_plate_itself(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    matte = NetworkMatte.matte

    def watched(stage: NetworkMatte[Any], faces: FaceBatch) -> Tensor:
        assert faces.cut is not None
        seen.append(faces.cut(range(len(faces)), faces.plate_to_crop, int(faces.crops.shape[-1])) - faces.crops)
        return matte(stage, faces)

    monkeypatch.setattr(NetworkMatte, "matte", watched)
    job.run()
    assert len(seen) == 2 * 3  # two stages, frames 1-3, 4-7 and 8
    assert max(float(difference.abs().mean()) for difference in seen) < 0.005  # it may look at it coarsely


def test_chunks_have_the_bits_of_the_whole(job: Job) -> None:
    job.run()
    job.run(frames="3-7", out=job.folder / "out/part.mkv")
    whole, part = decoded(job.folder / "out/whole.mkv"), decoded(job.folder / "out/part.mkv")
    np.testing.assert_array_equal(np.stack(part), np.stack(whole[2:7]))


def test_other_weights_under_the_same_name_are_another_run(job: Job, networks: Any) -> None:
    job.run()
    key = job.head()["key"]
    assert job.run().already_done
    networks.dfm("hero/hero.dfm", size=48)
    job.run(overwrite=True)
    assert job.head()["key"] != key


def test_everything_that_is_wrong_with_the_files_is_told_at_once(job: Job, networks: Any) -> None:
    (job.folder / "hero/hero.dfm").write_bytes(b"\x80\x04 a pickle")
    networks.parser({1: (0, 0, 0, 1)}, "xseg.onnx")
    (job.folder / "parser.onnx.toml").write_text(f'sha256 = "{"0" * 64}"\n')
    with pytest.raises(PipelineError) as caught:
        job.run()
    said = [str(problem) for problem in caught.value.problems]
    assert [problem.exit_code for problem in caught.value.problems] == [
        ExitCode.USAGE,
        ExitCode.USAGE,
        ExitCode.MISSING,
    ]
    assert "stages[2] (dfm)" in said[0]
    assert "it looks like a Python pickle, which is never loaded" in said[0]
    assert "stages[3] (xseg)" in said[1]
    assert "ONNX of another kind" in said[1]
    assert "stages[4] (parser)" in said[2]
    assert "is not the file that the sidecar" in said[2]
    assert not (job.folder / "out").exists()
