"""One plan, and what each farm is told of it."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from vfxswap.clock import FrameRange
from vfxswap.errors import UsageError
from vfxswap.farm import deadline, opencue, openjd
from vfxswap.farm.order import Order, openjd_range, own_range
from vfxswap.farm.plan import FarmPlan, Needs, divided, planned
from vfxswap.host import Host
from vfxswap.pipeline import Pipeline

Plans = Callable[..., FarmPlan]


@pytest.fixture
def plans(loaded: Callable[..., Pipeline], project: Path, studio_host: Host) -> Plans:
    """Plans the studio's job."""

    def plans(text: str | None = None, needs: Needs | None = None, **order: Any) -> FarmPlan:
        words = {"path": project / "job.toml", "frames": order.get("frames"), "out": order.get("out")}
        plan = loaded(**({} if text is None else {"text": text}), **words)
        return planned(plan, Order(project / "job.toml", **order), studio_host, needs or Needs())

    return plans


@pytest.mark.parametrize("size", [1, 4, 5, 16, 24, 1000])
@pytest.mark.parametrize("frames", ["1001-1100", "1-17", "5", "-9-30x3", "1,2,3,90-99"])
def test_chunks_are_all_of_the_frames_and_begin_where_batches_do(frames: str, size: int) -> None:
    whole = FrameRange.parse(frames)
    chunks = divided(whole, size)
    assert [number for chunk in chunks for number in chunk] == list(whole)
    for before, after in pairwise(chunks):
        assert len(before) >= size
        assert before[-1] // 4 != after[0] // 4
    assert len(chunks) == 1 or 2 * len(chunks[-1]) >= size


def test_the_plan_counts_what_handles_cost(plans: Plans) -> None:
    plan = plans(needs=Needs(chunk_frames=20))
    assert plan.frames == FrameRange.parse("1-100")
    assert [str(chunk) for chunk in plan.chunks] == ["1-23", "24-43", "44-63", "64-83", "84-100"]
    assert (plan.reach, plan.computed_frames, plan.overhead) == ((0, 0), 100, 1.0)
    assert plan.is_movie
    assert plan.order.pipeline.is_absolute()


def test_absolute_paths_are_remarked_on(plans: Plans, pipeline_text: str, project: Path) -> None:
    assert plans().remarks == ()
    text = pipeline_text.replace('path = "hero"', f'path = "{project / "hero"}"')
    (remark,) = plans(text.replace('plate = "sh010', f'plate = "{project}/sh010')).remarks
    assert "identities.hero.path" in remark
    assert "write it relative to the pipeline file" in remark


@pytest.mark.parametrize(("own", "theirs"), [("1-9", "1-9"), ("1-9x2,20", "1-9:2,20"), ("-5--1", "-5--1")])
def test_ranges_go_to_openjd_and_back(own: str, theirs: str) -> None:
    assert openjd_range(own) == theirs
    assert own_range(theirs) == own


def test_a_step_that_is_none_is_refused() -> None:
    assert own_range("1-9:1") == "1-9"
    for text in ("1-9:0", "1-9:x", "1-9:-2"):
        with pytest.raises(UsageError, match="OpenJD writes 1001-1100:2"):
            own_range(text)


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        ({"chunk_frames": 0}, "chunk_frames must be at least 1, got 0"),
        ({"gpus": -1}, "gpus must be 0 or more"),
        ({"gpu_memory_mib": 8192}, "no GPU; say how many"),
    ],
)
def test_needs_that_make_no_sense_are_refused(needs: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Needs(**needs)


def test_the_openjd_template_is_what_the_specification_allows(plans: Plans, project: Path) -> None:
    needs = Needs(chunk_frames=20, gpus=1, gpu_memory_mib=8192, vcpus=4, memory_mib=16384)
    order = {"frames": "1-99x2", "overrides": ("stages.grade.strength=0.25",), "device": "cuda"}
    plan = plans(needs=needs, **order)
    written = openjd.text(plan, command="run-vfxswap")
    first, _, _ = written.partition("\n")
    assert first.startswith("# Here: openjd run job.yaml --step Assemble --run-dependencies ")
    assert f"-p Pipeline={project}/job.toml -p PlateFolder={project} -p DeliveryFolder={project}/out" in first
    job = yaml.safe_load(written)
    assert job == openjd.template(plan, command="run-vfxswap")
    values = {one["name"]: one.get("default") for one in job["parameterDefinitions"]}
    assert values["Frames"] == "1-99:2"
    assert (values["Vfxswap"], values["Device"], values["ChunkFrames"]) == ("run-vfxswap", "cuda", 20)
    assert (values["PlateName"], values["DeliveryName"]) == ("sh010.plate", "sh010.out")
    paths = [one for one in job["parameterDefinitions"] if one["type"] == "PATH"]
    assert {one["name"] for one in paths} == set(openjd.paths(plan))
    assert all("default" not in one for one in paths)
    render, assemble = job["steps"]
    (frame,) = render["parameterSpace"]["taskParameterDefinitions"]
    assert frame["chunks"] == {"defaultTaskCount": "{{Param.ChunkFrames}}", "rangeConstraint": "CONTIGUOUS"}
    amounts = {one["name"]: one["min"] for one in render["hostRequirements"]["amounts"]}
    assert amounts == {
        "amount.worker.gpu": 1,
        "amount.worker.gpu.memory": 8192,
        "amount.worker.vcpu": 4,
        "amount.worker.memory": 16384,
    }
    action = render["script"]["actions"]["onRun"]
    assert action["cancelation"]["mode"] == "NOTIFY_THEN_TERMINATE"
    assert action["args"][-4:] == ["--chunk", "{{Task.Param.Frame}}", "--device", "{{Param.Device}}"]
    assert "stages.grade.strength=0.25" in action["args"]
    assert assemble["dependencies"] == [{"dependsOn": "Render"}]
    assert "hostRequirements" not in assemble
    assert assemble["script"]["actions"]["onRun"]["args"][0] == "assemble"


def test_what_openjd_would_take_for_a_token_is_refused(plans: Plans) -> None:
    with pytest.raises(UsageError, match="for a token of its own"):
        openjd.text(plans(overrides=("stages.grade.strength={{Param.Device}}",)))


def test_the_opencue_script_makes_a_layer_of_chunks_and_one_that_waits(
    plans: Plans, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Run with stand-ins for PyOutline, which write down what they are told."""
    told: list[tuple[Any, ...]] = []

    class Layer:
        def __init__(self, name: str, **arguments: Any) -> None:
            self.name, self.arguments = name, arguments

        def depend_all(self, other: Layer) -> None:
            told.append(("depends", self.name, other.name))

    class Outline:
        def __init__(self, name: str, **arguments: Any) -> None:
            told.append(("job", name, arguments))

        def add_layer(self, layer: Layer) -> None:
            told.append(("layer", layer.name, layer.arguments))

    modules = {name: ModuleType(name) for name in ("outline", "outline.modules", "outline.modules.shell")}
    cuerun = ModuleType("cuerun")
    cuerun.launch = lambda job, **arguments: told.append(("launch", type(job).__name__, arguments))  # type: ignore[attr-defined]
    vars(modules["outline"]).update(Outline=Outline, cuerun=cuerun)
    vars(modules["outline.modules.shell"])["Shell"] = Layer
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    plan = plans(needs=Needs(chunk_frames=20, gpus=2, gpu_memory_mib=4096), out=tmp_path / "it's" / "o.out")
    exec(compile(opencue.text(plan, command="rez-env vfxswap -- vfxswap", show="demo"), "job.py", "exec"), {})
    assert [what[:2] for what in told] == [
        ("job", "job"),
        ("layer", "render"),
        ("depends", "assemble"),
        ("layer", "assemble"),
        ("launch", "Outline"),
    ]
    render = told[1][2]
    assert (render["range"], render["chunk"], render["gpus"], render["gpu_memory"]) == ("1-100", 20, 2, "4096m")
    words = render["command"]
    assert words[:5] == ["rez-env", "vfxswap", "--", "vfxswap", "run"]
    assert words[words.index("--chunk") + 1] == "#FRAMESPEC#"
    shell = " ".join(words).replace("#FRAMESPEC#", "1-20")  # as Cuebot does
    found = subprocess.run(["sh", "-c", f"printf '%s\\n' {shell}"], capture_output=True, text=True, check=True)
    assert str(tmp_path / "it's" / "o.out") in found.stdout.splitlines()
    assert told[3][2]["command"][4] == "assemble"
    assert told[4][2] == {"use_pycuerun": False}


def test_the_opencue_script_is_python(plans: Plans) -> None:
    ast.parse(opencue.text(plans()))


_DEADLINE = """\
#!/bin/sh
cp "$1" "$FOLDER/$(basename "$1")"
cp "$2" "$FOLDER/$(basename "$2")"
printf 'Result=Success\\r\\nJobID=id-of-%s\\r\\n' "$(basename "$1" .job)"
"""


def test_the_deadline_script_sends_chunks_and_what_depends_on_them(plans: Plans, tmp_path: Path) -> None:
    """Run with a stand-in for deadlinecommand, which keeps the files that it is given."""
    shell = shutil.which("sh")
    if shell is None:
        pytest.skip("there is no shell")
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "deadlinecommand").write_text(_DEADLINE)
    (folder / "deadlinecommand").chmod(0o755)
    plan = plans(needs=Needs(chunk_frames=20), out=tmp_path / "a folder $HOME" / "o.out")
    script = deadline.text(plan, command="vfxswap", info=("Pool=gpu", "Priority=70"))
    environ = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "FOLDER": str(tmp_path)}
    subprocess.run([shell, "-c", script], env=environ, check=True, capture_output=True)

    def lines(name: str) -> dict[str, str]:
        pairs = (line.partition("=") for line in (tmp_path / name).read_text().splitlines())
        return {key: value for key, _, value in pairs}

    render, assemble = lines("render.job"), lines("assemble.job")
    assert (render["Frames"], render["ChunkSize"], render["Pool"], render["Priority"]) == ("1-100", "20", "gpu", "70")
    assert assemble["JobDependencies"] == "id-of-render"
    assert assemble["OutputDirectory0"] == str(tmp_path / "a folder $HOME")
    words = lines("render.plugin")
    assert words["Executable"] == "vfxswap"
    assert "--chunk <STARTFRAME>-<ENDFRAME> --progress deadline" in words["Arguments"]
    assert f"--out <QUOTE>{tmp_path / 'a folder $HOME' / 'o.out'}<QUOTE>" in words["Arguments"]
    assert lines("assemble.plugin")["Arguments"].startswith("assemble ")


def test_what_deadline_cannot_hold_is_refused(plans: Plans) -> None:
    with pytest.raises(UsageError, match="write KEY=VALUE"):
        deadline.text(plans(), info=("gpu",))
    with pytest.raises(UsageError, match="cannot be an argument of a Deadline job"):
        deadline.text(plans(overrides=('shot.purpose="test"',)))


def test_the_plan_is_said_for_people_and_for_programs(plans: Plans) -> None:
    from vfxswap.cli.farm import _described  # noqa: PLC0415

    plan = plans(needs=Needs(chunk_frames=50))
    assert "computed   100 frames, 1.00 for each one delivered" in _described(plan, as_json=False)
    assert json.loads(_described(plan, as_json=True))["chunks"] == ["1-51", "52-100"]


def test_what_all_chunks_would_look_for_is_found_before_them(plans: Plans, tmp_path: Path) -> None:
    """In each farm's own words: OpenJD keeps it among what the job writes, as other machines see no other folder."""
    plan = replace(plans(needs=Needs(chunk_frames=50), device="cuda"), analyzes=True)
    first, render, assemble = openjd.template(plan)["steps"]
    assert (first["name"], render["dependencies"]) == ("Analyze", [{"dependsOn": "Analyze"}])
    words = first["script"]["actions"]["onRun"]["args"]
    assert words[words.index("--set") + 1] == "shot.analysis={{Param.DeliveryFolder}}/job.analysis.npz"
    assert words[-4:] == ["--device", "{{Param.Device}}", "--progress", "openjd"]
    for step in (render, assemble):
        assert "shot.analysis={{Param.DeliveryFolder}}/job.analysis.npz" in step["script"]["actions"]["onRun"]["args"]
    openjd.text(plan)  # held against the specification
    script = opencue.text(plan)
    ast.parse(script)
    assert script.index("job.add_layer(analyze)") < script.index("render.depend_all(analyze)")
    sent = deadline.text(plan)
    assert (
        sent.index("analyze=$(send analyze)") < sent.index("JobDependencies=$analyze") < sent.index("=$(send render)")
    )
    assert f"Arguments=analyze {tmp_path}/project/job.toml --device cuda --progress deadline" in sent
