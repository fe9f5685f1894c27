"""The occlusion net: its sizes, and that a face is seen for itself."""

from __future__ import annotations

import pytest
import torch

from vfxswap.errors import ShapeError, UsageError
from vfxswap.nets.occlusion import OcclusionNet, OcclusionSpec


def made(spec: OcclusionSpec, seed: int = 1) -> OcclusionNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return OcclusionNet(spec).eval()


def test_it_is_as_small_as_it_must_be_to_come_along() -> None:
    assert 2 * sum(parameter.numel() for parameter in OcclusionNet(OcclusionSpec()).parameters()) < 2_000_000


@pytest.mark.parametrize(("size", "widths"), [(32, (4, 8)), (64, (4, 8, 12)), (128, (4, 4, 8, 8))])
def test_it_gives_a_value_for_each_pixel(size: int, widths: tuple[int, ...]) -> None:
    net = made(OcclusionSpec(size, widths, 4))
    assert net(torch.rand(2, 3, size, size)).shape == (2, 1, size, size)


def test_it_looks_at_the_whole_picture_and_draws_at_its_finest() -> None:
    net = made(OcclusionSpec(64, (8, 8, 8, 8), 4))
    picture = torch.rand(1, 3, 64, 64, requires_grad=True)
    net(picture)[0, 0, 5, 5].backward()
    assert picture.grad is not None
    reach = picture.grad.abs().amax((0, 1))
    assert float(reach[60, 60]) > 0
    assert float(reach[5, 5]) > 0


@torch.inference_mode()
def test_faces_do_not_depend_on_one_another() -> None:
    net = made(OcclusionSpec(32, (4, 8), 4))
    pictures = torch.rand(3, 3, 32, 32)
    assert torch.allclose(net(pictures)[1:2], net(pictures[1:2]), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (1, 1, 32, 32), (3, 32, 32)])
def test_pictures_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"must be \(N, 3, 32, 32\), got"):
        made(OcclusionSpec(32, (4, 8), 4))(torch.zeros(shape))


@pytest.mark.parametrize("values", [(100, (8, 8, 8)), (16, (8, 8)), (64, (8,)), (64, (8, 0)), (64, (8, 8), 0)])
def test_sizes_that_cannot_be_are_refused(values: tuple[int, tuple[int, ...]]) -> None:
    with pytest.raises(UsageError, match=r"wide|levels"):
        OcclusionSpec(*values)


def test_a_spec_survives_json() -> None:
    spec = OcclusionSpec(64, (4, 8, 12), 6)
    data = {**spec.to_dict(), "widths": list(spec.widths)}
    assert OcclusionSpec.from_dict(data) == spec
    with pytest.raises(UsageError, match="described by edge, size_px, widths"):
        OcclusionSpec.from_dict({**data, "depth": 3})
