"""The checksums that FFV1 stores with each slice, which FFmpeg checks but reports only in its log.

RFC 9043, 4.9: a slice ends with its size (24 bits), an error status (8 bits), and a parity that makes the CRC-32
(polynomial 0x04C11DB7, from 0, not reflected) of the whole slice 0.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_FOOTER_BYTES = 8
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""zlib's CRC takes the bits of a byte in the other order."""


def has_whole_slices(packet: bytes) -> bool:
    """Whether a packet is made of slices with checksums, and all of them are right.

    Of the first packet this says whether the stream has checksums at all; of later ones, whether they are undamaged.
    """
    slices = list(_slices(packet))
    return bool(slices) and all(piece is not None and _crc(piece) == 0 for piece in slices)


def _slices(packet: bytes) -> Iterator[bytes | None]:
    """The slices from the last to the first; None where the sizes do not add up."""
    end = len(packet)
    while end > 0:
        size = int.from_bytes(packet[end - _FOOTER_BYTES : end - _FOOTER_BYTES + 3], "big") + _FOOTER_BYTES
        if end < _FOOTER_BYTES or size > end:
            yield None
            return
        yield packet[end - size : end]
        end -= size


def _crc(piece: bytes) -> int:
    # zlib inverts its start and its end; starting from all ones begins at 0, and the end is inverted back.
    return zlib.crc32(piece.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
