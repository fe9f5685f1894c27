"""What somebody asked a farm for: a pipeline file and what the command line changes of it, before it is checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from vfxswap.errors import UsageError
from vfxswap.host import Host
from vfxswap.models import ModelStore
from vfxswap.pipeline import Pipeline, load


@dataclass(frozen=True, slots=True)
class Order:
    """A pipeline file and the words that change it; all of it may be sent to another machine."""

    pipeline: Path
    plate: Path | None = None
    """Stands in for [shot] plate."""
    out: Path | None = None
    """Stands in for [delivery] path."""
    frames: str | None = None
    """Stands in for [shot] frames: those of the whole job."""
    overrides: tuple[str, ...] = ()
    """`KEY=VALUE` texts, as `--set` has them."""
    device: str | None = None
    plugin_path: tuple[Path, ...] = ()
    """Folders of plugins, besides those of the environment."""

    @property
    def settled(self) -> Order:
        """The same with paths that hold in any folder."""
        return replace(
            self,
            pipeline=self.pipeline.absolute(),
            plate=None if self.plate is None else self.plate.absolute(),
            out=None if self.out is None else self.out.absolute(),
            plugin_path=tuple(folder.absolute() for folder in self.plugin_path),
        )

    def loaded(self, host: Host, device: str | None = None, *, is_elsewhere: bool = False) -> Pipeline:
        """The pipeline, checked.

        Args:
            host: The plugins.
            device: Where to compute, instead of what is asked for.
            is_elsewhere: Whether other machines compute: who only plans or assembles needs no GPU.

        Raises:
            PipelineError: The file, or what it names, is wrong; holds all problems.
        """
        return load(
            self.pipeline,
            host,
            store=ModelStore.from_environment(host.model_cards()),
            overrides=self.overrides,
            plate=self.plate,
            out=self.out,
            frames=self.frames,
            device=device or self.device,
            is_elsewhere=is_elsewhere,
        )


def own_range(text: str) -> str:
    """A frame range of Open Job Description in the words of the house: `1001-1100:2` is `1001-1100x2`.

    A colon elsewhere means other things (a staggered order), so it is read where it is said to be OpenJD's alone.

    Raises:
        UsageError: A step is no whole number over 0.
    """
    parts = []
    for part in text.split(","):
        span, colon, step = part.strip().partition(":")
        if colon and (not step.isdecimal() or int(step) < 1):
            raise UsageError(f"cannot read {part.strip()!r} in the frame range {text!r}; OpenJD writes 1001-1100:2")
        parts.append(f"{span}x{step}" if colon and int(step) > 1 else span)
    return ",".join(parts)


def openjd_range(text: str) -> str:
    """The other way round: `1001-1100x2` is `1001-1100:2`."""
    return text.replace("x", ":")
