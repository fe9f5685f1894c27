"""A Nuke script that rebuilds a delivery from its plate and its layers, for compositors to go on from.

Nuke's own text format: nodes on a stack, each with its knobs. All pictures are read raw, so that no colour
configuration stands between the plate's samples and the delivery's: what the layers promise is promised of these.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from vfxswap.errors import UsageError
from vfxswap.files import FramePattern
from vfxswap.layers import LAYERS, PREFIX, LayerName, layer_files
from vfxswap.pipeline import Pipeline

_PLAIN = re.compile(r"[A-Za-z0-9_./%+-]+")
_ESCAPED = re.compile(r'([\\"$\[{}])')
_SQUARE_PX = 1024
"""Side of the square that stands for an artist's own picture; the map does not depend on it."""
_COLUMN, _ROW = 130, 100
"""Steps between nodes, in the node graph's units."""
_HERE = "[file dirname [value root.name]]"
"""What Nuke takes for the script's own folder."""


def script(plan: Pipeline, at: Path, *, absolute: bool = False) -> str:
    """The text of a Nuke script.

    Args:
        plan: A pipeline that asks for layers; its delivery need not be there yet.
        at: Where the script is going to be; files are named relative to its folder.
        absolute: Name them from the root instead.

    Raises:
        UsageError: The pipeline asks for no layers.
    """
    if not plan.layers.names:
        raise UsageError(
            f"{plan.path}: [delivery] asks for no layers, so there is nothing to rebuild it from; write layers ="
            f' ["patch"] (there are {", ".join(LAYERS)})'
        )
    return _Comp(plan, at, absolute=absolute).text()


@dataclass(frozen=True, slots=True)
class _Node:
    """One node; what it takes its inputs from is by name, the first being input 0."""

    kind: str
    name: str
    inputs: tuple[str, ...] = ()
    knobs: dict[str, str] = field(default_factory=dict)
    place: tuple[int, int] = (0, 0)
    """Column and row."""

    def lines(self) -> list[str]:
        """Nuke takes inputs off a stack, input 0 being the last that was put there."""
        pushed = [f"push ${_variable(source)}" for source in reversed(self.inputs)]
        knobs = {"inputs": str(len(self.inputs)), **self.knobs, "name": self.name}
        knobs |= {"xpos": str(self.place[0] * _COLUMN), "ypos": str(self.place[1] * _ROW)}
        body = [f" {key} {quoted(value)}" for key, value in knobs.items()]
        return [*pushed, f"{self.kind} {{", *body, "}", f"set {_variable(self.name)} [stack 0]"]


def _variable(name: str) -> str:
    return f"N{name}"


def quoted(value: str) -> str:
    """A knob's value as it stands in a script: bare where it is one plain word, else in quotes.

    Tcl evaluates `$` and `[` in quotes, and counts braces there as the ends of nodes: all are escaped.
    """
    if _PLAIN.fullmatch(value):
        return value
    escaped = _ESCAPED.sub(r"\\\1", value).replace("\n", "\\n")
    return f'"{escaped}"'


class _Comp:
    """The graph of one delivery."""

    def __init__(self, plan: Pipeline, at: Path, *, absolute: bool) -> None:
        self._plan, self._order, self._absolute = plan, plan.layers, absolute
        self._folder = at.absolute().parent
        self._nodes: list[_Node] = []
        self._seen: list[str] = []
        self._column = 0

    def text(self) -> str:
        """The whole script."""
        self._read("Plate", self._plan.plate_path, f"the plate, {self._space()}, read raw")
        self._read("Result", self._plan.delivery_path, "the delivery")
        for name in self._order.names:
            self._layer(name)
        self._rebuild()
        if "st" in self._order.names:
            self._texture()
        if "id" in self._order.names:
            self._cryptomatte()
        self._seen += [name.capitalize() for name in self._order.names if name == "swapped"]
        shown = tuple(self._seen)
        viewer = {"frame_range": f"{self._plan.frames[0]}-{self._plan.frames[-1]}"}
        self._add("Viewer", "Viewer1", shown, viewer, place=(0, 6))
        lines = [*self._head(), *self._layers_known(), *(line for node in self._nodes for line in node.lines())]
        return "\n".join(lines) + "\n"

    def _head(self) -> list[str]:
        plan = self._plan
        frame = plan.plate.display
        width, height = (plan.plate.width, plan.plate.height) if frame is None else (frame.width, frame.height)
        aspect = _decimal(plan.plate.pixel_aspect)
        knobs = {
            "inputs": "0",
            "frame": str(plan.frames[0]),
            "first_frame": str(plan.frames[0]),
            "last_frame": str(plan.frames[-1]),
            "lock_range": "true",
            "format": f"{width} {height} 0 0 {width} {height} {aspect} vfxswap_plate",
            "fps": _decimal(plan.plate.rate),
        }
        paths = "from the root" if self._absolute else "relative to this script's folder: save it before you look"
        return [
            f"# Rebuilds the delivery of {_one_line(plan.path.name)} from its plate and its layers; made by vfxswap.",
            f"# Files are named {paths}. All are read raw: {_one_line(self._space())}.",
            "Root {",
            *(f" {key} {quoted(value)}" for key, value in knobs.items()),
            "}",
        ]

    def _space(self) -> str:
        return f"in {self._plan.shot.color_space or 'the colours of its own tags'}"

    def _layers_known(self) -> list[str]:
        """Nuke must know a layer before a knob names it."""
        names = self._order.names if self._order.stored != "files" else [n for n in self._order.names if n == "id"]
        words = {"R": "red", "G": "green", "B": "blue", "A": "alpha"}
        found = []
        for name in names:
            for group in self._order.groups(name):
                channels = " ".join(f"{group}.{words[letter]}" for letter in LAYERS[name].channels)
                found.append(f"add_layer {{{group} {channels}}}")
        return found

    def _layer(self, name: LayerName) -> None:
        """A layer, in rgba (a cryptomatte in layers of its own)."""
        files = layer_files(self._plan.delivery_path, self._order, frames=self._plan.plate.count)
        if files:
            self._read(name.capitalize(), files[name].pattern, LAYERS[name].summary)
        elif name != "id":
            self._column += 1
            knobs = {"in": PREFIX + name, "label": LAYERS[name].summary}
            self._add("Shuffle", name.capitalize(), ("Result",), knobs, place=(self._column, 1))

    def _rebuild(self) -> None:
        names = self._order.names
        if "patch" in names:
            knobs = {"operation": "over", "output": "rgb", "label": "plate x (1 - matte) + patch"}
            self._add("Merge2", "Rebuilt", ("Plate", "Patch"), knobs, place=(0, 3))
        elif "matte" in names:
            knobs = {"channels": "rgb", "label": "the delivery through its matte"}
            self._add("Keymix", "Rebuilt", ("Plate", "Result", "Matte"), knobs, place=(0, 3))
        else:
            self._seen.append("Result")
            return
        knobs = {"operation": "difference", "output": "rgb", "label": "black where Rebuilt is the delivery"}
        self._add("Merge2", "Check", ("Rebuilt", "Result"), knobs, place=(1, 4))
        self._seen += ["Rebuilt", "Check"]

    def _texture(self) -> None:
        """A square picture laid onto the face, where an artist puts paint, dirt or markers."""
        side = _SQUARE_PX
        knobs = {"format": f"{side} {side} 0 0 {side} {side} 1 vfxswap_square"}
        knobs["label"] = "stands for a picture in the aligned face square"
        self._add("CheckerBoard2", "FaceSquare", (), knobs, place=(self._column + 1, 1))
        knobs = {"channels": "rgba", "uv": "rgb", "label": "the square on the plate"}
        self._add("STMap", "OnFace", ("FaceSquare", "St"), knobs, place=(self._column + 1, 3))
        mask = next((name.capitalize() for name in ("matte", "patch") if name in self._order.names), "St")
        self._add("Merge2", "InMatte", (mask, "OnFace"), {"operation": "in"}, place=(self._column + 1, 4))
        knobs = {"operation": "over", "output": "rgb"}
        base = "Rebuilt" if any(node.name == "Rebuilt" for node in self._nodes) else "Result"
        self._add("Merge2", "Textured", (base, "InMatte"), knobs, place=(self._column + 1, 5))
        self._seen.append("Textured")

    def _cryptomatte(self) -> None:
        source = "Id" if self._order.stored == "files" else "Result"
        knobs = {"matteList": ", ".join(map(_listed, self._order.identities)), "cryptoLayer": f"{PREFIX}id"}
        self._add("Cryptomatte", "Identities", (source,), knobs, place=(self._column + 2, 3))
        self._seen.append("Identities")

    def _read(self, name: str, path: Path, label: str) -> None:
        first, last = (str(number) for number in (self._plan.frames[0], self._plan.frames[-1]))
        whole = self._plan.plate
        knobs = {"file": self._file(path), "first": first, "last": last}
        if path == self._plan.plate_path:
            knobs |= {"first": str(whole.first), "last": str(whole.last)}
        knobs |= {"origfirst": knobs["first"], "origlast": knobs["last"], "origset": "true", "raw": "true"}
        self._add("Read", name, (), {**knobs, "label": label}, place=(self._column, 0))
        self._column += 1

    def _file(self, path: Path) -> str:
        """A knob's value for files; Nuke evaluates what stands in brackets."""
        there = FramePattern(path.absolute()).printf
        if not self._absolute:
            try:
                near = Path(os.path.relpath(there, self._folder)).as_posix()
            except ValueError:  # on another drive
                return _no_brackets(there.as_posix())
            return f"{_HERE}/{_no_brackets(near)}"
        return _no_brackets(there.as_posix())

    def _add(
        self, kind: str, name: str, inputs: Sequence[str], knobs: dict[str, str], *, place: tuple[int, int]
    ) -> None:
        self._nodes.append(_Node(kind, name, tuple(inputs), knobs, place))


def _no_brackets(path: str) -> str:
    return path.replace("[", "\\[")


def _listed(name: str) -> str:
    """A name in Cryptomatte's list of them."""
    return f'"{name}"' if {",", '"', " "} & set(name) else name


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _decimal(number: Fraction) -> str:
    return f"{float(number):.10g}"
