"""How far a run is, in the words of terminals and farms."""

from __future__ import annotations

import io
import json
import re

import pytest

from vfxswap.cli.progress import Bar, Renderer, clock_text, renderer
from vfxswap.report import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


def spoken(style: str, total: int, *, seconds_a_frame: float = 1.0) -> list[str]:
    """The lines of a run of that many frames."""
    stream = io.StringIO()
    with renderer(style, stream) as tell:
        now = 0.0
        tell.clock = lambda: now
        for done in range(1, total + 1):
            now += seconds_a_frame
            tell(Progress(done, total, 1000 + done, 1 / seconds_a_frame, (total - done) * seconds_a_frame))
    return stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("style", "first", "last"),
    [
        ("deadline", "Progress: 25%", "Progress: 100%"),
        ("alfred", "ALF_PROGRESS 25%", "ALF_PROGRESS 100%"),
        ("openjd", "openjd_progress: 25.0", "openjd_status: frame 1004, 4 of 4 (100 %), 1.0 fps"),
    ],
)
def test_a_farms_words_stand_in_column_0(style: str, first: str, last: str) -> None:
    lines = spoken(style, 4)
    assert lines[0] == first
    assert lines[-1] == last


def test_openjd_tells_a_status_with_each_progress() -> None:
    assert spoken("openjd", 2) == [
        "openjd_progress: 50.0",
        "openjd_status: frame 1001, 1 of 2 (50 %), 1.0 fps, 0:01 left",
        "openjd_progress: 100.0",
        "openjd_status: frame 1002, 2 of 2 (100 %), 1.0 fps",
    ]


@pytest.mark.parametrize("style", ["deadline", "alfred"])
def test_a_long_shot_is_told_in_whole_percents(style: str) -> None:
    lines = spoken(style, 5000)
    percents = [int(match[0]) for line in lines if (match := re.search(r"\d+", line))]
    assert percents == list(range(101))


def test_json_is_one_object_a_line() -> None:
    assert json.loads(spoken("json", 1)[0]) == {
        "type": "progress",
        "done": 1,
        "total": 1,
        "frame": 1001,
        "fps": 1.0,
        "eta_seconds": 0.0,
        "is_survey": False,
    }


def test_a_log_gets_a_line_every_few_seconds() -> None:
    lines = spoken("auto", 100, seconds_a_frame=0.5)
    assert lines[0] == "frame 1001, 1 of 100 (1 %), 2.0 fps, 0:50 left"
    assert lines[-1] == "frame 1100, 100 of 100 (100 %), 2.0 fps"
    assert len(lines) == 11


def test_none_is_silent() -> None:
    assert spoken("none", 10) == []


def test_a_failure_is_told_to_those_who_have_words_for_it() -> None:
    def lines(style: str) -> list[str]:
        stream = io.StringIO()
        with pytest.raises(OSError, match="disk"), renderer(style, stream):
            raise OSError("disk is\nfull")
        return stream.getvalue().splitlines()

    assert lines("openjd") == ["openjd_fail: disk is full"]
    assert json.loads(lines("json")[0]) == {"type": "error", "message": "disk is\nfull"}
    assert lines("deadline") == lines("none") == lines("auto") == []


def test_every_line_is_flushed() -> None:
    flushed = []

    class Pipe(io.StringIO):
        def flush(self) -> None:
            flushed.append(self.getvalue())

    renderer("openjd", Pipe())(Progress(1, 2, 1001, 0.0, 0.0))
    assert flushed[-1] == "openjd_progress: 50.0\nopenjd_status: frame 1001, 1 of 2 (50 %)\n"


def test_a_look_before_the_run_is_no_frame_done() -> None:
    stream = io.StringIO()
    renderer("openjd", stream)(Progress(0, 9, 1004, 0.0, 0.0, is_survey=True))
    assert stream.getvalue() == "openjd_progress: 0.0\nopenjd_status: looks at frame 1004 before the run\n"


def test_a_terminal_gets_a_bar() -> None:
    stream = Terminal()
    with renderer("auto", stream) as tell:
        assert isinstance(tell, Bar)
        tell(Progress(3, 3, 1003, 2.0, 0.0))
    assert "frame 1003" in stream.getvalue()
    assert "3/3" in stream.getvalue()


def test_an_unknown_style() -> None:
    with pytest.raises(KeyError):
        renderer("loud")
    assert type(renderer("none")) is Renderer


def test_times() -> None:
    assert [clock_text(seconds) for seconds in (0, 28.4, 725, 3723)] == ["0:00", "0:28", "12:05", "1:02:03"]
