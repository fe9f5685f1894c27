"""Reads the data in a pickle without ever being its interpreter: nothing that a pickle names is looked up or called.

A pickle is a program. Python's own reader runs it: a restricted `find_class` bounds which names it may look up, and
then still calls what it let through with arguments of the pickle's choosing, sets state on it, and fills tables of the
size that the pickle asks for. This reader has no such step to go wrong in. The standard library's `pickletools` takes
the program apart; the few operations that build plain data are carried out here; a name is kept as two words, and
applied it must be one of the shapes below, of which an array or number is made by this module itself, out of bytes
whose count was checked. Every other operation and every other name is refused.

    numpy arrays and scalars of numbers     numpy[._]core.multiarray _reconstruct, scalar; numpy[._]core.numeric
                                            _frombuffer; numpy ndarray, dtype
    byte strings of old protocols           _codecs encode, to latin1; builtins bytes, of nothing

Pickles of protocols 0 to 5 that hold None, numbers, text, bytes, lists, tuples, dicts and those can be read.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vfxswap.errors import MediaError


class NotData(MediaError):
    """A pickle holds something else than plain data, or is broken."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is read at most."""

    size_bytes: int = 1 << 16
    operations: int = 200_000
    stack: int = 20_000
    elements: int = 1 << 20
    """Of one array."""


BOUNDS = Bounds()
"""Enough for the data of one face."""


@dataclass(frozen=True, slots=True)
class _Name:
    """What a pickle calls by name; two words, and nothing behind them."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True)
class _Array:
    """An array to be, until its state is given."""

    value: NDArray[Any] | None = None


@dataclass(slots=True)
class _Dtype:
    """The kind of an array's numbers, until its byte order is given."""

    code: str
    order: str = "<"

    def made(self) -> np.dtype[Any]:
        return np.dtype(f"{self.order if self.order in '<>' else '<'}{self.code}")


_CODES = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})
"""Numbers and truth values; no objects, no records, no text, no times."""
_MARK = object()
_CORES = ("numpy.core.multiarray", "numpy._core.multiarray")
_RECONSTRUCT = {_Name(module, "_reconstruct") for module in _CORES}
_SCALAR = {_Name(module, "scalar") for module in _CORES}
_NDARRAY, _DTYPE, _ENCODE = _Name("numpy", "ndarray"), _Name("numpy", "dtype"), _Name("_codecs", "encode")
_FROMBUFFER = {_Name(module, "_frombuffer") for module in ("numpy.core.numeric", "numpy._core.numeric")}
_BYTES = {_Name(module, "bytes") for module in ("builtins", "__builtin__")}
_KNOWN = {*_BYTES, *_RECONSTRUCT, *_SCALAR, *_FROMBUFFER, _NDARRAY, _DTYPE, _ENCODE}


def read_data(raw: bytes, *, bounds: Bounds = BOUNDS) -> Any:
    """The data in a pickle.

    Args:
        raw: The pickle; what follows its end is not looked at.
        bounds: What is read at most.

    Returns:
        None, bool, int, float, str, bytes, list, tuple, dict, or an `ndarray` of numbers, and these inside one another.
        Lists and dicts may hold one another in circles.

    Raises:
        NotData: It holds something else, is broken, or is beyond the bounds.
    """
    if len(raw) > bounds.size_bytes:
        raise NotData(f"the pickle has {len(raw)} bytes; at most {bounds.size_bytes} are read")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes in text that is wrong anyhow
        return _Machine(bounds).run(raw)


@dataclass(slots=True)
class _Machine:
    """A stack, a memo, and the operations that build data."""

    bounds: Bounds
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self, raw: bytes) -> Any:
        try:
            for count, (operation, argument, position) in enumerate(pickletools.genops(raw)):
                if operation.name == "STOP":
                    return _finished(self.pop())
                self._check(count, operation.name, position)
                _OPERATIONS[operation.name](self, argument)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            raise NotData(f"the pickle is broken: {error}") from error
        raise NotData("the pickle has no end")

    def _check(self, count: int, name: str, position: int | None) -> None:
        if count >= self.bounds.operations or len(self.stack) > self.bounds.stack:
            raise NotData(f"the pickle is longer than data of a face can be (byte {position})")
        if name not in _OPERATIONS:
            raise NotData(f"the pickle holds {name} at byte {position}, which plain data never needs")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark stands where a value should")
        return value

    def since_mark(self) -> list[Any]:
        """What was pushed since the last mark, which goes too."""
        place = next((i for i in range(len(self.stack) - 1, -1, -1) if self.stack[i] is _MARK), None)
        if place is None:
            raise ValueError("there is no mark")
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values

    def top(self, kind: type[Any]) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise NotData(f"the pickle treats {_kind(self.stack[-1])} as {kind.__name__}")
        return self.stack[-1]

    def append(self, values: list[Any]) -> None:
        self.top(list).extend(_finished(value) for value in values)

    def set_items(self, values: list[Any]) -> None:
        if len(values) % 2:
            raise ValueError("a key has no value")
        target = self.top(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str | int | bytes):  # the hash of a deep tuple would be a recursion without end
                raise NotData(f"the pickle has {_kind(key)} as a key; keys are text, numbers or bytes")
            target[key] = _finished(value)

    def name(self, module: Any, name: Any) -> None:
        found = _Name(module, name) if isinstance(module, str) and isinstance(name, str) else None
        if found not in _KNOWN:
            what = f"{module[:60]}.{name[:60]}" if found is not None else f"{_kind(module)} and {_kind(name)} as a name"
            raise NotData(f"the pickle calls for {what}, which is no data")
        self.push(found)

    def reduce(self) -> None:
        """A name applied to arguments: one of the few shapes that numbers and bytes are written as."""
        arguments, name = self.pop(), self.pop()
        if not isinstance(name, _Name) or not isinstance(arguments, tuple):
            raise NotData(f"the pickle calls {_kind(name)}")
        if name in _RECONSTRUCT and len(arguments) == 3 and arguments[0] == _NDARRAY:
            self.push(_Array())
        elif name == _DTYPE and arguments and isinstance(arguments[0], str) and arguments[0] in _CODES:
            self.push(_Dtype(arguments[0]))
        elif name in _SCALAR and len(arguments) == 2 and isinstance(arguments[0], _Dtype):
            self.push(self.numbers((), arguments[0], arguments[1], "C").item())
        elif name in _FROMBUFFER and len(arguments) == 4 and isinstance(arguments[1], _Dtype):
            content, dtype, shape, order = arguments
            self.push(self.numbers(shape, dtype, content, "F" if order == "F" else "C"))
        elif name in _BYTES and not arguments:
            self.push(b"")
        elif name == _ENCODE and len(arguments) == 2 and isinstance(arguments[0], str) and arguments[1] == "latin1":
            self.push(arguments[0].encode("latin1"))
        else:
            raise NotData(f"the pickle calls {name} with {len(arguments)} arguments that make no numbers")

    def build(self) -> None:
        """The state of an array or of the kind of its numbers."""
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, _Dtype) and isinstance(state, tuple) and len(state) >= 2 and state[1] in ("<", ">", "|"):
            target.order = state[1]
        elif isinstance(target, _Array) and target.value is None and isinstance(state, tuple) and len(state) == 5:
            _, shape, dtype, by_columns, content = state
            if not isinstance(dtype, _Dtype):
                raise NotData("the pickle has an array of something else than numbers")
            target.value = self.numbers(shape, dtype, content, "F" if by_columns else "C")
        else:
            raise NotData(f"the pickle sets the state of {_kind(target)}")

    def numbers(self, shape: Any, dtype: _Dtype, content: Any, order: Literal["C", "F"]) -> NDArray[Any]:
        if not isinstance(shape, tuple) or len(shape) > 4 or not all(isinstance(n, int) and n >= 0 for n in shape):
            raise NotData("the pickle has an array whose shape is none, or has more than four sides")
        if isinstance(content, str):
            content = content.encode("latin1")
        kind, count = dtype.made(), 1
        for side in shape:
            count *= side
        if not isinstance(content, bytes) or count > self.bounds.elements or len(content) != count * kind.itemsize:
            raise NotData("the pickle has an array whose bytes are not those of its numbers")
        flat = np.frombuffer(content, dtype=kind).astype(kind.newbyteorder("="))
        return flat.reshape(shape, order=order)


def _finished(value: Any) -> Any:
    """A value that may stand in data: an array that has its numbers, and nothing that is a name."""
    if isinstance(value, _Array):
        if value.value is None:
            raise NotData("the pickle has an array without its numbers")
        return value.value
    if value is _MARK or isinstance(value, _Name | _Dtype):
        raise NotData(f"the pickle has {_kind(value)} among its data")
    return value


def _kind(value: Any) -> str:
    if isinstance(value, _Name):
        return f"the name {str(value)[:120]}"
    return "a mark" if value is _MARK else f"a {type(value).__name__.strip('_').lower()}"


Operation = Callable[[_Machine, Any], None]


def _tuple(machine: _Machine, count: int) -> None:
    values = [machine.pop() for _ in range(count)][::-1]
    machine.push(tuple(_inside(value) for value in values))


def _inside(value: Any) -> Any:
    """What may stand in a tuple: data, and what the arguments of an array's making are."""
    return value if isinstance(value, _Name | _Dtype) else _finished(value)


def _put(machine: _Machine, place: Any) -> None:
    machine.memo[len(machine.memo) if place is None else int(place)] = machine.stack[-1]


def _global(machine: _Machine, argument: Any) -> None:
    machine.name(*str(argument).split(" ", 1))


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    machine.name(module, name)


def _dict(machine: _Machine, _: Any) -> None:
    values = machine.since_mark()
    machine.push({})
    machine.set_items(values)


def _two(machine: _Machine) -> list[Any]:
    value, key = machine.pop(), machine.pop()
    return [key, value]


_PLAIN = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT", "UNICODE", "SHORT_BINUNICODE"),
    *("BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "STRING", "BINSTRING", "SHORT_BINSTRING"),
)
_OPERATIONS: Mapping[str, Operation] = {
    **dict.fromkeys(_PLAIN, lambda machine, value: machine.push(value)),
    "BYTEARRAY8": lambda machine, value: machine.push(bytes(value)),
    **dict.fromkeys(("PROTO", "FRAME"), lambda _machine, _value: None),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, place: machine.push(machine.memo[int(place)])),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "MARK": lambda machine, _: machine.push(_MARK),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "DICT": _dict,
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "LIST": lambda machine, _: machine.push([_finished(value) for value in machine.since_mark()]),
    "TUPLE": lambda machine, _: machine.push(tuple(_inside(value) for value in machine.since_mark())),
    "TUPLE1": lambda machine, _: _tuple(machine, 1),
    "TUPLE2": lambda machine, _: _tuple(machine, 2),
    "TUPLE3": lambda machine, _: _tuple(machine, 3),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set_items(_two(machine)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": lambda machine, _: machine.reduce(),
    "BUILD": lambda machine, _: machine.build(),
}
