"""The de-flicker on filmed and drawn faces: flicker goes, the plate's own changes stay, nothing ghosts or softens."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import ValidationError
from torch import Tensor

from vfxswap.frame import FaceWindow
from vfxswap.models import ModelStore
from vfxswap.stage import Setting, Span
from vfxswap_plugins.deflicker.flow import FlowDeflicker, FlowDeflickerOptions

SIZE = 128
BAR = torch.tensor([0.1, 0.12, 0.3]).reshape(3, 1, 1)


@dataclass(frozen=True)
class Sequence:
    """A plate, a face put in that flickers, and the same without flicker; `(T, 3, SIZE, SIZE)` each."""

    plate: Tensor
    swapped: Tensor
    clean: Tensor


def texture(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    size = 2 * SIZE
    total = torch.full((1, 3, size, size), 0.5)
    for cells, share in ((5, 0.5), (12, 0.25), (30, 0.15), (80, 0.1)):
        coarse = torch.rand(1, 3, cells, cells, generator=generator) - 0.5
        total += share * F.interpolate(coarse, size=(size, size), mode="bicubic")
    return total


def seen(scene: Tensor, shift: tuple[float, float], angle: float) -> Tensor:
    """A similar view of a scene, `(3, SIZE, SIZE)`."""
    axis = torch.arange(SIZE) + 0.5 - SIZE / 2
    x, y = axis, axis.unsqueeze(1)
    grid = torch.stack(
        [
            math.cos(angle) * x - math.sin(angle) * y + shift[0],
            math.sin(angle) * x + math.cos(angle) * y + shift[1],
        ],
        dim=-1,
    )
    return F.grid_sample(scene, grid.unsqueeze(0) / SIZE, mode="bicubic", align_corners=False)[0]


def drawn(
    frames: int = 11,
    *,
    pumping: float = 0.0,
    jitter_px: float = 0.0,
    light: Callable[[int], float] = lambda _: 1.0,
    bar_speed_px: int = 0,
) -> Sequence:
    generator = torch.Generator().manual_seed(7)
    actor, double = texture(1), 0.4 * texture(1) + 0.6 * texture(2)
    plates, swaps, cleans = [], [], []
    for t in range(frames):
        shift, angle = (4 * math.sin(t / 5), 2 * math.cos(t / 4)), 0.02 * math.sin(t / 6)
        tremble = (jitter_px * torch.randn(2, generator=generator)).tolist()
        plate = seen(actor, shift, angle) * light(t)
        clean = seen(double, shift, angle) * light(t)
        swap = seen(double, (shift[0] + tremble[0], shift[1] + tremble[1]), angle) * light(t)
        tint, tilt = pumping * torch.randn(2, 3, 1, 1, generator=generator)
        swap = swap + tint + 0.5 * tilt * torch.linspace(-1, 1, SIZE)
        if bar_speed_px:
            left = 8 + t * bar_speed_px
            for picture in (plate, swap, clean):
                picture[:, :, left : left + 14] = BAR
        plates.append(plate + 0.005 * torch.randn(plate.shape, generator=generator))
        swaps.append(swap)
        cleans.append(clean)
    return Sequence(torch.stack(plates), torch.stack(swaps), torch.stack(cleans))


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    store = ModelStore([tmp_path], {})
    return Setting(device=torch.device("cpu"), models=store, width=640, height=360, first=1001, last=1100)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The crops are too small for two to pay."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def options(**values: object) -> FlowDeflickerOptions:
    return FlowDeflickerOptions.model_validate(values)


def steady(sequence: Sequence, setting: Setting, **values: object) -> Tensor:
    """Every frame of a sequence, through windows as the host makes them."""
    stage = FlowDeflicker(options(**values), setting)
    behind, ahead = stage.window
    count = len(sequence.plate)
    results = []
    for center in range(count):
        part = slice(max(center - behind, 0), min(center + ahead + 1, count))
        window = FaceWindow(
            swapped=sequence.swapped[part],
            plate=sequence.plate[part],
            mattes=torch.ones(part.stop - part.start, 1, SIZE, SIZE),
            frames=tuple(range(1001 + part.start, 1001 + part.stop)),
            center=center - part.start,
        )
        with torch.inference_mode():
            results.append(stage.steady(window))
    return torch.stack(results)


def flicker(pictures: Tensor, clean: Tensor) -> float:
    """Deviation of the change from frame to frame of large patches, that the clean sequence does not have."""
    patches = F.adaptive_avg_pool2d(pictures - clean, 4)
    return float(patches.diff(dim=0)[1:-1].std())


def fine_power(pictures: Tensor) -> float:
    """Power between an eighth and 0.4 cycles a pixel."""
    hann = torch.hann_window(SIZE)
    power = torch.fft.rfft2(pictures.mean(dim=1) * hann * hann.unsqueeze(1)).abs() ** 2
    radius = torch.hypot(torch.fft.fftfreq(SIZE).unsqueeze(1), torch.fft.rfftfreq(SIZE))
    return float(power[:, (radius > 0.125) & (radius < 0.4)].sum())


def pumped(lab_face: Any) -> Sequence:
    """A perfect swap of a filmed face whose tone trembles from frame to frame."""
    tint = 0.03 * torch.randn(len(lab_face.truth), 3, 1, 1, generator=torch.Generator().manual_seed(7))
    return Sequence(lab_face.plate, lab_face.truth + tint, lab_face.truth)


def test_a_filmed_face_stops_flickering_and_stays_sharp(setting: Setting, lab_face: Any) -> None:
    sequence = pumped(lab_face)
    result = steady(sequence, setting)
    assert flicker(result, sequence.clean) < 0.4 * flicker(sequence.swapped, sequence.clean)
    assert lab_face.error(result) < 0.7 * lab_face.error(sequence.swapped)
    assert fine_power(result) > 0.97 * fine_power(sequence.swapped)


def test_a_filmed_face_without_flicker_is_left_nearly_as_it_is(setting: Setting, lab_face: Any) -> None:
    sequence = Sequence(lab_face.plate, lab_face.truth, lab_face.truth)
    assert (steady(sequence, setting) - sequence.swapped).abs().mean() < 1 / 255


def test_a_larger_radius_takes_out_more(setting: Setting) -> None:
    sequence = drawn(pumping=0.03)
    near, far = (flicker(steady(sequence, setting, radius_frames=r), sequence.clean) for r in (1, 3))
    assert far < 0.6 * near


def test_a_single_wrong_frame_is_mended(setting: Setting) -> None:
    sequence = drawn()
    swapped = sequence.swapped.clone()
    swapped[5] += torch.tensor([0.08, -0.06, 0.0]).reshape(3, 1, 1)
    result = steady(Sequence(sequence.plate, swapped, sequence.clean), setting)
    assert (result[5] - sequence.clean[5]).mean(dim=(1, 2)).abs().max() < 0.03


@pytest.mark.parametrize(
    "light",
    [lambda t: 1.0 if t < 5 else 0.6, lambda t: 0.75 + 0.25 * math.sin(1.3 * t), lambda t: 0.5 + 0.05 * t],
    ids=["step", "wave", "ramp"],
)
def test_the_plate_s_light_is_followed_at_once(setting: Setting, light: Callable[[int], float]) -> None:
    sequence = drawn(pumping=0.02, light=light)
    result = steady(sequence, setting)
    assert flicker(result, sequence.clean) < 0.4 * flicker(sequence.swapped, sequence.clean)
    wanted, got = (pictures.mean(dim=(1, 2, 3)).diff() for pictures in (sequence.clean, result))
    lags = [(got[2:-2] * wanted.roll(lag)[2:-2]).sum().item() for lag in (-2, -1, 0, 1, 2)]
    if light(5) != pytest.approx(light(4) + 0.05):  # a ramp is alike at every lag
        assert max(lags) == lags[2]
    assert (got - wanted)[1:-1].abs().max() < 0.03


def test_trembling_is_stilled_and_stays_sharp(setting: Setting) -> None:
    sequence = drawn(jitter_px=0.7)
    result = steady(sequence, setting)
    inner = (slice(2, -2), slice(None), slice(12, -12), slice(12, -12))
    before, after = ((pictures - sequence.clean)[inner].abs().mean() for pictures in (sequence.swapped, result))
    assert after < 0.65 * before
    assert fine_power(result) > 0.97 * fine_power(sequence.swapped)


def test_sharpness_is_kept(setting: Setting) -> None:
    sequence = drawn(pumping=0.03)
    assert fine_power(steady(sequence, setting)) > 0.97 * fine_power(sequence.swapped)


def test_an_occluding_bar_leaves_no_ghost(setting: Setting) -> None:
    sequence = drawn(bar_speed_px=9)
    result = steady(sequence, setting)
    ghost = F.avg_pool2d((result - sequence.clean).abs(), 9, stride=3)
    assert ghost.max() < 0.03
    assert (result - sequence.clean).abs().mean() < 0.004


def test_what_does_not_flicker_is_left_nearly_as_it_is(setting: Setting) -> None:
    sequence = drawn()
    assert (steady(sequence, setting) - sequence.swapped).abs().mean() < 0.5 / 255


def test_a_change_larger_than_the_tolerance_is_kept(setting: Setting) -> None:
    sequence = drawn()
    swapped = sequence.swapped.clone()
    swapped[6:] += 0.3
    result = steady(Sequence(sequence.plate, swapped, sequence.clean), setting, tolerance=0.05)
    step = (result[6] - result[5]).mean() - (sequence.clean[6] - sequence.clean[5]).mean()
    assert step.item() == pytest.approx(0.3, abs=0.03)


def test_frames_outside_the_window_have_no_influence(setting: Setting) -> None:
    sequence = drawn(pumping=0.03)
    changed = Sequence(sequence.plate.clone(), sequence.swapped.clone(), sequence.clean)
    changed.plate[8:] = 0.1
    changed.swapped[8:] = 0.9
    first, second = steady(sequence, setting), steady(changed, setting)
    assert torch.equal(first[:6], second[:6])
    assert not torch.equal(first[6], second[6])


def test_frames_further_than_the_radius_are_left_out(setting: Setting) -> None:
    sequence = drawn(5, pumping=0.03)
    stage = FlowDeflicker(options(radius_frames=1), setting)
    mattes = torch.ones(5, 1, SIZE, SIZE)
    wide = FaceWindow(sequence.swapped, sequence.plate, mattes, (1, 2, 3, 4, 5), 2)
    narrow = FaceWindow(sequence.swapped[1:4], sequence.plate[1:4], mattes[1:4], (2, 3, 4), 1)
    assert torch.equal(stage.steady(wide), stage.steady(narrow))


def test_missing_frames_count_by_their_numbers(setting: Setting) -> None:
    sequence = drawn(3, pumping=0.03)
    stage = FlowDeflicker(options(radius_frames=3), setting)
    mattes = torch.ones(3, 1, SIZE, SIZE)
    near, far = (
        stage.steady(FaceWindow(sequence.swapped, sequence.plate, mattes, numbers, 1))
        for numbers in ((9, 10, 11), (7, 10, 13))
    )
    moved = [(result - sequence.swapped[1]).abs().mean() for result in (near, far)]
    assert moved[1] < moved[0]


@pytest.mark.parametrize("window", ["single", "radius 0"])
def test_without_neighbours_nothing_changes(setting: Setting, window: str) -> None:
    sequence = drawn(3 if window == "radius 0" else 1, pumping=0.03)
    radius = 0 if window == "radius 0" else 2
    assert torch.equal(steady(sequence, setting, radius_frames=radius), sequence.swapped)


def test_bits_depend_on_nothing_but_the_window(setting: Setting) -> None:
    sequence = drawn(4, pumping=0.03, jitter_px=0.5)
    first = steady(sequence, setting)
    torch.set_num_threads(2)
    assert torch.equal(steady(sequence, setting), first)


def test_input_is_left_as_it_was(setting: Setting) -> None:
    sequence = drawn(3, pumping=0.03)
    plate, swapped = sequence.plate.clone(), sequence.swapped.clone()
    steady(sequence, setting)
    assert torch.equal(sequence.plate, plate)
    assert torch.equal(sequence.swapped, swapped)


def test_the_window_is_the_radius_on_both_sides(setting: Setting) -> None:
    assert FlowDeflicker(options(radius_frames=3), setting).window == Span(3, 3)


@pytest.mark.parametrize(
    "values",
    [{"radius_frames": 9}, {"strength": 1.5}, {"detail": 1.0}, {"quality": "best"}, {"tolerance": 0.0}],
)
def test_options_are_bounded_and_strict(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(values))):
        options(**values)
