"""An analysis spares finding faces again and changes no bit; of another plate, damaged or unwritable, it is named."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vfxswap.analysis import Analysis, extend_analysis, read_analysis, write_analysis
from vfxswap.cli import main
from vfxswap.clock import FrameRange
from vfxswap.errors import FrameFailed, MediaError, TruncatedPlate, UsageError
from vfxswap_plugins.media.movie_reader import MovieReader

Movie = list[list[NDArray[np.uint8]]]
COUNT = 16
HERE = Path(__file__).parents[1]
TRACKED = '[[stages]]\nuse = "face-tracker"\npicture_size = 128\n'


def test_changing_the_look_finds_no_face_again_and_no_bit_changes(
    work: Any, same: Callable[[Movie, Movie], bool], every: Callable[[], list[int]]
) -> None:
    without = work.movie()
    assert work.asked()[0] == every()
    assert not work.analysis.exists()
    made = work.analyze()
    assert (list(made.frames), made.looked_at) == (every(), COUNT)
    assert work.asked() == (every(), 2 * COUNT)
    assert same(work.movie(), without)
    assert same(work.movie(frames="6-9"), without[5:9])
    report = work.run("stages.negative.depth=0.5")
    assert "remarks" not in report.run
    assert not same(work.decoded(report.outputs[0]), without)
    work.place.write("job.toml", work.path.read_text().replace('"alpha"', '"pyramid"'))
    assert not same(work.movie(), without)
    assert work.analyze().looked_at == 0
    assert work.asked() == ([], 0)


@pytest.fixture
def tracked(work: Any, job_text: str) -> Any:
    """The same, whose tracks only a tracker knows."""
    text = job_text.replace("TRACKER", TRACKED).replace('tracks.json"', 'tracks.json"\ntracks = false')
    work.path = work.place.write("job.toml", text)
    return work


@pytest.fixture
def stumbles(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], list[str]]:
    """Has a frame of plates be unreadable for some times, which are taken from the list that it gives."""

    def stumbles(at: int, times: int) -> list[str]:
        whole, left = MovieReader.frames, ["the share stumbled"] * times

        def frames(self: MovieReader, first: int, last: int) -> Iterator[Any]:
            for frame in whole(self, first, last):
                if frame.number == at and left:
                    raise TruncatedPlate(left.pop(), frame=at)
                yield frame

        monkeypatch.setattr(MovieReader, "frames", frames)
        return left

    return stumbles


def test_with_a_tracker_all_chunks_take_what_one_has_seen(
    tracked: Any, same: Callable[[Movie, Movie], bool], every: Callable[[], list[int]]
) -> None:
    without = tracked.movie()
    assert tracked.asked()[0] == every()
    tracked.analyze()
    tracked.asked()
    assert same(tracked.movie(), without)
    assert same(tracked.movie(frames="5-7"), without[4:7])
    assert tracked.asked()[0] == []
    found = read_analysis(tracked.analysis).found
    assert len({face.detection.track for frame in found.values() for face in frame.faces}) == 2


def test_a_frame_that_could_not_be_read_for_a_moment_is_tracked_as_well(
    tracked: Any, stumbles: Callable[[int, int], list[str]]
) -> None:
    tracked.analyze()
    whole = tracked.analysis.read_bytes()
    tracked.analysis.unlink()
    left = stumbles(10, 1)
    made = tracked.analyze()
    assert (left, made.remarks) == ([], ())
    assert tracked.analysis.read_bytes() == whole


def test_tracks_of_a_part_of_the_plate_are_not_kept(tracked: Any, stumbles: Callable[[int, int], list[str]]) -> None:
    """They are others than those of the whole, which the next run would have to put beside them."""
    left = stumbles(10, 2)
    with pytest.raises(FrameFailed, match="frame 10 was not seen when all of the plate was looked at before the run"):
        tracked.analyze()
    assert left == []
    assert not tracked.analysis.exists()
    stated = f"shot.analysis={tracked.analysis}"
    left = stumbles(10, 2)
    report = tracked.run(stated, frames="1-3")
    assert "decided by 9 of 16 frames; what was found after that is not kept" in report.run["remarks"][0]
    assert left == []
    assert not tracked.analysis.exists()
    left = stumbles(10, 2)
    with pytest.raises(MediaError, match="decided by 9 of 16 frames; what was found after that is not kept"):
        tracked.analyze(numbers=FrameRange.parse("1-3"))
    assert left == []
    assert not tracked.analysis.exists()
    assert len(tracked.analyze().frames) == COUNT


def test_tracks_of_a_part_of_the_plate_are_not_gone_on_with(tracked: Any, same: Callable[[Movie, Movie], bool]) -> None:
    """Somebody kept them all the same."""
    without = tracked.movie()
    tracked.analyze()
    whole, there = tracked.analysis.read_bytes(), read_analysis(tracked.analysis)
    part = {}
    for number in range(1, 10):
        frame = there.found[number]
        faces = [replace(face, detection=replace(face.detection.moved(3, 2), track=7)) for face in frame.faces[:1]]
        part[number] = replace(frame, faces=tuple(faces))
    write_analysis(tracked.analysis, Analysis(there.head, part))
    assert same(tracked.movie(), without)
    assert tracked.analysis.read_bytes() == whole
    write_analysis(tracked.analysis, Analysis(there.head, part))
    tracked.analyze()
    assert tracked.analysis.read_bytes() == whole


def test_what_likeness_is_measured_by_is_known_too(
    work: Any, same: Callable[[Movie, Movie], bool], job_text: str
) -> None:
    """Who is like a still is asked of all the plate; the still itself is looked at in each run."""
    rule = 'face = {by = "like", still = "../demo-out/two/identity/still01.png"}\n[[stages]]\nuse = "counted"'
    text = job_text.replace('[[stages]]\nuse = "counted"', rule, 1).replace("TRACKER", TRACKED)
    work.path = work.place.write("job.toml", text)
    without = work.movie()
    assert work.asked()[1] > 2 * COUNT
    work.analyze()
    work.asked()
    assert same(work.movie(), without)
    assert work.asked() == ([], 1)


def test_a_stated_analysis_is_made_by_runs_and_extended(
    work: Any, same: Callable[[Movie, Movie], bool], every: Callable[[], list[int]]
) -> None:
    stated = (f"shot.analysis={work.folder / 'kept.npz'}", "shot.cuts=[]")  # whose search looks far
    part = work.movie(*stated, frames="5-7")
    there = read_analysis(work.folder / "kept.npz")
    first = work.asked()[0]
    assert sorted(there.found) == first
    assert set(range(5, 8)) <= set(first) < set(every())
    whole = work.movie(*stated)
    assert same(part, whole[4:7])
    assert sorted(work.asked()[0]) == [number for number in every() if number not in first]
    assert sorted(read_analysis(work.folder / "kept.npz").found) == every()
    assert not work.analysis.exists()


def test_other_settings_of_finding_are_said_found_anew_and_kept(work: Any, every: Callable[[], list[int]]) -> None:
    work.analyze()
    before = read_analysis(work.analysis).head.finding.key
    work.asked()
    report = work.run("stages.counted.shift=1.0")
    assert "was made with other settings of counted, counted-points" in report.run["remarks"][0]
    assert work.asked()[0] == every()
    assert read_analysis(work.analysis).head.finding.key != before
    assert "remarks" not in work.run("stages.counted.shift=1.0").run
    assert work.asked()[0] == []
    # How crops are cut is no matter of finding.
    assert "remarks" not in work.run("stages.counted.shift=1.0", "stages.counted-points.crop_size=48").run
    assert work.asked()[0] == []


def test_an_analysis_of_another_plate_is_refused_with_both_named(work: Any, capsys: pytest.CaptureFixture[str]) -> None:
    work.analyze()
    plate = work.place.shot / "two" / "plate.mkv"
    os.utime(plate, (1, 1))
    with pytest.raises(UsageError, match="as its files were then; they were written anew or changed since"):
        work.run()
    shutil.copy(plate, plate.with_name("other.mkv"))
    with pytest.raises(UsageError, match=r"is of the plate plate.mkv \(256x96, frames 1-16\), and this is other.mkv"):
        work.run(f"shot.plate={plate.with_name('other.mkv')}")
    assert main(["--plugin-path", str(HERE / "counting"), "check", str(work.path)]) == 2
    assert "they were written anew or changed since" in capsys.readouterr().out
    # Who takes another plate by the way is told, and nothing is lost.
    report = work.run(plate=plate.with_name("other.mkv"))
    assert "is not used: it is of the pipeline's own plate" in report.run["remarks"][0]
    work.analyze(overwrite=True)
    assert "remarks" not in work.run().run


def test_a_damaged_analysis_is_named_and_made_again_only_when_that_is_asked(work: Any) -> None:
    work.analyze()
    work.analysis.write_bytes(work.analysis.read_bytes()[:-100])
    damaged = work.analysis.read_bytes()
    for attempt in (work.run, work.analyze):
        with pytest.raises(UsageError, match=r"job.analysis.npz is damaged .* --overwrite"):
            attempt()
    assert work.analysis.read_bytes() == damaged
    assert work.analyze(overwrite=True).looked_at == COUNT
    assert work.run().summary()["swapped"] == COUNT


@pytest.mark.parametrize("frames", [512, 4], ids=["at the end", "in mid-run"])
def test_a_file_that_cannot_be_written_stops_no_run(work: Any, monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    monkeypatch.setattr("vfxswap.analysis.book._SAVE_FRAMES", frames)
    (work.folder / "file").write_text("no folder")
    report = work.run(f"shot.analysis={work.folder / 'file' / 'kept.npz'}")
    assert report.summary()["swapped"] == COUNT
    (remark,) = [remark for remark in report.run["remarks"] if "kept" in remark]
    assert remark.startswith("what was found is not kept: cannot make the folder")


def test_a_file_that_can_be_written_in_the_end_is_whole(work: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    work.analyze()
    whole = work.analysis.read_bytes()
    work.analysis.unlink()
    monkeypatch.setattr("vfxswap.analysis.book._SAVE_FRAMES", 4)
    monkeypatch.setattr("vfxswap.analysis.book.extend_analysis", _refused_once(extend_analysis))
    made = work.analyze()
    assert work.analysis.read_bytes() == whole
    assert made.remarks == ("what was found could be kept only at the end: the share is gone",)


def _refused_once(extend: Callable[..., Any]) -> Callable[..., Any]:
    left = [MediaError("the share is gone")]

    def extended(*words: Any, **options: Any) -> Any:
        if left:
            raise left.pop()
        return extend(*words, **options)

    return extended
