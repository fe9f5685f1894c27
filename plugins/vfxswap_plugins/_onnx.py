"""ONNX Runtime sessions as this package's stages want them: one thread each, the same bits every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
import torch

from vfxswap.errors import PluginError


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
    """
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
