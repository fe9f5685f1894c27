"""`vfxswap analyze`, and what the `vfxswap tracks` commands have in common."""
# ruff: noqa: PLC0415 - what a command does is imported when it is asked for, so that help is quick

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfxswap.cli.output import say
from vfxswap.cli.progress import ProgressStyle, renderer
from vfxswap.errors import Cancelled, UsageError

if TYPE_CHECKING:
    from vfxswap.analysis import Edits, Found, Settled, Stand
    from vfxswap.cli.app import Common
    from vfxswap.pipeline import Pipeline

PipelineFile = Annotated[Path, typer.Argument(metavar="PIPELINE", help="The pipeline file (TOML).", show_default=False)]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set one value of the file: stages.NAME.KEY=0.5. May be repeated."),
]
Clip = Annotated[str | None, typer.Option("--clip", metavar="NAME", help="Clip of the file's timeline.")]


def analyze(  # noqa: PLR0913, PLR0917 - one for each word of the command line
    context: typer.Context,
    pipeline: PipelineFile,
    plate: Annotated[Path | None, typer.Option(metavar="PLATE", help="Take this plate instead of the file's.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="PATH", help="The delivery instead of the file's.")] = None,
    frames: Annotated[
        str | None, typer.Option(metavar="RANGE", help="Look at these frames alone; a tracker sees all in any case.")
    ] = None,
    sets: Sets = None,
    clip: Clip = None,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Make it anew, whatever is there.")] = False,
    progress: Annotated[ProgressStyle, typer.Option(help="How to tell how far it is.")] = ProgressStyle.AUTO,
) -> None:
    """Find cuts, faces, tracks and landmarks once, and keep them beside the shot.

    Runs of the pipeline take them from there, with the same bits, so that changing the look does not find faces again.
    Run again, it goes on with what is missing.
    """
    from vfxswap.cli.pipelines import terminated_like_interrupted

    try:
        with terminated_like_interrupted(), renderer(progress.value) as tell:
            from vfxswap.clock import FrameRange
            from vfxswap.recall import analyze as analysed

            host = context.obj.host()
            plan = load_pipeline(context.obj, pipeline, sets, clip, plate=plate, out=out, device=device)
            numbers = None if frames is None else FrameRange.parse(frames)
            made = analysed(plan, host, overwrite=overwrite, numbers=numbers, progress=tell)
    except KeyboardInterrupt:
        raise Cancelled("cancelled before the first frame") from None
    news = f"{made.looked_at} of them now" if made.looked_at else "all of them before; nothing to do"
    say(f"{made.path}: {len(made.frames)} frames ({made.frames or 'none'}), {news}")
    for remark in made.remarks:
        say(f"  note: {remark}")


def load_pipeline(  # noqa: PLR0913 - what a command line may say
    common: Common,
    pipeline: Path,
    sets: list[str] | None,
    clip: str | None,
    *,
    plate: Path | None = None,
    out: Path | None = None,
    device: str | None = None,
    has_edits: bool = True,
) -> Pipeline:
    """The pipeline, checked; an edits file that it names may be not there yet, or be left unread (`has_edits`).

    Without a device nothing can be computed.

    Raises:
        PipelineError: Something is wrong.
    """
    from vfxswap.models import ModelStore
    from vfxswap.pipeline import load

    host = common.host()
    return load(
        pipeline,
        host,
        store=ModelStore.from_environment(host.model_cards()),
        overrides=tuple(sets or ()),
        plate=plate,
        out=out,
        clip=clip,
        device=device,
        is_elsewhere=device is None,
        edits="may lack" if has_edits else "unread",
    )


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A shot that was analysed, as the `tracks` commands see it."""

    plan: Pipeline
    found: Found
    """As it was found."""
    edits: Edits
    stand: Stand

    @property
    def path(self) -> Path:
        """Where the edits are."""
        return self.plan.edits_path

    def settled(self, edits: Edits | None = None) -> Settled:
        """The faces as the edits leave them.

        Raises:
            UsageError: The edits speak of what is not there.
        """
        from vfxswap.analysis import settled

        return settled(self.found, self.edits if edits is None else edits, self.stand, str(self.path))


def opened(common: Common, pipeline: Path, sets: list[str] | None, clip: str | None) -> Opened:
    """A shot's analysis and its edits.

    Raises:
        PipelineError: The pipeline file is wrong.
        UsageError: There is no analysis, or it is damaged or of another plate.
    """
    from vfxswap.analysis import Edits, Stand, read_analysis
    from vfxswap.recall import fits_any_device, refuse_another_plate

    plan = load_pipeline(common, pipeline, sets, clip)
    path = plan.analysis_path
    if not path.exists():
        raise UsageError(f"there is no analysis {path} yet; make it with `vfxswap analyze {pipeline}`")
    there = read_analysis(path)
    refuse_another_plate(plan, there.head)
    if not fits_any_device(plan, there.head):
        note(f"{path} was made with other settings than the pipeline has now; `vfxswap analyze {pipeline}` finds anew")
    missing = plan.plate.count - len(plan.plate.holes) - len(there.found)
    if missing:
        note(f"{path} lacks {missing} frames of the plate; `vfxswap analyze {pipeline}` looks at them")
    window = plan.plate.frame_of_reference
    edits = plan.edits or Edits(width=window.width, height=window.height)
    stand = Stand(window, plan.plate.first, plan.plate.last, tuple(plan.identities))
    return Opened(plan, there.found, edits, stand)


def note(text: str) -> None:
    """What is worth knowing and wrong with nothing."""
    sys.stderr.write(f"note: {text}\n")
