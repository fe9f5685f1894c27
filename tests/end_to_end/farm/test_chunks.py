"""What machines make in chunks and put together has the bits of what one makes whole, also when it is tried again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import vfxswap
from vfxswap.clock import FrameRange
from vfxswap.errors import Cancelled, MediaError, UsageError
from vfxswap.farm.assemble import assemble
from vfxswap.farm.chunk import run_chunk, stamps_of
from vfxswap.farm.order import Order
from vfxswap.farm.ray_engine import work
from vfxswap.farm.store import store_path
from vfxswap.files import FramePattern
from vfxswap.host import Host
from vfxswap.report import Progress, Report, past_run, report_path

COUNT = 16


def written(paths: Sequence[Path]) -> list[bytes]:
    return [path.read_bytes() for path in paths]


def halves(order: Order, host: Host) -> None:
    """Both halves of the job, so that a delivery can be assembled."""
    plan = order.loaded(host)
    for chunk in ("1-8", "9-16"):
        run_chunk(plan, FrameRange.parse(chunk), host)


@pytest.mark.parametrize(
    ("name", "size"), [("shot.mkv", 16), ("shot.mov", 7), ("shot.mp4", 7), ("shot.%04d.png", 7), ("shot.mov", 5)]
)
def test_chunks_and_a_last_step_give_the_bytes_of_the_whole(
    order: Callable[..., Order], plain: Callable[[str], list[bytes]], host: Host, name: str, size: int
) -> None:
    """Sound, timecode and tags too; also where a chunk ends in the middle of a batch."""
    _check_chunks(order(name), plain(name), host, size)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shot.mkv", "shot.%04d.png"])
def test_chunks_of_one_frame_give_the_bytes_of_the_whole(
    order: Callable[..., Order], plain: Callable[[str], list[bytes]], host: Host, name: str
) -> None:
    _check_chunks(order(name), plain(name), host, 1)


def _check_chunks(job: Order, plain: list[bytes], host: Host, size: int) -> None:
    plan = job.loaded(host)
    for first in range(1, COUNT + 1, size):
        run_chunk(plan, FrameRange.of(range(first, min(first + size, COUNT + 1))), host)
    report = assemble(plan, host)
    assert written(report.outputs) == plain
    assert [record.frame for record in report.frames] == list(range(1, COUNT + 1))
    assert report.summary()["swapped"] == COUNT
    assert vfxswap.run(job.pipeline, out=job.out, device="cpu", host=host).already_done
    assert run_chunk(plan, FrameRange.parse("1-4"), host).already_done
    assert not store_path(plan.delivery_path).parent.exists()


def test_a_movie_is_assembled_once_and_its_frames_may_stay(
    order: Callable[..., Order], plain: Callable[[str], list[bytes]], host: Host
) -> None:
    job = order("shot.mov")
    halves(job, host)
    plan = job.loaded(host)
    report = assemble(plan, host, keep=True)
    assert len(FramePattern(store_path(plan.delivery_path)).existing()) == COUNT
    assert assemble(plan, host).already_done
    report.outputs[0].write_bytes(b"somebody's movie")
    other = order("shot.mov", "stages.pyramid.levels=2").loaded(host)
    with pytest.raises(UsageError, match="is there already and was made from other settings"):
        assemble(other, host)
    assert written(assemble(plan, host, overwrite=True).outputs) == plain("shot.mov")


def test_what_is_missing_or_of_other_settings_is_named(order: Callable[..., Order], host: Host) -> None:
    job = order("shot.mov")
    plan = job.loaded(host)
    run_chunk(plan, FrameRange.parse("1-8"), host)
    with pytest.raises(MediaError, match=r"8 of the job's 16 frames are not done: 9-16; run their chunks again"):
        assemble(plan, host)
    run_chunk(order("shot.mov", "stages.idt.strength=0.5").loaded(host), FrameRange.parse("9-16"), host)
    with pytest.raises(MediaError, match=r"9-16 \(9-16 were made from other settings, plates or versions\)"):
        assemble(plan, host)
    run_chunk(plan, FrameRange.parse("9-16"), host)
    stored = FramePattern(store_path(plan.delivery_path)).path(5)
    stored.write_bytes(stored.read_bytes()[:-200])
    FramePattern(store_path(plan.delivery_path)).path(6).write_bytes(b"")
    with pytest.raises(MediaError, match=r"2 of the job's 16 frames are not done: 5-6"):
        assemble(plan, host)
    assert not plan.delivery_path.exists()
    again = run_chunk(plan, FrameRange.parse("1-8"), host)
    assert [record.frame for record in again.frames] == [5, 6]
    assert [record.frame for record in again.records] == list(range(1, 9))
    assert assemble(plan, host).error is None


def test_a_sequence_is_looked_through_before_its_reports_become_one(order: Callable[..., Order], host: Host) -> None:
    job = order("shot.%04d.png")
    halves(job, host)
    plan = job.loaded(host)
    part = report_path(plan.delivery_path, FrameRange.parse("1-8"))
    assert part.exists()
    FramePattern(plan.delivery_path).path(3).unlink()
    with pytest.raises(MediaError, match=r"1 of the job's 16 frames are not done: 3"):
        assemble(plan, host)
    run_chunk(plan, FrameRange.parse("1-8"), host)
    assemble(plan, host)
    run = past_run(report_path(plan.delivery_path))
    assert run is not None
    assert (run.is_complete, str(run.frames), run.key) == (True, "1-16", plan.key)


def stop(progress: Progress) -> None:
    if progress.done == 6:
        raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["shot.mov", "shot.%04d.png"])
@pytest.mark.parametrize("other", [(), ("stages.idt.strength=0.5",)], ids=["same settings", "other settings"])
def test_who_tries_again_goes_on_after_what_was_overwritten(
    order: Callable[..., Order], plain: Callable[[str], list[bytes]], host: Host, name: str, other: tuple[str, ...]
) -> None:
    """What was there before the job is made again, whatever it is; what the first try made is not."""
    whole = FrameRange.parse("1-16")
    run_chunk(order(name, *other).loaded(host), whole, host)
    plan = order(name).loaded(host)
    before = stamps_of(plan)
    assert set(before) == set(whole)

    def again(**options: Any) -> Report:
        return run_chunk(plan, whole, host, overwrite=True, before=before, **options)

    with pytest.raises(Cancelled):
        again(progress=stop)
    there = stamps_of(plan)
    own = {number for number in there if there[number] != before.get(number)}
    assert 0 < len(own) < COUNT
    assert [record.frame for record in again().frames] == [number for number in whole if number not in own]
    after = stamps_of(plan)
    assert {number: after[number] for number in own} == {number: there[number] for number in own}
    assert again().frames == [], "all of it is the job's own"
    assert [record.frame for record in run_chunk(plan, whole, host, overwrite=True).frames] == list(whole)
    assert written(assemble(plan, host).outputs) == plain(name)


def test_a_task_that_ray_tries_again_goes_on_likewise(order: Callable[..., Order], host: Host) -> None:
    """Ray calls it with the same words each time."""
    job = order("shot.%04d.png", frames="1-8")
    plan = job.loaded(host)
    run_chunk(plan, FrameRange.parse("1-3"), host)
    mine = stamps_of(plan)
    for before, kept in (({}, {1, 2, 3}), (None, set(range(1, 9))), (mine, set(range(4, 9)))):
        there = stamps_of(plan)
        assert work(job, "1-8", before, 1) == {"error": None}
        after = stamps_of(plan)
        assert set(after) == set(range(1, 9))
        assert {number for number in there if after[number] == there[number]} == kept


def test_a_chunk_beyond_the_job_is_refused(order: Callable[..., Order], host: Host) -> None:
    plan = order("shot.mov", frames="3-10x2").loaded(host)
    with pytest.raises(UsageError, match=r"the chunk 9-12 is not within the frames of the job, 3-9x2"):
        run_chunk(plan, FrameRange.parse("9-12"), host)
    report = run_chunk(plan, FrameRange.parse("4-7"), host)
    assert [record.frame for record in report.frames] == [5, 7]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shot.mov", "shot.%04d.png"])
def test_a_range_that_was_edited_makes_only_what_is_new(
    order: Callable[..., Order], plain: Callable[[str], list[bytes]], host: Host, name: str
) -> None:
    run_chunk(order(name, frames="1-6").loaded(host), FrameRange.parse("1-6"), host)
    plan = order(name).loaded(host)
    made = run_chunk(plan, FrameRange.parse("1-16"), host)
    assert [record.frame for record in made.frames] == list(range(7, COUNT + 1))
    assert written(assemble(plan, host).outputs) == plain(name)
