"""Memory that is too small ends a run with 75, so that a farm tries again: in a frame, and before the first one."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

import vfxswap
from vfxswap.errors import ExitCode, OutOfMemory, UsageError
from vfxswap.host import Host
from vfxswap_plugins.color.linear import Mkl
from vfxswap_plugins.mattes.hull import Hull


def full(*_: object) -> NoReturn:
    """What ONNX Runtime says, as who loads a network passes it on."""
    error = Exception("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer")
    raise UsageError(f"cannot load a.onnx: {error}") from error


@pytest.mark.parametrize(
    ("stage", "method", "label", "where"),
    [
        (Hull, "open", "hull", "before the first frame"),
        (Mkl, "fit", "mkl", "before the first frame"),  # in its survey of the shot
        (Hull, "matte", "hull", "at frames "),
    ],
)
def test_it_is_a_reason_to_try_again(
    place: Any, host: Host, monkeypatch: pytest.MonkeyPatch, stage: type, method: str, label: str, where: str
) -> None:
    monkeypatch.setattr(stage, method, full)
    sets = ("stages.mkl.lock=shot", "stages.mkl.lock_frames=2")
    with pytest.raises(OutOfMemory, match=f"stage '{label}' ran out of memory {where}") as caught:
        vfxswap.run(place.pipelines / "demo.toml", frames="1-2", overrides=sets, device="cpu", host=host)
    assert caught.value.exit_code is ExitCode.RETRY
