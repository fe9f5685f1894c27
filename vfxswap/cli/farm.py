"""`vfxswap farm` and `vfxswap assemble`, and what `vfxswap run` does of a chunk, on several devices or on Ray."""
# ruff: noqa: PLC0415 - what a command needs is imported by the command, so that help is quick

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfxswap.cli.output import columns, say
from vfxswap.cli.progress import ProgressStyle, renderer
from vfxswap.errors import Cancelled, ExitCode, UsageError

if TYPE_CHECKING:
    from vfxswap.cli.app import Common
    from vfxswap.cli.pipelines import Asked
    from vfxswap.farm.order import Order
    from vfxswap.farm.plan import FarmPlan


class Engine(StrEnum):
    """What runs the chunks."""

    HERE = "here"
    RAY = "ray"


class Farm(StrEnum):
    """Whose words a job is written in."""

    PLAN = "plan"
    OPENJD = "openjd"
    OPENCUE = "opencue"
    DEADLINE = "deadline"


PipelineFile = Annotated[Path, typer.Argument(metavar="PIPELINE", help="The pipeline file (TOML).", show_default=False)]
Plate = Annotated[Path | None, typer.Option(metavar="PLATE", help="Take this plate instead of the file's.")]
Out = Annotated[Path | None, typer.Option(metavar="PATH", help="Write this delivery instead of the file's.")]
Frames = Annotated[str | None, typer.Option(metavar="RANGE", help="Frames of the whole job: 1001-1100, 1001-1100x2.")]
OpenJdFrames = Annotated[
    str | None, typer.Option(metavar="RANGE", help="Instead of --frames, in OpenJD's words: 1001-1100:2.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set one value of the file: stages.NAME.KEY=0.5. May be repeated."),
]


def farm(  # noqa: PLR0913, PLR0917 - one for each word of the command line
    context: typer.Context,
    words: Annotated[
        Farm, typer.Argument(metavar="plan|openjd|opencue|deadline", help="In whose words.", show_default=False)
    ],
    pipeline: PipelineFile,
    plate: Plate = None,
    out: Out = None,
    frames: Frames = None,
    sets: Sets = None,
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="What workers compute on: auto, cpu, cuda.")
    ] = None,
    chunk_frames: Annotated[
        int | None, typer.Option(metavar="N", help="Frames of a chunk; else by the pipeline's windows.")
    ] = None,
    gpus: Annotated[int, typer.Option(metavar="N", help="GPUs that a chunk needs (openjd, opencue).")] = 0,
    gpu_memory: Annotated[int | None, typer.Option(metavar="MIB", help="And their memory.")] = None,
    vcpus: Annotated[int | None, typer.Option(metavar="N", help="Cores that a chunk needs.")] = None,
    memory: Annotated[int | None, typer.Option(metavar="MIB", help="Memory that a chunk needs.")] = None,
    command: Annotated[
        str,
        typer.Option(metavar="TEXT", help="What workers call, as 'rez-env vfxswap -- vfxswap' (openjd: one program)."),
    ] = "vfxswap",
    show: Annotated[str, typer.Option(metavar="NAME", help="opencue: its name of the show.")] = "testing",
    shot: Annotated[str, typer.Option(metavar="NAME", help="opencue: and of the shot; else the pipeline's.")] = "",
    info: Annotated[
        list[str] | None,
        typer.Option("--info", metavar="KEY=VALUE", help="deadline: a line of the job info. May be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="plan: as JSON, for programs.")] = False,
) -> None:
    """Print a job for a render farm; nothing is sent.

    The pipeline file is checked first. plan says how the job is divided and what that costs; openjd is a template of
    Open Job Description, opencue a script for PyOutline, deadline a shell script that calls deadlinecommand.
    """
    from vfxswap.farm import deadline, opencue, openjd
    from vfxswap.farm.order import Order
    from vfxswap.farm.plan import Needs, planned

    needs = Needs(chunk_frames, gpus, gpu_memory, vcpus, memory)
    order = Order(pipeline, plate, out, frames, tuple(sets or ()), device, context.obj.plugin_path)
    host = context.obj.host()
    plan = planned(order.loaded(host, is_elsewhere=True), order, host, needs)
    for remark in plan.remarks:
        sys.stderr.write(f"note: {remark}\n")
    if words is Farm.PLAN:
        say(_described(plan, as_json=as_json))
    elif words is Farm.OPENJD:
        say(openjd.text(plan, command=command).rstrip("\n"))
    elif words is Farm.OPENCUE:
        say(opencue.text(plan, command=command, show=show, shot=shot).rstrip("\n"))
    else:
        say(deadline.text(plan, command=command, info=tuple(info or ())).rstrip("\n"))


_FIRST = "finds the faces of the whole plate, which each chunk would do else"


def _described(plan: FarmPlan, *, as_json: bool) -> str:
    """How a job is divided, and what that costs."""
    chunks = [str(chunk) for chunk in plan.chunks]
    if as_json:
        facts: dict[str, object] = {
            "frames": str(plan.frames),
            "chunks": chunks,
            "handles": [plan.reach.behind, plan.reach.ahead],
        }
        facts |= {
            "analyzes": plan.analyzes,
            "computed_frames": plan.computed_frames,
            "delivery": str(plan.delivery),
            "movie": plan.is_movie,
        }
        return json.dumps(facts, indent=2)
    last = "makes the movie" if plan.is_movie else "looks whether all frames are there, and joins the reports"
    rows = [
        ("frames", f"{plan.frames} ({len(plan.frames)})"),
        ("chunks", f"{len(chunks)} of about {plan.chunk_frames} frames: {', '.join(chunks)}"),
        ("handles", f"{plan.reach.behind} frames before and {plan.reach.ahead} after each chunk"),
        *(
            [("first step", "finds the faces of the whole plate, which each chunk would do else")]
            if plan.analyzes
            else []
        ),
        ("computed", f"{plan.computed_frames} frames, {plan.overhead:.2f} for each one delivered"),
        ("last step", f"{last}: {plan.delivery}"),
    ]
    return "\n".join([f"{plan.order.pipeline}:", *columns(rows, "  ")])


def frames_of(frames: str | None, openjd_frames: str | None) -> str | None:
    """The job's frames, in whosever words they were said.

    Raises:
        UsageError: They were said twice.
    """
    if openjd_frames is None:
        return frames
    if frames is not None:
        raise UsageError("--frames and --openjd-frames say the same thing; give one of them")
    from vfxswap.farm.order import own_range

    return own_range(openjd_frames)


@dataclass(frozen=True, slots=True)
class Spread:
    """What `run` was told of chunks and machines."""

    chunk: str | None
    engine: Engine
    address: str | None
    chunk_frames: int | None
    retries: int
    devices: str | None = None

    @property
    def is_asked(self) -> bool:
        """Whether it is more than a run of everything here."""
        return self.chunk is not None or self.engine is not Engine.HERE or self.devices is not None

    def check(self, device: str) -> None:
        """Whether it makes sense.

        Raises:
            UsageError: Words contradict one another.
        """
        if self.chunk is not None and (self.engine is not Engine.HERE or self.devices is not None):
            raise UsageError("--chunk is what one device makes; an engine divides the job itself: leave --chunk out")
        if self.devices is not None and (self.engine is not Engine.HERE or device != "auto"):
            raise UsageError("--devices says all that is computed on; leave --engine and --device out")


def run_spread(asked: Asked, spread: Spread, common: Common, *, overwrite: bool, style: str) -> ExitCode:
    """Runs one chunk here, or all of them on several devices or on Ray, and says what came of it.

    Raises:
        VfxswapError: It could not start, or stopped early.
    """
    from vfxswap.cli.pipelines import tell_report, terminated_like_interrupted

    spread.check(asked.device)
    order, host = _order(asked, common), common.host()
    try:
        with terminated_like_interrupted(), renderer(style) as progress:
            if spread.chunk is not None:
                from vfxswap.clock import FrameRange
                from vfxswap.farm.chunk import run_chunk

                frames = FrameRange.parse(spread.chunk)
                report = run_chunk(order.loaded(host), frames, host, overwrite=overwrite, progress=progress)
            elif spread.devices is not None:
                from vfxswap.farm import devices

                each = devices.Devices.parse(spread.devices, chunk_frames=spread.chunk_frames, retries=spread.retries)
                report = devices.run(order, host, each, overwrite=overwrite, progress=progress)
            else:
                from vfxswap.farm.ray_engine import Cluster, run

                cluster = Cluster(spread.address, spread.chunk_frames, spread.retries)
                with redirect_stdout(sys.stderr):  # what Ray says of its machines is no result
                    report = run(order, host, cluster, overwrite=overwrite, progress=progress)
    except KeyboardInterrupt:
        raise Cancelled("cancelled; run again to go on after the frames that are whole") from None
    return tell_report(report, style)


def _order(asked: Asked, common: Common) -> Order:
    from vfxswap.farm.order import Order

    return Order(asked.pipeline, asked.plate, asked.out, asked.frames, asked.sets, asked.device, common.plugin_path)


def assemble(  # noqa: PLR0913, PLR0917 - one for each word of the command line
    context: typer.Context,
    pipeline: PipelineFile,
    plate: Plate = None,
    out: Out = None,
    frames: Frames = None,
    openjd_frames: OpenJdFrames = None,
    sets: Sets = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a movie that is there.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the chunks' frames there.")] = False,
    progress: Annotated[ProgressStyle, typer.Option(help="How to tell how far it is.")] = ProgressStyle.AUTO,
) -> None:
    """Make the delivery of what the chunks of a farm left.

    All frames must be there and made from the same things. A movie gets the bits that an undivided run gives it; of an
    image sequence, the chunks' reports become one.
    """
    from vfxswap.cli.pipelines import Asked, tell_report, terminated_like_interrupted

    asked = Asked(pipeline, plate, out, frames_of(frames, openjd_frames), tuple(sets or ()), "auto")
    order = _order(asked, context.obj)
    host = context.obj.host()
    try:
        with terminated_like_interrupted(), renderer(progress.value) as tell:
            from vfxswap.farm.assemble import assemble as assembled

            plan = order.loaded(host, is_elsewhere=True)
            report = assembled(plan, host, overwrite=overwrite, keep=keep, progress=tell)
    except KeyboardInterrupt:
        raise Cancelled("cancelled before the first frame") from None
    raise typer.Exit(tell_report(report, progress.value))
