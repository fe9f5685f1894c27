"""Cryptomatte's names: what identifies an object in a picture of identities, and what a file says of it.

"Cryptomatte Specification" 1.2.0 of Psyop: a name's 32-bit MurmurHash3 (A. Appleby, seed 0, x86), its bits taken for
those of a float32 that is a number. A file holds, for each pixel, pairs of such a float and its coverage, by rank, two
in the four channels of a layer: `NAME00`, `NAME01` ...
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np

_WORD = 0xFFFFFFFF
_BLOCK, _TAIL = (0xCC9E2D51, 0x1B873593), (0x85EBCA6B, 0xC2B2AE35)
RANKS_PER_LAYER = 2
"""Pairs of id and coverage in the four channels of a layer."""


def murmur3_32(data: bytes) -> int:
    """MurmurHash3_x86_32 with the seed 0."""
    state = 0
    whole = len(data) // 4 * 4
    for start in range(0, whole, 4):
        state ^= _scrambled(int.from_bytes(data[start : start + 4], "little"))
        state = (_turned(state, 13) * 5 + 0xE6546B64) & _WORD
    if rest := data[whole:]:
        state ^= _scrambled(int.from_bytes(rest, "little"))
    state ^= len(data)
    for shift, factor in zip((16, 13), _TAIL, strict=True):
        state = ((state ^ state >> shift) * factor) & _WORD
    return state ^ state >> 16


def _scrambled(block: int) -> int:
    return (_turned(block * _BLOCK[0] & _WORD, 15) * _BLOCK[1]) & _WORD


def _turned(word: int, bits: int) -> int:
    return (word << bits | word >> (32 - bits)) & _WORD


def id_bits(name: str) -> int:
    """The 32 bits of a name's id: its hash, with a bit of the exponent flipped where it would be no normal number."""
    word = murmur3_32(name.encode("utf-8"))
    return word ^ 1 << 23 if word >> 23 & 0xFF in {0, 0xFF} else word


def id_of(name: str) -> np.float32:
    """A name's id, as it stands in pixels."""
    return np.float32(np.uint32(id_bits(name)).view(np.float32))


def metadata(layer: str, names: Iterable[str]) -> dict[str, str]:
    """The attributes of a file's header.

    Args:
        layer: Name of the picture's layers, without their number.
        names: All that may be in the pictures.
    """
    key = f"{id_bits(layer):08x}"[:7]
    manifest = {name: f"{id_bits(name):08x}" for name in sorted(names)}
    facts = {
        "name": layer,
        "hash": "MurmurHash3_32",
        "conversion": "uint32_to_float32",
        "manifest": json.dumps(manifest, separators=(",", ":")),
    }
    return {f"cryptomatte/{key}/{word}": value for word, value in facts.items()}


def layer_count(names: int) -> int:
    """Layers of four channels that hold all of some names in one pixel; at least one."""
    return max(-(-names // RANKS_PER_LAYER), 1)
