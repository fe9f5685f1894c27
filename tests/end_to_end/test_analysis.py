"""An analysis spares finding faces again and changes no bit; edits change what they speak of, and outlive it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import vfxswap
from vfxswap.analysis import Analysis, Edits, extend_analysis, read_analysis, write_analysis, write_edits
from vfxswap.analysis.edits import BoxKeys, Delete, GiveIdentity, PointKeys
from vfxswap.cli import main
from vfxswap.clock import FrameRange
from vfxswap.errors import FrameFailed, MediaError, PipelineError, TruncatedPlate, UsageError
from vfxswap.host import Host
from vfxswap.models import ModelStore
from vfxswap.pipeline import Pipeline, load
from vfxswap.recall import analyze
from vfxswap.report import Report
from vfxswap_plugins.media.movie_reader import MovieReader

Movie = list[list[NDArray[np.uint8]]]
COUNT, SIZE = 16, (256, 96)
HERE = Path(__file__).parent

JOB = """\
[shot]
plate = "../demo-out/two/plate.mkv"
production = "lab"
[identities.hero]
path = "../demo-out/two/identity"
[[stages]]
use = "counted"
path = "../demo-out/two/tracks.json"
TRACKER[[stages]]
use = "counted-points"
crop_size = 48
[[stages]]
use = "steady-landmarks"
radius_frames = 1
[[stages]]
use = "negative"
identity = "hero"
[[stages]]
use = "alpha"
[delivery]
path = "../demo-out/out.mkv"
"""
TRACKED = '[[stages]]\nuse = "face-tracker"\npicture_size = 128\n'


class Work:
    """A job in a folder of its own, with its plugin that counts."""

    def __init__(self, place: Any, folder: Path, decoded: Callable[[Path], Movie]) -> None:
        self.place, self.folder, self.decoded = place, folder, decoded
        self.host = Host(plugin_path=[HERE / "counting"])
        self.path = place.write("job.toml", JOB.replace("TRACKER", ""))
        self.analysis, self.edits = (self.path.with_name(f"job.{name}") for name in ("analysis.npz", "edits.json"))

    def plan(self, *overrides: str, **options: Any) -> Pipeline:
        store = ModelStore.from_environment(self.host.model_cards())
        return load(self.path, self.host, store=store, overrides=overrides, device="cpu", **options)

    def analyze(self, *overrides: str, **options: Any) -> Any:
        return analyze(self.plan(*overrides), self.host, workers=2, **options)

    def run(self, *overrides: str, **options: Any) -> Report:
        out = self.folder / "out.mkv"
        options = {"out": out, "overwrite": True, "device": "cpu", "workers": 2, "host": self.host, **options}
        return vfxswap.run(self.path, overrides=overrides, **options)

    def movie(self, *overrides: str, **options: Any) -> Movie:
        return self.decoded(self.run(*overrides, **options).outputs[0])

    def asked(self) -> tuple[list[int], int]:
        """At which frames the detector was asked since the last time, and how many faces the aligner was shown."""
        path = self.folder / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        path.write_text("")
        return sorted(int(line.split()[1]) for line in lines if line.startswith("face")), lines.count("points")

    def edit(self, *edits: Any) -> None:
        write_edits(self.edits, Edits(width=SIZE[0], height=SIZE[1], edits=edits))


@pytest.fixture
def work(drawn: Any, tmp_path: Path, decoded: Callable[[Path], Movie], monkeypatch: pytest.MonkeyPatch) -> Work:
    """Two drawn people side by side, 16 frames."""
    monkeypatch.setenv("VFXSWAP_LOAD_PLUGINS", "vfxswap-plugins,counting")
    monkeypatch.setenv("COUNT_FOLDER", str(tmp_path))
    place = type(drawn)(tmp_path / "place")
    shutil.copytree(drawn.root / "demo-out" / "two", place.shot / "two")
    place.pipelines.mkdir()
    return Work(place, tmp_path, decoded)


def same(a: Movie, b: Movie) -> bool:
    return len(a) == len(b) and all(
        np.array_equal(x, y) for one, other in zip(a, b, strict=True) for x, y in zip(one, other, strict=True)
    )


def changed(a: Movie, b: Movie) -> list[int]:
    return [number for number, (x, y) in enumerate(zip(a, b, strict=True), 1) if not same([x], [y])]


def every(frames: Sequence[int] = range(1, COUNT + 1)) -> list[int]:
    return list(frames)


def test_changing_the_look_finds_no_face_again_and_no_bit_changes(work: Work) -> None:
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
def tracked(work: Work) -> Work:
    """The same, whose tracks only a tracker knows."""
    text = JOB.replace("TRACKER", TRACKED).replace('tracks.json"', 'tracks.json"\ntracks = false')
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


def test_with_a_tracker_all_chunks_take_what_one_has_seen(tracked: Work) -> None:
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
    tracked: Work, stumbles: Callable[[int, int], list[str]]
) -> None:
    tracked.analyze()
    whole = tracked.analysis.read_bytes()
    tracked.analysis.unlink()
    left = stumbles(10, 1)
    made = tracked.analyze()
    assert (left, made.remarks) == ([], ())
    assert tracked.analysis.read_bytes() == whole


def test_tracks_of_a_part_of_the_plate_are_not_kept(tracked: Work, stumbles: Callable[[int, int], list[str]]) -> None:
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


def test_tracks_of_a_part_of_the_plate_are_not_gone_on_with(tracked: Work) -> None:
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


def test_what_likeness_is_measured_by_is_known_too(work: Work) -> None:
    """Who is like a still is asked of all the plate; the still itself is looked at in each run."""
    rule = 'face = {by = "like", still = "../demo-out/two/identity/still01.png"}\n[[stages]]\nuse = "counted"'
    text = JOB.replace('[[stages]]\nuse = "counted"', rule, 1).replace("TRACKER", TRACKED)
    work.path = work.place.write("job.toml", text)
    without = work.movie()
    assert work.asked()[1] > 2 * COUNT
    work.analyze()
    work.asked()
    assert same(work.movie(), without)
    assert work.asked() == ([], 1)


def test_a_stated_analysis_is_made_by_runs_and_extended(work: Work) -> None:
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


def test_other_settings_of_finding_are_said_found_anew_and_kept(work: Work) -> None:
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


def test_an_analysis_of_another_plate_is_refused_with_both_named(
    work: Work, capsys: pytest.CaptureFixture[str]
) -> None:
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


def test_a_damaged_analysis_is_named_and_made_again_only_when_that_is_asked(work: Work) -> None:
    work.analyze()
    work.analysis.write_bytes(work.analysis.read_bytes()[:-100])
    damaged = work.analysis.read_bytes()
    for attempt in (work.run, work.analyze):
        with pytest.raises(UsageError, match=r"job.analysis.npz is damaged .* --overwrite"):
            attempt()
    assert work.analysis.read_bytes() == damaged
    assert work.analyze(overwrite=True).looked_at == COUNT
    assert work.run().summary()["swapped"] == COUNT


@pytest.mark.parametrize("is_known", [False, True], ids=["found", "known"])
def test_edits_change_what_they_speak_of_the_same_in_chunks_and_with_an_analysis(work: Work, *, is_known: bool) -> None:
    whole = work.movie()
    if is_known:
        work.analyze()
    keys = {"4": (10.0, 10.0, 90.0, 86.0), "6": (14.0, 10.0, 94.0, 86.0)}
    work.edit(BoxKeys(track=1, keys=keys), Delete(track=1, frames="12"))
    edited = work.movie()
    # A frame more on both sides, as landmarks are steadied that far.
    assert set(changed(whole, edited)) <= {3, 4, 5, 6, 7, 11, 12, 13}
    assert {4, 5, 6, 12} <= set(changed(whole, edited))
    assert same(work.movie(frames="5-5"), edited[4:5])
    assert same(work.movie(frames="12-13"), edited[11:13])
    assert len(read_analysis(work.analysis).found) == COUNT if is_known else not work.analysis.exists()
    work.edits.unlink()
    assert same(work.movie(), whole)


def test_edits_are_no_part_of_what_is_found_and_survive_its_being_found_anew(work: Work) -> None:
    work.edit(GiveIdentity(track=2, identity="hero"))
    work.analyze()
    found = work.analysis.read_bytes()
    edited = work.movie()
    assert work.analysis.read_bytes() == found
    work.analyze(overwrite=True)
    assert work.analysis.read_bytes() == found
    assert same(work.movie(), edited)
    left = slice(0, SIZE[0] // 2)
    plain = work.decoded(work.place.shot / "two" / "plate.mkv")
    assert all(np.array_equal(a[0][:, left], b[0][:, left]) for a, b in zip(plain, edited, strict=True))
    assert not same(plain, edited)


def test_dense_points_by_hand_are_not_aligned_again(work: Work) -> None:
    work.analyze()
    face = read_analysis(work.analysis).found[3].faces[0]
    work.edit(BoxKeys(track=1, keys={"3": (0.0, 0.0, 90.0, 90.0)}))
    work.asked()
    work.run()
    assert work.asked() == ([], 1)
    assert face.landmarks is not None
    points = tuple(tuple(point) for point in face.landmarks.points.tolist())
    work.edit(PointKeys(track=1, scheme=face.landmarks.scheme, keys={"3": points}))
    work.run()
    assert work.asked() == ([], 0)


def test_edits_that_cannot_be_are_refused_before_the_first_frame(work: Work) -> None:
    work.edit(Delete(track=1, frames="17"))
    with pytest.raises(PipelineError, match=r"job.edits.json, edit 1 \(delete\): frame 17 is outside the shot"):
        work.run()
    work.edit(Delete(track=8))
    with pytest.raises(UsageError, match=r"there is no track 8; there are 1 \(1-16\), 2 \(1-16\)"):
        work.run()
    work.edits.write_text('{"format": "vfxswap-edits", "version": 1, "width": 256, "height": 96, "cuts": []}')
    with pytest.raises(PipelineError, match=r"job.edits.json: cuts: there is no such key"):
        work.run()
    assert work.asked()[0] in ([], every())
    with pytest.raises(PipelineError, match="there is no such edits file"):
        work.run("shot.edits=elsewhere.json")


@pytest.mark.parametrize("frames", [512, 4], ids=["at the end", "in mid-run"])
def test_a_file_that_cannot_be_written_stops_no_run(work: Work, monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    monkeypatch.setattr("vfxswap.analysis.book._SAVE_FRAMES", frames)
    (work.folder / "file").write_text("no folder")
    report = work.run(f"shot.analysis={work.folder / 'file' / 'kept.npz'}")
    assert report.summary()["swapped"] == COUNT
    (remark,) = [remark for remark in report.run["remarks"] if "kept" in remark]
    assert remark.startswith("what was found is not kept: cannot make the folder")


def test_a_file_that_can_be_written_in_the_end_is_whole(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_tracks_are_shown_edited_and_taken_elsewhere_and_back(work: Work, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main(["--plugin-path", str(HERE / "counting"), *words]) == code
        return "".join(capsys.readouterr())

    job = str(work.path)
    assert "there is no analysis" in said("tracks", "show", job, code=2)
    assert "16 frames (1-16), 16 of them now" in said("analyze", job, "--progress", "none")
    assert "nothing to do" in said("analyze", job, "--progress", "none")
    shown = json.loads(said("tracks", "show", job, "--json"))
    assert [(track["track"], track["frames"]) for track in shown["tracks"]] == [(1, "1-16"), (2, "1-16")]
    edit = ("tracks", "edit")
    assert "box set at 5" in said(*edit, "set-box", job, "--track", "1", "--frame", "5", "--box", "10,10,90,86")
    assert "box set at 9" in said(*edit, "lock", job, "--track", "1", "--frame", "9")
    assert "becomes hero" in said(*edit, "identity", job, "--track", "2", "--identity", "hero")
    assert "it is track 3" in said(*edit, "new", job, "--frame", "2", "--box", "1 2 30 40")
    five = "20,30 60,30 40,50 25,70 55,70"
    assert "five points set at 3" in said(*edit, "set-points", job, "--track", "3", "--frame", "3", "--five", five)
    assert "deleted at 14-16" in said(*edit, "delete", job, "--track", "2", "--frames", "14-16")
    table = said("tracks", "show", job)
    assert "5-9" in table
    assert "hero" in table
    for wrong, words in (
        (("--track", "9", "--frame", "5", "--box", "1,2,3,4"), "there is no track 9"),
        (("--track", "1", "--frame", "50", "--box", "1,2,3,4"), "frame 50 is outside the shot, which has 1-16"),
        (("--track", "1", "--frame", "5", "--box", "1,2,3"), "write 4 numbers"),
        (("--track", "2", "--frame", "15", "--box", "1,2,3,4"), "track 2 is deleted at frame 15"),
    ):
        before = work.edits.read_bytes()
        assert words in said(*edit, "set-box", job, *wrong, code=2)
        assert work.edits.read_bytes() == before
    assert "both have a face at 1-13" in said(*edit, "join", job, "--track", "1", "--with", "2", code=2)
    for name in ("t.json", "t.csv", "t.nk"):
        file = str(work.folder / name)
        said("tracks", "export", job, file)
        assert "is there already" in said("tracks", "export", job, file, code=2)
        assert "nothing in it differs" in said("tracks", "import", job, file)
    text = (work.folder / "t.csv").read_text().replace("\n7,2,", "\n7,2,").splitlines()
    place = next(i for i, line in enumerate(text) if line.startswith("7,2,"))
    cells = text[place].split(",")
    cells[3:7] = ["130.0", "5.0", "230.0", "90.0"]
    (work.folder / "t.csv").write_text("\n".join([*text[:place], ",".join(cells), *text[place + 1 :]]) + "\n")
    assert "track 2: box set at 7, then as found" in said("tracks", "import", job, str(work.folder / "t.csv"))
    assert "took back track 2: box set at 7" in said(*edit, "undo", job)
    assert "there is no edit to take back" in said(*edit, "undo", job, "--count", "99") + said(
        *edit, "undo", job, code=2
    )
