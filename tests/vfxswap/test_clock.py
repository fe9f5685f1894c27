"""Frame ranges, exact rates and timecode."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfxswap.clock import FrameRange, Timecode, check_frames, exact_rate, frames_of, parse_rate
from vfxswap.errors import ExitCode, UsageError

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1001", [1001]),
        ("1001-1004", [1001, 1002, 1003, 1004]),
        ("1001-1006x2", [1001, 1003, 1005]),
        ("1001-1002x5", [1001]),
        ("5, 1-3 ,2", [1, 2, 3, 5]),
        ("-5--3", [-5, -4, -3]),
        ("-2-2x2", [-2, 0, 2]),
        ("0", [0]),
        ("0010", [10]),
    ],
)
def test_a_range_is_read(text: str, numbers: list[int]) -> None:
    assert list(FrameRange.parse(text)) == numbers


@pytest.mark.parametrize(
    "text", ["", " ", "1001-", "1-2-3", "1..5", "1001-1100x", "x2", "1,,2", "ten", "1.5", "1-5x-1"]
)
def test_what_is_no_range_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="write 1001, 1001-1100 or 1001-1100x2") as caught:
        FrameRange.parse(text)
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("text", ["1100-1001", "1-5x0"])
def test_a_range_runs_forwards(text: str) -> None:
    with pytest.raises(UsageError, match=f"'{text}' must run forwards"):
        FrameRange.parse(text)


def test_a_slip_of_the_finger_does_not_fill_the_memory() -> None:
    with pytest.raises(UsageError, match="more than 10000000 frames"):
        FrameRange.parse("1001-100000000000")
    assert list(FrameRange.parse("0-100000000000x50000000000")) == [0, 50_000_000_000, 100_000_000_000]


@given(st.sets(st.integers(-50, 200), min_size=1))
def test_a_range_is_written_as_it_is_read(numbers: set[int]) -> None:
    frames = FrameRange.of(numbers)
    assert list(frames) == sorted(numbers)
    assert FrameRange.parse(str(frames)) == frames


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([1, 2, 3], "1-3"),
        ([1, 3, 5, 6], "1-5x2,6"),
        ([1, 3], "1,3"),
        ([1, 2, 10, 20, 30], "1-2,10-30x10"),
        ([-3, -2], "-3--2"),
        ([7], "7"),
        ([], ""),
    ],
)
def test_a_range_is_written_shortly(numbers: list[int], text: str) -> None:
    assert str(FrameRange.of(numbers)) == text


def test_a_range_is_a_sequence() -> None:
    frames = FrameRange.parse("1-9x2")
    assert len(frames) == 5
    assert frames[0] == 1
    assert frames[-1] == 9
    assert frames[1:3] == (3, 5)
    assert [number for number in range(11) if number in frames] == [1, 3, 5, 7, 9]
    assert frames.__contains__("1") is False
    assert frames == FrameRange.parse("1,3,5,7,9")


@pytest.mark.parametrize("numbers", [(2, 1), (1, 1)])
def test_a_range_cannot_be_made_out_of_order(numbers: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"make it by FrameRange\.of"):
        FrameRange(numbers)


@pytest.mark.parametrize(
    ("decimal", "exact"),
    [
        (23.976, Fraction(24000, 1001)),
        (23.98, Fraction(24000, 1001)),
        (23.976023976, Fraction(24000, 1001)),
        (29.97, NTSC),
        (47.952, Fraction(48000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (119.88, Fraction(120000, 1001)),
        (14.985, Fraction(15000, 1001)),
        (24.0, Fraction(24)),
        (25, Fraction(25)),
        (12.5, Fraction(25, 2)),
        (Fraction(2997, 100), Fraction(2997, 100)),
        (1000.0, Fraction(1000)),
    ],
)
def test_a_decimal_rate_becomes_exact(decimal: float | Fraction, exact: Fraction) -> None:
    assert exact_rate(decimal) == exact


@pytest.mark.parametrize("rate", [0, -25.0, float("nan"), float("inf"), Fraction(0)])
def test_a_rate_is_a_positive_number(rate: float | Fraction) -> None:
    with pytest.raises(UsageError, match="must be positive"):
        exact_rate(rate)


@pytest.mark.parametrize(
    ("text", "rate", "frames"),
    [
        ("00:00:00:00", Fraction(24), 0),
        ("01:00:00:00", Fraction(24), 86400),
        ("01:00:00:00", Fraction(24000, 1001), 86400),
        ("10:59:59:24", Fraction(25), 25 * (10 * 3600 + 59 * 60 + 59) + 24),
        # The counts of SMPTE ST 12-1: 17982 labels in ten minutes of 29.97 drop-frame, 107892 in an hour.
        ("00:01:00;02", NTSC, 1800),
        ("00:00:59;29", NTSC, 1799),
        ("00:10:00;00", NTSC, 17982),
        ("01:00:00;00", NTSC, 107892),
        ("00:01:00;04", Fraction(60000, 1001), 3600),
        ("00:00:00:100", Fraction(120), 100),
    ],
)
def test_timecode_counts_frames(text: str, rate: Fraction, frames: int) -> None:
    timecode = Timecode.parse(text, rate)
    assert timecode.frames == frames
    assert str(timecode) == text


@pytest.mark.parametrize("rate", [NTSC, Fraction(60000, 1001)])
def test_drop_frame_labels_come_back_whole_over_twenty_minutes(rate: Fraction) -> None:
    first = Timecode.parse("00:59:00;10", rate)
    labels = [str(first + i) for i in range(20 * 60 * round(rate))]
    assert len(set(labels)) == len(labels)
    assert labels == sorted(labels)
    assert [Timecode.parse(label, rate).frames for label in labels] == [first.frames + i for i in range(len(labels))]


def test_timecode_goes_round_at_midnight() -> None:
    assert str(Timecode.parse("23:59:59:24", Fraction(25)) + 1) == "00:00:00:00"
    assert str(Timecode.parse("23:59:59;29", NTSC) + 1) == "00:00:00;00"
    assert str(Timecode.parse("00:00:00;00", NTSC) + -1) == "23:59:59;29"


@pytest.mark.parametrize(
    ("text", "rate", "message"),
    [
        ("1:00:00:00", Fraction(24), "is not a timecode"),
        ("01.00.00.00", Fraction(24), "is not a timecode"),
        ("24:00:00:00", Fraction(24), "does not exist at 24"),
        ("01:60:00:00", Fraction(24), "does not exist at 24"),
        ("01:00:00:24", Fraction(24000, 1001), "does not exist at 24"),
        ("01:00:00;00", Fraction(25), "is drop-frame, which exists only for 29.97"),
        ("00:01:00;00", NTSC, "does not exist in drop-frame counting"),
        ("00:01:00;03", Fraction(60000, 1001), "does not exist in drop-frame counting"),
    ],
)
def test_what_is_no_timecode_is_refused(text: str, rate: Fraction, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Timecode.parse(text, rate)


RATES = st.sampled_from(
    [Fraction(24000, 1001), Fraction(24), Fraction(25), NTSC, Fraction(30), Fraction(50), Fraction(60000, 1001)]
)


@st.composite
def timecodes(draw: st.DrawFn) -> tuple[Timecode, Fraction]:
    """Any timecode of any rate, drop-frame where that exists."""
    rate = draw(RATES)
    base = round(rate)
    drop = rate.denominator == 1001 and base % 30 == 0 and draw(st.booleans())
    day = 24 * 3600 * base - (base // 15 * 1296 if drop else 0)
    return Timecode(draw(st.integers(0, day - 1)), base, drop), rate


@given(timecodes())
def test_every_timecode_is_read_as_it_is_written(case: tuple[Timecode, Fraction]) -> None:
    code, rate = case
    assert Timecode.parse(str(code), rate) == code


@given(timecodes(), st.integers(-200_000, 200_000), st.integers(-200_000, 200_000))
def test_frames_added_to_a_timecode_add_up(case: tuple[Timecode, Fraction], one: int, two: int) -> None:
    code, _ = case
    assert code + one + two == code + (one + two)
    assert (code + one) - code == one
    assert code + one + -one == code


@given(timecodes())
def test_drop_frame_keeps_to_the_clock(case: tuple[Timecode, Fraction]) -> None:
    """SMPTE ST 12-1: a drop-frame label is never further from real time than the frames that a minute drops."""
    code, rate = case
    if code.drop:
        hours, minutes, seconds, frame = (int(part) for part in str(code).replace(";", ":").split(":"))
        shown = 3600 * hours + 60 * minutes + seconds + Fraction(frame, code.base)
        real = code.frames / rate
        assert abs(shown - real) < Fraction(code.base // 15 + 1, code.base) + Fraction(87, 1000)  # of a day: 86.4 ms


@pytest.mark.parametrize(("rate", "hour", "day"), [(NTSC, 107_892, 2_589_408), (NTSC * 2, 215_784, 5_178_816)])
def test_drop_frame_has_the_counts_of_the_standard(rate: Fraction, hour: int, day: int) -> None:
    assert Timecode.parse("01:00:00;00", rate).frames == hour
    last = Timecode.parse(f"23:59:59;{round(rate) - 1}", rate)
    assert last.frames == day - 1
    assert str(last + 1) == "00:00:00;00"


def test_timecodes_that_count_in_two_ways_have_no_distance() -> None:
    with pytest.raises(UsageError, match="do not count alike"):
        Timecode.parse("01:00:00;00", NTSC) - Timecode.parse("01:00:00:00", NTSC)


def test_a_distance_takes_the_nearer_way_around_midnight() -> None:
    late, early = (Timecode.parse(text, Fraction(24)) for text in ("23:59:59:00", "00:00:01:00"))
    assert early - late == 48
    assert late - early == -48


@pytest.mark.parametrize(
    ("text", "rate"),
    [("24", Fraction(24)), ("23.976", Fraction(24000, 1001)), ("30000/1001", NTSC), ("12.5", Fraction(25, 2))],
)
def test_a_rate_is_read(text: str, rate: Fraction) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "film", "24/0", "24fps", "24000/1001/2"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"write 24, 23\.976 or 24000/1001"):
        parse_rate(text)


@pytest.mark.parametrize("text", ["0", "-24", "nan", "inf", "-24/1"])
def test_a_rate_that_is_read_is_positive(text: str) -> None:
    with pytest.raises(UsageError, match="must be positive"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("text", "start", "rate", "frames"),
    [
        ("01:00:00:00-01:00:04:00", "01:00:00:00", Fraction(24), "1001-1097"),
        ("01:00:00:10", "01:00:00:00", Fraction(24), "1011"),
        ("01:00:00:10,1005-1007", "01:00:00:00", Fraction(24), "1005-1007,1011"),
        ("01:00:00:00-01:00:00:08x4", "01:00:00:00", Fraction(24), "1001-1009x4"),
        ("00:00:59;29-00:01:00;02", "00:00:59;28", NTSC, "1002-1003"),
        ("00:00:00:01", "23:59:59:24", Fraction(25), "1003"),
        ("1001-1004", None, Fraction(24), "1001-1004"),
    ],
)
def test_frames_are_named_by_timecode(text: str, start: str | None, rate: Fraction, frames: str) -> None:
    assert frames_of(text, first=1001, start=start, rate=rate) == FrameRange.parse(frames)


@pytest.mark.parametrize(
    ("text", "start", "message"),
    [
        ("01:00:00:00", None, "the plate says none; write frame numbers"),
        ("01:00:00;00", "01:00:00:00", "does not count as the plate does, .* without dropping"),
        ("01:00:04:00-01:00:00:00", "01:00:00:00", "must run forwards"),
        ("01:00:00:30", "01:00:00:00", "does not exist at 30"),
    ],
)
def test_timecode_that_does_not_fit_the_plate_is_refused(text: str, start: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        frames_of(text, first=1001, start=start, rate=NTSC)


@pytest.mark.parametrize("text", ["1:00:00:00", "01:00:00:00-", "01:00:00:00-1040", "01:00:00:00+24", "01:00:00"])
def test_what_is_no_range_of_timecode_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="write 01:00:00:00, 01:00:00:00-01:00:04:00"):
        check_frames(text)
