"""Chunks of one sequence, rendered at once or in turn: none takes another's report or notes, or makes its frames."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from vfxswap.clock import FrameRange
from vfxswap.errors import Cancelled, UsageError
from vfxswap.farm.assemble import assemble
from vfxswap.farm.chunk import run_chunk
from vfxswap.farm.order import Order
from vfxswap.report import Progress, Report

CHUNKS = ("1001-1002", "1003", "1004-1005")
OTHER = 'compression = "zips"'
"""Other settings."""


@pytest.fixture
def plate(job: Any, exr: Any) -> Any:
    for number in job.numbers:
        job.write(number, (exr.header((0, 0), (256, 256)), {name: exr.smooth(i) for i, name in enumerate("RGB")}))
    return job


def stop(progress: Progress) -> None:
    if progress.done == 2:
        raise KeyboardInterrupt


def test_chunks_that_are_rendered_at_once_make_one_delivery(plate: Any) -> None:
    whole = [path.read_bytes() for path in plate.run(out=plate.root / "whole" / "o.####.exr").outputs]

    def chunk(frames: str) -> Report:
        report: Report = plate.run(frames=frames)
        return report

    with ThreadPoolExecutor(len(CHUNKS)) as pool:
        reports = list(pool.map(chunk, CHUNKS))
    names = [f"out.####.exr.{frames}.report.jsonl" for frames in CHUNKS]
    assert [report.path and report.path.name for report in reports] == names
    assert [plate.out(number).read_bytes() for number in plate.numbers] == whole
    assert plate.left() == sorted([*names, *(plate.out(number).name for number in plate.numbers)])
    assert all(chunk(frames).already_done for frames in CHUNKS)
    assert plate.run().already_done, "all of it, whoever made which part"
    assert plate.run(frames="1002-1004").already_done


def test_the_settings_of_each_frame_are_known(plate: Any) -> None:
    for frames in CHUNKS:
        plate.run(frames=frames)
    with pytest.raises(UsageError, match="made from other settings"):
        plate.run(frames="1003", delivery=OTHER)
    plate.run(frames="1003", delivery=OTHER, overwrite=True)
    with pytest.raises(UsageError, match="made from other settings"):
        plate.run()
    assert plate.run(frames="1001-1002").already_done
    assert plate.run(frames="1003", delivery=OTHER).already_done
    plate.run(delivery=OTHER, overwrite=True)
    reports = [name for name in plate.left() if name.endswith(".jsonl")]
    assert reports == ["out.####.exr.1003.report.jsonl", "out.####.exr.report.jsonl"], "what is outdated is gone"


def test_a_lost_frame_is_made_again_and_no_other(plate: Any) -> None:
    for frames in CHUNKS:
        plate.run(frames=frames)
    lost = plate.out(1002).read_bytes()
    plate.out(1002).unlink()
    report = plate.run()
    assert [record.frame for record in report.frames] == [1002]
    assert plate.out(1002).read_bytes() == lost
    painted = plate.out(1004)
    painted.write_bytes(painted.read_bytes() + b"\0")
    plate.out(1002).unlink()
    with pytest.raises(UsageError, match=r"frames 1004 of .* were changed since they were made"):
        plate.run()


def test_a_chunk_that_was_stopped_goes_on_whatever_others_do(plate: Any) -> None:
    with pytest.raises(Cancelled):
        plate.run(frames="1001-1003", progress=stop)
    there = [number for number in plate.numbers if plate.out(number).exists()]
    assert there
    plate.run(frames="1004-1005")
    again = plate.run(frames="1001-1003")
    assert {record.frame for record in again.frames} == {1001, 1002, 1003} - set(there)
    assert plate.run().already_done
    assert not [name for name in plate.left() if name.startswith(".")]


def test_the_whole_takes_what_a_stopped_chunk_made(plate: Any) -> None:
    with pytest.raises(Cancelled):
        plate.run(frames="1001-1003", progress=stop)
    there = {number: plate.out(number).stat().st_mtime_ns for number in plate.numbers if plate.out(number).exists()}
    assert there
    report = plate.run()
    assert [record.frame for record in report.frames] == [number for number in plate.numbers if number not in there]
    assert {number: plate.out(number).stat().st_mtime_ns for number in there} == there


RIGHT = 'layer = "right"\nrate = 24'
SHOWN = 'codec = "ffv1"\ndisplay = "Rec.1886 Rec.709 - Display"\nview = "ACES 2.0 - SDR 100 nits (Rec.709)"'


def test_a_movie_of_one_of_a_plates_layers_is_put_together_of_chunks(job: Any, exr: Any) -> None:
    """Whoever assembles it looks at the same layer as those who made the chunks."""
    names = [f"{view}{letter}" for view in ("", "right.") for letter in "RGB"]
    for number in job.numbers:
        head = exr.header((0, 0), (256, 256), multiView=["left", "right"])
        job.write(number, (head, {name: exr.smooth(i) for i, name in enumerate(names)}))
    (whole,) = job.run(shot=RIGHT, delivery=SHOWN, out=job.root / "whole.mkv").outputs
    plan = Order(job.root / "job.toml", out=job.root / "chunks.mkv", device="cpu").loaded(job.host)
    for chunk in CHUNKS:
        run_chunk(plan, FrameRange.parse(chunk), job.host)
    (made,) = assemble(plan, job.host).outputs
    assert made.read_bytes() == whole.read_bytes()
