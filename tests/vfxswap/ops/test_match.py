"""Colour matches: known distortions are undone, every method comes nearer, nothing explodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.ops.match import Population, lct, mkl, populations, reinhard, unchanged, wasserstein
from vfxswap.ops.transport import TableMap, hist, idt, sot

Fit = Callable[[Population, Population], Callable[[Tensor], Tensor]]

METHODS: dict[str, Fit] = {
    "mkl": lambda a, b: mkl(a, b, max_gain=5),
    "lct": lambda a, b: lct(a, b, max_gain=5),
    "reinhard": lambda a, b: reinhard(a, b, max_gain=5),
    "reinhard-robust": lambda a, b: reinhard(a, b, max_gain=5, robust=True),
    "hist": lambda a, b: hist(a, b, smoothness=0.06, max_gain=5),
    "idt": lambda a, b: idt(a, b, rotations=8, seed=1, smoothness=0.06, max_gain=5),
    "sot": lambda a, b: sot(a, b, steps=6, directions=9, seed=1, smoothness=0.06, max_gain=5),
}


def face(seed: int, *, size: int = 96, tint: tuple[float, float, float] = (0.75, 0.55, 0.45)) -> Tensor:
    """`(1, 3, size, size)` a smooth, textured patch of skin-like colours."""
    generator = torch.Generator().manual_seed(seed)
    light = F.interpolate(torch.rand(1, 1, 5, 5, generator=generator), size=(size, size), mode="bicubic")
    color = F.interpolate(torch.rand(1, 3, 6, 6, generator=generator) - 0.5, size=(size, size), mode="bicubic")
    noise = 0.01 * torch.randn(1, 3, size, size, generator=generator)
    return torch.tensor(tint).reshape(1, 3, 1, 1) * (0.4 + 0.6 * light) + 0.12 * color + noise


def matte(size: int = 96) -> Tensor:
    axis = torch.linspace(-1, 1, size)
    return ((1 - axis[:, None] ** 2 - axis[None, :] ** 2) * 3).clamp(0, 1)[None, None]


def fitted(
    method: str, swapped: Tensor, plate: Tensor, weight: Tensor, side_px: int = 64
) -> Callable[[Tensor], Tensor]:
    found = populations(swapped, plate, weight, side_px=side_px)
    assert found is not None
    return METHODS[method](*found)


def distance(a: Tensor, b: Tensor, weight: Tensor) -> float:
    found = populations(a, b, weight, side_px=96)
    assert found is not None
    return wasserstein(*found)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_mkl_undoes_a_symmetric_linear_distortion() -> None:
    plate = face(1)
    matrix = torch.tensor([[1.2, 0.1, -0.05], [0.1, 0.8, 0.08], [-0.05, 0.08, 0.95]])
    swapped = torch.einsum("ij,njhw->nihw", matrix, plate) + torch.tensor([0.1, -0.05, 0.02]).reshape(3, 1, 1)
    assert torch.allclose(fitted("mkl", swapped, plate, matte())(swapped), plate, atol=2e-3)


def test_reinhard_undoes_gains_along_its_axes() -> None:
    plate = face(1)
    swapped = (plate - 0.4) * 0.7 + 0.45
    for method in ("reinhard", "reinhard-robust"):
        assert torch.allclose(fitted(method, swapped, plate, matte())(swapped), plate, atol=3e-3)


def test_hist_undoes_a_gamma() -> None:
    plate = face(1).clamp(0.05, 1)
    swapped = plate**1.5
    restored = fitted("hist", swapped, plate, matte())(swapped)
    inside = (matte() > 0.5).expand_as(plate)
    assert (swapped - plate)[inside].abs().mean() > 0.08
    assert (restored - plate)[inside].abs().mean() < 0.008


@pytest.mark.parametrize("method", ["mkl", "lct"])
def test_linear_maps_meet_mean_and_covariance_of_numpy(method: str) -> None:
    swapped, plate = face(1), face(2, tint=(0.5, 0.45, 0.5))
    result = fitted(method, swapped, plate, matte(), side_px=96)(swapped)
    weight = matte().flatten().double().numpy()
    statistics = []
    for image in (result, plate):
        colors = image[0].flatten(1).double().numpy()
        statistics.append((np.average(colors, axis=1, weights=weight), np.cov(colors, aweights=weight)))
    np.testing.assert_allclose(statistics[0][0], statistics[1][0], atol=1e-4)
    np.testing.assert_allclose(statistics[0][1], statistics[1][1], atol=2e-5)


def test_mkl_and_lct_are_the_published_matrices() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((3, 3)) @ rng.standard_normal((3, 4000)) * 0.1 for _ in range(2))
    weights = np.full(4000, 1 / 4000)
    source, target = Population(a, weights), Population(b, weights)
    cov_a, cov_b = (np.cov(x, bias=True) + (0.25 / 255) ** 2 * np.eye(3) for x in (a, b))
    # the geometric mean of covariances, by the eigenvalues of their product: not the road that the code takes
    values, vectors = np.linalg.eig(cov_a @ cov_b)
    expected = np.linalg.inv(cov_a) @ (vectors @ np.diag(np.sqrt(values)) @ np.linalg.inv(vectors))
    np.testing.assert_allclose(mkl(source, target, max_gain=1e6).matrix, expected.real, rtol=1e-6, atol=1e-9)
    u_a, s_a, _ = np.linalg.svd(cov_a)
    u_b, s_b, _ = np.linalg.svd(cov_b)
    whiten, color = u_a @ np.diag(s_a**-0.5) @ u_a.T, u_b @ np.diag(s_b**0.5) @ u_b.T
    np.testing.assert_allclose(lct(source, target, max_gain=1e6).matrix, color @ whiten, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_comes_much_nearer_to_the_plate(method: str) -> None:
    swapped, plate = face(3), face(4, tint=(0.45, 0.40, 0.42))
    before = distance(swapped, plate, matte())
    after = distance(fitted(method, swapped, plate, matte())(swapped), plate, matte())
    assert after < 0.35 * before


@pytest.mark.parametrize("method", ["idt", "sot"])
def test_transport_comes_nearer_than_a_matrix(method: str) -> None:
    swapped, plate = face(3), face(4, tint=(0.45, 0.40, 0.42)) ** 2
    linear = distance(fitted("mkl", swapped, plate, matte())(swapped), plate, matte())
    assert distance(fitted(method, swapped, plate, matte())(swapped), plate, matte()) < linear


@pytest.mark.parametrize("method", sorted(METHODS))
def test_equal_faces_are_left_alone(method: str) -> None:
    plate = face(5)
    assert torch.allclose(fitted(method, plate, plate, matte())(plate), plate, atol=2e-6)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_only_what_the_matte_shows_counts(method: str) -> None:
    swapped, plate = face(6), face(7)
    other = torch.where(matte() > 0, swapped, torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0)))
    maps = [fitted(method, image, plate, matte()) for image in (swapped, other)]
    assert torch.allclose(maps[0](swapped), maps[1](swapped), atol=1e-5)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_bits_depend_on_nothing_but_the_faces(method: str, threads: None) -> None:
    swapped, plate = (torch.cat([face(seed, size=67) for seed in seeds]) for seeds in ((1, 2, 3), (4, 5, 6)))
    weight = matte(67).expand(3, 1, 67, 67)
    torch.set_num_threads(1)
    found = fitted(method, swapped, plate, weight)
    apart = torch.stack([found(image) for image in swapped])
    torch.set_num_threads(2)
    again = fitted(method, swapped.clone(), plate.clone(), weight)
    assert torch.equal(again(swapped), apart)


def test_global_random_numbers_are_neither_read_nor_changed() -> None:
    swapped, plate = face(1), face(2)
    results = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the global generator is what is tested
        state = torch.get_rng_state()
        results.append(fitted("idt", swapped, plate, matte())(swapped))
        assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(results[0], results[1])


@pytest.mark.parametrize("method", sorted(METHODS))
def test_flat_and_nearly_flat_faces_are_moved_not_torn(method: str) -> None:
    flat, plate = torch.full((1, 3, 96, 96), 0.3), face(8)
    noisy = flat + 1e-4 * torch.randn(flat.shape, generator=torch.Generator().manual_seed(0))
    for swapped, target in ((flat, plate), (noisy, plate), (plate, flat), (flat, flat + 0.2)):
        result = fitted(method, swapped, target, matte())(swapped)
        assert result.isfinite().all()
        assert result.std(dim=(2, 3)).max() <= 5 * swapped.std(dim=(2, 3)).max() + 1e-3
        aim = target[0, :, 20:76, 20:76].mean(dim=(1, 2))
        assert (result[0, :, 20:76, 20:76].mean(dim=(1, 2)) - aim).abs().max() < 0.06


@pytest.mark.parametrize("method", sorted(METHODS))
def test_gains_are_bounded(method: str) -> None:
    plate = face(9)
    swapped = 0.5 + (plate - plate.mean()) * 0.02
    found = fitted(method, swapped, plate, matte())
    step = torch.tensor(1e-3)
    for channel in range(3):
        nudge = torch.zeros(1, 3, 1, 1)
        nudge[:, channel] = step
        gain = (found(swapped + nudge) - found(swapped)).abs().amax() / step
        assert gain < 5.2


@pytest.mark.parametrize("method", sorted(METHODS))
def test_values_outside_zero_to_one_pass_without_clipping(method: str) -> None:
    found = fitted(method, face(1), face(2), matte())
    ramp = torch.linspace(-0.5, 4, 200).expand(1, 3, 1, 200)
    result = found(ramp)
    assert result.amax() > 1.5
    assert (result.mean(dim=1).diff() > 0).all()


@pytest.mark.parametrize("method", ["hist", "idt", "sot"])
def test_a_smooth_gradient_gets_no_bands(method: str) -> None:
    swapped, plate = face(3), face(4, tint=(0.45, 0.40, 0.42)) ** 2
    found = fitted(method, swapped, plate, matte())
    ramp = torch.linspace(0.2, 0.8, 2048).reshape(1, 1, 1, -1) * torch.tensor([1.0, 0.75, 0.6]).reshape(1, 3, 1, 1)
    step = found(ramp.double()).diff(dim=-1)[0, :, 0]
    assert step.sum(dim=0).min() > 0
    # slope over each 8-bit code or so: a band is a step between two of them
    slope = F.avg_pool1d(step, 8, 8) / F.avg_pool1d(ramp.double().diff(dim=-1)[0, :, 0], 8, 8)
    jumps = slope.diff(dim=-1).abs().flatten()
    assert jumps.quantile(0.99) < 0.25
    assert jumps.mean() < 0.03
    assert jumps.max() < 0.6


def test_a_table_reproduces_the_moves_it_was_baked_from() -> None:
    shift = torch.tensor([0.1, -0.2, 0.05]).reshape(1, 3, 1, 1, 1).expand(1, 3, 4, 4, 4)
    found = TableMap(np.zeros(3), np.ones(3), shift)
    image = face(1)
    assert torch.allclose(found(image) - image, shift[0, :, 0, 0, 0].reshape(3, 1, 1).expand_as(image), atol=1e-6)
    red = torch.linspace(0, 1, 4).reshape(1, 1, 1, 1, 4).expand(1, 3, 4, 4, 4)
    moved = TableMap(np.zeros(3), np.ones(3), red)(image.clamp(0, 1))
    assert torch.allclose(moved - image.clamp(0, 1), image.clamp(0, 1)[:, :1].expand_as(image), atol=1e-5)


@pytest.mark.parametrize("weight", [torch.zeros(1, 1, 96, 96), torch.full((1, 1, 96, 96), 1e-3)])
def test_too_little_to_judge_by_gives_none(weight: Tensor) -> None:
    assert populations(face(1), face(2), weight, side_px=64) is None
    image = face(1)
    assert unchanged(image) is image


def test_broken_pixels_are_left_out() -> None:
    swapped, plate = face(1), face(2)
    swapped[0, 1, 40:50, 40:50] = torch.nan
    found = populations(swapped, plate, matte(), side_px=64)
    assert found is not None
    assert np.isfinite(found[0].colors).all()
    assert np.isfinite(mkl(*found, max_gain=3).matrix).all()


def test_small_samples_stand_for_the_whole_crop() -> None:
    swapped, plate = face(1, size=256), face(2, size=256, tint=(0.5, 0.45, 0.5))
    small, large = (fitted("mkl", swapped, plate, matte(256), side_px=side)(swapped) for side in (64, 256))
    assert (small - large).abs().mean() < 1.5 / 255


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="colour match"):
        populations(face(1), face(2, size=64), matte(), side_px=64)


@pytest.mark.parametrize("method", METHODS)
def test_a_lamp_far_beyond_white_does_not_colour_the_face(method: str) -> None:
    """A twentieth of the plate's face is at (6, -2, 1.5), as a red kick of 40 in ACEScg is in the face space."""
    ours, plate, weight = face(1), face(1) * 0.9, matte()
    lit = plate.clone()
    lit[:, :, 30:50, 40:60] = torch.tensor([6.0, -2.0, 1.5]).reshape(3, 1, 1)
    wanted, found = (fitted(method, ours, one, weight)(ours) for one in (plate, lit))
    assert float(((found - wanted).abs() * weight).max()) < 0.05


def test_a_face_that_is_all_beyond_white_is_matched_all_the_same() -> None:
    bright, weight = face(1) + 1.5, matte()
    assert distance(fitted("mkl", face(1), bright, weight)(face(1)), bright, weight) < 0.03


def test_within_white_samples_count_as_the_matte_says() -> None:
    weight = matte()
    found = populations(face(1).clamp(0, 1), face(2).clamp(0, 1), weight, side_px=96)
    assert found is not None
    pixels = weight.flatten()[weight.flatten() > 1e-3].double()
    np.testing.assert_allclose(found[0].weights, (pixels / pixels.sum()).numpy(), rtol=1e-6)
