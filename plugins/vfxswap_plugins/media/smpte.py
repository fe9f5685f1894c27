"""Timecode as EXR and DPX keep it: the 32 bits of SMPTE ST 12-1, digits in BCD, as for television at 60 fields.

Two digits of frames have room for 39. So faster rates count pairs of frames, and the field mark says which of the two
it is (ST 12-1, "Frame rates greater than 30").
"""

from __future__ import annotations

from fractions import Fraction

from vfxswap.clock import Timecode
from vfxswap.errors import UsageError

DROP = 1 << 6
"""The flag of drop-frame counting."""
FIELD = 1 << 15
"""The field mark: of a pair of frames, the second."""
_MOST = 60
"""Frames a second that pairs can count."""


def packed(code: Timecode) -> int:
    """The 32 bits of a timecode.

    Raises:
        UsageError: It counts more than 60 frames a second.
    """
    if code.base > _MOST:
        raise UsageError(
            f"the timecode {code} counts {code.base} frames a second, and the headers of pictures have room for {_MOST}"
        )
    hours, minutes, seconds, frame = (int(part) for part in str(code).replace(";", ":").split(":"))
    frame, field = divmod(frame, 2) if code.base > _MOST // 2 else (frame, 0)
    digits = (value // 10 << 4 | value % 10 for value in (hours, minutes, seconds, frame))
    word = int.from_bytes(bytes(digits), "big")
    return word | (DROP if code.drop else 0) | (FIELD if field else 0)


def unpacked(word: int, rate: Fraction | None) -> str:
    """The timecode of 32 bits, which may be nonsense.

    Args:
        word: The bits.
        rate: Frames a second, if the file says it: above 30, pairs are counted. Files that count frames up to 39 in
            spite of that are recognised by what no pair can be.
    """
    frame, second, minute, hour = (
        (word >> shift & 0xF) + 10 * (word >> shift + 4 & tens) for shift, tens in ((0, 3), (8, 7), (16, 7), (24, 3))
    )
    base = 0 if rate is None else round(rate)
    if _MOST // 2 < base <= _MOST and frame < -(-base // 2):
        frame = 2 * frame + bool(word & FIELD)
    return f"{hour:02d}:{minute:02d}:{second:02d}{';' if word & DROP else ':'}{frame:02d}"
