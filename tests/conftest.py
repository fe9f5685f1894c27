"""Fixtures for all tests: where footage is, a filmed face with its truth, one thread count, and no network."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from torch import Tensor

# Tests run in several processes already; threads of torch and OpenCV on top would only wait for one another.
for _variable in ("OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ.setdefault(_variable, "1")
os.environ.pop("OCIO", None)  # the machine's own configuration is not the tests'

REPO = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repo() -> Path:
    """The project's root."""
    return REPO


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real footage and models: `VFXSWAP_SHARED`, else `shared` beside the project."""
    folder = Path(os.environ.get("VFXSWAP_SHARED", REPO.parent / "shared"))
    if not (folder / "MANIFEST.md").is_file():
        pytest.skip(f"no footage: set VFXSWAP_SHARED to a folder with clips/ and models/ ({folder} is none)")
    return folder


@pytest.fixture
def shared_models(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of real models, put on the model path."""
    monkeypatch.setenv("VFXSWAP_MODEL_PATH", str(shared / "models"))
    return shared / "models"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything but loopback is refused."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else None
        if host is not None and host not in {"127.0.0.1", "::1", "localhost"}:
            raise RuntimeError(f"a test tried to reach {host}; tests use loopback only")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@dataclass(frozen=True, eq=False)
class LabFace:
    """A performer of the lab who talks, and a perfect swap of it; R'G'B' crops `(T, 3, 128, 128)`."""

    plate: Tensor
    truth: Tensor
    mattes: Tensor
    """`(T, 1, 128, 128)` where the two may differ."""

    def error(self, result: Tensor, frames: slice = slice(None)) -> float:
        """Mean distance of crops from the truth where the face is replaced."""
        matte = self.mattes[frames]
        return float(((result - self.truth[frames]).abs() * matte).sum() / (3 * matte.sum()))


@pytest.fixture(scope="session")
def lab_face() -> LabFace:
    """Nine frames of 320x180, two samples a pixel, fine grain: what judges of a picture are shown instead of noise."""
    import torch  # noqa: PLC0415 - tests that need no picture do not wait for it

    from vfxswap.alignment import CropSpec  # noqa: PLC0415
    from vfxswap.lab.colour import srgb_encoded  # noqa: PLC0415
    from vfxswap.lab.play import render_shot  # noqa: PLC0415
    from vfxswap.lab.shot import PRESETS, Lens  # noqa: PLC0415
    from vfxswap.ops.warp import cut  # noqa: PLC0415

    spec, crops = PRESETS["talk"].model_copy(update={"lens": Lens(samples=2, grain=0.006)}), []
    for frame in render_shot(spec, range(1030, 1039), width=320, height=180):
        place = CropSpec(size_px=128).plate_to_crop(frame.faces[0].mesh)
        layers = torch.cat([srgb_encoded(frame.plate), srgb_encoded(frame.truth), frame.matte])
        crops.append(cut(layers, origin=(0, 0), plate_to_crop=place, size_px=128))
    shown = torch.stack(crops)
    return LabFace(shown[:, :3], shown[:, 3:6], shown[:, 6:].clamp(0, 1))
