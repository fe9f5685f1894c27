"""What an ONNX file takes and gives, read from its header: no library is needed, and no weight is read.

A model of half a gigabyte is looked at in milliseconds, which is what a check before the first frame wants. The layout
is that of `onnx.proto` (ONNX IR, field numbers below) in the protocol buffers' wire format; a test compares with the
`onnx` package.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vfxswap.errors import ModelMissing, UsageError

FLOAT, FLOAT16 = 1, 10
"""`TensorProto.DataType` of the numbers that the networks of this package take and give."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_VARINT_BITS = 64
_EXTERNAL = 1
"""`TensorProto.DataLocation` of weights in a file of their own."""

_NOT_ONNX = {
    b"\x80": "a Python pickle, which is never loaded",
    b"PK": "a zip archive, such as PyTorch's .pth, which may hold code and is not loaded here",
    b"\x89HDF": "an HDF5 file",
    b"version https://git-lfs": "a Git LFS pointer; fetch the file itself with git lfs pull",
    b"<": "a web page, as a failed download leaves it",
}
"""What other files begin with."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a network."""

    name: str
    kind: int
    """`TensorProto.DataType`; 0 if it is no tensor."""
    shape: tuple[int | str, ...] | None
    """Sides; a name, or nothing (`""`), where a side is free. None if the file does not say."""

    def __str__(self) -> str:
        kind = {FLOAT: "float32", FLOAT16: "float16"}.get(self.kind, f"type {self.kind}")
        if self.shape is None:
            return f"{self.name} {kind} of unstated shape"
        return f"{self.name} {kind} [{', '.join(str(side) or '?' for side in self.shape)}]"

    def fits(self, *sides: int | None) -> bool:
        """Whether a float tensor of these sides may go through; None is any, as are sides that the file leaves open."""
        if self.kind not in {FLOAT, FLOAT16}:
            return False
        if self.shape is None:
            return True
        return len(self.shape) == len(sides) and all(
            wanted is None or not isinstance(side, int) or side == wanted
            for side, wanted in zip(self.shape, sides, strict=True)
        )


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """The outside of a network."""

    path: Path
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def __str__(self) -> str:
        inputs, outputs = ("; ".join(map(str, ports)) or "none" for ports in (self.inputs, self.outputs))
        return f"inputs: {inputs}; outputs: {outputs}"

    def unlike(self, accepted: str) -> UsageError:
        """The error that says what was found and what is accepted."""
        return UsageError(f"{self.path} is ONNX of another kind: found {self}; accepted: {accepted}")


def read_onnx(path: Path) -> OnnxFile:
    """Reads the outside of a network.

    Raises:
        ModelMissing: The file cannot be read.
        UsageError: It is not an ONNX file, or a broken one; says what it looks like. Or its weights are elsewhere.
    """
    data = _mapped(path)
    try:
        graph = _graph(data)
        tensors = [dict(_fields(tensor)) for tensor in _all(graph, 5)]
        weights = {_text(tensor.get(8)) for tensor in tensors}
        ports = [tuple(_port(value) for value in _all(graph, number)) for number in (11, 12)]
    except (ValueError, IndexError) as error:
        raise _unreadable(path, data, error) from None
    if any(tensor.get(14) == _EXTERNAL for tensor in tensors):
        raise UsageError(
            f"{path} keeps weights in another file, which its sha256 does not cover; write it as one file, as"
            " onnx.save(onnx.load(PATH), PATH) does"
        )
    # Old exporters list the weights among the inputs.
    return OnnxFile(path, tuple(port for port in ports[0] if port.name not in weights), ports[1])


def last_matrix(path: Path) -> NDArray[np.float32]:
    """The last of a network's weights, which must be a matrix: inswapper's map from one embedding to another.

    Raises:
        ModelMissing: The file cannot be read.
        UsageError: There is no weight, or the last one is no matrix of floats inside the file.
    """
    data = _mapped(path)
    try:
        tensors = list(_all(_graph(data), 5))
        tensor = tensors[-1] if tensors else memoryview(b"")
        sides, kind, name = _whole_numbers(tensor, 1), _last(tensor, 2), _text(_last(tensor, 8))
        raw = _last(tensor, 9) or _last(tensor, 4)
        values = np.frombuffer(raw if isinstance(raw, memoryview) else b"", "<f2" if kind == FLOAT16 else "<f4")
    except (ValueError, IndexError) as error:
        raise _unreadable(path, data, error) from None
    if kind not in {FLOAT, FLOAT16} or len(sides) != 2 or values.size != sides[0] * sides[1]:
        raise UsageError(
            f"{path}: the last weight of the network must be a matrix of floats, stored in the file itself; found"
            f" {name or 'none'} {list(sides)} of type {kind or 0}, {values.size} values"
        )
    return values.reshape(sides[0], sides[1]).astype(np.float32)  # a copy: the file may be closed


def _mapped(path: Path) -> memoryview:
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise ModelMissing(f"{path} cannot be read: {error}") from error


def _unreadable(path: Path, data: memoryview, error: Exception) -> UsageError:
    head = bytes(data[:32])
    like = next((what for magic, what in _NOT_ONNX.items() if head.startswith(magic)), None)
    seen = f"it looks like {like}" if like else f"it begins with {head[:8].hex(' ')}" if head else "it is empty"
    return UsageError(f"{path} is not an ONNX file, or is cut short: {error}; {seen}")


def _graph(model: memoryview) -> memoryview:
    """`ModelProto.graph`; the version of the format (1) and the operators' (8) must be there too."""
    found = dict(_fields(model))
    if not isinstance(graph := found.get(7), memoryview) or not isinstance(found.get(1), int) or 8 not in found:
        raise ValueError("it holds no network")
    return graph


def _port(value: memoryview) -> Port:
    """`ValueInfoProto`: name 1, type 2 / tensor 1 / element 1, shape 2 / side 1 / number 1 or name 2."""
    tensor = _last(_last(value, 2), 1)
    shape = _last(tensor, 2)
    sides = None if shape is None else tuple(_side(side) for side in _all(shape, 1))
    kind = _last(tensor, 1)
    return Port(_text(_last(value, 1)), kind if isinstance(kind, int) else 0, sides)


def _side(side: memoryview) -> int | str:
    number = _last(side, 1)
    return number if isinstance(number, int) and number > 0 else _text(_last(side, 2))


def _all(message: memoryview | int | None, number: int) -> Iterator[memoryview]:
    """The messages of a repeated field."""
    for found, value in _fields(message):
        if found == number and isinstance(value, memoryview):
            yield value


def _last(message: memoryview | int | None, number: int) -> memoryview | int | None:
    """The value of a field that stands once (of several the last counts), None where it stands nowhere."""
    return next((value for found, value in reversed([*_fields(message)]) if found == number), None)


def _whole_numbers(message: memoryview, number: int) -> tuple[int, ...]:
    """A repeated field of whole numbers, packed or one by one."""
    values: list[int] = []
    for found, value in _fields(message):
        if found == number and isinstance(value, int):
            values.append(value)
        elif found == number and isinstance(value, memoryview):
            at = 0
            while at < len(value):
                item, at = _varint(value, at)
                values.append(item)
    return tuple(values)


def _text(value: memoryview | int | None) -> str:
    return bytes(value).decode("utf-8") if isinstance(value, memoryview) else ""


def _fields(message: memoryview | int | None) -> Iterator[tuple[int, memoryview | int]]:
    """Numbers and values of a message's fields, in the file's order."""
    if not isinstance(message, memoryview):
        return
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if key & 7 == _BYTES:
            size, at = _varint(message, at)
        elif key & 7 in {_FIXED64, _FIXED32}:
            size = 8 if key & 7 == _FIXED64 else 4
        else:
            raise ValueError(f"no field can begin at byte {at}")
        if size > len(message) - at:
            raise ValueError(f"a field of {size} bytes has only {len(message) - at}")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _VARINT_BITS, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number is longer than 64 bits")
