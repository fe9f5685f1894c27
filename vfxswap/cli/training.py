"""`vfxswap train`."""
# ruff: noqa: PLC0415 - what a command needs is imported by the command, so that help is quick

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vfxswap.cli.output import columns, say
from vfxswap.errors import UsageError


class Progress(StrEnum):
    """How `train` tells how far it is."""

    AUTO = "auto"
    JSON = "json"
    NONE = "none"


def train(  # noqa: PLR0913, PLR0917 - one for each word of the command line
    file: Annotated[Path, typer.Argument(metavar="TRAINING", help="The training file (TOML).", show_default=False)],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint that is there.")] = False,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    max_minutes: Annotated[
        float | None,
        typer.Option(metavar="M", help="Budget of time for all of it; the schedules follow. Else the file's."),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set one value: train.batch=8. May be repeated."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="Threads of arithmetic on a CPU; else as many as cores.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Say all that is wrong with the file, and stop.")] = False,
    progress: Annotated[Progress, typer.Option(help="How to tell how far it is.")] = Progress.AUTO,
) -> None:
    """Train a network that puts faces in, or an occlusion net.

    The folder [train] out gets checkpoints, previews, the curve, and in the end the trained file with its model card.
    Ctrl-C and SIGTERM save and end with 75; the same with --resume goes on. Several GPUs: torchrun --nproc-per-node=N
    -m vfxswap.cli train ...
    """
    from vfxswap.pipeline import choose_device
    from vfxswap.training.occlusion_settings import is_occlusion

    if is_occlusion(file):
        given = {"--set": sets, "--resume": resume, "--max-minutes": max_minutes, "--threads": threads}
        if unheard := [word for word, value in given.items() if value]:
            raise UsageError(
                f"{', '.join(unheard)} say nothing to the training of an occlusion net: it goes on by itself from the"
                f" checkpoint that is there, and all else is said in {file.name}"
            )
        _occlusion(file, choose_device(device), check=check)
        return
    from vfxswap.training.settings import load

    settings = load(file, overrides=tuple(sets or ()), minutes=max_minutes)
    place = choose_device(device)
    if check:
        say(f"{file} can be trained: {', '.join(settings.people)} at {settings.train.size} px on {place}")
        return
    from vfxswap.cli.learning import listener
    from vfxswap.training.card import missing_in
    from vfxswap.training.loop import train as run
    from vfxswap.workers import cores

    _threads(threads or cores())
    with listener(progress.value, sys.stdout) as tell:
        outcome = run(settings, device=place, resume=resume, tell=tell)
    if os.environ.get("RANK", "0") != "0":
        return  # torchrun started several, of which the first says it
    if progress is Progress.JSON:
        copies = [str(path) for path in outcome.delivered]
        row = {"type": "finished", "path": str(outcome.path), "scores": outcome.card.scores, "delivered": copies}
        say(json.dumps(row, default=dict, ensure_ascii=False))
        return
    say(f"{outcome.path}")
    rows = [("identity", "PSNR in the matte", "PSNR", "SSIM", "faces held out")]
    for name, score in outcome.card.scores.items():
        values = f"{score['psnr_matte_db']:.1f} dB", f"{score['psnr_db']:.1f} dB", f"{score['ssim']:.3f}"
        rows.append((name, *values, f"{score['faces']:.0f}"))
    for line in columns(rows):
        say(line)
    for name, copy in zip(settings.train.deliver_to, outcome.delivered, strict=True):
        say(f"copied to {copy}")
        for advice in missing_in(settings.identities[name], copy):
            say(advice)


def base(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to work in; run again, it is gone on with.")],
    device: Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    max_minutes: Annotated[float | None, typer.Option(metavar="M", help="Time to train; else 40.")] = None,
    workers: Annotated[int, typer.Option(metavar="N", help="Processes that draw; 0 is one for each core.")] = 0,
) -> None:
    """Make the base that trainings start from: draw its performers, train, write base.safetensors.

    It is made anew in the same way, but for the clock, on which the length of its training depends.
    """
    from vfxswap.cli.learning import listener
    from vfxswap.pipeline import choose_device
    from vfxswap.training.base import draw_base_sets, keep_base
    from vfxswap.training.checkpoint import NAME
    from vfxswap.training.loop import train as run
    from vfxswap.training.settings import load
    from vfxswap.workers import cores

    told = 0
    with typer.progressbar(length=0, label="faces") as bar:

        def tell(done: int, total: int) -> None:
            nonlocal told
            bar.length = total
            bar.update(done - told)
            told = done

        file = draw_base_sets(out, workers=workers or cores(), tell=tell)
    _threads(cores())
    settings = load(file, minutes=max_minutes)
    with listener("auto", sys.stdout) as listens:
        resume = (settings.train.out / NAME).is_file()
        outcome = run(settings, device=choose_device(device), resume=resume, tell=listens)
    say(f"{keep_base(outcome.path, out / 'base.safetensors')}")


def _threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)


def _occlusion(file: Path, device: str, *, check: bool) -> None:
    import torch

    from vfxswap.training.occlusion_run import train_occlusion
    from vfxswap.training.occlusion_settings import load

    settings = load(file)
    if check:
        say(f"{file} can be trained: an occlusion net at {settings.train.size} px on {device}")
        return
    path = train_occlusion(
        settings,
        device=torch.device(device),
        warn=say,
        tell=lambda told: say(f"step {told.step} of {told.steps}, loss {told.loss:.4f}, {told.seconds:.0f} s"),
    )
    say(f"{path}")
