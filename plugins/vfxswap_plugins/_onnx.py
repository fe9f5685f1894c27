"""ONNX Runtime sessions as this package's stages want them: one thread each, the same bits every time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from vfxswap.errors import PluginError, UsageError
from vfxswap_plugins._onnx_file import FLOAT16, OnnxFile, read_onnx

FACES_AT_ONCE = 4
"""Faces that a GPU computes together, of networks that take any number: those of one batch of frames."""


def open_session(path: Path, device: torch.device) -> Any:
    """Loads a network.

    A session computes on the thread that calls it, and may be called by several at once: over frames that is faster
    than threads within the network, and its sums keep one order. On CUDA the convolutions are chosen without timing
    them, which would choose differently from run to run.

    Args:
        path: The verified `.onnx` file.
        device: Where to compute, `cpu` or `cuda`.

    Returns:
        An `onnxruntime.InferenceSession`.

    Raises:
        PluginError: The installed ONNX Runtime cannot compute on that device.
        UsageError: It cannot load the network.
    """
    try:
        return _session(path, device)
    except PluginError:
        raise
    except Exception as error:  # ONNX Runtime's errors have no base of their own
        raise UsageError(f"ONNX Runtime {onnxruntime.__version__} cannot load {path}: {error}") from error


def _session(path: Path, device: torch.device) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    if device.type == "cpu":
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    cuda = {"device_id": str(device.index or 0), "cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
    available = onnxruntime.get_available_providers()
    if device.type == "cuda" and "CUDAExecutionProvider" in available:
        providers = [("CUDAExecutionProvider", cuda), "CPUExecutionProvider"]
        session = onnxruntime.InferenceSession(path, options, providers=providers)
        if "CUDAExecutionProvider" in session.get_providers():
            return session
    raise PluginError(
        f"ONNX Runtime {onnxruntime.__version__} cannot compute on {device} (it has {', '.join(available)}); install"
        ' onnxruntime-gpu in place of onnxruntime, or set on = "cpu" in this stage',
        plugin="vfxswap-plugins",
    )


class Network:
    """A network that batches of faces go through, with the same bits for a face whatever else is in the batch.

    Sums of several faces at once may be taken in another order than those of one. So faces are always computed in
    groups of one size: one by one on a CPU, where more at once is no faster, else `FACES_AT_ONCE`, or as many as the
    network was exported for; a group that is not full is filled up with zeros. Tensors are bound to the session where
    they are, without a copy through the host's memory.

    Args:
        path: The file.
        device: Where to compute.
        at_once: Faces in a group, for networks that take any number; None chooses by the device.

    Raises:
        PluginError: The installed ONNX Runtime cannot compute on that device.
        UsageError: The file is not an ONNX file, or cannot be loaded.
    """

    def __init__(self, path: Path, device: torch.device, *, at_once: int | None = None) -> None:
        self.file: OnnxFile = read_onnx(path)
        self._device = device
        self._session = open_session(path, device)
        free = FACES_AT_ONCE if device.type != "cpu" else 1
        self._at_once = self._fixed_count() or at_once or free

    def __call__(
        self,
        faces: Mapping[str, Tensor],
        outputs: Mapping[str, tuple[int, ...] | None],
        *,
        constants: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, ...]:
        """Computes.

        Args:
            faces: `(N, ...)` float32 by input, N >= 1.
            outputs: The shape of one face's output, by name; None where it is not known, which costs a copy.
            constants: Inputs that are the same for all faces, as they are.

        Returns:
            `(N, ...)` float32 on the device of the faces, one for each of `outputs`.
        """
        count = len(next(iter(faces.values())))
        groups = []
        for start in range(0, count, self._at_once):
            part = {name: self._full(tensor[start : start + self._at_once]) for name, tensor in faces.items()}
            groups.append(self._bound({**part, **(constants or {})}, outputs))
        home = next(iter(faces.values())).device
        joined = (parts[0] if len(parts) == 1 else torch.cat(parts) for parts in zip(*groups, strict=True))
        return tuple(tensor[:count].to(home) for tensor in joined)

    def _fixed_count(self) -> int | None:
        """How many faces the network was exported for; None if any number."""
        counts = [port.shape[0] for port in self.file.inputs if port.shape is not None and len(port.shape) > 1]
        return min((count for count in counts if isinstance(count, int)), default=None)

    def _full(self, faces: Tensor) -> Tensor:
        missing = self._at_once - len(faces)
        return faces if missing == 0 else torch.cat([faces, faces.new_zeros((missing, *faces.shape[1:]))])

    def _bound(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, tuple[int, ...] | None]) -> list[Tensor]:
        binding = self._session.io_binding()
        kinds = {port.name: port.kind for port in (*self.file.inputs, *self.file.outputs)}
        given = {name: tensor.to(self._device, _dtype(kinds[name])).contiguous() for name, tensor in inputs.items()}
        made = {
            name: torch.empty((self._at_once, *shape), dtype=_dtype(kinds[name]), device=self._device)
            for name, shape in outputs.items()
            if shape is not None
        }
        for bind, tensors in ((binding.bind_input, given), (binding.bind_output, made)):
            for name, tensor in tensors.items():
                kind = np.float16 if tensor.dtype is torch.float16 else np.float32
                place = (self._device.type, self._device.index or 0)
                bind(name, *place, kind, tuple(tensor.shape), tensor.data_ptr())
        unknown = [name for name in outputs if name not in made]
        for name in unknown:
            binding.bind_output(name, "cpu")
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()  # ONNX Runtime computes on a stream of its own
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        # They come in the order in which they were bound.
        found = dict(zip(unknown, binding.get_outputs()[len(made) :], strict=True)) if unknown else {}
        made |= {name: torch.from_numpy(value.numpy()) for name, value in found.items()}
        return [made[name].float() for name in outputs]


def _dtype(kind: int) -> torch.dtype:
    return torch.float16 if kind == FLOAT16 else torch.float32
