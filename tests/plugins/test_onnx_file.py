"""The outside of ONNX files, read without a library, against the `onnx` package."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vfxswap.errors import ModelMissing, UsageError
from vfxswap_plugins._onnx_file import Port, last_matrix, read_onnx


def by_package(ports: Any) -> list[tuple[str, int, tuple[int | str, ...]]]:
    """Name, kind and shape of ports, by the `onnx` package."""
    return [
        (
            port.name,
            port.type.tensor_type.elem_type,
            tuple(d.dim_value or d.dim_param for d in port.type.tensor_type.shape.dim),
        )
        for port in ports
    ]


def test_it_reads_what_the_package_reads(networks: Any) -> None:
    for path in (networks.dfm(morph=True), networks.swapper(), networks.recogniser(), networks.xseg(count="batch")):
        found, model = read_onnx(path), onnx.load(path)
        assert [(p.name, p.kind, p.shape) for p in found.inputs] == by_package(model.graph.input)
        assert [(p.name, p.kind, p.shape) for p in found.outputs] == by_package(model.graph.output)


@pytest.mark.footage
def test_it_reads_real_networks(shared_models: Path) -> None:
    files = sorted(shared_models.glob("*.onnx"))
    assert files
    for path in files:
        found, model = read_onnx(path), onnx.load(path)
        weights = {tensor.name for tensor in model.graph.initializer}
        wanted = [port for port in by_package(model.graph.input) if port[0] not in weights]
        assert [(p.name, p.kind, p.shape) for p in found.inputs] == wanted, path
        assert [p.name for p in found.outputs] == [port.name for port in model.graph.output], path


def test_weights_that_old_exporters_list_as_inputs_are_left_out(networks: Any) -> None:
    path = networks.xseg()
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("weights", TensorProto.FLOAT, [3, 1]))
    path.write_bytes(model.SerializeToString())
    assert [port.name for port in read_onnx(path).inputs] == ["in_face:0"]


def test_an_unstated_shape_fits_anything_of_floats(networks: Any) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    path = networks.save("open.onnx", nodes, [("x", ("N", 3, "H", 8))], [("y", None)])
    found = read_onnx(path)
    assert found.outputs[0].shape is None
    assert found.outputs[0].fits(1, 2, 3)
    assert found.inputs[0].fits(None, 3, 64, 8)
    assert not found.inputs[0].fits(None, 3, 64)
    assert not found.inputs[0].fits(None, 4, 64, 8)
    assert not Port("x", TensorProto.INT64, None).fits(1)
    assert str(found.inputs[0]) == "x float32 [N, 3, H, 8]"
    assert str(found.outputs[0]) == "y float32 of unstated shape"


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("raw", [True, False])
def test_the_last_matrix_is_read(networks: Any, dtype: Any, raw: bool) -> None:
    matrix = np.linspace(-1, 1, 12).reshape(4, 3).astype(dtype)
    path = networks.swapper(emap=matrix)
    if not raw and dtype is np.float32:
        model = onnx.load(path)
        tensor = helper.make_tensor("emap", TensorProto.FLOAT, matrix.shape, matrix.flatten())
        model.graph.initializer[-1].CopyFrom(tensor)
        assert not model.graph.initializer[-1].HasField("raw_data")
        path.write_bytes(model.SerializeToString())
    found = last_matrix(path)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, matrix.astype(np.float32))
    np.testing.assert_array_equal(found, numpy_helper.to_array(onnx.load(path).graph.initializer[-1]))


def test_a_last_weight_that_is_no_matrix_is_refused(networks: Any) -> None:
    path = networks.swapper(emap=np.zeros((2, 2, 2), np.float32))
    with pytest.raises(UsageError, match=r"must be a matrix of floats.*found emap \[2, 2, 2\]"):
        last_matrix(path)
    whole = networks.swapper(emap=np.zeros((2, 2), np.int64))
    with pytest.raises(UsageError, match="type 7"):
        last_matrix(whole)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"\x80\x04\x95\x10", "a Python pickle, which is never loaded"),
        (b"PK\x03\x04" + bytes(64), "a zip archive, such as PyTorch's .pth"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (bytes(range(64)), "it begins with 00 01 02"),
        (b"\xff" * 64, "a number is longer than 64 bits"),
        (b"\x08\x08", "it holds no network"),
    ],
)
def test_other_files_are_refused_and_told(spoilt: Callable[[str, bytes], Path], content: bytes, said: str) -> None:
    path = spoilt("hero.dfm", content)
    with pytest.raises(UsageError, match=re.escape(str(path))) as caught:
        read_onnx(path)
    assert said in str(caught.value)
    with pytest.raises(UsageError, match="not an ONNX file"):
        last_matrix(path)


def test_a_file_that_is_cut_short_anywhere_is_refused_and_hangs_nowhere(
    networks: Any, spoilt: Callable[[str, bytes], Path]
) -> None:
    content = networks.dfm().read_bytes()
    for end in range(0, len(content), 97):
        with pytest.raises(UsageError):
            read_onnx(spoilt("short.dfm", content[:end]))


def test_noise_in_a_file_ends_in_our_errors_only(networks: Any, spoilt: Callable[[str, bytes], Path]) -> None:
    random, content = np.random.default_rng(1), bytearray(networks.dfm().read_bytes())
    for _ in range(300):
        changed = bytearray(content)
        changed[int(random.integers(len(changed)))] = int(random.integers(256))
        try:
            read_onnx(spoilt("noisy.dfm", bytes(changed)))
        except UsageError:
            continue


def test_weights_in_another_file_are_refused(networks: Any) -> None:
    """No sha256 of the network would cover them."""
    path = networks.swapper(emap=np.eye(64, dtype=np.float32))
    onnx.save_model(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=1024)
    with pytest.raises(UsageError, match="keeps weights in another file, which its sha256 does not cover"):
        read_onnx(path)
    onnx.save(onnx.load(path), path)
    assert read_onnx(path).inputs


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="cannot be read"):
        read_onnx(tmp_path / "none.dfm")
