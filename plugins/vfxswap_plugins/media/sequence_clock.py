"""The timecode of a sequence, by the headers of all its files."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from vfxswap.clock import Timecode
from vfxswap.errors import UsageError
from vfxswap_plugins.media.smpte import unpacked

_USUAL = (Fraction(24), Fraction(25), Fraction(30))
"""What timecode may count where the files do not say their rate; drop-frame is of the last."""


def sequence_timecode(words: Mapping[int, int], *, first: int, rate: Fraction | None) -> tuple[str | None, bool]:
    """The timecode of a sequence's first frame, and whether it counts on from there by one each frame.

    Above 30 frames a second some files count pairs of frames, as the standard has it, and some count frames: the way
    in which they count on is theirs. Files without a timecode, or that cannot be read, tell nothing against it.

    Args:
        words: The 32 bits of each file that has a timecode, by number.
        first: Number of the first frame, whose own file may tell nothing.
        rate: Frames a second, if the files say it.

    Returns:
        None if no file has a timecode; that of the first which has one, as it is, where they do not count on.
    """
    if not words:
        return None, True
    for reading in (rate, None):
        for counted in _USUAL if rate is None else (rate,):
            start = _counted({number: unpacked(word, reading) for number, word in words.items()}, first, counted)
            if start is not None:
                return start, True
    return unpacked(words[min(words)], rate), False


def _counted(codes: Mapping[int, str], first: int, rate: Fraction) -> str | None:
    """The first frame's timecode, if all others follow from it at a rate."""
    number = min(codes)
    try:
        zero = Timecode.parse(codes[number], rate) + (first - number)
    except UsageError:
        return None
    return str(zero) if all(str(zero + (other - first)) == code for other, code in codes.items()) else None
