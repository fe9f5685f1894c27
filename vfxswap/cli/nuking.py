"""`vfxswap nuke`."""
# ruff: noqa: PLC0415 - what a command does is imported when it is asked for, so that help is quick

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfxswap.cli.output import say
from vfxswap.errors import UsageError
from vfxswap.files import FramePattern, make_folder, whole

if TYPE_CHECKING:
    from vfxswap.pipeline import Pipeline


def nuke(  # noqa: PLR0913, PLR0917 - one for each word of the command line
    context: typer.Context,
    pipeline: Annotated[Path, typer.Argument(metavar="PIPELINE", help="The pipeline file (TOML).", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The script to write; by default beside the delivery.")
    ] = None,
    plate: Annotated[Path | None, typer.Option(metavar="PLATE", help="Take this plate instead of the file's.")] = None,
    frames: Annotated[str | None, typer.Option(metavar="RANGE", help="Of these frames: 1001-1100.")] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set one value of the file: delivery.layers=['patch']."),
    ] = None,
    absolute: Annotated[
        bool, typer.Option("--absolute", help="Name files from the root, not relative to the script's folder.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a script that is there.")] = False,
) -> None:
    """Write a Nuke script that rebuilds the delivery from plate and layers.

    Nothing is rendered, and the delivery need not be there yet.
    """
    from vfxswap.models import ModelStore
    from vfxswap.nuke import script
    from vfxswap.pipeline import load

    host = context.obj.host()
    store = ModelStore.from_environment(host.model_cards())
    plan = load(pipeline, host, store=store, overrides=tuple(sets or ()), plate=plate, frames=frames, is_elsewhere=True)
    path = _beside(plan) if out is None else out
    text = script(plan, path, absolute=absolute)
    if path.exists() and not overwrite:
        raise UsageError(
            f"{path} is there already, and somebody may have worked on it; name another with --out, or replace it with"
            " --overwrite"
        )
    make_folder(path.parent)
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    named = "from the root" if absolute else "relative to its folder"
    say(f"{path}: plate, result, {', '.join(plan.layers.names)}, and what rebuilds the delivery; files named {named}")


def _beside(plan: Pipeline) -> Path:
    """Under the delivery's name, without a number."""
    pattern = FramePattern(plan.delivery_path)
    base = pattern.parts[0].rstrip("._-") if pattern.is_numbered else plan.delivery_path.stem
    return plan.delivery_path.with_name(f"{base or 'comp'}.nk")
