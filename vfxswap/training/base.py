"""The base: a comb that was taught by many performers of the lab, so that a production starts from a prior.

All share one trunk, each has a style. Half of every step are pairs: the plate of one performer, and the same picture
with another's face, which the other's style must make of it. That is what footage never shows, and what makes a code
say what a face does and not whose it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from vfxswap.files import whole
from vfxswap.lab.chance import Range
from vfxswap.trained import load_trained, save_trained
from vfxswap.training.labcasts import random_casts
from vfxswap.training.labset import render_labset

SIZE_PX = 128
_PLAIN, _PAIRED = (80, 40, 0), (47, 80, 11)
"""Performers, pictures of each and seed, of the two sets; the performers of the second are among those of the first."""
_CLEAR = Range(obstacles=0.08)
SETTINGS: Mapping[str, object] = {
    "production": "lab",
    "purpose": "test",
    "out": "run",
    "init": "none",
    "shared": True,
    "size": SIZE_PX,
    "start_size": 64,
    "batch": 16,
    "iterations": 200_000,
    "minutes": 40,
    "learning_rate": 0.0012,
    "warmup": 50,
    "decay_from": 0.55,
    "ema": 0.995,
    "held_out": 0.04,
}
"""`[train]` of the base that comes along."""


def draw_base_sets(folder: Path, *, workers: int, tell: Callable[[int, int], None]) -> Path:
    """Draws the performers that teach the base, and writes its training file; run again, it is gone on with.

    Args:
        folder: Made if it is not there.
        workers: Processes that draw.
        tell: Is told how many pictures are drawn, of how many.

    Returns:
        The training file.

    Raises:
        MediaError: A file cannot be written.
    """
    performers, pictures, seed = _PLAIN
    plain = random_casts(performers, pictures, seed=seed)
    performers, pictures, seed = _PAIRED
    paired = random_casts(performers, pictures, seed=seed, limits=_CLEAR, truths=True)
    first = sum(cast.count for cast in plain)
    total = first + sum(cast.count for cast in paired)
    render_labset(folder / "plain", plain, size_px=SIZE_PX, workers=workers, tell=lambda done, _: tell(done, total))
    render_labset(
        folder / "paired", paired, size_px=SIZE_PX, workers=workers, tell=lambda done, _: tell(first + done, total)
    )
    file = folder / "base.toml"
    with whole(file) as temporary:
        temporary.write_text(_training_file([cast.name for cast in plain], [cast.name for cast in paired]))
    return file


def _training_file(plain: list[str], paired: list[str]) -> str:
    """Everybody's faces; of those in the second set the next performer's face is on each picture's truth."""
    lines = ["[train]", *(f"{key} = {json.dumps(value)}" for key, value in SETTINGS.items())]
    worn = dict(zip(plain[1:], paired, strict=False))
    for name in plain:
        sets = [f"plain/{name}/faces", *([f"paired/{name}/faces"] if name in paired else [])]
        lines += ["", f"[identities.{name}]", f'path = "plain/{name}"', f"faces = {json.dumps(sets)}"]
        if name in worn:
            other = worn[name]
            lines.append(f'pairs = [{{faces = "paired/{other}/faces", truth = "paired/{other}/truth"}}]')
    return "\n".join([*lines, ""])


def keep_base(trained: Path, path: Path) -> Path:
    """Writes a trained base with weights of 16 bits, as it comes along.

    Raises:
        UsageError: It is no trained file.
        MediaError: It cannot be written.
    """
    model, card = load_trained(trained)
    save_trained(path, model, card, half=True)
    return path
