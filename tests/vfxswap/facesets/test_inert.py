"""Pickles are read as data: all that data needs is there, and nothing that a pickle names is ever run."""

from __future__ import annotations

import os
import pickle
import random
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vfxswap.facesets.inert import BOUNDS, Bounds, NotData, read_data

DATA: dict[str, Any] = {
    "landmarks": np.arange(136, dtype=np.float32).reshape(68, 2),
    "mat": np.array([[1.5, 0.25, -3.0], [-0.25, 1.5, 7.0]]),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
    "big": np.arange(6, dtype=">i4").reshape(2, 3),
    "bytes": np.frombuffer(b"\x89PNG", np.uint8),
    "scalar": np.float64(3.5),
    "count": np.int64(-4),
    "empty": np.zeros((0, 2), np.float32),
    "face_type": "whole_face",
    "source_rect": (1, 2, 300, 70_000),
    "long": 1 << 40,
    "none": None,
    "flags": [True, False, [], {}, ()],
    "raw": b"\xff\x00abc",
    "polys": {"polys": [{"type": 1, "pts": np.zeros((4, 2), np.float32)}]},
}


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, np.ndarray):
        return (
            isinstance(b, np.ndarray)
            and a.shape == b.shape
            and a.dtype.str[1:] == b.dtype.str[1:]
            and bool((a == b).all())
        )
    return bool(a == b)


@pytest.mark.parametrize("protocol", range(6))
def test_data_of_every_protocol_is_read(protocol: int) -> None:
    assert _same(DATA, read_data(pickle.dumps(DATA, protocol)))


def test_pickles_of_python_2_and_numpy_1_are_read() -> None:
    # What they wrote, by protocol 2, for {'a': numpy.arange(3, dtype='f4')}.
    raw = (
        b"\x80\x02}q\x01U\x01aq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87Rq"
        b"\x05(K\x01K\x03\x85cnumpy\ndtype\nq\x06U\x02f4K\x00K\x01\x87Rq\x07(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff"
        b"\xffK\x00tb\x89U\x0c\x00\x00\x00\x00\x00\x00\x80?\x00\x00\x00@tbs."
    )
    found = read_data(raw)
    np.testing.assert_array_equal(found["a"], np.arange(3, dtype=np.float32))


def test_what_is_made_is_ours_and_may_be_written_to() -> None:
    found = read_data(pickle.dumps(DATA))
    found["landmarks"][0] = 9
    assert type(found["scalar"]) is float
    assert found["big"].dtype == np.dtype("=i4")


class _Calls:
    """An object whose pickle calls something."""

    def __init__(self, what: Any, *arguments: Any) -> None:
        self._call = (what, arguments)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self._call


def _binunicode(text: str) -> bytes:
    coded = text.encode()
    return b"X" + struct.pack("<I", len(coded)) + coded


def _stack_global(module: str, name: str) -> bytes:
    return _binunicode(module) + _binunicode(name) + b"\x93"


def _object_array() -> bytes:
    array = np.empty(1, dtype=object)
    array[0] = 1
    return pickle.dumps({"landmarks": array}, 4)


def _nested(count: int, kind: bytes) -> bytes:
    return b"\x80\x04" + b"(" * count + b"N" + kind * count + b"."


MARKER = "vfxswap_was_run"
CODE = f"__import__('pathlib').Path({MARKER!r}).write_text('x')"
HOSTILE: dict[str, bytes] = {
    "os.system": pickle.dumps({"a": _Calls(os.system, f"touch {MARKER}")}),
    "os.system, protocol 0": pickle.dumps({"a": _Calls(os.system, f"touch {MARKER}")}, 0),
    "subprocess": pickle.dumps(_Calls(subprocess.check_call, ["touch", MARKER])),
    "eval": pickle.dumps([_Calls(eval, CODE)]),
    "exec under a key": pickle.dumps({"face_type": _Calls(exec, CODE)}),
    "getattr chain": pickle.dumps(_Calls(getattr, _Calls(__import__, "os"), "system")),
    "import": pickle.dumps(_Calls(__import__, "antigravity")),
    "stack global": b"\x80\x04" + _stack_global("os", "system") + _binunicode(f"touch {MARKER}") + b"\x85R.",
    "stack global, name from a memo": (
        b"\x80\x04"
        + _binunicode("posix")
        + b"\x94"
        + _binunicode("system")
        + b"\x940h\x00h\x01\x93"
        + _binunicode(f"touch {MARKER}")
        + b"\x85R."
    ),
    "stack global of no text": b"\x80\x04K\x01K\x02\x93.",
    "dotted name": b"\x80\x04" + _stack_global("numpy", "ndarray.__init__.__globals__") + b".",
    "numpy's own way to code": b"\x80\x04" + _stack_global("numpy.testing._private.utils", "runstring") + b".",
    "numpy load": b"\x80\x04" + _stack_global("numpy", "load") + _binunicode("x.npy") + b"\x85R.",
    "a known name with foreign arguments": pickle.dumps(_Calls(np.dtype, "O")),
    "reconstruct of another class": (
        b"\x80\x04" + _stack_global("numpy._core.multiarray", "_reconstruct") + b"K\x01K\x00\x85C\x01b\x87R."
    ),
    "a name as data": b"\x80\x04" + _stack_global("numpy", "ndarray") + b".",
    "a name in a list": b"\x80\x04]" + _stack_global("numpy", "dtype") + b"a.",
    "inst": f"(S'touch {MARKER}'\nios\nsystem\n.".encode(),
    "obj": f"(cos\nsystem\nS'touch {MARKER}'\no.".encode(),
    "newobj": b"\x80\x04" + _stack_global("pathlib", "Path") + b")\x81.",
    "newobj of a known name": b"\x80\x04" + _stack_global("numpy", "dtype") + b")\x81.",
    "newobj_ex": b"\x80\x04" + _stack_global("numpy", "dtype") + b")}\x92.",
    "build on a dict": b"\x80\x04}}b.",
    "build on a name": b"\x80\x04" + _stack_global("numpy", "dtype") + b"}b.",
    "extension registry": b"\x80\x02\x82\x01.",
    "persistent id": b"Pos.system\n.",
    "out of band buffer": b"\x80\x05\x97.",
    "a set": pickle.dumps({1, 2}, 4),
    "object array": _object_array(),
    "record array": pickle.dumps(np.zeros(2, dtype=[("a", "f4")])),
    "text array": pickle.dumps(np.array(["a", "b"])),
    "array whose bytes are too few": pickle.dumps(np.zeros(8, np.uint8)).replace(
        b"C\x08" + bytes(8), b"C\x07" + bytes(7)
    ),
    "array without its numbers": (
        b"\x80\x04"
        + _stack_global("numpy._core.multiarray", "_reconstruct")
        + _stack_global("numpy", "ndarray")
        + b"K\x00\x85C\x01b\x87R."
    ),
    "a length of 2**63": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 63) + b"x.",
    "a length beyond the file": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 34) + b"x.",
    "text beyond the file": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"x.",
    "a negative length": b"T" + struct.pack("<i", -5) + b"abc.",
    "a number of a million digits": b"I" + b"9" * 50_000 + b"\n.",
    "a memo place of four thousand million": b"\x80\x04Nr\xff\xff\xff\xff0.",
    "a memo place that nobody filled": b"\x80\x04h\x07.",
    "deep tuples as a key": b"\x80\x04})" + b"\x85" * 20_000 + b"K\x01s.",
    "deep tuples as a shape": (
        b"\x80\x04"
        + _stack_global("numpy._core.numeric", "_frombuffer")
        + b"(C\x00"
        + _stack_global("numpy", "dtype")
        + b"X\x02\x00\x00\x00u1\x85R)"
        + b"\x85" * 20_000
        + b"X\x01\x00\x00\x00CtR."
    ),
    "marks without end": b"\x80\x04" + b"(" * 40_000,
    "no end": b"\x80\x04N",
    "nothing": b"",
    "only an end": b".",
    "text": b"hello, this is no pickle",
    "truncated": pickle.dumps(DATA)[:-20],
    "later protocol": b"\x80\x7f\xf9.",
}


@pytest.fixture
def nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Runs the test in an empty folder; says whether it still is."""
    monkeypatch.chdir(tmp_path)
    return lambda: not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_are_refused_and_nothing_runs(name: str, nothing_runs: Callable[[], bool]) -> None:
    start = time.perf_counter()
    with pytest.raises(NotData):
        read_data(HOSTILE[name])
    assert nothing_runs()
    assert time.perf_counter() - start < 20
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("name", ["os.system", "stack global", "inst", "obj", "exec under a key"])
def test_the_same_pickles_do_harm_elsewhere(name: str, nothing_runs: Callable[[], bool]) -> None:
    pickle.loads(HOSTILE[name])
    assert not nothing_runs()


def test_the_refusal_names_what_was_called_for() -> None:
    with pytest.raises(NotData, match=r"the pickle calls for posix\.system, which is no data"):
        read_data(HOSTILE["os.system"])
    with pytest.raises(NotData, match="holds NEWOBJ at byte"):
        read_data(HOSTILE["newobj of a known name"])


def test_size_and_length_are_bounded() -> None:
    with pytest.raises(NotData, match="at most 65536 are read"):
        read_data(pickle.dumps(b"x" * BOUNDS.size_bytes))
    raw = pickle.dumps(list(range(1000)), 4)
    with pytest.raises(NotData, match="longer than data of a face"):
        read_data(raw, bounds=Bounds(operations=500))
    with pytest.raises(NotData, match="bytes are not those of its numbers"):
        read_data(pickle.dumps(np.zeros(100)), bounds=Bounds(elements=99))


def test_deep_lists_are_only_deep() -> None:
    found = read_data(b"\x80\x04" + b"](" * 9000 + b"N" + b"e" * 9000 + b".")
    depth = 0
    while found:
        found, depth = found[0], depth + 1
    assert depth == 9000


def test_shared_parts_cost_nothing() -> None:
    laughs = b"\x80\x04]\x94" + b"".join(b"](h" + bytes([i]) + b"h" + bytes([i]) + b"e\x94" for i in range(60)) + b"."
    found = read_data(laughs)
    assert len(found) == 2
    assert found[0] is found[1]


def test_circles_are_kept() -> None:
    circle: list[Any] = []
    circle.append(circle)
    found = read_data(pickle.dumps(circle))
    assert found[0] is found


def test_random_damage_ends_in_data_or_a_refusal(nothing_runs: Callable[[], bool]) -> None:
    chance = random.Random(7)
    opcodes = b"()tRbcs0u.]}2lodiQPhjr\x8c\x93\x94\x81\x92\x82eaqK\x85\x86\x87"
    originals = [pickle.dumps(DATA, protocol) for protocol in range(6)]
    refused = 0
    for _ in range(3000):
        raw = bytearray(chance.choice(originals))
        for _ in range(chance.randrange(1, 6)):
            place = chance.randrange(len(raw))
            raw[place : place + chance.randrange(3)] = bytes(chance.choices(opcodes, k=chance.randrange(4)))
        try:
            read_data(bytes(raw))
        except NotData:
            refused += 1
    assert 1000 < refused < 3000
    assert nothing_runs()


def test_it_does_not_load_pickle() -> None:
    source = Path(sys.modules["vfxswap.facesets.inert"].__file__ or "").read_text(encoding="utf-8")
    assert "import pickle\n" not in source
    assert "Unpickler(" not in source
