"""What de-flickers are shown: windows as the host makes them, and a bar that crosses a face."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from vfxswap.frame import FaceWindow
from vfxswap.stage import Deflicker
from vfxswap.testing import options_of, setting

Steady = Any
"""See `steady`."""
BAR = torch.tensor([0.1, 0.12, 0.3]).reshape(3, 1, 1)
BAR_WIDTH, BAR_SPEED = 12, 9


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The crops are too small for two to pay."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def steady() -> Steady:
    """Every frame of a sequence, through windows as the host makes them."""

    def steady(
        kind: type[Deflicker[Any]], swapped: Tensor, plate: Tensor, mattes: Tensor | None = None, **values: object
    ) -> Tensor:
        stage = kind(options_of(kind, values), setting())
        behind, ahead = stage.window
        count = len(plate)
        mattes = torch.ones_like(plate[:, :1]) if mattes is None else mattes
        results = []
        for center in range(count):
            part = slice(max(center - behind, 0), min(center + ahead + 1, count))
            numbers = tuple(range(1001 + part.start, 1001 + part.stop))
            window = FaceWindow(swapped[part], plate[part], mattes[part], numbers, center - part.start)
            with torch.inference_mode():
                results.append(stage.steady(window))
        return torch.stack(results)

    return steady


@pytest.fixture
def crossed() -> Any:
    """Pictures with a bar that crosses them, and `(T, 1, S, S)` where it is not."""

    def crossed(*sequences: Tensor) -> tuple[Tensor, ...]:
        seen = torch.ones_like(sequences[0][:, :1])
        for t in range(len(seen)):
            seen[t, :, :, 20 + BAR_SPEED * t : 20 + BAR_SPEED * t + BAR_WIDTH] = 0
        return (*(pictures * seen + BAR * (1 - seen) for pictures in sequences), seen)

    return crossed
