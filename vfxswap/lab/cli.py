"""`vfxswap lab`: shots of synthetic performers with known truth; what renders is imported when asked for."""
# ruff: noqa: PLC0415 - the renderer brings torch, which help must not wait for

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from vfxswap.clock import FrameRange
from vfxswap.errors import UsageError

if TYPE_CHECKING:
    from vfxswap.lab.deliver import StoredAs
    from vfxswap.lab.shot import ShotSpec

app = typer.Typer(help="Shots of synthetic performers, with the truth about them.", no_args_is_help=True)
_MOVIES = {".mkv", ".mov", ".mp4", ".m4v", ".mxf", ".avi"}


@app.command()
def shot(  # noqa: PLR0913, PLR0917 - one for each word of the command line
    out: Annotated[
        Path, typer.Option(metavar="DIR|MOVIE", help="Folder to write to, or name of the plate movie in it.")
    ],
    preset: Annotated[str | None, typer.Option(metavar="NAME", help="A ready shot, as `lab presets` lists.")] = None,
    spec: Annotated[Path | None, typer.Option(metavar="FILE", help="A shot as JSON, as shot.json has it.")] = None,
    size: Annotated[str, typer.Option(metavar="WxH", help="Picture size.")] = "1280x720",
    frames: Annotated[str | None, typer.Option(metavar="RANGE", help="Frames of the shot; all if not said.")] = None,
    layout: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="A movie in yuv420p, yuv422p10le or yuv444p10le; or a scene-linear sequence: exr (BT.709 primaries),"
            " exr-acescg.",
        ),
    ] = "yuv420p",
    still_px: Annotated[int, typer.Option(min=128, max=2048, help="Side of the identity's stills.")] = 640,
    data: Annotated[bool, typer.Option("--data", help="Write labels, depth, map coordinates and motion too.")] = False,
) -> None:
    """Render a shot: plate, truth, tracks, mattes, and the identity to put in."""
    from vfxswap.lab.deliver import deliver

    chosen = _spec(preset, spec)
    width, height = _size(size)
    numbers = None if frames is None else list(FrameRange.parse(frames))
    stored = _layout(layout)
    is_movie = out.suffix.lower() in _MOVIES
    if is_movie and stored.startswith("exr"):
        raise UsageError(f"--layout {stored} writes folders of pictures; --out must be a folder, not the movie {out}")
    total = chosen.frames[1] - chosen.frames[0] + 1 if numbers is None else len(numbers)
    with typer.progressbar(length=total, label=f"{chosen.name} {width}x{height}") as bar:
        delivered = deliver(
            chosen,
            out.parent if is_movie else out,
            width=width,
            height=height,
            frames=numbers,
            layout=stored,
            plate=out.name if is_movie else "plate.mkv",
            data=data,
            still_px=still_px,
            progress=lambda _done, _total: bar.update(1),
        )
    typer.echo(f"{delivered.frames} frames: {delivered.plate}, {delivered.truth}, {delivered.tracks}")


@app.command()
def identity(
    performer: Annotated[str, typer.Argument(metavar="NAME", help="A performer, as `lab performers` lists.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write to.")],
    size: Annotated[int, typer.Option(min=128, max=2048, help="Side of the stills in pixels.")] = 640,
) -> None:
    """Write the identity folder of a performer: stills, points and consent record."""
    from vfxswap.lab.looks import PERFORMERS
    from vfxswap.lab.stills import write_identity

    if performer not in PERFORMERS:
        raise UsageError(f"there is no performer {performer!r}; there are {', '.join(PERFORMERS)}")
    stills = write_identity(PERFORMERS[performer], out, size=size)
    typer.echo(f"{len(stills)} stills in {out}")


@app.command()
def presets() -> None:
    """List the shots that are ready."""
    from vfxswap.lab.shot import PRESETS

    for name, preset in PRESETS.items():
        who = ", ".join(role.looks.title for role in preset.roles)
        typer.echo(f"{name:10} {preset.frames[0]}-{preset.frames[1]}  {who}")


@app.command()
def performers() -> None:
    """List the performers."""
    from vfxswap.lab.looks import PERFORMERS

    for name, looks in PERFORMERS.items():
        typer.echo(f"{name:4} {looks.title}")


def _spec(preset: str | None, path: Path | None) -> ShotSpec:
    from vfxswap.lab.shot import PRESETS

    if (preset is None) == (path is None):
        raise UsageError("give either --preset NAME or --spec FILE")
    if path is not None:
        return _read(path)
    if preset is None or preset not in PRESETS:
        raise UsageError(f"there is no preset {preset!r}; there are {', '.join(PRESETS)}")
    return PRESETS[preset]


def _read(path: Path) -> ShotSpec:
    from vfxswap.lab.shot import ShotSpec

    try:
        return ShotSpec.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the shot {path}: {error}") from error
    except ValidationError as error:
        raise UsageError(f"{path}: {error}") from error


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdigit() and height.isdigit()):
        raise UsageError(f"cannot read the size {text!r}; write it as 1280x720")
    return int(width), int(height)


def _layout(text: str) -> StoredAs:
    from vfxswap.lab.deliver import FORMATS

    for name in FORMATS:
        if name == text:
            return name
    raise UsageError(f"there is no layout {text!r}; there are {', '.join(FORMATS)}")
