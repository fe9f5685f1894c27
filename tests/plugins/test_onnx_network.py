"""Networks: the same bits for a face whatever is beside it, in groups of any size, in half precision too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from vfxswap.errors import PluginError, UsageError
from vfxswap.testing import assert_same_bits
from vfxswap_plugins._onnx import FACES_AT_ONCE, Network

CPU = torch.device("cpu")


def mixing(networks: Any, count: int | str) -> Path:
    """A network whose sums run over many numbers: a convolution and a dense layer."""
    random = np.random.default_rng(3)
    weights = {
        "kernel": random.normal(size=(8, 3, 3, 3)).astype(np.float32),
        "dense": random.normal(size=(8 * 16 * 16, 40)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["seen"], pads=[1, 1, 1, 1]),
        helper.make_node("Flatten", ["seen"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "dense"], ["y"]),
    ]
    path: Path = networks.save("mixing.onnx", nodes, [("x", (count, 3, 16, 16))], [("y", (count, 40))], weights)
    return path


@pytest.mark.parametrize(("count", "at_once"), [("N", None), ("N", FACES_AT_ONCE), ("N", 3), (1, 4), (2, None)])
def test_a_face_does_not_depend_on_what_is_beside_it(networks: Any, count: int | str, at_once: int | None) -> None:
    network = Network(mixing(networks, count), CPU, at_once=at_once)
    faces = torch.from_numpy(np.random.default_rng(4).normal(size=(7, 3, 16, 16)).astype(np.float32))
    (together,) = network({"x": faces}, {"y": (40,)})
    assert together.shape == (7, 40)
    for i in range(7):
        assert_same_bits(network({"x": faces[i : i + 1]}, {"y": (40,)}), [together[i : i + 1]])
    assert_same_bits(network({"x": faces[2:6]}, {"y": (40,)}), [together[2:6]])


def test_the_numbers_are_onnx_runtimes_own(networks: Any) -> None:
    import onnxruntime  # noqa: PLC0415 - the reference

    path = mixing(networks, "N")
    faces = np.random.default_rng(5).normal(size=(3, 3, 16, 16)).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"x": faces})
    for outputs in ({"y": (40,)}, {"y": None}):
        (found,) = Network(path, CPU)({"x": torch.from_numpy(faces)}, outputs)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_input_is_left_alone_and_may_be_strided(networks: Any) -> None:
    network = Network(mixing(networks, "N"), CPU)
    faces = torch.rand(2, 16, 16, 3, generator=torch.Generator().manual_seed(1)).permute(0, 3, 1, 2)
    before = faces.clone()
    (strided,) = network({"x": faces}, {"y": (40,)})
    assert_same_bits([faces], [before])
    assert_same_bits(network({"x": faces.contiguous()}, {"y": (40,)}), [strided])


def test_outputs_come_in_the_order_asked_for_and_half_precision_is_cast(networks: Any) -> None:
    nodes = [helper.make_node("Neg", ["x"], ["first"]), helper.make_node("Abs", ["x"], ["second"])]
    ports = [("first", ("N", 2)), ("second", ("N", 2))]
    path = networks.save("half.onnx", nodes, [("x", ("N", 2))], ports, kind=TensorProto.FLOAT16)
    network = Network(path, CPU)
    shapes: Sequence[tuple[int, ...] | None] = ((2,), None)
    for one, other in product(shapes, shapes):
        second, first = network({"x": torch.tensor([[0.1, -2.0]])}, {"second": one, "first": other})
        assert first.dtype is second.dtype is torch.float32
        torch.testing.assert_close(first, torch.tensor([[-0.1, 2.0]]), atol=1e-4, rtol=0)
        torch.testing.assert_close(second, torch.tensor([[0.1, 2.0]]), atol=1e-4, rtol=0)


def test_a_network_that_cannot_be_computed_says_which_and_why(
    networks: Any, spoilt: Callable[[str, bytes], Path]
) -> None:
    path = networks.save("odd.onnx", [helper.make_node("Abs", ["x"], ["y"])], [("x", ("N", 2))], [("y", ("N", 2))])
    broken = spoilt("broken.onnx", path.read_bytes().replace(b"Abs", b"Abz"))
    with pytest.raises(UsageError, match=r"ONNX Runtime .* cannot load .*broken\.onnx"):
        Network(broken, CPU)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_without_cuda_a_cuda_device_is_refused(networks: Any) -> None:
    with pytest.raises(PluginError, match=r"cannot compute on cuda.*onnxruntime-gpu"):
        Network(mixing(networks, "N"), torch.device("cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_tensors_are_bound_where_they_are(networks: Any) -> None:
    pytest.importorskip("onnxruntime").get_available_providers().index("CUDAExecutionProvider")
    path, device = mixing(networks, "N"), torch.device("cuda")
    faces = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    network = Network(path, device)
    (found,) = network({"x": faces.to(device)}, {"y": (40,)})
    assert found.device.type == "cuda"
    (expected,) = Network(path, CPU)({"x": faces}, {"y": (40,)})
    torch.testing.assert_close(found.cpu(), expected, atol=1e-2, rtol=1e-3)
    for i in range(6):
        assert_same_bits(network({"x": faces[i : i + 1].to(device)}, {"y": (40,)}), [found[i : i + 1]])
