"""Fixtures for all tests: where footage is, one thread count, and no network."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

# Tests run in several processes already; threads of torch and OpenCV on top would only wait for one another.
for _variable in ("OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ.setdefault(_variable, "1")

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
