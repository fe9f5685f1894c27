"""Reads a delivery and holds it against what was noted when it was written: disks and copies damage files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from vfxswap.clock import FrameRange
from vfxswap.errors import MediaError
from vfxswap.files import FramePattern, file_sha256
from vfxswap.framekeys import FrameKeys
from vfxswap.host import Host
from vfxswap.journal import FrameKey, Standing
from vfxswap.media import Writer
from vfxswap.pipeline import Pipeline
from vfxswap.report import PastRun, Progress, past_run, report_path

_NONE = FrameRange.of(())


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found of a delivery's frames."""

    delivery: Path
    wanted: FrameRange
    """The frames that were looked for."""
    damaged: FrameRange = _NONE
    """Made of what the pipeline says, but not as they were written; of these the files are damaged."""
    missing: FrameRange = _NONE
    outdated: FrameRange = _NONE
    """As they were written, but something of the plate has changed since."""
    unknown: FrameRange = _NONE
    """Made of other settings or by other versions, or not by vfxswap."""
    words: tuple[str, ...] = field(default=())
    """What else there is to say."""

    @property
    def is_whole(self) -> bool:
        """Whether all is there and as it was written."""
        return not (self.damaged or self.missing or self.outdated or self.unknown or self.words)

    @property
    def lines(self) -> list[str]:
        """What was found, for people."""
        again = "delete them, or make them again with --overwrite --frames"
        found = [
            (self.damaged, f"damaged: not what was written; {again} {self.damaged}"),
            (self.missing, "missing: run the pipeline file again"),
            (self.outdated, "of a plate that has changed since: run the pipeline file again"),
            (self.unknown, "of other settings or versions, or by somebody else"),
        ]
        said = [f"{self.delivery}: frames {frames}: {what}" for frames, what in found if frames]
        said += [f"{self.delivery}: {word}" for word in self.words]
        return said or [f"{self.delivery}: {len(self.wanted)} frames, all as they were written"]


def verified(plan: Pipeline, host: Host, *, progress: Callable[[Progress], None] | None = None) -> Verified:
    """Reads what is there of a pipeline's delivery; makes and changes nothing.

    Args:
        plan: The pipeline.
        host: The plugins.
        progress: Is told of each frame of a sequence, before it is read.
    """
    if FramePattern(plan.delivery_path).is_numbered:
        return _sequence(plan, host, progress)
    return _movie(plan)


def _sequence(plan: Pipeline, host: Host, progress: Callable[[Progress], None] | None) -> Verified:
    pattern = FramePattern(plan.delivery_path)
    keys = _Told(FrameKeys(plan, host), progress)
    found = Standing.of(plan.delivery_path, keys, plan.writer.notes(plan.delivery_path), reading=True)
    return Verified(
        plan.delivery_path,
        plan.frames,
        damaged=FrameRange.of(found.damaged),
        missing=FrameRange.of(number for number in plan.frames if not pattern.path(number).exists()),
        outdated=FrameRange.of(found.outdated),
        unknown=FrameRange.of(set(found.strange) - found.damaged),
    )


class _Told(Mapping[int, FrameKey]):
    """The keys, which tell how many of them were come to."""

    def __init__(self, keys: Mapping[int, FrameKey], tell: Callable[[Progress], None] | None) -> None:
        self._keys, self._tell = keys, tell
        self._done = 0

    def __getitem__(self, number: int) -> FrameKey:
        self._done += 1
        if self._tell is not None:
            self._tell(Progress(self._done, len(self._keys), number, 0.0, 0.0))
        return self._keys[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def _movie(plan: Pipeline) -> Verified:
    path = plan.delivery_path
    before = past_run(report_path(path))
    if not path.exists():
        return Verified(path, plan.frames, missing=plan.frames)
    if before is None or not before.is_complete or not before.digests:
        return Verified(path, plan.frames, words=("no report beside it says how it was written",))
    frames = before.frames
    other = () if (before.key, frames) == (plan.key, plan.frames) else (_OTHER.format(frames=frames),)
    said = before.digests[0]
    layers = _damaged_layers(path, said, frames)
    if file_sha256(path) == said["sha256"]:
        return Verified(path, frames, damaged=FrameRange.of(layers), words=other)
    pictures, word = _damaged_pictures(plan.writer, path, said["pictures"], frames)
    return Verified(path, frames, damaged=FrameRange.of({*layers, *pictures}), words=(*other, word))


_OTHER = "it was made of other settings, another plate, other versions, or of other frames ({frames})"


def _damaged_pictures(
    writer: type[Writer], path: Path, noted: Sequence[str], frames: FrameRange
) -> tuple[list[int], str]:
    try:
        now = writer.pictures(path)
    except MediaError as error:
        return list(frames), f"it is damaged, and cannot be read: {error}"
    if not noted:
        return [], "it is damaged: its bytes are not those that were written"
    # Of a file that was cut off the last frames are not there; what is too much belongs to nobody.
    pairs = zip_longest(frames, noted, now[: len(noted)])
    wrong = [number for number, said, found in pairs if said != found]
    what = "" if wrong else " beside its pictures (sound, times or the header)"
    return wrong, f"it is damaged{what}: its bytes are not those that were written; make it again with --overwrite"


def _damaged_layers(path: Path, said: Mapping[str, Any], frames: FrameRange) -> list[int]:
    wrong = []
    for number, files in zip(frames, said.get("layers", ()), strict=False):
        for name, digest in files.items():
            file = path.with_name(name)
            if not file.exists() or file_sha256(file) != digest:
                wrong.append(number)
    return wrong


def digests_of(writer: type[Writer], path: Path, layers: Mapping[str, Sequence[Path]]) -> dict[str, Any]:
    """What a report keeps of a file that holds many frames: `sha256`, and that of each of its `pictures` and `layers`.

    Args:
        writer: Who wrote it.
        path: The file.
        layers: The files of its layers, by the layer's name, in the order of frames.
    """
    beside = [{file.name: file_sha256(file) for file in files} for files in zip(*layers.values(), strict=True)]
    return {"sha256": file_sha256(path), "pictures": list(writer.pictures(path)), "layers": beside}


def noted_digest(before: PastRun) -> str | None:
    """The sha256 of the one file that a run delivered, as it noted it."""
    return str(before.digests[0]["sha256"]) if before.digests else None
