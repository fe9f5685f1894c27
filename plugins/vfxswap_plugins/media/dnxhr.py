"""The colour that a DNxHR frame says of itself, which FFmpeg's encoder always writes as BT.709.

SMPTE ST 2019-1 (VC-3): bits 1 and 2 of byte 0x2c of a frame's header are the colour volume: BT.709, BT.2020 with
non-constant or with constant luminance, or told out of band, by the container alone.
"""

from __future__ import annotations

from vfxswap.color import ColorTags, Matrix, Primaries

_PLACE = 0x2C
_SHIFT, _MASK = 1, 0b11
_BT709, _BT2020_NCL, _OUT_OF_BAND = 0, 1, 3


def color_volume_of(tags: ColorTags) -> int:
    """The number of the colour volume that holds for tags."""
    if (tags.primaries, tags.matrix) == (Primaries.BT709, Matrix.BT709):
        return _BT709
    if (tags.primaries, tags.matrix) == (Primaries.BT2020, Matrix.BT2020_NCL):
        return _BT2020_NCL
    return _OUT_OF_BAND


def color_volume(packet: bytes) -> int:
    """The number that the frame in a packet says."""
    return packet[_PLACE] >> _SHIFT & _MASK


def with_color_volume(packet: bytes, volume: int) -> bytes:
    """The packet with another number; all other bits stay."""
    byte = packet[_PLACE] & ~(_MASK << _SHIFT) | volume << _SHIFT
    return packet[:_PLACE] + bytes([byte]) + packet[_PLACE + 1 :]
