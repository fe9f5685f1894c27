"""The commands and their options; what they do is imported when asked for, so that help is quick."""
# ruff: noqa: PLC0415 - a command's own module is imported by the command

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfxswap import __version__
from vfxswap.cli.analysis import analyze
from vfxswap.cli.clips import AllClips, ClipNames, Clips
from vfxswap.cli.cutting import cuts
from vfxswap.cli.exporting import export
from vfxswap.cli.facesets import app as faceset_app
from vfxswap.cli.facesets import extract
from vfxswap.cli.farm import Engine, OpenJdFrames, assemble, farm, frames_of
from vfxswap.cli.holdings import identity_app, models_app
from vfxswap.cli.labfaces import faces as lab_faces
from vfxswap.cli.nuking import nuke
from vfxswap.cli.output import complain, say
from vfxswap.cli.progress import ProgressStyle
from vfxswap.cli.tracks import app as tracks_app
from vfxswap.cli.training import base as lab_base
from vfxswap.cli.training import train
from vfxswap.errors import PipelineError, UsageError, VfxswapError
from vfxswap.lab.cli import app as lab_app

if TYPE_CHECKING:
    from vfxswap.host import Host

app = typer.Typer(
    name="vfxswap",
    help="Consented, frame-accurate face replacement for film.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 ok, 1 frames failed, 2 usage or pipeline file, 3 plugin, model or feature missing,"
    " 4 refused (consent, licence), 75 try again.",
)
app.add_typer(models_app, name="models", rich_help_panel=None)
app.add_typer(identity_app, name="identity", rich_help_panel=None)
app.add_typer(faceset_app, name="faceset", rich_help_panel=None)
app.add_typer(lab_app, name="lab", rich_help_panel=None)
lab_app.command("faces")(lab_faces)
lab_app.command("base")(lab_base)
app.add_typer(tracks_app, name="tracks", rich_help_panel=None)
app.command()(analyze)
app.command()(cuts)
app.command()(export)
app.command()(nuke)
app.command()(train)
app.command()(farm)
app.command()(assemble)


@dataclass(frozen=True, slots=True)
class Common:
    """The options that stand before the command."""

    plugin_path: tuple[Path, ...] = ()
    debug: bool = False

    def host(self) -> Host:
        """The plugins of this machine and of `--plugin-path`."""
        from vfxswap.host import Host

        return Host(plugin_path=self.plugin_path)


Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
PipelineFile = Annotated[Path, typer.Argument(metavar="PIPELINE", help="The pipeline file (TOML).", show_default=False)]
Plate = Annotated[Path | None, typer.Option(metavar="PLATE", help="Take this plate instead of the file's.")]
Out = Annotated[Path | None, typer.Option(metavar="PATH", help="Write this delivery instead of the file's.")]
Frames = Annotated[str | None, typer.Option(metavar="RANGE", help="Write these frames: 1001-1100, 1001-1100x2, 5,9.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set one value of the file: stages.NAME.KEY=0.5. May be repeated."),
]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:1, mps.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"vfxswap {__version__}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    plugin_path: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="A folder of plugins, besides VFXSWAP_PLUGIN_PATH. May be repeated."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from, and more log.")] = False,
    version: Annotated[  # noqa: ARG001 - its callback has done it
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that stand before the command."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )
    context.obj = Common(tuple(plugin_path or ()), debug)


@app.command()
def run(  # noqa: PLR0913, PLR0917 - one for each word of the command line
    context: typer.Context,
    pipeline: PipelineFile,
    plate: Plate = None,
    out: Out = None,
    frames: Frames = None,
    sets: Sets = None,
    clip: ClipNames = None,
    all_clips: AllClips = False,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a delivery that is there.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Make nothing: read what is there, and say what is not as it was written.")
    ] = False,
    progress: Annotated[ProgressStyle, typer.Option(help="How to tell how far it is.")] = ProgressStyle.AUTO,
    devices: Annotated[
        str | None,
        typer.Option(metavar="DEVICE,...", help="Several of this machine, each with a process: cuda:0,cuda:1."),
    ] = None,
    chunk: Annotated[
        str | None,
        typer.Option(metavar="RANGE", help="Of the job's frames make these alone; of a movie, for `vfxswap assemble`."),
    ] = None,
    openjd_frames: OpenJdFrames = None,
    engine: Annotated[Engine, typer.Option(help="Run all here, or in chunks on a Ray cluster.")] = Engine.HERE,
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="ray: the cluster; else one of this machine alone.")
    ] = None,
    chunk_frames: Annotated[int | None, typer.Option(metavar="N", help="devices, ray: frames of a chunk.")] = None,
    retries: Annotated[int, typer.Option(metavar="N", help="devices, ray: how often a chunk is tried again.")] = 3,
) -> None:
    """Run a pipeline file.

    A delivery that is there already, complete and made from the very same things, is not made again; of a sequence,
    what is missing is made, and the frames that see something of the plate which has changed since.
    """
    from vfxswap.cli.farm import Spread, run_spread
    from vfxswap.cli.pipelines import Asked, run_pipeline, verify_pipeline

    spread, clips = Spread(chunk, engine, address, chunk_frames, retries, devices), Clips(tuple(clip or ()), all_clips)
    asked = Asked(pipeline, plate, out, frames_of(frames, openjd_frames), (*(sets or ()), *clips.overrides), device)
    if verify:
        if overwrite or spread.is_asked or clips.is_several:
            raise UsageError("--verify makes nothing and looks at one delivery; leave the other options out")
        raise typer.Exit(verify_pipeline(asked, context.obj.host(), style=progress.value))
    if clips.is_several:
        from vfxswap.cli.cuts import run_clips

        clips.check_alone(is_spread=spread.is_asked)
        raise typer.Exit(run_clips(asked, clips, context.obj.host(), overwrite=overwrite, style=progress.value))
    if spread.is_asked:
        raise typer.Exit(run_spread(asked, spread, context.obj, overwrite=overwrite, style=progress.value))
    raise typer.Exit(run_pipeline(asked, context.obj.host(), overwrite=overwrite, style=progress.value))


@app.command()
def check(  # noqa: PLR0913, PLR0917 - one for each word of the command line
    context: typer.Context,
    pipeline: PipelineFile,
    plate: Plate = None,
    out: Out = None,
    frames: Frames = None,
    sets: Sets = None,
    clip: ClipNames = None,
    all_clips: AllClips = False,
    device: Device = "auto",
) -> None:
    """Say all that is wrong with a pipeline file.

    Names, types, bounds, order, plate, models, consent and disk, at once, without decoding a frame.
    """
    from vfxswap.cli.pipelines import Asked, check_pipeline

    clips = Clips(tuple(clip or ()), all_clips)
    asked = Asked(pipeline, plate, out, frames, (*(sets or ()), *clips.overrides), device)
    if clips.is_several:
        from vfxswap.cli.cuts import check_clips

        raise typer.Exit(check_clips(asked, clips, context.obj.host()))
    raise typer.Exit(check_pipeline(asked, context.obj.host()))


@app.command()
def probe(
    context: typer.Context,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PLATE", help="A movie, a picture, or a sequence as plate.####.exr.", show_default=False
        ),
    ],
    as_json: Json = False,
) -> None:
    """Say what a plate is.

    Size and windows, frames and holes, rate, timecode, samples, channels, colour, audio; by its header.
    """
    from vfxswap.cli.probe import probe as probed

    probed(path, context.obj.host(), as_json=as_json)


@app.command()
def plugins(context: typer.Context, as_json: Json = False) -> None:
    """List stages, readers and writers.

    With distribution, version and licence of each; broken plugins with the reason.
    """
    from vfxswap.cli.listing import list_plugins

    list_plugins(context.obj.host(), as_json=as_json)


@app.command()
def schema(context: typer.Context) -> None:
    """Print the JSON Schema of a pipeline file.

    For editors, with the options of every stage of this machine.
    """
    import json

    from vfxswap.pipeline import schema as made

    say(json.dumps(made(context.obj.host()), indent=2, ensure_ascii=False))


@app.command()
def docs(context: typer.Context) -> None:
    """Print the reference of pipeline files.

    In Markdown, with the options of every stage of this machine.
    """
    from vfxswap.pipeline import reference

    say(reference(context.obj.host()).rstrip("\n"))


@app.command()
def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Say what this machine has.

    Python, devices, plugins, formats, models; ends with 3 if something is broken.
    """
    from vfxswap.cli.doctor import examine

    raise typer.Exit(examine(context.obj.host(), as_json=as_json))


@app.command()
def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write to.")] = Path("demo-out"),
    frames: Annotated[
        str | None, typer.Option(metavar="RANGE", help="Frames of the demo's shot; all if not said.")
    ] = None,
) -> None:
    """Replace the face of a synthetic performer and set the result beside the truth; downloads nothing."""
    from vfxswap.cli.demonstrate import demonstrate

    demonstrate(out, frames, context.obj.host())


app.command()(extract)


@app.command()
def score(  # noqa: PLR0913, PLR0917 - one for each word of the command line
    context: typer.Context,
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="The movie or sequence.", show_default=False)],
    truth: Annotated[
        Path | None,
        typer.Option(metavar="DIR|MOVIE", help="What a perfect swap would be: a folder of `lab shot`, or a movie."),
    ] = None,
    plate: Annotated[Path | None, typer.Option(metavar="PLATE", help="The original; by default the folder's.")] = None,
    matte: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR|MOVIE", help="What is replaced; by default the folder's, else what differs from the plate."
        ),
    ] = None,
    tracks: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Landmarks of the result, to hold against the true ones.")
    ] = None,
    faces_by: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Stages that find landmarks in result and truth, as yunet,facemesh."),
    ] = None,
    frames: Annotated[
        str | None, typer.Option(metavar="RANGE", help="Frames of the truth that the result shows, if not all.")
    ] = None,
    color_space: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of movies without colour tags, as bt709.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a result against the truth, its plate, or both.

    Likeness inside the matte and around it, seams, sharpness, grain, flicker, lag; each frame and the shot.
    """
    from vfxswap.cli.scores import Judged
    from vfxswap.cli.scores import score as scored

    asked = Judged(result, truth, plate, matte, tracks, faces_by, frames, color_space)
    scored(asked, context.obj.host(), as_json=as_json)


@app.command()
def version() -> None:
    """Print the version."""
    say(f"vfxswap {__version__}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; see `vfxswap.cli.main`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(args=words, prog_name="vfxswap")
    except PipelineError as error:
        _trace(words)
        complain(error.problems)
        return int(error.run_exit_code)
    except VfxswapError as error:
        _trace(words)
        complain([error])
        return int(error.exit_code)
    except SystemExit as end:  # how the command line library ends every command
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _trace(words: Sequence[str]) -> None:
    if "--debug" in words:
        traceback.print_exc()
