"""`[shot] cuts` as a file: an edit, a list of scenes, a text; or what is wrong with it, word for word."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import opentimelineio as otio
import pytest

from vfxswap.color import ColorTags, PixelLayout
from vfxswap.errors import UsageError
from vfxswap.media import PlateInfo
from vfxswap.pipeline.cutlist import read_cuts

SCENES = """\
Timecode List:,00:00:00.400,00:00:01.000
Scene Number,Start Frame,Start Timecode,Start Time (seconds),End Frame,End Timecode,End Time (seconds)
1,1,00:00:00.000,0.000,10,00:00:00.400,0.400
2,11,00:00:00.400,0.400,25,00:00:01.000,1.000
3,26,00:00:01.000,1.000,100,00:00:04.000,4.000
"""


def plate(first: int = 1001, **facts: Any) -> PlateInfo:
    layout, tags = PixelLayout("rgb24", "rgb", 8), ColorTags()
    path = Path("plate.####.png")
    return PlateInfo(path, 64, 36, layout, tags, first=first, count=100, rate=Fraction(24), **facts)


def edit(folder: Path, *counts: int, rate: float = 24.0, start: float | None = None) -> Path:
    time = otio.opentime.RationalTime
    timeline = otio.schema.Timeline("edit", global_start_time=None if start is None else time(start, rate))
    track = otio.schema.Track("V1")
    for count in counts:
        track.append(otio.schema.Clip("a", source_range=otio.opentime.TimeRange(time(0, rate), time(count, rate))))
    timeline.tracks.append(track)
    timeline.to_json_file(str(folder / "edit.otio"))
    return folder / "edit.otio"


def listed(folder: Path, text: str, name: str = "cuts.txt") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_text_has_the_plates_own_numbers(tmp_path: Path) -> None:
    text = "# found by eye\n1025\n1049, 1012  # a jump\n\n1025 01:00:01:00\n"
    assert read_cuts(listed(tmp_path, text), plate(timecode="01:00:00:00")) == (1012, 1025, 1049)


def test_a_list_of_scenes_counts_from_the_plates_first_frame(tmp_path: Path) -> None:
    assert read_cuts(listed(tmp_path, SCENES, "a-Scenes.csv"), plate()) == (1011, 1026)
    without_times = SCENES.partition("\n")[2]
    assert read_cuts(listed(tmp_path, "\ufeff" + without_times, "b.csv"), plate(first=1)) == (11, 26)


def test_an_edit_counts_from_the_plates_first_frame(tmp_path: Path) -> None:
    assert read_cuts(edit(tmp_path, 10, 30, 60), plate()) == (1011, 1041)
    assert read_cuts(edit(tmp_path, 10, 30, 60, rate=23.976), plate()) == (1011, 1041)


def test_of_an_edit_at_another_rate_times_count(tmp_path: Path) -> None:
    assert read_cuts(edit(tmp_path, 25, 25, 50, rate=25.0), plate()) == (1025, 1049)


def test_a_reel_takes_its_part_of_the_edit_by_timecode(tmp_path: Path) -> None:
    """The edit begins at an hour, the plate 20 frames later; cuts before and after it are not its own."""
    path = edit(tmp_path, 10, 30, 60, 50, start=86400)
    assert read_cuts(path, plate(timecode="01:00:00:20")) == (1021, 1081)
    assert read_cuts(path, plate(timecode="10:00:00:00")) == (1011, 1041, 1101)[:2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1012\nsoon\n", "line 2: cannot read 'soon' in frame range 'soon'"),
        ("1012 1020-1030", "line 1: '1020-1030' is more than one frame"),
        ("01:00:00:10", "named by timecode, and the plate says none"),
        ("Scene Number,Start Frame\n1,1\n2,?\n", "line 3: there is no frame in column 'Start Frame'"),
    ],
)
def test_what_is_no_list_of_cuts_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=r"cuts\.txt") as caught:
        read_cuts(listed(tmp_path, text), plate())
    assert words in str(caught.value)


def test_a_file_of_bytes_is_no_list(tmp_path: Path) -> None:
    (tmp_path / "cuts.txt").write_bytes(b"\xff\xfe1\x00")
    with pytest.raises(UsageError, match="no text in UTF-8"):
        read_cuts(tmp_path / "cuts.txt", plate())


def test_the_pipeline_file_names_it(loaded: Callable[..., Any], pipeline_text: str, project: Path) -> None:
    listed(project, "20\n50\n")
    named = loaded(pipeline_text.replace("[shot]", '[shot]\ncuts = "cuts.txt"'))
    stated = loaded(pipeline_text.replace("[shot]", "[shot]\ncuts = [20, 50]"))
    assert named.shot.given_cuts == (20, 50)
    assert named.key == stated.key, "the file says it, its name and time do not"
    listed(project, "20\n51\n")
    assert loaded(pipeline_text.replace("[shot]", '[shot]\ncuts = "cuts.txt"')).key != named.key


def test_what_is_wrong_with_it_stands_with_all_else(
    complaints: Callable[..., list[str]], pipeline_text: str, project: Path
) -> None:
    listed(project, "20 1050\n")
    listed(project, "soon", "soon.txt")
    text = pipeline_text.replace("[shot]", "[shot]\ncuts = {}")
    assert complaints(text.format('"cuts.txt"')) == [
        "job.toml: shot: cuts: there are cuts outside the plate (found [1050]); allowed: 2..100; a cut is the first"
        " frame of the new shot"
    ]
    assert complaints(text.format('"soon.txt"'))[0].startswith("job.toml: shot: cuts: soon.txt, line 1: cannot read")
    assert complaints(text.format('"none.txt"')) == [
        "job.toml: shot: cuts: none.txt cannot be read: No such file or directory (found 'none.txt')"
    ]
    assert complaints(text.format("3.5")) == [
        'job.toml: shot: cuts: is none of what may stand here (found 3.5); allowed: "auto", a list of whole numbers or'
        " a path"
    ]
