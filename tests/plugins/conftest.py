"""Tiny ONNX networks with the signatures of the models that stages load, and arithmetic that can be recognised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Side = int | str

DFM_SCALE, DFM_SHIFT = 0.5, (0.0, 0.2, 0.4)
"""What the DFMs here do with blue, green and red."""
SWAP_SCALE, SOURCE_SCALE = 0.5, 0.25
"""What the one-shot swappers here add up: the picture, and the first three numbers of their source."""


class Networks:
    """Writes networks into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(
        self,
        name: str,
        nodes: Sequence[Any],
        inputs: Sequence[tuple[str, Sequence[Side]]],
        outputs: Sequence[tuple[str, Sequence[Side] | None]],
        weights: dict[str, NDArray[Any]] | None = None,
        *,
        kind: int = TensorProto.FLOAT,
    ) -> Path:
        """A checked network as a file."""
        graph = helper.make_graph(
            list(nodes),
            "tiny",
            [helper.make_tensor_value_info(port, kind, list(shape)) for port, shape in inputs],
            [helper.make_tensor_value_info(port, kind, None if s is None else list(s)) for port, s in outputs],
            [numpy_helper.from_array(value, key) for key, value in (weights or {}).items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        if all(shape is not None for _, shape in outputs):  # the checker demands what exporters leave out
            onnx.checker.check_model(model)
        path = self.folder / name
        path.write_bytes(model.SerializeToString())
        return path

    def dfm(
        self,
        name: str = "hero.dfm",
        *,
        size: int = 32,
        count: Side = "N",
        morph: bool = False,
        side: Side | None = None,
    ) -> Path:
        """A DFM: the face scaled and shifted by channel, the target's mask rising with x, the new one's with y.

        With morph, the face is mixed with its negative: at 0 it is the negative.
        """
        ramp = ((np.arange(size) + 0.5) / size).astype(np.float32)
        weights = {
            "scale": np.array(DFM_SCALE, np.float32),
            "shift": np.array(DFM_SHIFT, np.float32),
            "nothing": np.zeros((1, 1, 1, 1), np.float32),
            "one": np.ones((), np.float32),
            "across": np.broadcast_to(ramp[None, None, :, None], (1, size, size, 1)).copy(),
            "down": np.broadcast_to(ramp[None, :, None, None], (1, size, size, 1)).copy(),
        }
        if not morph:
            del weights["one"]
        face = "plain" if morph else "out_celeb_face:0"
        nodes = [
            helper.make_node("Mul", ["in_face:0", "scale"], ["scaled"]),
            helper.make_node("Add", ["scaled", "shift"], [face]),
            helper.make_node("ReduceMean", ["in_face:0"], ["grey"], axes=[3], keepdims=1),
            helper.make_node("Mul", ["grey", "nothing"], ["zeros"]),
            helper.make_node("Add", ["zeros", "across"], ["out_face_mask:0"]),
            helper.make_node("Add", ["zeros", "down"], ["out_celeb_face_mask:0"]),
        ]
        inputs: list[tuple[str, Sequence[Side]]] = [("in_face:0", (count, side or size, side or size, 3))]
        if morph:
            nodes += [
                helper.make_node("Sub", ["one", "plain"], ["negative"]),
                helper.make_node("Sub", ["plain", "negative"], ["apart"]),
                helper.make_node("Mul", ["apart", "morph_value:0"], ["moved"]),
                helper.make_node("Add", ["negative", "moved"], ["out_celeb_face:0"]),
            ]
            inputs.append(("morph_value:0", (1,)))
        masks = (count, size, size, 1)
        outputs: list[tuple[str, Sequence[Side] | None]] = [
            ("out_face_mask:0", masks),
            ("out_celeb_face:0", (count, size, size, 3)),
            ("out_celeb_face_mask:0", masks),
        ]
        return self.save(name, nodes, inputs, outputs, weights)

    def swapper(
        self,
        name: str = "swap.onnx",
        *,
        size: int = 16,
        width: int = 4,
        count: Side = 1,
        emap: NDArray[np.float32] | None = None,
        kind: int = TensorProto.FLOAT,
    ) -> Path:
        """A one-shot swapper: half of the picture, and a quarter of the source's first three numbers."""
        number = np.float16 if kind == TensorProto.FLOAT16 else np.float32
        weights: dict[str, NDArray[Any]] = {
            "half": np.array(SWAP_SCALE, number),
            "quarter": np.array(SOURCE_SCALE, number),
            "from": np.array([0]),
            "to": np.array([3]),
            "axis": np.array([1]),
            "shape": np.array([-1, 3, 1, 1]),
        }
        if emap is not None:
            weights["emap"] = emap
        nodes = [
            helper.make_node("Mul", ["target", "half"], ["seen"]),
            helper.make_node("Slice", ["source", "from", "to", "axis"], ["three"]),
            helper.make_node("Reshape", ["three", "shape"], ["column"]),
            helper.make_node("Mul", ["column", "quarter"], ["tint"]),
            helper.make_node("Add", ["seen", "tint"], ["output"]),
        ]
        picture = (count, 3, size, size)
        inputs = [("target", picture), ("source", (count, width))]
        return self.save(name, nodes, inputs, [("output", picture)], weights, kind=kind)

    def swapper_by_picture(self, name: str = "swap.onnx", *, size: int = 16, seen: int = 8) -> Path:
        """A one-shot swapper that is shown the face: half of the picture, and a quarter of the face's mean colour."""
        nodes = [
            helper.make_node("Mul", ["target", "half"], ["scaled"]),
            helper.make_node("GlobalAveragePool", ["source"], ["mean"]),
            helper.make_node("Mul", ["mean", "quarter"], ["tint"]),
            helper.make_node("Add", ["scaled", "tint"], ["output"]),
        ]
        weights = {"half": np.array(SWAP_SCALE, np.float32), "quarter": np.array(SOURCE_SCALE, np.float32)}
        inputs = [("target", (1, 3, size, size)), ("source", (1, 3, seen, seen))]
        return self.save(name, nodes, inputs, [("output", (1, 3, size, size))], weights)

    def recogniser(self, name: str = "recogniser.onnx", *, size: int = 112, width: int = 4) -> Path:
        """A recogniser: the mean of each channel, then ones."""
        nodes = [
            helper.make_node("GlobalAveragePool", ["input.1"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["three"], axis=1),
            helper.make_node("Concat", ["three", "ones"], ["embedding"], axis=1),
        ]
        weights = {"ones": np.ones((1, width - 3), np.float32)}
        return self.save(name, nodes, [("input.1", (1, 3, size, size))], [("embedding", (1, width))], weights)

    def converter(self, matrix: NDArray[np.float32], name: str = "converter.onnx") -> Path:
        """A converter of embeddings: times a matrix."""
        nodes = [helper.make_node("MatMul", ["input", "matrix"], ["output"])]
        rows, columns = matrix.shape
        return self.save(name, nodes, [("input", (1, rows))], [("output", (1, columns))], {"matrix": matrix})

    def xseg(
        self,
        weights: Sequence[float] = (0.1, 0.2, 0.7),
        name: str = "xseg.onnx",
        *,
        size: int = 64,
        count: Side = "N",
        taken: str = "in_face:0",
    ) -> Path:
        """An XSeg network: a weighted sum of blue, green and red."""
        nodes = [helper.make_node("MatMul", [taken, "weights"], ["out_mask:0"])]
        column = np.array(weights, np.float32)[:, None]
        inputs, outputs = [(taken, (count, size, size, 3))], [("out_mask:0", (count, size, size, 1))]
        return self.save(name, nodes, inputs, outputs, {"weights": column})

    def parser(
        self, places: dict[int, tuple[float, float, float, float]], name: str = "parser.onnx", *, size: int = 64
    ) -> Path:
        """A face parser: the score of a class is a sum of red, green, blue and 1, by place; of all others -100."""
        weights, bias = np.zeros((19, 3, 1, 1), np.float32), np.full(19, -100, np.float32)
        for place, (red, green, blue, one) in places.items():
            weights[place, :, 0, 0], bias[place] = (red, green, blue), one
        nodes = [
            helper.make_node("Conv", ["input", "weights", "bias"], ["output"]),
            helper.make_node("Identity", ["output"], ["auxiliary"]),
        ]
        scores = (1, 19, size, size)
        return self.save(
            name,
            nodes,
            [("input", (1, 3, size, size))],
            [("output", scores), ("auxiliary", scores)],
            {"weights": weights, "bias": bias},
        )

    def cards(self, tables: str, name: str = "cards.toml") -> Path:
        """A card file."""
        path = self.folder / name
        path.write_text(tables)
        return path


@pytest.fixture
def networks(tmp_path: Path) -> Networks:
    """Writes networks into the test's folder."""
    return Networks(tmp_path)


@pytest.fixture
def spoilt(tmp_path: Path) -> Callable[[str, bytes], Path]:
    """Writes a file that is no network."""

    def write(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write
