"""Edits of an analysis change what they speak of, and outlive its being made anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vfxswap.analysis import read_analysis
from vfxswap.analysis.edits import BoxKeys, Delete, GiveIdentity, PointKeys
from vfxswap.cli import main
from vfxswap.errors import PipelineError, UsageError

Movie = list[list[NDArray[np.uint8]]]
COUNT, SIZE = 16, (256, 96)
HERE = Path(__file__).parents[1]


@pytest.mark.parametrize("is_known", [False, True], ids=["found", "known"])
def test_edits_change_what_they_speak_of_the_same_in_chunks_and_with_an_analysis(
    work: Any, same: Callable[[Movie, Movie], bool], changed: Callable[[Movie, Movie], list[int]], *, is_known: bool
) -> None:
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


def test_edits_are_no_part_of_what_is_found_and_survive_its_being_found_anew(
    work: Any, same: Callable[[Movie, Movie], bool]
) -> None:
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


def test_dense_points_by_hand_are_not_aligned_again(work: Any) -> None:
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


def test_edits_that_cannot_be_are_refused_before_the_first_frame(work: Any, every: Callable[[], list[int]]) -> None:
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


def test_tracks_are_shown_edited_and_taken_elsewhere_and_back(work: Any, capsys: pytest.CaptureFixture[str]) -> None:
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
