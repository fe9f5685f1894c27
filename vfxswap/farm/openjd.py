"""A job of Open Job Description (template schema 2023-09), as AWS Deadline Cloud and `openjd run` take it."""

from __future__ import annotations

import shlex
from typing import Any

from vfxswap.errors import PluginError, UsageError
from vfxswap.farm.order import openjd_range
from vfxswap.farm.plan import FarmPlan, before_words, set_words

_LEAVE_SECONDS = 120
"""From SIGTERM to SIGKILL: time for the batch at work to end and for its whole frames to get their names."""
_COMMAND = "{{Param.Vfxswap}}"
_FRAMES = ["--openjd-frames", "{{Param.Frames}}", "--progress", "openjd"]


def template(plan: FarmPlan, *, command: str = "vfxswap") -> dict[str, Any]:
    """The job's template.

    Pipeline file, plate and delivery are PATH parameters, which the farm maps to the worker's own places; what else
    the pipeline file names is found relative to it, wherever it lies.

    Args:
        plan: The job.
        command: What workers call.

    Raises:
        UsageError: A `--set` holds what would be taken for a token.
    """
    if wrong := [text for text in plan.order.overrides if "{{" in text]:
        raise UsageError(f"--set {wrong[0]}: OpenJD takes {{{{ for a token of its own; write it into the pipeline file")
    return {
        "specificationVersion": "jobtemplate-2023-09",
        "extensions": ["TASK_CHUNKING"],
        "name": plan.name[:128],
        "parameterDefinitions": _parameters(plan, command),
        "steps": [*([_analyze(plan)] if plan.analyzes else []), _render(plan), _assemble(plan)],
    }


def _parameters(plan: FarmPlan, command: str) -> list[dict[str, Any]]:
    def path(name: str, flow: str, what: str, kind: str = "DIRECTORY") -> dict[str, Any]:
        # Without a default: one may only be relative to the template, and must not lead out of its folder.
        return {"name": name, "type": "PATH", "objectType": kind, "dataFlow": flow, "description": what}

    def text(name: str, value: str, what: str) -> dict[str, Any]:
        return {"name": name, "type": "STRING", "default": value, "description": what}

    order = plan.order
    parameters = [
        path("Pipeline", "IN", "The pipeline file; what it names is relative to it.", "FILE"),
        path("PlateFolder", "IN", "Folder of the plate."),
        text("PlateName", plan.plate.name, "The plate's file, or pattern."),
        path("DeliveryFolder", "OUT", "Folder of the delivery."),
        text("DeliveryName", plan.delivery.name, "The delivery's file, or pattern."),
        text("Frames", openjd_range(str(plan.frames)), "Frames of the whole job, as 1001-1100 or 1001-1100:2."),
        {
            "name": "ChunkFrames",
            "type": "INT",
            "default": plan.chunk_frames,
            "minValue": 1,
            "description": "Frames of a chunk; the bits do not depend on it.",
        },
        text("Vfxswap", command, "The program."),
    ]
    return [*parameters, text("Device", order.device or "auto", "auto, cpu, cuda, cuda:1, mps.")]


def paths(plan: FarmPlan) -> dict[str, str]:
    """The values of the parameters that a submission must give."""
    folders = {"PlateFolder": plan.plate.parent, "DeliveryFolder": plan.delivery.parent}
    return {name: str(path) for name, path in ({"Pipeline": plan.order.pipeline} | folders).items()}


def _words(plan: FarmPlan, name: str) -> list[str]:
    return [
        *before_words(plan.order),
        name,
        "{{Param.Pipeline}}",
        "--plate",
        "{{Param.PlateFolder}}/{{Param.PlateName}}",
        "--out",
        "{{Param.DeliveryFolder}}/{{Param.DeliveryName}}",
        *set_words(plan.order),
        *_analysis(plan),
    ]


def _analysis(plan: FarmPlan) -> list[str]:
    """Among what the job writes, as chunks on other machines read it: a farm may carry no other folder."""
    if not plan.analyzes:
        return []
    return ["--set", f"shot.analysis={{{{Param.DeliveryFolder}}}}/{plan.name}.analysis.npz"]


def _action(args: list[str]) -> dict[str, Any]:
    cancelation = {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": _LEAVE_SECONDS}
    return {"actions": {"onRun": {"command": _COMMAND, "args": args, "cancelation": cancelation}}}


def _render(plan: FarmPlan) -> dict[str, Any]:
    chunks = {"defaultTaskCount": "{{Param.ChunkFrames}}", "rangeConstraint": "CONTIGUOUS"}
    frame = {"name": "Frame", "type": "CHUNK[INT]", "range": "{{Param.Frames}}", "chunks": chunks}
    step: dict[str, Any] = {"name": "Render"}
    if amounts := _amounts(plan):
        step["hostRequirements"] = {"amounts": amounts}
    args = [*_words(plan, "run"), *_FRAMES, "--chunk", "{{Task.Param.Frame}}", "--device", "{{Param.Device}}"]
    step |= {"dependencies": [{"dependsOn": "Analyze"}]} if plan.analyzes else {}
    return step | {"parameterSpace": {"taskParameterDefinitions": [frame]}, "script": _action(args)}


def _analyze(plan: FarmPlan) -> dict[str, Any]:
    step: dict[str, Any] = {"name": "Analyze"}
    if amounts := _amounts(plan):
        step["hostRequirements"] = {"amounts": amounts}
    args = [*_words(plan, "analyze"), "--device", "{{Param.Device}}", "--progress", "openjd"]
    return step | {"script": _action(args)}


def _amounts(plan: FarmPlan) -> list[dict[str, Any]]:
    needs = plan.needs
    wanted = {
        "amount.worker.gpu": needs.gpus or None,
        "amount.worker.gpu.memory": needs.gpu_memory_mib,
        "amount.worker.vcpu": needs.vcpus,
        "amount.worker.memory": needs.memory_mib,
    }
    return [{"name": name, "min": amount} for name, amount in wanted.items() if amount is not None]


def _assemble(plan: FarmPlan) -> dict[str, Any]:
    script = _action([*_words(plan, "assemble"), *_FRAMES])
    return {"name": "Assemble", "dependencies": [{"dependsOn": "Render"}], "script": script}


def text(plan: FarmPlan, *, command: str = "vfxswap") -> str:
    """The template as YAML, held against the specification's own models; begins with the line that runs it here.

    Raises:
        PluginError: The libraries of the extra `farm` are not installed.
        UsageError: See `template`.
    """
    try:
        import yaml  # noqa: PLC0415
        from openjd.model import decode_job_template  # noqa: PLC0415
    except ImportError as error:
        raise PluginError(
            f"{error.name} is not installed, which OpenJD jobs need; install the extra: pip install 'vfxswap[farm]'"
        ) from error
    made = template(plan, command=command)
    decode_job_template(template=made, supported_extensions=["TASK_CHUNKING"])
    written: str = yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=120)
    values = " ".join(shlex.quote(word) for name, path in paths(plan).items() for word in ("-p", f"{name}={path}"))
    return f"# Here: openjd run job.yaml --step Assemble --run-dependencies {values}\n{written}"
