"""`vfxswap export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vfxswap.cli.output import say


class Form(StrEnum):
    """What to write."""

    ONNX = "onnx"
    DFM = "dfm"


def export(  # noqa: PLR0913, PLR0917 - one for each word of the command line
    trained: Annotated[Path, typer.Argument(metavar="TRAINED", help="The trained file.", show_default=False)],
    to: Annotated[Form, typer.Option(help="Plain ONNX, or what DeepFaceLive and others load.", show_default=False)],
    identity: Annotated[str, typer.Option(metavar="NAME", help="Whose face is put in.", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.", show_default=False)],
    morph_from: Annotated[
        str | None, typer.Option(metavar="NAME", help="Make it morph: 0 is this person, 1 the identity.")
    ] = None,
    plate: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who is in the plate, for the mask of the face that is there."),
    ] = None,
    opset: Annotated[
        int, typer.Option(metavar="N", help="Version of ONNX's operators; old programs want low ones.")
    ] = 17,
    fp16: Annotated[bool, typer.Option("--fp16", help="Weights of 16 bits.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
) -> None:
    """Write a trained face for other programs.

    It is computed and held against the model before it is kept. Beside it a file says face type, licence and consent.
    """
    from vfxswap.training.export import Asked  # noqa: PLC0415 - help needs no torch
    from vfxswap.training.export import export as exported  # noqa: PLC0415

    asked = Asked(
        trained,
        to.value,
        identity,
        out,
        morph_from=morph_from,
        plate=plate,
        opset=opset,
        half=fp16,
        overwrite=overwrite,
    )
    done = exported(asked, tell=say)
    size_mb = done.path.stat().st_size / 1e6
    say(f"{done.path}: {size_mb:.1f} MB, differs from the model by {done.difference:.1g} of 1 at most")
    say(f"{done.sidecar}: licence and consent; goes with it")
