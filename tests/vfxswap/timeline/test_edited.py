"""Where the shots of an edited movie change."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import opentimelineio as otio
import pytest

from vfxswap.errors import UsageError
from vfxswap.timeline import read_edit

RATE = 24.0


def time(frames: float) -> otio.opentime.RationalTime:
    return otio.opentime.RationalTime(frames, RATE)


def cuts_of(path: Path) -> list[float]:
    """Where new shots begin, in frames."""
    return [float(cut) for cut in read_edit(path).cuts]


def clip(count: int, start: int = 86400) -> otio.schema.Clip:
    return otio.schema.Clip("a", source_range=otio.opentime.TimeRange(time(start), time(count)))


def gap(count: int) -> otio.schema.Gap:
    return otio.schema.Gap(source_range=otio.opentime.TimeRange(time(0), time(count)))


def dissolve(before: int, behind: int) -> otio.schema.Transition:
    return otio.schema.Transition("mix", "SMPTE_Dissolve", time(before), time(behind))


def written(folder: Path, *tracks: list[object], start: float | None = None) -> Path:
    edit = otio.schema.Timeline("edit", global_start_time=None if start is None else time(start))
    for items in tracks:
        track = otio.schema.Track("V", kind=otio.schema.TrackKind.Video)
        track.extend(items)
        edit.tracks.append(track)
    edit.to_json_file(str(folder / "edit.otio"))
    return folder / "edit.otio"


def test_cuts_stand_where_clips_begin_and_end(tmp_path: Path) -> None:
    edit = read_edit(written(tmp_path, [clip(10), clip(5), gap(4), clip(6)], start=86400))
    assert [float(cut) for cut in edit.cuts] == [10, 15, 19]
    assert (edit.rate, edit.start, edit.length) == (Fraction(24), Fraction(86400), Fraction(25))


def test_a_dissolve_is_cut_in_its_middle(tmp_path: Path) -> None:
    assert cuts_of(written(tmp_path, [clip(20), dissolve(8, 2), clip(20)])) == [17]
    assert cuts_of(written(tmp_path, [clip(20), dissolve(6, 6), clip(20)])) == [20]


def test_what_lies_over_another_track_counts_and_sound_does_not(tmp_path: Path) -> None:
    path = written(tmp_path, [clip(30)], [gap(8), clip(4), gap(18)])
    root = otio.core.deserialize_json_from_file(str(path))
    sound = otio.schema.Track("A1", kind=otio.schema.TrackKind.Audio)
    sound.extend([clip(5), clip(25)])
    root.tracks.append(sound)
    root.to_json_file(str(path))
    assert cuts_of(path) == [8, 12]


def test_a_nested_edit_counts_in_the_time_of_the_whole(tmp_path: Path) -> None:
    inner = otio.schema.Track("inner")
    inner.extend([clip(6), clip(6), clip(6)])
    nested = otio.schema.Stack("nest", [inner], source_range=otio.opentime.TimeRange(time(2), time(12)))
    assert cuts_of(written(tmp_path, [clip(10), nested, clip(5)])) == [10, 14, 20, 22]


def test_what_shows_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"edit\.otio shows no clip"):
        read_edit(written(tmp_path, [gap(5)]))


def test_several_timelines_are_no_edit(tmp_path: Path) -> None:
    several = otio.schema.SerializableCollection("bin", [otio.schema.Timeline("a"), otio.schema.Timeline("b")])
    several.to_json_file(str(tmp_path / "bin.otio"))
    with pytest.raises(UsageError, match="no single timeline; export the edit alone"):
        read_edit(tmp_path / "bin.otio")
