"""`vfxswap models` and `vfxswap identity`: what is at hand, and whether it may be used."""
# ruff: noqa: PLC0415 - what a command does is imported when it is asked for, so that help is quick

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

models_app = typer.Typer(
    help="List, download and verify models.\n\nThe folders are those of VFXSWAP_MODEL_PATH, then the user's cache.",
    no_args_is_help=True,
)
identity_app = typer.Typer(help="Consent records of who is put in.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


@models_app.command("list")
def models_list(context: typer.Context, as_json: Json = False) -> None:
    """List the models that the plugins know: where each is, its licence, whether paid work may use it."""
    from vfxswap.cli.weights import list_models

    list_models(context.obj.host(), as_json=as_json)


@models_app.command("pull")
def models_pull(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Models to get.", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Get every model that is missing.")] = False,
) -> None:
    """Download models and check them against their pinned sha256."""
    from vfxswap.cli.weights import pull_models

    pull_models(context.obj.host(), names or (), everything=everything)


@models_app.command("verify")
def models_verify(context: typer.Context) -> None:
    """Read every model that is there and compare it with its pinned sha256."""
    from vfxswap.cli.weights import verify_models

    raise typer.Exit(verify_models(context.obj.host()))


@models_app.command("card")
def models_card(
    trained: Annotated[Path, typer.Argument(metavar="TRAINED", help="A trained file.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Print the card of a trained file: whose face, from what data, how good, on which terms."""
    from vfxswap.cli.trained import print_card

    print_card(trained, as_json=as_json)


@identity_app.command("new")
def identity_new(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The identity's folder; made if it is not there.")],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What to call it; else the folder's name.")] = None,
) -> None:
    """Write an identity.toml to be filled in; it is refused until it is."""
    from vfxswap.cli.identities import new_identity

    new_identity(folder, name)


@identity_app.command("check")
def identity_check(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The identity's folder.")],
    production: Annotated[str | None, typer.Option(metavar="NAME", help="Would it do for this production?")] = None,
    purpose: Annotated[str | None, typer.Option(metavar="WORD", help="And for this purpose?")] = None,
) -> None:
    """Say whether an identity can be used today, and why not."""
    from vfxswap.cli.identities import check_identity

    raise typer.Exit(check_identity(folder, production, purpose))
