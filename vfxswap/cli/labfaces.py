"""`vfxswap lab faces`: training data from the lab, as facesets on disk."""
# ruff: noqa: PLC0415 - what a command needs is imported by the command, so that help is quick

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def faces(  # noqa: PLR0913, PLR0917 - one for each word of the command line
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write to; run again, it is gone on with.")],
    performers: Annotated[int, typer.Option(metavar="N", help="How many performers are drawn.")] = 64,
    pictures: Annotated[int, typer.Option(metavar="N", help="Pictures of each; with --pair 600 by default.")] = 0,
    size: Annotated[int, typer.Option(metavar="PX", help="Side of the crops.")] = 128,
    seed: Annotated[int, typer.Option(metavar="N", help="Of poses, light and all else that is drawn.")] = 0,
    first: Annotated[int, typer.Option(metavar="N", help="Seed of the first performer; the others follow.")] = 0,
    obstacles: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="Share of pictures with something in front.")
    ] = 0.2,
    truths: Annotated[
        bool, typer.Option("--truths", help="Draw each picture with another performer's face as well.")
    ] = False,
    pair: Annotated[
        bool, typer.Option("--pair", help="The A/B pair that swaps are measured on, and its unseen shot.")
    ] = False,
    workers: Annotated[int, typer.Option(metavar="N", help="Processes that draw; 0 is one for each core.")] = 0,
) -> None:
    """Draw facesets of random performers, with exact landmarks, mattes, and a consent record each.

    Every performer gets a folder with identity.toml and the faceset `faces`; with --truths also `truth`, the same
    pictures with another's face. The same numbers always give the same pictures, whatever the number of workers.
    """
    from vfxswap.cli.output import say
    from vfxswap.lab.chance import Range
    from vfxswap.training.labcasts import random_casts
    from vfxswap.training.labpair import pair_casts
    from vfxswap.training.labset import render_labset
    from vfxswap.workers import cores

    if pair:
        casts = pair_casts(pictures or 600)
    else:
        limits = Range(obstacles=obstacles)
        casts = random_casts(performers, pictures or 40, seed=seed, first=first, limits=limits, truths=truths)
    told = 0
    with typer.progressbar(length=sum(cast.count for cast in casts), label=f"faces {size}x{size}") as bar:

        def tell(done: int, _total: int) -> None:
            nonlocal told
            bar.update(done - told)
            told = done

        folders = render_labset(out, casts, size_px=size, workers=workers or cores(), tell=tell)
    if pair:
        _deliver_unseen(out / "unseen" / "shot")
    say(f"{sum(cast.count for cast in casts)} pictures of {len(folders)} performers in {out}")


def _deliver_unseen(folder: Path) -> None:
    """The unseen performance as a shot, to run pipelines on and to score them by."""
    from vfxswap.lab.deliver import deliver
    from vfxswap.training.labpair import UNSEEN

    if (folder / "truth.mkv").is_file():
        return
    count = UNSEEN.frames[1] - UNSEEN.frames[0] + 1
    with typer.progressbar(length=count, label=f"{UNSEEN.name} 640x360") as bar:
        deliver(UNSEEN, folder, width=640, height=360, progress=lambda _done, _total: bar.update(1))
