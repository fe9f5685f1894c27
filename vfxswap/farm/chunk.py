"""One chunk of a shot, on one machine: whole frames, and a report of its own."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace

from vfxswap.clock import FrameRange
from vfxswap.delivered import Found, own_report
from vfxswap.errors import UsageError
from vfxswap.farm.store import FrameStore, heads, store_path
from vfxswap.files import FramePattern, stamp_of
from vfxswap.framekeys import FrameKeys
from vfxswap.host import Host
from vfxswap.pipeline import Pipeline
from vfxswap.render import ProgressCallback, render
from vfxswap.report import Report, past_run

Stamps = Mapping[int, tuple[int, int]]
"""Bytes and times of the files of frames, by number."""


def stamps_of(plan: Pipeline) -> Stamps:
    """What is there of a job's frames, or of those that wait for its movie."""
    pattern = FramePattern(store_path(plan.delivery_path) if needs_assembly(plan) else plan.delivery_path)
    return {number: stamp_of(path) for number, path in pattern.existing().items() if number in plan.frames}


def needs_assembly(plan: Pipeline) -> bool:
    """Whether the delivery is one file, which only the last step can write."""
    return not FramePattern(plan.delivery_path).is_numbered


def is_finished(plan: Pipeline, keys: Container[str]) -> bool:
    """Whether a movie is there that a complete run of one of these keys made of the job's frames."""
    before = past_run(own_report(plan))
    return (
        plan.delivery_path.exists()
        and before is not None
        and before.is_complete
        and before.key in keys
        and before.frames == plan.frames
    )


def as_chunk(plan: Pipeline, chunk: FrameRange) -> Pipeline:
    """The pipeline of one chunk: its frames, and where a movie is delivered, a place for them until then.

    Args:
        plan: The whole job's.
        chunk: Frames, of which those that are not among the job's are left out (the steps of a range, holes).

    Raises:
        UsageError: The chunk reaches beyond the job's frames.
    """
    if chunk[0] < plan.frames[0] or chunk[-1] > plan.frames[-1]:
        raise UsageError(f"the chunk {chunk} is not within the frames of the job, {plan.frames}")
    frames = FrameRange.of(number for number in plan.frames if number in chunk)
    if not needs_assembly(plan):
        return replace(plan, frames=frames)
    return replace(
        plan,
        frames=frames,
        writer=FrameStore,
        writer_options=FrameStore.Options(),
        delivery_path=store_path(plan.delivery_path),
        delivery_timeline=None,  # what assembles the movie writes it
    )


def run_chunk(
    plan: Pipeline,
    chunk: FrameRange,
    host: Host,
    *,
    overwrite: bool = False,
    before: Stamps | None = None,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
) -> Report:
    """Runs one chunk; frames that are there and of the same key are not made again.

    Frames of other keys that wait for a movie are replaced: nobody but vfxswap makes such files. Those of a sequence
    are refused, as in any run, unless `overwrite` is said.

    Args:
        plan: The whole job's.
        chunk: The frames of this chunk.
        host: The plugins.
        overwrite: Whether frames that are there are made again.
        before: What was there before the job began, so that a chunk which is tried again goes on after what it has
            overwritten; None overwrites all.
        workers: Threads that run stages; None for one a core.
        progress: Is told after each frame.

    Returns:
        What happened to the chunk's frames; `already_done` if there was nothing to do.

    Raises:
        UsageError: The chunk reaches beyond the job's frames.
        VfxswapError: As `vfxswap.run` raises them.
    """
    part = as_chunk(plan, chunk)
    if not part.frames:
        return Report(already_done=True)
    if needs_assembly(plan):
        if not overwrite and is_finished(plan, {plan.key}):
            return Report(outputs=(plan.delivery_path,), already_done=True)
        _remove_outdated(part, host)
    if overwrite and before is not None and (own := _made_since(part, host, before)):
        rest = FrameRange.of(set(part.frames) - own)
        part, overwrite = replace(part, frames=rest or part.frames), bool(rest)
    return render(part, host, overwrite=overwrite, workers=workers, progress=progress)


def _made_since(part: Pipeline, host: Host, before: Stamps) -> set[int]:
    """Frames whose files are others than before the job began, and are what it makes: an earlier try wrote them."""
    fresh = {number for number, stamp in stamps_of(part).items() if stamp != before.get(number)}
    return fresh & Found.of(part, host).past.done.keys() if fresh else fresh


def _remove_outdated(part: Pipeline, host: Host) -> None:
    """Removes frames that wait for a movie and are of other settings or plates, or damaged."""
    keys = FrameKeys(part, host)
    for number, head in heads(part.delivery_path).items():
        if number in keys and (head is None or head.key != keys[number]):
            FramePattern(part.delivery_path).path(number).unlink(missing_ok=True)
