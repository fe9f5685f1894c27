"""Devices without float64, such as Metal's: what is computed in it is brought to the CPU first, and its bits stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from vfxswap.ops.gaze import gaze
from vfxswap.ops.grain import regrained
from vfxswap.ops.match import populations
from vfxswap.ops.openings import opening_map, opening_masks
from vfxswap.ops.pumping import PumpingSettings, unpumped
from vfxswap.ops.shading import shown_at
from vfxswap.ops.steady import SteadySettings, steadied
from vfxswap.testing import face_landmarks

SIZE = 128
MARKS = face_landmarks(np.array([(SIZE, 0.0, 0.0), (0.0, SIZE, 0.0)]), mouth_open=0.6, eyes_open=1.0)

Put = Callable[[Tensor], Tensor]
"""Brings a tensor to the device."""


class Narrow(Tensor):
    """A tensor that stands for one on such a device."""

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name in {"numpy", "__array__"}:
            raise TypeError("can't convert a tensor of this device to numpy; it is to be copied to the CPU first")
        if name == "cpu":
            with torch._C.DisableTorchFunctionSubclass():
                return args[0].as_subclass(Tensor)
        found = super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]
        if isinstance(found, Narrow) and found.dtype is torch.float64:
            raise TypeError("cannot convert a tensor of this device to float64, which it does not support")
        return found

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))


def narrow(tensor: Tensor) -> Tensor:
    return tensor.as_subclass(Narrow)


def plain(value: Any) -> Any:
    return value.cpu().numpy() if isinstance(value, Tensor) else value


def pictures(count: int) -> Tensor:
    """`(count, 3, SIZE, SIZE)`: one texture with a grain, each time in a light of its own."""
    generator = torch.Generator().manual_seed(3)
    texture = F.interpolate(torch.rand(1, 3, 24, 24, generator=generator), size=(SIZE, SIZE), mode="bicubic")
    light = 1 + 0.04 * torch.randn(count, 3, 1, 1, generator=generator)
    return 0.2 + 0.5 * texture * light + 0.02 * torch.randn(count, 3, SIZE, SIZE, generator=generator)


def mattes(count: int) -> Tensor:
    place = torch.arange(SIZE) + 0.5 - SIZE / 2
    return ((60 - torch.hypot(place[:, None], place[None])) / 12).clamp(0, 1).expand(count, 1, SIZE, SIZE).contiguous()


def matched(put: Put) -> list[Any]:
    found = populations(put(pictures(2)), put(pictures(2).flip(0)), put(mattes(2)), side_px=32)
    assert found is not None
    return [part for population in found for part in (population.colors, population.weights)]


def with_grain(put: Put) -> list[Any]:
    plate, other = pictures(2)
    smooth = F.avg_pool2d(plate[None], 9, 1, padding=4, count_include_pad=False)
    return [regrained(put(smooth), put(plate[None]), put(mattes(1)), others=[put(other)], amount=1.0, seed=5)]


def opened(put: Put) -> list[Any]:
    ours, theirs = pictures(2)
    masks = opening_masks(MARKS, put(ours))
    found = opening_map([put(ours)], [put(theirs)], [put(masks[0])], eye_distances_px=[30.0])
    return [found.gain, found.offset, found.trust]


def without_flicker(put: Put) -> list[Any]:
    swapped, plate, cover = put(pictures(3)), put(pictures(1).expand(3, -1, -1, -1).contiguous()), put(mattes(3))
    times = (1, 2, 3)
    return [
        steadied(swapped, plate, cover, center=1, times=times, settings=SteadySettings()),
        unpumped(swapped, plate, cover, center=1, times=times, settings=PumpingSettings()),
    ]


def looked_at(put: Put) -> list[Any]:
    picture = put(pictures(1)[0])
    return [*gaze(picture, MARKS), *shown_at(picture, MARKS.points, cell_px=4.0)]


@pytest.mark.parametrize("work", [matched, with_grain, opened, without_flicker, looked_at])
def test_the_bits_are_those_of_a_cpu(work: Callable[[Put], list[Any]]) -> None:
    wide, found = work(lambda tensor: tensor), work(narrow)
    for expected, actual in zip(wide, found, strict=True):
        np.testing.assert_array_equal(plain(actual), plain(expected))


def test_the_stand_in_refuses_what_such_a_device_refuses() -> None:
    tensor = narrow(torch.ones(2))
    for wrong in (tensor.double, tensor.numpy, lambda: torch.add(tensor, torch.ones(2, dtype=torch.float64))):
        with pytest.raises(TypeError, match="of this device"):
            wrong()
    assert isinstance(next(iter(tensor * 2)), Narrow)
    assert type(tensor.cpu().double()) is Tensor
