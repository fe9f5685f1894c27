"""What the contract suites check tensors with; for a plugin's own tests too."""

# ruff: noqa: S101 - asserts are what a contract suite is made of

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.frame import FaceBatch, FaceWindow


def check_tensor(tensor: Tensor, *, like: Tensor, channels: int) -> None:
    """Checks what a stage gives for `(N, C, H, W)` input.

    Raises:
        ShapeError: It is not `(N, channels, H, W)` float32 on the same device, or not finite.
    """
    expected = f"{(like.shape[0], channels, *like.shape[2:])} float32 on {like.device}, finite"
    sound = tensor.shape == (like.shape[0], channels, *like.shape[2:]) and tensor.dtype == torch.float32
    if not sound or tensor.device != like.device or not bool(torch.isfinite(tensor).all()):
        raise ShapeError("the stage's output", expected=expected, actual=_words(tensor))


def check_matte(matte: Tensor, *, like: Tensor) -> None:
    """The same for mattes, which are 0..1.

    Raises:
        ShapeError: It is not `(N, 1, H, W)` float32 on the same device, or leaves 0..1.
    """
    check_tensor(matte, like=like, channels=1)
    if matte.numel() and (float(matte.min()) < 0 or float(matte.max()) > 1):
        raise ShapeError("the stage's matte", expected="0..1", actual=_words(matte))


def assert_same_bits(actual: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    """Asserts that tensors are equal in every bit."""
    for one, other in zip(actual, expected, strict=True):
        assert torch.equal(one, other), f"differs by up to {float((one - other).abs().max()):.3g}"


def _words(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {tensor.dtype} on {tensor.device}, {float(tensor.min()):g}..{float(tensor.max()):g}"


@contextmanager
def untouched(*tensors: Tensor | None) -> Iterator[None]:
    """Asserts that tensors are not written to."""
    held = [tensor for tensor in tensors if tensor is not None]
    before = [tensor.clone() for tensor in held]
    yield
    assert_same_bits(held, before)


def given_tensor(tensor: Tensor | None) -> Tensor:
    """A tensor that the suites' own material is sure to have."""
    if tensor is None:
        raise AssertionError("the suite's own material has swapped crops and mattes")
    return tensor


def faces_on(faces: FaceBatch, device: str) -> FaceBatch:
    """The batch with its tensors on a device."""
    swapped = None if faces.swapped is None else faces.swapped.to(device)
    mattes = None if faces.mattes is None else faces.mattes.to(device)
    return replace(faces, crops=faces.crops.to(device), swapped=swapped, mattes=mattes)


def window_on(window: FaceWindow, device: str) -> FaceWindow:
    """The window with its tensors on a device."""
    return replace(
        window, swapped=window.swapped.to(device), plate=window.plate.to(device), mattes=window.mattes.to(device)
    )
