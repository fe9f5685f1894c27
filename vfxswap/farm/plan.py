"""One plan of a job, from which every engine's own words come: chunks, what each must compute, and the last step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import tomli

from vfxswap.assembly import declared_reach
from vfxswap.chunks import BATCH_FRAMES, spans_to_compute
from vfxswap.clock import FrameRange
from vfxswap.errors import UsageError
from vfxswap.farm.chunk import needs_assembly
from vfxswap.farm.look import wants_analysis
from vfxswap.farm.order import Order
from vfxswap.host import Host
from vfxswap.pipeline import Pipeline
from vfxswap.stage import Span

_LEAST_CHUNK_FRAMES = 24
_HANDLES_WORTH = 8
"""Frames that a chunk has, at the least, for each frame that it computes and does not write."""
_MAPPED = {("shot", "plate"), ("delivery", "path")}
"""Keys of a pipeline file whose paths a job carries apart, so that a farm's path mapping reaches them."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a machine must have for a chunk, in the units that farms count in."""

    chunk_frames: int | None = None
    """About how many frames a chunk has; None chooses by the pipeline's windows."""
    gpus: int = 0
    gpu_memory_mib: int | None = None
    vcpus: int | None = None
    memory_mib: int | None = None

    def __post_init__(self) -> None:
        for name in ("chunk_frames", "gpu_memory_mib", "vcpus", "memory_mib"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} must be at least 1, got {value}; leave it out if it does not matter")
        if self.gpus < 0:
            raise UsageError(f"gpus must be 0 or more, got {self.gpus}")
        if self.gpu_memory_mib is not None and not self.gpus:
            raise UsageError("GPU memory is asked for, but no GPU; say how many GPUs a chunk needs too")


@dataclass(frozen=True, slots=True)
class FarmPlan:
    """One job: chunks that do not depend on one another, then a step that depends on all of them.

    Where it `analyzes`, there is a step before the chunks, too.
    """

    name: str
    """Of the job: the pipeline file's."""
    order: Order
    """What was asked for; all paths hold in any folder."""
    frames: FrameRange
    """Those of the job."""
    chunks: tuple[FrameRange, ...]
    """Where this plan divides the frames; a farm that divides them itself may do so otherwise, with the same bits."""
    chunk_frames: int
    reach: Span
    """Handles: frames on both sides that windows look at."""
    computed_frames: int
    """Frames that all chunks together compute, handles and whole batches included."""
    plate: Path
    delivery: Path
    is_movie: bool
    """Whether the last step makes the delivery; else it looks whether all frames are there, and joins the reports."""
    needs: Needs
    analyzes: bool = False
    """Whether a step comes first that finds the faces of the whole plate, which each chunk would do else."""
    remarks: tuple[str, ...] = ()
    """What a wrangler should know before it is sent."""

    @property
    def overhead(self) -> float:
        """Frames computed for each frame delivered."""
        return self.computed_frames / len(self.frames)


def planned(plan: Pipeline, order: Order, host: Host, needs: Needs) -> FarmPlan:
    """Divides a job that was found right.

    Args:
        plan: The pipeline, loaded from the order.
        order: Where it came from.
        host: The plugins.
        needs: What a machine must have.
    """
    reach = declared_reach(plan, host)
    size = needs.chunk_frames or _fitting_size(reach)
    chunks = divided(plan.frames, size)
    spans = (spans_to_compute(chunk, plan.plate.first, plan.plate.last, reach) for chunk in chunks)
    return FarmPlan(
        name=plan.name,
        order=order.settled,
        frames=plan.frames,
        chunks=chunks,
        chunk_frames=size,
        reach=reach,
        computed_frames=sum(last - first + 1 for chunk in spans for first, last in chunk),
        plate=plan.plate_path.absolute(),
        delivery=plan.delivery_path.absolute(),
        is_movie=needs_assembly(plan),
        needs=needs,
        analyzes=wants_analysis(plan),
        remarks=tuple(_remarks(plan)),
    )


def _fitting_size(reach: Span) -> int:
    wanted = max(_LEAST_CHUNK_FRAMES, _HANDLES_WORTH * (reach.behind + reach.ahead))
    return -(-wanted // BATCH_FRAMES) * BATCH_FRAMES


def divided(frames: FrameRange, size: int) -> tuple[FrameRange, ...]:
    """Chunks of about `size` frames, the last one of at least half as many, that begin where batches do.

    Whoever cuts a batch in two has both halves' machines compute all of it. Any other division gives the same bits.
    """
    chunks: list[list[int]] = []
    for number in frames:
        is_full = bool(chunks) and len(chunks[-1]) >= size
        if not chunks or (is_full and number // BATCH_FRAMES != chunks[-1][-1] // BATCH_FRAMES):
            chunks.append([])
        chunks[-1].append(number)
    if len(chunks) > 1 and 2 * len(chunks[-1]) < size:
        chunks[-2:] = [[*chunks[-2], *chunks[-1]]]
    return tuple(FrameRange.of(chunk) for chunk in chunks)


def _remarks(plan: Pipeline) -> Iterator[str]:
    for keys, text in _texts(tomli.loads(plan.text)):
        if keys not in _MAPPED and Path(text).is_absolute():
            yield (
                f"{plan.path.name}: {'.'.join(keys)} = {text!r} is an absolute path, which a farm's path mapping does"
                " not reach; write it relative to the pipeline file"
            )


def _texts(value: object, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """All texts of a document, with the keys that lead to them."""
    if isinstance(value, str):
        yield keys, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*keys, str(key)))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _texts(item, (*keys, str(place)))


def run_words(plan: FarmPlan, chunk: str, *, progress: str) -> list[str]:
    """The command that renders a chunk, after the program's name.

    Args:
        plan: The job.
        chunk: Its frames, or an engine's token for them.
        progress: In whose words it tells how far it is.
    """
    return [*before_words(plan.order), "run", *_common(plan), "--chunk", chunk, *_device(plan), "--progress", progress]


def analyze_words(plan: FarmPlan, *, progress: str) -> list[str]:
    """The command of the first step, where there is one, after the program's name."""
    return [*before_words(plan.order), "analyze", *_common(plan, frames=False), *_device(plan), "--progress", progress]


def _device(plan: FarmPlan) -> list[str]:
    return ["--device", plan.order.device] if plan.order.device else []


def assemble_words(plan: FarmPlan, *, progress: str) -> list[str]:
    """The command of the last step, after the program's name."""
    return [*before_words(plan.order), "assemble", *_common(plan), "--progress", progress]


def _common(plan: FarmPlan, *, frames: bool = True) -> list[str]:
    order = plan.order
    words = [str(order.pipeline)]
    words += ["--plate", str(order.plate)] if order.plate else []
    words += ["--out", str(order.out)] if order.out else []
    words += ["--frames", str(plan.frames)] if frames else []
    return [*words, *set_words(order)]


def before_words(order: Order) -> list[str]:
    """The words that stand before a command."""
    return [word for folder in order.plugin_path for word in ("--plugin-path", str(folder))]


def set_words(order: Order) -> list[str]:
    """The `--set` words of an order."""
    return [word for text in order.overrides for word in ("--set", text)]
