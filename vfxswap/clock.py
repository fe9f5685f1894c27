"""Frame numbers, ranges, rates and timecode; all exact.

Frame numbers are the shot's own (1001 is 1001). Ranges are inclusive, as on a farm. Time is a `Fraction`; seconds as a
float exist only for display.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import overload

from vfxswap.errors import UsageError

_MOST_FRAMES = 10_000_000
"""Four days at 24 frames a second; more is a slip of the finger, and would fill the memory."""
_PART = re.compile(r"^\s*(-?\d+)(?:-(-?\d+)(?:x(\d+))?)?\s*$")
_CODE = r"\d{2}:\d{2}:\d{2}[:;]\d{2,3}"
_CODE_PART = re.compile(rf"^\s*({_CODE})(?:-({_CODE})(?:x(\d+))?)?\s*$")


@dataclass(frozen=True, slots=True)
class FrameRange(Sequence[int]):
    """An ordered set of frame numbers, such as `1001-1100x2,1200`.

    Iterates and indexes like a tuple of ints.
    """

    numbers: tuple[int, ...]
    """Ascending, without repeats."""

    def __post_init__(self) -> None:
        if any(a >= b for a, b in pairwise(self.numbers)):
            raise UsageError("the numbers of a FrameRange must ascend without repeats; make it by FrameRange.of")

    @classmethod
    def parse(cls, text: str) -> FrameRange:
        """Reads `1001`, `1001-1100`, `1001-1100x2`, comma lists and negative numbers (`-5--1`).

        Raises:
            UsageError: The text is none of these, is empty, or runs backwards.
        """
        found: set[int] = set()
        for part in text.split(","):
            match = _PART.match(part)
            if match is None:
                raise UsageError(
                    f"cannot read {part.strip()!r} in frame range {text!r}; write 1001, 1001-1100 or 1001-1100x2"
                )
            first = int(match[1])
            last = int(match[2]) if match[2] is not None else first
            step = int(match[3]) if match[3] is not None else 1
            if last < first or step < 1:
                raise UsageError(f"frame range {part.strip()!r} must run forwards with a step of at least 1")
            if (last - first) // step >= _MOST_FRAMES:
                raise UsageError(
                    f"frame range {part.strip()!r} has more than {_MOST_FRAMES} frames; is a digit too many?"
                )
            found.update(range(first, last + 1, step))
        return cls(tuple(sorted(found)))

    @classmethod
    def of(cls, numbers: Iterable[int]) -> FrameRange:
        """The set of these numbers."""
        return cls(tuple(sorted(set(numbers))))

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[int, ...]: ...
    def __getitem__(self, index: int | slice) -> int | tuple[int, ...]:
        return self.numbers[index]

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers)

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        place = bisect_left(self.numbers, number)
        return place < len(self.numbers) and self.numbers[place] == number

    def __str__(self) -> str:
        parts: list[str] = []
        rest = list(self.numbers)
        while rest:
            step = rest[1] - rest[0] if len(rest) > 1 else 1
            count = 1
            while count < len(rest) and rest[count] - rest[count - 1] == step:
                count += 1
            if count == 2 and step != 1:
                count = 1
            run, rest = rest[:count], rest[count:]
            text = str(run[0]) if count == 1 else f"{run[0]}-{run[-1]}"
            parts.append(text if count == 1 or step == 1 else f"{text}x{step}")
        return ",".join(parts)


def exact_rate(rate: float | Fraction) -> Fraction:
    """Recovers the exact rate that a decimal stands for: 23.976 is 24000/1001, 25.0 is 25.

    A decimal within 0.02 % of `n * 1000 / 1001` for a whole n (NTSC's family, SMPTE ST 12-1) becomes that; anything
    else the nearest fraction with a denominator of at most 1001.

    Raises:
        UsageError: The rate is not a positive number.
    """
    if not math.isfinite(rate) or rate <= 0:
        raise UsageError(f"a frame rate must be positive, got {rate}")
    if isinstance(rate, Fraction):
        return rate
    whole = round(rate * 1001 / 1000)
    ntsc = Fraction(whole * 1000, 1001)
    if rate != round(rate) and whole > 0 and abs(float(ntsc) - rate) / rate < 2e-4:
        return ntsc
    return Fraction(rate).limit_denominator(1001)


def parse_rate(text: str) -> Fraction:
    """Reads `24`, `23.976` or `24000/1001`; decimals become exact, see `exact_rate`.

    Raises:
        UsageError: It is none of these, or not positive.
    """
    over, slash, under = text.partition("/")
    try:
        return exact_rate(Fraction(int(over), int(under)) if slash else float(text))
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"{text!r} is not a frame rate; write 24, 23.976 or 24000/1001") from None


_TIMECODE = re.compile(r"^(\d{2}):(\d{2}):(\d{2})([:;])(\d{2,3})$")


@dataclass(frozen=True, slots=True)
class Timecode:
    """A SMPTE ST 12-1 timecode as a count of frames since midnight."""

    frames: int
    """Frames since 00:00:00:00, wrapped at 24 hours."""
    base: int
    """Nominal frames a second (30 for 29.97)."""
    drop: bool = False
    """Drop-frame counting: labels 00 and 01 (of 30) are left out each minute but every tenth."""

    @classmethod
    def parse(cls, text: str, rate: Fraction) -> Timecode:
        """Reads `HH:MM:SS:FF`, or `HH:MM:SS;FF` for drop-frame.

        Raises:
            UsageError: Not a timecode of that rate.
        """
        match = _TIMECODE.match(text)
        if match is None:
            raise UsageError(f"{text!r} is not a timecode; write HH:MM:SS:FF, or HH:MM:SS;FF for drop-frame")
        base = round(rate)
        hours, minutes, seconds, frame = (int(match[i]) for i in (1, 2, 3, 5))
        drop = match[4] == ";"
        if hours > 23 or minutes > 59 or seconds > 59 or frame >= base:
            raise UsageError(f"timecode {text!r} does not exist at {base} frames a second")
        if drop and base % 30:
            raise UsageError(
                f"timecode {text!r} is drop-frame, which exists only for 29.97 and its multiples, not {rate}"
            )
        dropped = base // 15
        if drop and seconds == 0 and frame < dropped and minutes % 10:
            raise UsageError(f"timecode {text!r} does not exist in drop-frame counting")
        total_minutes = hours * 60 + minutes
        count = (total_minutes * 60 + seconds) * base + frame
        if drop:
            count -= dropped * (total_minutes - total_minutes // 10)
        return cls(count, base, drop)

    def __add__(self, frames: int) -> Timecode:
        return Timecode((self.frames + frames) % self._day, self.base, self.drop)

    def __sub__(self, other: Timecode) -> int:
        """Frames from `other` to this one by the nearer way around midnight; both of one base and counting."""
        if (self.base, self.drop) != (other.base, other.drop):
            raise UsageError(f"{self} and {other} do not count alike")
        half = self._day // 2
        return (self.frames - other.frames + half) % self._day - half

    @property
    def _day(self) -> int:
        day = 24 * 3600 * self.base
        return day - (self.base // 15) * (1440 - 144) if self.drop else day

    def __str__(self) -> str:
        count = self.frames
        if self.drop:
            dropped = self.base // 15
            ten_minutes = 600 * self.base - 9 * dropped
            tens, rest = divmod(count, ten_minutes)
            count += dropped * 9 * tens
            if rest >= 60 * self.base:
                count += dropped * (1 + (rest - 60 * self.base) // (60 * self.base - dropped))
        seconds, frame = divmod(count, self.base)
        sign = ";" if self.drop else ":"
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{sign}{frame:02d}"


def says_timecode(text: str) -> bool:
    """Whether frames are named by timecode in a text, at least in part."""
    return ":" in text


def check_frames(text: str) -> None:
    """Whether a text may say which frames; those of a timecode are known only with the plate.

    Raises:
        UsageError: It can be no range of frames, nor one of timecode.
    """
    numbers = [part for part in text.split(",") if not says_timecode(part)]
    if numbers:
        FrameRange.parse(",".join(numbers))
    for part in text.split(","):
        if says_timecode(part) and _CODE_PART.match(part) is None:
            raise UsageError(
                f"cannot read {part.strip()!r} in frame range {text!r}; write 01:00:00:00, 01:00:00:00-01:00:04:00 or"
                " 01:00:00:00-01:00:04:00x2, with ; before the frames for drop-frame"
            )


def frames_of(text: str, *, first: int, start: str | None, rate: Fraction) -> FrameRange:
    """The frames that a text names by number or by timecode, both ends included.

    Args:
        text: As `1001-1100x2`, `01:00:00:00-01:00:04:00`, or a comma list of either.
        first: Number of the plate's first frame.
        start: Timecode of that frame; None if the plate says none.
        rate: Frames a second.

    Raises:
        UsageError: It cannot be read, names timecode where the plate has none or counts it in another way, or runs
            backwards.
    """
    check_frames(text)
    if not says_timecode(text):
        return FrameRange.parse(text)
    if start is None:
        raise UsageError(f"frames {text!r} are named by timecode, and the plate says none; write frame numbers")
    zero = Timecode.parse(start, rate)
    parts = [_as_numbers(part, first, zero, rate) for part in text.split(",")]
    return FrameRange.parse(",".join(parts))


def _as_numbers(part: str, first: int, zero: Timecode, rate: Fraction) -> str:
    match = _CODE_PART.match(part)
    if match is None:
        return part
    ends = [Timecode.parse(code, rate) for code in match.groups()[:2] if code is not None]
    for code in ends:
        if code.drop != zero.drop:
            counts = "drop-frame (;)" if zero.drop else "without dropping (:)"
            raise UsageError(f"timecode {code} does not count as the plate does, which begins at {zero}: {counts}")
    numbers = [first + (code - zero) for code in ends]
    if numbers != sorted(numbers):
        raise UsageError(f"frame range {part.strip()!r} must run forwards")
    return "-".join(map(str, numbers)) + (f"x{match[3]}" if match[3] else "")
