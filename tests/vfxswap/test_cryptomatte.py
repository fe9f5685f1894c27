"""Cryptomatte's hash, ids and metadata, against what others published."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from vfxswap.cryptomatte import id_bits, id_of, layer_count, metadata, murmur3_32

PUBLISHED = {
    "": 0x00000000,
    "test": 0xBA6BD213,
    "hello": 0x248BFA47,
    "Hello, world!": 0xC0363E43,
    "The quick brown fox jumps over the lazy dog": 0x2E4FF723,
}
"""MurmurHash3_x86_32 with the seed 0, as its users list it."""


@pytest.mark.parametrize(("text", "expected"), PUBLISHED.items())
def test_the_hash_is_murmurs(text: str, expected: int) -> None:
    assert murmur3_32(text.encode()) == expected


@pytest.mark.parametrize(
    ("name", "digits"), [("bunny", "13851a76"), ("default", "42c9679f"), ("bunny_porcelain_mat", "b24b26d4")]
)
def test_ids_are_those_of_the_specifications_own_manifests(name: str, digits: str) -> None:
    assert f"{id_bits(name):08x}" == digits


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hello", 6.0705627102400005616e-17),
        ("равнина", -1.3192631212399999468e-25),
        ("mädchen", 6.2361298211599995797e25),
    ],
)
def test_ids_in_pixels_are_those_of_the_reference_decoder(name: str, value: float) -> None:
    assert id_of(name) == np.float32(value)


def test_no_id_is_anything_but_a_normal_number() -> None:
    names = [f"performer {i}" for i in range(3000)]
    assert any(murmur3_32(name.encode()) >> 23 & 0xFF in {0, 255} for name in names)
    values = np.array([id_of(name) for name in names])
    assert np.isfinite(values).all()
    assert (np.abs(values) >= np.finfo(np.float32).tiny).all()
    assert len(set(values.tolist())) == len(names)


def test_a_header_says_what_the_pixels_are() -> None:
    said = metadata("vfxswap_id", ["hero", 'Zoë "Z"'])
    (key,) = {name.split("/")[1] for name in said}
    assert len(key) == 7
    assert key == f"{id_bits('vfxswap_id'):08x}"[:7]
    assert said[f"cryptomatte/{key}/name"] == "vfxswap_id"
    assert said[f"cryptomatte/{key}/hash"] == "MurmurHash3_32"
    assert said[f"cryptomatte/{key}/conversion"] == "uint32_to_float32"
    manifest = json.loads(said[f"cryptomatte/{key}/manifest"])
    assert set(manifest) == {"hero", 'Zoë "Z"'}
    for name, digits in manifest.items():
        assert struct.unpack(">f", bytes.fromhex(digits))[0] == id_of(name)
    assert max(map(len, said)) <= 31  # longer names are for files that say so


@pytest.mark.parametrize(("names", "layers"), [(0, 1), (1, 1), (2, 1), (3, 2), (5, 3)])
def test_two_ranks_go_into_a_layer(names: int, layers: int) -> None:
    assert layer_count(names) == layers
